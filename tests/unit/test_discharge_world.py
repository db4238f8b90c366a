"""Vehicles that give power, in the simulated world: both links, both directions, and what goes wrong on the way. Truth is the battery's."""

from dataclasses import replace
from typing import Any

import pytest

from evse_core.types import ChargeState, RecordStatus, StopCause
from evse_nodes import databases
from evse_simulators.memo_database import MemoDatabase
from evse_simulators.secc import SeccConfig
from evse_simulators.vehicle import VehicleConfig
from evse_simulators.world import World
from evse_simulators.world_config import (
    GIVES,
    QUICK_CONTROLLER,
    QUICK_MODULES,
    QUICK_VEHICLE,
    WorldConfig,
    secc_config,
    with_discharge,
)

KNOWN: Any = {name: MemoDatabase(databases.load(name)) for name in databases.NAMES}
LINKS = ("chademo", "secc")


def config(link: str, soc: float = 70.0, **vehicle: Any) -> WorldConfig:
    values = GIVES[link] | {"soc_percent": soc} | vehicle
    if link == "secc":
        return with_discharge(secc_config(SeccConfig(**(QUICK_CONTROLLER | values)), modules=QUICK_MODULES))
    return with_discharge(WorldConfig(vehicle=VehicleConfig(**(QUICK_VEHICLE | values)), modules=QUICK_MODULES))


def charging(link: str, soc: float = 70.0, **vehicle: Any) -> World:
    made = World(KNOWN, config(link, soc, **vehicle), 1)
    assert made.begin_charging(), made.log[-5:]
    return made.run(3.0)


def discharging(link: str, soc: float = 70.0, power: float = 8e3, **vehicle: Any) -> World:
    made = charging(link, soc, **vehicle)
    assert made.ask_discharge(power).success
    assert made.run_until(lambda made: made.power.current < -5.0, 10.0), made.log[-5:]
    return made.run(3.0)


def ended(made: World) -> bool:
    return made.session.state in {ChargeState.FINISHED, ChargeState.FAULTED}


@pytest.mark.parametrize("link", LINKS)
def test_vehicle_charges_gives_and_charges_and_both_registers_are_its_battery_s_truth(link: str) -> None:
    made = discharging(link)
    made.run(20.0)
    assert made.power.current * made.power.module_voltage == pytest.approx(-8e3, rel=0.03)
    assert made.session.state is ChargeState.CHARGING
    assert made.end_discharge().success
    assert made.run_until(lambda made: made.power.current > 30.0, 10.0)
    made.run(10.0)
    assert made.stop().success
    assert made.run_until(ended, 20.0)
    assert (made.session.state, made.session.stop_cause) == (ChargeState.FINISHED, StopCause.LOCAL)
    assert not made.said("fault")
    record = made.records[-1]
    assert record.status is RecordStatus.CLOSED
    assert record.end_register_wh - record.begin_register_wh == pytest.approx(made.vehicle.energy_wh, rel=0.02, abs=0.3)
    assert record.end_export_register_wh - record.begin_export_register_wh == pytest.approx(made.vehicle.given_wh, rel=0.02, abs=0.3)
    assert made.vehicle.given_wh > 40.0


@pytest.mark.parametrize("link", LINKS)
def test_what_is_asked_for_runs_out_by_itself(link: str) -> None:
    made = charging(link)
    made.ask_discharge(8e3, 6.0)
    assert made.run_until(lambda made: made.power.current < -5.0, 6.0)
    assert made.run_until(lambda made: made.power.current > 30.0, 12.0)
    assert not made.said("fault")


@pytest.mark.parametrize("link", LINKS)
def test_battery_keeps_what_must_stay_in_it(link: str) -> None:
    made = discharging(link, soc=51.5, capacity_kwh=0.8, battery_resistance=0.2)
    lowest = made.vehicle.battery.soc_percent
    for _ in range(int(30.0 / made.config.tick)):
        made.tick()
        if made.power.current < -1.0:
            lowest = min(lowest, made.vehicle.battery.soc_percent)
    # The charge is told in whole percent, and what flows needs a moment to end.
    assert 49.0 < lowest < 51.5
    assert not made.said("fault")


@pytest.mark.parametrize("link", LINKS)
def test_station_that_takes_no_power_takes_none_whoever_asks(link: str) -> None:
    known = config(link)
    made = World(KNOWN, replace(known, sequencer=replace(known.sequencer, max_discharge_current=0.0)), 1)
    assert made.begin_charging(), made.log[-5:]
    made.ask_discharge()
    lowest = 0.0
    for _ in range(400):
        made.tick()
        lowest = min(lowest, made.power.current)
    assert lowest > -1.0
    assert made.session.state is ChargeState.CHARGING


