"""What a bad wire or a bad middleware does to frames and topics, one disturbance each: silence, old content, late, doubled, corrupted, reordered, lost."""

from collections.abc import Iterable
from math import inf
from random import Random
from typing import Any

from evse_core.frame import Frame
from evse_core.types import BusLink
from evse_simulators.campaign_plan import TOPICS, Disturbance

# Longest delay of a late frame: a bus that is loaded, or a gateway. Own choice, half of what counts as stale (can.md 2.7: 300 ms). [s]
LATEST = 0.15
# Part of a device's frames that are stuck. Own choice: of two or three at least one, usually. [1]
STUCK_SHARE = 0.5
# What has to be delivered, and how many seconds later than the rest.
Passed = Iterable[tuple[float, Any]]


def name_of(topic: str | BusLink, value: Any) -> str:
    """Return the name of what is disturbed: `POWER.rx`, `IO.tx`, or the topic itself."""
    if topic == "to_bridge":
        return f"{value[0].name}.rx"
    return f"{topic.name}.tx" if isinstance(topic, BusLink) else topic


class Filter:
    """One disturbance of one link and direction, or of one topic. The same random numbers give the same frames."""

    def __init__(self, disturbance: Disturbance, random: Random) -> None:
        self.target = disturbance.target
        self._disturbance = disturbance
        self._random = random
        self._kept: dict[int, Any] = {}
        self._held: list[Any] = []
        self._then = -inf
        self._pass = getattr(self, f"_{disturbance.mode}")

    def passes(self, value: Any, now: float = 0.0) -> Passed:
        """Return what becomes of a value at a time [s]."""
        found: Passed = self._pass(value)
        return found if self.target not in TOPICS else tuple(self._in_order(now + late, item, now) for late, item in found)

    def _in_order(self, moment: float, value: Any, now: float) -> tuple[float, Any]:
        """Let a late value of a topic hold up those behind it: the middleware hands the values of one writer on in their order, or not at all."""
        if self._disturbance.mode == "late":
            moment = self._then = max(moment, self._then)
        return moment - now, value

    def _hit(self) -> bool:
        return self._random.random() < self._disturbance.share

    def _silent(self, value: Any) -> Passed:
        return ()

    def _frozen(self, value: Any) -> Passed:
        """Repeat what each frame said first, as a device does whose processor hangs while its controller goes on sending."""
        frame = _frame(value)
        return ((0.0, self._kept.setdefault(frame.id, value)),)

    def _stuck(self, value: Any) -> Passed:
        """Repeat the content of some frames only, as a device does one of whose sensors or tasks hangs."""
        frame = _frame(value)
        if frame.id not in self._kept:
            self._kept[frame.id] = value if self._random.random() < STUCK_SHARE else None
        kept = self._kept[frame.id]
        return ((0.0, value if kept is None else kept),)

    def _late(self, value: Any) -> Passed:
        return ((self._random.uniform(0.0, LATEST) if self._hit() else 0.0, value),)

    def _doubled(self, value: Any) -> Passed:
        return ((0.0, value), (self._random.uniform(0.0, 0.05), value)) if self._hit() else ((0.0, value),)

    def _dropped(self, value: Any) -> Passed:
        return () if self._hit() else ((0.0, value),)

    def _reordered(self, value: Any) -> Passed:
        """Let a frame be overtaken by the next one."""
        if not self._held and self._hit():
            self._held.append(value)
            return ()
        passed = [(0.0, value), *((0.0, held) for held in self._held)]
        self._held.clear()
        return passed

    def _corrupted(self, value: Any) -> Passed:
        return ((0.0, _with_frame(value, self._spoiled(_frame(value))) if self._hit() else value),)

    def _spoiled(self, frame: Frame) -> Frame:
        """Return a frame that is cut short, or, from a device, has a wrong bit.

        A wrong bit in what the station sends is left out: CAN's own checksum finds it, and a device that obeyed it could not be stopped by any rule.
        """
        if not frame.data or self.target.endswith(".tx") or self._random.random() < 0.3:
            return Frame(frame.id, frame.data[: self._random.randrange(len(frame.data))], frame.extended)
        data = bytearray(frame.data)
        data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        return Frame(frame.id, bytes(data), frame.extended)


def _frame(value: Any) -> Frame:
    return value if isinstance(value, Frame) else value[1]


def _with_frame(value: Any, frame: Frame) -> Any:
    return frame if isinstance(value, Frame) else (value[0], frame)
