"""Each interface of python-can by description alone: the arguments that it is opened with are those of its constructor, in its types."""

import inspect
from pathlib import Path
from typing import Any

import can
import pytest

from evse_nodes import can_interfaces
from evse_nodes.can_back_end import open_bus
from evse_nodes.can_interfaces import bus_arguments, missing_driver

BITRATE = 250_000


@pytest.mark.parametrize(
    ("interface", "channel", "options", "wanted"),
    [
        ("socketcan", "can0", {}, {"channel": "can0"}),
        ("socketcan", "can0", {"local_loopback": False}, {"channel": "can0", "local_loopback": False}),
        ("slcan", "/dev/ttyACM0", {"tty_baudrate": 115200}, {"channel": "/dev/ttyACM0", "bitrate": BITRATE, "tty_baudrate": 115200}),
        ("slcan", "/dev/ttyUSB0@1000000", {}, {"channel": "/dev/ttyUSB0@1000000", "bitrate": BITRATE}),
        ("pcan", "PCAN_USBBUS1", {}, {"channel": "PCAN_USBBUS1", "bitrate": BITRATE, "auto_reset": True}),
        ("pcan", "81", {"auto_reset": False}, {"channel": 81, "bitrate": BITRATE, "auto_reset": False}),
        ("kvaser", "1", {}, {"channel": 1, "bitrate": BITRATE}),
        ("gs_usb", "0", {}, {"channel": 0, "bitrate": BITRATE}),
        ("gs_usb", "canable", {"index": 2}, {"channel": "canable", "index": 2, "bitrate": BITRATE}),
        ("gs_usb", "any", {"bus": 1, "address": 7}, {"channel": "any", "bus": 1, "address": 7, "bitrate": BITRATE}),
        ("virtual", "bench", {}, {"channel": "bench"}),
        ("udp_multicast", "ff11::1", {"port": 50000}, {"channel": "ff11::1", "hop_limit": 0, "fd": False, "port": 50000}),
        ("vector", "0", {"app_name": "evse"}, {"channel": "0", "bitrate": BITRATE, "app_name": "evse"}),
    ],
)
def test_each_interface_is_opened_with_its_own_arguments(
    monkeypatch: pytest.MonkeyPatch, interface: str, channel: str, options: dict[str, Any], wanted: dict[str, Any]
) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(can, "Bus", lambda **arguments: seen.append(arguments))
    open_bus(bus_arguments(interface, channel, BITRATE, options))
    assert seen == [{"interface": interface, "ignore_config": True} | wanted]


@pytest.mark.parametrize("interface", ["socketcan", "slcan", "pcan", "kvaser", "virtual", "udp_multicast"])
def test_the_arguments_are_those_that_python_can_knows(interface: str) -> None:
    """Whoever renames one in python-can breaks this, not a station. gs_usb cannot be imported without its package."""
    from can.interface import _get_class_for_interface  # noqa: PLC0415

    made = bus_arguments(interface, "0" if interface == "kvaser" else "PCAN_USBBUS1", BITRATE, {})
    signature = inspect.signature(_get_class_for_interface(interface).__init__)
    # Documented, but taken from **kwargs.
    hidden = {"auto_reset", "bitrate"} if interface in {"pcan", "kvaser"} else set()
    assert made.keys() - {"interface", "ignore_config"} - hidden <= signature.parameters.keys()


@pytest.mark.parametrize(
    ("interface", "channel", "named"),
    [("kvaser", "can0", "they are numbers"), ("pcan", "can0", "PCAN_USBBUS1"), ("gs_usb", "canable", "first adapter")],
)
def test_a_channel_that_is_none_of_the_interface_is_refused(interface: str, channel: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        bus_arguments(interface, channel, BITRATE, {})


@pytest.mark.parametrize("interface", ["slcan", "gs_usb", "pcan", "kvaser"])
def test_what_an_interface_needs_besides_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, interface: str) -> None:
    monkeypatch.setattr(can_interfaces, "find_spec", lambda name: None)
    monkeypatch.setattr(can_interfaces, "find_library", lambda name: None)
    missing = missing_driver(interface)
    assert missing.startswith(f"{interface} needs the ")
    assert missing.endswith("docs/hardware.md")
    monkeypatch.setattr(can_interfaces, "find_spec", lambda name: object())
    monkeypatch.setattr(can_interfaces, "find_library", lambda name: "there.so")
    assert missing_driver(interface) == ""


@pytest.mark.parametrize("interface", ["socketcan", "virtual", "something_of_somebody"])
def test_an_interface_that_needs_nothing_misses_nothing(interface: str) -> None:
    assert missing_driver(interface) == ""


def test_every_interface_has_its_place_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text(encoding="utf-8")
    for interface in ("socketcan", "slcan", "pcan", "kvaser", "gs_usb", "virtual", "udp_multicast"):
        assert f"interface: {interface}" in text, interface
