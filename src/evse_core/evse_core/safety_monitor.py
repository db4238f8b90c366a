"""Owner of the permit: walks the fault table, debounces, latches, and says whether power may flow.

Each step builds one view of the inputs, asks every row's condition, and keeps what holds:
- a condition that holds for its debounce time raises the fault; one that cannot be judged keeps a running debounce going;
- a raised fault only ever gets worse (idle to energised) until it is cleared, each one for itself;
- the permit needs a state of power, every input that this state needs, and no EMERGENCY (design.md, The permit).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf, isinf

from evse_core import vehicle_link
from evse_core.fault_table import BY_NAME, FAULTS, Effect, Fault, Reset
from evse_core.node_watch import NodeWatch
from evse_core.safety_config import SafetyConfig
from evse_core.safety_inputs import PERMIT_STATES, Input
from evse_core.safety_latches import Latch
from evse_core.safety_links import LINKS
from evse_core.safety_trends import TrendWatch
from evse_core.safety_view import (
    CurrentEnvelope,
    OutputWatch,
    SafetyInputs,
    View,
    ages,
    connector_voltage,
    discharge_asked,
    limits,
    requested_current,
    requested_discharge,
)
from evse_core.sample import fresh
from evse_core.types import ChargeState, FaultEvent, Reaction, SafetyState

__all__ = ["SafetyConfig", "SafetyInputs", "SafetyMonitor", "SafetyOutputs"]

# Times are compared with this slack [s], so that floating point does not delay a fault by one step.
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class SafetyOutputs:
    """The permit with its reasons, and what changed in this step."""

    state: SafetyState
    events: tuple[FaultEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A raised fault: the worst effect that it had, what was seen, how many others came to their rank before it, since when it is gone (None: not yet)."""

    fault: Fault
    reaction: Reaction
    reset: Reset
    detail: str
    order: int = 0
    gone: float | None = None


