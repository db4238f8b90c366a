"""Power modules behind the generic EVSE interface v3 (../shared/reference/can.md section 1): the customer side P of the protocol with real limits and ramps.

Theory of operation. The modules sleep until New_Charge_Session and need `wake_delay` until they allow power (System_Enable). They follow
DC_Power_Control after `dead_time`; converting starts `start_delay` later, the current ramps, the voltage slews. Silence of the controller's heartbeat or
of its commands, Emergency_Stop and own over-temperature stop them at once and keep them stopped until the cause is gone and Off or Standby has been
commanded. What flows is solved by circuit.py.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import copysign, inf, isnan, nan

from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.sample import Sample, fresh
from evse_core.types import SimPower, SimStationLines, SimVehicleLines
from evse_simulators.circuit import Circuit, CircuitState, Load, Source
from evse_simulators.faults import MODULES, Answer, FaultSet
from evse_simulators.pace import Periodic, Wire, toward
from evse_simulators.power_modules_config import WITHOUT_COOLANT, PowerModulesConfig, derating, enclosure_after

# Power_Function of DC_Power_Control (can.md 1.3).
OFF, STANDBY, INSULATION_TEST, PRECHARGE, POWER_TRANSFER = 0, 1, 2, 4, 8
CONVERTING = (INSULATION_TEST, PRECHARGE, POWER_TRANSFER)
# Current in insulation test and precharge, whatever the set point (can.md 1.3, 1.9 and section 4). [A]
TEST_CURRENT = 2.0
# Emergency_Stop comes every 100 ms while in force (can.md 1.3), so this is five of them. [s]
EMERGENCY_HOLD = 0.5
# Status frames after the end of a session, so that the last readings arrive. [s]
AWAKE_AFTER_SESSION = 2.0
# Lines that are older than this come from a simulator that has died: its contactors have dropped. [s]
LINES_LIMIT = 0.5
# Longest step that is solved at once. [s]
LONGEST_STEP = 0.2
# How the faults change the set point: module_runaway keeps it, over_current raises it, over_voltage replaces the voltage.
RUNAWAY_FACTOR, OVER_CURRENT_FACTOR, OVER_CURRENT_OFFSET = 1.2, 1.3, 15.0
# Insulation of a damaged cable [ohm]; below 100 kohm (can.md section 4) but no dead short.
DAMAGED_INSULATION = 20e3
# Shares of the mean current that modules give which do not share it (fault modules_disagree): a third more and a third less.
UNEVEN = (2.0 / 3.0, 4.0 / 3.0)


@dataclass(slots=True)
class Setpoint:
    """A DC_Power_Control frame and when it came [s]."""

    at: float = -inf
    function: int = OFF
    voltage: float = 0.0
    current: float = 0.0
    lower: bool = False
    contactors: bool = False


@dataclass(slots=True)
class PowerModulesOutput:
    """Frames to the controller, and what the modules feed into the cable."""

    frames: tuple[Frame, ...]
    power: SimPower


class PowerModulesModel:
    """Take frames and lines as they come, call step at 25 Hz or more."""

    def __init__(self, config: PowerModulesConfig, database: SignalDatabase) -> None:
        self.config = config
        self.faults = FaultSet(MODULES)
        self.temperature = config.cabinet_temperature
        self.enclosure_temperature = config.cabinet_temperature
        self.state = CircuitState()
        self._wire = Wire(database)
        self._circuit = Circuit(config)
        self._healthy_insulation = self._circuit.cable_insulation
        self._station: Sample[SimStationLines] | None = None
        self._vehicle: Sample[SimVehicleLines] | None = None
        self._last_step: float | None = None
        self._pistol = 0
        self._awake_since = inf
        self._sleep_at = inf
        self._heartbeat = -inf
        self._emergency = -inf
        self._commands: deque[Setpoint] = deque()
        self._applied = Setpoint()
        self._tripped = ""
        self._ready = False
        self._converting_from = inf
        self._voltage = self._current = 0.0
        self._limit_sent = (-1.0, -1.0)
        self._status = Periodic(0.1)
        self._limits = Periodic(0.5)
        self._bank, self._alive = Periodic(0.1), 0
        self._handlers = {
            "Advantics_Controller_Status": self._on_heartbeat,
            "New_Charge_Session": self._on_session,
            "DC_Power_Control": self._on_control,
            "Charge_Session_Finished": self._on_finished,
            "Emergency_Stop": self._on_emergency,
        }

    def inject(self, name: str, active: bool) -> Answer:
        """Break or heal something."""
        return self.faults.set(name, active)

    def on_station_lines(self, lines: SimStationLines, now: float) -> None:
        """Take the output contactor's state."""
        self._station = Sample(lines, now)

    def on_vehicle_lines(self, lines: SimVehicleLines, now: float) -> None:
        """Take the vehicle's contactor and battery."""
        self._vehicle = Sample(lines, now)

    def on_frame(self, frame: Frame, now: float) -> None:
        """Take a frame of the controller; others are ignored."""
        decoded = self._wire.read(frame)
        handler = self._handlers.get(decoded.name) if decoded else None
        if decoded and handler:
            self._pistol = frame.id >> 24 & 0x1F  # bits 28..24 (can.md 1.1): the modules answer as the pistol that they are called by
            handler(decoded.signals, now)

    @property
    def awake(self) -> bool:
        """The modules have been woken and report."""
        return self._awake_since < inf

    @property
    def enabled(self) -> bool:
        """The modules allow power: System_Enable."""
        return self._ready and not self._tripped and "module_refuses" not in self.faults

    @property
    def working(self) -> int:
        """How many of the modules work; a bank that does not tell of them counts as one."""
        count = max(self.config.module_count, 1)
        if "modules_failed" in self.faults:
            return 0
        return count - 1 if "module_failed" in self.faults and count > 1 else count

    def step(self, now: float) -> PowerModulesOutput:
        """Go on to now [s]."""
        start = now if self._last_step is None else self._last_step
        self._last_step = now
        self._watch(now)
        while start < now:
            seconds = min(now - start, LONGEST_STEP)
            start = start + seconds if seconds == LONGEST_STEP else now
            self._advance(start, seconds)
        return PowerModulesOutput(self._frames(now), self._power())

    # Frames of the controller

    def _on_heartbeat(self, signals: Mapping[str, float], now: float) -> None:
        self._heartbeat = now

    def _on_session(self, signals: Mapping[str, float], now: float) -> None:
        if not self.awake:
            self._awake_since = now
            self._limit_sent = (-1.0, -1.0)
            self._status.restart()
            self._bank.restart()
        self._sleep_at = inf

    def _on_finished(self, signals: Mapping[str, float], now: float) -> None:
        self._sleep_at = now + AWAKE_AFTER_SESSION

    def _on_emergency(self, signals: Mapping[str, float], now: float) -> None:
        self._emergency = now

    def _on_control(self, signals: Mapping[str, float], now: float) -> None:
        setpoint = Setpoint(
            now,
            int(signals.get("Power_Function", OFF)),
            signals.get("Target_Voltage", 0.0),
            signals.get("Current_Range_Max", 0.0),
            bool(signals.get("Lower_Output_Voltage", 0.0)),
            bool(signals.get("Output_Contactors", 0.0)),
        )
        self._commands.append(setpoint)

    # Supervision

    def _watch(self, now: float) -> None:
        """Trip, re-arm, apply commands that have passed the dead time, fall asleep."""
        while self._commands and self._commands[0].at + self.config.dead_time <= now + 1e-9:
            self._applied = self._commands.popleft()
        cause = self._cause(now)
        if cause:
            self._tripped = cause
        elif self._tripped and self._applied.function not in CONVERTING:
            self._tripped = ""
        if now >= self._sleep_at and self._current == 0.0:
            self._awake_since = self._sleep_at = inf
        self._ready = self.awake and now - self._awake_since >= self.config.wake_delay

    def _cause(self, now: float) -> str:
        """Return why power must stop at once, "" where it may go on."""
        if now - self._emergency <= EMERGENCY_HOLD:
            return "emergency stop"
        if now - self._heartbeat > self.config.heartbeat_timeout:
            return "heartbeat"
        if self.temperature >= self.config.max_temperature:
            return "temperature"
        if self._applied.function == POWER_TRANSFER and now - self._newest_command() > self.config.control_timeout:
            return "command"
        return ""

    def _newest_command(self) -> float:
        return self._commands[-1].at if self._commands else self._applied.at

    # Conversion

    def _advance(self, now: float, seconds: float) -> None:
        source, load = self._source(now, seconds), self._load(now)
        self._circuit.cable_insulation = DAMAGED_INSULATION if "insulation_low" in self.faults else self._healthy_insulation
        self.state = self._circuit.step(source, load, seconds)
        self._heat(seconds)

    def _load(self, now: float) -> Load:
        """Return what hangs on the output; a simulator that is silent has let go of its contactor."""
        station, vehicle = fresh(self._station, now, LINES_LIMIT), fresh(self._vehicle, now, LINES_LIMIT)
        closed = station is not None and station.contactor_closed
        if vehicle is None or isnan(vehicle.battery_voltage):
            return Load(closed)
        connected = vehicle.plugged and vehicle.contactor_closed
        return Load(closed, connected, vehicle.battery_voltage, max(vehicle.battery_resistance, 1e-3))

    def _source(self, now: float, seconds: float) -> Source:
        """Return the limits that the converters hold during this step."""
        wanted = self._applied.function in CONVERTING and self.enabled and self.working > 0
        runaway = "module_runaway" in self.faults and self._current != 0.0 and self.working > 0
        if not wanted and not runaway:
            return self._stop(seconds)
        if self._converting_from == inf:
            self._converting_from = now + self.config.start_delay
            self._voltage = self.state.module_voltage
        if now < self._converting_from:
            return Source()
        if not runaway:
            self._follow(seconds)
        return self._limited()

    def _follow(self, seconds: float) -> None:
        """Move voltage and current limits toward the set point."""
        slew = self.config.voltage_slew * seconds
        target = (
            self.config.max_voltage * RUNAWAY_FACTOR
            if "over_voltage" in self.faults
            else min(self._applied.voltage, self.config.max_voltage)
        )
        self._voltage = toward(self._voltage, target if target >= self.config.min_voltage else 0.0, slew, slew)
        if self._applied.function != POWER_TRANSFER:
            self._current = TEST_CURRENT
            return
        self._ramp(min(max(self._applied.current, -self.offered_discharge()), self.offered_current()), seconds)

    def _ramp(self, target: float, seconds: float) -> None:
        """Move the current limit: away from 0 A by the one ramp, towards it by the other; to the other direction through 0 A."""
        rise, fall = self.config.current_rise * seconds, self.config.current_fall * seconds
        if self._current * target < 0.0 or abs(target) < abs(self._current):
            reached = 0.0 if self._current * target < 0.0 else target
            self._current = toward(self._current, reached, fall, fall)
        else:
            self._current = toward(self._current, target, rise, rise)

    def _limited(self) -> Source:
        """Return the source with the faults of the control applied."""
        current = self._current
        if "over_current" in self.faults and self._applied.function == POWER_TRANSFER and current != 0.0:
            current = current * OVER_CURRENT_FACTOR + copysign(OVER_CURRENT_OFFSET, current)
        forced = self._voltage if "over_voltage" in self.faults else nan
        return Source(True, self._voltage, current, False, forced)

    def _stop(self, seconds: float) -> Source:
        """Return the source on its way down: by the ramp where a command stops it, at once where something tripped."""
        self._converting_from = inf
        self._current = (
            0.0
            if not self.enabled or not self.working
            else toward(self._current, 0.0, self.config.current_fall * seconds, self.config.current_fall * seconds)
        )
        if self._current != 0.0:
            return Source(True, self._voltage, self._current)
        self._voltage = 0.0
        return Source(discharge=self._discharges())

    def _discharges(self) -> bool:
        """Lower the own output: when told to, and after a trip once the contactor is known to be open (can.md 1.7)."""
        if self._tripped:
            return self.awake and not self._applied.contactors
        return self._applied.lower and self._applied.function == STANDBY

    def offered_current(self) -> float:
        """Return the current [A] that rating, power at the present voltage, temperature and the modules that work allow."""
        if "modules_offer_nothing" in self.faults:
            return 0.0
        working = self.working / max(self.config.module_count, 1)
        by_power = working * self.config.max_power / max(self.state.module_voltage, 1.0)
        return min(working * self.config.max_current * derating(self.config, self.temperature), by_power)

    def offered_discharge(self) -> float:
        """Return the size of the current [A] that rating, temperature and the modules that work can take back."""
        if "modules_offer_nothing" in self.faults:
            return 0.0
        return self.working / max(self.config.module_count, 1) * self.config.max_discharge_current * derating(self.config, self.temperature)

    def _heat(self, seconds: float) -> None:
        """Warm the modules by their losses, the enclosure slowly after them."""
        converted = abs(self.state.module_voltage * self.state.current)
        loss = converted * (1.0 / self.config.efficiency - 1.0) + (self.config.standby_loss if self.awake else 0.0)
        share = WITHOUT_COOLANT if "module_hot" in self.faults else 1.0
        away = self.config.module_thermal_conductance * share * (self.temperature - self.config.cabinet_temperature)
        self.temperature += (loss - away) * seconds / (self.config.module_thermal_capacity * share)
        self.enclosure_temperature = enclosure_after(seconds, self.config, self.temperature, self.enclosure_temperature)

    # Reports

    def _power(self) -> SimPower:
        state = self.state
        return SimPower(0.0, state.module_voltage, state.connector_voltage, state.current, state.insulation_resistance)

    def _frames(self, now: float) -> tuple[Frame, ...]:
        if not self.awake or "modules_silent" in self.faults:
            return ()
        frames = []
        if self._status.due(now):
            frames.append(self._status_frame())
        if self.config.module_count and "module_bank_silent" not in self.faults and self._bank.due(now):
            frames.append(self._bank_frame())
        offered = min(self.config.max_current, self.offered_current()), self.offered_discharge()
        if any(abs(new - sent) >= 1.0 for new, sent in zip(offered, self._limit_sent, strict=True)) and self._limits.due(now):
            self._limit_sent = offered
            limits = {
                "Maximum_Voltage": self.config.max_voltage,
                "Maximum_Charge_Current": offered[0],
                "Maximum_Discharge_Current": offered[1],
            }
            frames.append(self._wire.write("DC_Power_Parameters", limits, pistol=self._pistol))
        return tuple(frames)

    def _status_frame(self) -> Frame:
        signals = {
            "Present_Voltage": self.state.module_voltage,
            "Present_Current": self.state.current,
            "Power_Modules_Temperature": self.temperature,
            "Enclosure_Temperature": self.enclosure_temperature,
            "System_Enable": float(self.enabled),
            "Insulation_Resistance": self.state.insulation_resistance / 1000.0,
        }
        return self._wire.write("Power_Modules_Status", signals, pistol=self._pistol)

    def _bank_frame(self) -> Frame:
        """Return what the modules tell of themselves: they share the current evenly, unless they are broken."""
        mean = self.state.current / max(self.working, 1)
        low, high = UNEVEN if "modules_disagree" in self.faults and self.working > 1 else (1.0, 1.0)
        self._alive = (self._alive + 1) % 256
        signals = {
            "Module_Count": float(self.config.module_count),
            "Modules_Working": float(self.working),
            "Lowest_Module_Current": min(mean * low, mean * high),
            "Highest_Module_Current": max(mean * low, mean * high),
            "Alive": float(self._alive),
        }
        return self._wire.write("Module_Bank", signals, pistol=self._pistol)
