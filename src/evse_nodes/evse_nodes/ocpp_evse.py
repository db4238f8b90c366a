"""What the uplink knows of one EVSE."""

import time
from dataclasses import dataclass, field
from math import nan

from evse_core.ocpp16_requests import Connector
from evse_core.ocpp16_status import StatusInputs, StatusRule
from evse_core.sample import Sample, fresh
from evse_core.types import FaultEvent, MeterReading, SafetyState, SessionState
from evse_nodes.ocpp_availability import Availability

# Age up to which the state of charge of a session is told. [s]
_SOC_AGE = 5.0


@dataclass
class EvseState:
    """The newest values of one EVSE, the token for which a verdict was given, the session whose power was taken away, and one that may go on to an energy.

    begin is the session of the last record that was opened, with its register [Wh].
    """

    status: StatusRule
    availability: Availability
    session: Sample[SessionState] | None = None
    safety: Sample[SafetyState] | None = None
    meter: Sample[MeterReading] | None = None
    faults: dict[str, FaultEvent] = field(default_factory=dict)
    asked: str = ""
    without_power: str = ""
    refused: str = ""
    begin: tuple[str, float] = ("", nan)
    reserved: bool = False

    def inputs(self) -> StatusInputs:
        """Return what its status follows from."""
        return StatusInputs(self.session, self.safety, self.meter, self.faults, self.reserved)

    def connector(self) -> Connector:
        """Return what a decision on a call of the CSMS needs to know."""
        status = self.status.status(self.inputs(), time.monotonic())
        session = self.session.value if self.session is not None else SessionState()
        return Connector(status.status, session.session_active, session.available)

    def refuse(self, session_id: str, most_wh: float) -> None:
        """Take the power from a session, once it has had an energy counted from its begin; at once where that is not known."""
        self.refused = session_id
        self.look_at_energy(most_wh)

    def look_at_energy(self, most_wh: float) -> None:
        """Take the power from a refused session that has had its energy."""
        if not self.refused:
            return
        begun, register = self.begin
        had = self.meter.value.register_wh - register if self.meter is not None and begun == self.refused else nan
        if not had < most_wh:
            self.without_power, self.refused = self.refused, ""

    @property
    def session_active(self) -> bool:
        """Whether a session is open, as its sequence said last."""
        return self.session is not None and self.session.value.session_active

    @property
    def soc(self) -> float:
        """The vehicle's state of charge [%], NaN where it is not known now."""
        session = fresh(self.session, time.monotonic(), _SOC_AGE)
        return session.soc_percent if session is not None else nan
