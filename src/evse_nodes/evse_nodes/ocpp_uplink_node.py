"""ocpp_uplink: the station's connection to its CSMS, as a node. The protocol runs in a thread of its own (ocpp_uplink.py); ROS objects stay in the executor.

Values go into that thread by OcppUplink.post(); what comes out waits in a queue until a wake-up has the executor take it.
"""

import logging
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.node import Node

from evse_core.types import Authorization, ChargingLimit, DriverRules, Transaction, UplinkState
from evse_nodes import params, topics
from evse_nodes.executor import Waker, every
from evse_nodes.log_handover import LogHandover, write_log
from evse_nodes.message_queue import MessageQueue
from evse_nodes.node_health import Storage, description_digest
from evse_nodes.ocpp_audit import OcppAudit
from evse_nodes.ocpp_authorize import AuthorizeService
from evse_nodes.ocpp_diagnostics import Diagnostics
from evse_nodes.ocpp_outlets import configuration, facts, site
from evse_nodes.ocpp_services import EvseServices
from evse_nodes.ocpp_settings import Settings
from evse_nodes.ocpp_uplink import Ask, Event, OcppUplink, Publish
from evse_nodes.run import run

# Repeated states are handed on at this period only; the status rule takes 3 s of silence for a dead node. [s]
_REPEAT = 1.0
# How soon an audit trail that could not be written at the start is tried again. [s]
AUDIT_PERIOD = 1.0
_EVSE_WRITERS = {Authorization: "authorization", DriverRules: "driver_rules", Transaction: "transaction", ChargingLimit: "charging_limit"}


class OcppUplinkNode(Node):
    """Hands values between the graph and the uplink."""

    def __init__(self) -> None:
        super().__init__("ocpp_uplink")
        config = configuration(self)
        evses = params.value(self, "evses", (1,), "Numbers of the EVSEs of this station [1]")
        self._directory = directory = Path(
            params.value(self, "data_dir", "data", "Directory of the message queue and of changed settings")
        ).expanduser()
        self._events: queue.SimpleQueue[Event | logging.LogRecord] = queue.SimpleQueue()
        self._waker = Waker(self, self._take_events)
        self._log = LogHandover("ocpp_uplink", self._emit)
        messages = MessageQueue(directory / "ocpp16.sqlite", max_meter_values=config.max_queued_meter_values)
        settings = Settings(directory / "ocpp16_configuration.json")
        self._audit = OcppAudit(directory, description_digest(self))
        built = site(self, evses), facts(self, evses)
        self._uplink = OcppUplink(config, tuple(evses), messages, settings, self._emit, self._audit.change, *built)
        self._audit.start(self._uplink.config)
        every(self, AUDIT_PERIOD, self._audit.tick)
        self._diagnostics = Diagnostics(self, config.url)
        self._writers: dict[tuple[int, type[Any]], Callable[[Any], None]] = {
            (0, UplinkState): topics.writer(self, "uplink_state"),
            (0, ChargingLimit): topics.writer(self, "charging_limit"),
        }
        self._evse_services = EvseServices(self, tuple(evses))
        for number in evses:
            self._connect_evse(number)
        self._uplink.start()
        self._authorize = AuthorizeService(self, lambda token, tell: self._uplink.post(self._uplink.authorize, token, tell))

    def _connect_evse(self, number: int) -> None:
        space, uplink = f"evse_{number}", self._uplink
        for kind, name in _EVSE_WRITERS.items():
            self._writers[(number, kind)] = topics.writer(self, name, space)
        topics.reader(self, "session_state", _thinned(lambda value: uplink.post(uplink.on_session, number, value, time.monotonic())), space)
        topics.reader(self, "safety_state", _thinned(lambda value: uplink.post(uplink.on_safety, number, value, time.monotonic())), space)
        topics.reader(self, "fault_event", lambda value: uplink.post(uplink.on_fault, number, value), space)
        topics.reader(self, "meter_reading", lambda value: uplink.post(uplink.on_meter, number, value, time.monotonic()), space)
        topics.reader(self, "charge_record", lambda value: uplink.post(uplink.on_record, number, value), space)

    def storage(self) -> Storage:
        """Return how the message queue stands."""
        return Storage(self._directory, self._uplink.transactions.failed_writes + self._audit.failed_writes)

    # From the uplink's thread to the executor

    def _emit(self, event: Any) -> None:
        """Hand an event to the executor; called from any thread."""
        self._events.put(event)
        self._waker.wake()

    def _take_events(self) -> None:
        while not self._events.empty():
            event = self._events.get()
            match event:
                case Publish(number, value):
                    self._writers[(number, type(value))](value)
                    if isinstance(value, UplinkState):
                        self._diagnostics.publish(value, self._uplink.dropped)
                case Ask(request, reply):
                    self._evse_services.ask(request, reply)
                case logging.LogRecord():
                    write_log(self.get_logger(), event)

    # The end

    def begin_shutdown(self) -> None:
        """Let the uplink tell what it still has to tell."""
        self._uplink.post(self._uplink.begin_shutdown)

    def shutdown_done(self) -> bool:
        """Return whether it has told all, or given up."""
        return self._uplink.drained

    def close(self) -> None:
        """End the threads and the queue."""
        self._authorize.close()
        self._uplink.close()
        self._audit.close()
        self._log.close()


def _thinned(forward: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a function that hands on what is new at once, and repeated values at a low rate: 30 wake-ups a second and EVSE would be for nothing."""
    last: list[Any] = [None, 0.0]

    def take(value: Any) -> None:
        bare = repr(
            replace(value, stamp=0.0, **({"time_in_state": 0.0} if hasattr(value, "time_in_state") else {}))
        )  # NaN differs from NaN.
        now = time.monotonic()
        if bare != last[0] or now - last[1] >= _REPEAT:
            last[:] = bare, now
            forward(value)

    return take


def make() -> Node:
    """Make the node."""
    return OcppUplinkNode()


def main() -> int:
    """Run the node."""
    return run(make)


if __name__ == "__main__":
    sys.exit(main())
