"""Four EVSEs on one cabinet, whole sessions: who gets how many modules, and what happens when something of the cabinet breaks under current."""

from typing import Any

import pytest

from evse_core.module_switching import Stage
from evse_core.types import ChargeState
from evse_nodes import databases
from evse_simulators.cabinet_converter import Refusals
from evse_simulators.cabinet_world import CabinetWorld, CabinetWorldConfig, example
from evse_simulators.memo_database import MemoDatabase
from evse_simulators.secc import SeccConfig
from evse_simulators.world_config import QUICK_CONTROLLER

KNOWN: Any = {name: MemoDatabase(databases.load(name)) for name in databases.NAMES}


def vehicle(current: float) -> SeccConfig:
    return SeccConfig(**(QUICK_CONTROLLER | {"max_current": current}))


def world(modules: int = 4, outlets: int = 2, **current: float) -> CabinetWorld:
    """Return a world with vehicles that want so much current, by their EVSE (evse_1=100.0)."""
    vehicles = {int(name.removeprefix("evse_")): vehicle(value) for name, value in current.items()}
    made = CabinetWorld(KNOWN, CabinetWorldConfig(cabinet=example(modules, outlets), vehicles=vehicles), seed=1)
    return made.run(1.0)


def charging(made: CabinetWorld, *outlets: int) -> CabinetWorld:
    """Let vehicles charge at these EVSEs until their current has settled."""
    for outlet in outlets:
        made.begin(outlet)
    assert made.run_until(lambda world: all(world.charges(outlet) for outlet in outlets), 25.0), [
        (one.session.state.name, one.session.stop_detail, one.safety_state.faults) for one in made.worlds.values()
    ]
    return made.run(8.0)


def serving(made: CabinetWorld, outlet: int) -> list[int]:
    return [number for number, converter in made.cabinet.converters.items() if converter.outlet == outlet]


def well(made: CabinetWorld) -> bool:
    """Return whether nothing happened that must not, and nothing was asked for that the interlock refuses."""
    truth = made.cabinet.truth
    return (truth.bridged, truth.moved_under_current, truth.above_rating) == (0, 0, 0) and made.cabinet.refusals == Refusals()


def faults(made: CabinetWorld, outlet: int) -> set[str]:
    return {entry.what for entry in made.worlds[outlet].log if entry.kind == "fault"}


def test_a_vehicle_gets_what_it_asks_for() -> None:
    made = charging(world(evse_1=150.0), 1)
    assert made.worlds[1].power.current == pytest.approx(150.0, abs=3.0)
    assert well(made)
    assert faults(made, 1) == set()


def test_what_is_short_is_shared_and_nobody_is_cut_off() -> None:
    made = charging(world(modules=4, evse_1=400.0, evse_2=400.0), 1)
    assert len(serving(made, 1)) == 4
    made = charging(made, 2)
    made.run(6.0)
    assert (len(serving(made, 1)), len(serving(made, 2))) == (2, 2)
    assert made.worlds[1].session.state is ChargeState.CHARGING
    assert well(made)
    assert faults(made, 1) == faults(made, 2) == set()


def test_modules_that_are_not_needed_rest() -> None:
    made = charging(world(modules=4, evse_1=30.0), 1)
    made.run(22.0)
    assert made.reports[1].modules_running == 1
    assert made.worlds[1].power.current == pytest.approx(30.0, abs=2.0)
    assert well(made)
    assert faults(made, 1) == set()


def test_a_session_goes_on_with_less_when_a_module_dies() -> None:
    made = charging(world(modules=3, evse_1=400.0), 1)
    made.worlds[1].inject("cabinet_module_dies")
    made.run(3.0)
    assert made.charges(1)
    assert len(serving(made, 1)) == 2
    assert made.worlds[1].power.current > 100.0
    made.run(5.0)
    assert faults(made, 1) <= {"module_lost", "module_failed"}
    assert "module_lost" in faults(made, 1)
    assert well(made)


def test_another_module_takes_the_place_of_the_only_one_that_died() -> None:
    made = charging(world(modules=2, evse_1=50.0), 1)
    made.run(25.0)
    for number in serving(made, 1)[1:]:
        made.cabinet.inject("cabinet_module_dies", True, module=number)
    made.run(3.0)
    made.cabinet.heal()
    made.run(3.0)
    assert made.charges(1)
    assert well(made)


