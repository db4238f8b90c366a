"""A simulated energy meter: what flows through it, with an error and noise of its own, in registers that go in steps, and all that can be wrong with it."""

from dataclasses import dataclass, replace
from math import floor, isfinite, nan
from random import Random
from typing import Any

from evse_core.codecs.meter import frames
from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.meter_link import SIMULATED
from evse_core.meter_loss import SECONDS_PER_HOUR
from evse_core.parameter import parameter
from evse_core.types import MeterReport, SimPower, SimStationLines, SimVehicleLines
from evse_core.vehicle_link import PILOT, link_parameter
from evse_simulators.faults import METER, Answer, FaultSet
from evse_simulators.pace import Periodic

# What is believed of a topic that stands still: three messages of 20 Hz and a stall of the machine. [s]
STALE = 0.5
# Frequency of the simulated mains. [Hz]
FREQUENCY = 50.0
# How far the faults go: a register that falls, an exchanged meter's register [Wh], a meter that counts too little, one with a wrong scale. [1]
FALL, OTHER_REGISTER, TOO_LITTLE, WRONG_SCALE = 100.0, 12_000.0, 0.7, 10.0
# Serial numbers of simulated meters, and how far that of an exchanged one is away: nine digits that begin with 9, and OTHER.
FIRST_SERIAL, OTHER = 900_000_000, 50_000_000
# Period of the frames of a meter on the bus, config/can/meter.dbc. [s]
FRAME_PERIOD = 0.2


@dataclass(frozen=True, slots=True)
class SimulatedMeterConfig:
    """The simulated meter."""

    error_percent: float = parameter(0.2, "%", "how much too much it counts", "own: within class A of EN 50470-3", -10.0, 10.0)
    noise_percent: float = parameter(0.02, "%", "noise of voltage, current and power", "own", 0.0, 5.0)
    step_wh: float = parameter(0.1, "Wh", "step of the registers", "own: short sessions agree within 0.5 %", 0.001, 10_000.0)
    first_wh: float = parameter(123_456.0, "Wh", "register to vehicles of a new meter", "own: no meter is delivered with 0", 0.0, 1e9)
    vehicle_link: str = link_parameter()


@dataclass(frozen=True, slots=True)
class MeterOutput:
    """What the meter tells now, None where it is silent; frames, of a meter on the I/O bus."""

    report: MeterReport | None
    frames: tuple[Frame, ...] = ()


