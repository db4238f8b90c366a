"""A description as actions of ROS's launch: the same node specifications that supervisor.py starts. Needs an ordinary ROS installation."""

import os
import time
from pathlib import Path
from typing import Any

from evse_tools.back_off import BackOff
from evse_tools.description import load
from evse_tools.node_specs import NodeSpec, node_specs
from evse_tools.parameter_file import write_parameters
from evse_tools.shared_memory import remove_abandoned

# Waits for SIGINT and SIGTERM to have worked: nodes take up to 15 s to end a session (evse_nodes/run.py). [s]
SIGINT_TIME, SIGTERM_TIME = "20", "5"


def station_actions(file: str) -> list[Any]:
    """Return the actions that start a station; DescriptionError where the description is wrong."""
    from launch.actions import SetEnvironmentVariable  # noqa: PLC0415 not in the wheels

    description = load(find(file))
    remove_abandoned()
    specs = node_specs(description)
    parameters = write_parameters(specs, description.data_dir / "log" / "parameters.yaml")
    # What the user has set counts; without a word of his, nothing leaves the machine.
    discovery = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    nodes = (_node(spec, parameters, BackOff()) for spec in specs)
    return [SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", discovery), *nodes]


def find(file: str) -> Path:
    """Return a description: as named, else below the installed share folder, so that `description:=config/depot.yaml` works from anywhere."""
    path = Path(file)
    if path.is_absolute() or path.exists():
        return path
    from ament_index_python.packages import get_package_share_directory  # noqa: PLC0415

    installed = Path(get_package_share_directory("evse_bringup")) / file
    return installed if installed.exists() else path


def _node(spec: NodeSpec, parameters: Path, back_off: BackOff) -> Any:
    """Return the action that starts a process, and starts it again after the next pause; launch's own respawn knows no growing one."""
    from launch.actions import OpaqueFunction, TimerAction  # noqa: PLC0415
    from launch_ros.actions import Node  # noqa: PLC0415

    began = time.monotonic()

    def again(event: Any, context: Any) -> Any:
        if context.is_shutdown:
            return None
        return TimerAction(period=back_off.pause(time.monotonic() - began), actions=[OpaqueFunction(function=start)])

    def start(context: Any) -> list[Any]:
        return [_node(spec, parameters, back_off)]

    return Node(
        package=spec.package,
        executable=spec.executable,
        # A container's nodes keep their own names.
        name=None if spec.members else spec.name,
        exec_name=spec.full_name.strip("/").replace("/", "."),
        namespace=spec.namespace,
        parameters=[str(parameters)],
        arguments=spec.arguments,
        output="screen",
        on_exit=again,
        sigterm_timeout=SIGINT_TIME,
        sigkill_timeout=SIGTERM_TIME,
    )
