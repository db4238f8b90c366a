"""Random ROS messages of any type, as JSON values: wholly random ones, and real ones with some fields changed.

New fields and messages are covered by themselves. Only what the wire can carry comes out of `received`: it passes through the middleware's own coding.
"""

from collections.abc import Callable
from math import inf, nan
from random import Random
from typing import Any

import evse_msgs.msg
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message

from evse_core.types import ChargeState
from evse_nodes.convert import from_message, to_message
from evse_nodes.topics import TOPICS
from evse_simulators.world_config import EPOCH, TOKEN

Values = dict[str, Any]
# Smallest and largest number of each integer type (ROS interface definition).
INTEGERS = {f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
INTEGERS |= {f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
FLOATS = (nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 0.04, 0.2, 5.0, 10.0, 60.0, 126.0, 410.0, 501.0, -400.0, 1e6, 1e30, 3.4e38, -3.4e38)
# Only where the type has 64 bits.
LARGE_FLOATS = (*FLOATS, 1e300, -1e300, 1.7e308, 2.0**63, EPOCH)
TEXTS = (
    "",
    TOKEN,
    TOKEN.lower(),
    "A",
    " ",
    "\n",
    "\x1b[2J",
    "é",
    "日本",
    "\u202e",
    "\ufffd",
    "🔌" * 50,
    "'; DROP TABLE x; --",
    "{}",
    "0",
    "x" * 5000,
)
SECONDS = (0, 1, -1, -(2**31), 2**31 - 1, int(EPOCH), int(EPOCH) + 3, int(EPOCH) + 10**6, int(EPOCH) - 10**6)


def random_message(random: Random, message: Any, base: Values | None = None) -> Values:
    """Return the fields of a message: all random, or those of base with some of them random."""
    kinds = message.get_fields_and_field_types()
    if base is None:
        return {name: random_value(random, kind) for name, kind in kinds.items()}
    chosen = random.sample(list(kinds), min(random.choice((0, 1, 1, 2, 3)), len(kinds)))
    return base | {name: random_value(random, kinds[name]) for name in chosen}


def random_value(random: Random, kind: str) -> Any:
    """Return a value of a field type as get_fields_and_field_types() writes it."""
    if kind.startswith("sequence<"):
        inner, _, bound = kind[len("sequence<") : -1].partition(", ")
        length = min(random.choice((0, 1, 2, 3, 3, 8, 40)), int(bound or 40))
        return [random_value(random, inner) for _ in range(length)]
    if kind == "builtin_interfaces/Time":
        return {"sec": random.choice(SECONDS), "nanosec": random.choice((0, 1, 999_999_999, 2**32 - 1))}
    if kind.startswith("evse_msgs/"):
        return random_message(random, getattr(evse_msgs.msg, kind.partition("/")[2]))
    return _SCALARS.get(kind, _integer)(random, kind)


def _integer(random: Random, kind: str) -> int:
    low, high = INTEGERS[kind]
    return random.choice((low, high, 0, 1, random.randint(0, len(ChargeState) + 2), random.randint(low, high)))


_SCALARS: dict[str, Callable[[Random, str], Any]] = {
    "boolean": lambda random, kind: random.random() < 0.5,
    "float": lambda random, kind: random.choice((random.choice(FLOATS), random.uniform(-600.0, 600.0))),
    "double": lambda random, kind: random.choice((random.choice(LARGE_FLOATS), random.uniform(-600.0, 600.0))),
    "string": lambda random, kind: random.choice(TEXTS),
}


def message_of(kind: Any, values: Values) -> Any:
    """Return the message with these fields; a type that does not carry them is the finding of somebody else: AssertionError."""
    return kind(
        **{name: _decoded(slot, values[name]) for name, slot in kind.get_fields_and_field_types().items() if name in values},
        check_fields=True,
    )


def _decoded(kind: str, value: Any) -> Any:
    if kind.startswith("sequence<"):
        inner = kind[len("sequence<") : -1].partition(", ")[0]
        return [_decoded(inner, item) for item in value]
    if kind == "builtin_interfaces/Time":
        return Time(**value)
    return message_of(getattr(evse_msgs.msg, kind.partition("/")[2]), value) if kind.startswith("evse_msgs/") else value


def values_of(message: Any) -> Values:
    """Return the fields of a message as JSON values."""
    return {name: _encoded(getattr(message, name)) for name in message.get_fields_and_field_types()}


def _encoded(value: Any) -> Any:
    if hasattr(value, "get_fields_and_field_types"):
        return values_of(value)
    if isinstance(value, str | int | float | bool):
        return value
    return [_encoded(item) for item in value]


def received(topic: str, values: Values) -> Any:
    """Return the value that a reader of the topic gets."""
    row = TOPICS[topic]
    message = deserialize_message(serialize_message(message_of(row.message, values)), row.message)
    return from_message(message, row.type)


def check_sendable(topic: str, value: Any) -> Values:
    """Return the fields of the message that a rule's value becomes; raises where the middleware could not carry it, which would end the node."""
    row = TOPICS[topic]
    values = values_of(to_message(value, row.message))
    serialize_message(message_of(row.message, values))
    return values
