"""The CAN interfaces that a description may name: the arguments that python-can wants for each, and what else each needs on the machine. Opens nothing.

Sources: the constructors in can/interfaces of python-can 4.6.1. docs/hardware.md says how to wire and set up each.
"""

from collections.abc import Callable, Mapping
from ctypes.util import find_library
from importlib.util import find_spec
from typing import Any

# Kinds of interface that have no bit rate of their own: socketcan's is set with the network interface, the others have no wire.
WITHOUT_BITRATE = ("socketcan", "udp_multicast", "virtual")
# Kinds whose error frames are those of Linux (linux/can/error.h); with others an error frame is an error, and no more is known.
OWN_ERROR_FRAMES = ("pcan", "kvaser")
# Kinds where opening again resets a controller that has gone bus-off; that of socketcan belongs to the kernel (restart-ms).
RESET_BY_OPENING = ("slcan", "pcan", "kvaser", "gs_usb")
# Module, or library of the system, that python-can needs besides itself, and how it is called in words.
MODULES = {
    "slcan": ("serial", "pyserial"),
    "gs_usb": ("gs_usb", "python-can[gs_usb]"),
    "udp_multicast": ("msgpack", "python-can[multicast]"),
}
LIBRARIES = {"pcan": ("pcanbasic", "PCAN-Basic of PEAK-System"), "kvaser": ("canlib", "CANlib of Kvaser")}


def bus_arguments(interface: str, channel: str, bitrate: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of can.Bus; ValueError where the channel is none of this interface.

    No configuration file of the machine is read: what the description says is all. Options go to python-can as they are, and win.
    """
    arguments: dict[str, Any] = {"interface": interface, "channel": _channel(interface, channel, options), "ignore_config": True}
    if interface not in WITHOUT_BITRATE:
        arguments["bitrate"] = bitrate
    return arguments | _DEFAULTS.get(interface, {}) | dict(options)


# Hop limit 0 keeps the frames on this machine. A PCAN controller that goes bus-off is reset by its driver.
_DEFAULTS: dict[str, dict[str, Any]] = {"udp_multicast": {"hop_limit": 0, "fd": False}, "pcan": {"auto_reset": True}}


def _channel(interface: str, channel: str, options: Mapping[str, Any]) -> Any:
    """Return the channel in the type that the interface takes."""
    wanted = _CHANNELS.get(interface)
    return channel if wanted is None else wanted(channel, options)


def _kvaser(channel: str, options: Mapping[str, Any]) -> int:
    if not channel.isdecimal():
        raise ValueError(f"{channel!r} is no channel of kvaser: they are numbers, 0 is the first")
    return int(channel)


def _pcan(channel: str, options: Mapping[str, Any]) -> str | int:
    """PCAN_USBBUS1 and the like, or the number of a handle."""
    if channel.isdecimal():
        return int(channel)
    if not channel.startswith("PCAN_"):
        raise ValueError(f"{channel!r} is no channel of pcan: they are called PCAN_USBBUS1, PCAN_PCIBUS1, ...")
    return channel


def _gs_usb(channel: str, options: Mapping[str, Any]) -> str | int:
    """The number of the adapter; any name where the options say which it is."""
    if channel.isdecimal() and not options.keys() & {"index", "bus", "address"}:
        return int(channel)
    if not options.keys() & {"index", "bus", "address"}:
        raise ValueError(f"{channel!r} is no channel of gs_usb: 0 is the first adapter, or options name index, or bus and address")
    return channel


_CHANNELS: dict[str, Callable[[str, Mapping[str, Any]], Any]] = {"kvaser": _kvaser, "pcan": _pcan, "gs_usb": _gs_usb}


def missing_driver(interface: str) -> str:
    """Return what the interface needs and this machine does not have; "" where nothing is missing."""
    module, package = MODULES.get(interface, ("", ""))
    if module and find_spec(module) is None:
        return f"{interface} needs the Python package {package}: docs/hardware.md"
    library, product = LIBRARIES.get(interface, ("", ""))
    if library and find_library(library) is None:
        return f"{interface} needs the library {product}: docs/hardware.md"
    return ""
