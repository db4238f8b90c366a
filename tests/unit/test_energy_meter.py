"""Integration: exact where it can be known, nothing where nobody measured, never backwards."""

from itertools import pairwise
from math import inf, nan, pi, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core.energy_meter import EnergyMeter, MeterConfig, billed_wh, whole_wh
from evse_core.types import PowerReport


def report(voltage: float, current: float, age: float = 0.02) -> PowerReport:
    return PowerReport(complete=True, age=age, voltage=voltage, current=current)


def metered(readings: list[tuple[float, float, float]], register: float = 0.0) -> EnergyMeter:
    """Feed (time [s], voltage [V], current [A])."""
    meter = EnergyMeter(MeterConfig(), register)
    for moment, voltage, current in readings:
        meter.on_report(report(voltage, current), moment)
    return meter


def test_constant_power_for_an_hour() -> None:
    meter = metered([(index / 10, 400.0, 100.0) for index in range(36001)])
    assert meter.register_wh == pytest.approx(40_000.0, rel=1e-9)
    assert meter.max_power == 40_000.0


def test_a_ramp_is_exact_by_trapezoids() -> None:
    meter = metered([(index / 10, 400.0, 2.0 * index) for index in range(51)])
    assert meter.register_wh == pytest.approx(400.0 * 100.0 * 5.0 / 2.0 / 3600.0, rel=1e-12)


def test_a_changing_power_at_10_hz_is_good_to_a_tenth_of_the_agreement_that_is_demanded() -> None:
    meter = metered([(index / 10, 400.0, 50.0 + 50.0 * sin(2 * pi * index / 40)) for index in range(40 * 90 + 1)])
    assert meter.register_wh == pytest.approx(400.0 * 50.0 * 360.0 / 3600.0, rel=0.0005)


def test_the_age_of_the_frame_behind_a_report_counts_not_the_time_of_the_report() -> None:
    """Reports that come unevenly about frames that came evenly change nothing."""
    meter = EnergyMeter(MeterConfig(), 0.0)
    for index in range(101):
        late = 0.004 * (index % 7)
        meter.on_report(report(400.0, float(index), age=0.01 + late), index / 10 + 0.01 + late)
    assert meter.register_wh == pytest.approx(400.0 * 50.0 * 10.0 / 3600.0, rel=1e-9)


def test_a_report_about_an_old_frame_adds_nothing() -> None:
    meter = metered([(0.0, 400.0, 100.0), (0.1, 400.0, 100.0)])
    before = meter.register_wh
    for index in range(1, 8):
        assert not meter.on_report(report(400.0, 100.0, age=0.02 + index / 10), 0.1 + index / 10)
    assert meter.register_wh == before


@pytest.mark.parametrize(("gap", "counted"), [(0.99, True), (1.01, False), (30.0, False)])
def test_nothing_is_counted_over_a_gap(gap: float, counted: bool) -> None:
    meter = metered([(0.0, 400.0, 100.0), (gap, 400.0, 100.0)])
    assert (meter.register_wh > 0.0) is counted
    before = meter.register_wh
    meter.on_report(report(400.0, 100.0), gap + 0.1)
    assert meter.register_wh - before == pytest.approx(40_000.0 * 0.1 / 3600.0)


def test_current_towards_the_station_does_not_turn_the_register_back() -> None:
    meter = metered([(index / 10, 400.0, -50.0) for index in range(100)], register=5.0)
    assert meter.register_wh == 5.0
    assert meter.max_power == 0.0


@pytest.mark.parametrize(
    "bad",
    [
        PowerReport(),
        report(nan, 1.0),
        report(400.0, inf),
        report(400.0, 1.0, nan),
        PowerReport(age=0.0, voltage=400.0, current=9.0),
        report(3e38, 1.0),
        report(400.0, -3e38),
        report(2100.0, 1.0),
        report(400.0, 2100.0),
    ],
)
def test_a_report_that_tells_nothing_is_not_a_reading(bad: PowerReport) -> None:
    meter = EnergyMeter(MeterConfig(), 1.0)
    assert not meter.on_report(bad, 0.0)
    assert meter.fresh(0.0) is None


def test_a_reading_speaks_for_the_present_only_while_it_is_fresh() -> None:
    meter = metered([(10.0, 400.0, 100.0)])
    assert meter.fresh(10.9) is not None
    assert meter.fresh(11.1) is None


