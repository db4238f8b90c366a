"""The two ends of the watchdog: a process that goes round is heard, one that was heard and is silent hangs."""

import socket

import pytest

from evse_nodes import watchdog
from evse_nodes.watchdog import Watchdog
from evse_tools import pulse
from evse_tools.pulse import HANG, Pulse


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    for module in (pulse, watchdog):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_who_goes_round_does_not_hang(clock: list[float]) -> None:
    ear = Pulse()
    mouth = Watchdog(ear.environment)
    for _ in range(100):
        mouth.alive()
        clock[0] += 1.0
        assert not ear.hangs()


def test_who_was_heard_and_is_silent_hangs(clock: list[float]) -> None:
    ear = Pulse()
    Watchdog(ear.environment).alive()
    assert not ear.hangs()
    clock[0] += HANG
    assert not ear.hangs()
    clock[0] += 0.1
    assert ear.hangs()


def test_who_never_spoke_and_who_was_just_started_are_not_judged(clock: list[float]) -> None:
    ear = Pulse()
    clock[0] += 10.0 * HANG
    assert not ear.hangs()
    Watchdog(ear.environment).alive()
    ear.begin()
    clock[0] += 10.0 * HANG
    assert not ear.hangs()


def test_a_listener_that_was_away_itself_blames_nobody(clock: list[float]) -> None:
    ear = Pulse()
    mouth = Watchdog(ear.environment)
    mouth.alive()
    assert not ear.hangs()
    for _ in range(60):
        clock[0] += 1.0
        # More than the queue takes: nobody reads, and nobody is held up.
        mouth.alive()
    assert not ear.hangs()


def test_without_a_listener_nothing_happens(clock: list[float]) -> None:
    Watchdog({}).alive()
    Watchdog({"NOTIFY_SOCKET": "/nowhere/at/all"}).alive()


def test_it_is_told_once_a_second(clock: list[float]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ear:
        ear.bind("\0ros2_evse/test_watchdog")
        mouth = Watchdog({"NOTIFY_SOCKET": "@ros2_evse/test_watchdog"})
        for _ in range(15):
            mouth.alive()
            clock[0] += 0.2
        assert [ear.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        with pytest.raises(BlockingIOError):
            ear.recv(100)
