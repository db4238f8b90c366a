"""What a connector's state is called in OCPP 1.6: from the charging sequence and its faults to status, error code and info.

Theory of operation. The status of a connector follows the state of the sequence by one table. While a transaction runs, the current decides between Charging
and the two Suspended states: SuspendedEVSE while the station offers no energy or limits it to nothing, SuspendedEV while the vehicle takes none. A fault that
blocks makes the connector Faulted; a lesser one is only told as error code. A sequence or monitor that is silent is a fault, too: unknown means unsafe.
ALLOWED is the table of changes that the protocol knows (1.6 section 4.9). Where a connector makes one that is not in it, such as from Preparing to
Unavailable, `path` puts the statuses between, because some CSMS refuse what the table does not have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from evse_core.ocpp16_messages import INFO_LENGTH, Request
from evse_core.ocpp16_time import timestamp
from evse_core.sample import Sample
from evse_core.types import ChargeState, FaultEvent, MeterReading, Reaction, SafetyState, SessionState, StopCause


class Status(StrEnum):
    """ChargePointStatus (1.6 section 7.7)."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


_S = Status
# From → to (1.6 section 4.9, with Preparing → Finishing of the errata). Faulted leads back to any other.
ALLOWED: Final[Mapping[Status, frozenset[Status]]] = {
    _S.AVAILABLE: frozenset({_S.PREPARING, _S.CHARGING, _S.SUSPENDED_EV, _S.SUSPENDED_EVSE, _S.RESERVED, _S.UNAVAILABLE, _S.FAULTED}),
    _S.PREPARING: frozenset({_S.AVAILABLE, _S.CHARGING, _S.SUSPENDED_EV, _S.SUSPENDED_EVSE, _S.FINISHING, _S.FAULTED}),
    _S.CHARGING: frozenset({_S.AVAILABLE, _S.SUSPENDED_EV, _S.SUSPENDED_EVSE, _S.FINISHING, _S.UNAVAILABLE, _S.FAULTED}),
    _S.SUSPENDED_EV: frozenset({_S.AVAILABLE, _S.CHARGING, _S.SUSPENDED_EVSE, _S.FINISHING, _S.UNAVAILABLE, _S.FAULTED}),
    _S.SUSPENDED_EVSE: frozenset({_S.AVAILABLE, _S.CHARGING, _S.SUSPENDED_EV, _S.FINISHING, _S.UNAVAILABLE, _S.FAULTED}),
    _S.FINISHING: frozenset({_S.AVAILABLE, _S.PREPARING, _S.UNAVAILABLE, _S.FAULTED}),
    _S.RESERVED: frozenset({_S.AVAILABLE, _S.PREPARING, _S.UNAVAILABLE, _S.FAULTED}),
    _S.UNAVAILABLE: frozenset({_S.AVAILABLE, _S.PREPARING, _S.CHARGING, _S.SUSPENDED_EV, _S.SUSPENDED_EVSE, _S.FAULTED}),
    _S.FAULTED: frozenset(_S) - {_S.FAULTED},
}


def path(old: Status, new: Status) -> tuple[Status, ...]:
    """Return the statuses to be told after old so that every change is one of ALLOWED: new alone where that is, else the fewest on the way, and new."""
    ways: list[tuple[Status, ...]] = [(old,)]
    while ways:
        way = ways.pop(0)
        if new in ALLOWED[way[-1]]:
            return (*way[1:], new)
        # Nothing becomes Faulted on its way elsewhere, and a vehicle that begins to charge was there before.
        ways += [(*way, status) for status in (Status.PREPARING, *Status) if status in ALLOWED[way[-1]] - {Status.FAULTED}]
    raise AssertionError("every status can be reached from every other")


