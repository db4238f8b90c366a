"""The few quality-of-service profiles of the graph, with the reason for each."""

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, *, reliable: bool = True, late: bool = False, deadline_ms: int = 0, lease_ms: int = 0) -> QoSProfile:
    profile = QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST)
    profile.reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    profile.durability = DurabilityPolicy.TRANSIENT_LOCAL if late else DurabilityPolicy.VOLATILE
    if deadline_ms:
        profile.deadline = Duration(nanoseconds=deadline_ms * 1_000_000)
    if lease_ms:
        profile.liveliness = LivelinessPolicy.AUTOMATIC
        profile.liveliness_lease_duration = Duration(nanoseconds=lease_ms * 1_000_000)
    return profile


# The newest value counts, an older one is worthless: best effort, for a lost one is not wanted later, and acknowledgements cost (docs/design.md, Nodes).
REPORT = _profile(1, reliable=False)
COMMAND = _profile(1, reliable=False)
# 20 Hz, so a gap of 100 ms is one lost message; the permit expires after 200 ms.
HEARTBEAT = _profile(1, reliable=False, deadline_ms=100, lease_ms=1000)
# Each one counts, and who comes late wants the state as it is.
STATE = _profile(1, late=True)
# Each one counts, in order.
EVENT = _profile(100)
# Each one counts, also for who comes late.
HISTORY = _profile(100, late=True)
# Many nodes write one topic, so more than one value waits; a lost one comes again after a second.
NODE_HEALTH = _profile(50, reliable=False)
# Much data, and losing some harms nobody.
BULK = _profile(200, reliable=False)
