"""A state machine of hypothesis plays with the safety monitor: any field of any input spoiled and healed, silence, frozen reports, states, resets, time.
After every step its outputs are held against a plain model of the contract (docs/design.md, The permit; docs/faults.md).

EVSE_EXAMPLES=1000 searches longer.
"""

import os
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from random_fields import spoiled, with_changes
from safety_bench import STEP, healthy

from evse_core.fault_table import BY_NAME, Effect, Reset
from evse_core.safety_monitor import SafetyConfig, SafetyInputs, SafetyMonitor, SafetyOutputs
from evse_core.sample import Sample
from evse_core.types import ChargeState, FaultEvent, Reaction

EXAMPLES = int(os.environ.get("EVSE_EXAMPLES", "10"))
CONFIG = SafetyConfig()
# Written out once more, from docs/design.md "The permit" 1: a copy of what the rule imports could not disagree with it.
PERMIT_STATES = {
    "LOCKING",
    "CABLE_CHECK",
    "LOWERING_OUTPUT",
    "PRECHARGE",
    "WAITING_FOR_CONTACTOR",
    "WAITING_FOR_REQUEST",
    "CHARGING",
    "RAMPING_DOWN",
}
LIMITS = {
    "vehicle": CONFIG.vehicle_timeout,
    "power": CONFIG.modules_timeout,
    "io": CONFIG.io_timeout,
    "can_status": CONFIG.bridge_timeout,
    "session": CONFIG.session_timeout,
    "power_command": CONFIG.command_timeout,
    "io_command": CONFIG.command_timeout,
}
REPORTS = ("vehicle", "power", "io")
# Faults that follow one flag of the board alone: the flag's bad value, and the debounce.
FLAGS = {
    "emergency_stop": ("emergency_stop", True, 0.0),
    "door_open": ("door_open", True, CONFIG.door_time),
    "earth_lost": ("earth_ok", False, CONFIG.contact_time),
    "residual_current": ("residual_current_trip", True, 0.0),
}
TIMES = st.sampled_from([0.05, 0.05, 0.1, 0.25, 0.55, 1.1, 3.0, 7.0])
STATES = [*ChargeState, *(state for state in ChargeState if state.name in PERMIT_STATES)]


@dataclass
class Raised:
    """A fault as its events tell of it: the mildest that its reset can be, when it was raised, and as which it came to its rank."""

    reaction: Reaction
    reset: Reset
    since: float
    order: int

    @property
    def rank(self) -> int:
        """What ends a session counts alike: first what ended it, however bad what follows is."""
        return min(self.reaction, Reaction.STOP)


