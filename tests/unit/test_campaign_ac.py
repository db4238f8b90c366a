"""The campaign of AC outputs: invariants that can fail, guards that are broken on purpose, sessions that once broke, plans that hold what can go wrong."""

from dataclasses import replace
from typing import Any

import pytest
from world_rig import DATABASES

from evse_core import charge_sequencer_pilot_current, permit_gate
from evse_core.control_pilot import duty_of
from evse_core.types import ChargeState, CutCause
from evse_simulators import campaign_plan as plans
from evse_simulators import campaign_plan_ac
from evse_simulators.ac_board import AcSide
from evse_simulators.campaign_ac import AC_INVARIANTS, AcObservation
from evse_simulators.campaign_invariants import Checker
from evse_simulators.campaign_observation import Excuses
from evse_simulators.campaign_plan import Action, Disturbance, Plan, random_plan
from evse_simulators.campaign_play import play
from evse_simulators.campaign_world import Sent

DRIVER = (Action("plug_in", "", 0.5), Action("token", "", 0.5), Action("start", "", 0.5), Action("stop", "CHARGING", 4.0))
CHARGING = AcObservation(now=10.0, current=16.0, duty=duty_of(16.0), state=ChargeState.CHARGING, register_wh=10.0)


def plan(*disturbances: Disturbance, actions: tuple[Action, ...] = DRIVER, **vehicle: Any) -> Plan:
    return Plan(1, vehicle=vehicle, actions=actions, disturbances=disturbances, link="pilot")


def broken(made: Plan) -> list[str]:
    return [item.invariant for item in play(made, DATABASES).broken]


# Plans


def test_plans_hold_every_fault_bus_vehicle_and_output_and_nothing_that_an_ac_output_does_not_have():
    made = [random_plan(3, number, "pilot") for number in range(1, 2000)]
    done = {(item.kind, item.target) for one in made for item in one.disturbances}
    assert {target for kind, target in done if kind == plans.FAULT} == set(campaign_plan_ac.AC_FAULTS)
    assert {target for kind, target in done if kind == plans.LINK} == {"IO.rx", "IO.tx"}
    assert {target for kind, target in done if kind == plans.TOPIC} == set(plans.AC_TOPICS)
    assert {key for one in made for key in one.vehicle} >= {key for one in campaign_plan_ac.AC_VEHICLES for key in one}
    assert {action.name for one in made for action in one.actions} >= set(campaign_plan_ac.POWERS)
    assert not {"module_hot", "vehicle_silent"} & set(campaign_plan_ac.AC_FAULTS)


def test_a_plain_session_ends_as_its_driver_wants():
    result = play(plan(), DATABASES)
    assert (result.outcome, result.broken) == ("LOCAL FINISHED", ())


def test_the_same_plan_gives_the_same_result():
    made = random_plan(5, 17, "pilot")
    assert play(made, DATABASES) == play(made, DATABASES)


@pytest.mark.parametrize("number", range(1, 9))
def test_some_random_sessions_hold(number: int):
    assert play(random_plan(7, number, "pilot"), DATABASES).broken == ()


@pytest.mark.parametrize(
    ("seed", "number"), [(1, 3), (1, 21), (1, 27), (1, 40), (1, 45), (1, 115), (1, 166), (2, 11), (2, 120), (4, 25), (4, 36)]
)
def test_sessions_that_were_broken_once_hold(seed: int, number: int):
    assert play(random_plan(seed, number, "pilot"), DATABASES).broken == ()


# Invariants


def later(*steps: float, **changes: Any) -> list[AcObservation]:
    return [replace(CHARGING, now=CHARGING.now + step, **changes) for step in steps]


BREAKS: dict[str, list[AcObservation]] = {
    "supply_without_vehicle": later(0.0, 0.125, ready=False),
    "live_output": later(0.0, 1.1, told_open=True, contactor_closed=False, current=0.0),
    "contactor_opened_under_current": [CHARGING, *later(0.1, contactor_closed=False, live=False, current=0.0)],
    "power_without_permit": [replace(CHARGING, sent=(Sent("Close_Contactor", 0.225),))],
    "ac_over_current": later(0.0, 0.1, current=18.2),
    "offer_too_high": later(0.0, 0.6, rated=13.0),
    "offer_changed_too_soon": [CHARGING, *later(4.9, duty=duty_of(14.0), current=13.0)],
    "offer_without_token": later(0.0, 0.6, authorised=False),
    "phases_switched_under_current": [CHARGING, *later(0.1, phases=1)],
    "register_decreased": [CHARGING, *later(0.1, register_wh=9.9)],
    "billed_twice": [],
    "no_reaction": later(0.0, 0.6, faults=frozenset({"emergency_stop"})),
}


