"""What a row of the fault table is made of."""

from dataclasses import dataclass
from enum import IntEnum

from evse_core import vehicle_link
from evse_core.fault_conditions import Condition
from evse_core.types import Reaction


class Reset(IntEnum):
    """What clears a fault once its condition is gone, the stricter the higher. An operator clears any."""

    ITSELF = 1
    UNPLUG = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does: its reaction, how it is cleared, and the field of SafetyConfig with its debounce time ("" at once)."""

    reaction: Reaction
    reset: Reset
    debounce: str = ""


# The vehicle links on which a row is a fault: all, or one only.
ALL_LINKS = frozenset(vehicle_link.NAMES)
CHADEMO, SECC, PILOT = (frozenset((name,)) for name in (vehicle_link.CHADEMO, vehicle_link.SECC, vehicle_link.PILOT))
DC = CHADEMO | SECC


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `energised` holds in the states of the permit, `idle` in all others; None where the fault cannot be there."""

    name: str
    meaning: str
    source: str
    limits: tuple[str, ...]
    condition: Condition
    energised: Effect | None
    idle: Effect | None
    ocpp16: str
    ocpp20: str
    mrec: str
    driver: str
    technician: str
    links: frozenset[str] = ALL_LINKS


# Short names and texts that many rows share.
WARN, BLOCK, STOP, EMERGENCY = Reaction.WARN, Reaction.BLOCK, Reaction.STOP, Reaction.EMERGENCY
ITSELF, UNPLUG, OPERATOR = Reset.ITSELF, Reset.UNPLUG, Reset.OPERATOR
CALL = "Please call the operator."
ENDED = "Charging ended for safety. Please unplug and try again or use another charger."
SILENCE = "This charger lost contact with one of its parts. Please use another charger."
