"""The story of each session of one EVSE, told value by value: what its topics say from the arrival of a driver to his leaving.

Theory of operation. A story begins when the connector leaves AVAILABLE and ends when it is back there, or in UNAVAILABLE, or when another session begins.
Values come in the order of their receipt; those of the types in _TAKE count, all others are passed over. Times are those of the ROS clock [s]: the stamp of a
value, else its receipt. What is not known is NaN in a curve: nothing is interpolated over a silence. The same values give the same story, be they from a
recording or a running graph.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from typing import Any

from evse_core.control_pilot import current_of
from evse_core.parameter import parameter
from evse_core.types import (
    Authorization,
    ChargeRecord,
    ChargeState,
    ChargingLimit,
    FaultEvent,
    IoReport,
    Party,
    PowerBudget,
    PowerCommand,
    PowerReport,
    Reaction,
    SafetyState,
    SessionOutcome,
    SessionState,
    StopCause,
    Transaction,
    UplinkState,
    VehicleReport,
)

# A report whose frames are older tells nothing of the present. [s]
FRESH = 1.0
# Frames come every 100 ms (can.md 1.3, 2.2) or oftener: three missed ones are a gap. [s]
GAP = 0.35


@dataclass(frozen=True, slots=True)
class ReporterConfig:
    """What session_reporter tells."""

    gap: float = parameter(
        GAP, "s", "Silence of a part on CAN that counts as a gap", "own: three frames of 100 ms (can.md 1.3, 2.2)", 0.1, 10.0
    )


# States without a driver.
ALONE = frozenset({ChargeState.UNKNOWN, ChargeState.INITIALISING, ChargeState.AVAILABLE, ChargeState.UNAVAILABLE})


@dataclass
class Curve:
    """A quantity over time; NaN where it is not known."""

    time: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def add(self, time: float, value: float) -> None:
        """Add a point."""
        self.time.append(time)
        self.value.append(value)

    @property
    def top(self) -> float:
        """The highest value; NaN where none is known."""
        return max((value for value in self.value if isfinite(value)), default=nan)

    def first_and_last(self) -> tuple[float, float]:
        """Return the first and the last value that are known; NaN without one."""
        known = [value for value in self.value if isfinite(value)]
        return (known[0], known[-1]) if known else (nan, nan)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened: when, of what kind (fault, warning, permit, back_end, driver), in words. `end`: until when it lasted, NaN for a moment."""

    time: float
    kind: str
    words: str
    detail: str = ""
    end: float = nan


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without frames of a part: vehicle, power modules or I/O board [s]."""

    part: str
    begin: float
    end: float

    @property
    def length(self) -> float:
        """How long it lasted [s]."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Judgement:
    """Why a session ended, said by an authority besides our own sequencer: of a CAN log the verdict on its frames. cause: its name there.

    energy_wh, max_power [W]: by the charger's own readings, NaN where there are none; no billing record stands behind them.
    """

    outcome: SessionOutcome
    ended_by: Party
    stop_cause: StopCause
    cause: str
    explanation: str
    check: str
    energy_wh: float = nan
    max_power: float = nan


# The curves of a story with their units.
UNITS = {
    "voltage": "V",
    "target_voltage": "V",
    "current": "A",
    "current_request": "A",
    "current_command": "A",
    "offered_current": "A",
    "soc_percent": "%",
    "budget": "W",
    "connector_temperature": "degC",
    "module_temperature": "degC",
}


