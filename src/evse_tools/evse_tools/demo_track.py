"""What a demo saw of one EVSE: the story of its session, collected value by value. Times are stamps of the ROS clock [s]."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from math import inf, isfinite, nan
from typing import Any

from evse_core.control_pilot import current_of
from evse_core.types import (
    ChargeRecord,
    ChargeState,
    FaultEvent,
    IoReport,
    MeterReading,
    PilotState,
    PowerReport,
    Reaction,
    RecordStatus,
    SafetyState,
    SessionPrice,
    SessionState,
    SimPower,
    SimVehicleLines,
    Transaction,
)
from evse_core.vehicle_link import CHADEMO, PILOT

# Current that counts as none: an emergency end must get below it (../shared/reference/can.md 4). [A]
NO_CURRENT = 5.0
# States of a control pilot with a vehicle at its other end.
_AT_PILOT = frozenset({PilotState.B, PilotState.C, PilotState.D})


@dataclass
class Curves:
    """Lines of the chart, one entry per power report."""

    time: list[float] = field(default_factory=list)
    voltage: list[float] = field(default_factory=list)
    current: list[float] = field(default_factory=list)
    soc_percent: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PilotSample:
    """What a board report says of a control pilot: state, offered current [A], current of each phase [A], NaN where not measured."""

    time: float
    state: PilotState
    offered: float
    drawn: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PilotSpan:
    """A time in which state and offer stayed: when it began, and the most that was drawn from each phase [A]."""

    begin: float
    state: PilotState
    offered: float
    drawn: tuple[float, ...]


@dataclass
class Track:
    """One EVSE. `take` each value that arrives, in order; everything else is for reading."""

    evse: int
    session: SessionState = field(default_factory=SessionState)
    meter: MeterReading = field(default_factory=MeterReading)
    safety: SafetyState = field(default_factory=SafetyState)
    io: IoReport = field(default_factory=IoReport)
    vehicle: SimVehicleLines = field(default_factory=SimVehicleLines)
    transaction: Transaction = field(default_factory=Transaction)
    records: dict[str, ChargeRecord] = field(default_factory=dict)
    states: list[tuple[ChargeState, float]] = field(default_factory=list)
    steps: list[tuple[int, float]] = field(default_factory=list)
    faults: list[FaultEvent] = field(default_factory=list)
    permits: list[tuple[bool, float]] = field(default_factory=list)
    currents: list[tuple[float, float]] = field(default_factory=list)
    curves: Curves = field(default_factory=Curves)
    pilot: list[PilotSample] = field(default_factory=list)
    session_id: str = ""
    begin: float = nan
    end: float = nan
    vehicle_energy_wh: float = nan
    vehicle_given_wh: float = nan
    link: str = CHADEMO
    price: SessionPrice = field(default_factory=SessionPrice)

    def take(self, value: Any) -> None:
        """Learn from one value of evse_core.types; others than those named in _TAKE are ignored."""
        handler = _TAKE.get(type(value))
        if handler is not None:
            handler(self, value)

    @property
    def is_up(self) -> bool:
        """Sequencer, safety monitor and meter of this EVSE report."""
        return self.session.state > ChargeState.INITIALISING and self.safety.reaction is not Reaction.UNKNOWN and self.meter.stamp > 0.0

    @property
    def is_over(self) -> bool:
        """The session has been and is no more."""
        return isfinite(self.end)

    @property
    def has_ended(self) -> bool:
        """The session is over, or it stays open only because its connector has to stay locked."""
        return self.is_over or (bool(self.session_id) and self.session.state is ChargeState.FAULTED and not self.session.transaction_active)

    @property
    def record(self) -> ChargeRecord | None:
        """The billing record of the session once it is closed, else None."""
        record = self.records.get(self.session_id)
        return record if record is not None and record.status in {RecordStatus.CLOSED, RecordStatus.INTERRUPTED} else None

    @property
    def end_state(self) -> ChargeState:
        """The state in which the session ended; the present one while it has not."""
        return next((state for state, time in self.states if time >= self.end), self.session.state)

    @property
    def is_billed(self) -> bool:
        """The CSMS has confirmed the end of the session's transaction."""
        return bool(self.session_id) and self.transaction.session_id == self.session_id and self.transaction.stop_confirmed

    @property
    def is_charging(self) -> bool:
        """Power flows to the vehicle."""
        return self.session.state is ChargeState.CHARGING

    def entered(self, state: ChargeState) -> float:
        """Return when the session entered a state first; NaN if never."""
        return next((time for found, time in self.states if found is state and not time < self.begin), nan)

    def relative(self, time: float) -> float:
        """Return a time since the session's start [s]."""
        return time - self.begin

    def session_states(self) -> Iterator[tuple[ChargeState, float]]:
        """Yield the states from the session's start on, with times since then."""
        return ((state, self.relative(time)) for state, time in self.states if time >= self.begin)

    def session_steps(self) -> Iterator[tuple[int, float]]:
        """Yield the steps that the session reached, with times since its start."""
        return ((step, self.relative(time)) for step, time in self.steps)

    def permit_at(self, time: float) -> bool:
        """Tell whether power was permitted at a time."""
        return next((permit for permit, since in reversed(self.permits) if since <= time), False)

    def power_off_after(self, time: float) -> float:
        """Return how long after `time` the current was gone for good [s]; NaN where it flowed on or was never seen."""
        if not self.currents or self.currents[-1][1] < time or abs(self.currents[-1][0]) > NO_CURRENT:
            return nan
        flowing = [number for number, (current, _) in enumerate(self.currents) if abs(current) > NO_CURRENT]
        return max(self.currents[flowing[-1] + 1][1] - time, 0.0) if flowing else 0.0

    def pilot_spans(self) -> Iterator[PilotSpan]:
        """Yield what the control pilot showed in turn since the plug was in."""
        plugged = [sample for sample in self.pilot if sample.state in _AT_PILOT]
        first = plugged[0].time if plugged else inf
        for (state, offered), group in groupby(
            (sample for sample in self.pilot if sample.time >= first), lambda one: (one.state, one.offered)
        ):
            found = list(group)
            drawn = (
                max((value for value in values if isfinite(value)), default=nan)
                for values in zip(*(one.drawn for one in found), strict=True)
            )
            yield PilotSpan(found[0].time, state, offered, tuple(drawn))

    def _take_session(self, value: SessionState) -> None:
        if not self.states or self.states[-1][0] is not value.state:
            self.states.append((value.state, value.stamp))
        if value.session_active and not self.session_id:
            self.session_id, self.begin = value.session_id, value.stamp
        if self.session_id and value.session_id == self.session_id:
            self._take_own_session(value)
        self.session = value

    def _take_own_session(self, value: SessionState) -> None:
        """Learn from the session of this demo; a state that skips steps has passed them."""
        last = self.steps[-1][0] if self.steps else 0
        if value.session_active:
            self.steps += [(step, value.stamp) for step in range(last + 1, value.step + 1)]
        if not value.session_active and not self.is_over:
            self.end = value.stamp

    def _take_meter(self, value: MeterReading) -> None:
        self.meter = value

    def _take_safety(self, value: SafetyState) -> None:
        if not self.permits or self.permits[-1][0] != value.permit:
            self.permits.append((value.permit, value.stamp))
        self.safety = value

    def _take_power(self, value: PowerReport) -> None:
        known = value.complete and value.age < 1.0
        self.curves.time.append(value.stamp)
        self.curves.voltage.append(value.voltage if known else nan)
        self.curves.current.append(value.current if known else nan)
        # What the vehicle reports has whole percents; its battery knows better.
        self.curves.soc_percent.append(self.vehicle.soc_percent if self.vehicle.plugged else nan)

    def _take_vehicle(self, value: SimVehicleLines) -> None:
        self.vehicle = value
        if self.link == PILOT:
            self.currents.append((value.ac_current * value.ac_phases if value.ac_phases else 0.0, value.stamp))
        if self.session_id and value.plugged:
            self.vehicle_energy_wh, self.vehicle_given_wh = value.energy_wh, value.given_wh

    def _take_record(self, value: ChargeRecord) -> None:
        self.records[value.session_id] = value

    def _take_price(self, value: SessionPrice) -> None:
        self.price = value

    def _take_io(self, value: IoReport) -> None:
        self.io = value
        if self.link == PILOT:
            offered = round(current_of(value.ac.pilot_duty_percent), 1) if isfinite(value.ac.pilot_duty_percent) else 0.0
            drawn = (value.ac_current_l1, value.ac_current_l2, value.ac_current_l3)
            self.pilot.append(PilotSample(value.stamp, value.ac.pilot_state, offered, drawn))

    def _take_transaction(self, value: Transaction) -> None:
        self.transaction = value

    def _take_fault(self, value: FaultEvent) -> None:
        self.faults.append(value)

    def _take_current(self, value: SimPower) -> None:
        self.currents.append((value.current, value.stamp))


_TAKE: dict[type[Any], Any] = {
    SessionState: Track._take_session,
    MeterReading: Track._take_meter,
    SafetyState: Track._take_safety,
    PowerReport: Track._take_power,
    SimVehicleLines: Track._take_vehicle,
    ChargeRecord: Track._take_record,
    SessionPrice: Track._take_price,
    Transaction: Track._take_transaction,
    FaultEvent: Track._take_fault,
    SimPower: Track._take_current,
    IoReport: Track._take_io,
}
# The types that a track wants to see.
WANTED = tuple(_TAKE)
