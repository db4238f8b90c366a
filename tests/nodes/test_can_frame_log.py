"""FrameLog: rclpy reads what it packs, in the order of time, and it says when a message is full."""

import random
from dataclasses import replace

import pytest

pytest.importorskip("rclpy")

import evse_msgs.msg
from rclpy.serialization import deserialize_message

from evse_core.frame import Frame
from evse_core.types import BusLink, CanFrame, CanFrames
from evse_nodes import can_frame_log
from evse_nodes.can_bus import Received
from evse_nodes.can_frame_log import FrameLog
from evse_nodes.convert import from_message

LINKS = [link for link in BusLink if link]
# From the monotonic clock to ROS time. [s]
OFFSET = 1_790_000_000.25


def some_frame(number: int) -> CanFrame:
    """Return any frame, of each length in turn."""
    chance = random.Random(number)
    extended = chance.random() < 0.5
    return CanFrame(
        # Binary fractions, so that no rounding stands between the two.
        stamp=OFFSET + chance.randrange(1 << 20) / 64.0,
        link=chance.choice(LINKS),
        id=chance.randrange(1 << (29 if extended else 11)),
        is_extended=extended,
        is_error=chance.random() < 0.1,
        is_sent=chance.random() < 0.5,
        data=chance.randbytes(number % 9),
    )


def note(log: FrameLog, frame: CanFrame) -> bool:
    received = Received(Frame(frame.id, frame.data, frame.is_extended), frame.stamp - OFFSET, frame.is_error)
    return log.note(frame.link, received, is_sent=frame.is_sent)


@pytest.mark.parametrize("count", [1, 2, 9, 500])
def test_packed_frames_are_read_by_rclpy_as_they_were(count: int) -> None:
    frames, log = [some_frame(number) for number in range(count)], FrameLog()
    for frame in frames:
        note(log, frame)
    message = from_message(deserialize_message(log.take(OFFSET), evse_msgs.msg.CanFrames), CanFrames)
    assert message == CanFrames(tuple(sorted(frames, key=lambda frame: frame.stamp)))


def test_frames_are_taken_once_and_nothing_is_no_message() -> None:
    log = FrameLog()
    assert log.take(OFFSET) == b""
    note(log, some_frame(1))
    assert log.take(OFFSET)
    assert log.take(OFFSET) == b""


def test_a_full_message_says_so_and_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_frame_log, "MOST_FRAMES", 3)
    log = FrameLog()
    assert [note(log, replace(some_frame(8), stamp=OFFSET + number, id=number)) for number in range(4)] == [False, False, True, True]
    message = deserialize_message(log.take(OFFSET), evse_msgs.msg.CanFrames)
    assert [frame.id for frame in message.frames] == [0, 1, 2, 3]
    assert not note(log, some_frame(1))
