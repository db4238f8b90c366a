"""Collects frames of all buses between two can_frames messages, and writes them as such a message.

The message is packed here, because of all that a full bus costs its ROS objects were the most: rclpy took 75 us to make and serialize a CanFrame out of Python
objects, struct takes 2 us (2 cores, Python 3.11). The layout is CDR, which ROS 2 speaks on the wire whatever the middleware; tests hold it against rclpy's own.
"""

import struct
import time
from collections.abc import Callable
from itertools import chain

from rclpy.node import Node

from evse_core.types import BusLink
from evse_nodes.can_bus import Received
from evse_nodes.executor import every

# Time between two messages where none is full. msg/CanFrames.msg. [s]
PERIOD = 0.1

# Frames that fill a can_frames message: 0.1 s of three loaded buses (../shared/reference/can.md 5.1). With more it goes out before its time.
MOST_FRAMES = 1200
# CDR, little endian; then the number of frames. DDS-XTypes 1.3, 7.6.3.
HEAD = struct.Struct("<4sI")
ENCAPSULATION = bytes((0, 1, 0, 0))
# msg/CanFrame.msg: stamp (seconds, nanoseconds), link, 3 bytes so that the next begins at a multiple of 4, id, is_extended, is_error, is_sent, 1 byte, length
# of data. The data follow, and what fills them up to a multiple of 4.
FIXED = struct.Struct("<iIB3xI???xI")
PADDED = tuple(struct.Struct(f"<{length}s{-length % 4}x") for length in range(9))
_Seen = tuple[float, BusLink, Received, bool]


class FrameLog:
    """Frames in the order in which they were seen."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []

    def note(self, link: BusLink, received: Received, *, is_sent: bool = False) -> bool:
        """Keep a frame; return whether it is time to take them."""
        self._seen.append((received.at, link, received, is_sent))
        return len(self._seen) >= MOST_FRAMES

    def take(self, offset: float) -> bytes:
        """Return what is there as a serialized CanFrames, b"" where there is nothing, and forget it; offset is the ROS clock less the monotonic one. [s]"""
        if not self._seen:
            return b""
        seen, self._seen = sorted(self._seen, key=_time), []
        head = HEAD.pack(ENCAPSULATION, len(seen))
        return b"".join(chain((head,), *(_packed(item, offset) for item in seen)))


class FrameWriter:
    """Hands a node's frames to `write` as serialized messages, unless it is off."""

    def __init__(self, node: Node, write: Callable[[bytes], None], is_on: bool) -> None:
        self._is_on = is_on
        self._clock, self._write, self._log = node.get_clock(), write, FrameLog()
        every(node, PERIOD, self._flush)

    def note(self, link: BusLink, received: Received, *, is_sent: bool = False) -> None:
        """Take a frame; a message that is full goes out at once."""
        if self._is_on and self._log.note(link, received, is_sent=is_sent):
            self._flush()

    def _flush(self) -> None:
        if message := self._log.take(self._clock.now().nanoseconds * 1e-9 - time.monotonic()):
            self._write(message)


def _time(seen: _Seen) -> float:
    return seen[0]


def _packed(seen: _Seen, offset: float) -> tuple[bytes, bytes]:
    at, link, received, is_sent = seen
    frame, length = received.frame, len(received.frame.data)
    stamp = at + offset
    seconds = int(stamp)
    fixed = FIXED.pack(seconds, int((stamp - seconds) * 1e9), link, frame.id, frame.extended, received.is_error, is_sent, length)
    return fixed, PADDED[length].pack(frame.data)
