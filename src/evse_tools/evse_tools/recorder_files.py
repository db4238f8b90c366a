"""Names of recordings on the disk, which of them are kept, and which were left open by a recorder that died."""

import fcntl
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

MEGABYTE = 1e6
METADATA = "metadata.yaml"


def base_name(station: str, seconds: float) -> str:
    """Return the name of a run that began at `seconds` [s since the epoch]: its UTC time and the station, in letters that every file system takes."""
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", station) or "station"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}_{safe}"


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
    pattern = re.compile(rf"\d{{8}}T\d{{6}}Z_{name}(_\d{{3,}})?")
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


def delete_oldest(directory: Path, station: str, keep: int) -> list[Path]:
    """Delete closed recordings of a station, the oldest first, until at most `keep` are left. Returns what was deleted."""
    found = recordings(directory, station)
    surplus = [path for path in found[: max(0, len(found) - keep)] if not is_open(path)]
    for path in surplus:
        shutil.rmtree(path, ignore_errors=True)
    return surplus


def free_megabytes(directory: Path) -> float:
    """Return how much of the disk is free [MB]."""
    return shutil.disk_usage(directory).free / MEGABYTE
