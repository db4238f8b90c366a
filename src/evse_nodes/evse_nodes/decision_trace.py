"""Lets a node's loop decide: hands it what comes with the node's two clocks, publishes what it says and a trace of both (evse_core/trace.py)."""

import time
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

from evse_core.snapshot import SnapshotError, capture
from evse_core.trace import FAILED, Loop, Outputs, Trace, is_call
from evse_nodes import topics
from evse_nodes.executor import every
from evse_nodes.node_health import STARTED

# msg/DecisionTrace.msg: 4 Hz; a state takes 1 to 3 ms to write, so every 5 s. [s], [1]
PERIOD = 0.25
SNAPSHOT_EVERY = 20


class Decisions:
    """One loop of one node. `writers` publish what it says, by its names."""

    def __init__(self, node: Node, loop: Loop, writers: Mapping[str, Any]) -> None:
        self._node, self._loop, self._writers = node, loop, writers
        self._trace = Trace(node.get_fully_qualified_name(), STARTED, loop.names)
        self._write = topics.writer(node, "decision_trace")
        self._clock = node.get_clock()
        self._batches = 0
        self._told = False
        every(node, PERIOD, self.flush)

    def call(self, name: str) -> None:
        """Call the loop without a text, for timers."""
        self.on(name)

    def reader(self, name: str, topic: str, namespace: str = "") -> None:
        """Give the loop every message of a topic, under the name that it has for it."""

        def take(value: Any) -> None:
            self.on(name, value)

        topics.reader(self._node, topic, take, namespace)

    def on(self, name: str, given: Any = "") -> Outputs:
        """Give the loop a message or a call; return what it said, with what is for the node."""
        now, stamp = time.monotonic(), self._clock.now().nanoseconds * 1e-9
        outputs = self._loop.on(name, given, now, stamp)
        published = 0
        for output, value in outputs:
            if not is_call(output):
                self._writers[output](value, stamp)
                published += 1
        self._trace.note(name, given, now, stamp, published)
        for output, value in outputs:
            if output == FAILED:
                self._trace.note(FAILED, value, now, stamp, 0)
        return outputs

    def flush(self) -> None:
        """Publish what was taken since the last time, now and then with the state of the rules."""
        snapshot = self._snapshot() if self._batches % SNAPSHOT_EVERY == 0 else ""
        self._batches += 1
        self._write(self._trace.take(snapshot))

    def _snapshot(self) -> str:
        """Return the state; a recording without it is worth less, and is no reason to stop watching."""
        try:
            return capture(self._loop)
        except SnapshotError as error:
            if not self._told:
                self._told = True
                self._node.get_logger().warning(f"recordings cannot be verified: {error}")
            return ""


def said(outputs: Outputs, name: str) -> Any:
    """Return the newest value of a name among what a loop said, None where it said nothing."""
    return next((value for found, value in reversed(outputs) if found == name), None)