def test_a_switch_that_welds_blocks_its_module_and_no_session() -> None:
    made = charging(world(modules=4, evse_1=400.0), 1)
    hit = serving(made, 1)
    for number in hit[1:]:
        made.cabinet.inject("cabinet_switch_welded", True, module=number)
    charging(made, 2)
    made.run(6.0)
    stuck = [number for number in hit if made.allocator is not None and made.allocator.stage(number) is Stage.STUCK]
    assert stuck
    assert set(stuck) <= set(hit[1:])
    assert all(made.cabinet.converters[number].closed == {1} for number in stuck)
    assert made.charges(1)
    assert made.charges(2)
    assert "module_switch_stuck" in faults(made, 1)
    assert "module_switch_stuck" in faults(made, 2)
    assert well(made)


def test_a_switch_that_does_not_close_takes_its_module_out() -> None:
    made = world(modules=3, evse_1=400.0)
    made.cabinet.inject("cabinet_switch_stuck_open", True, module=2)
    charging(made, 1)
    assert serving(made, 1) == [1, 3]
    assert made.allocator is not None
    assert made.allocator.stage(2) is Stage.STUCK
    assert "module_switch_stuck" in faults(made, 1)
    assert well(made)


def test_a_module_whose_status_freezes_gives_nothing_and_is_not_moved() -> None:
    made = charging(world(modules=3, evse_1=400.0), 1)
    made.cabinet.inject("cabinet_status_frozen", True, module=2)
    made.run(2.0)
    assert made.cabinet.converters[2].closed == {1}
    assert made.cabinet.converters[2].current == 0.0
    assert made.charges(1)
    assert "module_lost" in faults(made, 1) or (made.run(2.0) and "module_lost" in faults(made, 1))
    made.cabinet.heal()
    made.run(2.0)
    assert made.cabinet.converters[2].current > 0.0
    assert well(made)


def test_a_silent_cabinet_ends_the_sessions_in_order_and_moves_nothing() -> None:
    made = charging(world(modules=4, evse_1=100.0, evse_2=100.0), 1, 2)
    before = {number: converter.closed for number, converter in made.cabinet.converters.items()}
    made.worlds[1].inject("cabinet_silent")
    made.run(4.0)
    assert {number: converter.closed for number, converter in made.cabinet.converters.items()} == before
    assert made.run_until(lambda world: all(not one.session.session_active for one in world.worlds.values()), 30.0)
    assert all("cabinet_silent" in faults(made, outlet) for outlet in (1, 2))
    assert all(one.session.stop_cause.name == "CHARGER_FAULT" for one in made.worlds.values())
    assert well(made)


def test_a_restarted_allocator_goes_on_from_what_is_connected() -> None:
    made = charging(world(modules=4, evse_1=150.0), 1)
    before = {number: converter.closed for number, converter in made.cabinet.converters.items()}
    operations = sum(converter.operations for converter in made.cabinet.converters.values())
    made.allocator = None
    made.run(3.0)
    assert made.charges(1)
    made.allocator = made.new_allocator()
    made.run(5.0)
    assert made.charges(1)
    assert {number: converter.closed for number, converter in made.cabinet.converters.items()} == before
    assert sum(converter.operations for converter in made.cabinet.converters.values()) == operations
    assert "cabinet_silent" not in faults(made, 1)
    assert well(made)


def test_without_an_allocator_a_session_ends() -> None:
    made = charging(world(modules=4, evse_1=100.0), 1)
    made.allocator = None
    assert made.run_until(lambda world: not world.worlds[1].session.session_active, 40.0)
    assert "cabinet_silent" in faults(made, 1)


def test_a_module_that_connects_two_outlets_is_an_emergency_for_both() -> None:
    """Both guards are taken away here: the contacts are set by hand."""
    made = charging(world(modules=4, evse_1=100.0, evse_2=100.0), 1, 2)
    converter = made.cabinet.converters[serving(made, 1)[0]]
    converter.closed, converter.welded = frozenset({1, 2}), True
    made.run(2.0)
    for outlet in (1, 2):
        assert "outlets_connected" in faults(made, outlet)
        assert not made.worlds[outlet].board.contactor_closed
    assert made.allocator is not None
    assert made.allocator.stage(converter.rating.module) is Stage.STUCK


def test_the_same_seed_gives_the_same_run() -> None:
    def figures() -> object:
        made = charging(world(modules=4, evse_1=200.0, evse_2=300.0), 1, 2)
        return [(converter.closed, converter.current, converter.operations) for converter in made.cabinet.converters.values()]

    assert figures() == figures()
