"""Clock-aligned values: at which times, of what, and after what."""

from dataclasses import replace

import pytest

from evse_core.ocpp16_sampling import ClockSampler
from evse_core.types import MeterReading

NAN = float("nan")
# 23:59:58 UTC of some day. [s]
LATE = 86400.0 * 20000 - 2
READING = MeterReading(stamp=LATE, register_wh=100.0, voltage=400.0, current=10.0, power=4000.0, healthy=True)


def at(seconds: float, **changes: float) -> MeterReading:
    return replace(READING, stamp=LATE + seconds, **changes)


def test_values_stand_at_multiples_of_the_interval_from_midnight() -> None:
    sampler = ClockSampler()
    told = [sampler.take(at(second), 900) for second in range(0, 3 * 900, 1)]
    stamps = [found.stamp for found in told if found is not None]
    assert stamps == [LATE + 2, LATE + 902, LATE + 1802]
    assert [stamp % 900 for stamp in stamps] == [0.0] * 3


def test_flows_are_averaged_over_the_interval_and_registers_are_not() -> None:
    sampler = ClockSampler()
    assert sampler.take(at(0.0), 60) is None
    assert sampler.take(at(1.0, current=20.0, power=NAN, register_wh=101.0), 60) is None
    found = sampler.take(at(2.5, current=90.0, register_wh=102.0), 60)
    assert found is not None
    assert (found.stamp, found.current, found.power, found.register_wh) == (LATE + 2, 15.0, 4000.0, 102.0)
    after = sampler.take(at(62.5, current=1.0), 60)
    assert after is not None
    assert after.current == 90.0


def test_nothing_is_told_of_an_interval_that_was_not_seen_to_begin() -> None:
    sampler = ClockSampler()
    assert sampler.take(at(100.0), 60) is None
    assert sampler.take(at(130.0), 0) is None
    assert sampler.take(at(190.0), 60) is None
    assert sampler.take(at(191.0), 30) is None
    assert sampler.take(at(240.0), 30) is not None


def test_a_clock_that_is_set_back_tells_no_interval_twice() -> None:
    sampler = ClockSampler()
    sampler.take(at(0.0), 60)
    assert sampler.take(at(3.0), 60) is not None
    assert sampler.take(at(0.0), 60) is None


def test_what_was_never_known_is_not_averaged() -> None:
    sampler = ClockSampler()
    sampler.take(at(0.0, voltage=NAN), 60)
    found = sampler.take(at(3.0, voltage=1.0), 60)
    assert found is not None
    assert found.voltage == pytest.approx(NAN, nan_ok=True)
