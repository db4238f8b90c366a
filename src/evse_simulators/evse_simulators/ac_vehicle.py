"""A vehicle with an onboard charger: it answers the control pilot with its resistor, draws what the duty cycle allows, and charges its battery (IEC 61851-1).

Theory of operation. With the connector in its inlet it shows state B. It goes to C (D if it needs ventilation) when a current is offered that it can use, draws
when there is voltage, follows another duty cycle after a time of its own, and when nothing is offered any more it ramps down and goes back to B. Numbers:
../shared/reference/can.md section 3.3.
"""

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from math import inf, nan

from evse_core.control_pilot import CABLES, LEAST, current_of
from evse_core.frame import Frame
from evse_core.parameter import parameter
from evse_core.sample import fresh
from evse_core.types import SimPower, SimStationLines, SimVehicleLines
from evse_simulators.battery import Battery, BatteryConfig
from evse_simulators.faults import AC_VEHICLE
from evse_simulators.pace import toward
from evse_simulators.simulated_vehicle import INPUT_LIMIT, LONGEST_GAP, SimulatedVehicle, VehicleOutput

# Resistors of states B, C and D in the vehicle (can.md 3.1). [ohm]
RESISTOR_B, RESISTOR_C, RESISTOR_D = 2740.0, 882.0, 246.0
# Resistors in the plugs of cables, by current (can.md 3.4). [A] to [ohm]
RESISTORS = {current: resistance for resistance, current in CABLES.items()}
# Most that a vehicle without a duty cycle's reading takes (can.md 3.3, simplified pilot). [A]
SIMPLIFIED = 10.0
# Below it no charger works: 100 V less 15 %. Own choice. [V]
LEAST_MAINS = 80.0
# What the fault ac_ignores_limit draws, as a share of its own maximum or of what is offered, if that is more. [1]
EXCESS = 1.33
# Current that counts as none, and power at which a battery counts as full. Own choice. [A], [W]
NOTHING, LEAST_POWER = 0.1, 200.0


@dataclass(frozen=True)
class AcVehicleConfig(BatteryConfig):
    """Onboard charger, cable and habits."""

    charger_phases: int = parameter(3, "", "phases of the onboard charger: 1 or 3", "11 kW chargers have 3", 1, 3)
    max_current: float = parameter(16.0, "A", "most that the onboard charger takes from a phase", "11 kW at 3 x 230 V", 6.0, 80.0)
    efficiency: float = parameter(
        0.92, "", "share of the energy at the inlet that reaches the battery", "usual onboard chargers: 0.88 to 0.95", 0.5, 1.0
    )
    cable_current: float = parameter(
        32.0, "A", "what the detachable cable bears: 13, 20, 32 or 63; 0: no resistor in its plug", "can.md 3.4", 0.0, 63.0
    )
    target_soc_percent: float = parameter(100.0, "%", "state of charge at which it ends charging", "usual for AC", 1.0, 100.0)
    ready_delay: float = parameter(0.5, "s", "from an offered current to state C", "own choice: vehicles lock and test first", 0.0, 60.0)
    start_delay: float = parameter(
        0.5, "s", "from voltage at the inlet to the first current", "own choice: charging of the input filter", 0.0, 60.0
    )
    follow_delay: float = parameter(1.0, "s", "from another duty cycle to the change of current", "can.md 3.3: at most 5 s", 0.0, 5.0)
    ramp_up: float = parameter(10.0, "A/s", "fastest rise of the current", "own choice: 32 A in 3 s", 0.1, 200.0)
    ramp_down: float = parameter(40.0, "A/s", "fastest fall of the current", "own choice: 63 A within the 3 s of a stop", 20.0, 1000.0)
    stop_delay: float = parameter(
        1.0, "s", "from a steady pilot to the end of charging, the ramp apart", "can.md 3.3: at most 3 s", 0.0, 3.0
    )
    simplified: bool = parameter(
        False, "", "no state B and no reading of the duty cycle: always C, at most 10 A", "can.md 3.3, simplified pilot"
    )
    needs_ventilation: bool = parameter(False, "", "shows state D instead of C", "can.md 3.1")
    toggles: int = parameter(0, "", "changes from B to C and back before it stays in C", "can.md 3.3: BCB, 200 to 400 ms per level", 0, 5)
    toggle_time: float = parameter(0.3, "s", "time in each of these", "can.md 3.3: BCB, 200 to 400 ms per level", 0.2, 0.4)
    sleep_after: float = parameter(
        0.0, "s", "time without an offered current after which it falls asleep; 0: never", "own choice", 0.0, 1e5
    )
    wake_time: float = parameter(1.0, "s", "state E or F for so long wakes it", "can.md 3.3: T_step_EF gives 4 s", 0.0, 4.0)

    def __post_init__(self) -> None:
        """ValueError where a value is between those that exist."""
        if self.charger_phases not in (1, 3):
            raise ValueError(f"charger_phases: {self.charger_phases} is neither 1 nor 3")
        if self.cable_current not in (0.0, *RESISTORS):
            raise ValueError(
                f"cable_current: {self.cable_current:g} A is none of 0, {', '.join(f'{value:g}' for value in sorted(RESISTORS))}"
            )