@dataclass
class Story:
    """One stay of a driver. Times in s of the ROS clock, curves by the names of UNITS."""

    evse: int
    begin: float
    end: float = nan
    link: str = ""
    session_id: str = ""
    states: list[tuple[ChargeState, float]] = field(default_factory=list)
    steps: list[tuple[int, float]] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=lambda: {name: Curve() for name in UNITS})
    faults: list[FaultEvent] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    record: ChargeRecord | None = None
    transaction_id: int = 0
    # The last word of the session while it was there.
    last: SessionState = field(default_factory=SessionState)
    first_fault: str = ""
    # Whether the story's begin and end were seen: a recording may begin or end in the middle.
    whole: bool = True
    # Where somebody else than our sequencer says why it ended, and what of its states was not seen but inferred.
    judgement: Judgement | None = None
    inferred: tuple[str, ...] = ()

    def spans(self) -> Iterator[tuple[ChargeState, float, float]]:
        """Yield each state with its begin and end [s]."""
        ends = [time for _, time in self.states[1:]] + [self.end]
        for (state, begin), end in zip(self.states, ends, strict=True):
            yield state, begin, end

    def time_in(self, state: ChargeState) -> float:
        """Return how long the session was in a state [s]."""
        return sum(end - begin for found, begin, end in self.spans() if found is state)

    def fault_spans(self) -> Iterator[tuple[FaultEvent, float]]:
        """Yield each fault that was raised with the time at which it was cleared [s], the end of the story where it was not."""
        for number, event in enumerate(self.faults):
            if event.active:
                cleared = (later.stamp for later in self.faults[number + 1 :] if later.fault == event.fault and not later.active)
                yield event, next(cleared, self.end)


