"""Names of recordings on the disk, which of them are kept, and which were left open by a recorder that died."""

import fcntl
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf
from pathlib import Path

MEGABYTE = 1e6
METADATA = "metadata.yaml"


def base_name(station: str, seconds: float, evse: int = 0) -> str:
    """Return the name of a recording that began at a time [s since the epoch]: that in UTC, the station in letters that every file system takes, the EVSE."""
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", station) or "station"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}_{safe}" + (f"_evse{evse}" if evse else "")


def names(base: str) -> Iterator[str]:
    """Yield the names of a run's parts: base, base_002, base_003, ..."""
    yield base
    number = 2
    while True:
        yield f"{base}_{number:03d}"
        number += 1


def recordings(directory: Path, station: str) -> list[Path]:
    """Return the recordings of a station, the oldest first."""
    name = re.escape(base_name(station, 0.0).split("_", 1)[1])
    pattern = re.compile(rf"\d{{8}}T\d{{6}}Z_{name}(_evse\d+)?(_\d{{3,}})?")
    return sorted(path for path in directory.glob("*Z_*") if path.is_dir() and pattern.fullmatch(path.name))


def is_open(path: Path) -> bool:
    """Tell whether a living recorder writes this recording."""
    try:
        with data_file(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def data_file(path: Path) -> Path:
    """Return the MCAP file of a recording."""
    return path / f"{path.name}.mcap"


def unfinished(directory: Path, station: str) -> list[Path]:
    """Return the recordings whose recorder died."""
    return [
        path for path in recordings(directory, station) if not (path / METADATA).exists() and data_file(path).exists() and not is_open(path)
    ]


def delete_oldest(directory: Path, station: str, keep: int, megabytes: float = inf, since: float = 0.0) -> list[Path]:
    """Delete closed recordings of a station, the oldest first, until at most `keep` are left, none that was closed before `since` [s since the epoch], and they
    take at most so many megabytes. Returns what was deleted."""
    found = recordings(directory, station)
    room, first = megabytes * MEGABYTE, max(0, len(found) - keep)
    for number in range(len(found) - 1, first - 1, -1):
        size, closed = _size(found[number])
        room -= size
        if room < 0.0 or closed < since:
            first = number + 1
            break
    surplus = [path for path in found[:first] if not is_open(path)]
    for path in surplus:
        shutil.rmtree(path, ignore_errors=True)
    return surplus


def _size(path: Path) -> tuple[int, float]:
    """Return the size of a recording [B], and when it was written last [s since the epoch]."""
    try:
        status = data_file(path).stat()
    except OSError:
        return 0, inf
    return status.st_size, status.st_mtime


def free_megabytes(directory: Path) -> float:
    """Return how much of the disk is free [MB]."""
    return shutil.disk_usage(directory).free / MEGABYTE
