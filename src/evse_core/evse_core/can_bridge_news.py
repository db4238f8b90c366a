"""What of a value counts as news that cannot wait for the next period: flags that changed, and numbers that leapt."""

import math
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, get_type_hints

# Values of reports that go out at once when they leap from one multiple of this to another: a jump must not wait for the period. An emergency trip is 50 V
# above a rating of 500 V, over-current begins 5 A above the request (../shared/reference/can.md 4).
LEAPS = {
    "vehicle_report": {"current_request": 1.0, "controller.voltage": 10.0},
    "power_report": {"voltage": 10.0, "current": 5.0},
    "io_report": {"connector_voltage": 10.0},
    "meter_report": {},
}
_GETTERS = {topic: tuple((attrgetter(name), step) for name, step in values.items()) for topic, values in LEAPS.items()}


def leap(topic: str, value: Any) -> list[int | None]:
    """Return in which multiples the watched values of a report lie; None for one that is not known."""
    found = [(get(value), step) for get, step in _GETTERS[topic]]
    return [int(number // step) if math.isfinite(number) else None for number, step in found]


def flags(value: Any) -> Any:
    """Return the flags, counters, enumerations and texts of a value: what does not drift."""
    return _flag_getter(value.__class__)(value)


@cache
def _flag_getter(kind: Any) -> Callable[[Any], Any]:
    return attrgetter(*_flag_names(kind))


def _flag_names(kind: Any) -> list[str]:
    """Return the names of these fields, those of a value inside with a dot."""
    names: list[str] = []
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint):
            names += [f"{name}.{inner}" for inner in _flag_names(hint)]
        elif isinstance(hint, type) and issubclass(hint, (int, str)):
            names.append(name)
    return names
