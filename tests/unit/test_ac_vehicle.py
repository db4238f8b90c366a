"""The simulated AC vehicle at the simulated board: states, following the duty cycle, stopping, sleeping, odd habits, faults, energy."""

from itertools import pairwise
from math import nan

import pytest
from unit.ac_bench import CLOSED, OFFER, AcBench

from evse_core.types import PilotState
from evse_simulators.ac_vehicle import AcPhase, AcVehicleConfig

STEADY = {"Pilot_Current": 6553.5}


def state(bench: AcBench) -> str:
    return PilotState(int(bench.pilot["Pilot_State"])).name


def test_it_shows_b_until_a_current_is_offered_and_then_c():
    bench = AcBench()
    bench.vehicle.plug_in()
    assert state(bench.run(10.0)) == "B"
    bench.command = dict(OFFER)
    assert bench.seconds_until(lambda: state(bench) == "C") < 1.5


def test_it_draws_what_the_duty_cycle_allows():
    bench = AcBench(max_current=32.0).charge()
    assert bench.vehicle.current == pytest.approx(16.0, abs=0.1)
    assert bench.vehicle.phases_used == 3


@pytest.mark.parametrize(("changes", "current"), [({"max_current": 10.0}, 10.0), ({"charger_phases": 1, "max_current": 32.0}, 16.0)])
def test_it_draws_no_more_than_its_charger_can(changes: dict, current: float):
    bench = AcBench(**changes).charge()
    assert bench.vehicle.current == pytest.approx(current, abs=0.1)
    assert bench.vehicle.phases_used == changes.get("charger_phases", 3)


def test_a_charger_of_three_phases_uses_the_one_that_is_connected():
    bench = AcBench({"ac_phases": 1}).charge()
    assert (bench.vehicle.phases_used, bench.said("IO_Powers")["Power_L1"]) == (1, pytest.approx(16.0 * 230.0, abs=30.0))


@pytest.mark.parametrize("delay", [0.0, 1.0, 5.0])
def test_it_follows_another_duty_cycle_after_its_delay(delay: float):
    bench = AcBench(follow_delay=delay).charge(12.0)
    bench.command = CLOSED | {"Pilot_Current": 8.0}
    took = bench.seconds_until(lambda: bench.vehicle.current < 8.1)
    assert delay <= took <= delay + 0.5


def test_a_steady_pilot_ends_charging_within_3_s_and_brings_back_b():
    bench = AcBench().charge()
    bench.command = CLOSED | STEADY
    assert bench.seconds_until(lambda: state(bench) == "B") <= 3.0
    assert bench.vehicle.current == 0.0
    assert bench.vehicle.phase is AcPhase.CONNECTED


def test_after_a_pause_it_goes_on():
    bench = AcBench().charge()
    bench.command = OFFER | STEADY | {"Residual_Current_Test": 1}
    bench.run(10.0)
    bench.command = dict(OFFER)
    assert bench.seconds_until(lambda: state(bench) == "C") < 2.0
    bench.command = dict(CLOSED)
    assert bench.run(6.0).vehicle.current == pytest.approx(16.0, abs=0.1)


def test_a_full_battery_ends_in_b_and_does_not_begin_again():
    bench = AcBench(soc_percent=80.0, target_soc_percent=82.0, capacity_kwh=1.0).charge(3.0)
    assert bench.seconds_until(lambda: bench.vehicle.phase is AcPhase.ENDED, 120.0) < 120.0
    assert bench.vehicle.end == "the battery is full"
    assert state(bench.run(20.0)) == "B"


def test_a_stop_in_the_vehicle_ramps_down_before_it_leaves_c():
    bench = AcBench().charge()
    assert bench.vehicle.press_stop().success
    assert bench.seconds_until(lambda: state(bench) == "B") < 2.0
    assert (bench.vehicle.phase, bench.vehicle.current) == (AcPhase.ENDED, 0.0)
    assert not bench.vehicle.press_stop().success


def test_the_lock_holds_the_connector():
    bench = AcBench().charge()
    assert not bench.vehicle.unplug().success
    bench.command = {"Lock_Command": 2, **STEADY}
    bench.run(2.0)
    assert bench.vehicle.unplug().success
    assert state(bench.run(0.2)) == "A"


def test_without_voltage_there_is_no_current():
    bench = AcBench().charge()
    bench.board.inject("mains_lost", True)
    assert bench.run(0.1).vehicle.current == 0.0


def test_energy_is_what_the_board_measures_and_the_battery_gets_its_share():
    bench = AcBench(soc_percent=50.0).charge()
    before, charge = bench.vehicle.energy_wh, bench.vehicle.battery.soc_percent
    bench.run(60.0)
    taken = bench.vehicle.energy_wh - before
    assert taken == pytest.approx(3 * 230.0 * 16.0 / 60.0, rel=1e-3)
    battery = bench.vehicle.battery
    stored = (battery.soc_percent - charge) / 100.0 * battery.capacity_ah * battery.open_circuit_voltage
    assert stored == pytest.approx(0.92 * taken, rel=0.01)


def test_a_vehicle_that_needs_ventilation_shows_d():
    bench = AcBench(needs_ventilation=True)
    bench.vehicle.plug_in()
    bench.command = dict(OFFER)
    assert state(bench.run(3.0)) == "D"


