"""Doctor: Python, libraries, tools."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

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
    yield "metrology", "ok", f"checksum {metrology_checksum()}"
    for tool, purpose in TOOLS.items():
        if shutil.which(tool) is None:
            yield "tools", "failure" if purpose.startswith("running") else "warning", f"{tool} is missing, needed for {purpose}"


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
