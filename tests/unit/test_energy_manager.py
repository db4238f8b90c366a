"""Shares of the site: never more than there is, at no moment, and as much as there is."""

from dataclasses import replace
from math import inf, isnan, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_core.energy_manager import Demand, EnergyManager, ManagerConfig, allocate, fill

SITE = ManagerConfig(site_limit=100e3, evse_limit=60e3, min_power=3e3, headroom=0.0, demand_hold=0.0)
IDLE = Demand(fresh=True)
LOST = Demand()


def charging(wanted: float = nan, since: float = 0.0, limit: float = nan, measured: float = nan) -> Demand:
    return Demand(fresh=True, active=True, since=since, wanted=wanted, limit=limit, measured=measured)


@pytest.mark.parametrize(
    ("total", "wants", "shares"),
    [
        (90.0, {1: inf, 2: inf, 3: inf}, {1: 30.0, 2: 30.0, 3: 30.0}),
        (90.0, {1: 10.0, 2: inf, 3: inf}, {1: 10.0, 2: 40.0, 3: 40.0}),
        (90.0, {1: 10.0, 2: 35.0, 3: inf}, {1: 10.0, 2: 35.0, 3: 45.0}),
        (90.0, {1: 10.0, 2: 20.0, 3: 30.0}, {1: 10.0, 2: 20.0, 3: 30.0}),
        (0.0, {1: 10.0}, {1: 0.0}),
        (10.0, {}, {}),
        (10.0, {1: -5.0, 2: 20.0}, {1: 0.0, 2: 10.0}),
        (-10.0, {1: 5.0}, {1: 0.0}),
    ],
)
def test_filling(total: float, wants: dict[int, float], shares: dict[int, float]) -> None:
    assert fill(total, wants) == shares


# demands, what they had, targets
CASES = {
    "one alone gets what the EVSE may have": ({1: charging()}, {}, {1: 60e3}),
    "two share equally": ({1: charging(), 2: charging()}, {}, {1: 50e3, 2: 50e3}),
    "what one cannot use goes to the other, the rest to both": ({1: charging(20e3), 2: charging(55e3)}, {}, {1: 40e3, 2: 60e3}),
    "four share equally": ({n: charging() for n in range(1, 5)}, {}, dict.fromkeys(range(1, 5), 25e3)),
    "an unused share goes to three": ({1: charging(10e3), **{n: charging() for n in (2, 3, 4)}}, {}, {1: 10e3, 2: 30e3, 3: 30e3, 4: 30e3}),
    "who is idle gets the rest": ({1: charging(30e3), 2: IDLE}, {}, {1: 60e3, 2: 40e3}),
    "who is idle gets nothing where nothing is left": ({1: charging(), 2: charging(), 3: IDLE}, {}, {1: 50e3, 2: 50e3, 3: 0.0}),
    "all idle share, so that each can begin": ({1: IDLE, 2: IDLE}, {}, {1: 50e3, 2: 50e3}),
    "the limit of the CSMS holds": ({1: charging(limit=7e3), 2: charging()}, {}, {1: 7e3, 2: 60e3}),
    "a limit of zero is a limit": ({1: charging(limit=0.0), 2: IDLE}, {}, {1: 0.0, 2: 60e3}),
    "a negative limit counts as zero": ({1: charging(limit=-1.0)}, {}, {1: 0.0}),
    "who is not heard of keeps what it had": ({1: LOST, 2: charging()}, {1: 45e3}, {1: 45e3, 2: 55e3}),
    "or what the meter sees": ({1: replace(LOST, measured=48e3), 2: charging()}, {1: 45e3}, {1: 48e3, 2: 52e3}),
    "all lost keep no more than there is": ({1: LOST, 2: LOST}, {1: 80e3, 2: 80e3}, {1: 50e3, 2: 50e3}),
}


@pytest.mark.parametrize("name", CASES)
def test_targets(name: str) -> None:
    demands, had, targets = CASES[name]
    assert allocate(SITE, demands, had) == pytest.approx(targets)


def test_who_came_last_waits_where_shares_would_be_too_small_to_charge_with() -> None:
    config = replace(SITE, site_limit=10e3)
    demands = {1: charging(since=5.0), 2: charging(since=1.0), 3: charging(since=3.0), 4: charging(since=9.0)}
    assert allocate(config, demands, {}) == pytest.approx({2: 10e3 / 3, 3: 10e3 / 3, 1: 10e3 / 3, 4: 0.0})
    assert allocate(replace(config, site_limit=2e3), demands, {}) == pytest.approx({1: 0.0, 2: 2e3, 3: 0.0, 4: 0.0})


