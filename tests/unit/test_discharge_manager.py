"""What the site asks back: never more than asked for or allowed, shared among those who can, and run out by itself."""

from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_core.discharge_manager import DischargeManager
from evse_core.energy_manager import Demand, ManagerConfig

SITE = ManagerConfig(export_limit=20e3)


def giving(power: float) -> Demand:
    return Demand(fresh=True, active=True, discharge=power)


def manager(
    power: float = 10e3, valid_for: float = 60.0, evses: tuple[int, ...] = (1, 2), config: ManagerConfig = SITE
) -> DischargeManager:
    made = DischargeManager(config, evses)
    assert made.ask(power, valid_for, 0.0) == ""
    return made


@pytest.mark.parametrize(
    ("offers", "shares"),
    [
        ({1: giving(30e3), 2: giving(30e3)}, {1: 5e3, 2: 5e3}),
        ({1: giving(2e3), 2: giving(30e3)}, {1: 2e3, 2: 8e3}),
        ({1: giving(2e3), 2: giving(3e3)}, {1: 2e3, 2: 3e3}),
        ({1: giving(0.0), 2: giving(30e3)}, {1: 0.0, 2: 10e3}),
        ({1: giving(nan), 2: giving(-5e3)}, {1: 0.0, 2: 0.0}),
        ({1: Demand(fresh=True, discharge=9e3), 2: Demand(active=True, discharge=9e3)}, {1: 0.0, 2: 0.0}),
        ({}, {1: 0.0, 2: 0.0}),
    ],
)
def test_request_is_shared_among_those_who_can(offers: dict[int, Demand], shares: dict[int, float]) -> None:
    assert manager().step(offers, 1.0) == shares


def test_request_runs_out_and_the_last_word_counts() -> None:
    made, both = manager(valid_for=10.0), {1: giving(30e3), 2: giving(30e3)}
    assert sum(made.step(both, 9.9).values()) == 10e3
    assert sum(made.step(both, 10.0).values()) == 0.0
    assert made.ask(4e3, 10.0, 12.0) == ""
    assert sum(made.step(both, 13.0).values()) == 4e3
    assert made.ask(0.0, 0.0, 13.5) == ""
    assert sum(made.step(both, 13.5).values()) == 0.0


def test_nothing_is_asked_of_vehicles_that_nobody_asked_for() -> None:
    assert DischargeManager(SITE, (1,)).step({1: giving(30e3)}, 0.0) == {1: 0.0}


@pytest.mark.parametrize(
    ("power", "valid_for", "words"),
    [
        (20_001.0, 10.0, "export_limit"),
        (-1.0, 10.0, "no size"),
        (nan, 10.0, "no size"),
        (inf, 10.0, "no size"),
        (1e3, 0.0, "valid_for"),
        (1e3, -5.0, "valid_for"),
        (1e3, nan, "valid_for"),
        (1e3, 3601.0, "longest_discharge"),
    ],
)
def test_request_that_makes_no_sense_is_refused_and_changes_nothing(power: float, valid_for: float, words: str) -> None:
    made = manager()
    assert words in made.ask(power, valid_for, 1.0)
    assert made.asked(2.0) == 10e3


def test_site_that_allows_no_export_is_asked_for_none() -> None:
    assert "export_limit" in DischargeManager(ManagerConfig(), (1,)).ask(1.0, 10.0, 0.0)


def test_share_moves_to_another_only_when_the_first_has_come_down() -> None:
    made = manager()
    assert made.step({1: giving(30e3), 2: giving(0.0)}, 1.0) == {1: 10e3, 2: 0.0}
    swapped = {1: giving(0.0), 2: giving(30e3)}
    assert made.step(swapped, 2.0) == {1: 0.0, 2: 0.0}
    assert made.step(swapped, 2.0 + SITE.release_time) == {1: 0.0, 2: 10e3}


def test_evse_that_is_not_heard_of_may_give_on_as_long_as_its_budget_holds() -> None:
    made = manager()
    made.step({1: giving(30e3), 2: giving(0.0)}, 1.0)
    lost = {1: Demand(), 2: giving(30e3)}
    assert made.step(lost, 2.0) == {1: 0.0, 2: 0.0}
    assert made.step(lost, 2.0 + SITE.release_time) == {1: 0.0, 2: 0.0}
    assert made.step(lost, 2.0 + SITE.valid_for) == {1: 0.0, 2: 10e3}


OFFERS = st.dictionaries(st.integers(1, 3), st.builds(Demand, st.booleans(), st.booleans(), discharge=st.floats(0.0, 40e3) | st.just(nan)))
EVENTS = st.lists(st.tuples(st.floats(0.05, 3.0), OFFERS, st.none() | st.tuples(st.floats(0.0, 25e3), st.floats(1.0, 20.0))), max_size=25)


@settings(max_examples=60)
@given(EVENTS)
def test_vehicles_together_are_never_asked_for_more_than_the_site_wants_while_shares_change(events: list) -> None:
    made, now, told = DischargeManager(SITE, (1, 2, 3)), 0.0, []
    for pause, offers, request in events:
        now += pause
        if request is not None:
            made.ask(*request, now)
        shares = made.step(offers, now)
        assert sum(shares.values()) <= made.asked(now) <= SITE.export_limit
        told.append((now, shares))
        # What one may still be giving within release_time, and what another has just been asked for, fit together where the request has not fallen.
        if request is None and len(told) > 1 and now - told[-2][0] < SITE.release_time and made.asked(now) > 0.0:
            assert sum(max(shares[evse], told[-2][1][evse]) for evse in shares) <= made.asked(now) + 1e-6
