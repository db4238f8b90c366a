"""The simulated cabinet as a node: its frames on the cabinet bus, a generic v3 power link per EVSE, and the DC path of each EVSE on its sim/power.

In the namespace of each EVSE it serves as power_module_simulator, for that is what a driver, a demo or a test finds there without a cabinet.
"""

import math
import time
from collections.abc import Callable
from typing import Any

from evse_msgs.srv import InjectFault
from rclpy.node import Node

from evse_core.types import SimStationLines, SimVehicleLines
from evse_nodes import cabinet_layout, databases, params, topics
from evse_nodes.can_bus import CanPort, declare_port
from evse_nodes.executor import Waker, every
from evse_nodes.run import run
from evse_simulators.cabinet_converter import PowerCabinetConfig
from evse_simulators.faults import MODULES
from evse_simulators.pace import Periodic
from evse_simulators.power_cabinet import Outlet, PowerCabinetModel
from evse_simulators.service_desk import ServiceDesk
from evse_simulators.simulator_node import STATION_GONE

# Rate of the physics and of sim/power, msg/SimPower.msg. [s]
PERIOD = 0.04


class PowerCabinetSimulator(Node):
    """Runs a PowerCabinetModel. A bus that several outlets share is opened once; bits 28..24 say whom a frame is for."""

    def __init__(self) -> None:
        super().__init__("power_cabinet_simulator")
        layout = cabinet_layout.declare(self)
        self.model = PowerCabinetModel(
            params.declare(self, PowerCabinetConfig), layout, databases.load("cabinet"), databases.load("evse_v3")
        )
        self._rate = Periodic(PERIOD)
        self._heard = -math.inf
        self._waker = Waker(self, self.tick)
        self._bus = declare_port(self, "bus", self._waker.wake)
        self._ports: dict[int, CanPort] = {}
        self._power_bus = {outlet: self._declare_power_bus(outlet) for outlet in self.model.outlets}
        self._pistol = {
            outlet: params.value(self, f"evse_{outlet}.pistol", 1, "pistol index on its power bus") for outlet in self.model.outlets
        }
        self._desks = [self._open_desk(outlet) for outlet in self.model.outlets]
        self._write = {number: self._connect(number, outlet) for number, outlet in self.model.outlets.items()}
        every(self, PERIOD, self.tick)

    def _declare_power_bus(self, outlet: int) -> CanPort:
        """Open the bus of an outlet, or take the one that an earlier outlet has opened."""
        prefix = f"evse_{outlet}"
        same = params.value(self, f"{prefix}.shares_bus_with", 0, "outlet that has opened this bus, 0: none")
        return self._ports[same] if same else self._ports.setdefault(outlet, declare_port(self, prefix, self._waker.wake))

    def _open_desk(self, outlet: int) -> ServiceDesk:
        desk = ServiceDesk(self, f"/evse_{outlet}/{MODULES}", self.tick)
        bank = self.model.outlets[outlet]
        desk.serve("inject_fault", InjectFault, lambda request: bank.inject(request.fault, request.active))
        return desk

    def _connect(self, number: int, outlet: Outlet) -> Callable[[Any], None]:
        space = f"evse_{number}"
        self._read(space, "sim/station_lines", outlet.on_station_lines, _contactor)
        self._read(space, "sim/vehicle_lines", outlet.on_vehicle_lines, _vehicle_contactor)
        return topics.writer(self, "sim/power", space)

    def _read(self, space: str, name: str, take: Callable[[Any, float], None], matters: Callable[[Any], Any]) -> None:
        """Give each value of a topic to the outlet; step at once when a contact has moved."""
        last: list[Any] = [None]

        def callback(value: Any) -> None:
            take(value, time.monotonic())
            changed, last[0] = matters(value) != last[0], matters(value)
            if changed:
                self.tick()

        topics.reader(self, name, callback, space)

    def tick(self) -> None:
        """Take the received frames, step cabinet and outlets, send what they send."""
        now = time.monotonic()
        for received in self._bus.drain():
            if not received.is_error:
                self.model.on_frame(received.frame, received.at)
        for port in self._ports.values():
            self._take(port)
        for frame in self.model.step(now):
            self._bus.send(frame)
        due = self._rate.due(now)
        for number, outlet in self.model.outlets.items():
            output = outlet.step(now)
            for frame in output.frames:
                self._power_bus[number].send(frame)
            if due:
                self._write[number](output.power)

    def _take(self, port: CanPort) -> None:
        """Give the frames of a power bus to the outlets that they are for."""
        for received in port.drain():
            if received.is_error:
                continue
            self._heard = received.at
            for number, outlet in self.model.outlets.items():
                if self._power_bus[number] is port and received.frame.id >> 24 & 0x1F == self._pistol[number]:
                    outlet.on_frame(received.frame, received.at)

    def shutdown_done(self) -> bool:
        """Play on until the station has ended its sessions and is silent, as the other simulators do."""
        return time.monotonic() - self._heard > STATION_GONE

    def close(self) -> None:
        """Close doors and buses."""
        for desk in self._desks:
            desk.close()
        for port in (self._bus, *self._ports.values()):
            port.close()


def _contactor(lines: SimStationLines) -> bool:
    return lines.contactor_closed


def _vehicle_contactor(lines: SimVehicleLines) -> tuple[bool, bool]:
    return lines.plugged, lines.contactor_closed


def make() -> Node:
    """Make the node."""
    return PowerCabinetSimulator()


def main() -> int:
    """Run the node."""
    return run(make, urgent=True)
