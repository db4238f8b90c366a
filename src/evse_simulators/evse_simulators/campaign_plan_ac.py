"""Random vehicles, outputs and faults of the campaign's sessions with an AC output (vehicle link pilot). What a plan is: campaign_plan.py."""

from collections.abc import Mapping
from random import Random
from typing import Any

from evse_core.vehicle_link import PILOT
from evse_simulators import faults
from evse_simulators.ac_vehicle import AcVehicleConfig
from evse_simulators.world_config import QUICK_AC_VEHICLE, WorldConfig, pilot_config

# What can be broken in board and vehicle; liquid-cooled cables are for direct current.
ALL_FAULTS = tuple(name for name in faults.of(faults.AC_VEHICLE, faults.BOARD, link=PILOT) if not name.startswith("coolant_"))
# The same without a sensor of current that shows too much, which would only falsify the bill.
AC_FAULTS = tuple(name for name in ALL_FAULTS if name != "ac_over_current")
# States that moments hang on: those of a session in their order.
AC_ANCHORS = (
    "AUTHORIZED",
    "WAITING_FOR_VEHICLE",
    "LOCKING",
    "WAITING_FOR_REQUEST",
    "CHARGING",
    "RAMPING_DOWN",
    "CLOSING",
    "UNLOCKING",
    "FINISHED",
    "FAULTED",
)
# The one bus.
AC_LINKS = ("IO.rx", "IO.tx")
# Outputs: three phases with a socket outlet, tethered ones, level 1 and 2. Fields of world_config.AC_OUTPUT.
TETHERED: dict[str, Any] = {"socket_outlet": False, "phase_switching": False}
OUTPUTS: tuple[dict[str, Any], ...] = (
    {},
    {"ventilated": True},
    TETHERED,
    TETHERED | {"ac_phases": 1, "phase_voltage": 120.0, "max_current": 16.0},
    TETHERED | {"ac_phases": 1, "phase_voltage": 240.0, "max_current": 48.0},
)
# Vehicles as their makers build them, and odd ones (../shared/reference/can.md 3.3). The last ones cannot be charged by every output.
AC_VEHICLES: tuple[dict[str, Any], ...] = (
    {},
    {"charger_phases": 1, "max_current": 32.0},
    {"max_current": 32.0, "cable_current": 20.0},
    {"max_current": 63.0, "cable_current": 63.0},
    {"max_current": 32.0, "cable_current": 13.0},
    {"follow_delay": 5.0, "ramp_up": 5.0},
    {"stop_delay": 2.0},
    {"toggles": 3},
    {"simplified": True, "max_current": 32.0},
    {"sleep_after": 1.0},
    {"needs_ventilation": True},
    {"cable_current": 0.0},
)
# What the site has left, in actions of the plan. [W]
POWERS: Mapping[str, float] = {"power_short": 5e3, "power_less": 9e3, "power_none": 0.0, "power_back": 50e3}


def vehicle(random: Random) -> dict[str, Any]:
    """Return a vehicle: charge, size and times changed by chance."""
    chosen = dict(random.choices(AC_VEHICLES, (8, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1))[0])
    if random.random() < 0.7:
        chosen["soc_percent"] = round(random.uniform(2.0, 99.0), 1)
        chosen["max_current"] = float(random.randint(6, 63))
    if random.random() < 0.2:
        chosen |= {"capacity_kwh": round(random.uniform(0.05, 1.0), 3), "battery_resistance": 0.2}
    if random.random() < 0.3:
        chosen |= {"ready_delay": round(random.uniform(0.0, 3.0), 2), "start_delay": round(random.uniform(0.0, 2.0), 2)}
    return chosen


def station(random: Random) -> dict[str, Any]:
    """Return an output and what the site has for it."""
    chosen: dict[str, Any] = {"output": dict(random.choices(OUTPUTS, (6, 1, 3, 1, 2))[0])}
    if random.random() < 0.3:
        chosen["site_power"] = float(random.choice((0, 2000, 4000, 6000, 12000)))
    if random.random() < 0.2:
        chosen["hand_over"] = random.choice((2, 3))
    return chosen


def config(vehicle: AcVehicleConfig, station: Mapping[str, Any]) -> WorldConfig:
    """Return what the world of a plan is made of."""
    others = dict(station)
    return pilot_config(vehicle, others.pop("output", {}), **others)


def quick(changes: Mapping[str, Any]) -> AcVehicleConfig:
    """Return a vehicle that does not let one wait, with some values changed."""
    return AcVehicleConfig(**QUICK_AC_VEHICLE | dict(changes))
