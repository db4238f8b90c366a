"""A liquid-cooled cable: its full current only while the coolant is known to work, in the rule and in a whole session of more than 350 kW."""

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest
from unit.world_rig import DATABASES, described

from evse_core.can_bridge import CanBridgeConfig
from evse_core.charge_sequencer import SequencerConfig
from evse_core.cooled_cable import cable_current, coolant_works
from evse_core.safety_monitor import SafetyConfig
from evse_core.types import ChargeState
from evse_simulators.io_board import IoBoardConfig
from evse_simulators.power_modules_config import PowerModulesConfig
from evse_simulators.secc import SeccConfig
from evse_simulators.world import World
from evse_simulators.world_config import QUICK_CONTROLLER, WorldConfig

LIMITS: dict[str, Any] = {"max_voltage": 1000.0, "max_current": 500.0, "uncooled_current": 200.0}


@pytest.mark.parametrize(
    ("flow", "temperature", "works"),
    [
        (2.0, 60.0, True),
        (4.0, 20.0, True),
        (1.9, 20.0, False),
        (4.0, 60.1, False),
        (nan, 20.0, False),
        (4.0, nan, False),
        (0.0, nan, False),
    ],
)
def test_coolant_works_only_where_it_is_known_to_flow_and_to_be_cool(flow: float, temperature: float, works: bool) -> None:
    assert coolant_works(flow, temperature, 2.0, 60.0) is works


@pytest.mark.parametrize(
    ("uncooled", "works", "temperature", "current"),
    [
        (0.0, False, nan, inf),
        (200.0, True, 20.0, 500.0),
        (200.0, True, 50.0, 500.0),
        (200.0, True, 55.0, 350.0),
        (200.0, True, 60.0, 200.0),
        (200.0, False, 20.0, 200.0),
        (200.0, False, nan, 200.0),
        (600.0, False, nan, 500.0),
        (600.0, True, 20.0, 500.0),
    ],
)
def test_the_current_falls_with_the_coolant_and_never_below_the_uncooled_one(
    uncooled: float, works: bool, temperature: float, current: float
) -> None:
    assert cable_current(500.0, uncooled, works, temperature, 50.0, 60.0) == current


def charging(believed: float = 200.0) -> World:
    """Return a world in which an 800 V battery charges with 500 A; the sequencer believes in so much current without coolant (0: as much as with it)."""
    battery = {"min_voltage": 600.0, "max_voltage": 920.0, "target_voltage": 880.0, "cells_in_series": 216, "capacity_kwh": 110.0}
    vehicle = SeccConfig(**(QUICK_CONTROLLER | battery | {"max_current": 500.0, "battery_resistance": 0.05}))  # type: ignore[arg-type]
    config = WorldConfig(
        vehicle=vehicle,
        modules=PowerModulesConfig(
            max_voltage=1000.0, max_current=500.0, max_power=480e3, wake_delay=0.3, current_rise=100.0,
            standby_loss=1200.0, module_thermal_capacity=120e3, module_thermal_conductance=700.0,
        ),
        board=IoBoardConfig(uncooled_current=200.0),
        bridge=CanBridgeConfig(vehicle_link="secc"),
        sequencer=SequencerConfig(vehicle_link="secc", max_power=480e3, ramp_up=100.0, **(LIMITS | {"uncooled_current": believed})),
        safety=SafetyConfig(vehicle_link="secc", **LIMITS),
        site_power=1e6,
    )  # fmt: skip
    world = World(DATABASES, config, 1)
    assert world.begin_charging()
    assert world.run_until(lambda world: world.power.current > 480.0, 20.0), (world.session, world.power)
    return world


def of_the_example() -> World:
    """Return a world of config/xfc.yaml, while it charges."""
    world = World(DATABASES, described("xfc.yaml"), 1)
    assert world.begin_charging()
    assert world.run_until(lambda world: world.power.current > 480.0, 30.0), (world.session, world.power, world.safety_state)
    return world


@pytest.mark.parametrize("start", [charging, of_the_example])
def test_a_session_takes_more_than_350_kw(start: Callable[[], World]) -> None:
    world = start()
    world.run(60.0)
    assert world.power.current * world.power.connector_voltage > 350e3
    assert world.session.state is ChargeState.CHARGING
    assert world.safety_state.faults == ()


@pytest.mark.parametrize("fault", ["coolant_pump_fails", "coolant_unknown"])
def test_without_coolant_the_session_goes_on_with_what_the_cable_carries(fault: str) -> None:
    world = charging()
    world.inject(fault)
    world.run(3.0)
    assert world.power.current == pytest.approx(200.0, abs=3.0)
    world.run(20.0)
    assert world.session.state is ChargeState.CHARGING
    assert world.safety_state.faults == ("coolant_failed",)
    world.heal(fault)
    world.run(4.0)
    assert world.power.current == pytest.approx(200.0, abs=3.0)
    world.run(6.0)
    assert world.power.current > 480.0


def test_a_station_that_goes_on_without_coolant_is_stopped() -> None:
    """The sequencer takes the cable for one that needs no coolant."""
    world = charging(believed=0.0)
    world.inject("coolant_pump_fails")
    assert world.run_until(lambda world: "cable_overload" in world.safety_state.faults, 12.0)
    assert world.run_until(lambda world: world.power.current < 5.0, 6.0)
