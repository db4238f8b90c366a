"""What `station up` shows on a terminal: one line per EVSE, renewed in place."""

import time
from typing import Any

import rclpy
from rich.console import Console
from rich.live import Live
from rich.table import Table

from evse_core import types
from evse_core.words import in_words
from evse_nodes.convert import from_message
from evse_nodes.topics import TOPICS, Topic
from evse_tools.description import Description
from evse_tools.polling import Polled, Unserved, watching

# How often the table changes. [s]
PERIOD = 0.5
# A value older than this is not shown as if it were so. [s]
STALE = 3.0
PER_EVSE, PER_STATION = ("session_state", "meter_reading", "safety_state"), "uplink_state"
# Messages that may come between two looks. [1]
DEPTH = 5


class Status:
    """Watches the station; refresh() as often as liked."""

    def __init__(self, description: Description) -> None:
        rclpy.init(args=[])
        self._node = rclpy.create_node("station_up", enable_rosout=False, start_parameter_services=False)
        group = Unserved()
        self._numbers = description.numbers
        self._inputs = {
            (number, name): self._watch(TOPICS[name], f"/evse_{number}/{name}", group) for number in self._numbers for name in PER_EVSE
        }
        self._inputs[0, PER_STATION] = self._watch(TOPICS[PER_STATION], f"/{PER_STATION}", group)
        self._latest: dict[tuple[int, str], tuple[float, Any]] = {}
        self._next = 0.0
        self._live = Live(console=Console(highlight=False), auto_refresh=False, transient=True)
        self._live.start()

    def _watch(self, row: Topic, name: str, group: Unserved) -> tuple[Polled, type[Any]]:
        return Polled(self._node, row.message, name, watching(row.qos, DEPTH), group), row.type

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
    state = in_words(session.state) if session else "-"
    soc = f"{session.soc_percent:.0f} %" if session and session.soc_percent == session.soc_percent else "-"
    watched = (safety.first_fault or ("permit" if safety.permit else "no fault")) if safety else "-"
    return (state, *readings, soc, watched)
