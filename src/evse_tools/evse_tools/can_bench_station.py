"""The station around can_bridge for `station bench can`: it commands charging, as reaction_player.py does, and looks at what comes on the topics."""

import struct
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from evse_core.types import BusHealth, BusLink, CanStatus, PowerReport, SafetyState, VehicleReport
from evse_nodes import topics
from evse_nodes.executor import every
from evse_tools.reaction_player import COMMANDS, OFF, ON
from evse_tools.turning import Turning

# Longest wait in one turn. [s]
LOOK = 0.05
LINKS = (BusLink.VEHICLE, BusLink.POWER)
# Where the number of frames stands in a serialized CanFrames: after the 4 bytes of encapsulation (evse_nodes/can_frame_log.py).
COUNT = struct.Struct("<4xI")
_PERMIT = SafetyState(permit=True)


class _Watcher(Node):
    """Repeats permit and commands, and keeps what comes."""

    def __init__(self, context: Context) -> None:
        super().__init__("bench", namespace="/evse_1", context=context)
        self.status = CanStatus()
        self.seen: list[tuple[int, float, float]] = []
        self.recorded = 0
        names = ("safety_state", "power_command", "vehicle_command", "io_command")
        self._write: dict[str, Callable[[Any], None]] = {name: topics.writer(self, name) for name in names}
        topics.reader(self, "can_status", self._on_status)
        topics.reader(self, "power_report", self._on_power)
        topics.reader(self, "vehicle_report", self._on_vehicle)
        row = topics.TOPICS["can_frames"]
        self.create_subscription(row.message, row.name, self._on_frames, row.qos, raw=True)
        every(self, COMMANDS, self._speak)

    def _speak(self) -> None:
        self._write["safety_state"](replace(_PERMIT, given=time.monotonic()))
        # Off until the bridge would let power pass: its gate stays shut after commands that overtake the first permit.
        words = ON if self.status.power_allowed else OFF
        for name in ("power_command", "vehicle_command", "io_command"):
            self._write[name](words[name])

    def _on_status(self, status: CanStatus) -> None:
        self.status = status

    def _on_power(self, report: PowerReport) -> None:
        self.seen.append((int(BusLink.POWER), report.voltage, time.monotonic()))

    def _on_vehicle(self, report: VehicleReport) -> None:
        self.seen.append((int(BusLink.VEHICLE), report.current_request, time.monotonic()))

    def _on_frames(self, message: bytes) -> None:
        self.recorded += COUNT.unpack_from(message)[0]


class Station(Turning):
    """The watcher in a ROS context of its own; nothing comes but in `turn` and `until`."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._watcher = _Watcher(self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._watcher)

    def __enter__(self) -> "Station":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._executor.shutdown()
        self._watcher.destroy_node()
        rclpy.try_shutdown(context=self._context)

    @property
    def seen(self) -> list[tuple[int, float, float]]:
        """Link, watched value and time of each report [s]."""
        return self._watcher.seen

    @property
    def recorded(self) -> int:
        """Frames in can_frames so far. [1]"""
        return self._watcher.recorded

    @property
    def is_ready(self) -> bool:
        """The bridge hears both buses, and lets power pass."""
        status = self._watcher.status
        healths = {bus.link: bus.health for bus in status.buses}
        return status.power_allowed and all(healths[link] is BusHealth.OK for link in LINKS)

    def count(self, link: int) -> int:
        """Return how many frames of a bus the bridge has counted so far. [1]"""
        return sum(bus.received + bus.unknown_id + bus.malformed for bus in self._watcher.status.buses if bus.link == link)

    @property
    def counted(self) -> int:
        """Frames of both buses that the bridge has counted so far. [1]"""
        return sum(self.count(link) for link in LINKS)

    def dropped(self, link: int) -> int:
        """Return how many frames of a bus found a queue full. [1]"""
        return sum(bus.dropped for bus in self._watcher.status.buses if bus.link == link)

    def turn(self) -> None:
        """Take one thing that comes."""
        self._executor.spin_once(timeout_sec=LOOK)
