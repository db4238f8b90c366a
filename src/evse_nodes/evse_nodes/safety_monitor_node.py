"""safety_monitor: the permit of one EVSE. The rule is evse_core/safety_monitor.py, its faults are evse_core/fault_table.py."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_srvs.srv import Trigger

from evse_core.fault_table import BY_NAME, FAULTS, Fault
from evse_core.safety_inputs import PERMIT_STATES
from evse_core.safety_monitor import SafetyConfig, SafetyMonitor
from evse_core.safety_monitor_loop import BUDGET, DESCRIPTION, EMERGENCY_STOP, HEALTH, INPUTS, LATCHES, RESET, SafetyLoop
from evse_core.trace import STEP
from evse_core.types import FaultEvent, Reaction
from evse_nodes import topics
from evse_nodes.decision_trace import Decisions, said
from evse_nodes.description_watch import DescriptionWatch
from evse_nodes.executor import every
from evse_nodes.latch_file import LatchFile
from evse_nodes.node_health import Storage, description_digest
from evse_nodes.params import declare, evse_number, value
from evse_nodes.run import run

# msg/SafetyState.msg: 20 Hz. [s]
PERIOD = 0.05
# How often somebody may have changed the description: it is looked at so often. [s]
DESCRIPTION_PERIOD = 2.0
LEVELS = {Reaction.EMERGENCY: DiagnosticStatus.ERROR, Reaction.STOP: DiagnosticStatus.ERROR, Reaction.BLOCK: DiagnosticStatus.ERROR}


class SafetyMonitorNode(Node):
    """Hands the loop what comes, publishes what it says, keeps the faults that wait for an operator."""

    def __init__(self) -> None:
        super().__init__("safety_monitor")
        self._config = declare(self, SafetyConfig)
        expected = tuple(value(self, "expected_nodes", (), "full names of the nodes that must live"))
        self._description = DescriptionWatch(value(self, "description_file", "", "station description that the station was started with"))
        folder = Path(value(self, "data_dir", "data", "folder of the faults that wait for an operator"))
        self._latch_file = LatchFile(folder / f"safety_monitor_{evse_number(self)}.json")
        monitor = SafetyMonitor(self._config, FAULTS, expected, description_digest(self))
        self._loop = SafetyLoop(monitor, expected, self._description.digest, time.monotonic())
        self._restore()
        self._details: dict[str, FaultEvent] = {}
        writers = {"safety_state": topics.writer(self, "safety_state"), "fault_event": self._teller()}
        self._decisions = Decisions(self, self._loop, writers)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for name in (*INPUTS, BUDGET):
            topics.reader(self, name, self._taker(name))
        for name, namespace in zip(HEALTH, ("", topics.STATION), strict=True):
            topics.reader(self, "node_health", self._taker(name), namespace)
        self.create_service(Trigger, "reset_faults", self._reset_faults)
        self.create_service(Trigger, "emergency_stop", self._emergency_stop)
        every(self, PERIOD, lambda: self._on(STEP))
        every(self, 1.0, self._diagnose)
        every(self, DESCRIPTION_PERIOD, self._look_at_description)

    def storage(self) -> Storage:
        """Return how the file of latched faults stands; how full the disk is says energy_meter, for a disk that hangs must not hold up the permit."""
        return Storage(None, self._latch_file.failed_writes)

    def close(self) -> None:
        """Keep the latched faults."""
        self._latch_file.close()

    def _restore(self) -> None:
        """Hold what an earlier run held for an operator."""
        try:
            self._loop.restore(self._latch_file.read(BY_NAME))
        except ValueError as error:
            self.get_logger().error(f"{self._latch_file.path}: {error}")
            self._loop.restore((), f"{self._latch_file.path.name} {error}")

    def _taker(self, name: str) -> Callable[[Any], None]:
        return lambda value: self._on(name, value)

    def _on(self, name: str, given: Any = "") -> None:
        latches = said(self._decisions.on(name, given), LATCHES)
        if latches is not None:
            self._latch_file.keep(latches)

    def _look_at_description(self) -> None:
        before = self._description.digest
        if (digest := self._description.look()) != before:
            self._on(DESCRIPTION, digest)

    def begin_shutdown(self) -> None:
        """Watch on: power is still on until the sequencer has ended the session."""
        self.get_logger().info("ending as soon as no session is running")

    def shutdown_done(self) -> bool:
        """Return whether nobody needs a permit any more: no session, or no sequencer that could use one."""
        session = self._loop.session
        if session is None or session.age(time.monotonic()) > self._config.idle_silence:
            return True
        return not session.value.session_active and session.value.state not in PERMIT_STATES

    def _teller(self) -> Callable[[FaultEvent, float], None]:
        write = topics.writer(self, "fault_event")

        def tell(event: FaultEvent, stamp: float) -> None:
            write(event, stamp)
            if event.active:
                self._details[event.fault] = event
                self.get_logger().error(f"{event.fault} ({event.reaction.name}): {event.detail}")
            else:
                self._details.pop(event.fault, None)
                self.get_logger().info(f"{event.fault} cleared")

        return tell

    def _reset_faults(self, request: Any, response: Any) -> Any:
        self._on(RESET)
        response.success = not self._loop.last.faults
        response.message = f"still there: {', '.join(self._loop.last.faults)}" if self._loop.last.faults else "no fault is left"
        return response

    def _emergency_stop(self, request: Any, response: Any) -> Any:
        self._on(EMERGENCY_STOP)
        response.success = "emergency_stop" in self._loop.last.faults
        response.message = "power is cut; an operator has to call reset_faults"
        return response

    def _diagnose(self) -> None:
        name = self.get_fully_qualified_name()
        message = DiagnosticArray(status=[_diagnosis(name, fault, self._details.get(fault.name)) for fault in FAULTS])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _diagnosis(name: str, fault: Fault, event: FaultEvent | None) -> DiagnosticStatus:
    """Return a row of the fault table as a status: what was seen, what a technician does about it."""
    if event is None:
        return DiagnosticStatus(level=DiagnosticStatus.OK, name=f"{name}: {fault.name}", message="OK")
    values = {"reaction": event.reaction.name, "meaning": fault.meaning, "technician": fault.technician, "mrec_code": fault.mrec}
    return DiagnosticStatus(
        level=LEVELS.get(event.reaction, DiagnosticStatus.WARN),
        name=f"{name}: {fault.name}",
        message=event.detail,
        values=[KeyValue(key=key, value=text) for key, text in values.items()],
    )


def make() -> SafetyMonitorNode:
    """Make the node."""
    return SafetyMonitorNode()


def main() -> int:
    """Run the node alone."""
    return run(make, urgent=True)
