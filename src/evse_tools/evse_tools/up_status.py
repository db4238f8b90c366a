"""What `station up` shows on a terminal: one line per EVSE, renewed in place."""

import time
from typing import Any

import rclpy
from evse_msgs.msg import MeterReading, SafetyState, SessionState, UplinkState
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rich.console import Console
from rich.live import Live
from rich.table import Table

from evse_core import types
from evse_nodes.convert import from_message
from evse_tools.description import Description
from evse_tools.polling import Polled, Unserved

# How often the table changes. [s]
PERIOD = 0.5
# A value older than this is not shown as if it were so. [s]
STALE = 3.0
TOPICS = {
    "session_state": (SessionState, types.SessionState),
    "meter_reading": (MeterReading, types.MeterReading),
    "safety_state": (SafetyState, types.SafetyState),
}


class Status:
    """Watches the station; refresh() as often as liked."""

    def __init__(self, description: Description) -> None:
        rclpy.init(args=[])
        self._node = rclpy.create_node("station_up", enable_rosout=False, start_parameter_services=False)
        group, qos = Unserved(), QoSProfile(depth=5, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
        self._numbers = description.numbers
        self._inputs = {
            (number, name): (Polled(self._node, message, f"/evse_{number}/{name}", qos, group), value)
            for number in self._numbers
            for name, (message, value) in TOPICS.items()
        }
        self._inputs[0, "uplink_state"] = (Polled(self._node, UplinkState, "/uplink_state", qos, group), types.UplinkState)
        self._latest: dict[tuple[int, str], tuple[float, Any]] = {}
        self._next = 0.0
        self._live = Live(console=Console(highlight=False), auto_refresh=False, transient=True)
        self._live.start()

    def refresh(self) -> None:
        """Take what has come; show it when it is time."""
        now = time.monotonic()
        for key, (source, kind) in self._inputs.items():
            for message, _ in source.take_all():
                self._latest[key] = (now, from_message(message, kind))
        if now >= self._next:
            self._next = now + PERIOD
            self._live.update(self._table(now), refresh=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _value(self, number: int, name: str, now: float) -> Any:
        received, value = self._latest.get((number, name), (-STALE, None))
        return value if now - received <= STALE else None

    def _table(self, now: float) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("EVSE", "state", "V", "A", "kWh", "SoC", "safety"):
            table.add_column(name, justify="left" if name in {"state", "safety"} else "right")
        for number in self._numbers:
            table.add_row(str(number), *cells(*(self._value(number, name, now) for name in TOPICS)))
        return table


def cells(session: types.SessionState | None, meter: types.MeterReading | None, safety: types.SafetyState | None) -> tuple[str, ...]:
    """Return the texts for one EVSE; what is not known, or no longer, is "-"."""
    readings = (f"{meter.voltage:.0f}", f"{meter.current:.1f}", f"{meter.session_energy_wh / 1000:.3f}") if meter else ("-", "-", "-")
    state = session.state.name.lower().replace("_", " ") if session else "-"
    soc = f"{session.soc_percent:.0f} %" if session and session.soc_percent == session.soc_percent else "-"
    watched = (safety.first_fault or ("permit" if safety.permit else "no fault")) if safety else "-"
    return (state, *readings, soc, watched)
