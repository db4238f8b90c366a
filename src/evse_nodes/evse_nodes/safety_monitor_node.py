"""safety_monitor: the permit of one EVSE. The rule is evse_core/safety_monitor.py, its faults are evse_core/fault_table.py."""

import time
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_srvs.srv import Trigger

from evse_core.fault_table import BY_NAME, FAULTS, Fault
from evse_core.safety_inputs import PERMIT_STATES
from evse_core.safety_monitor import SafetyConfig, SafetyInputs, SafetyMonitor
from evse_core.sample import Sample
from evse_core.types import FaultEvent, NodeHealth, PowerBudget, Reaction, SafetyState
from evse_nodes import topics
from evse_nodes.description_watch import DescriptionWatch
from evse_nodes.executor import every
from evse_nodes.latch_file import LatchFile
from evse_nodes.node_health import Storage, description_digest
from evse_nodes.params import declare, evse_number, value
from evse_nodes.run import run

# msg/SafetyState.msg: 20 Hz. [s]
PERIOD = 0.05
# A period that comes later than STALL found this process stalled, and the last permit expired with it (design.md, The permit 2): until every input has come
# again, at most for CATCH_UP, nothing is judged and no permit given, else every input would look silent for what was this process's own pause. [s]
STALL, CATCH_UP = 0.2, 0.5
# How often somebody may have changed the description: it is looked at so often. [s]
DESCRIPTION_PERIOD = 2.0
# Nodes that are remembered: an EVSE and its station have a dozen, and whoever makes up names must not fill the memory. [1]
MOST_NODES = 100
# Fields of SafetyInputs by topic. What may show an emergency is judged when it comes, the rest with the next period.
AT_ONCE = {
    "session_state": "session",
    "vehicle_report": "vehicle",
    "power_report": "power",
    "io_report": "io",
    "can_status": "can_status",
    "cabinet_report": "cabinet",
}
WITH_THE_NEXT = {"meter_reading": "meter", "power_command": "power_command", "io_command": "io_command"}
INPUTS = AT_ONCE | WITH_THE_NEXT
# Of these only a change in the named fields cannot wait: they repeat themselves ten times a second.
NEWS: dict[str, Callable[[Any], Any]] = {
    "session_state": attrgetter("state", "session_active"),
    "cabinet_report": attrgetter("bridged", "stuck", "lost"),
    "can_status": lambda status: (status.power_allowed, status.cut_cause, [bus.health for bus in status.buses]),
}
LEVELS = {Reaction.EMERGENCY: DiagnosticStatus.ERROR, Reaction.STOP: DiagnosticStatus.ERROR, Reaction.BLOCK: DiagnosticStatus.ERROR}


