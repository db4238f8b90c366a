from setuptools import find_packages, setup

setup(
    name="evse_simulators",
    version="0.1.0",
    description="Simulated vehicle, power modules, I/O board and CSMS for a charging station.",
    license="Apache-2.0",
    maintainer="ros2_evse maintainers",
    maintainer_email="maintainers@ros2-evse.invalid",
    packages=find_packages(),
    package_data={"evse_simulators": ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/evse_simulators"]),
        ("share/evse_simulators", ["package.xml"]),
    ],
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "vehicle_simulator = evse_simulators.vehicle_simulator_node:main",
            "ac_vehicle_simulator = evse_simulators.ac_vehicle_simulator_node:main",
            "secc_simulator = evse_simulators.secc_simulator_node:main",
            "power_module_simulator = evse_simulators.power_module_simulator_node:main",
            "power_cabinet_simulator = evse_simulators.power_cabinet_simulator_node:main",
            "io_board_simulator = evse_simulators.io_board_simulator_node:main",
            "meter_simulator = evse_simulators.meter_simulator_node:main",
            "can_meter_simulator = evse_simulators.can_meter_simulator_node:main",
            "simulator_container = evse_simulators.container:main",
            "csms_simulator = evse_simulators.csms_simulator:main",
        ],
    },
)
