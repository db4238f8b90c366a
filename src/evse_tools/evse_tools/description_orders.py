"""Parameters of different nodes that must stand in an order: who judges must be slower than who acts, and who listens more patient than who speaks.

Each order is checked on the values that hold, given or default. An error names both keys with their values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from evse_tools.description_schema import BRIDGE, EVSE_SECTIONS, STATION_SECTIONS
from evse_tools.yaml_source import KeyPath

# A key of a section: node and parameter.
Key = tuple[str, str]
# Numbers beyond this are not compared. [any unit]
LARGEST = 1e12
SOURCES = EVSE_SECTIONS | STATION_SECTIONS | {"can_bridge": BRIDGE}


@dataclass(frozen=True, slots=True)
class Order:
    """`low` must be below `high`, or at most equal where `may_equal`; `factor` times low where one of several may be lost."""

    low: Key
    high: Key
    why: str
    may_equal: bool = True
    factor: float = 1.0

    def holds(self, low: float, high: float) -> bool:
        """Return whether two values are in order."""
        return self.factor * low < high or (self.may_equal and self.factor * low <= high)


SEQUENCER, MONITOR = "charge_sequencer", "safety_monitor"


def _judged_after(sequencer: str, monitor: str, why: str, may_equal: bool = True) -> Order:
    """The sequencer ends a phase by itself, with the right cause; the monitor judges a sequencer that did not."""
    return Order((SEQUENCER, sequencer), (MONITOR, monitor), why, may_equal)


ORDERS = (
    Order(
        (MONITOR, "lock_command_time"), (SEQUENCER, "lock_timeout"),
        "lock_failed must be raised before the sequencer gives up, or nobody is told of the lock", may_equal=False,
    ),
    Order((SEQUENCER, "lock_timeout"), (SEQUENCER, "locking_timeout"), "the lock is only one of the things that locking waits for"),
    _judged_after("unlock_timeout", "unlock_command_time", "the sequencer tries for so long to unlock"),
    _judged_after("cable_check_timeout", "cable_check_time", "the sequencer ends a cable check that is too long", may_equal=False),
    _judged_after("lowering_timeout", "discharge_time", "the sequencer waits for so long for the output to fall", may_equal=False),
    _judged_after("output_contactor_timeout", "contactor_time", "the sequencer ends a session whose contactor does not close"),
    _judged_after("ramp_down_timeout", "stop_time", "a ramp down that takes its time is no stop that nobody followed", may_equal=False),
    _judged_after("stop_time", "vehicle_stop_time", "the ramp after the vehicle's stop takes so long", may_equal=False),
    _judged_after("battery_gone_time", "under_voltage_time", "the sequencer ends a session whose battery is gone", may_equal=False),
    _judged_after("voltage_before", "connection_voltage", "what the sequencer takes for no voltage must be none for the monitor"),
    _judged_after("voltage_before_hold", "connection_time", "the sequencer refuses a connector that is live", may_equal=False),
    Order(
        (MONITOR, "min_soc_percent"), (SEQUENCER, "min_soc_percent"),
        "the sequencer ends a discharge before the monitor calls it a fault",
    ),
    _judged_after("request_excess", "request_excess", "the sequencer clamps and then ends an excessive request"),
    _judged_after("request_excess_time", "request_excess_time", "the sequencer ends an excessive request"),
    _judged_after("derate_from", "connector_temperature_limit", "a hot connector is derated before the session is stopped", may_equal=False),
    _judged_after("coolant_derate_to", "coolant_temperature_limit", "a warm cable is derated before it counts as not cooled"),
    Order((SEQUENCER, "coolant_derate_from"), (SEQUENCER, "coolant_derate_to"), "the current falls between the two", may_equal=False),
    Order((MONITOR, "coolant_flow_limit"), (SEQUENCER, "coolant_flow_minimum"), "what cools the cable for the sequencer must do so for the monitor"),
    Order(
        (MONITOR, "insulation_fault_limit"), (SEQUENCER, "insulation_minimum"),
        "a resistance that passes the cable check must not end charging",
    ),
    Order(
        (MONITOR, "insulation_fault_per_volt"), (SEQUENCER, "insulation_per_volt"),
        "a resistance that passes the cable check must not end charging",
    ),
    Order(("energy_meter", "idle_period"), (MONITOR, "meter_timeout"), "one reading may be lost", factor=2.0),
    Order(("energy_meter", "charging_period"), (MONITOR, "meter_session_time"), "one reading may be lost", factor=2.0),
    Order((MONITOR, "disk_full_limit"), ("recorder", "min_free_megabytes"), "recordings stop before the records of sessions lack room"),
)  # fmt: skip


def order_problems(data: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is out of order in raw data; values that are no numbers are for others to find."""
    evses = data.get("evses")
    for index, evse in enumerate(evses if isinstance(evses, list) else ()):
        if not isinstance(evse, dict):
            continue
        for order in ORDERS:
            low, high = _value(data, evse, order.low), _value(data, evse, order.high)
            if low is not None and high is not None and not order.holds(low, high):
                yield _place(data, evse, index, order), _text(order, low, high)


def _section(data: dict[str, Any], evse: dict[str, Any], node: str) -> dict[str, Any]:
    section = (data if node in STATION_SECTIONS else evse).get(node)
    return section if isinstance(section, dict) else {}


def _value(data: dict[str, Any], evse: dict[str, Any], key: Key) -> float | None:
    """Return the value that holds, None where what is given is no number."""
    node, name = key
    found = _section(data, evse, node).get(name, _defaults(node)[name])
    # A number without a float is out of every bound, and told so.
    known = isinstance(found, (int, float)) and not isinstance(found, bool) and abs(found) <= LARGEST
    return float(found) if known else None


@cache
def _defaults(node: str) -> dict[str, Any]:
    return {name: item.default for name, item in SOURCES[node].load().__dataclass_fields__.items()}


def _place(data: dict[str, Any], evse: dict[str, Any], index: int, order: Order) -> KeyPath:
    """Return the key that the file gives; the sequencer's or the speaker's where it gives both, for the other judges it."""
    node, name = next((key for key in (order.low, order.high) if key[1] in _section(data, evse, key[0])), order.high)
    return (node, name) if node in STATION_SECTIONS else ("evses", index, node, name)


def _text(order: Order, low: float, high: float) -> str:
    unit = _unit(order.low)
    factor = f"{order.factor:g} times " if order.factor != 1.0 else ""
    relation = "must be at most" if order.may_equal else "must be below"
    return f"{factor}{'.'.join(order.low)}, {low:g}{unit}, {relation} {'.'.join(order.high)}, {high:g}{unit}: {order.why}"


def _unit(key: Key) -> str:
    unit: str = SOURCES[key[0]].load().__dataclass_fields__[key[1]].metadata["parameter"].unit
    return f" {unit}" if unit else ""
