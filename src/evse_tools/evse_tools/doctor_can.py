"""Doctor: CAN interfaces of the machine, and whether simulated buses work."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evse_nodes.can_interfaces import missing_driver

NET = Path("/sys/class/net")
# ARPHRD_CAN of linux/if_arp.h.
ARPHRD_CAN = "280"
# A frame on a simulated bus arrives within 0.1 ms. [s]
PATIENCE = 1.0


def checks() -> Iterator[tuple[str, str, str]]:
    """Yield topic, level, text."""
    devices = can_devices()
    if not devices:
        yield "can", "note", "no CAN interface on this machine: only simulated parts can be reached"
    for name in devices:
        problem = device_problem(name)
        yield "can", "warning" if problem else "ok", problem or f"{name}: {_settings(name)}"
    yield _simulated()


def can_devices() -> list[str]:
    """Return the names of the machine's CAN interfaces."""
    return sorted(path.name for path in NET.glob("*") if _read(path / "type") == ARPHRD_CAN)


def device_problem(name: str) -> str:
    """Return why a socketcan interface cannot be used; "" where it can."""
    if not (NET / name).exists():
        return f"{name}: there is no such interface"
    if _read(NET / name / "type") != ARPHRD_CAN:
        return f"{name}: is no CAN interface"
    # IFF_UP of linux/if.h; operstate of vcan is "unknown".
    if not int(_read(NET / name / "flags") or "0", 16) & 1:
        return f"{name}: is down (ip link set {name} up type can bitrate 500000 restart-ms 100)"
    return ""


def bus_problem(interface: str, channel: str) -> str:
    """Return why a bus of a description cannot be used on this machine; "" where nothing speaks against it."""
    if interface == "socketcan":
        return device_problem(channel)
    if missing := missing_driver(interface):
        return missing
    port = Path(channel.partition("@")[0])
    if interface == "slcan" and port.is_absolute():
        if not port.exists():
            return f"{port}: there is no such serial port"
        if not os.access(port, os.R_OK | os.W_OK):
            return f"{port}: this user may not use it (a member of the group {port.group()} may)"
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _settings(name: str) -> str:
    """Return bit rate and state as `ip` tells them."""
    if shutil.which("ip") is None:
        return "up"
    answer = subprocess.run(["ip", "-details", "-json", "link", "show", name], capture_output=True, text=True, timeout=5, check=False)
    try:
        info: dict[str, Any] = json.loads(answer.stdout)[0].get("linkinfo", {})
    except (ValueError, IndexError):
        return "up"
    data = info.get("info_data", {})
    rate = data.get("bittiming", {}).get("bitrate")
    return ", ".join(filter(None, ("up", info.get("info_kind"), f"{rate} bit/s" if rate else "", data.get("state"))))


def _simulated() -> tuple[str, str, str]:
    """Send a frame over an interface-local multicast group, as simulated parts do."""
    import can  # noqa: PLC0415 0.3 s

    group = f"ff11::{os.getpid() & 0xFFFF:x}:{uuid.uuid4().hex[:4]}"
    try:
        with (
            can.Bus(interface="udp_multicast", channel=group, hop_limit=0, ignore_config=True) as sender,
            can.Bus(interface="udp_multicast", channel=group, hop_limit=0, ignore_config=True) as receiver,
        ):
            sender.send(can.Message(arbitration_id=0x123, data=b"doctor", is_extended_id=False))
            frame = receiver.recv(PATIENCE)
    except (can.CanError, OSError) as error:
        return "simulated can", "failure", f"udp_multicast on {group} does not work: {error}"
    if frame is None or bytes(frame.data) != b"doctor":
        return "simulated can", "failure", f"a frame on udp_multicast {group} does not arrive; is IPv6 switched off?"
    return "simulated can", "ok", "frames between processes over interface-local multicast arrive"
