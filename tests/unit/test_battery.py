"""The battery model: charge counts, the curve rises, the top tapers, heat limits."""

from itertools import pairwise

import pytest

from evse_simulators.battery import OPEN_CIRCUIT_VOLTAGE, Battery, BatteryConfig, cell_voltage


def battery(**changes: float) -> Battery:
    return Battery(BatteryConfig(**changes))


def test_open_circuit_voltage_rises_with_charge_everywhere():
    voltages = [cell_voltage(soc / 10.0) for soc in range(1001)]
    assert all(a < b for a, b in pairwise(voltages))
    assert (voltages[0], voltages[-1]) == (OPEN_CIRCUIT_VOLTAGE[0][1], OPEN_CIRCUIT_VOLTAGE[-1][1])


def test_a_compact_car_has_a_nominal_voltage_between_340_and_400_volt():
    for soc in (30.0, 50.0, 80.0):
        assert 340.0 < battery(soc_percent=soc).open_circuit_voltage < 400.0


def test_the_energy_from_empty_to_full_without_losses_is_the_capacity():
    pack = battery(soc_percent=0.0, capacity_kwh=40.0, thermal_conductance=0.0)
    energy = 0.0
    for _ in range(100_000):
        if pack.soc_percent >= 100.0:
            break
        energy += pack.open_circuit_voltage * 50.0 * 1.0 / 3.6e6
        pack.step(50.0, 1.0)
    assert energy == pytest.approx(40.0, rel=2e-3)


def test_charge_returns_what_it_took():
    pack = battery(soc_percent=50.0)
    pack.step(100.0, 60.0)
    assert pack.soc_percent == pytest.approx(50.0 + 100.0 / 60.0 / pack.capacity_ah * 100.0)
    pack.step(-100.0, 60.0)
    assert pack.soc_percent == pytest.approx(50.0)


@pytest.mark.parametrize(("soc", "low", "high"), [(30.0, 200.0, 1e4), (90.0, 60.0, 150.0), (98.0, 5.0, 30.0), (100.0, 0.0, 1e-6)])
def test_the_accepted_current_tapers_toward_full(soc: float, low: float, high: float):
    assert low <= battery(soc_percent=soc, battery_temperature=25.0).acceptable_current() <= high


def test_the_accepted_current_keeps_the_terminals_at_the_full_voltage():
    pack = battery(soc_percent=92.0)
    terminals = pack.open_circuit_voltage + pack.acceptable_current() * pack.resistance
    assert terminals == pytest.approx(pack.full_voltage)


@pytest.mark.parametrize(("temperature", "share"), [(44.0, 1.0), (50.0, 0.5), (55.0, 0.0), (70.0, 0.0)])
def test_a_hot_battery_takes_less(temperature: float, share: float):
    pack = battery(soc_percent=90.0, battery_temperature=temperature)
    full = (pack.full_voltage - pack.open_circuit_voltage) / pack.resistance
    assert pack.acceptable_current() == pytest.approx(share * full)


def test_a_cold_battery_resists_more():
    assert battery(battery_temperature=0.0).resistance > 1.8 * battery(battery_temperature=25.0).resistance


def test_current_heats_by_the_square_and_the_surroundings_cool():
    pack = battery(battery_temperature=25.0, ambient_temperature=25.0)
    pack.step(100.0, 10.0)
    warmed = pack.temperature - 25.0
    assert warmed == pytest.approx(100.0**2 * 0.09 * 10.0 / 270e3)
    pack.step(0.0, 3600.0)
    assert pack.temperature - 25.0 < warmed
