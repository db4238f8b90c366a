"""energy_manager: the site's power among its EVSEs. The rule is evse_core/energy_manager.py."""

import json
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from evse_msgs.srv import SetDischarge
from rclpy.node import Node

from evse_core.energy_manager import ManagerConfig
from evse_core.energy_manager_loop import BUDGET, LIMIT, METER, REFUSED, SESSION, SET_DISCHARGE, STATION_LIMIT, ManagerLoop, topic
from evse_core.trace import STEP
from evse_core.types import PowerBudget
from evse_nodes import topics
from evse_nodes.decision_trace import Decisions, said
from evse_nodes.executor import every
from evse_nodes.params import declare, value
from evse_nodes.run import run


class EnergyManagerNode(Node):
    """Hands the loop demands, publishes budgets."""

    def __init__(self) -> None:
        super().__init__("energy_manager")
        config = declare(self, ManagerConfig)
        numbers = value(self, "evses", (1,), "numbers of the EVSEs that share the site")
        if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 1:
            raise ValueError(f"energy_manager: parameter evses: {list(numbers)} are not different numbers from 1 on")
        self._loop = ManagerLoop(config, tuple(numbers))
        writers = {topic(number, BUDGET): topics.writer(self, "power_budget", f"evse_{number}") for number in numbers}
        self._decisions = Decisions(self, self._loop, writers)
        for number in numbers:
            for name, row in ((METER, "meter_reading"), (SESSION, "session_state"), (LIMIT, "charging_limit")):
                self._decisions.reader(topic(number, name), row, f"evse_{number}")
        self._decisions.reader(STATION_LIMIT, "charging_limit", topics.STATION)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(SetDischarge, "set_discharge", self._set_discharge)
        every(self, config.period, self._tick)

    def _set_discharge(self, request: Any, response: Any) -> Any:
        """Take what the site asks back, and share it at once."""
        refused = said(self._decisions.on(SET_DISCHARGE, json.dumps([request.power, request.valid_for])), REFUSED)
        asked = f"{request.power:.0f} W for {request.valid_for:.0f} s" if request.power else "no discharge any more"
        self.get_logger().info(f"set_discharge refused: {refused}" if refused else f"vehicles are asked for {asked}")
        response.success, response.message = not refused, refused or asked
        return response

    def _tick(self) -> None:
        self._decisions.on(STEP)
        self._diagnose()

    def _diagnose(self) -> None:
        lost, told = self._loop.lost(time.monotonic()), self._loop.told
        status = DiagnosticStatus(name="energy_manager: site", level=DiagnosticStatus.WARN if lost else DiagnosticStatus.OK)
        status.message = (
            f"not heard of: EVSE {', '.join(map(str, lost))}"
            if lost
            else f"{sum(budget.power for budget in told.values()):.0f} W given away"
        )
        status.values = [KeyValue(key=f"evse_{number}", value=_words(budget)) for number, budget in sorted(told.items())]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _words(budget: PowerBudget) -> str:
    """Return what an EVSE was told."""
    limited = f", at most {budget.current:g} A" if budget.current >= 0.0 else ""
    asked = f", asked for {budget.discharge_power:.0f} W" if budget.discharge_power > 0.0 else ""
    return f"{budget.power:.0f} W{limited}{asked}"


def make() -> EnergyManagerNode:
    """Make the node."""
    return EnergyManagerNode()


def main() -> int:
    """Run the node alone."""
    return run(make)