def test_a_simplified_vehicle_shows_c_at_once_and_takes_10_a():
    bench = AcBench(simplified=True, max_current=32.0)
    bench.vehicle.plug_in()
    assert state(bench.run(1.0)) == "C"
    bench.test_residual()
    bench.command = dict(CLOSED)
    assert bench.run(6.0).vehicle.current == pytest.approx(10.0, abs=0.1)
    bench.command = CLOSED | STEADY
    assert bench.run(5.0).vehicle.current == pytest.approx(10.0, abs=0.1), "it does not read the pilot"


def test_toggling_changes_between_b_and_c_before_it_stays():
    bench = AcBench(toggles=2)
    bench.vehicle.plug_in()
    bench.run(1.0)
    bench.command = dict(OFFER)
    bench.run(5.0)
    levels = [signals["Pilot_High"] > 7.0 for _, name, signals in bench.log if name == "IO_Pilot" and signals["Pilot_High"] < 10.0]
    assert sum(a != b for a, b in pairwise(levels)) == 5
    assert state(bench) == "C"


@pytest.mark.parametrize("asleep_by", ["fault", "waiting"])
def test_a_sleeping_vehicle_wakes_on_minus_12_volts(asleep_by: str):
    bench = AcBench(sleep_after=5.0 if asleep_by == "waiting" else 0.0)
    bench.vehicle.plug_in()
    if asleep_by == "fault":
        bench.vehicle.inject("ac_sleeps", True)
    bench.run(6.0)
    bench.command = dict(OFFER)
    assert state(bench.run(30.0)) == "B"
    bench.command = OFFER | {"Pilot_Unavailable": 1}
    bench.run(4.0)
    bench.command = dict(OFFER)
    assert bench.seconds_until(lambda: state(bench) == "C") < 2.0


def test_a_pulse_that_is_too_short_wakes_nobody():
    bench = AcBench(wake_time=1.0)
    bench.vehicle.plug_in()
    bench.vehicle.inject("ac_sleeps", True)
    bench.run(1.0)
    bench.command = OFFER | {"Pilot_Unavailable": 1}
    bench.run(0.5)
    bench.command = dict(OFFER)
    assert state(bench.run(10.0)) == "B"


def test_the_fault_table_of_the_vehicle():
    bench = AcBench(max_current=16.0).charge()
    bench.vehicle.inject("ac_ignores_limit", True)
    assert bench.run(3.0).vehicle.current == pytest.approx(1.33 * 16.0, abs=0.1)
    bench.vehicle.inject("ac_ignores_limit", False)
    bench.vehicle.inject("ac_ignores_stop", True)
    bench.command = CLOSED | STEADY
    assert bench.run(6.0).vehicle.current == pytest.approx(16.0, abs=0.1)
    bench.vehicle.inject("ac_ignores_stop", False)
    bench.vehicle.inject("ac_stays_in_c", True)
    bench.run(3.0)
    assert (bench.vehicle.current, state(bench)) == (0.0, "C")


def test_a_vehicle_that_drops_out_shows_b_under_current_and_the_board_opens():
    bench = AcBench().charge()
    bench.vehicle.inject("ac_drops_out", True)
    assert bench.seconds_until(lambda: not bench.board.contactor_closed) <= 0.15
    assert state(bench.run(5.0)) == "B"


def test_a_vehicle_that_draws_in_b_is_cut_by_the_board():
    bench = AcBench().charge()
    bench.vehicle.inject("ac_current_in_b", True)
    began = bench.now
    bench.seconds_until(lambda: bench.lines.pilot_resistance > 2000.0)
    assert bench.vehicle.current > 15.0
    assert bench.seconds_until(lambda: not bench.board.contactor_closed) <= 0.1
    assert bench.now - began <= 0.15
    assert bench.run(0.1).vehicle.current == 0.0


def test_a_vehicle_without_a_diode_is_not_supplied():
    bench = AcBench()
    bench.vehicle.inject("ac_diode_missing", True)
    bench.vehicle.plug_in()
    bench.run(1.0).test_residual()
    bench.command = dict(CLOSED)
    assert state(bench.run(3.0)) == "E"
    assert not bench.board.contactor_closed


def test_a_plug_that_is_lost_shows_a():
    bench = AcBench().charge()
    bench.vehicle.inject("ac_plug_lost", True)
    assert bench.seconds_until(lambda: not bench.board.contactor_closed) <= 0.15
    assert state(bench) == "A"
    assert not bench.vehicle.plug_in().success


@pytest.mark.parametrize(("current", "resistance"), [(13.0, 1500.0), (20.0, 680.0), (32.0, 220.0), (63.0, 100.0), (0.0, nan)])
def test_the_cable_carries_its_resistor(current: float, resistance: float):
    bench = AcBench(cable_current=current)
    bench.vehicle.plug_in()
    assert bench.run(0.2).lines.cable_resistance == pytest.approx(resistance, nan_ok=True)


@pytest.mark.parametrize(("key", "value"), [("charger_phases", 2), ("cable_current", 16.0)])
def test_values_between_those_that_exist_are_refused(key: str, value: float):
    with pytest.raises(ValueError, match=key):
        AcVehicleConfig(**{key: value})
