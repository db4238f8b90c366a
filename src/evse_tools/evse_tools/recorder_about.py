"""What every recording says about itself at its beginning: the station's description, the versions of what made it, the fault table of that day,
the parameters of the nodes that decide.

Two topics of std_msgs/String, so that it survives a recorder that is killed, is replayed with the rest, and can be read by anything that opens rosbags.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from evse_core.fault_table import FAULTS
from evse_tools.recorder_channels import Channel
from evse_tools.recorder_topics import ABOUT, DESCRIPTION

# Like /robot_description: one text, also for who comes late.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PACKAGES = ("evse_core", "evse_nodes", "evse_tools", "rosbags", "python-can", "cantools")
CHANNELS = (Channel(DESCRIPTION, String, LATCHED), Channel(ABOUT, String, LATCHED))


def versions() -> dict[str, str]:
    """Return the versions of Python, ROS and packages; those that are not installed are left out."""
    found = {
        "python": platform.python_version(),
        "ros": "jazzy",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def faults() -> list[dict[str, str]]:
    """Return the fault table: name, meaning, and what each fault does while power may flow and else."""
    return [
        {
            "fault": fault.name,
            "meaning": fault.meaning,
            "energised": fault.energised.reaction.name if fault.energised else "",
            "idle": fault.idle.reaction.name if fault.idle else "",
            "mrec": fault.mrec,
        }
        for fault in FAULTS
    ]


def texts(description_file: str, station: str, evses: Sequence[int], rules: str = "") -> Mapping[str, str]:
    """Return the text of each of the two topics; OSError where the description cannot be read. rules: parameters by node as JSON object (node_specs.py)."""
    about = {"station": station, "evses": list(evses), "versions": versions(), "faults": faults(), "rules": json.loads(rules or "{}")}
    description = Path(description_file).read_text(encoding="utf-8") if description_file else ""
    return {DESCRIPTION: description, ABOUT: json.dumps(about)}


def messages(said: Mapping[str, str]) -> dict[str, bytes]:
    """Return the texts as serialized messages, by topic; an empty one is left out."""
    return {topic: serialize_message(String(data=text)) for topic, text in said.items() if text}
