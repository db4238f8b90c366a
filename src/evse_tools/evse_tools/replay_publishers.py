"""The topics of a recording, published again as they were: type, quality of service, bytes."""

import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosLiveliness, QosReliability
from rosgraph_msgs.msg import Clock

from evse_nodes.convert import to_message, to_time
from evse_tools.bag_reader import PACKAGE, Content, Item
from evse_tools.recorder_channels import INFINITE

# A process that runs is discovered within 0 to 3 s (docs/design.md, On one machine). [s]
DISCOVERY = 3.5
# Where nobody offered less: /rosout has the longest history of the graph. [1]
DEEPEST = 1000


def profile(offered: Qos | None) -> QoSProfile:
    """Return the quality of service of a recorded writer; that of a report where the recording does not say."""
    if offered is None:
        return QoSProfile(depth=10)
    found = QoSProfile(depth=min(max(offered.depth, 1), DEEPEST), history=HistoryPolicy.KEEP_LAST)
    found.reliability = ReliabilityPolicy.BEST_EFFORT if offered.reliability is QosReliability.BEST_EFFORT else ReliabilityPolicy.RELIABLE
    late = offered.durability is QosDurability.TRANSIENT_LOCAL
    found.durability = DurabilityPolicy.TRANSIENT_LOCAL if late else DurabilityPolicy.VOLATILE
    if (deadline := _limit(offered.deadline)) is not None:
        found.deadline = deadline
    if (lease := _limit(offered.liveliness_lease_duration)) is not None and offered.liveliness is QosLiveliness.AUTOMATIC:
        found.liveliness, found.liveliness_lease_duration = LivelinessPolicy.AUTOMATIC, lease
    return found


def _limit(given: Any) -> Duration | None:
    """Return a duration, None where it stands for no limit."""
    nanoseconds = given.sec * 1_000_000_000 + given.nsec
    return Duration(nanoseconds=nanoseconds) if 0 < nanoseconds < INFINITE else None


def living(node: Node, topics: Iterable[str]) -> dict[str, str]:
    """Return which of these topics have a publisher already, and whose; waits as long as discovery takes."""
    time.sleep(DISCOVERY)
    names = {topic: node.get_publishers_info_by_topic(topic) for topic in topics}
    return {topic: _name(infos[0]) for topic, infos in names.items() if infos}


def _name(info: Any) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


class Publishers:
    """Publishes the messages of a recording. `left_out`: types that are not installed, or whose bytes mean something else today, with why."""

    def __init__(self, node: Node, contents: Iterable[Content], definitions: Callable[[str], str]) -> None:
        self.left_out: dict[str, str] = {}
        self._definitions = definitions
        self._writers: dict[str, Callable[[Item], None]] = {}
        self._clock = node.create_publisher(Clock, "/clock", 10)
        for content in contents:
            self._add(node, content)

    def _add(self, node: Node, content: Content) -> None:
        package, _, name = content.type_name.split("/")
        try:
            message = getattr(import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            self.left_out[content.type_name] = "is not installed"
            return
        offered = next(iter(content.offered()), None)
        publish = node.create_publisher(message, content.topic, profile(offered)).publish
        self._writers[content.topic] = self._writer(publish, message, content.type_name)

    def _writer(self, publish: Callable[[Any], None], message: Any, type_name: str) -> Callable[[Item], None]:
        """Return what publishes a message: its bytes, where the type is what it was; else its values in today's type."""
        same: list[bool] = []

        def write(item: Item) -> None:
            if not same:
                same.append(item.definition == self._definitions(type_name))
            if same[0]:
                publish(item.data)
            elif type_name.startswith(PACKAGE):
                publish(to_message(item.value, message))
            else:
                self.left_out[type_name] = "has another definition today"

        return write

    def publish(self, item: Item) -> None:
        """Publish one message."""
        if (write := self._writers.get(item.topic)) is not None:
            write(item)

    def tell_time(self, seconds: float) -> None:
        """Publish the time of the recording on /clock."""
        self._clock.publish(Clock(clock=to_time(seconds)))
