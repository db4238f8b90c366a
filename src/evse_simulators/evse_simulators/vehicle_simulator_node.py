"""The simulated vehicle as a node: CHAdeMO frames on its bus, its lines on sim/vehicle_lines, the driver's actions as services."""

from collections.abc import Callable
from typing import Any

from evse_msgs.srv import SetBattery
from rclpy.node import Node

from evse_core.types import SimStationLines, SimVehicleLines
from evse_nodes import topics
from evse_nodes.run import run
from evse_simulators.simulator_node import SimulatorNode, comparable
from evse_simulators.vehicle import VehicleConfig, VehicleModel

# Rate of sim/vehicle_lines, msg/SimVehicleLines.msg. [s]
PERIOD = 0.05


class VehicleSimulator(SimulatorNode):
    """Runs a VehicleModel. Real vehicles look at their frames in periods, too."""

    FRAMES_WAKE = False
    DATABASE: str = "chademo"
    CONFIG: type[Any] = VehicleConfig
    MODEL: Callable[..., Any] = VehicleModel

    def __init__(self) -> None:
        super().__init__("vehicle_simulator", self.DATABASE, self.CONFIG, self.MODEL, PERIOD)
        self._write = topics.writer(self, "sim/vehicle_lines")
        self._digital: Any = None
        self.read("sim/station_lines", self.model.on_station_lines, _station)
        self.read("sim/power", self.model.on_power)
        self.serve_trigger("plug_in", self.model.plug_in)
        self.serve_trigger("unplug", self.model.unplug)
        self.serve_trigger("press_stop", self.model.press_stop)
        self.serve("set_battery", SetBattery, self._set_battery)

    def publish(self, output: Any, due: bool) -> None:
        """Publish the lines at their rate and when one of them moves."""
        digital = _digital(output.lines)
        if due or digital != self._digital:
            self._digital = digital
            self._write(output.lines)

    def _set_battery(self, request: Any) -> Any:
        return self.model.set_battery(request.soc_percent, request.capacity_kwh, request.temperature)


def _station(lines: SimStationLines) -> tuple[Any, ...]:
    pilot = comparable(lines.pilot_duty_percent), comparable(lines.mains_voltage), lines.phases
    return lines.sequence_1, lines.sequence_2, lines.locked, lines.contactor_closed, pilot


def _digital(lines: SimVehicleLines) -> tuple[Any, ...]:
    return lines.plugged, lines.permission, lines.contactor_closed, comparable(lines.pilot_resistance), lines.pilot_diode


def make() -> Node:
    """Make the node."""
    return VehicleSimulator()


def main() -> int:
    """Run the node."""
    return run(make, urgent=True)
