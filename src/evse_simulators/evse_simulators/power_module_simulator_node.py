"""The simulated power modules as a node: generic EVSE v3 frames on their bus, and the DC path of the whole EVSE on sim/power."""

from typing import Any

from rclpy.node import Node

from evse_core.types import SimStationLines, SimVehicleLines
from evse_nodes import topics
from evse_nodes.run import run
from evse_simulators.power_modules import PowerModulesModel
from evse_simulators.power_modules_config import PowerModulesConfig
from evse_simulators.simulator_node import SimulatorNode

# Rate of the physics and of sim/power, msg/SimPower.msg. [s]
PERIOD = 0.04


class PowerModuleSimulator(SimulatorNode):
    """Runs a PowerModulesModel."""

    def __init__(self) -> None:
        super().__init__("power_module_simulator", "evse_v3", PowerModulesConfig, PowerModulesModel, PERIOD)
        self._write = topics.writer(self, "sim/power")
        self.read("sim/station_lines", self.model.on_station_lines, _contactor)
        self.read("sim/vehicle_lines", self.model.on_vehicle_lines, _vehicle_contactor)

    def publish(self, output: Any, due: bool) -> None:
        """Publish the DC path at its rate."""
        if due:
            self._write(output.power)


def _contactor(lines: SimStationLines) -> bool:
    return lines.contactor_closed


def _vehicle_contactor(lines: SimVehicleLines) -> tuple[bool, bool]:
    return lines.plugged, lines.contactor_closed


def make() -> Node:
    """Make the node."""
    return PowerModuleSimulator()


def main() -> int:
    """Run the node."""
    return run(make, urgent=True)
