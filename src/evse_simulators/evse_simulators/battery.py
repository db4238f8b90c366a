"""A traction battery: open-circuit voltage over state of charge, inner resistance, limits of charging, heat.

Charge is counted in ampere hours, so energy that the inner resistance turns into heat does not raise the state of charge.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import exp, isnan

from evse_core.parameter import parameter
from evse_simulators.faults import Answer

# Open-circuit voltage of one NMC/graphite cell over state of charge [%, V]: an own smooth curve inside the band of published cells of this chemistry
# (about 3.0 V empty, 3.7 V at the middle, 4.2 V full). 96 of them in series give 346 V at 30 %, 356 V at half charge and 402 V full.
OPEN_CIRCUIT_VOLTAGE = (
    (0.0, 3.00),
    (5.0, 3.34),
    (10.0, 3.46),
    (20.0, 3.55),
    (30.0, 3.60),
    (40.0, 3.64),
    (50.0, 3.71),
    (60.0, 3.80),
    (70.0, 3.90),
    (80.0, 4.00),
    (90.0, 4.09),
    (100.0, 4.19),
)
# Resistance against temperature as exp(K / T): about 20 kJ/mol, usual for the ohmic and charge-transfer parts of lithium-ion cells together. [K]
ACTIVATION_TEMPERATURE = 2400.0
# Temperature for which the resistance is given. [degC]
REFERENCE_TEMPERATURE = 25.0
KELVIN = 273.15


@dataclass(frozen=True)
class BatteryConfig:
    """What the battery is, and how it is at the start."""

    soc_percent: float = parameter(30.0, "%", "state of charge at the start", "usual arrival at a fast charger", 0.0, 100.0)
    capacity_kwh: float = parameter(40.0, "kWh", "capacity from empty to full at the nominal voltage", "compact car of 2018", 0.01, 500.0)
    cells_in_series: int = parameter(96, "", "cells in series", "cars with a nominal pack voltage of about 360 V", 1, 400)
    battery_resistance: float = parameter(
        0.09, "ohm", "inner resistance of the pack at 25 degC", "about 0.9 mohm for each of 96 cells", 0.001, 5.0
    )
    battery_temperature: float = parameter(22.0, "degC", "temperature at the start", "mild day", -40.0, 80.0)
    ambient_temperature: float = parameter(20.0, "degC", "temperature of the surroundings", "mild day", -40.0, 60.0)
    thermal_capacity: float = parameter(270e3, "J/K", "heat that warms the pack by 1 K", "300 kg at 0.9 kJ/(kg K)", 1e3, 1e8)
    thermal_conductance: float = parameter(15.0, "W/K", "heat lost per kelvin above the surroundings", "passively cooled pack", 0.0, 1e4)
    derating_temperature: float = parameter(45.0, "degC", "temperature above which the pack takes less current", "usual for NMC", 0.0, 80.0)
    max_temperature: float = parameter(
        55.0, "degC", "temperature at which the pack takes no current and reports a fault", "usual for NMC", 0.0, 90.0
    )


@dataclass(slots=True)
class BatteryState:
    """Present values of the battery [%], [V], [ohm], [degC]."""

    soc_percent: float
    open_circuit_voltage: float
    resistance: float
    temperature: float


@lru_cache(maxsize=16)
def cell_voltage(soc_percent: float) -> float:
    """Return the open-circuit voltage of a cell [V], by straight lines between the points of OPEN_CIRCUIT_VOLTAGE."""
    upper = min(max(bisect_right(OPEN_CIRCUIT_VOLTAGE, (soc_percent, 99.0)), 1), len(OPEN_CIRCUIT_VOLTAGE) - 1)
    (x0, y0), (x1, y1) = OPEN_CIRCUIT_VOLTAGE[upper - 1], OPEN_CIRCUIT_VOLTAGE[upper]
    return y0 + (y1 - y0) * (soc_percent - x0) / (x1 - x0)


@lru_cache(maxsize=16)
def _resistance_factor(temperature: float) -> float:
    """Return the resistance at a temperature [degC] relative to that at the reference temperature."""
    inverse = 1.0 / (temperature + KELVIN) - 1.0 / (REFERENCE_TEMPERATURE + KELVIN)
    return exp(ACTIVATION_TEMPERATURE * inverse)


def _mean_cell_voltage() -> float:
    """Return the mean of the curve over charge [V]: energy from empty to full is this times the charge."""
    return sum((y0 + y1) / 2 * (x1 - x0) for (x0, y0), (x1, y1) in pairwise(OPEN_CIRCUIT_VOLTAGE)) / 100.0


MEAN_CELL_VOLTAGE = _mean_cell_voltage()


class Battery:
    """Counts charge and heat."""

    def __init__(self, config: BatteryConfig) -> None:
        self.config = config
        self.soc_percent = config.soc_percent
        self.temperature = config.battery_temperature
        self.capacity_kwh = config.capacity_kwh
        self.full_voltage = config.cells_in_series * OPEN_CIRCUIT_VOLTAGE[-1][1]
        """Open-circuit voltage of the full pack [V]: the constant voltage of the last phase of charging."""

    def change(self, soc_percent: float, capacity_kwh: float, temperature: float) -> Answer:
        """Take other values; NaN leaves one as it is."""
        for value, low, high, what in (
            (soc_percent, 0, 100, "soc_percent"),
            (capacity_kwh, 0.01, 500, "capacity_kwh"),
            (temperature, -40, 80, "temperature"),
        ):
            if not isnan(value) and not low <= value <= high:
                return Answer(False, f"{what}: {value} is outside {low} to {high}")
        self.soc_percent = self.soc_percent if isnan(soc_percent) else soc_percent
        self.capacity_kwh = self.capacity_kwh if isnan(capacity_kwh) else capacity_kwh
        self.temperature = self.temperature if isnan(temperature) else temperature
        return Answer(True, f"{self.soc_percent:.1f} % of {self.capacity_kwh:.1f} kWh at {self.temperature:.0f} degC")

    @property
    def capacity_ah(self) -> float:
        """Charge from empty to full [Ah]."""
        return self.capacity_kwh * 1000.0 / (self.config.cells_in_series * MEAN_CELL_VOLTAGE)

    @property
    def open_circuit_voltage(self) -> float:
        """Open-circuit voltage of the pack [V]."""
        return self.config.cells_in_series * cell_voltage(self.soc_percent)

    @property
    def resistance(self) -> float:
        """Inner resistance at the present temperature [ohm]."""
        return self.config.battery_resistance * _resistance_factor(self.temperature)

    def state(self) -> BatteryState:
        """Return the present values."""
        return BatteryState(self.soc_percent, self.open_circuit_voltage, self.resistance, self.temperature)

    def acceptable_current(self) -> float:
        """Return the largest current [A] that keeps the terminals at or below the full voltage, less above the derating temperature."""
        taper = (self.full_voltage - self.open_circuit_voltage) / self.resistance
        span = max(self.config.max_temperature - self.config.derating_temperature, 1e-6)
        share = min(max((self.config.max_temperature - self.temperature) / span, 0.0), 1.0)
        return max(taper, 0.0) * share

    def step(self, current: float, seconds: float) -> None:
        """Take current [A], positive into the battery, for some seconds."""
        self.soc_percent = min(max(self.soc_percent + current * seconds / 36.0 / self.capacity_ah, 0.0), 100.0)
        loss = self.config.thermal_conductance * (self.temperature - self.config.ambient_temperature)
        self.temperature += (current * current * self.resistance - loss) * seconds / self.config.thermal_capacity
