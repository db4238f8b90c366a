"""charge_sequencer: the charging sequence of one EVSE. The rule is evse_core/charge_sequencer.py, its states are docs/states.md.

Whether the EVSE is in service is kept while the node runs; ocpp_uplink, which keeps it on disk, says it again after a restart.
"""

import uuid
from collections.abc import Callable
from math import isnan
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from evse_msgs.srv import StartSession, StopSession
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from evse_core.charge_sequencer import Change, ChargeSequencer, SequencerConfig
from evse_core.charge_sequencer_loop import ANSWER, ASK, CHANGE, FRESH_ID, INPUTS, SequencerLoop, asked
from evse_core.trace import STEP, Outputs
from evse_core.types import RequestKind, SessionRequest, StopCause
from evse_nodes import topics
from evse_nodes.decision_trace import Decisions, said
from evse_nodes.executor import every
from evse_nodes.params import declare
from evse_nodes.run import run
from evse_nodes.session_news import diagnosis

# msg/PowerCommand.msg: 20 Hz. [s]
PERIOD = 0.05
OUTPUTS = ("power_command", "vehicle_command", "io_command", "session_state", "session_request")


class ChargeSequencerNode(Node):
    """Hands the loop what comes, publishes what it says."""

    def __init__(self) -> None:
        super().__init__("charge_sequencer")
        self._loop = SequencerLoop(ChargeSequencer(declare(self, SequencerConfig)))
        self._reason = ""
        self._decisions = Decisions(self, self._loop, {name: topics.writer(self, name) for name in OUTPUTS})
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._on(FRESH_ID, str(uuid.uuid4()))
        for name in INPUTS:
            topics.reader(self, name, self._taker(name))
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
        return self._loop.at_rest

    def _taker(self, name: str) -> Callable[[Any], None]:
        def take(value: Any) -> None:
            self._on(name, value)

        return take

    def _step(self) -> None:
        self._on(STEP)

    def _on(self, name: str, given: Any = "") -> Outputs:
        outputs = self._decisions.on(name, given)
        if self._loop.needs_id:
            self._decisions.on(FRESH_ID, str(uuid.uuid4()))
        if (change := said(outputs, CHANGE)) is not None:
            self._log(change)
        return outputs

    def _log(self, change: Change) -> None:
        self._reason = change.reason
        self.get_logger().info(f"{change.source.name} -> {change.target.name}: {self._reason}")
        state = self._loop.last
        if state is not None and state.discharge_refusal and not isnan(state.discharge_available):
            self.get_logger().info(f"no discharge: {state.discharge_refusal}")

    def _ask(self, request: SessionRequest, session_id: str = "") -> tuple[bool, str]:
        """Pass a request on; return what the sequence answers."""
        answer = said(self._on(ASK, asked(request, session_id)), ANSWER)
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
        if self._loop.last is None:
            return
        message = DiagnosticArray(status=[diagnosis(self.get_fully_qualified_name(), self._loop.last, self._reason)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def make() -> ChargeSequencerNode:
    """Make the node."""
    return ChargeSequencerNode()


def main() -> int:
    """Run the node alone."""
    return run(make, urgent=True)