# Status outside a transaction, and inside one. In a transaction a station that does not offer energy yet is SuspendedEVSE, one that waits for the vehicle
# SuspendedEV (1.6 section 7.7); Finishing only begins when the transaction is over.
_OUTSIDE: Final[Mapping[ChargeState, Status]] = {
    ChargeState.UNKNOWN: _S.FAULTED,
    ChargeState.INITIALISING: _S.UNAVAILABLE,
    ChargeState.AVAILABLE: _S.AVAILABLE,
    ChargeState.UNAVAILABLE: _S.UNAVAILABLE,
    ChargeState.PREPARING: _S.PREPARING,
    ChargeState.AUTHORIZING: _S.PREPARING,
    ChargeState.AUTHORIZED: _S.PREPARING,
    ChargeState.WAITING_FOR_VEHICLE: _S.PREPARING,
    ChargeState.WAITING_FOR_PERMISSION: _S.PREPARING,
    ChargeState.LOCKING: _S.PREPARING,
    ChargeState.CABLE_CHECK: _S.PREPARING,
    ChargeState.LOWERING_OUTPUT: _S.PREPARING,
    ChargeState.PRECHARGE: _S.PREPARING,
    ChargeState.WAITING_FOR_CONTACTOR: _S.PREPARING,
    ChargeState.WAITING_FOR_REQUEST: _S.PREPARING,
    ChargeState.CHARGING: _S.PREPARING,
    ChargeState.RAMPING_DOWN: _S.FINISHING,
    ChargeState.WELDING_DETECTION: _S.FINISHING,
    ChargeState.CLOSING: _S.FINISHING,
    ChargeState.UNLOCKING: _S.FINISHING,
    ChargeState.FINISHED: _S.FINISHING,
    ChargeState.EMERGENCY: _S.FAULTED,
    ChargeState.FAULTED: _S.FAULTED,
    ChargeState.RECOVERING: _S.FINISHING,
}
_INSIDE: Final[Mapping[ChargeState, Status]] = {
    ChargeState.LOCKING: _S.SUSPENDED_EVSE,
    ChargeState.CABLE_CHECK: _S.SUSPENDED_EVSE,
    ChargeState.LOWERING_OUTPUT: _S.SUSPENDED_EVSE,
    ChargeState.PRECHARGE: _S.SUSPENDED_EVSE,
    ChargeState.WAITING_FOR_CONTACTOR: _S.SUSPENDED_EV,
    ChargeState.WAITING_FOR_REQUEST: _S.SUSPENDED_EV,
    ChargeState.CHARGING: _S.CHARGING,
    ChargeState.RAMPING_DOWN: _S.CHARGING,
    ChargeState.WELDING_DETECTION: _S.SUSPENDED_EVSE,
    ChargeState.CLOSING: _S.SUSPENDED_EVSE,
    ChargeState.UNLOCKING: _S.SUSPENDED_EVSE,
    ChargeState.RECOVERING: _S.SUSPENDED_EVSE,
}

# ChargePointErrorCode (1.6 section 7.6).
ERROR_CODES: Final = frozenset(
    {
        "ConnectorLockFailure",
        "EVCommunicationError",
        "GroundFailure",
        "HighTemperature",
        "InternalError",
        "LocalListConflict",
        "NoError",
        "OtherError",
        "OverCurrentFailure",
        "OverVoltage",
        "PowerMeterFailure",
        "PowerSwitchFailure",
        "ReaderFailure",
        "ResetFailure",
        "UnderVoltage",
        "WeakSignal",
    }
)
# EVCommunicationError is a warning and goes with these only (1.6 section 7.6).
_COMMUNICATION_WARNING: Final = frozenset({_S.PREPARING, _S.SUSPENDED_EV, _S.SUSPENDED_EVSE, _S.FINISHING})

