"""The campaign of the cabinet: its plans, its judgement, and that it finds what is broken."""

import json
from typing import Any

import pytest

from evse_core.codecs.cabinet import ALL_OPEN, Duty, ModuleCommand
from evse_core.module_switching import Mover, Stage
from evse_nodes import databases
from evse_simulators import campaign_cabinet_plan, campaign_cabinet_play
from evse_simulators.campaign_cabinet_plan import FAULTS, Arrival, CabinetPlan, Trouble, from_json, random_plan, to_json
from evse_simulators.campaign_cabinet_play import CabinetPlay, play
from evse_simulators.campaign_shrink import shrink
from evse_simulators.memo_database import MemoDatabase
from evse_tools import campaign_command
from evse_tools.campaign_kinds import CABINET, cabinet_figures, option

KNOWN: Any = {name: MemoDatabase(databases.load(name)) for name in databases.NAMES}
# Two vehicles, one after the other, for as short as a session can be.
SHORT = CabinetPlan(5, actions=(Arrival(1, 0.5, 150.0, 12.0), Arrival(2, 1.0, 150.0, 12.0)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play with four modules and two EVSEs, and end soon: the whole cabinet is for the campaign itself."""
    monkeypatch.setattr(campaign_cabinet_plan, "MODULES", 4)
    monkeypatch.setattr(campaign_cabinet_plan, "OUTLETS", 2)
    monkeypatch.setattr(campaign_cabinet_play, "AFTER_THE_LAST", 8.0)


def broken(plan: CabinetPlan, until: str = "") -> set[str]:
    return {item.invariant for item in play(plan, KNOWN, until).broken}


def test_plans_are_made_from_seed_and_number_alone_and_go_to_json_and_back() -> None:
    for number in range(1, 40):
        plan = random_plan(3, number)
        assert plan == random_plan(3, number)
        assert from_json(json.loads(json.dumps(to_json(plan)))) == plan
    assert random_plan(3, 1) != random_plan(4, 1)


def test_every_kind_of_trouble_comes_up() -> None:
    found = {(trouble.kind, trouble.target) for number in range(1, 200) for trouble in random_plan(1, number).disturbances}
    assert found == {*(("fault", name) for name in FAULTS), ("link", "cabinet.rx"), ("link", "cabinet.tx"), ("rule", "module_allocator")}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "seed: an integer is needed"),
        ({"seed": 1, "extra": 2}, "unknown key extra"),
        ({"seed": 1, "actions": [{"outlet": 9, "delay": 0.0, "current": 1.0, "stays": 1.0}]}, "arrival: outlet: 9 is none of 1, 2, 3, 4"),
        ({"seed": 1, "actions": [{"outlet": 1}]}, "arrival"),
        ({"seed": 1, "disturbances": [{"kind": "fault", "target": "earthquake", "delay": 0.0}]}, "'earthquake' is none of"),
        ({"seed": 1, "disturbances": [{"kind": "magic", "target": "", "delay": 0.0}]}, "'magic' is none of"),
    ],
)
def test_a_wrong_plan_is_named(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_json(value)


@pytest.mark.usefixtures("small")
def test_a_plan_holds_and_gives_the_same_result_again() -> None:
    first, second = play(SHORT, KNOWN), play(SHORT, KNOWN)
    assert first == second
    assert first.broken == ()
    assert (first.figures.sessions, first.figures.charged) == (2, 2)
    assert first.figures.operations >= 4
    assert 0.5 < first.figures.given / first.figures.wanted <= 1.0


@pytest.mark.usefixtures("small")
def test_an_allocator_that_moves_at_once_is_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def reckless(self: Mover, status: Any, target: int, *_: Any, **__: Any) -> ModuleCommand:
        self.stage, self.outlet = Stage.APART, ALL_OPEN
        return ModuleCommand(target, Duty.RUN)

    monkeypatch.setattr(Mover, "step", reckless)
    monkeypatch.setattr("evse_core.module_allocator.checked", lambda command, status: command)
    found = "never_asked_for_two"
    spoiled = CabinetPlan(5, actions=SHORT.actions, disturbances=(Trouble("fault", "cabinet_module_dies", 3.0, 3),))
    assert found in broken(spoiled, found)
    shortest = shrink(spoiled, lambda plan: found in broken(plan, found), 2)
    assert shortest.disturbances == ()


@pytest.mark.usefixtures("small")
def test_modules_that_are_kept_from_who_needs_them_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evse_core.module_allocator.ModuleAllocator.take", _only_one)
    monkeypatch.setattr(campaign_cabinet_play, "SETTLED", 6.0)
    assert broken(CabinetPlan(5, actions=(Arrival(1, 0.5, 300.0, 22.0),))) == {"demand_met"}


def _only_one(rule: Any, placement: Any) -> None:
    for number, place in rule._places.items():
        if place.target is not None:
            place.target = placement.get(number, 0) if number == 2 else 0


@pytest.mark.usefixtures("small")
def test_an_interlock_that_lets_two_switches_close_is_found() -> None:
    one = CabinetPlay(CabinetPlan(5), KNOWN)
    converter = one.world.cabinet.converters[1]
    converter.closed, converter.welded = frozenset({1, 2}), True
    assert "outlets_apart" in {item.invariant for item in one.run().broken}


@pytest.mark.usefixtures("small")
def test_a_rule_that_raises_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: Any) -> None:
        raise ZeroDivisionError("test")

    monkeypatch.setattr("evse_core.module_allocator.ModuleAllocator.problem", raises)
    assert broken(SHORT) == {"rule_raises"}


@pytest.mark.usefixtures("small")
def test_the_command_plays_a_plan_of_the_cabinet_and_tells_its_figures(tmp_path: Any) -> None:
    plan, target = tmp_path / "plan.json", tmp_path / "result.json"
    plan.write_text(json.dumps(to_json(CabinetPlan(5, actions=(Arrival(1, 0.5, 100.0, 12.0),)))))
    assert campaign_command.run(1, 1, str(target), 1, 0, plan, "chademo") == 0
    summary = json.loads(target.read_text())
    assert summary["link"] == CABINET
    assert summary["cabinet"]["sessions_charged"] == 1
    assert summary["violations"] == []
    assert option(CABINET) == " --cabinet"
    assert cabinet_figures([])["demand_met_share"] == 1.0
