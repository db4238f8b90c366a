"""How much an EVSE wants from its cabinet: what the vehicle shows, what it was seen to want, and what counts where nobody knows."""

from math import nan

import pytest

from evse_core.module_allocation import Need
from evse_core.module_demand import DemandConfig, DemandTracker, OutletFacts, OutletRating
from evse_core.sample import Sample
from evse_core.types import ChargeState, PowerBudget, SessionState, VehicleReport

CONFIG = DemandConfig()
RATING = OutletRating(3, 300.0, 90e3, 500.0)


def facts(state: ChargeState, now: float, wanted: float = nan, limited: bool = False, **others: object) -> OutletFacts:
    said = SessionState(state=state, session_id="s", session_active=True, power_wanted=wanted, limited=limited)
    return OutletFacts(Sample(said, now), **{name: Sample(value, now) for name, value in others.items()})  # type: ignore[arg-type]


def charging(tracker: DemandTracker, now: float, amperes: float, offered: float, **more: object) -> float:
    """Return the current [A] that counts as wanted by a vehicle at 300 V that could take so much of what is offered."""
    return tracker.step(facts(ChargeState.CHARGING, now, amperes * 300.0, **more), 300.0, offered, now).current  # type: ignore[arg-type]


def test_nobody_wants_anything_without_a_session() -> None:
    tracker = DemandTracker(CONFIG, RATING)
    for state in (ChargeState.AVAILABLE, ChargeState.FINISHED, ChargeState.FAULTED):
        assert tracker.step(facts(state, 1.0), 0.0, 0.0, 1.0) == Need(3)


def test_before_the_first_request_all_that_the_outlet_may_carry_is_wanted_at_the_voltage_to_come() -> None:
    vehicle = VehicleReport(target_voltage=450.0, max_voltage=470.0)
    need = DemandTracker(CONFIG, RATING).step(facts(ChargeState.LOCKING, 1.0, vehicle=vehicle), 0.0, 0.0, 1.0)
    assert need == Need(3, pytest.approx(200.0), CONFIG.least_current, 450.0)


@pytest.mark.parametrize(
    ("others", "current"),
    [
        ({"budget": PowerBudget(power=30e3, valid_for=5.0)}, 60.0),
        ({"vehicle": VehicleReport(max_current=80.0, max_voltage=500.0)}, 80.0),
        ({}, 180.0),
        ({"budget": PowerBudget(power=0.0, valid_for=5.0)}, 0.0),
    ],
)
def test_site_and_vehicle_limit_what_is_wanted(others: dict[str, object], current: float) -> None:
    need = DemandTracker(CONFIG, RATING).step(facts(ChargeState.LOCKING, 1.0, **others), 0.0, 0.0, 1.0)  # type: ignore[arg-type]
    assert need.current == pytest.approx(current)


@pytest.mark.parametrize("state", [ChargeState.CABLE_CHECK, ChargeState.PRECHARGE, ChargeState.WAITING_FOR_REQUEST])
def test_a_test_is_not_settled(state: ChargeState) -> None:
    need = DemandTracker(CONFIG, RATING).step(facts(state, 1.0), 300.0, 100.0, 1.0)
    assert need.current > 0.0
    assert not need.settled


@pytest.mark.parametrize("state", [ChargeState.RAMPING_DOWN, ChargeState.EMERGENCY, ChargeState.WELDING_DETECTION, ChargeState.UNKNOWN])
def test_what_ends_wants_nothing_and_is_not_settled(state: ChargeState) -> None:
    need = DemandTracker(CONFIG, RATING).step(facts(state, 1.0), 300.0, 100.0, 1.0)
    assert (need.current, need.settled) == (0.0, False)


def test_charging_without_a_known_voltage_is_not_settled() -> None:
    assert not DemandTracker(CONFIG, RATING).step(facts(ChargeState.CHARGING, 1.0, 30e3), nan, 0.0, 1.0).settled


def test_a_vehicle_that_asks_for_less_than_it_is_offered_wants_that() -> None:
    assert charging(DemandTracker(CONFIG, RATING), 1.0, 60.0, 100.0) == 60.0


def test_a_vehicle_that_asks_for_all_may_want_more() -> None:
    assert charging(DemandTracker(CONFIG, RATING), 1.0, 99.0, 100.0) == 300.0
    assert charging(DemandTracker(CONFIG, RATING), 1.0, 60.0, 100.0, limited=True) == 300.0


def test_a_wish_falls_only_after_its_hold_time() -> None:
    tracker = DemandTracker(CONFIG, RATING)
    assert charging(tracker, 0.0, 90.0, 200.0) == 90.0
    assert charging(tracker, CONFIG.demand_hold - 1.0, 40.0, 200.0) == 90.0
    assert charging(tracker, CONFIG.demand_hold + 0.1, 40.0, 200.0) == 40.0
    assert charging(tracker, CONFIG.demand_hold + 0.2, 70.0, 200.0) == 70.0


def test_a_vehicle_that_was_seen_to_want_less_gets_no_more_than_that_again() -> None:
    """Else modules would go back and forth between two vehicles for ever."""
    tracker = DemandTracker(CONFIG, RATING)
    charging(tracker, 0.0, 100.0, 200.0)
    later = CONFIG.demand_hold + 1.0
    assert charging(tracker, later, 100.0, 100.0) == 100.0
    assert charging(tracker, CONFIG.demand_memory + 1.0, 100.0, 100.0) == 300.0


def test_a_vehicle_that_takes_more_than_it_was_seen_to_want_is_asked_anew() -> None:
    tracker = DemandTracker(CONFIG, RATING)
    charging(tracker, 0.0, 60.0, 200.0)
    assert charging(tracker, 30.0, 99.0, 100.0) == 300.0


def test_another_session_begins_without_what_was_seen() -> None:
    tracker = DemandTracker(CONFIG, RATING)
    charging(tracker, 0.0, 60.0, 200.0)
    other = SessionState(state=ChargeState.CHARGING, session_id="t", session_active=True, power_wanted=60.0 * 300.0)
    assert tracker.step(OutletFacts(Sample(other, 30.0)), 300.0, 60.0, 30.0).current == 300.0


def test_who_is_not_heard_of_keeps_what_he_has() -> None:
    tracker = DemandTracker(CONFIG, RATING)
    said = facts(ChargeState.CHARGING, 1.0, 60.0 * 300.0)
    tracker.step(said, 300.0, 200.0, 1.0)
    need = tracker.step(said, 300.0, 200.0, 1.0 + CONFIG.session_timeout + 0.1)
    assert (need.current, need.charging, need.settled) == (60.0, True, False)
    assert not DemandTracker(CONFIG, RATING).step(OutletFacts(), nan, 0.0, 1.0).settled
