"""Doctor: which ROS this is, and whether its graph stays on the machine."""

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

# Domains whose ports stay below Linux's ephemeral ones (ROS 2 documentation, "The ROS_DOMAIN_ID").
HIGHEST_DOMAIN = 101
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
SHM = Path("/dev/shm")


def checks() -> Iterator[tuple[str, str, str]]:
    """Yield topic, level, text."""
    yield from _ros()
    yield from _sourced()
    yield _discovery()
    yield _domain()
    yield from _shared_memory()


def _ros() -> Iterator[tuple[str, str, str]]:
    try:
        import rclpy  # noqa: PLC0415 must be able to fail

        rmw = rclpy.get_rmw_implementation_identifier()
    except ImportError as error:
        yield "ros", "failure", f"rclpy cannot be imported: {error}"
        return
    if find_spec("rclpy.experimental") is None:
        yield "ros", "failure", f"{_rclpy_version()} has no events executor: 7.1.4 or later is needed (apt upgrade ros-jazzy-rclpy)"
        return
    yield "ros", "ok", f"{_rclpy_version()}, {rmw}, {Path(rclpy.__file__).parent}"
    try:
        import evse_msgs.msg as messages  # noqa: PLC0415 must be able to fail
    except ImportError as error:
        yield "messages", "failure", f"evse_msgs cannot be imported, so the workspace is not built: {error}"
    else:
        yield "messages", "ok", f"evse_msgs in {Path(messages.__file__).parents[1]}"
    has_launch = all(find_spec(name) for name in ("launch", "launch_ros"))
    yield (
        "launch",
        "note",
        "ROS's own launch starts stations" if has_launch else "not installed: the supervisor of evse_tools starts stations",
    )


def _rclpy_version() -> str:
    for name in ("ros-jazzy-rclpy", "rclpy"):
        try:
            return f"rclpy {version(name)}"
        except PackageNotFoundError:
            continue
    return "rclpy of unknown version"


def _sourced() -> Iterator[tuple[str, str, str]]:
    """An ordinary ROS beside the station's own environment."""
    if sourced := os.environ.get("STATION_SOURCED_ROS"):
        yield (
            "other ros",
            "note",
            f"{sourced} is sourced, but ./station uses its own environment; STATION_USE_SYSTEM_ROS=1 takes the sourced one",
        )
    elif ros2 := shutil.which("ros2"):
        yield "ros2", "note", f"command line at {ros2}"


def _discovery() -> tuple[str, str, str]:
    value = os.environ.get(RANGE, "")
    if value in {"LOCALHOST", "OFF"}:
        return "discovery", "ok", f"{RANGE}={value}: nothing of the graph leaves this machine"
    return "discovery", "warning", f"{RANGE} is {value or 'not set (SUBNET)'}: the graph reaches other machines; LOCALHOST keeps it here"


def _domain() -> tuple[str, str, str]:
    text = os.environ.get("ROS_DOMAIN_ID", "0") or "0"
    if not text.isdigit() or int(text) > HIGHEST_DOMAIN:
        return "domain", "failure", f"ROS_DOMAIN_ID={text} is not a number from 0 to {HIGHEST_DOMAIN}"
    return "domain", "ok", f"ROS_DOMAIN_ID {text}"


def _shared_memory() -> Iterator[tuple[str, str, str]]:
    """Fast DDS takes shared memory between processes; a full /dev/shm stops it."""
    if not SHM.is_dir():
        return
    status = os.statvfs(SHM)
    free = status.f_bavail * status.f_frsize / 1e6
    segments = sum(1 for path in SHM.glob("fastrtps_*") if not path.name.endswith(("_el", "_sl")))
    yield "shared memory", "warning" if free < 64 else "ok", f"{free:.0f} MB free in {SHM}, {segments} Fast DDS segments"