def test_chademo_vehicle_is_not_discharged_by_default() -> None:
    known = config("chademo")
    made = World(KNOWN, replace(known, sequencer=replace(known.sequencer, unverified_discharge=False)), 1)
    assert made.begin_charging(), made.log[-5:]
    made.ask_discharge()
    made.run(8.0)
    assert made.power.current > 30.0
    assert "unverified" in made.session.discharge_refusal


# link, fault, seconds within which nothing may flow from the vehicle any more; nothing of it ends the session
WITHDRAWN = [("chademo", "vehicle_stops_discharge", 1.0), ("secc", "ccs_stops_discharge", 1.0)]


@pytest.mark.parametrize(("link", "fault", "seconds"), WITHDRAWN)
def test_vehicle_that_gives_no_more_is_charged_on(link: str, fault: str, seconds: float) -> None:
    made = discharging(link)
    assert made.inject(fault).success
    assert made.run_until(lambda made: made.power.current > -1.0, seconds)
    assert made.run_until(lambda made: made.power.current > 20.0, 10.0)
    assert made.session.state is ChargeState.CHARGING
    assert not made.said("fault")


@pytest.mark.parametrize(
    "fault", ["emergency_stop", "earth_lost", "residual_current", "insulation_low", "module_refuses", "modules_failed", "impact"]
)
@pytest.mark.parametrize("link", LINKS)
def test_fault_that_ends_a_charge_ends_a_discharge(link: str, fault: str) -> None:
    made = discharging(link)
    made.inject(fault)
    assert made.run_until(lambda made: abs(made.power.current) < 5.0, 2.0)
    assert made.run_until(ended, 30.0)
    assert abs(made.power.current) < 0.5


@pytest.mark.parametrize("link", LINKS)
def test_modules_that_go_on_discharging_are_cut_off(link: str) -> None:
    made = discharging(link)
    made.inject("module_runaway")
    made.end_discharge()
    assert made.run_until(lambda made: abs(made.power.current) < 0.5, 6.0), made.log[-5:]
    assert {"reverse_current"} <= set(made.said("fault"))
    assert not made.board.contactor_closed


@pytest.mark.parametrize("link", LINKS)
def test_modules_that_take_more_than_asked_for_are_cut_off(link: str) -> None:
    made = discharging(link)
    made.inject("over_current")
    assert made.run_until(lambda made: abs(made.power.current) < 0.5, 6.0), made.log[-5:]
    assert "reverse_current" in made.said("fault")


@pytest.mark.parametrize("link", LINKS)
def test_vehicle_that_lies_about_its_charge_is_not_taken_below_its_lowest_voltage(link: str) -> None:
    made = discharging(link, soc=50.0, capacity_kwh=0.25, battery_resistance=0.2, min_voltage=344.0)
    made.inject("vehicle_lies_about_charge" if link == "chademo" else "ccs_lies_about_charge")
    lowest = 400.0
    for _ in range(int(25.0 / made.config.tick)):
        made.tick()
        if made.power.current < -1.0:
            lowest = min(lowest, made.power.connector_voltage)
    assert 342.0 < lowest < 350.0
    assert made.vehicle.battery.soc_percent < 46.0, "the lie was believed, so the voltage was what ended it"
    made.run(2.0)
    assert made.power.current > -15.0, "near its lowest voltage less is taken than the 23 A that were asked for"


@pytest.mark.parametrize("link", LINKS)
def test_station_that_dies_while_it_discharges_is_cut_by_the_bridge(link: str) -> None:
    """The permit's gate does not look at the direction."""
    made = discharging(link)
    made._run_safety = lambda: None  # type: ignore[method-assign]
    assert made.run_until(lambda made: abs(made.power.current) < 0.5, 1.0)
    assert not made.bridge.status().power_allowed
    made.run(0.5)
    assert not made.board.contactor_closed


@pytest.mark.parametrize("link", LINKS)
def test_driver_stops_in_the_vehicle_while_it_gives(link: str) -> None:
    made = discharging(link)
    assert made.stop_vehicle().success
    assert made.run_until(ended, 20.0)
    assert made.session.stop_cause is StopCause.VEHICLE
    assert not made.said("fault")


def test_charger_that_sets_its_bit_without_its_frames_is_refused_by_the_vehicle() -> None:
    made = charging("chademo")
    assert {"SE_DischargeCapability", "SE_DischargeEstimate"} <= set(made.vehicle._charger)  # type: ignore[union-attr]
    made.vehicle._charger.pop("SE_DischargeEstimate")  # type: ignore[union-attr]
    made.vehicle._words = None  # type: ignore[union-attr]
    assert not made.vehicle._read_charger(made.now).discharge_frames  # type: ignore[union-attr]
