"""`station doctor FILE`: what stands between a description's buses and this machine."""

from pathlib import Path

import pytest

from evse_tools import doctor_can


@pytest.fixture(autouse=True)
def drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All drivers are there."""
    monkeypatch.setattr(doctor_can, "missing_driver", lambda interface: "")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_can, "missing_driver", lambda interface: f"{interface} needs a thing")
    assert doctor_can.bus_problem("pcan", "PCAN_USBBUS1") == "pcan needs a thing"


def test_a_socketcan_interface_that_is_not_there_is_named() -> None:
    assert doctor_can.bus_problem("socketcan", "can_absent") == "can_absent: there is no such interface"


def test_a_serial_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    assert doctor_can.bus_problem("slcan", f"{port}@1000000") == f"{port}: there is no such serial port"
    port.touch()
    assert doctor_can.bus_problem("slcan", f"{port}@1000000") == ""


def test_a_serial_port_of_others_is_named_with_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    monkeypatch.setattr(doctor_can.os, "access", lambda path, mode: False)
    assert "this user may not use it" in doctor_can.bus_problem("slcan", str(port))


@pytest.mark.parametrize(("interface", "channel"), [("kvaser", "0"), ("udp_multicast", "ff11::1"), ("slcan", "socket://localhost:1")])
def test_what_cannot_be_seen_from_outside_is_no_problem(interface: str, channel: str) -> None:
    assert doctor_can.bus_problem(interface, channel) == ""
