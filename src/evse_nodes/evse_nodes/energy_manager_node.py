"""energy_manager: the site's power among its EVSEs. The rule is evse_core/energy_manager.py."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from evse_msgs.srv import SetDischarge
from rclpy.node import Node

from evse_core.discharge_manager import DischargeManager
from evse_core.energy_manager import Demand, EnergyManager, ManagerConfig
from evse_core.sample import Sample, fresh
from evse_core.types import ChargingLimit, MeterReading, PowerBudget, SessionState
from evse_nodes import topics
from evse_nodes.executor import every
from evse_nodes.params import declare, value
from evse_nodes.run import run


@dataclass(slots=True)
class _Evse:
    """What one EVSE says, when its session began, and how to tell it its budget."""

    meter: topics.Latest
    write: Callable[[Any], None]
    session: Sample[SessionState] | None = None
    limit: ChargingLimit | None = None
    since: float | None = None


class EnergyManagerNode(Node):
    """Collects demands, publishes budgets."""

    def __init__(self) -> None:
        super().__init__("energy_manager")
        self._config = declare(self, ManagerConfig)
        numbers = value(self, "evses", (1,), "numbers of the EVSEs that share the site")
        if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 1:
            raise ValueError(f"energy_manager: parameter evses: {list(numbers)} are not different numbers from 1 on")
        self._manager = EnergyManager(self._config, tuple(numbers))
        self._evses = {number: self._connect(number) for number in numbers}
        self._discharge = DischargeManager(self._config, tuple(numbers))
        self._told: dict[int, PowerBudget] = {}
        self._limit = ChargingLimit()
        topics.reader(self, "charging_limit", self._on_station_limit, topics.STATION)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(SetDischarge, "set_discharge", self._set_discharge)
        every(self, self._config.period, self._tick)

    def _connect(self, number: int) -> _Evse:
        space = f"evse_{number}"
        evse = _Evse(topics.Latest(self, "meter_reading", space), topics.writer(self, "power_budget", space))
        topics.reader(self, "session_state", lambda session: self._on_session(evse, session), space)
        topics.reader(self, "charging_limit", lambda limit: self._on_limit(evse, limit), space)
        return evse

    def _on_limit(self, evse: _Evse, limit: ChargingLimit) -> None:
        """Share anew at once when the CSMS limits an EVSE."""
        evse.limit = limit
        self._share()

    def _on_station_limit(self, limit: ChargingLimit) -> None:
        """Share anew at once when the CSMS limits the station."""
        self._limit = limit
        self._share()

    def _on_session(self, evse: _Evse, session: SessionState) -> None:
        """Share anew at once when a session begins or ends."""
        evse.session = Sample(session, time.monotonic())
        if session.session_active is (evse.since is None):
            evse.since = time.monotonic() if session.session_active else None
            self._share()

    def _set_discharge(self, request: Any, response: Any) -> Any:
        """Take what the site asks back, and share it at once."""
        refused = self._discharge.ask(request.power, request.valid_for, time.monotonic())
        asked = f"{request.power:.0f} W for {request.valid_for:.0f} s" if request.power else "no discharge any more"
        self.get_logger().info(f"set_discharge refused: {refused}" if refused else f"vehicles are asked for {asked}")
        response.success, response.message = not refused, refused or asked
        self._share()
        return response

    def _tick(self) -> None:
        self._told.clear()
        self._share()
        self._diagnose()

    def _share(self) -> None:
        """Publish every budget that has changed, or all where nothing counts as told."""
        now = time.monotonic()
        demands = {number: self._demand(evse, now) for number, evse in self._evses.items()}
        shares, asked = self._manager.step(demands, now, self._limit.power), self._discharge.step(demands, now)
        # Lower ones first, so that who gets more never hears of it before who gets less.
        for number, power in sorted(shares.items(), key=lambda item: item[1] - self._power(item[0])):
            budget = PowerBudget(0.0, power, self._config.valid_for, asked[number], self._current(self._evses[number]))
            if repr(self._told.get(number)) != repr(budget):  # NaN differs from NaN.
                self._told[number] = budget
                self._evses[number].write(budget)

    def _power(self, number: int) -> float:
        return self._told[number].power if number in self._told else 0.0

    @staticmethod
    def _current(evse: _Evse) -> float:
        return evse.limit.current if evse.limit is not None else nan

    def _demand(self, evse: _Evse, now: float) -> Demand:
        session = fresh(evse.session, now, self._config.demand_timeout)
        meter: MeterReading | None = fresh(evse.meter.sample, now, self._config.demand_timeout)
        return Demand(
            fresh=session is not None,
            active=session is not None and session.session_active,
            since=evse.since if evse.since is not None else now,
            wanted=session.power_wanted if session is not None else nan,
            limit=evse.limit.power if evse.limit is not None else nan,
            measured=meter.power if meter is not None else nan,
            discharge=session.discharge_available if session is not None else nan,
        )

    def _diagnose(self) -> None:
        now = time.monotonic()
        lost = [number for number, evse in self._evses.items() if not self._demand(evse, now).fresh]
        status = DiagnosticStatus(name="energy_manager: site", level=DiagnosticStatus.WARN if lost else DiagnosticStatus.OK)
        status.message = (
            f"not heard of: EVSE {', '.join(map(str, lost))}"
            if lost
            else f"{sum(budget.power for budget in self._told.values()):.0f} W given away"
        )
        status.values = [KeyValue(key=f"evse_{number}", value=_words(told)) for number, told in sorted(self._told.items())]
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
