"""Configuration keys that the CSMS has changed, and which EVSEs are out of service, kept over restarts in one small JSON file."""

import json
import logging
import os
from pathlib import Path

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_configuration import restored

LOG = logging.getLogger("ocpp_uplink")


class Settings:
    """The file. One that cannot be read counts as empty, so that the station's own description holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = self._read()

    def restored(self, config: OcppConfig) -> OcppConfig:
        """Return the settings of the description with the changes of the CSMS."""
        return restored(config, self._values)

    def get(self, name: str) -> str:
        """Return what was kept under a name, "" where nothing was."""
        return self._values.get(name, "")

    def keep(self, name: str, value: str) -> None:
        """Keep a change: written aside, synced and moved into place, so that a crash leaves the old file or the new one."""
        self._values[name] = value
        aside = self._path.with_suffix(".new")
        with aside.open("w") as file:
            json.dump(self._values, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            LOG.error("%s cannot be read: %s", self._path, error)
            return {}
        return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