class SafetyMonitorNode(Node):
    """Keeps the latest inputs, asks the rule, publishes what it says."""

    def __init__(self) -> None:
        super().__init__("safety_monitor")
        self._config = declare(self, SafetyConfig)
        self._expected = tuple(value(self, "expected_nodes", (), "full names of the nodes that must live"))
        self._monitor = SafetyMonitor(self._config, FAULTS, self._expected, description_digest(self))
        self._description = DescriptionWatch(value(self, "description_file", "", "station description that the station was started with"))
        folder = Path(value(self, "data_dir", "data", "folder of the faults that wait for an operator"))
        self._latch_file = LatchFile(folder / f"safety_monitor_{evse_number(self)}.json")
        self._inputs = SafetyInputs(description=self._description.digest, latch_problem=self._restore())
        self._latches = self._monitor.latches()
        self._last = SafetyState()
        self._stepped, self._resumed = time.monotonic(), float("-inf")
        self._details: dict[str, FaultEvent] = {}
        self._write_state = topics.writer(self, "safety_state")
        self._write_event = topics.writer(self, "fault_event")
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for name, field in INPUTS.items():
            topics.reader(self, name, self._taker(name, field))
        # Not one of INPUTS: it comes once a second, so that catching up must not wait for it.
        topics.reader(self, "power_budget", self._on_budget)
        for namespace in ("", topics.STATION):
            topics.reader(self, "node_health", self._on_node, namespace)
        self.create_service(Trigger, "reset_faults", self._reset_faults)
        self.create_service(Trigger, "emergency_stop", self._emergency_stop)
        every(self, PERIOD, self._tick)
        every(self, 1.0, self._diagnose)
        every(self, DESCRIPTION_PERIOD, self._look_at_description)

    def storage(self) -> Storage:
        """Return how the file of latched faults stands; how full the disk is says energy_meter, for a disk that hangs must not hold up the permit."""
        return Storage(None, self._latch_file.failed_writes)

    def close(self) -> None:
        """Keep the latched faults."""
        self._latch_file.close()

    def _restore(self) -> str:
        """Hold what an earlier run held for an operator; return why it cannot be known, "" where it is."""
        try:
            latches = self._latch_file.read(BY_NAME)
        except ValueError as error:
            self.get_logger().error(f"{self._latch_file.path}: {error}")
            return f"{self._latch_file.path.name} {error}"
        self._monitor.restore(latches)
        return ""

    def _on_node(self, health: NodeHealth) -> None:
        known = health.node in self._inputs.nodes or health.node in self._expected
        if not known and len(self._inputs.nodes) >= MOST_NODES:
            return
        nodes = {**self._inputs.nodes, health.node: Sample(health, time.monotonic())}
        self._inputs = replace(self._inputs, nodes=nodes)

    def _on_budget(self, budget: PowerBudget) -> None:
        self._inputs = replace(self._inputs, budget=Sample(budget, time.monotonic()))

    def _look_at_description(self) -> None:
        self._inputs = replace(self._inputs, description=self._description.look())

    def begin_shutdown(self) -> None:
        """Watch on: power is still on until the sequencer has ended the session."""
        self.get_logger().info("ending as soon as no session is running")

    def shutdown_done(self) -> bool:
        """Return whether nobody needs a permit any more: no session, or no sequencer that could use one."""
        session = self._inputs.session
        if session is None or session.age(time.monotonic()) > self._config.idle_silence:
            return True
        return not session.value.session_active and session.value.state not in PERMIT_STATES

    def _taker(self, name: str, field: str) -> Callable[[Any], None]:
        at_once, news = name in AT_ONCE, NEWS.get(name)

        def take(value: Any) -> None:
            last = getattr(self._inputs, field)
            changed: dict[str, Any] = {field: Sample(value, time.monotonic())}
            self._inputs = replace(self._inputs, **changed)
            if at_once and (news is None or last is None or news(last.value) != news(value)):
                self._step(only_changes=True)

        return take

    def _tick(self) -> None:
        self._step(only_changes=False)

    def _catch_up(self, now: float) -> bool:
        """Return whether this process was stalled and has still to take what came meanwhile."""
        if now - self._stepped > STALL:
            self._resumed = now
        if now - self._resumed > CATCH_UP:
            return False
        samples = (getattr(self._inputs, field) for field in INPUTS.values())
        return any(sample is not None and sample.received < self._resumed for sample in samples)

    def _step(self, only_changes: bool, reset: bool = False, emergency_stop: bool = False) -> None:
        """Ask the rule; publish the permit where it is due or has changed."""
        now = time.monotonic()
        catching_up, self._stepped = self._catch_up(now), now
        if catching_up and not reset and not emergency_stop:
            return
        stamp = self.get_clock().now().nanoseconds * 1e-9
        inputs = replace(self._inputs, stamp=stamp, reset=reset, emergency_stop=emergency_stop)
        outputs = self._monitor.step(inputs, now)
        if not only_changes or _essence(outputs.state) != _essence(self._last):
            self._write_state(outputs.state)
        self._last = outputs.state
        if inputs.latch_problem:
            self._inputs = replace(self._inputs, latch_problem="")
        if (latches := self._monitor.latches()) != self._latches:
            self._latches = latches
            self._latch_file.keep(latches)
        for event in outputs.events:
            self._tell(event)

    def _tell(self, event: FaultEvent) -> None:
        self._write_event(event)
        if event.active:
            self._details[event.fault] = event
            self.get_logger().error(f"{event.fault} ({event.reaction.name}): {event.detail}")
        else:
            self._details.pop(event.fault, None)
            self.get_logger().info(f"{event.fault} cleared")

    def _reset_faults(self, request: Any, response: Any) -> Any:
        self._step(only_changes=True, reset=True)
        response.success = not self._last.faults
        response.message = f"still there: {', '.join(self._last.faults)}" if self._last.faults else "no fault is left"
        return response

    def _emergency_stop(self, request: Any, response: Any) -> Any:
        self._step(only_changes=True, emergency_stop=True)
        response.success = "emergency_stop" in self._last.faults
        response.message = "power is cut; an operator has to call reset_faults"
        return response

    def _diagnose(self) -> None:
        name = self.get_fully_qualified_name()
        message = DiagnosticArray(status=[_diagnosis(name, fault, self._details.get(fault.name)) for fault in FAULTS])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _essence(state: SafetyState) -> tuple[bool, Reaction, tuple[str, ...], str]:
    """Return what others act upon."""
    return state.permit, state.reaction, state.faults, state.first_fault


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
    return run(make)
