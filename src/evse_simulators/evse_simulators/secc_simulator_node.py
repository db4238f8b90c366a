"""The simulated charge controller with its vehicle as a node: generic EVSE v3 frames on the vehicle bus. It plays the node vehicle_simulator."""

from rclpy.node import Node

from evse_nodes.run import run
from evse_simulators.secc import SeccConfig, SeccModel
from evse_simulators.vehicle_simulator_node import VehicleSimulator


class SeccSimulator(VehicleSimulator):
    """Runs a SeccModel."""

    DATABASE, CONFIG, MODEL = "evse_v3", SeccConfig, SeccModel


def make() -> Node:
    """Make the node."""
    return SeccSimulator()


def main() -> int:
    """Run the node."""
    return run(make, urgent=True)