class Storyteller:
    """Collects the stories of one EVSE. `feed` each value as it comes; `finish` when no more will come. gap: silence of a part that is told [s].

    source: whose words power_report is; of a CAN log of a vehicle bus the charger's.
    """

    def __init__(self, evse: int, gap: float = GAP, source: str = "power modules") -> None:
        self._evse, self._gap_time, self._source = evse, gap, source
        self._story: Story | None = None
        self._seen = False
        self._now = -inf
        self._silent: dict[str, float] = {}
        self._permit: bool | None = None
        self._uplink: bool | None = None

    def feed(self, value: Any, received: float) -> Story | None:
        """Take a value received at a time [s of the ROS clock]; returns the story that it ends, if it ends one."""
        take = _TAKE.get(type(value))
        if take is None:
            return None
        time = value.stamp or received
        self._now = max(self._now, time)
        ended: Story | None = take(self, value, time)
        return ended

    def finish(self) -> Story | None:
        """Return the story that is not over, as far as it came."""
        return self._ended(self._now, whole=False)

    def _ended(self, time: float, whole: bool = True) -> Story | None:
        story, self._story = self._story, None
        if story is not None:
            self._close_gaps(story, time)
            story.end, story.whole = time, story.whole and whole
        return story

    def _on_session(self, value: SessionState, time: float) -> Story | None:
        ended = None
        if self._story is not None and (value.state in ALONE or self._is_another(value)):
            self._story.states.append((value.state, time))
            ended = self._ended(time)
        if self._story is None and value.state not in ALONE:
            self._story = Story(self._evse, time, whole=self._seen)
        self._seen = True
        if self._story is not None:
            self._tell(self._story, value, time)
        return ended

    def _is_another(self, value: SessionState) -> bool:
        assert self._story is not None
        return bool(value.session_active and self._story.session_id and value.session_id != self._story.session_id)

    def _tell(self, story: Story, value: SessionState, time: float) -> None:
        if not story.states or story.states[-1][0] is not value.state:
            story.states.append((value.state, time))
        if value.session_active:
            story.session_id = value.session_id
        if value.step and (not story.steps or story.steps[-1][0] < value.step):
            story.steps.append((value.step, time))
        if story.session_id and value.session_id == story.session_id:
            story.last = value
        story.curves["soc_percent"].add(time, value.soc_percent)

    def _on_power(self, value: PowerReport, time: float) -> None:
        known = self._note_age(self._source, value.age if value.complete else nan, time)
        self._add("voltage", time, value.voltage if known else nan)
        self._add("current", time, value.current if known else nan)
        self._add("module_temperature", time, value.module_temperature if known else nan)

    def _on_vehicle(self, value: VehicleReport, time: float) -> None:
        known = self._note_age("vehicle", value.age if value.complete else nan, time)
        if self._story is not None and value.link:
            self._story.link = value.link.name.lower()
        self._add("target_voltage", time, value.target_voltage if known else nan)
        self._add("current_request", time, value.current_request if known else nan)

    def _on_io(self, value: IoReport, time: float) -> None:
        known = self._note_age("I/O board", value.age if value.complete else nan, time)
        duty = value.ac.pilot_duty_percent
        if self._story is not None and isfinite(duty):
            self._story.link = self._story.link or "pilot"
            self._add("offered_current", time, current_of(duty) if known and 0.0 < duty < 100.0 else nan)
        self._add("connector_temperature", time, value.connector_temperature if known else nan)

    def _on_command(self, value: PowerCommand, time: float) -> None:
        self._add("current_command", time, value.current)

    def _on_budget(self, value: PowerBudget, time: float) -> None:
        self._add("budget", time, value.power)

    def _on_safety(self, value: SafetyState, time: float) -> None:
        if self._story is not None:
            self._story.first_fault = self._story.first_fault or value.first_fault
            if self._permit is not None and self._permit != value.permit:
                self._happen(time, "permit", "permit given" if value.permit else "permit withdrawn", value.detail)
        self._permit = value.permit

    def _on_fault(self, value: FaultEvent, time: float) -> None:
        if self._story is None:
            return
        self._story.faults.append(value)
        if value.active:
            kind = "warning" if value.reaction is Reaction.WARN else "fault"
            self._happen(time, kind, f"{value.fault}: {value.reaction.name}", value.detail)

    def _on_record(self, value: ChargeRecord, time: float) -> None:
        if self._story is not None and value.session_id and value.session_id == self._story.session_id:
            self._story.record = value

    def _on_transaction(self, value: Transaction, time: float) -> None:
        story = self._story
        if story is None or value.session_id != story.session_id or not value.session_id:
            return
        if value.transaction_id and not story.transaction_id:
            story.transaction_id = value.transaction_id
            self._happen(time, "back_end", f"transaction {value.transaction_id} begun")
        if value.stop_confirmed:
            self._happen(time, "back_end", "end of the transaction confirmed")

    def _on_authorization(self, value: Authorization, time: float) -> None:
        self._happen(time, "back_end", f"token {value.verdict.name.lower()}", f"by {value.source.name.lower()}")

    def _on_uplink(self, value: UplinkState, time: float) -> None:
        if self._uplink is not None and self._uplink != value.connected:
            self._happen(time, "back_end", "CSMS connected" if value.connected else "CSMS lost", value.detail)
        self._uplink = value.connected

    def _on_limit(self, value: ChargingLimit, time: float) -> None:
        if isfinite(value.power):
            self._happen(time, "back_end", f"limit {value.power / 1e3:.1f} kW")

    def _happen(self, time: float, kind: str, words: str, detail: str = "") -> None:
        story = self._story
        if story is not None and not any((old.kind, old.words) == (kind, words) for old in story.happenings[-1:]):
            story.happenings.append(Happening(time, kind, words, detail))

    def _add(self, curve: str, time: float, value: float) -> None:
        if self._story is not None:
            self._story.curves[curve].add(time, value)

    def _note_age(self, part: str, age: float, time: float) -> bool:
        """Note since when a part is silent; return whether its report tells something of the present."""
        if not isfinite(age):
            return False
        if age > self._gap_time:
            self._silent.setdefault(part, time - age)
        elif part in self._silent:
            self._gap(part, self._silent.pop(part), time - age)
        return age <= FRESH

    def _gap(self, part: str, begin: float, end: float) -> None:
        if self._story is not None and end > self._story.begin:
            self._story.gaps.append(Gap(part, max(begin, self._story.begin), end))

    def _close_gaps(self, story: Story, time: float) -> None:
        story.gaps += [Gap(part, max(begin, story.begin), time) for part, begin in self._silent.items() if time > begin]


_TAKE: dict[type[Any], Callable[[Storyteller, Any, float], Any]] = {
    SessionState: Storyteller._on_session,
    PowerReport: Storyteller._on_power,
    VehicleReport: Storyteller._on_vehicle,
    IoReport: Storyteller._on_io,
    PowerCommand: Storyteller._on_command,
    PowerBudget: Storyteller._on_budget,
    SafetyState: Storyteller._on_safety,
    FaultEvent: Storyteller._on_fault,
    ChargeRecord: Storyteller._on_record,
    Transaction: Storyteller._on_transaction,
    Authorization: Storyteller._on_authorization,
    UplinkState: Storyteller._on_uplink,
    ChargingLimit: Storyteller._on_limit,
}
# The types that a story is made of.
WANTED = tuple(_TAKE)
