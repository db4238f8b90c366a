"""Plays charge_sequencer and energy_meter for `station bench reaction`, in a process that the bench can kill: `on`, `off` and `reset` on its standard input.

The path from a frame that shows a fault to the frame that cuts power does not pass through the sequencer, so a played one lets 500 trials take minutes,
not hours.
"""

import select
import sys
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from evse_core.types import (
    ChargeState,
    ControllerPhase,
    IoCommand,
    MeterReading,
    PowerCommand,
    PowerFunction,
    SafetyState,
    SessionState,
    VehicleCommand,
)
from evse_nodes import topics
from evse_nodes.executor import every
from evse_nodes.run import run

# Rates of the real nodes: msg/PowerCommand.msg, msg/SessionState.msg, msg/MeterReading.msg. [s]
COMMANDS, STATES, READINGS = 0.05, 0.1, 0.25
# How often the standard input is looked at. [s]
INPUT = 0.005
# Permits that must have come before power is asked for: the gate of can_bridge stays shut after a command that overtakes the first one. [1]
PERMITS = 2
SESSION = "bench-reaction"

_TRANSFER = PowerCommand(
    function=PowerFunction.POWER_TRANSFER, voltage=410.0, current=50.0, session_announced=True, phase=ControllerPhase.CHARGING
)
_VEHICLE = VehicleCommand(
    transmit=True, protocol_number=2, available_voltage=500.0, available_current=100.0, charging=True, connector_locked=True
)
_CLOSED = IoCommand(sequence_1=True, sequence_2=True, lock=True, close_contactor=True)
_CHARGING = SessionState(state=ChargeState.CHARGING, session_id=SESSION, session_active=True, transaction_active=True, plugged=True)

Words = dict[str, Any]
ON: Words = {"session_state": _CHARGING, "power_command": _TRANSFER, "vehicle_command": _VEHICLE, "io_command": _CLOSED}
OFF: Words = {
    "session_state": SessionState(
        state=ChargeState.CLOSING, session_id=SESSION, session_active=True, transaction_active=True, plugged=True
    ),
    "power_command": PowerCommand(function=PowerFunction.OFF, session_announced=True, phase=ControllerPhase.CLOSING),
    "vehicle_command": _VEHICLE,
    "io_command": IoCommand(lock=True),
}


READY: Words = OFF | {"session_state": _CHARGING}


class Player(Node):
    """Repeats what it has been told last; before `on` commands power it waits for the permit, as the real one does."""

    def __init__(self) -> None:
        super().__init__("charge_sequencer")
        self._words = OFF
        self._permits = 0
        self._write: dict[str, Callable[[Any], None]] = {name: topics.writer(self, name) for name in (*ON, "meter_reading")}
        self._reset = self.create_client(Trigger, "reset_faults")
        topics.reader(self, "safety_state", self._on_safety)
        every(self, COMMANDS, lambda: self._say("power_command", "vehicle_command", "io_command"))
        every(self, STATES, lambda: self._say("session_state"))
        every(self, READINGS, lambda: self._write["meter_reading"](MeterReading(register_wh=1000.0, session_id=SESSION, healthy=True)))
        every(self, INPUT, self._listen)

    def _say(self, *names: str) -> None:
        for name in names:
            self._write[name](self._words[name])

    def _listen(self) -> None:
        if not select.select([sys.stdin], [], [], 0.0)[0]:
            return
        word = sys.stdin.readline().strip()
        if word == "reset" and self._reset.service_is_ready():
            self._reset.call_async(Trigger.Request())
        elif word in {"on", "off"}:
            self._permits = 0
            self._change(READY if word == "on" else OFF)

    def _on_safety(self, state: SafetyState) -> None:
        self._permits = self._permits + 1 if state.permit else 0
        if self._permits == PERMITS and self._words is READY:
            self._change(ON)

    def _change(self, words: Words) -> None:
        self._words = words
        self._say(*words)


def main() -> int:
    """Play until a signal comes."""
    return run(Player, urgent=True)


if __name__ == "__main__":
    sys.exit(main())
