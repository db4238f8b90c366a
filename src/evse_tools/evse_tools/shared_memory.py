"""Remove what killed processes left of Fast DDS in /dev/shm.

A process that dies by a signal leaves its segments and ports. Later processes of the same domain then print "open_and_lock_file failed", and where many have
died some do not find each other any more (seen after 300 crashes in one domain). Removed is only what has a lock file that nobody holds, as by `fastdds shm
clean` of Fast DDS itself.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SHM = Path("/dev/shm")
LOCKS = ("_el", "_sl")
NAME = re.compile(r"fastrtps_([0-9a-f]{16}|port\d{1,5})")
# A segment exists a moment before its owner locks it: younger ones are left alone. [s]
YOUNG = 10.0


def segments(pid: int) -> frozenset[str]:
    """Return the names of the Fast DDS segments that a living process has mapped."""
    prefix = f"{SHM}/fastrtps_"
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
            found = (line.rstrip("\n").partition("/")[2] for line in maps if prefix in line)
            return frozenset(Path(name).name for name in found)
    except OSError:
        return frozenset()


def remove_abandoned(folder: Path = SHM) -> list[str]:
    """Remove whatever any process has left here some time ago; returns the names of the files."""
    now = time.time()
    names = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if NAME.fullmatch(path.name) and now - path.stat().st_mtime > YOUNG:
                    names.append(path.name)
    return remove_unused(names, folder)


def remove_unused(names: Iterable[str], folder: Path = SHM) -> list[str]:
    """Remove the segments of these names that somebody had locked and nobody holds any more; returns the names of the files."""
    removed = []
    for name in sorted(names):
        locks = [lock for lock in (folder / f"{name}{end}" for end in LOCKS) if lock.exists()]
        if locks and not any(map(_held, locks)):
            for path in (folder / name, *locks, folder / f"sem.{name}_mutex"):
                with suppress(OSError):
                    path.unlink()
                    removed.append(path.name)
    return removed


def _held(lock: Path) -> bool:
    """Return whether a living process holds this lock file; one that cannot be opened belongs to somebody else."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
