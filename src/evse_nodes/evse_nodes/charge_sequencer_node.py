"""charge_sequencer: the charging sequence of one EVSE. The rule is evse_core/charge_sequencer.py, its states are docs/states.md.

Whether the EVSE is in service is kept while the node runs; ocpp_uplink, which keeps it on disk, says it again after a restart.
"""

import time
import uuid
from collections.abc import Callable
from math import isnan
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from evse_msgs.srv import StartSession, StopSession
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from evse_core.charge_sequencer import ChargeSequencer, SequencerConfig, SequencerInputs, SequencerOutputs
from evse_core.sample import Sample
from evse_core.types import RequestKind, SessionRequest, SessionState, StopCause
from evse_nodes import topics
from evse_nodes.executor import every
from evse_nodes.params import declare
from evse_nodes.run import run
from evse_nodes.session_news import diagnosis, essence, flags

# msg/PowerCommand.msg: 20 Hz; msg/SessionState.msg: 10 Hz, so every second step. [s]
PERIOD = 0.05
STATE_EVERY = 2
# Fields of SequencerInputs by topic. Where a flag of the second set changes, the sequence steps at once.
SLOW_INPUTS = {"can_status": "can_status", "authorization": "authorization", "power_budget": "budget", "charge_record": "record"}
FAST_INPUTS = {"vehicle_report": "vehicle", "power_report": "power", "io_report": "io", "safety_state": "safety"}


class ChargeSequencerNode(Node):
    """Keeps the latest inputs, asks the rule, publishes what it says."""

    def __init__(self) -> None:
        super().__init__("charge_sequencer")
        self._sequencer = ChargeSequencer(declare(self, SequencerConfig))
        self._samples: dict[str, Sample[Any]] = {}
        self._requests: list[SessionRequest] = []
        self._fresh_id = str(uuid.uuid4())
        self._steps = 0
        self._last: SessionState | None = None
        self._reason = ""
        commands = ("power_command", "vehicle_command", "io_command")
        self._write = {name: topics.writer(self, name) for name in (*commands, "session_state", "session_request")}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for name, field in (SLOW_INPUTS | FAST_INPUTS).items():
            topics.reader(self, name, self._taker(field, name in FAST_INPUTS))
        self.create_service(StartSession, "start_session", self._start_session)
        self.create_service(StopSession, "stop_session", self._stop_session)
        self.create_service(Trigger, "unlock_connector", self._unlock_connector)
        self.create_service(SetBool, "set_availability", self._set_availability)
        every(self, PERIOD, self._step)
        every(self, 1.0, self._diagnose)

    def begin_shutdown(self) -> None:
        """Ask the sequence to end its session; it goes on stepping until it has."""
        self.get_logger().info("ending as soon as no session is open")
        self._ask(SessionRequest(kind=RequestKind.SHUTDOWN, stop_cause=StopCause.SHUTDOWN))

    def shutdown_done(self) -> bool:
        """Return whether the session is over and its outputs are off."""
        return self._sequencer.at_rest

    def _taker(self, field: str, at_once: bool) -> Callable[[Any], None]:
        def take(value: Any) -> None:
            before, self._samples[field] = self._samples.get(field), Sample(value, time.monotonic())
            if at_once and (before is None or flags(before.value) != flags(value)):
                self._step()

        return take

    def _inputs(self) -> SequencerInputs:
        stamp = self.get_clock().now().nanoseconds * 1e-9
        return SequencerInputs(**self._samples, requests=tuple(self._requests), fresh_id=self._fresh_id, stamp=stamp)

    def _step(self) -> None:
        inputs, self._requests = self._inputs(), []
        self._put_out(self._sequencer.step(inputs, time.monotonic()))

    def _put_out(self, outputs: SequencerOutputs) -> None:
        """Publish the commands before the state, so that the permit does not go before the contactor has been told to open."""
        self._steps += 1
        if outputs.publish_commands:
            self._write["power_command"](outputs.power)
            self._write["vehicle_command"](outputs.vehicle)
            self._write["io_command"](outputs.io)
        if self._steps % STATE_EVERY == 0 or self._last is None or essence(outputs.session) != essence(self._last):
            self._write["session_state"](outputs.session)
        self._last = outputs.session
        if outputs.session.session_id == self._fresh_id:
            self._fresh_id = str(uuid.uuid4())
        if outputs.change is not None:
            self._reason = outputs.change.reason
            self.get_logger().info(f"{outputs.change.source.name} -> {outputs.change.target.name}: {self._reason}")
            if outputs.session.discharge_refusal and not isnan(outputs.session.discharge_available):
                self.get_logger().info(f"no discharge: {outputs.session.discharge_refusal}")

    def _ask(self, request: SessionRequest, session_id: str = "") -> tuple[bool, str]:
        """Take a request if the sequence would follow it: say so on session_request, and step at once."""
        answer = self._sequencer.answer(request, self._inputs(), time.monotonic(), session_id)
        if answer.accepted:
            self._requests.append(request)
            self._write["session_request"](request)
            self._step()
        return answer.accepted, answer.message

    def _start_session(self, request: Any, response: Any) -> Any:
        asked = SessionRequest(kind=RequestKind.START, token=request.token, authorized=request.authorized)
        response.success, response.message = self._ask(asked)
        return response

    def _stop_session(self, request: Any, response: Any) -> Any:
        known = StopCause(request.stop_cause) if request.stop_cause in set(StopCause) else StopCause.UNKNOWN
        cause = StopCause.REMOTE if known in {StopCause.UNKNOWN, StopCause.NONE} else known
        response.success, response.message = self._ask(SessionRequest(kind=RequestKind.STOP, stop_cause=cause), request.session_id)
        return response

    def _unlock_connector(self, request: Any, response: Any) -> Any:
        response.success, response.message = self._ask(SessionRequest(kind=RequestKind.UNLOCK, stop_cause=StopCause.UNLOCK))
        return response

    def _set_availability(self, request: Any, response: Any) -> Any:
        response.success, response.message = self._ask(SessionRequest(kind=RequestKind.ENABLE if request.data else RequestKind.DISABLE))
        return response

    def _diagnose(self) -> None:
        if self._last is None:
            return
        message = DiagnosticArray(status=[diagnosis(self.get_fully_qualified_name(), self._last, self._reason)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def make() -> ChargeSequencerNode:
    """Make the node."""
    return ChargeSequencerNode()


def main() -> int:
    """Run the node alone."""
    return run(make)
