"""Small helpers that the models share: periodic sending, ramps, and the wire."""

from collections.abc import Mapping
from math import inf

from evse_core.codecs.signals import Decoded, Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame

# Tolerance against rounding when virtual time is summed up from steps. [s]
ROUNDING = 1e-6


class Periodic:
    """Says when something periodic is due, without drift: a late call does not shift the later ones."""

    def __init__(self, period: float) -> None:
        self.period = period
        self._next = -inf

    def due(self, now: float) -> bool:
        """Return whether a period has begun since the last time that this was true; missed ones are not made up for."""
        if now < self._next - ROUNDING:
            return False
        self._next = self._next + self.period if now < self._next + self.period else now + self.period
        return True

    def restart(self) -> None:
        """Be due at the next call."""
        self._next = -inf


def toward(value: float, target: float, up: float, down: float) -> float:
    """Return value moved toward target by at most up (rising) or down (falling)."""
    return min(value + up, target) if target > value else max(value - down, target)


class Wire:
    """A device's end of a bus: reads frames that may be anything, writes its own."""

    def __init__(self, database: SignalDatabase) -> None:
        self._database = database

    def read(self, frame: Frame) -> Decoded | None:
        """Return what a frame says, None where it is not of this database or garbage: a device ignores those."""
        try:
            return self._database.decode(frame)
        except (UnknownId, Malformed):
            return None

    def write(self, name: str, signals: Mapping[str, float], pistol: int = 0) -> Frame:
        """Return the frame with these signals, clamped to the wire."""
        return self._database.encode(name, signals, pistol=pistol)
