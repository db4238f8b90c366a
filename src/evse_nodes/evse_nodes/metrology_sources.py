"""The sources of the metrology part as they are on disk, and their checksum with the file that an EVSE's meter is read by.

Compiled files and places do not count.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from evse_core.metrology import MODULES, checksum

NO_FILES: Mapping[str, bytes] = MappingProxyType({})


def metrology_checksum(files: Mapping[str, bytes] = NO_FILES) -> str:
    """Return the checksum of the sources that this process found when it asked first, with the files of a meter; ValueError where a source is missing."""
    return checksum({**_program(), **files})


@cache
def _program() -> Mapping[str, bytes]:
    return sources(MODULES)


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
