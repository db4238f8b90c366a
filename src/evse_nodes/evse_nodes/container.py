"""Several nodes of one EVSE in one process: `evse_container can_bridge charge_sequencer --ros-args -r __ns:=/evse_1 ...`."""

import sys
from importlib import import_module

from rclpy.utilities import remove_ros_args

from evse_nodes.run import run

NODES = ("can_bridge", "charge_sequencer", "energy_meter", "safety_monitor", "ocpp_uplink", "energy_manager")


def main() -> int:
    """Run the nodes named on the command line."""
    names = remove_ros_args(sys.argv)[1:]
    if unknown := [name for name in names if name not in NODES]:
        print(f"unknown node {', '.join(unknown)}; known: {', '.join(NODES)}", file=sys.stderr)
        return 2
    return run(*(import_module(f"evse_nodes.{name}_node").make for name in names))
