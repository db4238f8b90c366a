"""Frames to physical signals and back through a cantools database that never surprises.

cantools raises on over-range values, short frames and missing signals, and turns named values into objects (../shared/reference/can.md 5.3). Here everything
is a float, values are clamped to what the wire can carry, and only two errors come out: UnknownId and Malformed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cantools.database import Message, Signal
from cantools.database.can.database import Database

from evse_core.frame import Frame

# Bits 28..24 of an extended identifier are the pistol index, databases carry 0 there (../shared/reference/can.md 1.1).
EXTENDED_MASK = 0x00FFFFFF
PISTOL_SHIFT = 24
# A classic CAN frame carries at most 8 bytes (ISO 11898-1).
MAX_LENGTH = 8


class UnknownId(Exception):
    """The database has no message with this identifier."""


class Malformed(Exception):
    """The frame cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Message name, physical values of the signals that the frame carries, and how many hold a value that their enumeration does not name."""

    name: str
    signals: Mapping[str, float]
    unknown_values: int = 0


@dataclass(frozen=True, slots=True)
class _Coding:
    """How one signal maps to the wire: physical = raw * scale + offset, raw within [low, high]."""

    scale: float
    offset: float
    low: int
    high: int
    named: frozenset[int]

    def raw(self, value: float) -> int:
        """Return the nearest raw value that the wire can carry and the database allows; NaN becomes raw 0."""
        if math.isnan(value):
            return min(max(0, self.low), self.high)
        wanted = (value - self.offset) / self.scale
        return round(min(max(wanted, self.low), self.high))


@dataclass(slots=True)
class _Known:
    """A message of the database, and what its last frame said: devices repeat themselves most of the time."""

    message: Message
    sender: str
    codings: Mapping[str, _Coding]
    last: tuple[bytes, Decoded] | None = None


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The last frame of a message, and the raw values that it was made from: most frames of a session say what the one before them said."""

    pistol: int
    raw: Mapping[str, int]
    frame: Frame


def demand(decoded: Decoded, needed: Mapping[str, frozenset[str]]) -> None:
    """Raise Malformed where a frame is too short for one of the signals that its message needs."""
    names = needed.get(decoded.name)
    if names is not None and not decoded.signals.keys() >= names:
        raise Malformed(f"{decoded.name}: too short for {', '.join(sorted(names - decoded.signals.keys()))}")


class SignalDatabase:
    """The CAN databases of one bus: decode any frame, encode any message, by names and physical values."""

    def __init__(self, *databases: Database) -> None:
        messages = [message for database in databases for message in database.messages]
        self._codings = {message.name: {signal.name: _coding(signal) for signal in message.signals} for message in messages}
        self._by_id = {
            (message.frame_id, message.is_extended_frame): _Known(message, next(iter(message.senders), ""), self._codings[message.name])
            for message in messages
        }
        self._by_name = {message.name: message for message in messages}
        self._encoded: dict[str, _Encoded] = {}

    def message(self, frame: Frame) -> Message:
        """Return the database's message for a frame, whatever its pistol index; UnknownId where there is none."""
        return self._known(frame).message

    def _known(self, frame: Frame) -> _Known:
        found = self._by_id.get((frame.id & EXTENDED_MASK if frame.extended else frame.id, frame.extended))
        if found is None:
            raise UnknownId(f"0x{frame.id:X}")
        return found

    def sender(self, frame: Frame) -> str:
        """Return the name of the node that sends this message; UnknownId where the database does not name the frame."""
        return self._known(frame).sender

    def decode(self, frame: Frame) -> Decoded:
        """Return the signals of a frame. A shorter frame yields the signals that fit, a longer one is cut; none at all is Malformed."""
        known, data = self._known(frame), frame.data
        last = known.last
        if last is not None and last[0] == data:
            return last[1]
        decoded = _decode(known, data)
        known.last = data, decoded
        return decoded

    def encode(self, message_name: str, signals: Mapping[str, float], *, pistol: int = 0) -> Frame:
        """Return the frame with these physical values, clamped to the wire and to the database's range; a signal that is not given is raw 0.

        A name that the message does not have is a mistake of the caller: KeyError.
        """
        message, codings = self._by_name[message_name], self._codings[message_name]
        raw = dict.fromkeys(codings, 0)
        for name, value in signals.items():
            raw[name] = codings[name].raw(value)
        last = self._encoded.get(message_name)
        if last is not None and last.pistol == pistol and last.raw == raw:
            return last.frame
        data = message.encode(raw, scaling=False, strict=False)
        frame = Frame(message.frame_id | pistol << PISTOL_SHIFT, bytes(data), message.is_extended_frame)
        self._encoded[message_name] = _Encoded(pistol, raw, frame)
        return frame


def _decode(known: _Known, data: bytes) -> Decoded:
    name = known.message.name
    if len(data) > MAX_LENGTH:
        raise Malformed(f"{name}: {len(data)} bytes")
    try:
        values = known.message.decode(data, decode_choices=False, scaling=False, allow_truncated=True)
    except Exception as error:  # cantools and bitstruct raise many kinds, a receiver must survive all of them
        raise Malformed(f"{name}: {error}") from error
    if not isinstance(values, dict) or not values:
        raise Malformed(f"{name}: {len(data)} bytes")
    signals, unknown = {}, 0
    for signal, raw in values.items():
        coding = known.codings[signal]
        signals[signal] = raw * coding.scale + coding.offset  # type: ignore[operator]
        unknown += bool(coding.named) and raw not in coding.named
    return Decoded(name, MappingProxyType(signals), unknown)


def _coding(signal: Signal) -> _Coding:
    low, high = (-(1 << signal.length - 1), (1 << signal.length - 1) - 1) if signal.is_signed else (0, (1 << signal.length) - 1)
    scale, offset = float(signal.scale), float(signal.offset)
    bounds = [(float(bound) - offset) / scale for bound in (signal.minimum, signal.maximum) if bound is not None]
    if len(bounds) == 2:
        low, high = max(low, math.ceil(min(bounds) - 1e-6)), min(high, math.floor(max(bounds) + 1e-6))
    return _Coding(scale, offset, low, high, frozenset(int(value) for value in signal.choices or ()))
