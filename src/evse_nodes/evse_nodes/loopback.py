"""What ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST means for our processes: UDP on 127.0.0.1 as the only transport.

rmw_fastrtps adds shared memory under LOCALHOST. There, a process that appears makes the publishers of all others wait up to 333 ms in publish() (Fast DDS issue
6535; measured here: a stall of 340 ms or more in 14 of 28 starts with shared memory, in none of 6 without). A permit expires after 200 ms, so each
`ros2 topic echo` could end a session. A profile with one transport that knows one address keeps the promise of LOCALHOST more strictly than discovery
settings do, and processes with the plain setting still find ours, and ours them. Nothing is left in /dev/shm by a killed process, either.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

RANGE, PROFILE = "ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTRTPS_DEFAULT_PROFILES_FILE"
PROFILE_FILE = Path(__file__).with_name("loopback_dds.xml")


def stay_on_loopback(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Before rclpy.init: turn LOCALHOST, also the default here, into the profile. Whoever chose another range, middleware or profile keeps it: False."""
    chosen = environment.setdefault(RANGE, "LOCALHOST")
    middleware = environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    ours = environment.get(PROFILE, str(PROFILE_FILE)) == str(PROFILE_FILE)
    if (
        not ours
        or not middleware.startswith("rmw_fastrtps")
        or chosen not in {"LOCALHOST", "SYSTEM_DEFAULT" if PROFILE in environment else ""}
    ):
        return False
    # Anything but LOCALHOST and SUBNET leaves the transports of the profile alone.
    environment.update({PROFILE: str(PROFILE_FILE), RANGE: "SYSTEM_DEFAULT"})
    return True
