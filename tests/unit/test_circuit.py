"""The DC path: currents, the diode, the discharge of every capacitor, insulation."""

from dataclasses import replace
from math import nan

import pytest

from evse_simulators.circuit import Circuit, CircuitConfig, Load, Source

BATTERY = Load(contactor_closed=True, vehicle_contactor_closed=True, battery_voltage=360.0, battery_resistance=0.1)
APART = Load(contactor_closed=True)


def run(circuit: Circuit, source: Source, load: Load, seconds: float, step: float = 0.04):
    state = None
    for _ in range(round(seconds / step)):
        state = circuit.step(source, load, step)
    return state


def test_current_limit_sets_current_and_the_voltages_add_up():
    state = run(Circuit(CircuitConfig()), Source(True, 410.0, 100.0), BATTERY, 0.04)
    assert state.current == pytest.approx(100.0, abs=1e-3)
    assert state.connector_voltage == pytest.approx(360.0 + 100.0 * 0.1, abs=1e-3)
    assert state.module_voltage == pytest.approx(state.connector_voltage + 100.0 * 0.004, abs=1e-3)


def test_voltage_limit_sets_current_near_the_top():
    state = run(Circuit(CircuitConfig()), Source(True, 362.0, 100.0), BATTERY, 0.04)
    assert state.module_voltage == pytest.approx(362.0)
    assert state.current == pytest.approx(2.0 / 0.104, abs=0.01)


def test_the_diode_keeps_the_battery_from_feeding_idle_modules():
    circuit = Circuit(CircuitConfig())
    state = run(circuit, Source(), BATTERY, 1.0)
    assert state.module_voltage == pytest.approx(360.0, abs=0.1)
    assert state.capacitor_voltage == 0.0
    assert -0.001 < state.current <= 0.0


def test_a_switched_discharge_resistor_loads_a_battery_that_is_still_connected():
    state = run(Circuit(CircuitConfig()), Source(discharge=True), BATTERY, 1.0)
    assert state.current == pytest.approx(-0.36, abs=0.01)


@pytest.mark.parametrize("step", [0.001, 0.04, 0.2])
def test_lowering_brings_the_output_below_20_volt_within_1_3_s_whatever_the_step(step: float):
    circuit = Circuit(CircuitConfig())
    assert run(circuit, Source(True, 460.0, 2.0), APART, 1.0).module_voltage == pytest.approx(460.0)
    after = run(circuit, Source(discharge=True), APART, 1.2, step)
    assert after.module_voltage < 20.0
    assert after.module_voltage == pytest.approx(460.0 * 2.718281828 ** (-1.2 / 0.2956), rel=0.05)


def test_without_lowering_the_bleed_takes_much_longer():
    circuit = Circuit(CircuitConfig())
    run(circuit, Source(True, 460.0, 2.0), APART, 1.0)
    assert run(circuit, Source(), APART, 2.0).module_voltage > 300.0


def test_an_isolated_connector_is_below_60_volt_within_a_second():
    circuit = Circuit(CircuitConfig())
    run(circuit, Source(True, 410.0, 50.0), BATTERY, 1.0)
    state = run(circuit, Source(), replace(BATTERY, contactor_closed=False, vehicle_contactor_closed=False), 1.0)
    assert state.connector_voltage < 10.0
    assert state.current == 0.0


def test_a_vehicle_contactor_alone_makes_the_connector_live_and_nothing_else():
    circuit = Circuit(CircuitConfig())
    state = run(circuit, Source(), replace(BATTERY, contactor_closed=False), 1.0)
    assert (state.connector_voltage, state.module_voltage, state.current) == (360.0, 0.0, 0.0)


def test_a_small_current_limit_charges_the_capacitors_slowly():
    circuit = Circuit(CircuitConfig())
    assert run(circuit, Source(True, 400.0, 0.1), APART, 0.2).module_voltage == pytest.approx(0.1 * 0.2 / 301.5e-6, rel=0.05)


def test_current_never_flows_while_a_contactor_is_open():
    circuit = Circuit(CircuitConfig())
    for load in (
        replace(BATTERY, contactor_closed=False),
        replace(BATTERY, vehicle_contactor_closed=False),
        replace(BATTERY, battery_voltage=nan),
    ):
        assert run(circuit, Source(True, 410.0, 100.0), load, 0.2).current == 0.0


def test_lost_voltage_control_raises_the_output_while_the_current_goes_on():
    state = run(Circuit(CircuitConfig()), Source(True, 410.0, 50.0, forced_voltage=600.0), BATTERY, 0.04)
    assert (state.module_voltage, round(state.current)) == (600.0, 50)


@pytest.mark.parametrize(
    ("load", "cable", "low", "high"),
    [(Load(), 20e3, 4e6, 6e6), (APART, 20e3, 15e3, 20e3), (APART, 50e6, 4e6, 5e6), (BATTERY, 50e6, 2e6, 4e6), (BATTERY, 0.0, 0.0, 1.0)],
)
def test_insulation_is_that_of_all_connected_parts(load: Load, cable: float, low: float, high: float):
    circuit = Circuit(CircuitConfig())
    circuit.cable_insulation = cable
    assert low <= run(circuit, Source(), load, 0.04).insulation_resistance <= high
