"""What the time of a session counts as, and which readings are taken between its begin and its end."""

import random
from itertools import pairwise

import pytest

from evse_core.energy_meter import Reading
from evse_core.ocmf import Mark
from evse_core.session_readings import MOST_EVENTS, READING_SPACING, Activity, ReadingsWatch, SessionReading, SessionTimes, activity
from evse_core.types import ChargeState, SessionState

CHARGING, IDLE, NEITHER = Activity.CHARGING, Activity.IDLE, Activity.NEITHER
S = ChargeState


@pytest.mark.parametrize(
    ("state", "limited", "age", "current", "found"),
    [
        (S.CHARGING, False, 0.1, 50.0, CHARGING),
        (S.CHARGING, True, 0.1, 50.0, CHARGING),
        (S.CHARGING, False, 0.1, -50.0, Activity.GIVING),  # the vehicle serves the site
        (S.RAMPING_DOWN, False, 0.1, 50.0, CHARGING),
        (S.CHARGING, False, 0.1, 0.9, IDLE),
        (S.CHARGING, False, 0.1, 1.0, CHARGING),
        (S.WAITING_FOR_REQUEST, False, 0.1, 0.0, IDLE),
        (S.CHARGING, True, 0.1, 0.0, NEITHER),  # the station gives nothing
        (S.WAITING_FOR_REQUEST, True, 0.1, 0.0, NEITHER),
        (S.LOCKING, False, 0.1, 0.0, NEITHER),
        (S.PRECHARGE, False, 0.1, 0.0, NEITHER),
        (S.RAMPING_DOWN, False, 0.1, 0.0, NEITHER),
        (S.CHARGING, False, 1.1, 0.0, NEITHER),  # nobody knows what the sequence does
        (S.CHARGING, False, 1.1, 50.0, NEITHER),
        (S.CHARGING, False, 0.1, None, NEITHER),  # nobody knows what flows
    ],
)
def test_time_is_the_drivers_only_where_the_vehicle_decides(
    state: ChargeState, limited: bool, age: float, current: float | None, found: Activity
) -> None:
    reading = None if current is None else Reading(0.0, 400.0, current)
    assert activity(SessionState(state=state, limited=limited), age, reading) is found


def test_before_the_first_session_state_no_time_counts() -> None:
    assert activity(None, 0.0, Reading(0.0, 400.0, 50.0)) is NEITHER


def test_time_counts_as_what_it_began_as_and_a_gap_is_free() -> None:
    times = SessionTimes(1.0)
    for now, found in ((0.0, CHARGING), (0.5, CHARGING), (1.0, IDLE), (1.5, NEITHER), (2.0, IDLE), (9.0, IDLE), (9.25, IDLE)):
        times.count(found, now)
    assert (times.times.charging, times.times.idle) == (1.0, 0.5 + 0.25)


def watch(*marks: Mark, flowed: bool = False) -> ReadingsWatch:
    rows = [SessionReading(number, mark, 0.0, 0.0, 0.0, 0.0, 0.0, "") for number, mark in enumerate(marks)]
    return ReadingsWatch(rows, flowed)


def play(found: ReadingsWatch, steps: list[tuple[float, Activity]], prices: bool = False, heard: bool = True) -> list[tuple[float, Mark]]:
    """Give a watch what happens, a step a second; return what is taken, and when."""
    taken, now = [], 0.0
    for seconds, what in steps:
        until = now + seconds
        while now < until:
            if (mark := found.due(what, heard, prices, now)) is not None:
                found.taken(mark, now)
                taken.append((now, mark))
                prices = False
            now += 1.0
    return taken


def test_a_pause_has_a_reading_at_its_begin_and_its_end() -> None:
    assert play(watch(Mark.BEGIN), [(100, NEITHER), (300, CHARGING), (200, IDLE), (100, CHARGING)]) == [
        (409.0, Mark.SUSPENDED), (600.0, Mark.CHARGING),
    ]  # fmt: skip


def test_a_vehicle_that_gives_energy_has_not_paused_and_pays_no_time() -> None:
    assert play(watch(Mark.BEGIN), [(30, CHARGING), (300, Activity.GIVING), (30, CHARGING)]) == []
    times = SessionTimes(1.0)
    for now in (0.0, 1.0, 2.0):
        times.count(Activity.GIVING, now)
    assert (times.times.charging, times.times.idle) == (0.0, 0.0)


def test_a_short_pause_has_none_and_neither_has_a_session_before_its_energy() -> None:
    assert play(watch(Mark.BEGIN), [(300, NEITHER), (300, CHARGING), (9, IDLE), (300, CHARGING)]) == []


def test_what_flutters_is_read_once_a_minute_and_not_for_ever() -> None:
    taken = play(watch(Mark.BEGIN), [(20.0, item) for _ in range(1000) for item in (CHARGING, IDLE)])
    times = [time for time, _ in taken]
    assert len(taken) == MOST_EVENTS
    assert all(later - before >= READING_SPACING for before, later in pairwise(times))
    assert all(a is not b for (_, a), (_, b) in pairwise(taken))


def test_other_prices_are_read_at_once_and_then_once_a_minute_whatever_else_happens() -> None:
    found = watch(Mark.BEGIN, *[Mark.ERROR] * MOST_EVENTS)
    times = []
    for now in range(300):
        if found.due(CHARGING, True, True, float(now)) is Mark.TARIFF_CHANGE:
            found.taken(Mark.TARIFF_CHANGE, float(now))
            times.append(now)
    assert times == [0, 60, 120, 180, 240]


def test_a_meter_that_was_not_heard_is_an_error_once_it_is_heard_again() -> None:
    found = watch(Mark.BEGIN)
    assert play(found, [(5, CHARGING)]) == []
    assert found.due(NEITHER, False, False, 6.0) is None
    assert found.due(CHARGING, True, False, 7.0) is Mark.ERROR
    found.taken(Mark.ERROR, 7.0)
    assert found.due(CHARGING, True, False, 100.0) is None


def test_a_watch_that_is_made_anew_goes_on_where_the_readings_end() -> None:
    assert watch(Mark.BEGIN, Mark.SUSPENDED, flowed=True).due(CHARGING, True, False, 0.0) is Mark.CHARGING
    assert play(watch(Mark.BEGIN, Mark.SUSPENDED, Mark.CHARGING, flowed=True), [(30, IDLE)]) == [(10.0, Mark.SUSPENDED)]
    assert watch(Mark.BEGIN, *[Mark.SUSPENDED, Mark.CHARGING] * (MOST_EVENTS // 2), flowed=True).due(IDLE, True, False, 99.0) is None


def test_a_day_of_chance_never_reads_more_than_it_may() -> None:
    dice, found, count = random.Random(5), watch(Mark.BEGIN), 0
    for second in range(86_400 // 4):
        mark = found.due(dice.choice((CHARGING, IDLE, NEITHER)), dice.random() < 0.99, dice.random() < 0.01, 4.0 * second)
        if mark is not None:
            found.taken(mark, 4.0 * second)
            count += 1
    assert count <= MOST_EVENTS + 86_400 / READING_SPACING
