"""module_allocator: the modules of a cabinet among the EVSEs of the station. The rule is evse_core/module_allocator.py, the search module_optimizer.py."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_srvs.srv import Trigger

from evse_core.module_allocator import AllocatorConfig, ModuleAllocator
from evse_core.module_demand import OutletFacts
from evse_core.module_optimizer import Plan, optimise
from evse_core.types import CabinetReport
from evse_nodes import cabinet_layout, databases, topics
from evse_nodes.can_bus import declare_port
from evse_nodes.executor import every
from evse_nodes.params import declare
from evse_nodes.run import run


class ModuleAllocatorNode(Node):
    """Collects what the EVSEs say and the cabinet's frames, sends commands, publishes reports. Plans are made in a thread: commands expire after 200 ms."""

    def __init__(self) -> None:
        super().__init__("module_allocator")
        self._config = declare(self, AllocatorConfig)
        self._rule = ModuleAllocator(self._config, cabinet_layout.declare(self), databases.load("cabinet"))
        self._port = declare_port(self, "bus", lambda: None)
        numbers = [outlet.outlet for outlet in self._rule.cabinet.outlets]
        self._sources = {
            number: {
                field: topics.Latest(self, name, f"evse_{number}")
                for field, name in (
                    ("session", "session_state"),
                    ("vehicle", "vehicle_report"),
                    ("power", "power_report"),
                    ("budget", "power_budget"),
                )
            }
            for number in numbers
        }
        self._write = {number: topics.writer(self, "cabinet_report", f"evse_{number}") for number in numbers}
        self._told: dict[int, CabinetReport] = {}
        self._told_at = float("-inf")
        self._planner = ThreadPoolExecutor(1, "plan")
        self._plan: Future[Plan] | None = None
        self._last_plan: Plan | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/reset_modules", self._reset)
        every(self, self._config.command_period, self._tick)
        every(self, 1.0, self._diagnose)

    def close(self) -> None:
        """End the planner and close the bus; the cabinet keeps its switches as they are."""
        self._planner.shutdown(wait=True, cancel_futures=True)
        self._port.close()

    def _tick(self) -> None:
        now = time.monotonic()
        for received in self._port.drain():
            if not received.is_error:
                self._rule.on_frame(received.frame, received.at)
        self._rule.on_facts({number: self._facts(number) for number in self._sources})
        for frame in self._rule.step(now):
            self._port.send(frame)
        self._plan_ahead(now)
        self._report(now)

    def _facts(self, number: int) -> OutletFacts:
        return OutletFacts(**{field: latest.sample for field, latest in self._sources[number].items()})

    def _plan_ahead(self, now: float) -> None:
        """Take the plan that is ready, begin the next one that is due."""
        if self._plan is not None and self._plan.done():
            self._last_plan, self._plan = self._plan.result(), None
            self._rule.take(self._last_plan.placement)
        if self._plan is None and (problem := self._rule.problem(now)) is not None:
            self._plan = self._planner.submit(optimise, problem, self._config.plan_time)

    def _report(self, now: float) -> None:
        """Publish each report at its rate, and all at once when one has something new to say of a fault."""
        reports = {report.outlet: report for report in self._rule.reports(now)}
        if now - self._told_at < self._config.report_period - 1e-6 and _words(reports) == _words(self._told):
            return
        self._told, self._told_at = reports, now
        for number, report in reports.items():
            self._write[number](report)

    def _reset(self, request: Any, response: Any) -> Any:
        """Let stuck modules be looked at anew."""
        mended = self._rule.reset()
        response.success = True
        response.message = f"looked at anew: modules {', '.join(map(str, mended))}" if mended else "no module sticks"
        return response

    def _diagnose(self) -> None:
        wrong = sorted({words for report in self._told.values() for words in (report.bridged, report.stuck, report.lost) if words})
        silent = not any(report.age <= self._config.status_timeout for report in self._told.values())
        status = DiagnosticStatus(name="module_allocator: cabinet", level=DiagnosticStatus.WARN if wrong or silent else DiagnosticStatus.OK)
        status.message = "the cabinet is silent" if silent else "; ".join(wrong) or "all modules are known"
        status.values = [
            KeyValue(key=f"evse_{number}", value=f"{report.modules_connected} modules, {report.current_available:.0f} A")
            for number, report in self._told.items()
        ]
        refused = self._rule.state
        status.values += [
            KeyValue(
                key="refused",
                value=f"{refused.refused_outlets} outlets, {refused.refused_current} current, {refused.refused_voltage} voltage",
            ),
            KeyValue(key="malformed", value=str(self._rule.malformed)),
            KeyValue(key="plan", value="none" if self._last_plan is None else "optimal" if self._last_plan.optimal else "simple"),
        ]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _words(reports: dict[int, CabinetReport]) -> list[tuple[str, str, str]]:
    """Return what the reports say of faults."""
    return [(report.bridged, report.stuck, report.lost) for report in reports.values()]


def make() -> ModuleAllocatorNode:
    """Make the node."""
    return ModuleAllocatorNode()


def main() -> int:
    """Run the node alone."""
    return run(make, urgent=True)
