"""Where a replay stands: true and scaled pace, pause, steps."""

from math import inf

import pytest

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
