"""The rule of module_allocator against the simulated cabinet: what a plan may not bring about, and what is told."""

from dataclasses import replace
from math import isnan

import pytest

from evse_core.module_allocator import AllocatorConfig, Cabinet, ModuleAllocator, ModuleRating
from evse_core.module_demand import OutletFacts, OutletRating
from evse_core.module_optimizer import optimise
from evse_core.module_switching import Stage
from evse_core.sample import Sample
from evse_core.types import CabinetReport, ChargeState, SessionState
from evse_nodes import databases
from evse_simulators.cabinet_converter import PowerCabinetConfig, Refusals
from evse_simulators.power_cabinet import PowerCabinetModel

DATABASE, POWER = databases.load("cabinet"), databases.load("evse_v3")
CONTENT = Cabinet(
    tuple(ModuleRating(number, 100.0, 30e3, 1000.0, frozenset({1, 2})) for number in (1, 2, 3)),
    tuple(OutletRating(outlet, 200.0, 60e3, 500.0) for outlet in (1, 2)),
)
STEP = 0.025


def session(state: ChargeState, wanted: float = float("nan")) -> SessionState:
    return SessionState(state=state, session_id="s", session_active=True, power_wanted=wanted)


class Bench:
    """A cabinet and its allocator, which plans by itself or is told what the plan is; sessions are said anew in every step unless they are None."""

    def __init__(self, plans: bool = True) -> None:
        self.model = PowerCabinetModel(PowerCabinetConfig(), CONTENT, DATABASE, POWER)
        self.rule = ModuleAllocator(AllocatorConfig(), CONTENT, DATABASE)
        self.sessions: dict[int, SessionState | None] = {
            1: SessionState(state=ChargeState.AVAILABLE),
            2: SessionState(state=ChargeState.AVAILABLE),
        }
        self.plans, self.now = plans, 0.0
        self._facts: dict[int, OutletFacts] = {}

    def run(self, seconds: float) -> "Bench":
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            for frame in self.model.step(self.now):
                self.rule.on_frame(frame, self.now)
            said = {outlet: OutletFacts(Sample(one, self.now)) for outlet, one in self.sessions.items() if one is not None}
            self._facts |= said
            self.rule.on_facts(self._facts)
            for frame in self.rule.step(self.now):
                self.model.on_frame(frame, self.now)
            if self.plans and (problem := self.rule.problem(self.now)) is not None:
                self.rule.take(optimise(problem, 60.0).placement)
        return self

    def live(self, outlet: int, voltage: float) -> None:
        self.model.outlets[outlet].state.module_voltage = voltage

    def closed(self, module: int) -> frozenset[int]:
        return self.model.converters[module].closed

    def report(self, outlet: int) -> CabinetReport:
        return next(report for report in self.rule.reports(self.now) if report.outlet == outlet)


def test_a_session_that_begins_gets_modules_and_one_that_is_over_keeps_them_until_somebody_needs_them() -> None:
    bench = Bench()
    bench.sessions[1] = session(ChargeState.LOCKING)
    bench.run(2.0)
    connected = bench.report(1).modules_connected
    assert connected >= 2
    bench.sessions[1] = SessionState(state=ChargeState.AVAILABLE)
    bench.run(5.0)
    assert bench.report(1).modules_connected == connected
    bench.sessions[2] = session(ChargeState.LOCKING)
    bench.run(5.0)
    assert bench.report(2).modules_connected >= 2
    assert bench.model.refusals == Refusals()


def test_the_only_module_of_a_charging_vehicle_does_not_leave_whatever_the_plan_says() -> None:
    bench = Bench(plans=False).run(0.5)
    bench.sessions[1] = session(ChargeState.LOCKING)
    bench.rule.take({1: 1})
    bench.run(1.0)
    assert bench.closed(1) == {1}
    bench.live(1, 300.0)
    bench.sessions[1] = session(ChargeState.CHARGING, 20e3)
    bench.run(0.5)
    bench.rule.take({1: 2})
    bench.run(5.0)
    assert bench.closed(1) == {1}
    bench.rule.take({2: 1})
    bench.live(1, 300.0)
    bench.run(4.0)
    assert bench.closed(2) == {1}
    bench.run(3.0)
    assert bench.closed(1) == {2}
    assert bench.model.refusals == Refusals()