# Silence after which a sequence (10 Hz) or a monitor (20 Hz) counts as dead; a restart of a node takes about 2 s. [s]
SILENCE: Final = 3.0
# Time from the first look that the nodes of a starting station get before their silence is a fault. [s]
STARTING: Final = 15.0
# Current below which no energy flows: one step of CHAdeMO's current resolution. [A]
NO_CURRENT: Final = 1.0
# How long no current must flow before a vehicle counts as suspended; a ramp from 0 A takes 1 to 2 s. [s]
SUSPENDED_AFTER: Final = 5.0
# How long a fault whose cause is not known yet is held back: state, permit and fault event come on three topics, within some 0.1 s of each other. [s]
CAUSE_WAIT: Final = 0.5
# What is told where the vehicle was unplugged at its own side (1.6 errata).
UNPLUGGED_INFO: Final = "EV side disconnected"
_SESSION_INDEPENDENT: Final = frozenset({ChargeState.EMERGENCY, ChargeState.FAULTED, ChargeState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """What a StatusNotification says about one connector."""

    status: Status
    error_code: str = "NoError"
    info: str = ""
    vendor_error_code: str = ""

    def same(self, other: "ConnectorStatus | None") -> bool:
        """Return whether other says the same; words in info may change without being news."""
        return other is not None and replace(self, info="") == replace(other, info="")


@dataclass(frozen=True, slots=True)
class StatusInputs:
    """The newest values of one EVSE; faults by identifier, as last raised."""

    session: Sample[SessionState] | None
    safety: Sample[SafetyState] | None
    meter: Sample[MeterReading] | None
    faults: Mapping[str, FaultEvent]
    reserved: bool = False


class StatusRule:
    """Decides the status of one connector, and when a change of it is old enough to be reported."""

    def __init__(self, minimum_duration: float = 0.0) -> None:
        self.minimum_duration = minimum_duration
        self.reported: ConnectorStatus | None = None
        self._candidate: tuple[ConnectorStatus, float] | None = None
        self._first: float | None = None
        self._no_current_since: float | None = None

    def step(self, inputs: StatusInputs, now: float) -> ConnectorStatus | None:
        """Return the status that is to be reported now, None where nothing is new or the station's nodes have still to be heard."""
        status = self.status(inputs, now)
        if self._starting(inputs, now):
            return None
        if self._candidate is None or not status.same(self._candidate[0]):
            self._candidate = (status, now)
        held = now - self._candidate[1]
        nameless = status.status == Status.FAULTED and status.error_code == "OtherError"
        wait = max(self.minimum_duration, CAUSE_WAIT if nameless else 0.0)
        if status.same(self.reported) or (self.reported is not None and held < wait):
            return None
        self.reported = status
        return status

    def status(self, inputs: StatusInputs, now: float) -> ConnectorStatus:
        """Return the status as it is."""
        self._first = now if self._first is None else self._first
        if (silent := self._silent(inputs, now)) is not None:
            return silent
        assert inputs.session is not None
        assert inputs.safety is not None
        session, safety = inputs.session.value, inputs.safety.value
        status = self._of_sequence(session, inputs.meter, now)
        if status == Status.AVAILABLE and inputs.reserved:
            status = Status.RESERVED
        if _blocks(safety.reaction, session):
            status = Status.FAULTED
        return _with_fault(status, session, safety, inputs.faults)

    def _silent(self, inputs: StatusInputs, now: float) -> ConnectorStatus | None:
        """Return the status of a connector whose sequence or monitor says nothing: Unavailable while it starts, then Faulted."""
        for name, sample in (("charge_sequencer", inputs.session), ("safety_monitor", inputs.safety)):
            if sample is None and self._starting(inputs, now):
                return ConnectorStatus(Status.UNAVAILABLE)
            if sample is None or sample.age(now) > SILENCE:
                return ConnectorStatus(Status.FAULTED, "InternalError", f"{name} is silent")
        return None

    def _starting(self, inputs: StatusInputs, now: float) -> bool:
        early = self._first is not None and now - self._first < STARTING
        return early and (inputs.session is None or inputs.safety is None)

    def _of_sequence(self, session: SessionState, meter: Sample[MeterReading] | None, now: float) -> Status:
        if session.state not in _SESSION_INDEPENDENT and session.transaction_active:
            return self._of_transaction(session, meter, now)
        self._no_current_since = None
        status = _OUTSIDE[session.state]
        return Status.UNAVAILABLE if status == Status.AVAILABLE and not session.available else status

    def _of_transaction(self, session: SessionState, meter: Sample[MeterReading] | None, now: float) -> Status:
        status = _INSIDE.get(session.state, _OUTSIDE[session.state])
        if session.limited and status == Status.SUSPENDED_EV:
            status = Status.SUSPENDED_EVSE
        flows = meter is None or meter.age(now) > SILENCE or not abs(meter.value.current) < NO_CURRENT
        if session.state != ChargeState.CHARGING or flows:
            self._no_current_since = None
            return status
        self._no_current_since = now if self._no_current_since is None else self._no_current_since
        if now - self._no_current_since < SUSPENDED_AFTER:
            return status
        return Status.SUSPENDED_EVSE if session.limited else Status.SUSPENDED_EV


def _blocks(reaction: Reaction, session: SessionState) -> bool:
    """Return whether a reaction makes the connector Faulted; one that only bars new sessions does not touch a running one."""
    if reaction in (Reaction.EMERGENCY, Reaction.STOP):
        return True
    return reaction == Reaction.BLOCK and not session.session_active


def _with_fault(status: Status, session: SessionState, safety: SafetyState, faults: Mapping[str, FaultEvent]) -> ConnectorStatus:
    name = safety.first_fault or (safety.faults[0] if safety.faults else "")
    if not name and status == Status.FAULTED:
        return ConnectorStatus(status, "OtherError", session.stop_detail[:INFO_LENGTH])
    if not name:
        unplugged = status in (Status.FINISHING, Status.SUSPENDED_EV) and session.stop_cause is StopCause.UNPLUGGED
        return ConnectorStatus(status, info=UNPLUGGED_INFO if unplugged else "")
    event = faults.get(name, FaultEvent(fault=name))
    code = event.ocpp16_error if event.ocpp16_error in ERROR_CODES else "OtherError"
    if code == "EVCommunicationError" and status not in _COMMUNICATION_WARNING:
        code = "OtherError"
    if code == "NoError":
        code = "OtherError" if status == Status.FAULTED else "NoError"
    info = f"{name}: {event.detail}" if event.detail else name
    return ConnectorStatus(status, code, info[:INFO_LENGTH], (event.mrec_code or name)[:INFO_LENGTH])


def station_status(connectors: Iterable[ConnectorStatus]) -> ConnectorStatus:
    """Return the status of connector 0: Unavailable or Faulted only where every connector is (1.6 section 4.9 leaves the relation open)."""
    found = {item.status for item in connectors}
    if found == {Status.FAULTED}:
        return ConnectorStatus(Status.FAULTED, "OtherError", "all connectors are faulted")
    if found and found <= {Status.UNAVAILABLE, Status.FAULTED}:
        return ConnectorStatus(Status.UNAVAILABLE)
    return ConnectorStatus(Status.AVAILABLE)


def status_notification(connector: int, status: ConnectorStatus, stamp: float) -> Request:
    """Return the StatusNotification of a connector, 0 for the station, as it was at stamp [s]."""
    payload = {
        "connectorId": connector,
        "status": str(status.status),
        "errorCode": status.error_code,
        "info": status.info,
        "timestamp": timestamp(stamp),
        "vendorErrorCode": status.vendor_error_code,
    }
    return Request("StatusNotification", {key: value for key, value in payload.items() if value != ""})
