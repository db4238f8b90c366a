"""The readings of a session: what is on record besides begin and end, why each was taken, and what the time of a session counts as.

Theory of operation. A reading has two registers of energy and two of time. Charging time runs while energy flows to the vehicle. Idle time runs while
the vehicle takes nothing though it could: session_state is CHARGING or WAITING_FOR_REQUEST, the station does not limit (`limited`), and the meter says that
no current flows. All other time (locking, tests, ramps, a station that limits to nothing, a meter or a sequence that is not heard, energy from the vehicle)
costs the driver nothing. Times are counted on the monotonic clock, in steps of at most `max_gap`: a clock that is set does not cost anybody anything, and
what this process did not see is free.

Marks (can.md 7.1): B and an end letter frame the session. T is taken when other unit prices hold, S when no energy has flowed for PAUSE_TIME, C when it
flows again, X when the meter was not heard for a while, or this process was away. They are apart by READING_SPACING at least, so that something
that flutters cannot fill the disk: new prices wait for it, so at most one T a minute is taken, and of S, C and X only the first MOST_EVENTS are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import floor, inf

from evse_core.energy_meter import Reading, whole_wh
from evse_core.ocmf import Mark
from evse_core.tariff import NO_CREDIT, Phase, Tariff, simple
from evse_core.types import ChargeRecord, ChargeState, RecordStatus, SessionState, StopCause

# Below this no energy worth a name flows: 0.3 Wh a second at 1000 V. [A]
NO_CURRENT = 1.0
# Oldest session_state that still speaks for the present: ten periods (msg/SessionState.msg: 10 Hz). [s]
SESSION_AGE = 1.0
# Most S, C and X readings of a session. Own choice: with 60 s between them 100 minutes of flutter, with 200 B each no load for a disk. [1]
MOST_EVENTS = 100
_EVENTS = frozenset({Mark.SUSPENDED, Mark.CHARGING, Mark.ERROR})
# Energy that does not flow for so long has stopped to flow. Own choice: longer than a precharge or a change of phases takes. [s]
PAUSE_TIME = 10.0
# Least time between two readings of a session, T apart from the others. Own choice: windows of a tariff have minutes. [s]
READING_SPACING = 60.0
# States in which the vehicle decides whether energy flows.
VEHICLES_TURN = frozenset({ChargeState.CHARGING, ChargeState.WAITING_FOR_REQUEST})

_END_MARKS = {
    StopCause.LOCAL: Mark.LOCAL_STOP,
    StopCause.REMOTE: Mark.REMOTE_STOP,
    StopCause.UNLOCK: Mark.REMOTE_STOP,
    StopCause.DEAUTHORIZED: Mark.REMOTE_STOP,
    StopCause.UNAVAILABLE: Mark.REMOTE_STOP,
    StopCause.VEHICLE: Mark.END,
    StopCause.TIME_LIMIT: Mark.END,
    StopCause.ENERGY_LIMIT: Mark.END,
    StopCause.UNPLUGGED: Mark.END,
    StopCause.SHUTDOWN: Mark.END,
    StopCause.RESTART: Mark.POWER_FAILURE,
}


@dataclass(frozen=True, slots=True)
class Times:
    """Time of a session in which energy flowed to the vehicle, and in which the vehicle took nothing though it could [s]."""

    charging: float = 0.0
    idle: float = 0.0


NO_TIMES = Times()


@dataclass(frozen=True, slots=True)
class SessionReading:
    """One reading: its number in the session from 0, ROS time [s], registers [Wh], times of the session [s], and the unit prices that hold from here on.

    `phase` is a Phase as text; `tariff` the whole tariff as text where one begins to hold, else "".
    """

    number: int
    mark: Mark
    stamp: float
    register_wh: float
    export_register_wh: float
    charging_time: float
    idle_time: float
    phase: str
    tariff: str = ""


class Activity(Enum):
    """What time counts as now."""

    CHARGING = "charging"
    GIVING = "giving"
    IDLE = "idle"
    NEITHER = "neither"


# Energy flows, to the vehicle or from it.
FLOWING = frozenset({Activity.CHARGING, Activity.GIVING})


def activity(session: SessionState | None, age: float, reading: Reading | None) -> Activity:
    """Return what the present counts as; age of the session_state [s], reading None where the meter is not heard."""
    if session is None or age > SESSION_AGE or reading is None:
        return Activity.NEITHER
    if abs(reading.current) >= NO_CURRENT:
        return Activity.CHARGING if reading.current > 0.0 else Activity.GIVING
    return Activity.IDLE if session.state in VEHICLES_TURN and not session.limited else Activity.NEITHER


def mark_of(record: ChargeRecord) -> Mark:
    """Return why the end reading of a record was taken; what nobody ended in order is an abort."""
    if record.status is RecordStatus.INTERRUPTED:
        return Mark.POWER_FAILURE
    return _END_MARKS.get(record.stop_cause, Mark.ABORT)


def tariff_of(record: ChargeRecord) -> Tariff:
    """Return the tariff that a record began with; ValueError where what it keeps is none."""
    return Tariff.parse(record.tariff) if record.tariff else simple(record.currency, record.price_per_kwh, record.export_price_per_kwh)


def begin_reading(record: ChargeRecord, phase: str = "") -> SessionReading:
    """Return the begin of a record; without a phase the prices of energy that the record itself has, as before ledger version 5."""
    if not phase:
        phase = Phase(price_per_kwh=record.price_per_kwh or "0", export_price_per_kwh=record.export_price_per_kwh or NO_CREDIT).text()
    return SessionReading(
        0, Mark.BEGIN, record.begin, record.begin_register_wh, record.begin_export_register_wh, 0.0, 0.0, phase, record.tariff
    )


def end_reading(record: ChargeRecord, readings: Sequence[SessionReading]) -> SessionReading:
    """Return the end of a record that follows its readings."""
    return SessionReading(
        readings[-1].number + 1,
        mark_of(record),
        record.end,
        record.end_register_wh,
        record.end_export_register_wh,
        record.charging_time,
        record.idle_time,
        readings[-1].phase,
    )


def complete(record: ChargeRecord, readings: Sequence[SessionReading]) -> tuple[SessionReading, ...]:
    """Return the readings of a record with what older ledgers have no rows for: begin, and end where it has ended."""
    found = tuple(readings) or (begin_reading(record),)
    over = record.status is not RecordStatus.OPEN
    return (*found, end_reading(record, found)) if over and len(found) == 1 else found


def whole_seconds(time: float) -> int:
    """Return a time of a session in whole seconds, those that are over."""
    return floor(time)


def export_flowed(readings: Sequence[SessionReading]) -> bool:
    """Return whether the vehicle gave energy, to the resolution of receipts."""
    return whole_wh(readings[-1].export_register_wh) > whole_wh(readings[0].export_register_wh)


@dataclass(slots=True)
class SessionTimes:
    """Counts the time of a session. max_gap: longest step that counts [s]."""

    max_gap: float
    times: Times = NO_TIMES
    _last: float | None = None
    _was: Activity = Activity.NEITHER

    def count(self, found: Activity, now: float) -> None:
        """Add the time since the last call to what it was then; now is monotonic [s]."""
        step = now - self._last if self._last is not None else 0.0
        if 0.0 < step <= self.max_gap:
            if self._was is Activity.CHARGING:
                self.times = replace(self.times, charging=self.times.charging + step)
            elif self._was is Activity.IDLE:
                self.times = replace(self.times, idle=self.times.idle + step)
        self._last, self._was = now, found


class ReadingsWatch:
    """Says which reading is due. Begins with the readings that there are; `flowed`: energy has flowed in the session. Times are monotonic [s]."""

    def __init__(self, readings: Sequence[SessionReading], flowed: bool = False) -> None:
        marks = [reading.mark for reading in readings]
        self._events = sum(mark in _EVENTS for mark in marks)
        self._suspended = [mark for mark in marks if mark in {Mark.SUSPENDED, Mark.CHARGING}][-1:] == [Mark.SUSPENDED]
        self._flowed, self._disturbed = flowed, False
        # When energy flowed last, or this watch began.
        self._flowed_at: float | None = None
        self._event_at = self._tariff_at = -inf

    def disturb(self) -> None:
        """Note an error that does not end the session."""
        self._disturbed = True

    def due(self, found: Activity, heard: bool, other_prices: bool, now: float) -> Mark | None:
        """Take what the present is and return the mark of the reading that it asks for, None where it asks for none; heard: the meter speaks."""
        self._flowed = self._flowed or found in FLOWING
        if found in FLOWING or self._flowed_at is None:
            self._flowed_at = now
        self._disturbed = self._disturbed or (self._flowed and not heard)
        if other_prices and now - self._tariff_at >= READING_SPACING:
            return Mark.TARIFF_CHANGE
        if self._events >= MOST_EVENTS or now - self._event_at < READING_SPACING:
            return None
        if self._disturbed and heard:
            return Mark.ERROR
        if self._suspended:
            return Mark.CHARGING if found in FLOWING else None
        return Mark.SUSPENDED if self._flowed and now - self._flowed_at >= PAUSE_TIME else None

    def taken(self, mark: Mark, now: float) -> None:
        """Note that a reading is on disk."""
        if mark is Mark.TARIFF_CHANGE:
            self._tariff_at = now
            return
        self._events, self._event_at = self._events + 1, now
        if mark is Mark.ERROR:
            self._disturbed = False
        else:
            self._suspended = mark is Mark.SUSPENDED
