"""What the CSMS has installed in the station, kept over restarts: one JSON file per concern in the uplink's folder, replaced as a whole, for its owner
only: tokens and passwords in addresses are among it.

A file that cannot be read counts as empty, as that of a new station, and is kept beside (`.damaged`) for a person to look at.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from evse_nodes import whole_file

LOG = logging.getLogger("ocpp_uplink")

T = TypeVar("T")


class KeptFile:
    """One file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, parse: Callable[[Any], T], empty: T) -> T:
        """Return the content as parse() gives it, empty where there is none or parse() raises ValueError."""
        try:
            return parse(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return empty
        except (OSError, ValueError, RecursionError) as error:
            LOG.error("%s cannot be read and counts as empty: %s", self._path, error)
        self._put_aside()
        return empty

    def write(self, content: Any) -> bool:
        """Replace the content; returns whether it is on disk."""
        try:
            whole_file.replace(self._path, json.dumps(content), whole_file.PRIVATE)
        except OSError:
            LOG.exception("%s cannot be written", self._path)
            return False
        return True

    def _put_aside(self) -> None:
        try:
            self._path.replace(self._path.with_name(self._path.name + ".damaged"))
        except OSError:
            LOG.exception("%s cannot be put aside", self._path)
