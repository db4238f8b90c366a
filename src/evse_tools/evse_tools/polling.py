"""Subscriptions that are emptied from time to time instead of waking an executor for each message: cheap for who only watches."""

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile


def watching(offered: QoSProfile, depth: int) -> QoSProfile:
    """Return a quality of service that matches a writer's and does not ask for its deadline or lease: who only watches judges nobody."""
    profile = QoSProfile(depth=max(depth, offered.depth), history=HistoryPolicy.KEEP_LAST)
    profile.reliability, profile.durability = offered.reliability, offered.durability
    return profile


class Unserved(CallbackGroup):
    """Entities that no executor waits for."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False


class Polled:
    """A subscription that keeps up to `qos.depth` messages until `take_all`."""

    def __init__(self, node: Node, message: type[Any], topic: str, qos: QoSProfile, group: Unserved, *, raw: bool = False) -> None:
        self._subscription = node.create_subscription(message, topic, _never, qos, callback_group=group, raw=raw)
        self._message, self._raw = message, raw

    def take_all(self) -> list[tuple[Any, int]]:
        """Return what has come: (message, serialized if raw; time of receipt [ns since the epoch]; 0 where the middleware does not say)."""
        found = []
        handle = self._subscription.handle
        with handle:
            while (taken := handle.take_message(self._message, self._raw)) is not None:
                found.append((taken[0], int(taken[1]["received_timestamp"])))
        return found


def _never(message: Any) -> None:
    raise RuntimeError("an executor serves a subscription that is polled")
