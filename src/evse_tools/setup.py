from setuptools import find_packages, setup

setup(
    name="evse_tools",
    version="0.1.0",
    description="Command line of a charging station: run, demo, record, analyze, doctor.",
    license="Apache-2.0",
    maintainer="ros2_evse maintainers",
    maintainer_email="maintainers@ros2-evse.invalid",
    packages=find_packages(),
    package_data={"evse_tools": ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/evse_tools"]),
        ("share/evse_tools", ["package.xml"]),
    ],
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "station = evse_tools.cli:main",
            "recorder = evse_tools.recorder_node:main",
        ],
    },
)
