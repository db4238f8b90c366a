"""A state machine of hypothesis plays with the charging sequence: any field of any report spoiled and healed, silence, frozen reports, people, restarts, time.
After every step the contract holds (charge_sequencer_contract.py), and when all is well again the station serves the next driver.

EVSE_EXAMPLES=300 searches longer.
"""

import os
from dataclasses import replace
from math import nan
from typing import Any

from charge_sequencer_contract import Watch
from charge_sequencer_rig import AT_REST, Rig, S
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from random_fields import spoiled

from evse_core.charge_sequencer import ChargeSequencer, SequencerInputs
from evse_core.types import CanStatus, IoReport, PowerReport, Reaction, RequestKind, SafetyState, VehicleReport, Verdict

EXAMPLES = int(os.environ.get("EVSE_EXAMPLES", "5"))
PARTS = {"vehicle": VehicleReport(), "power": PowerReport(), "io": IoReport(), "safety": SafetyState(), "can": CanStatus()}
# Counters and tokens of the board are what people do (rules below); a report whose counter jumps is a press of a button.
PEOPLE = ("start_count", "stop_count", "token_count", "token", "stamp", "age")
NAMES = ("vehicle", "power", "io", "safety", "can_status", "budget", "record", "authorization")
GOALS = (S.PREPARING, S.AUTHORIZED, S.WAITING_FOR_VEHICLE, S.LOCKING, S.CABLE_CHECK, S.LOWERING_OUTPUT, S.WAITING_FOR_CONTACTOR)
GOALS += (S.WAITING_FOR_REQUEST, S.CHARGING, S.RAMPING_DOWN, S.UNLOCKING)
TIMES = st.sampled_from([0.05, 0.05, 0.1, 0.3, 0.6, 1.1, 3.0, 12.0])


class SequencerMachine(RuleBasedStateMachine):
    """The tiny station of charge_sequencer_rig, and everybody who disturbs it."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.watch = Watch(self.rig.config)
        self.rig.watchers.append(self._check)

    def _check(self, rig: Rig) -> None:
        self.watch.check(rig.inputs, rig.out, rig.now)

    @initialize(goal=st.sampled_from(GOALS))
    def begin(self, goal: Any) -> None:
        """Start somewhere in a session, so that each of its phases is disturbed."""
        if goal is S.RAMPING_DOWN or goal is S.UNLOCKING:
            self.rig.to(S.CHARGING).run(1.0).stop()
            self.rig.until(goal)
        elif goal is S.AUTHORIZED:
            self.rig.run(0.3).token()
            self.rig.until(goal)
        else:
            self.rig.to(goal)

    @rule(seconds=TIMES)
    def wait(self, seconds: float) -> None:
        self.rig.run(seconds)

    @rule(change=spoiled(PARTS, PEOPLE), seconds=TIMES)
    def spoil(self, change: tuple[str, str, Any], seconds: float) -> None:
        part, name, value = change
        self.rig.patch[part][name] = value
        self.rig.run(seconds)

    @rule(
        part=st.sampled_from(["vehicle", "power", "io"]),
        age=st.sampled_from([nan, -1.0, 0.0, 0.2, 0.35, 0.45, 0.55, 1.2, 1e30]),
        seconds=TIMES,
    )
    def freeze(self, part: str, age: float, seconds: float) -> None:
        """Reports go on, the frames behind them are old."""
        self.rig.patch[part]["age"] = age
        self.rig.run(seconds)

    @rule(name=st.sampled_from(NAMES), seconds=TIMES)
    def silence(self, name: str, seconds: float) -> None:
        self.rig.silent.add(name)
        self.rig.run(seconds)

    @rule(part=st.sampled_from(sorted(PARTS)))
    def heal(self, part: str) -> None:
        self.rig.patch[part].clear()
        self.rig.silent.discard("can_status" if part == "can" else part)
        self.rig.run(0.05)

    @rule(
        reaction=st.sampled_from(Reaction),
        permit=st.booleans(),
        first=st.sampled_from(["", "vehicle_silent", "over_current", "unheard_of"]),
        seconds=TIMES,
    )
    def fault(self, reaction: Reaction, permit: bool, first: str, seconds: float) -> None:
        self.rig.patch["safety"] |= {"reaction": reaction, "permit": permit, "first_fault": first, "faults": (first,)}
        self.rig.run(seconds)

    @rule(deed=st.sampled_from(["plug", "unplug", "start", "stop", "token", "other", "cut"]), seconds=TIMES)
    def driver(self, deed: str, seconds: float) -> None:
        rig = self.rig
        {
            "plug": rig.plug,
            "unplug": lambda: rig.plug(False),
            "start": rig.start,
            "stop": rig.stop,
            "token": rig.token,
            "other": lambda: rig.token("04000000"),
            "cut": lambda: rig.patch["can"].update(cut_count=rig.patch["can"].get("cut_count", 0) + 1),
        }[deed]()
        rig.run(seconds)

    @rule(kind=st.sampled_from(RequestKind), token=st.sampled_from(["", "TAG", "04AABBCC"]), authorized=st.booleans(), seconds=TIMES)
    def ask(self, kind: RequestKind, token: str, authorized: bool, seconds: float) -> None:
        """Somebody asks by service, twice, whether it would be followed or not."""
        if kind is not RequestKind.SHUTDOWN:
            self.rig.ask(kind, token, authorized=authorized)
            self.rig.ask(kind, token, authorized=authorized)
        self.rig.run(seconds)

    @rule(verdict=st.sampled_from([*Verdict, None]), budget=st.sampled_from([nan, -1.0, 0.0, 3000.0, 50e3]))
    def back_end(self, verdict: Verdict | None, budget: float) -> None:
        self.rig.verdict, self.rig.budget = verdict, budget
        self.rig.run(0.1)

    @rule(seconds=TIMES)
    def restart(self, seconds: float) -> None:
        """The node is killed: nothing is commanded until the new one knows the connector; its inputs are those that come."""
        rig = self.rig
        rig.sequencer, rig.samples = ChargeSequencer(rig.config), {}
        held = rig.out.io.lock
        rig.out = rig.sequencer.step(SequencerInputs(), rig.now)
        # can_bridge without commands: outputs off, lock as it is (docs/design.md, The permit 4).
        rig.out = replace(rig.out, io=replace(rig.out.io, lock=held))
        self.watch = Watch(rig.config)
        rig.run(seconds)

    def teardown(self) -> None:
        """When nothing is wrong any more, the connector comes free and the next session charges."""
        rig = self.rig
        rig.silent.clear()
        rig.patch = {name: {} for name in rig.patch}
        rig.verdict, rig.budget = Verdict.ACCEPTED, 50e3
        rig.run(0.2).stop()
        rig.settle(*AT_REST, limit=40.0).plug(False)
        rig.ask(RequestKind.ENABLE)
        rig.run(1.0).ask(RequestKind.ENABLE)
        rig.settle(S.AVAILABLE, limit=35.0)
        assert rig.state is S.AVAILABLE, rig.path[-12:]


TestChargeSequencer = SequencerMachine.TestCase
TestChargeSequencer.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate) if EXAMPLES < 50 else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)
