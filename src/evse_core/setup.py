from setuptools import find_packages, setup

setup(
    name="evse_core",
    version="0.1.0",
    description="Rules of a charging station: sequencing, safety, CAN codecs, energy. No ROS, no clock, no I/O.",
    license="Apache-2.0",
    maintainer="ros2_evse maintainers",
    maintainer_email="maintainers@ros2-evse.invalid",
    packages=find_packages(),
    package_data={"evse_core": ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/evse_core"]),
        ("share/evse_core", ["package.xml"]),
    ],
    zip_safe=True,
)
