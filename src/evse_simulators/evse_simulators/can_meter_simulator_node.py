"""The simulated energy meter on the bus of the I/O board: frames of config/can/meter.dbc. It plays the node meter_simulator."""

from rclpy.node import Node

from evse_core.codecs.meter import METER_DATABASE
from evse_nodes.run import run
from evse_simulators.meter_model import CanMeterModel
from evse_simulators.meter_simulator_node import MeterSimulator


class CanMeterSimulator(MeterSimulator):
    """Runs a CanMeterModel."""

    DATABASE, MODEL = METER_DATABASE, CanMeterModel


def make() -> Node:
    """Make the node."""
    return CanMeterSimulator()


def main() -> int:
    """Run the node."""
    return run(make, urgent=True)
