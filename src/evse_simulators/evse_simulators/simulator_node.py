"""What the simulator nodes share: parameters, the CAN bus, services that answer at once, and publishing at a rate and on change."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from evse_msgs.srv import InjectFault
from rclpy.node import Node
from std_srvs.srv import Trigger

from evse_nodes import databases, params, topics
from evse_nodes.can_bus import declare_port
from evse_nodes.executor import Waker, every
from evse_simulators.faults import Answer
from evse_simulators.pace import Periodic
from evse_simulators.service_desk import ServiceDesk

# A station that has sent nothing for so long has ended: its slowest frame comes every 0.1 s. [s]
STATION_GONE = 0.5


class SimulatorNode(Node, ABC):
    """A model on a CAN bus, or on none where `database` is empty.

    `publish(output)` of the subclass is called with what the model returned, periodically and at once after a change.

    Frames are taken at once where FRAMES_WAKE is true: commands that devices obey without delay. Else they wait for the next period.
    """

    FRAMES_WAKE = True

    def __init__(self, name: str, database: str, config: type[Any], model: Callable[..., Any], period: float) -> None:
        super().__init__(name)
        values = params.declare(self, config)
        self.model = model(values, databases.load(database)) if database else model(values)
        self._waker = Waker(self, self.tick)
        self.port = declare_port(self, "bus", self._waker.wake if self.FRAMES_WAKE else lambda: None) if database else None
        self._rate = Periodic(period)
        self._heard = -math.inf
        self._desk = ServiceDesk(self, self.get_fully_qualified_name(), self.tick)
        every(self, period, self.tick)
        self.serve("inject_fault", InjectFault, lambda request: self.model.inject(request.fault, request.active))

    def serve(self, name: str, kind: type[Any], act: Callable[[Any], Answer]) -> None:
        """Offer a private service: act on the request, step at once so that the change is on the lines, answer."""
        self._desk.serve(name, kind, act)

    def serve_trigger(self, name: str, act: Callable[[], Answer]) -> None:
        """Offer a private service without arguments."""
        self.serve(name, Trigger, lambda _: act())

    def read(self, name: str, take: Callable[[Any, float], None], matters: Callable[[Any], Any] | None = None) -> None:
        """Give each value of a topic to the model; step at once when matters(value) differs from the last one's. Without a bus it shows that others live."""
        last: list[Any] = [None]

        def callback(value: Any) -> None:
            now = time.monotonic()
            take(value, now)
            self._heard = self._heard if self.port else now
            seen = matters(value) if matters else None
            changed, last[0] = seen != last[0], seen
            if changed:
                self.tick()

        topics.reader(self, name, callback)

    def tick(self) -> None:
        """Take the received frames, step the model, send what it sends."""
        now = time.monotonic()
        for received in self.port.drain() if self.port is not None else ():
            if not received.is_error:
                self._heard = received.at
                self.model.on_frame(received.frame, received.at)
        output = self.model.step(now)
        if self.port is not None:
            for frame in output.frames:
                self.port.send(frame)
        self.publish(output, self._rate.due(now))

    @abstractmethod
    def publish(self, output: Any, due: bool) -> None:
        """Publish what others see of the model; due is true once per period."""

    def shutdown_done(self) -> bool:
        """Play on until the station has ended its session and is silent: `ros2 launch` ends all processes at the same time."""
        return time.monotonic() - self._heard > STATION_GONE

    def close(self) -> None:
        """Close door and bus."""
        self._desk.close()
        if self.port is not None:
            self.port.close()


def comparable(value: float) -> float | None:
    """Return a value that equals itself, None for NaN."""
    return None if math.isnan(value) else value
