"""When frames go out and reports are due, and what each link has counted: the bookkeeping of can_bridge.py."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan as NAN
from typing import Any, Protocol

from evse_core.codecs.signals import Malformed, UnknownId
from evse_core.frame import Frame
from evse_core.types import BusHealth, CanBusStatus

# Health in which a link can be used. A controller in bus-off would send what is queued when it comes back, too late.
USABLE = (BusHealth.OK, BusHealth.ERROR)
# Least time between two reports on one topic, so that a flood on a bus is no flood of messages. [s]
REPORT_SPACING = 0.005
# Pause before frames that a bus has refused are sent again: a full transmit queue empties within some frames of 0.25 ms. [s]
RETRY_PAUSE = 0.01
# A report that follows a periodic frame waits a little longer than a period for it before it repeats itself. [1]
PATIENCE = 1.2


class Receiver(Protocol):
    """What a device on a bus has said: codecs/."""

    @property
    def changes(self) -> int:
        """Count of frames that said something new or closed a period of the device."""

    @property
    def pulse(self) -> float:
        """Time of the newest frame that closes a period. [s]"""

    def report(self, now: float) -> Any:
        """Return what is known of the device now."""


@dataclass(slots=True)
class LinkSchedule:
    """Receiver, counters and sending times of one link."""

    receive: Callable[[Frame, float], int | None]
    period: float
    status: CanBusStatus
    received: int = 0
    unknown_id: int = 0
    malformed: int = 0
    unknown_value: int = 0
    next_send: float = -math.inf
    sent_key: Any = None

    @property
    def usable(self) -> bool:
        """Frames may go out."""
        return self.status.health in USABLE

    def take(self, frame: Frame, now: float) -> bool:
        """Receive and count a frame, whatever it holds; False for the echo of an own frame."""
        try:
            unknown_values = self.receive(frame, now)
        except UnknownId:
            self.unknown_id += 1
        except Malformed:
            self.malformed += 1
        else:
            if unknown_values is None:
                return False
            self.received += 1
            self.unknown_value += unknown_values
        return True

    def due(self, key: Any, now: float) -> bool:
        """Return whether to send now: the period is over, or the key has changed. The grid is kept unless it was left."""
        changed = key != self.sent_key
        if not changed and now < self.next_send:
            return False
        on_grid = not changed and now - self.next_send < self.period
        self.next_send = (self.next_send if on_grid else now) + self.period
        self.sent_key = key
        return True

    def retry(self, now: float) -> None:
        """Send again soon: the bus has refused a frame, and it may have been a cut."""
        self.next_send = min(self.next_send, now + RETRY_PAUSE)

    def full_status(self) -> CanBusStatus:
        """Return the status of the port with the counters of the decoder."""
        return replace(
            self.status,
            received=self.received,
            unknown_id=self.unknown_id,
            malformed=self.malformed,
            unknown_value=self.unknown_value,
        )


@dataclass(slots=True)
class TopicSchedule:
    """When a report was last published, and by which news."""

    period: float
    last: float = -math.inf
    key: Any = None
    pulse: float = -math.inf
    # When to ask again without news. [s]
    wake: float = -math.inf

    def due(self, key: Any, pulse: float, now: float) -> bool:
        """Return whether to publish: the key has changed, the periodic frame of time pulse has come, or it has been quiet for long."""
        pause = REPORT_SPACING if key != self.key else self.period / 2 if pulse != self.pulse else PATIENCE * self.period
        if now - self.last < pause:
            self.wake = self.last + pause
            return False
        self.last, self.key, self.pulse, self.wake = now, key, pulse, now + PATIENCE * self.period
        return True


@dataclass(slots=True)
class LineRelease:
    """Takes sequence signals 2 and 1 away in their order while the sequencer is silent: docs/design.md, The permit 4."""

    release_current: float
    release_timeout: float
    sequence_gap: float
    silent_since: float = NAN
    dropped_2: float = NAN

    def note(self, silent: bool, current: float, now: float) -> None:
        """Take whether the sequencer is silent, and the output current [A], NaN where it is not known."""
        if not silent:
            self.silent_since = self.dropped_2 = NAN
            return
        if math.isnan(self.silent_since):
            self.silent_since = now
        small = abs(current) <= self.release_current
        if math.isnan(self.dropped_2) and (small or now - self.silent_since >= self.release_timeout):
            self.dropped_2 = now

    def holds_2(self) -> bool:
        """Sequence signal 2 stays as it was."""
        return math.isnan(self.dropped_2)

    def holds_1(self, now: float) -> bool:
        """Sequence signal 1 stays as it was."""
        return math.isnan(self.dropped_2) or now - self.dropped_2 < self.sequence_gap

    def times(self) -> tuple[float, float]:
        """Return when something changes without news, NaN where nothing does. [s]"""
        return self.silent_since + self.release_timeout, self.dropped_2 + self.sequence_gap
