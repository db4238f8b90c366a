"""Configuration keys that the CSMS has changed, and which EVSEs are out of service, kept over restarts in one small JSON file for its owner only: the password
of the connection is among them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_configuration import restored
from evse_nodes import whole_file
from evse_nodes.ocpp_file import KeptFile


class Settings:
    """The file. One that cannot be read counts as empty, so that the station's own description holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = path.parent
        self._values: dict[str, str] = KeptFile(path).read(_texts, {})

    def restored(self, config: OcppConfig) -> OcppConfig:
        """Return the settings of the description with the changes of the CSMS."""
        return restored(config, self._values)

    def get(self, name: str) -> str:
        """Return what was kept under a name, "" where nothing was."""
        return self._values.get(name, "")

    def keep(self, name: str, value: str) -> None:
        """Keep a change. OSError where the file cannot be written."""
        self.keep_all({name: value})

    def keep_all(self, values: Mapping[str, str | None]) -> None:
        """Keep changes together, None forgets one. OSError where the file cannot be written: nothing is kept then."""
        changed = {name: value for name, value in {**self._values, **values}.items() if value is not None}
        whole_file.replace(self._path, json.dumps(changed, indent=1), whole_file.PRIVATE)
        self._values = changed


def _texts(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        raise ValueError("no object of texts")
    return {name: value for name, value in found.items() if isinstance(value, str)}
