"""Several nodes of one EVSE in one process: `evse_container can_bridge charge_sequencer --ros-args -r __ns:=/evse_1 ...`."""

import sys
from collections.abc import Sequence
from importlib import import_module

from rclpy.utilities import remove_ros_args

from evse_nodes.run import run

NODES = ("can_bridge", "charge_sequencer", "energy_meter", "safety_monitor", "ocpp_uplink", "energy_manager")


def run_container(package: str, known: Sequence[str]) -> int:
    """Run the nodes named on the command line, modules `<name>_node` of the package. Returns 2 where one is not known.

    They are urgent: what a description composes (node_specs.py) is can_bridge with charge_sequencer, or simulated hardware.
    """
    names = remove_ros_args(sys.argv)[1:]
    if unknown := [name for name in names if name not in known]:
        print(f"unknown node {', '.join(unknown)}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    return run(*(import_module(f"{package}.{name}_node").make for name in names), urgent=True)


def main() -> int:
    """Run nodes of the station."""
    return run_container("evse_nodes", NODES)