def names_broken(observations: list[AcObservation], excuses: Excuses) -> list[str]:
    checker = Checker(excuses, kinds=AC_INVARIANTS)
    for seen in observations:
        checker.look(seen)
    return [item.invariant for item in checker.broken]


@pytest.mark.parametrize("name", [kind.name for kind in AC_INVARIANTS if BREAKS[kind.name]])
def test_each_invariant_fails_where_it_does_not_hold_and_only_there(name: str):
    assert names_broken(BREAKS[name], Excuses()) == [name]
    assert names_broken(later(0.0, 0.1, 2.0, 10.0), Excuses()) == []


@pytest.mark.parametrize(
    "allowed",
    [
        later(0.0, 0.1, ready=False),
        later(0.0, 0.9, told_open=True),
        [CHARGING, *later(0.1, emergency=True, contactor_closed=False, current=0.0)],
        [CHARGING, *later(0.1, ready=False), *later(0.2, ready=False, contactor_closed=False, current=0.0)],
        [CHARGING, *later(5.0, duty=duty_of(14.0), current=14.0)],
        [CHARGING, *later(2.0, duty=100.0), *later(3.0, duty=duty_of(16.0))],
        [CHARGING, *later(2.0, 6.0, duty=100.0, current=16.0)],
        later(0.0, 0.4, rated=13.0),
        [replace(CHARGING, phases=3, contactor_closed=False, current=0.0), *later(0.1, phases=1, contactor_closed=False, current=0.0)],
        later(0.0, 5.0, 11.0, duty=duty_of(16.0), allowed=10.0),
    ],
)
def test_what_is_within_its_allowed_time_breaks_nothing(allowed: list[AcObservation]):
    assert names_broken(allowed, Excuses()) == []


def test_what_the_site_has_no_more_must_not_be_offered_for_ever():
    assert names_broken(later(0.0, 6.0, 12.0, allowed=10.0), Excuses()) == ["offer_too_high"]


# Guards that are broken on purpose


def test_a_board_that_does_not_open_by_itself_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(AcSide, "coil", lambda self, commands, now: commands.close)
    assert "supply_without_vehicle" in broken(plan(Disturbance(plans.FAULT, "ac_drops_out", "", "CHARGING", 1.0)))


def test_a_gate_without_a_permit_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(permit_gate.PermitGate, "_reason", lambda self, inputs, now: CutCause.NONE)
    assert "power_without_permit" in broken(plan(Disturbance(plans.RULE, "safety_monitor", "killed", "CHARGING", 0.5, 2.0)))


def test_an_offer_above_the_cable_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(charge_sequencer_pilot_current, "available_current", lambda view, phases: 32.0)
    assert "offer_too_high" in broken(plan(cable_current=13.0))


def test_an_offer_to_nobody_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(charge_sequencer_pilot_current, "signalled", lambda view: 16.0)
    monkeypatch.setattr("evse_core.charge_sequencer_pilot_outputs.signalled", lambda view: 16.0)
    monkeypatch.setattr(permit_gate.PermitGate, "_reason", lambda self, inputs, now: CutCause.NONE)
    assert "offer_without_token" in broken(plan(actions=(Action("plug_in", "", 0.5),)))


def test_offers_that_follow_each_other_too_soon_are_found(monkeypatch: pytest.MonkeyPatch):
    available = charge_sequencer_pilot_current.available_current

    def restless(view: Any, phases: int) -> float:
        view.session.offer.changed = min(view.session.offer.changed, view.now - 6.0)
        return min(available(view, phases), 16.0 if int(view.now) % 2 else 10.0)

    monkeypatch.setattr(charge_sequencer_pilot_current, "available_current", restless)
    assert "offer_changed_too_soon" in broken(plan())


def test_a_contactor_that_opens_under_current_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("evse_core.charge_sequencer_pilot_outputs._CONNECTED", frozenset({ChargeState.CHARGING}))
    assert "contactor_opened_under_current" in broken(plan())


def test_phases_that_switch_under_current_are_found(monkeypatch: pytest.MonkeyPatch):
    original = AcSide.step

    def careless(self: AcSide, vehicle: Any, commands: Any, now: float) -> None:
        original(self, vehicle, commands, now)
        if max(self.currents) > 5.0:
            self.phases = 1

    monkeypatch.setattr(AcSide, "step", careless)
    assert "phases_switched_under_current" in broken(plan())
