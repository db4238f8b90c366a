"""The simulated AC vehicle as a node: its resistor in the control pilot and its current on sim/vehicle_lines, no bus. It plays the node vehicle_simulator."""

from rclpy.node import Node

from evse_nodes.run import run
from evse_simulators.ac_vehicle import AcVehicleConfig, AcVehicleModel
from evse_simulators.vehicle_simulator_node import VehicleSimulator


class AcVehicleSimulator(VehicleSimulator):
    """Runs an AcVehicleModel."""

    DATABASE, CONFIG, MODEL = "", AcVehicleConfig, AcVehicleModel


def make() -> Node:
    """Make the node."""
    return AcVehicleSimulator()


def main() -> int:
    """Run the node."""
    return run(make, urgent=True)
