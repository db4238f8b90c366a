"""What the tests of the simulated world share: databases, worlds of example descriptions, the course of a session, its end, its energy, and the mechanic."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from evse_core.can_bridge import CanBridgeConfig
from evse_core.charge_sequencer import SequencerConfig
from evse_core.safety_monitor import SafetyConfig
from evse_core.types import ChargeState, RequestKind
from evse_nodes import databases
from evse_simulators.io_board import IoBoardConfig
from evse_simulators.memo_database import MemoDatabase
from evse_simulators.power_modules_config import PowerModulesConfig
from evse_simulators.secc import SeccConfig
from evse_simulators.world import World
from evse_simulators.world_config import WorldConfig
from evse_tools.description import from_data
from evse_tools.node_specs import node_specs

CONFIG = Path(__file__).resolve().parents[2] / "config"

# With one memory for all worlds of a process.
DATABASES: Any = {name: MemoDatabase(databases.load(name)) for name in databases.NAMES}
OVER = {ChargeState.FINISHED, ChargeState.FAULTED, ChargeState.UNAVAILABLE}
# The states of a session, with a CHAdeMO vehicle and behind a charge controller.
COURSE = [
    "AVAILABLE",
    "PREPARING",
    "AUTHORIZING",
    "AUTHORIZED",
    "WAITING_FOR_VEHICLE",
    "WAITING_FOR_PERMISSION",
    "LOCKING",
    "CABLE_CHECK",
    "LOWERING_OUTPUT",
    "WAITING_FOR_CONTACTOR",
    "WAITING_FOR_REQUEST",
    "CHARGING",
    "RAMPING_DOWN",
    "WELDING_DETECTION",
    "CLOSING",
    "UNLOCKING",
    "FINISHED",
]
LED_COURSE = ["PRECHARGE" if state == "WAITING_FOR_CONTACTOR" else state for state in COURSE]
# With an AC vehicle at its control pilot.
AC_COURSE = [
    "AVAILABLE",
    "PREPARING",
    "AUTHORIZING",
    "AUTHORIZED",
    "WAITING_FOR_VEHICLE",
    "LOCKING",
    "WAITING_FOR_REQUEST",
    "CHARGING",
    "RAMPING_DOWN",
    "CLOSING",
    "UNLOCKING",
    "FINISHED",
]


def start_session(made: World) -> None:
    """Let the station come up, and a driver plug in, show a token and press start, 1 s after each other."""
    made.run(2.0)
    made.plug_in()
    made.run(1.0)
    made.token()
    made.run(1.0)
    made.start()


def described(name: str) -> WorldConfig:
    """Return a world behind a charge controller, made of the parameters that a description in config gives its nodes."""
    station = from_data(yaml.safe_load((CONFIG / name).read_text(encoding="utf-8")))
    specs = {spec.executable: spec.parameters for spec in node_specs(station)}

    def made(kind: Any, node: str) -> Any:
        known = {item.name for item in fields(kind)}
        return kind(**{name: value for name, value in specs[node].items() if name in known})

    return WorldConfig(
        vehicle=made(SeccConfig, "secc_simulator"),
        modules=made(PowerModulesConfig, "power_module_simulator"),
        board=made(IoBoardConfig, "io_board_simulator"),
        bridge=made(CanBridgeConfig, "can_bridge"),
        sequencer=made(SequencerConfig, "charge_sequencer"),
        safety=made(SafetyConfig, "safety_monitor"),
        site_power=station.sections.get("energy_manager", {}).get("site_limit", 50e3),
    )


def over(made: World) -> bool:
    """Return whether the session has ended."""
    return made.session.state in OVER


def energy(made: World) -> float:
    """Return what the last record bills [Wh]."""
    return made.records[-1].end_register_wh - made.records[-1].begin_register_wh


def mend(made: World, name: str, pause: float = 1.5) -> None:
    """Heal the fault, let an operator reset and unlock with pauses [s], pull the plug: the station must be back in service."""
    made.heal(name)
    made.run(pause)
    made.reset_faults()
    made.request(RequestKind.UNLOCK)
    made.run(pause)
    assert made.unplug().success or not made.vehicle.plugged, made.session
    assert made.reach(ChargeState.AVAILABLE, 60.0), (made.session, made.safety_state)  # What is hot has to cool down.
