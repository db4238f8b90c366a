"""Levels, duty cycles and resistors of IEC 61851-1: ../shared/reference/can.md section 3."""

from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core.control_pilot import (
    CABLES,
    EDGE,
    LEVELS,
    PRESSED,
    STEADY,
    TO_B,
    TO_C,
    PilotFilter,
    cable_current,
    current_of,
    duty_of,
    latch_pressed,
    state_at,
)
from evse_core.types import PilotFault, PilotState

S, F = PilotState, PilotFault
PWM = 26.67


@pytest.mark.parametrize(
    ("current", "duty"),
    [
        (nan, 100.0), (-1.0, 100.0), (0.0, 100.0), (5.9, 100.0), (6.0, 10.0), (13.0, 21.67), (16.0, 26.67), (32.0, 53.33), (51.0, 85.0), (52.4, 85.0),
        (52.5, 85.0), (63.0, 89.2), (80.0, 96.0), (500.0, 96.0),
    ],
)  # fmt: skip
def test_an_offer_is_the_duty_cycle_of_the_table(current: float, duty: float) -> None:
    assert duty_of(current) == pytest.approx(duty, abs=0.01)


@pytest.mark.parametrize(
    ("duty", "current"),
    [
        (nan, 0.0), (0.0, 0.0), (2.9, 0.0), (5.0, 0.0), (7.5, 0.0), (8.0, 6.0), (9.9, 6.0), (10.0, 6.0), (50.0, 30.0), (85.0, 51.0), (86.0, 55.0),
        (96.0, 80.0), (96.5, 80.0), (97.1, 0.0), (100.0, 0.0),
    ],
)  # fmt: skip
def test_a_vehicle_may_take_what_the_table_says(duty: float, current: float) -> None:
    assert current_of(duty) == pytest.approx(current)


@given(st.floats(0.0, 200.0))
def test_no_offer_lets_a_vehicle_take_more_than_the_station_has(current: float) -> None:
    assert current_of(duty_of(current)) <= current + 1e-9


@pytest.mark.parametrize("state", LEVELS)
def test_each_band_is_one_volt_to_both_sides_and_nothing_beyond(state: PilotState) -> None:
    nominal = LEVELS[state]
    assert {state_at(nominal + off) for off in (-1.0, -0.5, 0.0, 1.0)} == {state}
    assert state_at(nominal + 1.2) is S.UNKNOWN
    assert state_at(nominal - 1.2) is S.UNKNOWN


@pytest.mark.parametrize(
    ("resistance", "current"),
    [(1500.0, 13.0), (680.0, 20.0), (220.0, 32.0), (100.0, 63.0), (560.0, 20.0), (150.0, 0.0), (0.0, 0.0), (5000.0, 0.0)],
)
def test_a_cable_bears_what_its_resistor_says(resistance: float, current: float) -> None:
    assert cable_current(resistance) == current


def test_without_a_plug_no_cable_is_known() -> None:
    assert isnan(cable_current(nan))


def test_windows_of_resistors_do_not_touch() -> None:
    assert all(cable_current(nominal * (1.0 + sign * 0.2)) == current for nominal, current in CABLES.items() for sign in (-0.99, 0.99))


@pytest.mark.parametrize(("resistance", "pressed"), [(PRESSED, True), (150.0, False), (nan, False)])
def test_a_pressed_latch_is_told_from_one_that_holds(resistance: float, pressed: bool) -> None:
    assert latch_pressed(resistance) is pressed


def fed(found: PilotFilter, high: float, seconds: float, start: float, duty: float = STEADY, low: float | None = None) -> float:
    """Feed levels every 50 ms; return when the last one came."""
    steps = round(seconds / 0.05)
    for step in range(steps + 1):
        found.step(high, (high if duty == STEADY else -12.0) if low is None else low, duty, start + 0.05 * step)
    return start + 0.05 * steps


