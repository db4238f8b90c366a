"""Whether each EVSE is in service, kept on disk by the uplink: a sequence that was restarted is told again that it is not (OCPP 1.6 section 5.2: persistent).

A running sequence is right: what it says is kept, whoever asked for it. One that was restarted says "in service", because it has forgotten; a state that comes
after a silence, or the first one that the uplink sees, is from such a one. Only "out of service" is told again: nobody is put back into service by a memory.
"""

import logging

from evse_core.types import ChargeState, SessionState
from evse_nodes.ocpp_settings import Settings

LOG = logging.getLogger("ocpp_uplink")

# Silence after which a sequence counts as restarted: a supervisor waits 1 s and Python needs more than 1 s; states come every second. [s]
SILENCE = 2.0
# How often a sequence that does not obey is told again. [s]
AGAIN = 2.0
OPERATIVE, INOPERATIVE = "Operative", "Inoperative"


class Availability:
    """One EVSE. Hand each session_state to `on_session`; true means: set_availability(False) is to be called."""

    def __init__(self, evse: int, settings: Settings) -> None:
        self._name, self._settings = f"availability.{evse}", settings
        self._available = settings.get(self._name) != INOPERATIVE
        self._restarted = True
        self._heard = self._asked = float("-inf")

    def on_session(self, session: SessionState, now: float) -> bool:
        """Take a state received at now [s]; returns whether its sequence has to be put out of service."""
        self._restarted = self._restarted or now - self._heard > SILENCE or session.state is ChargeState.INITIALISING
        self._heard = now
        if session.state <= ChargeState.INITIALISING:
            return False
        if self._restarted and session.available and not self._available:
            due = now - self._asked >= AGAIN
            self._asked = now if due else self._asked
            return due
        self._restarted = False
        if session.available is not self._available:
            self._available = session.available
            self._keep(session.available)
        return False

    def _keep(self, available: bool) -> None:
        """Write it down; what cannot be written holds until this process ends."""
        try:
            self._settings.keep(self._name, OPERATIVE if available else INOPERATIVE)
        except OSError:
            LOG.exception("%s cannot be kept", self._name)
