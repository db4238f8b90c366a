"""How a station's nodes are woken: rclpy's events executor, timers on the steady clock, and wake-ups from other threads.

rclpy's other executors build a wait set for each message, which took twice the processor time of the whole station (`processes` in `./station demo --json -`
shows what it takes). Jazzy has the events executor since rclpy 7.1.4; it serves no guard conditions, hence `Waker`.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType

from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.timer import Timer


class Signals:
    """Counts SIGINT and SIGTERM."""

    def __init__(self) -> None:
        self.count = 0
        self.catch()

    def catch(self) -> None:
        """Take the signals, also from a library that has taken them meanwhile."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._count)

    def _count(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


def events_executor(signals: Signals) -> Executor:
    """Make an executor. It installs handlers that shut the context down on SIGINT, which would be no orderly end: the signals stay ours."""
    executor = EventsExecutor()
    signals.catch()
    return executor


def every(node: Node, period: float, callback: Callable[[], None]) -> Timer:
    """Call back every period [s] of the steady clock: a timer of the node's own clock stands still when somebody sets the machine's clock back."""
    return node.create_timer(period, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))


class Waker:
    """Has a node's executor call `callback` soon. `wake` may come from any thread; several before the call are one."""

    def __init__(self, node: Node, callback: Callable[[], None]) -> None:
        self._node, self._callback = node, callback
        self._lock = threading.Lock()
        self._pending = False
        # Wakes that come before the node has an executor are caught up with when it spins.
        self._first = every(node, 0.0, self._begin)

    def wake(self) -> None:
        """Ask for a call."""
        with self._lock:
            executor = self._node.executor
            if self._pending or executor is None:
                return
            self._pending = True
        executor.create_task(self._call)

    def _begin(self) -> None:
        self._first.cancel()
        self._callback()

    def _call(self) -> None:
        with self._lock:
            self._pending = False
        self._callback()