def test_a_module_that_cannot_be_spared_for_long_stays_for_good() -> None:
    bench = Bench(plans=False).run(0.5)
    bench.sessions[1] = session(ChargeState.LOCKING)
    bench.rule.take({1: 1})
    bench.run(1.0)
    bench.rule.take({1: 2})
    bench.run(AllocatorConfig().leave_time + 1.0)
    bench.rule.take({2: 1})
    bench.run(3.0)
    assert bench.closed(1) == {1}


@pytest.mark.parametrize(
    "state", [ChargeState.CABLE_CHECK, ChargeState.PRECHARGE, ChargeState.WAITING_FOR_CONTACTOR, ChargeState.RAMPING_DOWN]
)
def test_no_module_comes_while_the_voltage_leaps(state: ChargeState) -> None:
    bench = Bench(plans=False).run(0.5)
    bench.sessions[1] = session(state)
    bench.rule.take({1: 1})
    bench.run(3.0)
    assert bench.closed(1) == frozenset()
    assert bench.rule.stage(1) is Stage.APART


def test_an_evse_that_is_not_heard_of_keeps_its_modules() -> None:
    bench = Bench()
    bench.sessions[1] = session(ChargeState.LOCKING)
    bench.run(2.0)
    bench.sessions[1] = None
    bench.run(AllocatorConfig().session_timeout + 0.5)
    connected = bench.report(1).modules_connected
    bench.sessions[2] = session(ChargeState.LOCKING)
    bench.run(5.0)
    assert connected >= 2
    assert bench.report(1).modules_connected == connected


def test_without_the_outlets_voltage_nothing_is_connected() -> None:
    bench = Bench(plans=False).run(0.5)
    bench.sessions[1] = session(ChargeState.LOCKING)
    bench.rule._receiver.outlets.clear()
    bench.model._outlet_frame = lambda number, outlet: bench.model._cabinet_frame()  # type: ignore[method-assign]
    bench.rule.take({1: 1})
    bench.run(1.0)
    assert bench.closed(1) == frozenset()


def test_an_outlet_that_the_description_does_not_allow_is_not_taken() -> None:
    bench = Bench(plans=False).run(0.5)
    bench.sessions[1] = session(ChargeState.LOCKING)
    bench.rule.take({1: 3})
    bench.run(1.0)
    assert bench.closed(1) == frozenset()
    assert bench.model.refusals == Refusals()


def test_silence_of_the_cabinet_and_of_a_module_is_told() -> None:
    bench = Bench().run(1.0)
    assert bench.report(1).age < 0.2
    assert (bench.report(1).lost, bench.report(1).stuck, bench.report(1).bridged) == ("", "", "")
    bench.model.inject("cabinet_status_frozen", True, module=2)
    bench.run(1.0)
    assert bench.report(1).lost == bench.report(2).lost == "module 2 is silent"
    bench.model.inject("cabinet_silent", True)
    bench.run(2.0)
    assert bench.report(1).age > 1.9


def test_before_the_first_frame_nothing_is_known_and_nothing_commanded_but_to_hold() -> None:
    rule = ModuleAllocator(AllocatorConfig(), CONTENT, DATABASE)
    rule.on_facts({1: OutletFacts(Sample(session(ChargeState.LOCKING), 0.0))})
    frames = rule.step(0.1)
    assert {DATABASE.decode(frame).signals["Switch"] for frame in frames} == {15.0}
    problem = rule.problem(0.1)
    assert problem is not None
    assert problem.modules == ()
    assert all(isnan(report.age) for report in rule.reports(0.1))


def test_garbage_on_the_bus_is_counted_and_says_nothing() -> None:
    bench = Bench().run(0.5)
    frame = DATABASE.encode("Module_Status", {"Alive": 1}, pistol=1)
    bench.rule.on_frame(replace(frame, data=frame.data[:3]), bench.now)
    bench.rule.on_frame(replace(frame, id=0x123), bench.now)
    assert (bench.rule.malformed, bench.rule.unknown) == (1, 1)
