"""Find and load the CAN databases of config/can/ as SignalDatabase."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cantools.database

from evse_core.codecs.signals import SignalDatabase

# Databases of this project, one per link: docs/design.md, section CAN.
NAMES = ("chademo", "evse_v3", "io_board", "cabinet", "meter")
# Own frames on a bus of somebody else's protocol, in files of their own.
EXTENSIONS = {"evse_v3": ("module_bank",)}


def load(name: str) -> SignalDatabase:
    """Return the database of this name, one of NAMES, with its extensions; FileNotFoundError names every folder that was looked into."""
    return _load(tuple(find(part) for part in (name, *EXTENSIONS.get(name, ()))))


def find(name: str) -> Path:
    """Return the file of a database: in $EVSE_CONFIG_DIR, else in an installed evse_bringup, else in the source tree above this file."""
    tried = []
    for folder in folders():
        path = folder / "can" / f"{name}.dbc"
        if path.is_file():
            return path
        tried.append(str(path))
    raise FileNotFoundError(f"no CAN database {name!r}: {', '.join(tried)}")


@cache
def _load(paths: tuple[Path, ...]) -> SignalDatabase:
    return SignalDatabase(*(cantools.database.load_file(path, database_format="dbc", strict=True) for path in paths))  # type: ignore[arg-type]


def folders() -> Iterator[Path]:
    """Yield the config folders, the first that holds a file wins."""
    if given := os.environ.get("EVSE_CONFIG_DIR"):
        yield Path(given)
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        yield Path(prefix) / "share" / "evse_bringup" / "config"
    yield from (parent / "config" for parent in Path(__file__).resolve().parents)
