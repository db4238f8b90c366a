"""The demo's node: watches every EVSE and carries out what the drivers want."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from evse_msgs.srv import InjectFault, PresentToken, SetDischarge
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from evse_core.types import UplinkState
from evse_nodes.convert import from_message
from evse_nodes.topics import EVSE_TOPICS, STATION_TOPICS, Topic
from evse_tools.demo_driver import PLUG_IN, PRESENT_TOKEN, PRESS_START, PRESS_STOP, SET_DISCHARGE, UNPLUG, Action
from evse_tools.demo_track import WANTED, Track
from evse_tools.polling import Polled, Unserved, watching

# Messages kept between two visits: 1 s of the fastest topic (sim/power, 25 Hz) four times over. [1]
DEPTH = 100
# A service that has not answered after this never will. [s]
ANSWER_TIME = 3.0

Answered = Callable[[bool, str], None]


class Observer(Node):
    """Fills one Track per EVSE and calls services for their drivers, one at a time per EVSE."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        super().__init__("demo")
        self.uplink = UplinkState()
        self._group = Unserved()
        self._inputs: list[tuple[Polled, type[Any], Callable[[Any], None]]] = []
        self._callers: dict[tuple[int, str], Any] = {}
        self._calls: dict[int, tuple[Future, float, Answered]] = {}
        for track in tracks:
            for row in EVSE_TOPICS:
                if row.type in WANTED:
                    self._watch(row, f"/evse_{track.evse}/{row.name}", track.take)
            self._make_clients(track.evse)
        self._watch(STATION_TOPICS[0], f"/{STATION_TOPICS[0].name}", self._take_uplink)

    def poll(self) -> None:
        """Give every value that has come to its track, and end calls that got an answer or never will."""
        for source, kind, take in self._inputs:
            for message, _ in source.take_all():
                take(from_message(message, kind))
        for evse, (future, deadline, answered) in list(self._calls.items()):
            if future.done():
                del self._calls[evse]
                answered(*_result(future))
            elif time.monotonic() > deadline:
                del self._calls[evse]
                future.cancel()
                answered(False, f"no answer within {ANSWER_TIME:.0f} s")

    def is_busy(self, evse: int) -> bool:
        """Tell whether the last call for an EVSE is still without an answer."""
        return evse in self._calls

    def call(self, evse: int, action: Action, answered: Answered) -> bool:
        """Begin a call; False where the service is not there yet or the last call has no answer yet."""
        client = self._callers[evse, action.service]
        if evse in self._calls or not client.service_is_ready():
            return False
        self._calls[evse] = (client.call_async(_request(client.srv_type, action)), time.monotonic() + ANSWER_TIME, answered)
        return True

    def _watch(self, row: Topic, name: str, take: Callable[[Any], None]) -> None:
        self._inputs.append((Polled(self, row.message, name, watching(row.qos, DEPTH), self._group), row.type, take))

    def _make_clients(self, evse: int) -> None:
        kinds = dict.fromkeys((PLUG_IN, UNPLUG, PRESS_START, PRESS_STOP), Trigger) | {PRESENT_TOKEN: PresentToken}
        simulators = ("vehicle_simulator", "io_board_simulator", "power_module_simulator", "meter_simulator")
        kinds |= {f"{name}/inject_fault": InjectFault for name in simulators}
        kinds[SET_DISCHARGE] = SetDischarge
        for name, kind in kinds.items():
            self._callers[evse, name] = self.create_client(kind, name if name.startswith("/") else f"/evse_{evse}/{name}")

    def _take_uplink(self, value: UplinkState) -> None:
        self.uplink = value


def _request(kind: type[Any], action: Action) -> Any:
    if kind is PresentToken:
        return PresentToken.Request(token=action.argument)
    if kind is SetDischarge:
        power, seconds = map(float, action.argument.split())
        return SetDischarge.Request(power=power, valid_for=seconds)
    return InjectFault.Request(fault=action.argument, active=True) if kind is InjectFault else Trigger.Request()


def _result(future: Future) -> tuple[bool, str]:
    if (error := future.exception()) is not None:
        return False, str(error)
    answer = future.result()
    return bool(answer.success), str(answer.message)
