"""The load of a CAN bus: the lengths of frames by the literature, and windows of a second."""

from math import isnan

import pytest

from evse_core.bus_load import BusLoad, frame_bits
from evse_core.frame import Frame


@pytest.mark.parametrize(("extended", "length", "bits"), [(False, 8, 135), (True, 8, 160), (False, 0, 55), (True, 0, 80), (False, 1, 65)])
def test_the_longest_time_of_a_frame_is_that_of_the_literature(extended: bool, length: int, bits: int) -> None:
    """135 and 160 bits with 8 bytes: Davis, Burns, Bril, Lukkien (2007), equations 2 and 3: 55 + 10 n and 80 + 10 n."""
    assert frame_bits(Frame(0x100, bytes(length), extended)) == bits


def test_a_bus_that_is_full_has_a_load_of_one_and_a_quiet_one_of_zero() -> None:
    bus, frame = BusLoad(500_000), Frame(0x100, bytes(8), False)
    assert isnan(bus.load(10.0))
    for _ in range(1852):
        bus.receive(frame)
        bus.send(frame)
    assert isnan(bus.load(10.9))
    assert bus.load(11.0) == pytest.approx(1.0, abs=0.001)
    assert bus.load(11.9) == pytest.approx(1.0, abs=0.001)
    assert bus.load(12.0) == 0.0


def test_the_load_counts_the_bit_rate() -> None:
    bus = BusLoad(125_000)
    bus.load(0.0)
    for _ in range(100):
        bus.receive(Frame(0x18000000, bytes(8), True))
    assert bus.load(1.0) == pytest.approx(100 * 160 / 125_000)
