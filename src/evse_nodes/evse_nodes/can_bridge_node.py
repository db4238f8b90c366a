"""can_bridge: the three CAN buses of one EVSE as topics, and the cut of power without a permit. The rule is evse_core/can_bridge.py."""

import math
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from evse_core.can_bridge import CanBridge, CanBridgeConfig, Outgoing
from evse_core.can_bridge_devices import DATABASES, database_names
from evse_core.types import BusHealth, BusLink
from evse_nodes import topics
from evse_nodes.can_bus import CanPort, Received, declare_port
from evse_nodes.can_bus_health import diagnosis, port_status
from evse_nodes.can_frame_log import FrameWriter
from evse_nodes.databases import load
from evse_nodes.executor import Waker, every
from evse_nodes.params import declare
from evse_nodes.run import run

# Shortest pause of the timer, so that a rule that wants to be asked at once cannot starve the executor. [s]
SHORTEST_PAUSE = 0.001
PREFIXES = {BusLink.VEHICLE: "vehicle_bus", BusLink.POWER: "power_bus", BusLink.IO: "io_bus"}

# The rule hears of each bus so often, and at once of a change of health: its counters are for can_status, which goes out every 0.1 s. [s]
STATUS_PERIOD = 0.05

# A round that comes so late after its time was no plan but a stall of the process, and how long messages that wait are then taken before anything is
# judged. Planned pauses are at most 50 ms while a bus can be used; 20 ms more are within what a permit of 200 ms allows. [s]
STALL, CATCH_UP = 0.05, 0.02


class CanBridgeNode(Node):
    """Feeds the rule with frames and messages, sends and publishes what it returns."""

    def __init__(self) -> None:
        super().__init__("can_bridge")
        config = declare(self, CanBridgeConfig)
        buses = DATABASES[config.vehicle_link]
        self._bridge = CanBridge(config, {name: load(name) for name in database_names(config)})
        self._frames = FrameWriter(self, topics.raw_writer(self, "can_frames"), config.publish_frames)
        names = ("vehicle_report", "power_report", "io_report", "can_status", *(("meter_report",) if config.has_meter else ()))
        self._writers = {name: topics.writer(self, name) for name in names}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._planned, self._resumed = time.monotonic(), -math.inf
        self._waker = Waker(self, self._on_frames)
        self._timer = every(self, SHORTEST_PAUSE, self._work)
        self._ports: dict[BusLink, CanPort] = {}
        self._health: list[BusHealth] = []
        self._told = -math.inf
        try:
            for link in buses:
                self._ports[link] = declare_port(self, PREFIXES[link], self._waker.wake)
        except ValueError:
            self._close_ports()
            raise
        self._read("safety_state", self._bridge.on_safety)
        self._read("power_command", self._bridge.on_power_command)
        self._read("vehicle_command", self._bridge.on_vehicle_command)
        self._read("io_command", self._bridge.on_io_command)
        every(self, 1.0, self._diagnose)

    def begin_shutdown(self) -> None:
        """Work on: the sequencer needs the buses to end the session."""
        self.get_logger().info("ending as soon as everything is commanded off")

    def shutdown_done(self) -> bool:
        """Return whether nothing needs the buses any more."""
        return self._bridge.idle(time.monotonic())

    def close(self) -> None:
        """Leave the devices in a safe state, whatever happened before."""
        for outgoing in self._bridge.farewell(time.monotonic()):
            self._ports[outgoing.link].send(outgoing.frame)
        self._close_ports()

    def _read(self, name: str, take: Callable[[Any, float], None]) -> None:
        def on_value(received: Any) -> None:
            now = time.monotonic()
            take(received, now)
            if self._bridge.needs_step(now):
                self._work()

        topics.reader(self, name, on_value, on_deadline=self._work if name == "safety_state" else None)

    def _on_frames(self) -> None:
        """Work where there is news: devices repeat themselves most of the time."""
        self._take_frames()
        self._tell_buses(time.monotonic())
        if self._bridge.needs_step(time.monotonic()):
            self._work()

    def _work(self) -> None:
        """Take what came, send and publish what is due, come back in time; after a stall of this process only when the messages that wait are taken."""
        self._take_frames()
        if self._is_catching_up(time.monotonic()):
            self._sleep_until(self._resumed + CATCH_UP)
            return
        self._tell_buses(time.monotonic())
        now = time.monotonic()
        for outgoing in self._bridge.step(now):
            self._send(outgoing)
        for report in self._bridge.reports(now):
            self._writers[report.topic](report.value)
        self._sleep_until(self._bridge.next_wake(now))

    def _tell_buses(self, now: float) -> None:
        """Tell the rule what the ports know."""
        health = [port.health for port in self._ports.values()]
        if health == self._health and now - self._told < STATUS_PERIOD:
            return
        self._health, self._told = health, now
        for link, port in self._ports.items():
            self._bridge.on_bus(port_status(link, port))

    def _is_catching_up(self, now: float) -> bool:
        """Return whether this process stood still just now: fresh commands and permits wait in the middleware and must not be judged stale unread."""
        if now - self._planned > STALL:
            self._resumed = self._planned = now
        return now - self._resumed < CATCH_UP

    def _send(self, outgoing: Outgoing) -> None:
        if self._ports[outgoing.link].send(outgoing.frame):
            self._frames.note(outgoing.link, Received(outgoing.frame, time.monotonic()), is_sent=True)
        else:
            self._bridge.on_refused(outgoing.link, time.monotonic())

    def _take_frames(self) -> None:
        """Hand frames to the rule, those of other nodes to the log."""
        for link, port in self._ports.items():
            for received in port.drain():
                if received.is_error or self._bridge.on_frame(link, received.frame, received.at):
                    self._frames.note(link, received)

    def _sleep_until(self, moment: float) -> None:
        self._planned = moment
        self._timer.timer_period_ns = int(max(moment - time.monotonic(), SHORTEST_PAUSE) * 1e9)
        self._timer.reset()

    def _diagnose(self) -> None:
        name = self.get_fully_qualified_name()
        status = [diagnosis(f"{name}: {PREFIXES[bus.link]}", bus) for bus in self._bridge.status().buses]
        message = DiagnosticArray(status=status)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _close_ports(self) -> None:
        for port in self._ports.values():
            port.close()


def make() -> CanBridgeNode:
    """Make the node."""
    return CanBridgeNode()


def main() -> int:
    """Run the node alone."""
    return run(make, urgent=True)
