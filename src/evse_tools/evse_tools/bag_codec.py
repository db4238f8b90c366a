"""Bytes of a message to a dataclass of evse_core.types, by the definition that the recording has for its type.

Written for speed, which `./station verify` lives by: rosbags takes 30 us for a message of ours and a third of a second to read the definitions, this a
tenth of both. The numbers between two texts are taken by one struct, whose gaps follow from where it begins (CDR aligns each to its size: DDS-XTypes 1.3,
7.4.1); the object is then made by one expression, which is put together from the names of the fields and compiled. What the recording does not have keeps the
dataclass's default, what the dataclass does not have is skipped. tests/unit/test_bag_reader.py holds it against rclpy.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from enum import IntEnum
from functools import cache
from itertools import count
from typing import Any, get_args, get_origin, get_type_hints

# Codes of struct by the names of ROS 2 interface types.
CODES = {
    "bool": "?",
    "byte": "B",
    "char": "B",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
TIME = "builtin_interfaces/msg/Time"
# Where a definition with all that it needs begins the next type (MCAP, registry of well-known schema encodings: ros2msg).
SEPARATOR = re.compile(r"^=+\nMSG: (\S+)\n", re.MULTILINE)
FIELD = re.compile(r"^(?P<type>[\w/]+)(?:<=\d+)?(?P<array>\[(?:<=)?\d*\])?\s+(?P<name>[a-z]\w*)(?:\s+\S.*)?$")
LITTLE_ENDIAN = b"\x00\x01"
LENGTH = struct.Struct("<I")

Decoder = Callable[[bytes], Any]
# Values of one message in their order, read from some offset on; returns where the next begins.
Step = Callable[[bytes, int, list[Any]], int]


@dataclass(frozen=True, slots=True)
class Slot:
    """A field of a type: name, type, and "" or its array part such as [], [<=5] or [3]."""

    name: str
    type_name: str
    array: str = ""


Definitions = Mapping[str, tuple[Slot, ...]]


def parse(type_name: str, text: str) -> Definitions:
    """Return the fields of a type and of all that it needs, by full name; constants and comments are left out."""
    parts = SEPARATOR.split(text)
    texts = {type_name: parts[0]} | {_full(name, ""): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}
    return {name: tuple(_slots(name.split("/")[0], body)) for name, body in texts.items()}


def _slots(package: str, text: str) -> list[Slot]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = (FIELD.match(line) for line in lines if line)
    return [Slot(match["name"], _full(match["type"], package), match["array"] or "") for match in found if match]


def _full(name: str, package: str) -> str:
    """Return pkg/Name as pkg/msg/Name, a name alone as one of the same package, a plain type as it is."""
    if name in CODES or name in {"string", "wstring"}:
        return name
    first, _, last = name.rpartition("/")
    return f"{first.removesuffix('/msg') or package}/msg/{last}"


def decoder(type_name: str, definitions: Definitions, kind: type[Any]) -> Decoder:
    """Return what makes an instance of kind out of a message's bytes; it raises ValueError or struct.error where they are none of this type."""
    steps, made = _plan(type_name, definitions, kind)

    def decode(data: bytes) -> Any:
        if data[:2] != LITTLE_ENDIAN:
            raise ValueError("is not encoded as little-endian CDR")
        values: list[Any] = []
        body, at = data[4:], 0
        for step in steps:
            at = step(body, at, values)
        return made(values)

    return decode


