"""The campaign with vehicles that give power: plans of its own, and two invariants that can fail."""

import hashlib
import json
from typing import Any

import pytest

from evse_core.types import ChargeState
from evse_nodes import databases
from evse_simulators.campaign_invariants import (
    BUDGET_AGE,
    EMPTY_TIME,
    OVER_CURRENT_TIME,
    ChargeThatStays,
    DischargeLimit,
)
from evse_simulators.campaign_observation import Excuses, Observation
from evse_simulators.campaign_plan import Action, Plan, random_plan
from evse_simulators.campaign_plan_json import from_json, to_json
from evse_simulators.campaign_play import play
from evse_simulators.memo_database import MemoDatabase

KNOWN: Any = {name: MemoDatabase(databases.load(name)) for name in databases.NAMES}
LINKS = ("chademo-v2x", "secc-v2x")
BEGIN = (Action("plug_in", "", 0.3), Action("token", "", 0.4), Action("start", "", 0.5))


def test_plans_of_vehicles_that_only_charge_are_those_of_before() -> None:
    """A seed that somebody noted gives the same sessions: on chademo as before there was a discharge, on secc since its protocols are drawn."""
    found = {}
    for link in ("chademo", "secc"):
        plans = [to_json(random_plan(seed, number, link)) for seed in (1, 7, 2028) for number in range(1, 60)]
        found[link] = hashlib.sha256(json.dumps(plans).encode()).hexdigest()[:16]
    assert found == {"chademo": "b45d6e01e3f72e9e", "secc": "176b40fd45f20eb6"}


@pytest.mark.parametrize("link", LINKS)
def test_plan_goes_to_json_and_back_and_asks_for_power(link: str) -> None:
    plans = [random_plan(3, number, link) for number in range(1, 30)]
    assert [from_json(json.loads(json.dumps(to_json(plan)))) for plan in plans] == plans
    assert all(any(action.name == "ask_discharge" for action in plan.actions) for plan in plans)


@pytest.mark.parametrize("link", LINKS)
def test_session_that_charges_gives_and_charges_holds(link: str) -> None:
    asked = (Action("ask_discharge", "CHARGING", 2.0), Action("end_discharge", "CHARGING", 9.0), Action("stop", "CHARGING", 16.0))
    result = play(Plan(5, 1, {"soc_percent": 65.0, "capacity_kwh": 1.0}, {}, (*BEGIN, *asked), (), link), KNOWN)
    assert result.broken == ()
    assert result.outcome == "LOCAL FINISHED"


@pytest.mark.parametrize(("link", "number"), [(link, number) for link in LINKS for number in (2, 5, 9)])
def test_random_sessions_hold(link: str, number: int) -> None:
    assert play(random_plan(12, number, link), KNOWN).broken == ()


def seen(now: float, **values: Any) -> Observation:
    return Observation(now=now, state=ChargeState.CHARGING, **values)


def first(check: Any, **values: Any) -> float:
    """Return when an invariant first fails for something that lasts, infinite where it never does [s]."""
    return next((step / 10 for step in range(400) if check(seen(step / 10, **values))), float("inf"))


def test_current_that_nobody_asked_for_breaks_an_invariant() -> None:
    longest = BUDGET_AGE + OVER_CURRENT_TIME
    assert first(DischargeLimit(Excuses()), current=-15.0) == pytest.approx(longest, abs=0.2)
    assert first(DischargeLimit(Excuses()), current=-9.0) == float("inf")
    assert first(DischargeLimit(Excuses()), current=-15.0, permitted_discharge=15.0) == float("inf")
    assert first(DischargeLimit(Excuses()), current=-40.0, permitted_discharge=15.0) == pytest.approx(longest, abs=0.2)


def test_discharge_below_what_must_stay_breaks_an_invariant_unless_the_vehicle_lied() -> None:
    low: dict[str, Any] = {"current": -20.0, "soc_percent": 48.0, "min_soc_percent": 50.0}
    assert first(ChargeThatStays(Excuses()), **low) == pytest.approx(EMPTY_TIME, abs=0.2)
    assert first(ChargeThatStays(Excuses()), **(low | {"soc_percent": 49.5})) == float("inf")
    assert first(ChargeThatStays(Excuses()), **(low | {"current": 20.0})) == float("inf")
    assert first(ChargeThatStays(Excuses()), **low, faults=frozenset({"ccs_lies_about_charge"})) == float("inf")
