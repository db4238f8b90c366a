"""Remove what a killed process left of Fast DDS in /dev/shm.

A process that dies by a signal leaves its segments; later processes of the same domain then print "open_and_lock_file failed", and the memory stays taken.
Only files that the dead process had mapped are looked at, and of these only those that no living process holds locked, as `fastdds shm clean` does.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

SHM = Path("/dev/shm")


def segments(pid: int) -> frozenset[str]:
    """Return the names of the Fast DDS segments that a living process has mapped."""
    prefix = f"{SHM}/fastrtps_"
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
            found = (line.rstrip("\n").partition("/")[2] for line in maps if prefix in line)
            return frozenset(Path(f"/{name}").name for name in found if f"/{name}".startswith(prefix))
    except OSError:
        return frozenset()


def remove_unused(names: frozenset[str], folder: Path = SHM) -> list[str]:
    """Remove the segments of these names that nobody holds, with their locks; returns what was removed."""
    removed = []
    for name in sorted(names):
        if not any(_held(folder / f"{name}{lock}") for lock in ("_el", "_sl")):
            for path in (folder / name, folder / f"{name}_el", folder / f"{name}_sl", folder / f"sem.{name}_mutex"):
                with suppress(OSError):
                    path.unlink()
                    removed.append(path.name)
    return removed


def _held(lock: Path) -> bool:
    """Return whether a living process holds this lock file."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
