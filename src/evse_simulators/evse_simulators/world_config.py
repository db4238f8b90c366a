"""What the simulated world is made of, and the lines of its log."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from evse_core.can_bridge import CanBridgeConfig
from evse_core.charge_sequencer import SequencerConfig
from evse_core.energy_meter import MeterConfig
from evse_core.safety_monitor import SafetyConfig
from evse_core.tariff import Tariff
from evse_core.vehicle_link import PILOT, SECC
from evse_simulators.ac_vehicle import AcVehicleConfig
from evse_simulators.io_board import IoBoardConfig
from evse_simulators.power_modules_config import PowerModulesConfig
from evse_simulators.secc import SeccConfig
from evse_simulators.vehicle import VehicleConfig

# Stamps of the virtual ROS clock begin here, so that 0 stays "no stamp". [s]
EPOCH = 1.7e9
TOKEN = "04A1B2C3"
# Nodes of the station that say that they live: those that run here, and those of the station whose part the world plays.
NODES = ("/evse_1/can_bridge", "/evse_1/charge_sequencer", "/evse_1/energy_meter", "/energy_manager", "/ocpp_uplink")
# Room on the disk of those who write. [B]
FREE_SPACE = {"/evse_1/energy_meter": 10e9, "/ocpp_uplink": 10e9}
# Bit rate of all buses (can.md 1.1, 2.1). [bit/s]
BITRATE = 500_000


# A vehicle and modules that think quickly, so that a session costs less; all limits of the station stay as they are. [s]
QUICK_VEHICLE: dict[str, Any] = {"think_time": 0.5, "permission_delay": 0.1, "contactor_delay": 0.3, "request_delay": 0.2}
# A charge controller that does not let one wait, as little. [s]
QUICK_CONTROLLER: dict[str, Any] = {
    "boot_time": 0.2,
    "negotiation_time": 0.3,
    "lock_time": 0.1,
    "contactor_delay": 0.1,
    "request_delay": 0.2,
    "welding_time": 0.3,
}
# An AC vehicle, as little.
QUICK_AC_VEHICLE: dict[str, Any] = {"ready_delay": 0.2, "start_delay": 0.1, "follow_delay": 0.3, "stop_delay": 0.5, "ramp_up": 40.0}
# An AC output of 32 A and three phases with a socket outlet.
AC_OUTPUT: dict[str, Any] = {
    "ac_phases": 3,
    "phase_voltage": 230.0,
    "max_current": 32.0,
    "socket_outlet": True,
    "phase_switching": True,
    "ventilated": False,
}
# Modules of the world; they tell of themselves, and its board has a control pilot, so that all faults can be seen.
MODULES = 4
QUICK_MODULES = PowerModulesConfig(wake_delay=0.3, module_count=MODULES)


VehicleKind = VehicleConfig | SeccConfig | AcVehicleConfig


@dataclass(frozen=True)
class WorldConfig:
    """What the world is made of; times in s, power in W."""

    vehicle: VehicleKind = field(default_factory=VehicleConfig)
    modules: PowerModulesConfig = field(default_factory=lambda: PowerModulesConfig(module_count=MODULES))
    board: IoBoardConfig = field(default_factory=lambda: IoBoardConfig(has_control_pilot=True))
    bridge: CanBridgeConfig = field(default_factory=CanBridgeConfig)
    sequencer: SequencerConfig = field(default_factory=SequencerConfig)
    safety: SafetyConfig = field(default_factory=lambda: SafetyConfig(module_count=MODULES, has_control_pilot=True))
    meter: MeterConfig = field(default_factory=MeterConfig)
    tariff: Tariff = field(default_factory=Tariff)
    tokens: tuple[str, ...] = (TOKEN,)
    site_power: float = 50e3
    tick: float = 0.025
    hand_over: int = 1
    rule_period: float = 0.05

    @property
    def link(self) -> str:
        """Name of the vehicle link."""
        return self.bridge.vehicle_link


def secc_config(vehicle: SeccConfig | None = None, **others: Any) -> WorldConfig:
    """Return a world in which a charge controller leads."""
    link = SECC
    parts: dict[str, Any] = {
        "vehicle": vehicle or SeccConfig(),
        "board": IoBoardConfig(),
        "bridge": CanBridgeConfig(vehicle_link=link),
        "sequencer": SequencerConfig(vehicle_link=link),
        "safety": SafetyConfig(vehicle_link=link, module_count=MODULES),
    }
    return WorldConfig(**(parts | others))


# A station that takes power, and what its modules, vehicle and controller are then like; the vehicle gives power down to a lower charge than the station.
TAKES: dict[str, Any] = {"max_discharge_current": 60.0, "max_discharge_power": 20e3}
DISCHARGING_MODULES = replace(QUICK_MODULES, max_discharge_current=60.0)
GIVES: dict[str, dict[str, Any]] = {
    "chademo": {"max_discharge_current": 40.0},
    "secc": {"max_discharge_current": 40.0, "range_mode": True, "protocol": 7},
}


def with_discharge(config: WorldConfig) -> WorldConfig:
    """Return the same world with a station that takes power and modules that can."""
    return replace(
        config,
        modules=DISCHARGING_MODULES,
        sequencer=replace(config.sequencer, unverified_discharge=True, **TAKES),
        safety=replace(config.safety, **TAKES),
    )


def pilot_config(vehicle: AcVehicleConfig | None = None, output: Mapping[str, Any] | None = None, **others: Any) -> WorldConfig:
    """Return a world of an AC output with a control pilot; `output` are values of AC_OUTPUT that differ."""
    made = AC_OUTPUT | dict(output or {}) | {"vehicle_link": PILOT}
    power = made["max_current"] * made["phase_voltage"] * made["ac_phases"]
    parts: dict[str, Any] = {
        "vehicle": vehicle or AcVehicleConfig(),
        "board": IoBoardConfig(**_fields(IoBoardConfig, made)),
        "bridge": CanBridgeConfig(vehicle_link=PILOT),
        "sequencer": SequencerConfig(**_fields(SequencerConfig, made | {"max_power": power})),
        "safety": SafetyConfig(**_fields(SafetyConfig, made | {"max_power": power})),
    }
    return WorldConfig(**(parts | others))


def _fields(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the world's log: a state, a step, a fault, a vehicle phase, a driver's action."""

    at: float
    kind: str
    what: str
    detail: str = ""
    active: bool = True
