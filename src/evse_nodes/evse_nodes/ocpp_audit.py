"""What ocpp_uplink has the audit trail say: with which settings it runs, and what the CSMS writes to them. What cannot be told there is not changed."""

import logging
import sqlite3
import threading
from pathlib import Path

from evse_core.audit import by_csms, by_description, facts, news
from evse_core.ocpp16 import OcppConfig
from evse_nodes.audit_trail import AuditTrail, present
from evse_nodes.meter_audit import user

LOG = logging.getLogger("ocpp_uplink")
SECTION = "ocpp_uplink"
# The number of the station, beside those of its EVSEs.
STATION = 0


class OcppAudit:
    """The trail of a folder for the uplink. One that cannot be used is told, and bars sessions by energy_meter, not the connection to the CSMS."""

    def __init__(self, folder: Path, description: str = "") -> None:
        self._folder, self._who = folder, by_description(description, user())
        # The executor's thread tries again, the uplink's thread writes.
        self._lock = threading.Lock()
        self._trail: AuditTrail | None = None
        self._waiting: OcppConfig | None = None

    @property
    def failed_writes(self) -> int:
        """1 where the trail does not say yet with which settings the uplink runs."""
        return int(self._waiting is not None)

    def start(self, config: OcppConfig) -> None:
        """Write how the settings differ from what the trail says; where that fails, tick() tries again."""
        self._waiting = config
        self.tick()

    def tick(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._waiting is None:
                return
            try:
                self._opened().compare(STATION, facts(SECTION, self._waiting), (f"{SECTION}.",), self._who, present())
            except (ValueError, sqlite3.Error) as error:
                LOG.error("the audit trail cannot be written: %s", error)
            else:
                self._waiting = None

    def change(self, old: OcppConfig, new: OcppConfig) -> bool:
        """Write what the CSMS changes, before it holds; returns whether it may hold."""
        changed = news(facts(SECTION, old), facts(SECTION, new))
        if not changed:
            return True
        try:
            with self._lock:
                for name, value in changed.items():
                    self._opened().change(STATION, name, value, by_csms(old.url, old.charge_point_id), present())
        except (ValueError, sqlite3.Error) as error:
            LOG.error("%s is not changed, because the audit trail cannot be written: %s", ", ".join(changed), error)
            return False
        return True

    def _opened(self) -> AuditTrail:
        if self._trail is None:
            self._trail = AuditTrail(self._folder)
        return self._trail

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._trail is not None:
                self._trail.close()
                self._trail = None
