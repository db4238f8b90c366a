"""Configuration keys that the CSMS has changed, and which EVSEs are out of service, kept over restarts in one small JSON file."""

import json
import logging
from pathlib import Path

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_configuration import restored
from evse_nodes import whole_file

LOG = logging.getLogger("ocpp_uplink")


class Settings:
    """The file. One that cannot be read counts as empty, so that the station's own description holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = path.parent
        self._values = self._read()

    def restored(self, config: OcppConfig) -> OcppConfig:
        """Return the settings of the description with the changes of the CSMS."""
        return restored(config, self._values)

    def get(self, name: str) -> str:
        """Return what was kept under a name, "" where nothing was."""
        return self._values.get(name, "")

    def keep(self, name: str, value: str) -> None:
        """Keep a change. OSError where the file cannot be written."""
        self._values[name] = value
        whole_file.replace(self._path, json.dumps(self._values, indent=1))

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            LOG.error("%s cannot be read: %s", self._path, error)
            return {}
        return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
