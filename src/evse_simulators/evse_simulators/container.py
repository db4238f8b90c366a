"""The simulators of one EVSE in one process: `simulator_container vehicle_simulator io_board_simulator --ros-args -r __ns:=/evse_1 ...`."""

from evse_nodes.container import run_container

NODES = (
    "vehicle_simulator",
    "secc_simulator",
    "ac_vehicle_simulator",
    "power_module_simulator",
    "io_board_simulator",
    "meter_simulator",
    "can_meter_simulator",
)


def main() -> int:
    """Run simulators."""
    return run_container("evse_simulators", NODES)
