"""Where a replay stands: true and scaled pace, pause, steps."""

import time
from collections.abc import Iterator
from math import inf

import pytest

pytest.importorskip("rclpy")

from evse_tools import replay
from evse_tools.bag_reader import Item
from evse_tools.replay_pace import Pace


def test_pace_is_true_or_scaled() -> None:
    for rate in (0.5, 1.0, 4.0):
        pace = Pace(1000.0, rate, now=5.0)
        assert pace.position(7.0) == pytest.approx(1000.0 + 2.0 * rate)
        assert pace.wait(1003.0, 5.0) == pytest.approx(3.0 / rate)
        assert pace.wait(999.0, 5.0) == 0.0


def test_nothing_is_due_in_a_pause_and_time_goes_on_where_it_stopped() -> None:
    pace = Pace(0.0, 2.0, now=0.0)
    pace.toggle(1.0)
    assert pace.is_paused
    assert (pace.position(100.0), pace.wait(0.0, 100.0)) == (2.0, inf)
    pace.toggle(100.0)
    assert pace.position(101.0) == 4.0


def test_a_step_goes_to_the_next_message_and_never_back() -> None:
    pace = Pace(0.0, 1.0, now=0.0)
    pace.toggle(1.0)
    pace.jump(1.5, 2.0)
    assert pace.position(50.0) == 1.5
    pace.jump(1.0, 3.0)
    assert pace.position(50.0) == 1.5


class Pressed:
    """Keys that are pressed one after the other; between them time goes on."""

    are_there = True

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)

    def pressed(self, timeout: float) -> str:
        time.sleep(min(timeout, 0.001))
        return self._keys.pop(0) if self._keys else ""


class Told:
    def __init__(self) -> None:
        self.times: list[float] = []

    def tell_time(self, seconds: float) -> None:
        self.times.append(seconds)


def items(*seconds: float) -> Iterator[Item]:
    return (Item("/t", "x/msg/Y", round(second * 1e9), b"", "", bytes) for second in seconds)


def test_in_a_pause_each_press_takes_one_message_and_q_ends() -> None:
    told = Told()
    pace = Pace(0.0, 1.0, time.monotonic())
    keys = Pressed(" ", "", "s", "s", "\x1b[C", "x", "q")
    found = [item.time for item in replay._due(items(50.0, 60.0, 70.0, 80.0), told, pace, keys)]  # type: ignore[arg-type]
    assert found == [50.0, 60.0, 70.0]
    assert pace.is_paused
    assert next(second for second in told.times if second >= 50.0) == 50.0


def test_without_keys_messages_come_when_they_are_due() -> None:
    began = time.monotonic()
    found = [item.time for item in replay._due(items(0.0, 0.02, 0.04), Told(), Pace(0.0, 1.0, began), Pressed())]  # type: ignore[arg-type]
    assert found == [0.0, 0.02, 0.04]
    assert time.monotonic() - began >= 0.04
