"""session_reporter: says of each session that is over how it went and why it ended. The analysis is evse_core/session_story.py and session_report.py."""

import time
from typing import Any

from rclpy.node import Node

from evse_core.session_report import report
from evse_core.session_story import ReporterConfig, Story, Storyteller
from evse_core.types import SessionState
from evse_nodes import topics
from evse_nodes.params import declare, evse_number
from evse_nodes.run import run

# Time for the last report to reach its readers before the node goes away: reliable delivery takes milliseconds (../shared/ros/README.md). [s]
FAREWELL = 0.5
# What a story is made of (session_story.WANTED), by topic.
_OWN = (
    "session_state",
    "power_report",
    "vehicle_report",
    "io_report",
    "power_command",
    "power_budget",
    "safety_state",
    "fault_event",
    "charge_record",
    "transaction",
    "authorization",
    "charging_limit",
)
_OF_STATION = ("uplink_state",)


class SessionReporterNode(Node):
    """Feeds the storyteller, publishes the report on each session that is over."""

    def __init__(self) -> None:
        super().__init__("session_reporter")
        self._teller = Storyteller(evse_number(self), declare(self, ReporterConfig).gap)
        self._write = topics.writer(self, "session_report")
        self._is_open, self._told = False, 0.0
        for name in _OWN:
            topics.reader(self, name, self._take)
        for name in _OF_STATION:
            topics.reader(self, name, self._take, topics.STATION)

    def shutdown_done(self) -> bool:
        """Return whether no session is open any more, and what is known of the last one has been told."""
        if self._is_open:
            return False
        self._tell(self._teller.finish())
        return time.monotonic() - self._told > FAREWELL

    def _take(self, value: Any) -> None:
        if isinstance(value, SessionState):
            self._is_open = value.transaction_active
        self._tell(self._teller.feed(value, time.time()))

    def _tell(self, story: Story | None) -> None:
        if story is not None:
            found = report(story)
            self.get_logger().info(f"{found.outcome.name}: {found.explanation}")
            self._write(found)
            self._told = time.monotonic()


def make() -> SessionReporterNode:
    """Make the node."""
    return SessionReporterNode()


def main() -> int:
    """Run the node alone."""
    return run(make)
