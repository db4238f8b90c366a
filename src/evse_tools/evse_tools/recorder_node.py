"""Records every topic of the graph as rosbag2 (MCAP): serialized messages go to the disk as they came, with the time at which they came.

The node fetches messages ten times a second instead of being woken for each: one EVSE publishes some 200 messages a second, and waking rclpy's executor for
each of them would cost more than everything else here. Times of receipt come from the middleware, so they are exact all the same.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from evse_msgs.msg import SessionState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from evse_nodes.executor import every
from evse_nodes.node_health import Storage
from evse_nodes.params import declare, value
from evse_nodes.run import run
from evse_tools import recorder_about
from evse_tools.polling import Polled, Unserved
from evse_tools.recorder_channels import Channel, channels
from evse_tools.recorder_config import RecorderConfig
from evse_tools.recorder_files import MEGABYTE
from evse_tools.recorder_split import Everything, Message, Sessions, Splitter
from evse_tools.recorder_thread import RecorderThread

# How often messages are fetched; recorder_channels.DEPTH holds what comes in between. [s]
FETCH_PERIOD = 0.1
# Somebody wants to charge, or something is wrong, before or after a session.
BUSY = frozenset(
    {SessionState.STATE_AUTHORIZING, SessionState.STATE_AUTHORIZED, SessionState.STATE_EMERGENCY, SessionState.STATE_RECOVERING}
)
# A session_state older than this belongs to a sequencer that has ended: it publishes at 10 Hz. [ns]
SESSION_GONE = 1_000_000_000


class RecorderNode(Node):
    """Subscribes to everything, hands it to the thread that writes, and reports what was written and lost."""

    def __init__(self) -> None:
        super().__init__("recorder")
        config = declare(self, RecorderConfig)
        self._directory = Path(config.directory).expanduser()
        rows, own = channels(config.evses), recorder_about.CHANNELS
        group = Unserved()
        self._inputs = [Polled(self, row.message, row.topic, row.wanted(), group, raw=True) for row in rows]
        self._sessions: dict[int, Message] = {}
        self._session_channels = {number for number, row in enumerate(rows) if row.message is SessionState}
        about = self._about(config)
        first = {len(rows) + number: about[row.topic] for number, row in enumerate(own) if row.topic in about}
        self._thread = RecorderThread(config, (*rows, *own), self.get_logger().warning, first, _split(config, (*rows, *own)))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        every(self, FETCH_PERIOD, self._fetch)
        every(self, 1.0, self._report)

    def _about(self, config: RecorderConfig) -> Mapping[str, bytes]:
        """Return what every recording begins with; a description that cannot be read is missing there, and is told."""
        file = value(self, "description_file", "", "station description that the station was started with")
        rules = value(self, "rules", "", "parameters of the nodes that decide, by full name, as JSON object")
        try:
            return recorder_about.messages(recorder_about.texts(file, config.station, config.evses, rules))
        except OSError as error:
            self.get_logger().warning(f"recordings have no description: {error}")
            return recorder_about.messages(recorder_about.texts("", config.station, config.evses, rules))

    def storage(self) -> Storage:
        """Return how the recordings stand; a recording that stopped is tried again after a while."""
        return Storage(self._directory, int(bool(self._thread.problem)))

    def shutdown_done(self) -> bool:
        """Record on until no session is open any more."""
        now = time.time_ns()
        return not any(now - stamp < SESSION_GONE and _is_open(data) for _, stamp, data in self._sessions.values())

    def close(self) -> None:
        """Write what has come, and close the bag."""
        self._fetch()
        self._thread.close()

    def _fetch(self) -> None:
        batch: list[Message] = []
        for number, source in enumerate(self._inputs):
            found = [(number, stamp or time.time_ns(), data) for data, stamp in source.take_all()]
            batch += found
            if found and number in self._session_channels:
                self._sessions[number] = found[-1]
        batch.sort(key=lambda message: message[1])
        self._thread.put(batch)

    def _report(self) -> None:
        thread = self._thread
        level = DiagnosticStatus.ERROR if thread.problem else DiagnosticStatus.WARN if thread.dropped else DiagnosticStatus.OK
        facts = {"recording": thread.path or "", "written": thread.written, "dropped": thread.dropped, "bytes": thread.bytes}
        status = DiagnosticStatus(level=level, name="recorder", message=thread.problem or "recording")
        status.values = [KeyValue(key=key, value=str(value)) for key, value in facts.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _split(config: RecorderConfig, rows: Sequence[Channel]) -> Splitter:
    if not config.per_session:
        return Everything()
    return Sessions([row.topic for row in rows], _is_busy, config.before, config.after, config.queue_megabytes * MEGABYTE)


def _is_busy(data: bytes) -> bool:
    """Tell whether something goes on at a connector that is to be recorded."""
    state = deserialize_message(data, SessionState)
    return bool(state.session_active) or state.state in BUSY


def _is_open(data: bytes) -> bool:
    return bool(deserialize_message(data, SessionState).session_active)


def make() -> Node:
    """Return the node."""
    return RecorderNode()


def main() -> int:
    """Run the recorder."""
    return run(make, make_executor=lambda _: SingleThreadedExecutor())
