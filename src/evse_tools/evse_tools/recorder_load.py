"""A process that publishes numbered messages at given rates, for `./station bench recorder`: its arguments are the rates [1/s] by topic as JSON, and seconds.

It waits until somebody listens to each topic, begins when it reads a line, and prints how many it has published of each topic as JSON.
"""

import json
import sys
import time
from collections.abc import Mapping

import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message

from evse_core.types import CanFrame, CanFrames
from evse_nodes.convert import to_message
from evse_nodes.loopback import stay_on_loopback
from evse_nodes.topics import TOPICS

# A station that does not find its recorder in this time never will (docs/design.md: 0 to 3 s). [s]
PATIENCE = 30.0
# Rounds of empty messages that are not counted, 0.1 s each. [1]
WARM_UP = 20
# Stamp of the messages that are counted [s]; the empty ones have 0. can_frames, which have none, begin with their number of frames, likewise.
COUNTED = 1
# Frames in a can_frames message of a charging EVSE: 0.1 s of three buses with some 450 frames/s in all. [1]
FRAMES = CanFrames(frames=tuple(CanFrame(stamp=1.0, id=number, data=bytes(8)) for number in range(45)))


def main(rates: Mapping[str, float], seconds: float) -> int:
    """Publish; returns the exit code."""
    stay_on_loopback()
    rclpy.init()
    node = rclpy.create_node("recorder_load", namespace="/evse_1")
    writers = {name: node.create_publisher(TOPICS[name].message, name, TOPICS[name].qos) for name in rates}
    end = time.monotonic() + PATIENCE
    while any(writer.get_subscription_count() == 0 for writer in writers.values()):
        if time.monotonic() > end:
            print("nobody listens", file=sys.stderr)
            return 1
        time.sleep(0.05)
    # A best-effort reader that has just been found may not have found this writer yet: what it misses now is nobody's loss.
    for _ in range(WARM_UP):
        for name, writer in writers.items():
            writer.publish(TOPICS[name].message())
        time.sleep(0.1)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(_publish(node, writers, rates, seconds)), flush=True)
    sys.stdin.readline()
    rclpy.try_shutdown()
    return 0


def _publish(node: Node, writers: Mapping[str, object], rates: Mapping[str, float], seconds: float) -> dict[str, int]:
    """Publish each topic's messages when they are due; those of one topic differ by their stamp, which counts them in ns."""
    counts, began = dict.fromkeys(rates, 0), time.monotonic()
    frames = serialize_message(to_message(FRAMES, TOPICS["can_frames"].message))
    values = {name: TOPICS[name].type() for name in rates}
    messages = {name: to_message(value, TOPICS[name].message) for name, value in values.items()}
    while (elapsed := time.monotonic() - began) < seconds:
        for name, rate in rates.items():
            while counts[name] < elapsed * rate:
                counts[name] += 1
                if name == "can_frames":
                    writers[name].publish(frames)  # type: ignore[attr-defined]
                else:
                    messages[name].stamp.sec, messages[name].stamp.nanosec = COUNTED, counts[name]
                    if name == "session_state":
                        messages[name].session_active = True
                    writers[name].publish(messages[name])  # type: ignore[attr-defined]
        time.sleep(0.002)
    return counts


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), float(sys.argv[2])))
