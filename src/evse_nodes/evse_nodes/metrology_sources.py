"""The sources of the metrology part as they are on disk, and their checksum. Compiled files and places do not count."""

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from evse_core.metrology import MODULES, checksum


@cache
def metrology_checksum() -> str:
    """Return the checksum of the sources that this process found when it asked first; ValueError where one is missing."""
    return checksum(sources(MODULES))


def sources(modules: Iterable[str]) -> dict[str, bytes]:
    """Return the source of each module; ValueError where one is missing."""
    return {name: _source(name) for name in modules}


def _source(name: str) -> bytes:
    try:
        found = find_spec(name)
        if found is None or found.origin is None:
            raise FileNotFoundError("there is no such module")
        return Path(found.origin).read_bytes()
    except (ImportError, OSError) as error:
        raise ValueError(f"{name}: the source of this part of the metrology is missing: {error}") from error
