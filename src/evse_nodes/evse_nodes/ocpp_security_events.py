"""Security events of the uplink: into the security log, and those that matter to the CSMS, in order, until it has answered. Rules:
evse_core/ocpp16_security_events.py."""

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_security_events import TOLD, Repeats, SecurityEvent, notification
from evse_nodes.ocpp_link import Job
from evse_nodes.security_log import Entry, SecurityLog

LOG = logging.getLogger("ocpp_uplink")

# Codes by which a CSMS without the security extension refuses: it is not asked again on this connection.
_UNKNOWN_THERE = ("NotImplemented", "NotSupported")


class SecurityEvents:
    """The source of SecurityEventNotifications. `config` returns the settings that hold now."""

    def __init__(self, log: SecurityLog, config: Callable[[], OcppConfig]) -> None:
        self.log = log
        self._config = config
        self._repeats = Repeats()
        self._not_before = 0.0
        self._waiting = log.first_waiting()
        self._unwanted = False

    def note(self, event: SecurityEvent, tech_info: str = "") -> None:
        """Write an event down; from the uplink's thread."""
        if self._repeats.is_one(event, tech_info, time.monotonic()):
            return
        LOG.warning("security event %s %s", event, tech_info)
        config = self._config()
        try:
            self.log.add(event, time.time(), tech_info, waiting=event in TOLD and config.security_events and config.url != "")
            self._waiting = self._waiting or self.log.first_waiting()
        except sqlite3.Error:
            LOG.exception("the security log cannot be written")

    def on_connected(self) -> None:
        """Begin anew: this may be another CSMS."""
        self._not_before, self._unwanted = 0.0, False

    def next(self, now: float) -> Job | None:
        """Return the oldest event that was not heard."""
        entry = self._waiting
        if entry is None or self._unwanted or now < self._not_before:
            return None
        return Job(
            notification(entry.type, entry.at, entry.tech_info),
            lambda payload: self._heard(entry, payload),
            self._refused,
            self._wait,
        )

    def wake_at(self, now: float) -> float | None:
        """Return when a refused event is tried again."""
        return self._not_before if self._waiting is not None and not self._unwanted and now < self._not_before else None

    def _heard(self, entry: Entry, _: dict[str, Any]) -> None:
        self.log.heard(entry.number)
        self._waiting = self.log.first_waiting()

    def _refused(self, reason: str) -> None:
        self._unwanted = reason.startswith(_UNKNOWN_THERE)
        if self._unwanted:
            LOG.warning("the CSMS takes no security events: %s", reason)
        self._wait()

    def _wait(self) -> None:
        self._not_before = time.monotonic() + max(1.0, self._config().transaction_message_retry_interval)
