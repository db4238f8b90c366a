"""What no single input shows: only a real jump, fall or rate is one, and each is told for its time."""

import pytest
from safety_bench import STEP, Bench, inputs

from evse_core.safety_config import SafetyConfig
from evse_core.safety_trends import MEMORY, TrendWatch
from evse_core.sample import Sample
from evse_core.types import BusLink, CanBusStatus, CanStatus, ChargeState, MeterReading

S = ChargeState
EPOCH = 1.7e9  # [s] a clock of today: its floating point is coarser than that of a clock that began at 0


def watch() -> TrendWatch:
    return TrendWatch(SafetyConfig())


def test_a_clock_that_is_set_is_told_with_its_sign_and_for_its_time() -> None:
    made = watch()
    assert made.step(EPOCH, None, None, 0.0).clock_jump == 0.0
    assert made.step(EPOCH + STEP - 3600.0, None, None, STEP).clock_jump == pytest.approx(-3600.0, abs=1e-3)
    assert made.step(EPOCH + MEMORY - 3600.0, None, None, MEMORY).clock_jump != 0.0
    assert made.step(EPOCH + MEMORY + 2 * STEP - 3600.0, None, None, MEMORY + 2 * STEP).clock_jump == 0.0


def test_a_clock_that_is_slowed_or_a_process_that_was_stalled_is_no_jump() -> None:
    """NTP slews by 500 ppm at most; a stalled process misses the same time on both clocks."""
    made, now = watch(), 0.0
    for wait in (*[STEP] * 2000, 30.0, 600.0):
        now += wait
        assert made.step(EPOCH + now * 1.0005, None, None, now).clock_jump == 0.0


def test_no_stamp_is_no_clock() -> None:
    made = watch()
    for index, stamp in enumerate((0.0, EPOCH, 0.0, EPOCH + 3 * STEP)):
        assert made.step(stamp, None, None, index * STEP).clock_jump == 0.0


def fall(registers: list[float]) -> list[float]:
    """Return what is told about a meter that shows these values [Wh], one every 2 s."""
    made = watch()
    return [
        made.step(0.0, Sample(MeterReading(register_wh=value), 2.0 * at), None, 2.0 * at).register_fall
        for at, value in enumerate(registers)
    ]


def test_a_register_that_creeps_backwards_is_seen() -> None:
    told = fall([1000.0 - 0.3 * step for step in range(8)])
    assert told[:4] == [0.0] * 4
    assert told[4:] == [pytest.approx(1.2), 0.0, 0.0, 0.0]


@pytest.mark.parametrize("registers", [[10.0, 11.0, 12.0, 500.0], [10.0, float("nan"), 10.0], [10.0, 9.5, 10.0, 9.5], [float("nan"), 5.0]])
def test_a_register_that_rises_rounds_or_is_unknown_did_not_fall(registers: list[float]) -> None:
    assert fall(registers) == [0.0] * len(registers)


def test_an_exchanged_meter_is_told_once_and_counts_from_there() -> None:
    assert fall([5000.0, 0.0, 10.0, 20.0]) == [0.0, 5000.0, 0.0, 0.0]


def rates(counts: list[dict[str, int]]) -> list[tuple[float, float]]:
    """Return frames and errors per second after each second of a bus with these counters."""
    made, found = watch(), []
    for at, fields in enumerate(counts):
        can = Sample(CanStatus(buses=(CanBusStatus(link=BusLink.POWER, **fields),)), float(at))
        trends = made.step(0.0, None, can, float(at))
        found.append((trends.buses[0].frames, trends.buses[0].errors) if trends.buses else (0.0, 0.0))
    return found


def test_rates_count_every_frame_once_and_what_was_lost_as_errors() -> None:
    counts = {"received": 100, "sent": 50, "unknown_id": 10, "malformed": 3, "dropped": 2, "errors": 4}
    assert rates([dict.fromkeys(counts, 0), counts]) == [(0.0, 0.0), (165.0, 9.0)]


def test_a_bridge_that_was_restarted_counts_from_zero_and_that_is_no_rate() -> None:
    assert rates([{"received": 90_000}, {"received": 90_100}, {"received": 40}, {"received": 140}]) == [
        (0.0, 0.0),
        (100.0, 0.0),
        (0.0, 0.0),
        (100.0, 0.0),
    ]


def test_a_burst_of_errors_is_not_reported() -> None:
    bench = Bench()
    for index in range(200):
        counts = {"errors": min(index, 20) * 50}
        bus = CanBusStatus(link=BusLink.IO, health=inputs(S.CHARGING, 0.0).can_status.value.buses[0].health, **counts)  # type: ignore[union-attr]
        bench.step(inputs(S.CHARGING, bench.now, {"can_status": {"buses": (bus,)}}))
    assert bench.events == []
