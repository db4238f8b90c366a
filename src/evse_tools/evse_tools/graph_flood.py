"""A process that floods a topic or a CAN bus: python -m evse_tools.graph_flood topic NAME | can CHANNEL, until it is ended."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import rclpy

from evse_core.frame import Frame
from evse_core.types import ChargeState, MeterReading, PowerCommand, PowerFunction, Reaction, SafetyState, SessionState
from evse_nodes import topics
from evse_nodes.can_bus import CanPort
from evse_nodes.loopback import stay_on_loopback

# Messages and frames per second (issue 3, section 4: a flooding node). [1/s]
MESSAGES, FRAMES = 2000.0, 5000.0
# Sent together, then a pause: the clock of a busy machine has no 0.2 ms. [s]
ROUND = 0.005
# An identifier that nobody uses (config/can/*.dbc).
STRANGER = 0x7F0

MESSAGE: dict[str, Any] = {
    "power_command-off": PowerCommand(function=PowerFunction.OFF, voltage=0.0, current=0.0),
    "power_command-full": PowerCommand(function=PowerFunction.POWER_TRANSFER, voltage=500.0, current=125.0, session_announced=True),
    "safety_state-permit": SafetyState(permit=True, reaction=Reaction.NONE),
    "session_state-charging": SessionState(state=ChargeState.CHARGING, session_id="stranger", session_active=True, transaction_active=True),
    "meter_reading-empty": MeterReading(),
}


def _repeat(act: Callable[[], object], rate: float) -> None:
    """Act so often a second, as well as the machine can, for ever."""
    done, began = 0, time.monotonic()
    while True:
        for _ in range(min(int((time.monotonic() - began) * rate) - done, int(rate * ROUND * 4))):
            act()
            done += 1
        done = max(done, int((time.monotonic() - began - ROUND * 4) * rate))
        time.sleep(ROUND)


def main() -> None:
    """Flood what the arguments say."""
    kind, name = sys.argv[1:3]
    if kind == "can":
        port = CanPort("flood", "udp_multicast", name)
        port.wait_open(5.0)
        _repeat(lambda: port.send(Frame(STRANGER, bytes(8), False)), FRAMES)
    stay_on_loopback()
    rclpy.init()
    write = topics.writer(rclpy.create_node("stranger", namespace="/evse_1"), name.partition("-")[0])
    # A stranger who means it gives permits of this moment.
    now = {"given": time.monotonic} if name.startswith("safety_state") else {}
    _repeat(lambda: write(replace(MESSAGE[name], **{field: clock() for field, clock in now.items()})), MESSAGES)


if __name__ == "__main__":
    main()
