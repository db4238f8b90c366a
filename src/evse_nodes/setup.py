from setuptools import find_packages, setup

setup(
    name="evse_nodes",
    version="0.1.0",
    description="ROS 2 nodes of a charging station: thin adapters around the rules of evse_core.",
    license="Apache-2.0",
    maintainer="ros2_evse maintainers",
    maintainer_email="maintainers@ros2-evse.invalid",
    packages=find_packages(),
    package_data={"evse_nodes": ["py.typed", "loopback_dds.xml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/evse_nodes"]),
        ("share/evse_nodes", ["package.xml"]),
    ],
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "can_bridge = evse_nodes.can_bridge_node:main",
            "charge_sequencer = evse_nodes.charge_sequencer_node:main",
            "safety_monitor = evse_nodes.safety_monitor_node:main",
            "energy_meter = evse_nodes.energy_meter_node:main",
            "module_allocator = evse_nodes.module_allocator_node:main",
            "session_reporter = evse_nodes.session_reporter_node:main",
            "energy_manager = evse_nodes.energy_manager_node:main",
            "ocpp_uplink = evse_nodes.ocpp_uplink_node:main",
            "evse_container = evse_nodes.container:main",
        ],
    },
)
