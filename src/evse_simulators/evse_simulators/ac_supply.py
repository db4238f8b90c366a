"""The mains in place of power modules: voltage and current at an AC output as others see them in a simulated world. No node is like it: the board measures."""

from dataclasses import dataclass
from math import isfinite

from evse_core.frame import Frame
from evse_core.types import SimPower, SimStationLines, SimVehicleLines
from evse_simulators.faults import MAINS, Answer, FaultSet


@dataclass(slots=True)
class AcSupplyOutput:
    """No frames, and what is at the output: voltage of a phase [V] and the sum of the currents of all phases [A]."""

    frames: tuple[Frame, ...]
    power: SimPower


class AcSupply:
    """Takes the place of a PowerModulesModel. What can break in the mains is a fault of the I/O board, which measures it."""

    def __init__(self) -> None:
        self.faults = FaultSet(MAINS)
        self._station = SimStationLines()
        self._vehicle = SimVehicleLines()

    def inject(self, name: str, active: bool) -> Answer:
        """Refuse: nothing of its own can break."""
        return self.faults.set(name, active)

    def on_frame(self, frame: Frame, now: float) -> None:
        """Ignore a frame: it has no bus."""

    def on_station_lines(self, lines: SimStationLines, now: float) -> None:
        """Take contactor and mains."""
        self._station = lines

    def on_vehicle_lines(self, lines: SimVehicleLines, now: float) -> None:
        """Take what the vehicle draws."""
        self._vehicle = lines

    def step(self, now: float) -> AcSupplyOutput:
        """Return what is at the output."""
        station, vehicle = self._station, self._vehicle
        before = station.mains_voltage if isfinite(station.mains_voltage) else 0.0
        behind = before if station.contactor_closed else 0.0
        drawn = vehicle.ac_current if vehicle.plugged and behind > 0.0 and isfinite(vehicle.ac_current) else 0.0
        return AcSupplyOutput((), SimPower(0.0, before, behind, drawn * min(vehicle.ac_phases, station.phases)))
