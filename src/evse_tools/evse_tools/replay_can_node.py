"""The recorded vehicle as a node: its frames on the vehicle bus in real time, its lines on sim/vehicle_lines, and what the station says meanwhile."""

from collections.abc import Callable
from functools import partial
from typing import Any

from evse_core.types import FaultEvent, Registration, SessionState, UplinkState
from evse_nodes import topics
from evse_simulators.battery import BatteryConfig
from evse_simulators.pace import Periodic
from evse_simulators.recorded_vehicle import RecordedVehicle, Recording
from evse_simulators.simulator_node import SimulatorNode

# How often the log is looked at: its frames go out late by no more than this. [s]
PERIOD = 0.01
# Rate of sim/vehicle_lines, msg/SimVehicleLines.msg. [s]
LINES_PERIOD = 0.05


class RecordedVehicleNode(SimulatorNode):
    """Plays a Recording in the place of vehicle_simulator."""

    def __init__(self, recording: Recording, in_step: bool, now: Callable[[], float]) -> None:
        model = partial(RecordedVehicle, recording=recording, in_step=in_step)
        super().__init__("vehicle_simulator", "chademo", BatteryConfig, model, PERIOD)
        self._now = now
        self._write = topics.writer(self, "sim/vehicle_lines")
        self._lines_due, self._digital = Periodic(LINES_PERIOD), (False, False, False)
        self.session, self.registered = SessionState(), False
        self.states: list[tuple[str, float]] = []
        self.faults: list[str] = []
        self.read("sim/station_lines", self.model.on_station_lines, lambda lines: (lines.sequence_1, lines.sequence_2, lines.locked))
        self.read("sim/power", self.model.on_power)
        topics.reader(self, "session_state", self._on_session)
        topics.reader(self, "fault_event", self._on_fault)
        topics.reader(self, "uplink_state", self._on_uplink, topics.STATION)

    def publish(self, output: Any, due: bool) -> None:
        """Publish the lines at their rate and when one of them moves."""
        lines = output.lines
        digital = (lines.plugged, lines.permission, lines.contactor_closed)
        if digital != self._digital or self._lines_due.due(self._now()):
            self._digital = digital
            self._write(lines)

    def _on_session(self, value: SessionState) -> None:
        begun = bool(self.states) or value.session_active
        if begun and (not self.states or self.states[-1][0] != value.state.name):
            self.states.append((value.state.name, self._now()))
        self.session = value

    def _on_fault(self, event: FaultEvent) -> None:
        if event.active:
            self.faults.append(f"{event.fault} ({event.reaction.name}: {event.detail})")

    def _on_uplink(self, value: UplinkState) -> None:
        self.registered = value.connected and value.registration is Registration.ACCEPTED