def in_state_c() -> tuple[PilotFilter, float]:
    found = PilotFilter()
    now = fed(found, 12.0, 0.5, 0.0)
    now = fed(found, 9.0, 0.5, now)
    now = fed(found, 6.0, 1.0, now, PWM)
    assert found.state is S.C
    return found, now


def test_what_permits_more_counts_once_it_has_held() -> None:
    found = PilotFilter()
    found.step(12.0, 12.0, STEADY, 0.0)
    assert found.state is S.A
    now = fed(found, 9.0, TO_B - 0.05, 1.0)
    assert found.state is S.A
    now = fed(found, 9.0, 0.1, now)
    assert found.state is S.B
    now = fed(found, 6.0, TO_C - 0.05, now, PWM)
    assert found.state is S.B
    fed(found, 6.0, 0.1, now, PWM)
    assert found.state is S.C


@pytest.mark.parametrize(("level", "state"), [(9.0, S.B), (12.0, S.A), (0.0, S.E), (-12.0, S.F)])
def test_what_permits_less_counts_at_once(level: float, state: PilotState) -> None:
    found, now = in_state_c()
    assert found.step(level, -12.0, PWM, now + 0.05) is state


def test_a_bounce_begins_the_wait_anew() -> None:
    found, now = in_state_c()
    found.step(9.0, -12.0, PWM, now + 0.05)
    for step in range(40):
        found.step(6.0 if step % 5 else 9.0, -12.0, PWM, now + 0.1 + 0.05 * step)
    assert found.state is S.B


def test_a_level_between_two_bands_holds_the_state_for_an_edge_and_no_longer() -> None:
    found, now = in_state_c()
    assert found.step(7.4, -12.0, PWM, now + 0.05) is S.C
    assert found.step(7.4, -12.0, PWM, now + EDGE + 0.01) is S.UNKNOWN
    assert found.fault is F.OUT_OF_BAND


def test_a_level_far_from_the_last_band_is_no_edge() -> None:
    found, now = in_state_c()
    assert found.step(10.5, -12.0, PWM, now + 0.05) is S.UNKNOWN


def test_a_missing_diode_is_found_as_soon_as_there_is_a_duty_cycle() -> None:
    found = PilotFilter()
    now = fed(found, 9.0, 0.5, 0.0)
    assert (found.state, found.fault) == (S.B, F.NONE)
    assert found.step(9.0, -9.0, PWM, now + 0.05) is S.E
    assert found.fault is F.DIODE_MISSING


def test_a_short_is_a_short_with_and_without_duty_cycle() -> None:
    for duty in (STEADY, PWM):
        found = PilotFilter()
        fed(found, 9.0, 0.5, 0.0)
        assert found.step(0.0, 0.0, duty, 1.0) is S.E
        assert found.fault is F.SHORT


@pytest.mark.parametrize("unknown", [(nan, -12.0, PWM), (6.0, nan, PWM), (6.0, -12.0, nan)])
def test_what_is_not_measured_permits_nothing(unknown: tuple[float, float, float]) -> None:
    found, now = in_state_c()
    assert found.step(*unknown, now + 0.05) is S.UNKNOWN
    assert found.fault is F.UNKNOWN


@given(st.lists(st.tuples(st.floats(-13.0, 13.0), st.floats(-13.0, 13.0), st.sampled_from([0.0, PWM, STEADY])), min_size=1, max_size=60))
def test_whatever_the_levels_do_a_ready_vehicle_has_shown_the_level_for_the_whole_wait(levels: list[tuple[float, float, float]]) -> None:
    found, history = PilotFilter(), []
    for step, (high, low, duty) in enumerate(levels):
        history.append(state_at(high))
        if found.step(high, low, duty, 0.05 * step) in (S.C, S.D):
            last = history[-int(TO_C / 0.05) :]
            assert len(history) > TO_C / 0.05
            # Edges of at most 0.2 s between equal states are part of the level.
            assert set(last) <= {found.state, S.UNKNOWN}
