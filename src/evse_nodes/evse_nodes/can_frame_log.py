"""Collects frames of all buses between two can_frames messages."""

from dataclasses import dataclass

from evse_core.types import BusLink, CanFrame, CanFrames
from evse_nodes.can_bus import Received

# Frames of one can_frames message at most: 0.1 s of three loaded buses (../shared/reference/can.md 5.1), beyond that it is a flood.
MOST_FRAMES = 1200


@dataclass(frozen=True, slots=True)
class _Seen:
    link: BusLink
    received: Received
    is_sent: bool


class FrameLog:
    """Frames in the order in which they were seen."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []

    def note(self, link: BusLink, received: Received, *, is_sent: bool = False) -> None:
        """Keep a frame; one beyond MOST_FRAMES is forgotten."""
        if len(self._seen) < MOST_FRAMES:
            self._seen.append(_Seen(link, received, is_sent))

    def take(self, offset: float) -> CanFrames:
        """Return and forget what is there; offset is the ROS clock less the monotonic clock. [s]"""
        seen, self._seen = sorted(self._seen, key=lambda item: item.received.at), []
        return CanFrames(tuple(_can_frame(item, offset) for item in seen))


def _can_frame(seen: _Seen, offset: float) -> CanFrame:
    frame, at, is_error = seen.received.frame, seen.received.at, seen.received.is_error
    return CanFrame(at + offset, seen.link, frame.id, frame.extended, is_error, seen.is_sent, frame.data)
