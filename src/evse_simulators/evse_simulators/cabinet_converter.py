"""One module of the simulated cabinet: its converter, its switches with the interlock of the cabinet, and its heat."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf

from evse_core.codecs.cabinet import ALL_OPEN, HOLD, Duty
from evse_core.module_allocation import efficiency_at
from evse_core.module_allocator import ModuleRating
from evse_core.parameter import parameter
from evse_simulators.pace import toward
from evse_simulators.power_modules_config import PowerModulesConfig, derating

# What the interlock takes for no current and for equal voltages. [A], [V]
NO_CURRENT, EQUAL_VOLTAGE = 2.0, 20.0
# Power that the thermal figures of PowerModulesConfig are for; those of a converter are its share. [W]
THERMAL_POWER = 50e3
# Current from which a converter counts as running. [A]
RUNNING_CURRENT = 0.5


@dataclass(frozen=True, slots=True)
class PowerCabinetConfig(PowerModulesConfig):
    """Times of the switches and converters; ratings are those of modules and outlets."""

    command_timeout: float = parameter(0.2, "s", "age of a command up to which a switch may move", "config/can/cabinet.dbc", 0.05, 1.0)
    switch_delay: float = parameter(0.05, "s", "from a drive to the contact", "usual DC contactor", 0.0, 1.0)
    share_rise: float = parameter(200.0, "A/s", "ramp with which a module that joins takes its share", "own choice", 1.0, 1e4)


@dataclass(slots=True)
class Asked:
    """A Module_Command and when it came [s]."""

    at: float = -inf
    switch: int = HOLD
    duty: int = Duty.STOP
    voltage: float = 0.0


@dataclass(slots=True)
class Refusals:
    """Commands that the interlock did not follow, by their reason."""

    outlets: int = 0
    current: int = 0
    voltage: int = 0


class Converter:
    """One module with its switches. `closed` is the truth about its contacts; `working`, `welded`, `stuck_open`, `frozen` are what can be broken in it."""

    def __init__(self, rating: ModuleRating, config: PowerCabinetConfig, curve: tuple[tuple[float, float], ...]) -> None:
        self.rating = rating
        self.working = True
        self.welded = self.stuck_open = self.frozen = False
        self.closed: frozenset[int] = frozenset()
        # The outlet that it serves; 0 where none, or more than one, is closed.
        self.outlet = ALL_OPEN
        self.driven = ALL_OPEN
        self.duty = int(Duty.STOP)
        self.voltage = self.current = self.ceiling = 0.0
        self.temperature = config.cabinet_temperature
        self.hours = 0.0
        self.operations = 0
        self.asked = Asked()
        self.refused = False
        self._config, self._curve = config, curve
        self._alive = -1.0
        self._moves_at = -inf
        self._judged: tuple[int, str] = (HOLD, "")

    @property
    def serves(self) -> bool:
        """It can give current to its outlet now."""
        return self.working and self.outlet != ALL_OPEN and self.duty != Duty.STOP

    def limit(self, voltage: float) -> float:
        """Return the current [A] that rating and temperature allow at a voltage [V]."""
        rated = min(self.rating.max_current, self.rating.max_power / max(voltage, 1.0)) if voltage <= self.rating.max_voltage else 0.0
        return rated * derating(self._config, self.temperature)

    def take(self, signals: Mapping[str, float], now: float) -> None:
        """Take a command; one whose counter stands is an old frame and keeps nothing alive."""
        if signals["Alive"] == self._alive:
            return
        self._alive = signals["Alive"]
        self.asked = Asked(now, int(signals["Switch"]), int(signals["Duty"]), signals["Voltage"])

    def obey(self, outlet_voltage: Mapping[int, float], refusals: Refusals, now: float) -> None:
        """Follow the last command as far as the interlock lets."""
        if now - self.asked.at > self._config.command_timeout:
            return
        self.duty = self.asked.duty
        wanted = self.driven if self.asked.switch == HOLD else self.asked.switch
        reason = self._objection(wanted, outlet_voltage) if wanted != self.driven else ""
        self.refused = bool(reason)
        if reason and self._judged != (wanted, reason):
            setattr(refusals, reason, getattr(refusals, reason) + 1)
        self._judged = (wanted, reason)
        if not reason and wanted != self.driven:
            self.driven, self._moves_at = wanted, now + self._config.switch_delay

    def _objection(self, wanted: int, outlet_voltage: Mapping[int, float]) -> str:
        """Return why the switches must not move to `wanted` now, "" where they may."""
        if wanted != ALL_OPEN and (self.driven != ALL_OPEN or self.closed - {wanted} or wanted not in self.rating.outlets):
            return "outlets"
        if abs(self.current) > NO_CURRENT:
            return "current"
        if wanted != ALL_OPEN and abs(self.voltage - outlet_voltage[wanted]) > EQUAL_VOLTAGE:
            return "voltage"
        return ""

    def contacts(self, now: float) -> bool:
        """Let the contacts follow their drive; return whether one moved."""
        if now < self._moves_at:
            return False
        closes = self.driven in self.closed or (self.driven != ALL_OPEN and not self.stuck_open)
        wanted = frozenset({self.driven}) if closes else frozenset()
        wanted |= self.closed if self.welded else frozenset()
        moved = wanted != self.closed
        self.operations += len(wanted ^ self.closed)
        self.closed = wanted
        self.outlet = next(iter(wanted)) if len(wanted) == 1 else ALL_OPEN
        return moved

    def convert(self, outlet_voltage: Mapping[int, float], seconds: float, cooling: float) -> None:
        """Move own voltage and current ceiling, count hours, warm up."""
        if self.outlet != ALL_OPEN:
            self.voltage = outlet_voltage[self.outlet]
        else:
            wanted = min(self.asked.voltage, self.rating.max_voltage) if self.working else 0.0
            self.voltage = toward(self.voltage, wanted, self._config.voltage_slew * seconds, self._config.voltage_slew * seconds)
        limit = self.limit(self.voltage) if self.serves else 0.0
        down = self._config.current_fall * seconds if self.working and self.outlet != ALL_OPEN else inf
        self.ceiling = toward(self.ceiling, limit, self._config.share_rise * seconds, down)
        if self.current > RUNNING_CURRENT:
            self.hours += seconds / 3600.0
        self._heat(seconds, cooling)

    def _heat(self, seconds: float, cooling: float) -> None:
        """Warm up by the losses; `cooling` is the share of the cooling that is left."""
        size = self.rating.max_power / THERMAL_POWER
        limit = max(self.limit(self.voltage), 1e-3)
        loss = max(self.voltage * self.current, 0.0) * (1.0 / efficiency_at(self._curve, self.current / limit) - 1.0)
        capacity = self._config.module_thermal_capacity * size * cooling
        conductance = self._config.module_thermal_conductance * size * cooling
        settled = self._config.cabinet_temperature + loss / conductance
        self.temperature = settled + (self.temperature - settled) * exp(-seconds * conductance / capacity)
