"""The simulated I/O board as a node: io_board frames on its bus, its outputs on sim/station_lines, buttons and reader as services."""

from typing import Any

from evse_msgs.srv import PresentToken
from rclpy.node import Node

from evse_core.types import SimStationLines, SimVehicleLines
from evse_nodes import topics
from evse_nodes.run import run
from evse_simulators.io_board import IoBoardConfig, IoBoardModel
from evse_simulators.simulator_node import SimulatorNode, comparable

# Rate of sim/station_lines, msg/SimStationLines.msg. [s]
PERIOD = 0.05


class IoBoardSimulator(SimulatorNode):
    """Runs an IoBoardModel."""

    def __init__(self) -> None:
        super().__init__("io_board_simulator", "io_board", IoBoardConfig, IoBoardModel, PERIOD)
        self._write = topics.writer(self, "sim/station_lines")
        self._last: SimStationLines | None = None
        self.read("sim/vehicle_lines", self.model.on_vehicle_lines, _lines)
        self.read("sim/power", self.model.on_power)
        self.serve_trigger("press_start", self.model.press_start)
        self.serve_trigger("press_stop", self.model.press_stop)
        self.serve("present_token", PresentToken, lambda request: self.model.present_token(request.token))

    def publish(self, output: Any, due: bool) -> None:
        """Publish the lines at their rate and when one of them moves."""
        if due or output.lines != self._last:
            self._last = output.lines
            self._write(output.lines)


def _lines(lines: SimVehicleLines) -> tuple[Any, ...]:
    pilot = comparable(lines.pilot_resistance), comparable(lines.cable_resistance), lines.pilot_diode
    return lines.plugged, lines.permission, pilot


def make() -> Node:
    """Make the node."""
    return IoBoardSimulator()


def main() -> int:
    """Run the node."""
    return run(make, urgent=True)
