"""What every simulated vehicle has, whatever it speaks: a connector in its inlet, a battery, its lines on the cable, and what breaks in it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evse_core.frame import Frame
from evse_core.sample import Sample
from evse_core.types import SimPower, SimStationLines, SimVehicleLines
from evse_simulators.battery import Battery, BatteryConfig
from evse_simulators.faults import Answer, FaultSet

# Lines and readings that are older than this come from a simulator that has died. [s]
INPUT_LIMIT = 0.5
# Longest gap between two readings that energy is integrated over. [s]
LONGEST_GAP = 1.0


@dataclass(slots=True)
class VehicleOutput:
    """Frames to the station, and what the vehicle puts on the cable."""

    frames: tuple[Frame, ...]
    lines: SimVehicleLines


class SimulatedVehicle(ABC):
    """Take frames, lines and readings as they come, call step at 20 Hz and on change. `simulator` is that of its rows in faults.FAULTS."""

    # The fault by which the connector comes out although it is locked.
    PLUG_LOST: ClassVar[str]

    def __init__(self, config: BatteryConfig, simulator: str) -> None:
        self.battery = Battery(config)
        self.faults = FaultSet(simulator)
        self.plugged = False
        self.energy_wh = self.given_wh = 0.0
        self._station: Sample[SimStationLines] | None = None
        self._power: Sample[SimPower] | None = None
        self._stop_pressed = False

    # The driver

    def plug_in(self) -> Answer:
        """Put the connector into the inlet."""
        if self.PLUG_LOST in self.faults:
            return Answer(False, f"the plug is out of the inlet by a fault: heal {self.PLUG_LOST} first")
        if self.plugged:
            return Answer(False, "is plugged in already")
        self.plugged, self.energy_wh, self.given_wh = True, 0.0, 0.0
        return Answer(True, "plugged in")

    def unplug(self) -> Answer:
        """Pull the connector, unless a lock holds it."""
        if not self.plugged:
            return Answer(False, "is not plugged in")
        if self.locked:
            return Answer(False, "the connector is locked")
        self._pull()
        return Answer(True, "unplugged")

    def press_stop(self) -> Answer:
        """Ask for a stop inside the vehicle."""
        if not self.running:
            return Answer(False, "no session is running in the vehicle")
        self._stop_pressed = True
        return Answer(True, "stop asked for")

    def inject(self, name: str, active: bool) -> Answer:
        """Break or heal something."""
        answer = self.faults.set(name, active)
        if answer.success and active and name == self.PLUG_LOST:
            self._pull()
        return answer

    def set_battery(self, soc_percent: float, capacity_kwh: float, temperature: float) -> Answer:
        """Change the battery; NaN leaves a value as it is."""
        return self.battery.change(soc_percent, capacity_kwh, temperature)

    def _pull(self) -> None:
        """Take that the connector is out; a vehicle that remembers more forgets it here."""
        self.plugged = False

    def set_power(self, on: bool) -> None:  # noqa: B027 to most vehicles the mains are nothing
        """Take the mains away or give them back: a vehicle has its battery, and goes on; what of it is part of the station does not."""

    # How it stands

    @property
    @abstractmethod
    def locked(self) -> bool:
        """A lock holds the connector."""

    @property
    @abstractmethod
    def contactor_closed(self) -> bool:
        """The vehicle's contactor connects battery and inlet."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """A session is going on that can be stopped."""

    @property
    @abstractmethod
    def emergency(self) -> bool:
        """The vehicle, or what speaks for it, cut power by itself."""

    @property
    @abstractmethod
    def request(self) -> float:
        """The current that is asked for now [A]."""

    @property
    @abstractmethod
    def phase_name(self) -> str:
        """Where its controller stands."""

    @property
    @abstractmethod
    def end(self) -> str:
        """Why it ended its session, in words; empty before."""

    # Inputs

    @abstractmethod
    def on_frame(self, frame: Frame, now: float) -> None:
        """Take a frame of the station; others are ignored."""

    def on_station_lines(self, lines: SimStationLines, now: float) -> None:
        """Take what the station's hardware puts on the cable."""
        self._station = Sample(lines, now)

    def on_power(self, power: SimPower, now: float) -> None:
        """Take voltage and current at the inlet; charge and energy are integrated over their stamps by trapezoids."""
        last, self._power = self._power, Sample(power, now)
        seconds = power.stamp - last.value.stamp if last else 0.0
        if last is None or not 0.0 < seconds <= LONGEST_GAP:
            return
        flows = self.plugged and self.contactor_closed
        current = (last.value.current + power.current) / 2.0 if flows else 0.0
        watts = (last.value.current * last.value.connector_voltage + power.current * power.connector_voltage) / 2.0 if flows else 0.0
        self._charge(current, watts, seconds)

    def _charge(self, current: float, watts: float, seconds: float) -> None:
        """Take mean current [A] and power [W] at the inlet for some seconds; on DC they are the battery's."""
        self.energy_wh += max(watts, 0.0) * seconds / 3600.0
        self.given_wh += max(-watts, 0.0) * seconds / 3600.0
        self.battery.step(current, seconds)

    # One step

    @abstractmethod
    def step(self, now: float) -> VehicleOutput:
        """Go on to now [s]."""

    @property
    def permission(self) -> bool:
        """The vehicle closes its permission line (switch k of CHAdeMO); the others have none."""
        return False

    def lines(self) -> SimVehicleLines:
        """Return what the vehicle puts on the cable now."""
        state = self.battery.state()
        return SimVehicleLines(
            0.0,
            self.plugged,
            self.permission,
            self.contactor_closed,
            state.open_circuit_voltage,
            state.resistance,
            state.soc_percent,
            self.energy_wh,
            state.temperature,
            given_wh=self.given_wh,
        )