class AcPhase(Enum):
    """Where the vehicle stands."""

    UNPLUGGED = "unplugged"
    CONNECTED = "connected"
    ASLEEP = "asleep"
    TOGGLING = "toggling"
    READY = "ready"
    CHARGING = "charging"
    STOPPING = "stopping"
    ENDED = "ended"


_IN_C = frozenset({AcPhase.READY, AcPhase.CHARGING, AcPhase.STOPPING})
_OVER = frozenset({AcPhase.UNPLUGGED, AcPhase.ASLEEP, AcPhase.ENDED})


class AcVehicleModel(SimulatedVehicle):
    """A SimulatedVehicle that talks by its control pilot; nothing of it is on a bus."""

    PLUG_LOST = "ac_plug_lost"

    def __init__(self, config: AcVehicleConfig) -> None:
        super().__init__(config, AC_VEHICLE)
        self.config = config
        self.phase = AcPhase.UNPLUGGED
        self.current = 0.0
        """What is drawn from each phase in use. [A]"""
        self.phases_used = 0
        self._pilot = _PilotReader(config)
        self._since = -inf
        self._live_since = inf
        self._end = ""
        self._rested = False
        self._last_step: float | None = None
        self._watts = 0.0

    # How it stands

    @property
    def locked(self) -> bool:
        """The station's lock holds the connector."""
        return self._station is not None and self._station.value.locked

    @property
    def contactor_closed(self) -> bool:
        """The onboard charger is connected to the inlet."""
        return self.phase in {AcPhase.CHARGING, AcPhase.STOPPING}

    @property
    def running(self) -> bool:
        """It wants to charge or does."""
        return self.phase not in _OVER

    @property
    def emergency(self) -> bool:
        """It left state C under current by itself."""
        return "ac_drops_out" in self.faults

    @property
    def request(self) -> float:
        """The current that it wants from each phase [A]."""
        return self.config.max_current if self.phase is AcPhase.CHARGING else 0.0

    @property
    def phase_name(self) -> str:
        """Where it stands."""
        return self.phase.value

    @property
    def end(self) -> str:
        """Why it wants no more, in words."""
        return self._end

    def change_vehicle(self, config: AcVehicleConfig) -> None:
        """Let another vehicle come; the connector is out."""
        self.config, self.battery, self._pilot = config, Battery(config), _PilotReader(config)

    # Inputs

    def on_frame(self, frame: Frame, now: float) -> None:
        """Ignore a frame: it has no bus."""

    def on_power(self, power: SimPower, now: float) -> None:
        """Ignore what a DC path carries: what this vehicle takes it measures itself."""

    # One step

    def step(self, now: float) -> VehicleOutput:
        """Go on to now [s]."""
        seconds = 0.0 if self._last_step is None else min(max(now - self._last_step, 0.0), LONGEST_GAP)
        self._last_step = now
        lines = fresh(self._station, now, INPUT_LIMIT) or SimStationLines()
        live = self.plugged and lines.contactor_closed and lines.mains_voltage >= LEAST_MAINS
        self._live_since = min(self._live_since, now) if live else inf
        self._pilot.read(lines.pilot_duty_percent if self.plugged else nan, now)
        self._follow(now)
        self._draw(lines, live, seconds)
        self._count(lines, seconds)
        return VehicleOutput((), self.lines())

    def _follow(self, now: float) -> None:
        """Go from phase to phase."""
        if not self.plugged:
            self._enter(AcPhase.UNPLUGGED, now)
            self._stop_pressed, self._end, self._rested = False, "", False
        elif self.phase is AcPhase.UNPLUGGED:
            self._enter(AcPhase.READY if self.config.simplified else AcPhase.CONNECTED, now)
        elif not self._end and (end := self._why_end()):
            self._end = end
        if self.plugged:
            self._enter(self._next(now), now)

    def _enter(self, phase: AcPhase, now: float) -> None:
        if phase is not self.phase:
            self.phase, self._since = phase, now

    def _next(self, now: float) -> AcPhase:
        """Return the phase that follows from what is seen now."""
        phase, held = self.phase, now - self._since
        if phase is AcPhase.CONNECTED:
            return self._next_when_connected(now)
        if phase is AcPhase.ASLEEP:
            self._rested = self._pilot.interrupted(now) >= self.config.wake_time
            return AcPhase.CONNECTED if self._rested else phase
        if phase is AcPhase.TOGGLING:
            return AcPhase.READY if held >= 2 * self.config.toggles * self.config.toggle_time else phase
        return self._next_in_c(now) if phase in _IN_C else phase

    def _next_when_connected(self, now: float) -> AcPhase:
        if self._end:
            return AcPhase.ENDED
        if self._falls_asleep(now):
            return AcPhase.ASLEEP
        if self._pilot.offered(now) < self.config.ready_delay or "ac_drops_out" in self.faults:
            return AcPhase.CONNECTED
        return AcPhase.TOGGLING if self.config.toggles else AcPhase.READY

    def _falls_asleep(self, now: float) -> bool:
        """Return whether it goes to sleep; once woken it stays awake until the connector is out."""
        weary = 0.0 < self.config.sleep_after <= self._pilot.unoffered(now)
        return not self._rested and (weary or "ac_sleeps" in self.faults)

    def _next_in_c(self, now: float) -> AcPhase:
        if "ac_drops_out" in self.faults or (self._pilot.lost and not self._deaf):
            return AcPhase.CONNECTED
        if self.phase is AcPhase.STOPPING:
            stays = self.current > NOTHING or "ac_stays_in_c" in self.faults
            return AcPhase.STOPPING if stays else AcPhase.ENDED if self._end else AcPhase.CONNECTED
        withdrawn = self._pilot.unoffered(now) >= self.config.stop_delay and not self._deaf
        if self._end or withdrawn or "ac_stays_in_c" in self.faults:
            return AcPhase.STOPPING
        if now - self._live_since >= self.config.start_delay and self._told() >= LEAST:
            return AcPhase.CHARGING
        return AcPhase.READY if self._live_since == inf else self.phase

    def _why_end(self) -> str:
        if self._stop_pressed:
            return "stopped in the vehicle"
        return "the battery is full" if self.battery.soc_percent >= self.config.target_soc_percent or self._is_full() else ""

    def _is_full(self) -> bool:
        """Return whether the battery takes next to nothing any more."""
        return self.battery.acceptable_current() * self.battery.open_circuit_voltage < LEAST_POWER

    # What it draws

    @property
    def _deaf(self) -> bool:
        return self.config.simplified or "ac_ignores_stop" in self.faults

    def _told(self) -> float:
        """Return the current that it takes as offered [A]: a simplified vehicle does not read the pilot, and one with a fault does not listen."""
        if self.config.simplified:
            return SIMPLIFIED
        return max(self._pilot.allowed, self._pilot.last) if "ac_ignores_stop" in self.faults else self._pilot.allowed

    def _draw(self, lines: SimStationLines, live: bool, seconds: float) -> None:
        """Let the current go where it should; without voltage there is none."""
        if not live or not self.contactor_closed:
            self.current, self.phases_used = 0.0, 0
            return
        self.phases_used = 3 if self.config.charger_phases == 3 and lines.phases == 3 else 1
        wanted = self._wanted(lines) if self.phase is AcPhase.CHARGING else 0.0
        self.current = toward(self.current, wanted, self.config.ramp_up * seconds, self.config.ramp_down * seconds)

    def _wanted(self, lines: SimStationLines) -> float:
        """Return what it would draw from each phase [A]."""
        most = self.config.max_current
        if "ac_ignores_limit" in self.faults:
            return max(most, self._told()) * EXCESS
        watts = self.battery.acceptable_current() * self.battery.open_circuit_voltage / self.config.efficiency
        return min(most, self._told(), watts / (lines.mains_voltage * self.phases_used))

    def _count(self, lines: SimStationLines, seconds: float) -> None:
        """Integrate energy at the inlet and charge of the battery."""
        before, self._watts = self._watts, self.current * self.phases_used * lines.mains_voltage if self.current > 0.0 else 0.0
        watts = (before + self._watts) / 2.0
        self._charge(watts * self.config.efficiency / self.battery.open_circuit_voltage, watts, seconds)

    # The cable

    def lines(self) -> SimVehicleLines:
        """Return what the vehicle puts on the cable now."""
        return replace(
            super().lines(),
            pilot_resistance=self._resistor() if self.plugged else nan,
            pilot_diode=self.plugged and "ac_diode_missing" not in self.faults,
            cable_resistance=RESISTORS.get(self.config.cable_current, nan) if self.plugged else nan,
            ac_current=self.current,
            ac_phases=self.phases_used,
        )

    def _resistor(self) -> float:
        """Return the resistor that the phase shows. [ohm]"""
        shows_c = self.phase in _IN_C and "ac_current_in_b" not in self.faults
        if self.phase is AcPhase.TOGGLING and self._last_step is not None:
            shows_c = int((self._last_step - self._since) / self.config.toggle_time) % 2 == 0
        if not shows_c:
            return RESISTOR_B
        return RESISTOR_D if self.config.needs_ventilation else RESISTOR_C


