"""What is recorded: one channel per row of evse_nodes/topics.py and EVSE, and what every ROS node publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from evse_nodes.topics import EVSE_TOPICS, STATION_TOPICS
from evse_tools.polling import watching

# Messages of a topic that the middleware holds between two visits of the recorder: 2.5 s of 400 messages/s, because on a busy machine it may not get its turn
# for a second. Room is taken only by what is held: the recorder has 85 MB with 200 as with 1000. [1]
DEPTH = 1000
# How rosbag2 writes "no limit": the largest int64 in nanoseconds, as rmw's RMW_DURATION_INFINITE. [ns]
INFINITE = 2**63 - 1
# rcl offers /rosout with these (rcl/logging_rosout.h).
ROSOUT = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL, lifespan=Duration(seconds=10))


@dataclass(frozen=True)
class Channel:
    """One topic: absolute name, message class, quality of service as offered by its writer."""

    topic: str
    message: type[Any]
    offered: QoSProfile

    @property
    def type_name(self) -> str:
        """Return the type as rosbag2 names it, such as evse_msgs/msg/SafetyState."""
        return self.message.__module__.split(".")[0] + "/msg/" + self.message.__name__

    @property
    def is_late(self) -> bool:
        """Tell whether late subscribers get the last messages."""
        return bool(self.offered.durability == DurabilityPolicy.TRANSIENT_LOCAL)

    def wanted(self) -> QoSProfile:
        """Return the quality of service to subscribe with."""
        return watching(self.offered, DEPTH)


def channels(evses: Sequence[int]) -> tuple[Channel, ...]:
    """Return the channels of a station with these EVSEs."""
    rows = [Channel(f"/evse_{number}/{row.name}", row.message, row.qos) for number in evses for row in EVSE_TOPICS]
    rows += [Channel(f"/{row.name}", row.message, row.qos) for row in STATION_TOPICS]
    return (*rows, Channel("/diagnostics", DiagnosticArray, QoSProfile(depth=10)), Channel("/rosout", Log, ROSOUT))


def offered_qos(profile: QoSProfile) -> Qos:
    """Return a profile as rosbags writes it into the file."""
    reliable = profile.reliability == ReliabilityPolicy.RELIABLE
    late = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return Qos(
        QosHistory.KEEP_LAST,
        profile.depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if late else QosDurability.VOLATILE,
        _time(profile.deadline),
        _time(profile.lifespan),
        QosLiveliness.AUTOMATIC,
        _time(profile.liveliness_lease_duration),
        False,
    )


def _time(duration: Duration) -> QosTime:
    """Return a duration; rclpy says 0 where nothing was demanded."""
    seconds, nanoseconds = divmod(duration.nanoseconds or INFINITE, 1_000_000_000)
    return QosTime(seconds, nanoseconds)