def test_a_vehicle_that_wants_little_does_not_make_the_last_one_wait() -> None:
    config = replace(SITE, site_limit=6e3)
    shares = allocate(config, {1: charging(wanted=1e3, since=1.0), 2: charging(since=2.0)}, {})
    assert shares == pytest.approx({1: 1e3, 2: 5e3})


def test_there_is_headroom_to_rise_into() -> None:
    shares = allocate(replace(SITE, headroom=2e3), {1: charging(10e3), 2: charging(), 3: charging()}, {})
    assert shares == pytest.approx({1: 12e3, 2: 44e3, 3: 44e3})


def test_a_second_session_gets_its_share_only_after_the_first_has_come_down() -> None:
    manager = EnergyManager(SITE, (1, 2))
    demands = {1: charging(), 2: charging(limit=0.0)}
    assert manager.step(demands, 0.0) == {1: 50e3, 2: 0.0}
    assert manager.step(demands, 1.0) == {1: 60e3, 2: 0.0}
    demands = {1: charging(), 2: charging()}
    assert manager.step(demands, 2.0) == {1: 50e3, 2: 40e3}
    assert manager.step(demands, 2.9) == {1: 50e3, 2: 40e3}
    assert manager.step(demands, 3.0) == {1: 50e3, 2: 50e3}


def test_who_does_not_come_down_is_counted_with_what_the_meter_sees() -> None:
    manager = EnergyManager(SITE, (1, 2))
    manager.step({1: charging(), 2: charging(limit=0.0)}, 0.0)
    manager.step({1: charging(), 2: charging(limit=0.0)}, 1.0)
    manager.step({1: charging(measured=60e3), 2: charging()}, 2.0)
    for second in range(3, 10):
        assert manager.step({1: charging(measured=60e3), 2: charging()}, float(second)) == {1: 50e3, 2: 40e3}
    assert manager.step({1: charging(measured=50e3), 2: charging()}, 10.0) == {1: 50e3, 2: 50e3}


def test_a_lower_limit_of_the_csms_holds_at_once() -> None:
    manager = EnergyManager(SITE, (1,))
    assert manager.step({1: charging()}, 0.0) == {1: 60e3}
    assert manager.step({1: charging(limit=11e3)}, 0.01) == {1: 11e3}


def test_a_limit_of_the_csms_for_all_is_shared_and_never_above_the_site() -> None:
    manager, both = EnergyManager(ManagerConfig(site_limit=100e3), (1, 2)), {1: charging(), 2: charging()}
    manager.step(both, 0.0)
    assert manager.step(both, 1.0, 30e3) == {1: 15e3, 2: 15e3}
    # One wants less: its share is handed on once it has come down, and no more than the limit is given away.
    later = [manager.step({1: charging(5e3), 2: charging()}, float(second), 30e3) for second in range(2, 40)]
    assert all(sum(shares.values()) <= 30e3 for shares in later)
    assert later[-1][2] > 15e3
    assert manager.step(both, 50.0, 0.0) == {1: 0.0, 2: 0.0}
    again = [manager.step(both, 51.0 + second, 500e3) for second in range(3)][-1]
    assert again == {1: 50e3, 2: 50e3}


def test_a_limit_of_the_csms_for_all_is_kept_also_while_shares_change() -> None:
    manager = EnergyManager(ManagerConfig(site_limit=100e3), (1, 2))
    for second in range(3):
        manager.step({1: charging(), 2: IDLE}, float(second), 30e3)
    assert manager.step({1: charging(), 2: IDLE}, 3.0, 30e3) == {1: 30e3, 2: 0.0}
    assert manager.step({1: charging(), 2: charging()}, 3.1, 30e3) == {1: 15e3, 2: 0.0}
    assert manager.step({1: charging(), 2: charging()}, 4.2, 30e3) == {1: 15e3, 2: 15e3}


def test_a_manager_that_was_restarted_begins_with_equal_shares() -> None:
    """What it had told before may still hold elsewhere."""
    manager = EnergyManager(SITE, (1, 2, 3, 4))
    assert manager.step({1: charging(), 2: IDLE, 3: LOST}, 0.0) == {1: 25e3, 2: 0.0, 3: 25e3, 4: 25e3}
    later = [manager.step({1: charging(), 2: IDLE, 3: LOST}, float(second)) for second in range(1, 5)]
    assert later[-1] == {1: 50e3, 2: 0.0, 3: 25e3, 4: 25e3}


