"""Composite schedules against a twin that lays every profile out as absolute intervals and looks each second up in them."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_core.ocpp16_charging_profiles import NEVER, Period, Profile, Purpose, Unit, Unusable, parse, period_at
from evse_core.ocpp16_composite import (
    MAX_DURATION,
    MAX_PERIODS,
    Charging,
    Limit,
    Outlet,
    Site,
    answer,
    composite,
    limit_of,
    session_winner,
    station_winner,
)
from evse_core.ocpp16_time import NoTime, parse_time

# A Sunday, some days before summer time ends in Europe. [s]
T0 = int(datetime(2026, 10, 18, 12, 0, tzinfo=UTC).timestamp())
DAY = 86400
AC, DC = Outlet(22_000.0, 3), Outlet(50_000.0)
ONE = Site({1: AC}, {1: Charging("s-1", T0 - 600)})


def profile(limit: float = 10.0, **changes: Any) -> Profile:
    made = Profile(1, 1, 0, Purpose.TX_DEFAULT, Unit.A, (Period(0, limit),), begin=T0)
    return replace(made, **changes)


def told(
    profiles: tuple[Profile, ...], unit: Unit = Unit.A, connector: int = 1, duration: int = 3600, site: Site = ONE
) -> list[tuple[int, float]]:
    steps, _ = composite(profiles, site, connector, T0, duration, unit)
    return [(step.start - T0, step.limit) for step in steps]


# The twin


class Twin:
    """Intervals [from, to) with period and unit of each profile, found by stepping through dates."""

    def __init__(self, profiles: tuple[Profile, ...], site: Site, begin: int, end: int) -> None:
        self.profiles, self.site, self.begin = profiles, site, begin
        self.laid = {id(item): {start: list(self._lay(item, start, end)) for start in self._starts()} for item in profiles}

    def _starts(self) -> set[int]:
        return {self.begin, *(runs.begin for runs in self.site.charging.values() if runs.begin is not None)}

    def _lay(self, item: Profile, transaction: int, end: int) -> Iterator[tuple[int, int, Period]]:
        origin = datetime.fromtimestamp(transaction if item.begin is None else item.begin, UTC)
        while origin.timestamp() < end:
            later = origin + timedelta(seconds=item.recurrence) if item.recurrence else datetime.fromtimestamp(end + 1, UTC)
            for number, period in enumerate(item.periods):
                start = int(origin.timestamp()) + period.start
                stop = int(origin.timestamp()) + (item.periods[number + 1].start if number + 1 < len(item.periods) else 10**9)
                stop = min(stop, int(origin.timestamp()) + min(item.duration, 10**9), int(later.timestamp()), item.valid_to)
                yield max(start, item.valid_from), stop, period
            origin = later

    def _now(self, group: list[Profile], transaction: int, time: int) -> tuple[Period, Unit] | None:
        for item in sorted(group, key=lambda one: -one.level):
            for start, stop, period in self.laid[id(item)][transaction]:
                if start <= time < stop:
                    return period, item.unit
        return None

    def of_connector(self, number: int, time: int, unit: Unit) -> float:
        runs, outlet = self.site.charging.get(number, Charging()), self.site.outlets[number]
        transaction = self.begin if runs.begin is None else runs.begin
        groups = [
            [p for p in self.profiles if p.purpose == Purpose.TX and p.connector == number and runs.session and p.session == runs.session],
            [p for p in self.profiles if p.purpose == Purpose.TX_DEFAULT and p.connector == number],
            [p for p in self.profiles if p.purpose == Purpose.TX_DEFAULT and p.connector == 0],
        ]
        found = [won for group in groups if (won := self._now(group, transaction, time)) is not None][:1]
        return min([self.rated(outlet, unit), *(self.value(won, outlet, unit) for won in found)])

    def station(self, outlet: Outlet, time: int, unit: Unit) -> float:
        found = self._now([p for p in self.profiles if p.purpose == Purpose.MAX], self.begin, time)
        return min([self.rated(outlet, unit), *([] if found is None else [self.value(found, outlet, unit)])])

    def limit(self, connector: int, time: int, unit: Unit) -> float:
        if connector:
            return round(min(self.of_connector(connector, time, unit), self.station(self.site.outlets[connector], time, unit)), 1)
        total = sum(self.of_connector(number, time, Unit.W) for number in self.site.outlets)
        share = total if unit == Unit.W else total / (3 * self.site.grid.voltage)
        return round(min(share, self.station(self.site.grid, time, unit)), 1)

    @staticmethod
    def value(won: tuple[Period, Unit], outlet: Outlet, unit: Unit) -> float:
        phases = min(won[0].phases, outlet.phases if outlet.phases else 3)
        if won[1] == unit:
            return won[0].limit
        return won[0].limit * phases * outlet.voltage if unit == Unit.W else won[0].limit / (phases * outlet.voltage)

    @staticmethod
    def rated(outlet: Outlet, unit: Unit) -> float:
        return outlet.power if unit == Unit.W else outlet.power / (outlet.voltage * (outlet.phases or 3))


seconds = st.integers(-3 * DAY, 3 * DAY).map(lambda offset: T0 + offset)


@st.composite
def profiles(draw: Any, number: int) -> Profile:
    purpose = draw(st.sampled_from(Purpose))
    recurrence = draw(st.sampled_from((0, 0, DAY, 7 * DAY)))
    starts = sorted(draw(st.sets(st.integers(1, 2 * DAY), max_size=4)))
    limits = st.integers(0, 320).map(lambda tenth: tenth / 10)
    relative = not recurrence and purpose != Purpose.MAX and draw(st.booleans())
    valid_from = draw(st.one_of(st.just(-NEVER), seconds))
    return Profile(
        number=number,
        connector=0 if purpose == Purpose.MAX else draw(st.integers(1 if purpose == Purpose.TX else 0, 2)),
        level=draw(st.integers(0, 3)) * 100 + number,  # Equal levels cannot be installed.
        purpose=purpose,
        unit=draw(st.sampled_from(Unit)),
        periods=tuple(Period(start, draw(limits), draw(st.integers(1, 3))) for start in (0, *starts)),
        begin=None if relative else draw(seconds),
        duration=draw(st.one_of(st.just(NEVER), st.integers(1, 3 * DAY))),
        recurrence=recurrence,
        valid_from=valid_from,
        valid_to=draw(st.one_of(st.just(NEVER), st.integers(1, 4 * DAY).map(lambda d: max(valid_from, T0 - DAY) + d))),
        session=draw(st.sampled_from(("s-1", "s-2", "over"))) if purpose == Purpose.TX else "",
    )


installed = st.integers(0, 8).flatmap(lambda count: st.tuples(*(profiles(number) for number in range(count))))
sites = st.builds(
    Site,
    outlets=st.just({1: AC, 2: Outlet(7_360.0, 1)}) | st.just({1: DC, 2: AC}),
    charging=st.just({}) | st.just({1: Charging("s-1", T0 - 5000)}) | st.just({1: Charging("s-1", T0 - 77), 2: Charging("s-2", T0)}),
    power=st.sampled_from((1e9, 30_000.0)),
)


@given(installed, sites, st.integers(0, 2), st.integers(1, 3 * DAY), st.sampled_from(Unit), st.data())
@settings(max_examples=150, deadline=None)
def test_a_composite_schedule_says_what_the_twin_finds_at_every_border_and_between(
    items: tuple[Profile, ...], site: Site, connector: int, duration: int, unit: Unit, data: st.DataObject
) -> None:
    steps, held = composite(items, site, connector, T0, duration, unit)
    assert held == duration
    assert steps[0].start == T0
    assert all(later.start > earlier.start and later.limit != earlier.limit for earlier, later in itertools.pairwise(steps))
    twin = Twin(items, site, T0, T0 + duration)
    borders = {edge for laid in twin.laid.values() for found in laid.values() for start, stop, _ in found for edge in (start, stop)}
    chosen = {edge + shift for edge in borders for shift in (-1, 0, 1)} | set(
        data.draw(st.lists(st.integers(T0, T0 + duration - 1), max_size=5))
    )
    for time in (one for one in chosen if T0 <= one < T0 + duration):
        limit = next(step.limit for step in reversed(steps) if step.start <= time)
        assert limit == pytest.approx(twin.limit(connector, time, unit), abs=1e-9), time - T0


@given(profiles(1), st.integers(-DAY, 2 * DAY))
@settings(max_examples=200, deadline=None)
def test_the_next_border_is_later_and_nothing_changes_before_it(item: Profile, offset: int) -> None:
    period, border = period_at(item, T0, T0 + offset)
    assert border > T0 + offset
    for time in {T0 + offset + 1, (T0 + offset + border) // 2, border - 1}:
        if T0 + offset <= time < border:
            assert period_at(item, T0, time) == (period, border)


# Single rules


def test_the_highest_level_that_is_valid_and_has_a_period_counts() -> None:
    low, high = profile(10.0, level=1), profile(20.0, level=2, number=2, duration=600, begin=T0 + 60)
    assert told((high, low)) == [(0, 10.0), (60, 20.0), (660, 10.0)]
    assert told((low, replace(high, valid_from=T0 + 90, valid_to=T0 + 100))) == [(0, 10.0), (90, 20.0), (100, 10.0)]
    assert told((low, replace(high, begin=T0, duration=NEVER))) == [(0, 20.0)]


def test_the_purposes_limit_each_other_and_a_transaction_goes_its_own_way() -> None:
    default = profile(10.0)
    own = profile(16.0, number=2, purpose=Purpose.TX, session="s-1", duration=300)
    most = profile(12.0, number=3, purpose=Purpose.MAX, connector=0)
    assert told((default, own)) == [(0, 16.0), (300, 10.0)]
    assert told((default, own, most)) == [(0, 12.0), (300, 10.0)]
    assert told((default, replace(own, session="other"))) == [(0, 10.0)]


def test_the_default_of_a_connector_replaces_that_of_the_station_there_only() -> None:
    everywhere, here = profile(6.0, connector=0, level=5), profile(13.0, number=2, level=0)
    site = Site({1: AC, 2: AC}, {})
    assert told((everywhere, here), site=site) == [(0, 13.0)]
    assert told((everywhere, here), connector=2, site=site) == [(0, 6.0)]


def test_relative_schedules_count_from_the_transaction_and_without_one_from_the_question() -> None:
    item = profile(purpose=Purpose.TX_DEFAULT, begin=None, periods=(Period(0, 8.0), Period(900, 14.0)))
    assert told((item,)) == [(0, 8.0), (300, 14.0)]
    assert told((item,), site=Site({1: AC}, {})) == [(0, 8.0), (900, 14.0)]


def test_a_day_repeats_at_its_own_time_of_day_also_where_clocks_change() -> None:
    night = profile(16.0, recurrence=DAY, duration=6 * 3600, begin=T0 - DAY + 10 * 3600)  # 22:00 to 04:00 UTC
    steps = told((night,), duration=9 * DAY)
    rated = round(22_000 / 690, 1)
    assert steps[:4] == [(0, rated), (10 * 3600, 16.0), (16 * 3600, rated), (34 * 3600, 16.0)]
    assert [start % DAY for start, limit in steps[1:] if limit == 16.0] == [10 * 3600] * 9


def test_what_is_longer_than_its_recurrence_is_cut() -> None:
    item = profile(recurrence=DAY, duration=3 * DAY, periods=(Period(0, 8.0), Period(DAY - 60, 14.0), Period(DAY + 60, 20.0)))
    assert told((item,), duration=DAY + 120) == [(0, 8.0), (DAY - 60, 14.0), (DAY, 8.0)]


def test_a_week_repeats_on_its_weekday() -> None:
    item = profile(9.0, recurrence=7 * DAY, duration=3600, begin=T0 - 7 * DAY + 3600)
    assert [start for start, limit in told((item,), duration=15 * DAY) if limit == 9.0] == [3600, 7 * DAY + 3600, 14 * DAY + 3600]


def test_a_gap_is_filled_by_the_rating_not_by_a_number_out_of_nowhere() -> None:
    assert told((), Unit.W) == [(0, 22_000.0)]
    assert told((), Unit.W, connector=0, site=Site({1: AC, 2: DC}, {}, 40_000.0)) == [(0, 40_000.0)]
    assert told((profile(40.0),), Unit.W) == [(0, 22_000.0)]  # Above the rating.


def test_units_are_converted_by_the_phases_that_are_there() -> None:
    single = Site({1: Outlet(7_400.0, 1)}, {})
    assert told((profile(16.0),), Unit.W, site=single) == [(0, 3680.0)]
    assert told((profile(2300.0, unit=Unit.W),), Unit.A, site=single) == [(0, 10.0)]
    assert told((profile(0.0, unit=Unit.W, periods=(Period(0, 4600.0, 2),)),), Unit.A) == [(0, 10.0)]
    assert told((profile(16.0),), Unit.W, site=Site({1: DC}, {})) == [(0, 11040.0)]


def test_connector_0_tells_what_all_may_take_together() -> None:
    site = Site({1: AC, 2: Outlet(7_360.0, 1)}, {})
    both = profile(10.0, connector=0)
    assert told((both,), Unit.W, connector=0, site=site) == [(0, 6900.0 + 2300.0)]
    most = profile(5000.0, purpose=Purpose.MAX, connector=0, unit=Unit.W, number=2)
    assert told((both, most), Unit.W, connector=0, site=site) == [(0, 5000.0)]


def test_a_schedule_of_too_many_steps_ends_earlier_and_says_so() -> None:
    item = profile(recurrence=DAY, periods=tuple(Period(n * 60, float(n % 2)) for n in range(600)))
    steps, held = composite((item,), ONE, 1, T0, 30 * DAY, Unit.A)
    assert len(steps) == MAX_PERIODS
    assert held < 30 * DAY
    payload = answer(1, T0, steps, held, Unit.A, AC)
    assert payload["chargingSchedule"]["duration"] == held
    assert "startSchedule" not in payload["chargingSchedule"]
    assert payload["chargingSchedule"]["chargingSchedulePeriod"][1] == {"startPeriod": 60, "limit": 1.0, "numberPhases": 3}


@pytest.mark.parametrize("duration", [2**31, 10**30])
def test_a_schedule_without_end_is_cut_and_quickly(duration: int) -> None:
    assert composite((), ONE, 1, T0, duration, Unit.A)[1] == MAX_DURATION
    steps, held = composite((profile(recurrence=DAY),), ONE, 1, T0, duration, Unit.A)
    assert (len(steps), held) == (1, MAX_DURATION)
    minutes = tuple(Period(n * 60, 7.0) for n in range(1000))
    assert composite((profile(recurrence=DAY, periods=minutes),), ONE, 1, T0, duration, Unit.A)[1] <= 2 * DAY


def test_a_limit_of_current_is_one_where_phases_are_and_does_not_fail_on_a_high_mains() -> None:
    assert limit_of((Period(0, 6.0), Unit.A), AC) == Limit(pytest.approx(6.0 * 690 * 1.1), 6.0)
    assert limit_of((Period(0, 6.0), Unit.A), DC) == Limit(pytest.approx(4140.0))
    assert limit_of((Period(0, 4000.0), Unit.W), AC) == Limit(4000.0)
    assert limit_of(None, AC) == Limit()


def test_winners_are_found_for_session_and_station_apart() -> None:
    most, default = profile(9.0, purpose=Purpose.MAX, connector=0), profile(7.0, number=2)
    assert station_winner((most, default), T0) == ((most.periods[0], Unit.A), NEVER)
    assert session_winner((most, default), 1, "", None, T0) == ((default.periods[0], Unit.A), NEVER)
    assert session_winner((most, default), 2, "", None, T0) == (None, NEVER)


# What is refused

SCHEDULE = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}]}
GIVEN = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": SCHEDULE,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"stackLevel": -1},
        {"chargingProfileId": 2**31},
        {"chargingProfileKind": "Recurring"},
        {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"},
        {"validFrom": "2026-01-02T00:00:00Z", "validTo": "2026-01-02T00:00:00Z"},
        {"chargingSchedule": SCHEDULE | {"chargingSchedulePeriod": []}},
        {"chargingSchedule": SCHEDULE | {"duration": 0}},
        {"chargingSchedule": SCHEDULE | {"duration": 2**31}},
        {"chargingSchedule": SCHEDULE | {"chargingSchedulePeriod": [{"startPeriod": 1, "limit": 6.0}]}},
        {"chargingSchedule": SCHEDULE | {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}, {"startPeriod": 0, "limit": 6.0}]}},
        {"chargingSchedule": SCHEDULE | {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": -0.1}]}},
        {"chargingSchedule": SCHEDULE | {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": float("nan")}]}},
        {"chargingSchedule": SCHEDULE | {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0, "numberPhases": 4}]}},
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    parse(1, GIVEN, T0)
    with pytest.raises(Unusable):
        parse(1, GIVEN | changes, T0)


@pytest.mark.parametrize(
    ("text", "expected"), [("1970-01-01T01:00:00+01:00", 0), ("1970-01-01T00:00:01.900Z", 1), ("1970-01-01T00:00:02", 2)]
)
def test_times_are_whole_seconds_of_utc(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01T00:00:00Z", "9999-99-99", 7])
def test_what_is_no_time_is_no_time(text: object) -> None:
    with pytest.raises(NoTime):
        parse(1, GIVEN | {"validTo": text}, T0)


def test_without_startschedule_the_station_counts_from_receipt_and_a_session_from_its_begin() -> None:
    assert parse(0, GIVEN | {"chargingProfilePurpose": "ChargePointMaxProfile", "chargingProfileKind": "Relative"}, T0).begin == T0
    assert parse(1, GIVEN, T0).begin is None
