"""What safety_monitor does with what comes: it keeps the newest inputs, steps its rule, and says what is to be published. See trace.py."""

from collections.abc import Callable, Iterable
from math import inf
from operator import attrgetter
from typing import Any

from evse_core.safety_latches import Latch
from evse_core.safety_monitor import SafetyInputs, SafetyMonitor
from evse_core.sample import Sample
from evse_core.trace import NOTHING, STEP, Outputs
from evse_core.types import NodeHealth, Reaction, SafetyState, SessionState

# A step that comes later than STALL found this process stalled, and the last permit expired with it (design.md, The permit 2): until every input has come
# again, at most for CATCH_UP, nothing is judged and no permit given, else every input would look silent for what was this process's own pause. [s]
STALL, CATCH_UP = 0.2, 0.5
# Nodes that are remembered: an EVSE and its station have a dozen, and whoever makes up names must not fill the memory. [1]
MOST_NODES = 100
# Fields of SafetyInputs by topic. What may show an emergency is judged when it comes, the rest with the next period.
AT_ONCE = {
    "session_state": "session",
    "vehicle_report": "vehicle",
    "power_report": "power",
    "io_report": "io",
    "can_status": "can_status",
    "cabinet_report": "cabinet",
}
WITH_THE_NEXT = {"meter_reading": "meter", "power_command": "power_command", "io_command": "io_command"}
INPUTS = AT_ONCE | WITH_THE_NEXT
# Of these only a change in the named fields cannot wait: they repeat themselves ten times a second.
NEWS: dict[str, Callable[[Any], Any]] = {
    "session_state": attrgetter("state", "session_active"),
    "cabinet_report": attrgetter("bridged", "stuck", "lost"),
    "can_status": lambda status: (status.power_allowed, status.cut_cause, [bus.health for bus in status.buses]),
}
# Not one of INPUTS: the budget comes once a second, so that catching up must not wait for it.
BUDGET = "power_budget"
# Health of the nodes of the EVSE, and of those of the station.
HEALTH = ("node_health", "/node_health")
# Calls: an operator's two; the digest of the description, as its file is now. What is for the node: the faults to be kept while it does not run.
RESET, EMERGENCY_STOP, DESCRIPTION, LATCHES = "reset()", "emergency_stop()", "description()", "latches()"


class SafetyLoop:
    """The monitor of one EVSE with its inputs. expected: full names of the nodes that must live; description: digest of its file."""

    names = (STEP, RESET, EMERGENCY_STOP, DESCRIPTION, *INPUTS, BUDGET, *HEALTH)

    def __init__(self, monitor: SafetyMonitor, expected: Iterable[str] = (), description: str = "", now: float = -inf) -> None:
        self._monitor, self._expected = monitor, frozenset(expected)
        # Fields of SafetyInputs, made into one when a step needs it.
        self._inputs: dict[str, Any] = {"nodes": {}, "description": description}
        self._latches = monitor.latches()
        self._last = SafetyState()
        self._stepped, self._resumed = now, -inf

    @property
    def session(self) -> Sample[SessionState] | None:
        """The newest state of the session."""
        session: Sample[SessionState] | None = self._inputs.get("session")
        return session

    @property
    def last(self) -> SafetyState:
        """The newest permit."""
        return self._last

    def restore(self, latches: Iterable[Latch], problem: str = "") -> None:
        """Hold what an earlier run held for an operator; problem: why that cannot be known, "" where it is. Call it before the first `on`."""
        self._monitor.restore(latches)
        self._latches = self._monitor.latches()
        self._inputs["latch_problem"] = problem

    def on(self, name: str, given: Any, now: float, stamp: float) -> Outputs:
        """Take a message or a call; see trace.Loop."""
        if name in INPUTS:
            return self._take(name, given, now, stamp)
        if name in HEALTH:
            self._heard_of(given, now)
        elif name == BUDGET:
            self._inputs["budget"] = Sample(given, now)
        elif name == DESCRIPTION:
            self._inputs["description"] = given
        else:
            return self._step(now, stamp, only_changes=name != STEP, reset=name == RESET, emergency_stop=name == EMERGENCY_STOP)
        return NOTHING

    def _heard_of(self, health: NodeHealth, now: float) -> None:
        nodes = self._inputs["nodes"]
        if health.node in nodes or health.node in self._expected or len(nodes) < MOST_NODES:
            self._inputs["nodes"] = {**nodes, health.node: Sample(health, now)}

    def _take(self, name: str, value: Any, now: float, stamp: float) -> Outputs:
        field, news = INPUTS[name], NEWS.get(name)
        last = self._inputs.get(field)
        self._inputs[field] = Sample(value, now)
        if name in AT_ONCE and (news is None or last is None or news(last.value) != news(value)):
            return self._step(now, stamp, only_changes=True)
        return NOTHING

    def _catch_up(self, now: float) -> bool:
        """Return whether this process was stalled and has still to take what came meanwhile."""
        if now - self._stepped > STALL:
            self._resumed = now
        if now - self._resumed > CATCH_UP:
            return False
        samples = (self._inputs.get(field) for field in INPUTS.values())
        return any(sample is not None and sample.received < self._resumed for sample in samples)

    def _step(self, now: float, stamp: float, *, only_changes: bool, reset: bool = False, emergency_stop: bool = False) -> Outputs:
        """Ask the rule; put the permit out where it is due or has changed."""
        catching_up, self._stepped = self._catch_up(now), now
        if catching_up and not reset and not emergency_stop:
            return NOTHING
        outputs = self._monitor.step(SafetyInputs(**self._inputs, stamp=stamp, reset=reset, emergency_stop=emergency_stop), now)
        found: list[tuple[str, Any]] = []
        if not only_changes or _essence(outputs.state) != _essence(self._last):
            found.append(("safety_state", outputs.state))
        self._last = outputs.state
        self._inputs.pop("latch_problem", None)
        if (latches := self._monitor.latches()) != self._latches:
            self._latches = latches
            found.append((LATCHES, latches))
        return found + [("fault_event", event) for event in outputs.events]


def _essence(state: SafetyState) -> tuple[bool, Reaction, tuple[str, ...], str]:
    """Return what others act upon."""
    return state.permit, state.reaction, state.faults, state.first_fault