class MonitorMachine(RuleBasedStateMachine):
    """The monitor, what it is told, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.monitor = SafetyMonitor(CONFIG)
        self.now = 1000.0
        self.state = ChargeState.AVAILABLE
        self.patch: dict[str, dict[str, Any]] = {name: {} for name in healthy(self.state)}
        self.silent: set[str] = set()
        self.samples: dict[str, Sample[Any]] = {}
        self.told = ChargeState.UNKNOWN
        self.raised: dict[str, Raised] = {}
        self.flagged = dict.fromkeys(FLAGS, 0.0)
        self.told_events = 0
        self._run(0.2)

    # What happens

    @rule(seconds=TIMES)
    def wait(self, seconds: float) -> None:
        self._run(seconds)

    @rule(state=st.sampled_from(STATES), seconds=TIMES)
    def go(self, state: ChargeState, seconds: float) -> None:
        self.state = state
        self._run(seconds)

    @rule(change=spoiled(healthy(ChargeState.CHARGING), ("age",)), seconds=TIMES)
    def spoil(self, change: tuple[str, str, Any], seconds: float) -> None:
        part, name, value = change
        self.patch[part][name] = value
        self._run(seconds)

    @rule(name=st.sampled_from(REPORTS), age=st.sampled_from([nan, inf, -1.0, 0.2, 0.49, 0.51, 0.99, 1.01, 1e30]), seconds=TIMES)
    def freeze(self, name: str, age: float, seconds: float) -> None:
        self.patch[name]["age"] = age
        self._run(seconds)

    @rule(name=st.sampled_from(sorted(healthy(ChargeState.CHARGING))), seconds=TIMES)
    def silence(self, name: str, seconds: float) -> None:
        self.silent.add(name)
        self._run(seconds)

    @rule(name=st.sampled_from(sorted(healthy(ChargeState.CHARGING))), seconds=TIMES)
    def heal(self, name: str, seconds: float) -> None:
        self.patch[name].clear()
        self.silent.discard(name)
        self._run(seconds)

    @rule(seconds=TIMES)
    def heal_all(self, seconds: float) -> None:
        self.silent.clear()
        for fields in self.patch.values():
            fields.clear()
        self._run(seconds)

    @rule(plugged=st.booleans(), seconds=TIMES)
    def plug(self, plugged: bool, seconds: float) -> None:
        self.patch["io"]["plugged"] = plugged
        self._run(seconds)

    @rule(seconds=TIMES)
    def reset(self, seconds: float) -> None:
        self._step(reset=True)
        self._run(seconds)

    @rule(seconds=TIMES)
    def emergency_stop(self, seconds: float) -> None:
        self._step(emergency_stop=True)
        assert "emergency_stop" in self.raised
        self._run(seconds)

    @rule(jump=st.sampled_from([0.0, 0.001, 1.5, 20.0]))
    def sleep(self, jump: float) -> None:
        """Nobody steps it for a while, and nothing comes meanwhile."""
        self.now += jump
        self._step()

    # One step

    def _run(self, seconds: float) -> None:
        for _ in range(max(round(seconds / STEP), 1)):
            self._step()

    def _step(self, **asked: bool) -> None:
        self.now += STEP
        for name, value in healthy(self.state).items():
            if name not in self.silent:
                self.samples[name] = Sample(with_changes(value, self.patch[name]), self.now - 0.01)
        if "session" in self.samples:
            self.told = self.samples["session"].value.state
        inputs = SafetyInputs(**self.samples, stamp=self.now, **asked)  # type: ignore[arg-type]
        out = self.monitor.step(inputs, self.now)
        self._follow(out.events, asked.get("reset", False))
        self._compare(out)

    @property
    def energised(self) -> bool:
        return self.told.name in PERMIT_STATES

    def _fresh(self, name: str) -> bool:
        sample = self.samples.get(name)
        if sample is None:
            return False
        age = max(sample.age(self.now), 0.0)
        if name in REPORTS:
            if not sample.value.complete or isnan(sample.value.age):
                return False
            age += max(sample.value.age, 0.0)
        if name == "power" and not (isfinite(sample.value.voltage) and isfinite(sample.value.current)):
            return False
        return age <= LIMITS[name]

    def _needed(self) -> list[str]:
        """The modules may sleep in LOCKING; the meter is billing, not safety."""
        return [name for name in LIMITS if name != "power" or self.told is not ChargeState.LOCKING]

    # The model

    def _follow(self, events: tuple[FaultEvent, ...], reset: bool) -> None:
        for event in events:
            if event.active:
                self._raise(event)
            else:
                self._clear(event, reset)

    def _raise(self, event: FaultEvent) -> None:
        """A fault is told once, and again only where it gets worse; never by an effect that its row does not have now."""
        row = BY_NAME[event.fault]
        effect: Effect | None = row.energised if self.energised else row.idle
        assert effect is not None
        known = self.raised.get(event.fault)
        assert event.reaction is effect.reaction
        self.told_events += 1
        new = Raised(effect.reaction, effect.reset, self.now, self.told_events)
        if known is not None:
            assert event.reaction > known.reaction
            kept = known.order if known.rank == new.rank else new.order
            new = Raised(effect.reaction, max(known.reset, effect.reset), known.since, kept)
        self.raised[event.fault] = new

    def _clear(self, event: FaultEvent, reset: bool) -> None:
        """A fault goes only with what its reset needs, and while power may flow nothing that ends a session goes at all."""
        known = self.raised.pop(event.fault)
        by_itself = known.reset is Reset.ITSELF and self.now - known.since >= CONFIG.recovery_time - 1e-6
        unplugged = self._fresh("io") and not self.samples["io"].value.plugged
        idle = self._fresh("session") and not self.energised
        assert by_itself or (idle and (reset or (known.reset is Reset.UNPLUG and unplugged))), event
        assert not self.energised or known.reaction < Reaction.STOP, event
        flag = FLAGS.get(event.fault)
        if flag is not None:
            assert self._fresh("io")
            assert getattr(self.samples["io"].value, flag[0]) is not flag[1]

    def _compare(self, out: SafetyOutputs) -> None:
        state = out.state
        assert set(state.faults) == set(self.raised)
        worst = max((item.reaction for item in self.raised.values()), default=Reaction.NONE)
        assert state.reaction is worst
        assert state.first_fault == min(self.raised, key=lambda name: (-self.raised[name].rank, self.raised[name].order), default="")
        missing = [name for name in self._needed() if not self._fresh(name)]
        assert state.permit is (self.energised and not missing and worst is not Reaction.EMERGENCY), (missing, state)
        assert state.permit or state.detail
        self._flags(out)

    def _flags(self, out: SafetyOutputs) -> None:
        """A flag that stands for longer than its debounce is a fault, whatever else happens."""
        for name, (field, bad, debounce) in FLAGS.items():
            stands = self._fresh("io") and getattr(self.samples["io"].value, field) is bad
            if not stands:
                self.flagged[name] = self.now
            if stands and self.now - self.flagged[name] > debounce + 2 * STEP:
                assert name in out.state.faults


def test_a_permit_needs_each_of_the_inputs_that_the_model_names() -> None:
    """The machine would be content with a monitor that never gives a permit: here it gives one, and loses it with each input."""
    for name in LIMITS:
        machine = MonitorMachine()
        machine.go(ChargeState.CHARGING, 0.3)
        assert machine.monitor.step(SafetyInputs(**machine.samples), machine.now).state.permit  # type: ignore[arg-type]
        machine.silence(name, 1.3)
        assert not machine.monitor.step(SafetyInputs(**machine.samples), machine.now).state.permit  # type: ignore[arg-type]


def test_the_model_knows_the_states_of_the_permit() -> None:
    assert {state.name for state in ChargeState} > PERMIT_STATES


TestSafetyMonitor = MonitorMachine.TestCase
TestSafetyMonitor.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate) if EXAMPLES < 50 else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)