def test_a_vehicle_that_ramps_up_or_pauses_keeps_its_share() -> None:
    manager = EnergyManager(replace(SITE, demand_hold=20.0), (1, 2))
    for second in range(100):
        wanted = nan if second < 10 else min(8e3 * (second - 10), 48e3) if not 50 <= second < 55 else 0.0
        shares = manager.step({1: charging(wanted), 2: charging()}, float(second))
        assert shares[1] >= 48e3, second


def test_a_vehicle_that_wants_less_for_good_hands_its_share_on() -> None:
    manager = EnergyManager(replace(SITE, demand_hold=20.0, evse_limit=100e3), (1, 2))
    shares = {}
    for second in range(40):
        shares = manager.step({1: charging(48e3 if second < 10 else 5e3), 2: charging()}, float(second))
        assert (shares[1] >= 48e3) is (second < 29), second
    assert shares == {1: 5e3, 2: 95e3}


POWER = st.one_of(st.just(nan), st.floats(-1e4, 2e5), st.sampled_from([0.0, 1e9, inf]))
DEMAND = st.builds(Demand, fresh=st.booleans(), active=st.booleans(), since=st.floats(0, 100), wanted=POWER, limit=POWER, measured=POWER)
CONFIG = st.builds(
    ManagerConfig,
    site_limit=st.floats(0.0, 3e5),
    evse_limit=st.floats(0.0, 2e5),
    min_power=st.floats(0.0, 1e4),
    headroom=st.floats(0.0, 1e4),
    release_time=st.floats(0.2, 5.0),
    demand_hold=st.floats(0.0, 10.0),
)


@given(CONFIG, st.dictionaries(st.integers(1, 6), DEMAND, min_size=1), st.data())
def test_targets_never_exceed_the_site_the_evse_or_the_csms(config: ManagerConfig, demands: dict[int, Demand], data: st.DataObject) -> None:
    had = {evse: data.draw(st.floats(0.0, 2e5)) for evse in demands}
    targets = allocate(config, demands, had)
    assert set(targets) == set(demands)
    assert sum(targets.values()) <= config.site_limit * (1 + 1e-9) + 1e-6
    for evse, target in targets.items():
        assert target >= 0.0
        if demands[evse].fresh:
            assert target <= config.evse_limit + 1e-6
            assert isnan(demands[evse].limit) or target <= max(demands[evse].limit, 0.0) + 1e-6


@settings(max_examples=100)
@given(CONFIG, st.lists(st.tuples(st.floats(0.0, 3.0), st.lists(DEMAND, min_size=3, max_size=3)), min_size=1, max_size=10))
def test_at_no_moment_may_more_be_used_than_there_is(config: ManagerConfig, steps: list[tuple[float, list[Demand]]]) -> None:
    """Whatever an EVSE was told within the release time, it may still be using."""
    manager, now, told = EnergyManager(config, (1, 2, 3)), 0.0, []
    for wait, demands in steps:
        now += wait
        shares = manager.step({evse: replace(demand, measured=nan) for evse, demand in zip((1, 2, 3), demands, strict=True)}, now)
        told.append((now, shares))
        # In force at some time within the release time: all told since, and the last one before.
        begin = max((index for index, (moment, _) in enumerate(told) if now - moment >= config.release_time), default=0)
        worst = [max(shares[evse] for _, shares in told[begin:]) for evse in (1, 2, 3)]
        assert sum(worst) <= config.site_limit + 1e-6
        assert all(share == int(share) for share in shares.values())


@settings(max_examples=100)
@given(st.lists(st.one_of(st.just(nan), st.floats(0.0, 60e3)), min_size=2, max_size=5))
def test_power_that_somebody_wants_is_not_left_over(wants: list[float]) -> None:
    config = replace(SITE, min_power=0.0)
    manager = EnergyManager(config, tuple(range(len(wants))))
    shares: dict[int, float] = {}
    for second in range(6):
        shares = manager.step({evse: charging(wanted) for evse, wanted in enumerate(wants)}, float(second))
    unmet = [evse for evse, wanted in enumerate(wants) if shares[evse] < min(60e3, 60e3 if isnan(wanted) else wanted) - 1.0]
    assert not unmet or sum(shares.values()) >= config.site_limit - len(wants)