def test_the_resolution_is_that_of_a_double_not_of_a_float() -> None:
    """Single Wh above 16.8 MWh would be lost in float32 (../shared/style.md)."""
    meter = metered([(index / 10, 4.0, 9.0) for index in range(3601)], register=123_456_789.0)
    assert meter.register_wh - 123_456_789.0 == pytest.approx(3.6, abs=1e-4)


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(allow_nan=True), st.floats(allow_nan=True), st.floats(-1.0, 3.0)), max_size=30))
def test_the_register_never_decreases_whatever_comes(steps: list[tuple[float, float, float, float]]) -> None:
    meter, now = EnergyMeter(MeterConfig(), 7.0), 0.0
    for wait, voltage, current, age in steps:
        now += wait
        before = meter.register_wh
        meter.on_report(report(voltage, current, age), now)
        assert meter.register_wh >= before


@pytest.mark.parametrize(("begin", "end", "billed"), [(0.0, 0.4, 0), (0.4, 0.6, 1), (1000.4, 2000.4, 1000), (5.0, 4.0, 0)])
def test_energy_is_billed_as_the_difference_of_registers_in_whole_wh(begin: float, end: float, billed: int) -> None:
    """So that receipt and CSMS, which gets meterStart and meterStop in whole Wh, name the same energy."""
    assert billed_wh(begin, end) == billed == max(whole_wh(end) - whole_wh(begin), 0)


def counted(counter_wh: float) -> PowerReport:
    return PowerReport(complete=True, age=0.0, voltage=400.0, current=90.0, energy_wh=counter_wh)


@pytest.mark.parametrize(
    ("known", "found", "added"),
    [
        (100.0, 140.0, 40.0),
        # can_bridge was restarted: all that its counter says came after.
        (100.0, 3.0, 3.0),
        (100.0, 100.0, 0.0),
        (nan, 140.0, 0.0),
        (100.0, nan, 0.0),
        # No session delivers so much while its meter is away: not measured, not billed.
        (100.0, 1100.1, 0.0),
        (100.0, -5.0, 0.0),
        (100.0, inf, 0.0),
    ],
)
def test_the_first_reading_after_a_gap_brings_what_the_counter_says(known: float, found: float, added: float) -> None:
    restarted = EnergyMeter(MeterConfig(), 500.0, 0.0, known)
    restarted.on_report(counted(found), 0.0)
    assert restarted.register_wh == pytest.approx(500.0 + added)
    stalled = EnergyMeter(MeterConfig(), 500.0)
    stalled.on_report(counted(known), 0.0)
    stalled.on_report(counted(found), 3.0)
    assert stalled.register_wh == pytest.approx(500.0 + added)


def test_what_was_integrated_is_not_taken_from_the_counter_again() -> None:
    meter = EnergyMeter(MeterConfig(), 0.0)
    for index in range(101):
        meter.on_report(counted(index * 1.0), index / 10)
    assert meter.register_wh == pytest.approx(100.0)
    meter.on_report(counted(150.0), 15.0)
    assert meter.register_wh == pytest.approx(150.0)


def test_energy_from_the_vehicle_has_a_register_of_its_own() -> None:
    meter = EnergyMeter(MeterConfig(), 100.0, export_register_wh=50.0)
    for index, current in enumerate((-10.0, -10.0, -10.0, 10.0, 10.0)):
        meter.on_report(PowerReport(complete=True, age=0.0, voltage=360.0, current=current), float(index))
    # 3.6 kW for 2 s each way, and a change of direction in which each counts half a second: 2.5 s of 1 Wh each.
    assert meter.export_register_wh == pytest.approx(52.5)
    assert meter.register_wh == pytest.approx(101.5)


def test_registers_of_both_directions_never_make_up_for_each_other() -> None:
    meter = EnergyMeter(MeterConfig(), 0.0)
    seen = []
    for index in range(40):
        current = 20.0 if index % 8 < 4 else -20.0
        meter.on_report(PowerReport(complete=True, age=0.0, voltage=360.0, current=current), index * 0.5)
        seen.append((meter.register_wh, meter.export_register_wh))
    assert all(after[0] >= before[0] and after[1] >= before[1] for before, after in pairwise(seen))
    assert seen[-1][0] > 5.0
    assert seen[-1][1] > 5.0


def test_meter_that_was_away_asks_what_flowed_back_meanwhile() -> None:
    meter = EnergyMeter(MeterConfig(), 7.0, 0.0, 1.0, export_register_wh=3.0, export_counter_wh=10.0)
    meter.on_report(PowerReport(complete=True, age=0.0, voltage=360.0, current=-5.0, energy_wh=1.5, export_energy_wh=14.0), 0.0)
    assert (meter.register_wh, meter.export_register_wh) == (7.5, 7.0)
    assert (meter.counter_wh, meter.export_counter_wh) == (1.5, 14.0)