class _PilotReader:
    """What the vehicle makes of the duty cycle: how long a current has been offered or not, and what it follows after its delays."""

    def __init__(self, config: AcVehicleConfig) -> None:
        self._config = config
        self.allowed = self.last = 0.0
        """The offer that is followed, and the last one above nothing. [A]"""
        self.lost = False
        """There is no pilot, or it stands at -12 V."""
        self._offer = 0.0
        self._offered_since = self._unoffered_since = self._lost_since = inf
        self._coming: deque[tuple[float, float]] = deque()

    def read(self, duty: float, now: float) -> None:
        """Take the duty cycle [%] as it arrives; NaN: none does."""
        self.lost = not duty > 0.0
        offer = 0.0 if self.lost else current_of(duty)
        self._offered_since = min(self._offered_since, now) if offer >= LEAST else inf
        self._unoffered_since = min(self._unoffered_since, now) if offer < LEAST else inf
        self._lost_since = min(self._lost_since, now) if self.lost else inf
        if offer != self._offer:
            self._offer = offer
            at = now + (self._config.follow_delay if offer >= LEAST else self._config.stop_delay)
            while self._coming and self._coming[-1][0] >= at:
                self._coming.pop()
            self._coming.append((at, offer))
        while self._coming and self._coming[0][0] <= now:
            self.allowed = self._coming.popleft()[1]
            self.last = self.allowed or self.last

    def offered(self, now: float) -> float:
        """Return for how long a current has been offered. [s]"""
        return max(now - self._offered_since, -1.0)

    def unoffered(self, now: float) -> float:
        """Return for how long none has been offered. [s]"""
        return max(now - self._unoffered_since, 0.0)

    def interrupted(self, now: float) -> float:
        """Return for how long the pilot has been away or at -12 V. [s]"""
        return max(now - self._lost_since, 0.0)
