"""Plain values to messages and back. Messages stop here: the only module that knows both.

Fields agree by name (tests/contract holds them to it), so one walk over the fields serves every type.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import evse_msgs.msg
from builtin_interfaces.msg import Time


def to_time(seconds: float) -> Time:
    """Return seconds as a Time message."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def from_time(time: Time) -> float:
    """Return a Time message in seconds."""
    seconds: float = time.sec + time.nanosec * 1e-9
    return seconds


def to_message(value: Any, message: Any) -> Any:
    """Return value, a dataclass of evse_core.types, as an instance of message."""
    result = message()
    for name, encode, _ in _plan(value.__class__, message):
        setattr(result, name, encode(getattr(value, name)))
    return result


def from_message(message: Any, value: Any) -> Any:
    """Return message as an instance of value, a dataclass of evse_core.types."""
    return value(**{name: decode(getattr(message, name)) for name, _, decode in _plan(value, message.__class__)})


Convert = Callable[[Any], Any]


@cache
def _plan(value: Any, message: Any) -> tuple[tuple[str, Convert, Convert], ...]:
    """Return (field, to message, from message) for each field of value."""
    hints = get_type_hints(value)
    slots = message.get_fields_and_field_types()
    return tuple((item.name, *_pair(hints[item.name], slots[item.name])) for item in fields(value))


def _pair(hint: Any, slot: str) -> tuple[Convert, Convert]:
    if slot == "builtin_interfaces/Time":
        return to_time, from_time
    if get_origin(hint) is tuple:
        return _sequence_pair(get_args(hint)[0])
    if is_dataclass(hint):
        return _nested_pair(hint)
    if hint is bytes:
        return list, bytes
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return int, lambda number: _enum(hint, number)
    return hint, hint


def _sequence_pair(inner: Any) -> tuple[Convert, Convert]:
    if not is_dataclass(inner):
        return list, tuple
    encode, decode = _nested_pair(inner)
    return lambda values: [encode(value) for value in values], lambda messages: tuple(decode(item) for item in messages)


def _nested_pair(inner: Any) -> tuple[Convert, Convert]:
    message = getattr(evse_msgs.msg, inner.__name__)
    return lambda value: to_message(value, message), lambda item: from_message(item, inner)


def _enum(enum: type[IntEnum], number: int) -> IntEnum:
    """Return the member, UNKNOWN (0) for a number that this build does not know."""
    try:
        return enum(number)
    except ValueError:
        return enum(0)