class SafetyMonitor:
    """Watches one EVSE. Call step() at 20 Hz and whenever an input changes."""

    def __init__(
        self, config: SafetyConfig, faults: tuple[Fault, ...] = FAULTS, expected: tuple[str, ...] = (), description: str = ""
    ) -> None:
        """Begin. expected: full names of the nodes that must live; description: digest of the description that this process was started with."""
        vehicle_link.check(config.vehicle_link)
        self._config, self._link = config, LINKS[config.vehicle_link]
        faults = tuple(fault for fault in faults if config.vehicle_link in fault.links)
        # Rows by whether power may flow: those that can be a fault then, with what they do, their conditions, and the other rows.
        self._rows = {
            True: tuple((fault, fault.energised) for fault in faults if fault.energised is not None),
            False: tuple((fault, fault.idle) for fault in faults if fault.idle is not None),
        }
        self._conditions = {energised: tuple(fault.condition for fault, _ in rows) for energised, rows in self._rows.items()}
        self._other_rows = {
            True: tuple(fault for fault in faults if fault.energised is None),
            False: tuple(fault for fault in faults if fault.idle is None),
        }
        self._limits = limits(config)
        self._envelope = CurrentEnvelope(config, config.max_current)
        self._discharge = CurrentEnvelope(config, config.max_discharge_current)
        self._trends = TrendWatch(config)
        self._output = OutputWatch(config)
        self._nodes = NodeWatch(config, expected, description)
        self._order = 0
        self._restored: list[FaultEvent] = []
        self._held: dict[str, _Held] = {}
        self._seen: dict[str, tuple[float, str]] = {}
        self._measured: dict[Input, float] = {}
        self._start: float | None = None
        self._state = ChargeState.UNKNOWN
        self._session_id = ""
        self._permit = False

    def step(self, inputs: SafetyInputs, now: float) -> SafetyOutputs:
        """Return the permit and the changes at a time [s]."""
        view = self._view(inputs, now)
        found, self._restored = self._restored, []
        found += self._raise(view, now)
        found += self._clear(view, inputs.reset, now)
        reasons = self._reasons(view)
        self._permit = not reasons
        events = tuple([replace(event, stamp=inputs.stamp, session_id=self._session_id) for event in found])
        return SafetyOutputs(self._safety_state(inputs.stamp, reasons, now), events)

    def latches(self) -> tuple[Latch, ...]:
        """Return the faults that wait for an operator, for whoever keeps them while this process does not run."""
        return tuple(Latch(name, held.reaction, held.detail) for name, held in self._held.items() if held.reset is Reset.OPERATOR)

    def restore(self, latches: Iterable[Latch]) -> None:
        """Hold what an earlier run held for an operator; a name that the table does not know is a KeyError. Call it before the first step."""
        for latch in latches:
            self._keep(_Held(BY_NAME[latch.fault], latch.reaction, Reset.OPERATOR, latch.detail))
            self._restored.append(_event(self._held[latch.fault], True))

    def _keep(self, held: _Held) -> _Held:
        """Hold a fault in the order in which faults came to their rank, which says what came first."""
        before = self._held.get(held.fault.name)
        if before is None or _RANK[before.reaction] != _RANK[held.reaction]:
            self._order += 1
            held = replace(held, order=self._order)
        self._held[held.fault.name] = held
        return held

    def _view(self, inputs: SafetyInputs, now: float) -> View:
        self._start = now if self._start is None else self._start
        if inputs.session is not None:
            self._state = inputs.session.value.state
            self._session_id = inputs.session.value.session_id if inputs.session.value.session_active else ""
        found, since, measured = ages(inputs, now), {}, self._measured
        for name, age in found.items():
            if age < inf:
                measured[name] = now - age
            # A report that is no longer complete is as old as the last one that was: a vehicle that is forgotten at unplugging is not silent yet.
            since[name] = now - measured.get(name, -inf)
        command = inputs.power_command.value if inputs.power_command and self._is_fresh(Input.POWER_COMMAND, found) else None
        vehicle = inputs.vehicle.value if inputs.vehicle and self._is_fresh(Input.VEHICLE, found) else None
        power = inputs.power.value if inputs.power and self._is_fresh(Input.POWER, found) else None
        io = inputs.io.value if inputs.io and self._is_fresh(Input.IO, found) else None
        cabinet = inputs.cabinet.value if inputs.cabinet and self._is_fresh(Input.CABINET, found) else None
        in_grace = now - self._start < self._config.startup_grace
        return View(
            config=self._config,
            link=self._link,
            state=self._state,
            ages=since,
            in_grace=in_grace,
            vehicle=vehicle,
            power=power,
            io=io,
            can=fresh(inputs.can_status, now, self._config.bridge_timeout),
            session=fresh(inputs.session, now, self._config.session_timeout),
            command=command,
            io_command=fresh(inputs.io_command, now, self._config.command_timeout),
            meter=fresh(inputs.meter, now, self._config.meter_timeout),
            cabinet=cabinet,
            allowed_current=self._envelope.step(requested_current(command, vehicle, self._state), now),
            allowed_discharge=self._discharge.step(
                requested_discharge(self._config, command, vehicle, power, discharge_asked(inputs.budget, now), self._state), now
            ),
            permitted=self._permit,
            held=frozenset(self._held),
            unfollowed_stop=next((held.fault.name for held in self._held.values() if held.reaction is Reaction.STOP), ""),
            emergency_request=inputs.emergency_stop,
            trends=self._trends.step(inputs.stamp, inputs.meter, inputs.can_status, now),
            plugged=self._link.plugged(vehicle, io),
            unplugged=self._link.unplugged(vehicle, io),
            energised=self._state in PERMIT_STATES,
            connector_voltage=connector_voltage(io, power),
            nodes=self._nodes.step(inputs.nodes, inputs.description, in_grace, now),
            latch_problem=inputs.latch_problem,
            output_raised=self._output.step(command, power),
        )

    def _is_fresh(self, name: Input, found: Mapping[Input, float]) -> bool:
        return found[name] <= self._limits[name]

    def _raise(self, view: View, now: float) -> list[FaultEvent]:
        """Ask every condition; raise what held long enough, make worse what now does more."""
        events: list[FaultEvent] = []
        known = self._seen.keys() | self._held.keys()
        texts = [condition(view) for condition in self._conditions[view.energised]]
        # Usually nobody sees anything and nothing is known: then there is nothing to do.
        if not known and not any(texts):
            return events
        for (fault, effect), text in zip(self._rows[view.energised], texts, strict=True):
            if not text and fault.name not in known:
                continue
            self._remember(fault.name, text, now)
            if fault.name in self._seen and self._debounced(fault.name, effect, now):
                events += self._apply(fault, effect)
        # What cannot be a fault now is asked only where it may be gone.
        for fault in self._other_rows[view.energised]:
            if fault.name in known:
                self._remember(fault.name, fault.condition(view), now)
        return events

    def _remember(self, name: str, text: str | None, now: float) -> None:
        """Keep since when a condition holds and, for a raised fault, since when it is gone; not knowing changes neither for the better."""
        held = self._held.get(name)
        if text:
            self._seen[name] = (self._seen.get(name, (now, ""))[0], text)
        elif text is not None:
            self._seen.pop(name, None)
        if held:
            gone = (now if held.gone is None else held.gone) if text == "" else None
            self._held[name] = replace(held, gone=gone)

    def _debounced(self, name: str, effect: Effect, now: float) -> bool:
        needed = getattr(self._config, effect.debounce) if effect.debounce else 0.0
        return bool(now - self._seen[name][0] >= needed - _SLACK)

    def _apply(self, fault: Fault, effect: Effect) -> list[FaultEvent]:
        held, detail = self._held.get(fault.name), self._seen[fault.name][1]
        if held is None:
            return [_event(self._keep(_Held(fault, effect.reaction, effect.reset, detail)), True)]
        worse = self._keep(replace(held, reaction=max(held.reaction, effect.reaction), reset=max(held.reset, effect.reset)))
        return [_event(replace(worse, detail=detail), True)] if worse.reaction is not held.reaction else []

    def _clear(self, view: View, operator: bool, now: float) -> list[FaultEvent]:
        cleared = [held for held in self._held.values() if self._may_clear(held, view, operator, now)]
        for held in cleared:
            del self._held[held.fault.name]
        return [_event(held, False) for held in cleared]

    def _may_clear(self, held: _Held, view: View, operator: bool, now: float) -> bool:
        """Only what is certainly gone, and nothing but warnings and the like by itself while power may flow."""
        if held.gone is None:
            return False
        if held.reset is Reset.ITSELF and now - held.gone >= self._config.recovery_time - _SLACK:
            return held.reaction is not Reaction.STOP or not view.energised
        off = view.session is not None and not view.energised
        return off and (operator or (held.reset is Reset.UNPLUG and view.unplugged))

    def _reasons(self, view: View) -> list[str]:
        """Return why there is no permit, in words."""
        found = [f"{held.fault.name}: {held.detail}" for held in self._held.values() if held.reaction is Reaction.EMERGENCY]
        found += [self._silence(name, view.ages[name]) for name in view.missing()]
        return found if view.state in PERMIT_STATES else [*found, f"no power in {view.state.name}"]

    def _silence(self, name: Input, age: float) -> str:
        if isinf(age):
            return f"{name.value} never came complete"
        return f"{name.value} is {age:.2f} s old" if age > self._limits[name] else f"{name.value} is incomplete"

    def _safety_state(self, stamp: float, reasons: list[str], now: float) -> SafetyState:
        ranked = sorted(self._held.values(), key=lambda held: -held.reaction)
        return SafetyState(
            stamp=stamp,
            permit=not reasons,
            given=now,
            reaction=ranked[0].reaction if ranked else Reaction.NONE,
            faults=tuple(held.fault.name for held in ranked),
            first_fault=self._first_fault(),
            detail="; ".join(reasons),
        )

    def _first_fault(self) -> str:
        """Return what came first of the faults that end a session; without such, of those that bar one; without these, of the warnings."""
        cause = min(self._held.values(), key=lambda held: (-_RANK[held.reaction], held.order), default=None)
        return cause.fault.name if cause else ""


# Reactions that end a session count alike: what ended it first stays its cause, however bad what follows is.
_RANK = {reaction: min(reaction, Reaction.STOP) for reaction in Reaction}


def _event(held: _Held, active: bool) -> FaultEvent:
    return FaultEvent(
        fault=held.fault.name,
        active=active,
        reaction=held.reaction,
        detail=held.detail,
        mrec_code=held.fault.mrec,
        ocpp16_error=held.fault.ocpp16,
    )
