"""Doctor: Python, libraries, tools."""

import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from evse_nodes import priority
from evse_nodes.metrology_sources import metrology_checksum

LIBRARIES = ("python-can", "cantools", "ocpp", "websockets", "pydantic", "typer", "rich", "rosbags", "matplotlib", "PyYAML", "psutil")
# What a build needs, and what a running station needs of the system.
TOOLS = {"gcc": "building", "g++": "building", "cmake": "building", "setpriv": "running (part of util-linux)"}


def checks() -> Iterator[tuple[str, str, str]]:
    """Yield topic, level, text."""
    new_enough = sys.version_info >= (3, 11)
    place = os.environ.get("VIRTUAL_ENV") or sys.prefix
    yield (
        "python",
        "ok" if new_enough else "failure",
        f"{platform.python_version()} in {place}" + ("" if new_enough else "; 3.11 is needed"),
    )
    yield "system", "note", f"{_system()}, {platform.machine()}, {os.cpu_count()} cores"
    found, missing = _versions()
    yield "libraries", "ok", ", ".join(found)
    if missing:
        yield "libraries", "failure", f"missing: {', '.join(missing)}"
    yield _priority()
    yield "metrology", "ok", f"checksum {metrology_checksum()}"
    for tool, purpose in TOOLS.items():
        if shutil.which(tool) is None:
            yield "tools", "failure" if purpose.startswith("running") else "warning", f"{tool} is missing, needed for {purpose}"


def _priority() -> tuple[str, str, str]:
    """Return whether processes of this user may run before others. The limit of a real-time priority is resource(3)'s RLIMIT_RTPRIO."""
    allowed = os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[0] not in range(priority.REALTIME)
    if allowed:
        return "priority", "ok", f"nodes that cut power run with real-time priority {priority.REALTIME}"
    return (
        "priority",
        "warning",
        f"no real-time priority for this user: a busy machine can end sessions; rtprio {priority.REALTIME} in limits.conf(5), or LimitRTPRIO= in the unit",
    )


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _versions() -> tuple[list[str], list[str]]:
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    return found, missing
