"""A whole station: ros2 launch evse_bringup station.launch.py description:=config/single_evse.yaml

The description is validated first; a wrong one starts nothing. What it says becomes node specifications in evse_tools, and these become launch_ros nodes here.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from evse_tools.ros_launch import station_actions


def _start(context: LaunchContext) -> list:
    return station_actions(LaunchConfiguration("description").perform(context))


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    text = "station description: a path, or a file of evse_bringup such as config/depot.yaml"
    return LaunchDescription(
        [DeclareLaunchArgument("description", default_value="config/single_evse.yaml", description=text), OpaqueFunction(function=_start)]
    )