def _plan(type_name: str, definitions: Definitions, kind: type[Any] | None) -> tuple[list[Step], Callable[[list[Any]], Any]]:
    """Return what reads the values of a message, and what makes the object of them."""
    steps: list[Step] = []
    run: list[str] = []
    names: dict[str, Any] = {}
    index = count()

    def close() -> None:
        if run:
            steps.append(_numbers("".join(run)))
            run.clear()

    def expression(name: str, wanted: Any) -> str:
        """Lay out the fields of a type; return the words that make an object of them, None where nobody wants it."""
        hints = get_type_hints(wanted) if wanted is not None else {}
        given = []
        for slot in definitions[name]:
            words = value(slot, hints.get(slot.name))
            if slot.name in hints:
                given.append(f"{slot.name}={words}")
        return f"{known(wanted)}({', '.join(given)})" if wanted is not None else "None"

    def value(slot: Slot, hint: Any) -> str:
        if slot.type_name not in {*CODES, TIME, "string"} | definitions.keys():
            raise ValueError(f"{type_name}: nothing is known of the type {slot.type_name} of {slot.name}")
        if slot.array or slot.type_name not in {*CODES, TIME} | definitions.keys():
            close()
            steps.append(_many(slot, definitions, hint) if slot.array else _string)
            return f"v[{next(index)}]"
        if slot.type_name == TIME:
            run.extend("iI")
            return f"v[{next(index)}] + v[{next(index)}] * 1e-9"
        if slot.type_name in definitions:
            return expression(slot.type_name, hint if is_dataclass(hint) else None)
        run.append(CODES[slot.type_name])
        words = f"v[{next(index)}]"
        return f"{known(_members(hint))}({words}, {known(hint(0))})" if _is_enum(hint) else words

    def known(thing: Any) -> str:
        """Return the name under which the compiled expression finds a thing."""
        name = f"n{len(names)}"
        names[name] = thing
        return name

    words = expression(type_name, kind)
    close()
    return steps, eval(f"lambda v: {words}", names)  # of the names of fields, which FIELD has checked


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, IntEnum)


@cache
def _members(kind: type[IntEnum]) -> Callable[..., Any]:
    """Return what finds a member by its number: get(number, otherwise)."""
    return {member.value: member for member in kind}.get


def _numbers(codes: str) -> Step:
    """Return what reads plain numbers in a row."""
    layouts = [_aligned(codes, offset) for offset in range(8)]

    def step(body: bytes, at: int, values: list[Any]) -> int:
        layout = layouts[at & 7]
        values += layout.unpack_from(body, at)
        return at + layout.size

    return step


def _aligned(codes: str, offset: int) -> struct.Struct:
    """Return the layout of numbers that begin so many bytes after a multiple of 8."""
    parts, at = ["<"], offset
    for code in codes:
        size = struct.calcsize(f"<{code}")
        gap = -at % size
        parts.append(f"{gap}x{code}" if gap else code)
        at += gap + size
    return struct.Struct("".join(parts))


def _string(body: bytes, at: int, values: list[Any]) -> int:
    at += -at % 4
    (length,) = LENGTH.unpack_from(body, at)
    end = at + 4 + length
    if end > len(body):
        raise ValueError("a text is longer than the message")
    # The length counts the zero byte at the end.
    values.append(body[at + 4 : end - 1].decode() if length else "")
    return end


def _many(slot: Slot, definitions: Definitions, hint: Any) -> Step:
    """Return what reads an array into a tuple, or into bytes where these are wanted."""
    fixed = slot.array.strip("[]")
    size = int(fixed) if fixed.isdigit() else None
    element = _element(slot.type_name, definitions, get_args(hint)[0] if get_origin(hint) is tuple else None)
    as_bytes = hint is bytes

    def step(body: bytes, at: int, values: list[Any]) -> int:
        length = size
        if length is None:
            at += -at % 4
            (length,) = LENGTH.unpack_from(body, at)
            at += 4
            if length > len(body):
                raise ValueError("an array is longer than the message")
        found: list[Any] = []
        at = element(body, at, found, length)
        values.append(bytes(found) if as_bytes else tuple(found))
        return at

    return step


def _element(type_name: str, definitions: Definitions, inner: Any) -> Callable[[bytes, int, list[Any], int], int]:
    """Return what reads so many elements of an array."""
    if type_name in CODES:
        code = CODES[type_name]
        width = struct.calcsize(f"<{code}")

        def numbers(body: bytes, at: int, values: list[Any], length: int) -> int:
            at += -at % width if length else 0
            values += struct.unpack_from(f"<{length}{code}", body, at)
            return at + length * width

        return numbers
    if type_name not in definitions:
        return lambda body, at, values, length: _repeated([_string], None, body, at, values, length)
    steps, made = _plan(type_name, definitions, inner)
    return lambda body, at, values, length: _repeated(steps, made, body, at, values, length)


def _repeated(steps: list[Step], made: Callable[[list[Any]], Any] | None, body: bytes, at: int, values: list[Any], length: int) -> int:
    for _ in range(length):
        found: list[Any] = []
        for step in steps:
            at = step(body, at, found)
        values.append(made(found) if made is not None else found[0])
    return at