class MeterModel:
    """Counts what flows. `register_wh` and `export_wh` are exact; what is told goes in steps."""

    def __init__(self, config: SimulatedMeterConfig, seed: int = 0) -> None:
        self.config = config
        self.faults = FaultSet(METER)
        self.register_wh, self.export_wh = config.first_wh, 0.0
        self.serial = FIRST_SERIAL + 1
        self._random = Random(seed)
        self._power = SimPower()
        self._station, self._vehicle = SimStationLines(), SimVehicleLines()
        self._heard = self._last = -1e9
        self._stuck: tuple[float, float] | None = None

    def on_frame(self, frame: Frame, now: float) -> None:
        """Ignore a frame: a meter only tells."""

    def inject(self, name: str, active: bool) -> Answer:
        """Break or heal."""
        answer = self.faults.set(name, active)
        self._stuck = (self.register_wh, self.export_wh) if "meter_stuck" in self.faults else None
        return answer

    def on_power(self, power: SimPower, now: float) -> None:
        """Take the DC path."""
        self._power, self._heard = power, now

    def on_station_lines(self, lines: SimStationLines, now: float) -> None:
        """Take contactor and mains of an AC output."""
        self._station = lines

    def on_vehicle_lines(self, lines: SimVehicleLines, now: float) -> None:
        """Take what an AC vehicle draws."""
        self._vehicle = lines
        if self.config.vehicle_link == PILOT:
            self._heard = now

    def step(self, now: float) -> MeterOutput:
        """Count up to now [s] and return what the meter tells."""
        phases = self._phases(now)
        power = sum(voltage * current for voltage, current in phases)
        counted = power * (1.0 + self.config.error_percent / 100.0) * self._factor
        hours = min(max(now - self._last, 0.0), STALE) / SECONDS_PER_HOUR
        self.register_wh += max(counted, 0.0) * hours
        self.export_wh += max(-counted, 0.0) * hours
        self._last = now
        return MeterOutput(None if "meter_silent" in self.faults else self._report(phases, counted))

    @property
    def _factor(self) -> float:
        too_much = WRONG_SCALE if "meter_wrong_scale" in self.faults else 1.0
        return too_much * (TOO_LITTLE if "meter_counts_too_little" in self.faults else 1.0)

    def _phases(self, now: float) -> list[tuple[float, float]]:
        """Return voltage [V] and current [A] of each phase, of direct current one."""
        if self.config.vehicle_link != PILOT:
            voltage = self._power.module_voltage if isfinite(self._power.module_voltage) else 0.0
            current = self._power.current if isfinite(self._power.current) and now - self._heard <= STALE else 0.0
            return [(voltage, current)]
        station, vehicle = self._station, self._vehicle
        voltage = station.mains_voltage if isfinite(station.mains_voltage) else 0.0
        flows = station.contactor_closed and vehicle.plugged and isfinite(vehicle.ac_current) and now - self._heard <= STALE
        count = min(vehicle.ac_phases, station.phases) if flows else 0
        return [(voltage, vehicle.ac_current if phase < count else 0.0) for phase in range(3)]

    def _report(self, phases: list[tuple[float, float]], counted: float) -> MeterReport:
        noisy = [(self._noisy(voltage), self._noisy(current)) for voltage, current in phases]
        registers = self._registers()
        report = MeterReport(
            complete=True,
            age=0.0,
            import_wh=registers[0],
            export_wh=registers[1],
            power=self._noisy(counted),
            vendor="ros2_evse",
            model=SIMULATED,
            serial=str(self.serial + (OTHER if "meter_exchanged" in self.faults else 0)),
            fault="simulated disturbance" if "meter_disturbed" in self.faults else "",
        )
        if self.config.vehicle_link != PILOT:
            voltage, current = noisy[0]
            return replace(report, voltage=voltage, current=current * self._factor)
        shown: dict[str, Any] = {"frequency": FREQUENCY}
        for number, (voltage, current) in enumerate(noisy, 1):
            shown |= {f"voltage_l{number}": voltage, f"current_l{number}": current, f"power_l{number}": voltage * current * self._factor}
        mean = sum(voltage for voltage, _ in noisy) / len(noisy)
        return replace(report, voltage=mean, current=report.power / mean if mean > 0.0 else nan, **shown)

    def _noisy(self, value: float) -> float:
        return value * (1.0 + self._random.gauss(0.0, self.config.noise_percent / 100.0))

    def _registers(self) -> tuple[float, float]:
        counted = self._stuck or (self.register_wh, self.export_wh)
        if "meter_exchanged" in self.faults:
            return OTHER_REGISTER, 0.0
        fall = FALL if "meter_backwards" in self.faults else 0.0
        steps = [floor(value / self.config.step_wh) * self.config.step_wh for value in (counted[0] - fall, counted[1])]
        return max(steps[0], 0.0), steps[1]


class CanMeterModel(MeterModel):
    """The same meter on the bus of the I/O board."""

    def __init__(self, config: SimulatedMeterConfig, database: SignalDatabase) -> None:
        super().__init__(config)
        self._database, self._alive = database, 0
        self._frames_due = Periodic(FRAME_PERIOD)

    def step(self, now: float) -> MeterOutput:
        """Count up to now [s] and return what the meter tells."""
        output = super().step(now)
        if output.report is None or not self._frames_due.due(now):
            return output
        self._alive += 1
        return replace(output, frames=frames(self._database, output.report, self._alive))
