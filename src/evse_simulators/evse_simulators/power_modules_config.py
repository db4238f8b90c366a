"""Ratings, times and heat of simulated power modules, and what their temperature does: power_modules.py, cabinet_converter.py, power_cabinet.py."""

from dataclasses import dataclass

from evse_core.parameter import parameter
from evse_core.rating import MOST_CURRENT, MOST_POWER
from evse_simulators.circuit import CircuitConfig

# Without coolant only the power stages themselves take up heat: share of thermal capacity and conductance that is left.
WITHOUT_COOLANT = 0.05
# Share of the modules' excess that reaches the air in the cabinet, and how fast. Own choice: a quarter, within about 5 min. [1], [s]
ENCLOSURE_SHARE, ENCLOSURE_TIME = 0.25, 300.0


@dataclass(frozen=True, slots=True)
class PowerModulesConfig(CircuitConfig):
    """Ratings, times and heat of the modules of one EVSE."""

    max_voltage: float = parameter(500.0, "V", "highest output voltage", "CHAdeMO 1.0 station", 50.0, 1500.0)
    min_voltage: float = parameter(50.0, "V", "lowest output voltage that can be regulated", "usual for 500 V modules", 0.0, 1500.0)
    max_current: float = parameter(125.0, "A", "highest output current", "CHAdeMO 1.0 station", 1.0, MOST_CURRENT)
    max_power: float = parameter(50e3, "W", "highest output power", "CHAdeMO 1.0 station", 100.0, MOST_POWER)
    max_discharge_current: float = parameter(
        0.0, "A", "highest current taken back from the vehicle; 0: none", "most modules take none", 0.0, MOST_CURRENT
    )
    module_count: int = parameter(0, "", "modules that tell of themselves (config/can/module_bank.dbc); 0: they do not", "optional", 0, 255)
    wake_delay: float = parameter(
        2.0, "s", "from New_Charge_Session to System_Enable", "can.md 1.4 row 6: up to tens of seconds", 0.0, 60.0
    )
    dead_time: float = parameter(0.05, "s", "from a command to its effect", "usual for modules on CAN", 0.0, 1.0)
    start_delay: float = parameter(0.2, "s", "from standby to converting", "usual soft start", 0.0, 5.0)
    current_rise: float = parameter(20.0, "A/s", "ramp of a rising current", "CHAdeMO limit, can.md section 4", 1.0, 1000.0)
    current_fall: float = parameter(400.0, "A/s", "ramp of a falling current", "at most 5 A within 0.5 s: can.md 2.3 E1", 10.0, 1e5)
    voltage_slew: float = parameter(800.0, "V/s", "ramp of the voltage limit", "test voltage within 1 s", 10.0, 1e5)
    efficiency: float = parameter(0.95, "", "share of the input power that comes out", "usual for DC modules", 0.5, 0.999)
    standby_loss: float = parameter(120.0, "W", "own consumption while awake", "usual for a 50 kW cabinet", 0.0, 1e4)
    cabinet_temperature: float = parameter(25.0, "degC", "temperature around the cabinet", "mild day", -40.0, 60.0)
    module_thermal_capacity: float = parameter(
        12e3, "J/K", "heat that warms the modules by 1 K", "30 kg of mostly aluminium at half", 100.0, 1e7
    )
    module_thermal_conductance: float = parameter(70.0, "W/K", "heat to the air per kelvin", "40 K above the air at 50 kW", 0.1, 1e5)
    derating_temperature: float = parameter(80.0, "degC", "temperature above which the modules offer less current", "usual", 0.0, 150.0)
    max_temperature: float = parameter(100.0, "degC", "temperature at which the modules switch themselves off", "usual", 0.0, 150.0)
    heartbeat_timeout: float = parameter(0.2, "s", "silence of the controller after which power stops", "can.md 1.4 row 0", 0.05, 5.0)
    control_timeout: float = parameter(
        1.0, "s", "silence of DC_Power_Control after which power stops", "can.md 1.6, own choice for CHAdeMO", 0.2, 60.0
    )


def derating(config: PowerModulesConfig, temperature: float) -> float:
    """Return the share of its rated current that a module gives at a temperature [degC]."""
    share = (config.max_temperature - temperature) / max(config.max_temperature - config.derating_temperature, 1.0)
    return min(max(share, 0.0), 1.0)


def enclosure_after(seconds: float, config: PowerModulesConfig, temperature: float, enclosure: float) -> float:
    """Return the temperature of the air in the cabinet after a time [s] with modules at a temperature; temperature and enclosure [degC]."""
    settled = config.cabinet_temperature + ENCLOSURE_SHARE * (temperature - config.cabinet_temperature)
    return enclosure + (settled - enclosure) * seconds / ENCLOSURE_TIME
