"""Turn the time stamps of a CAN log into seconds that rise, whatever the recorder wrote.

Recorders in the field write numbers that wrap (32 bit microseconds), that are negative or a negative number read as unsigned, that fall while time goes on,
or that are set back when a clock is adjusted (../shared/can_logs/README.md and the recordings beside those). The order of the rows is the order of reception.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

MICROSECONDS = 1_000_000
# Rows of two channels, or of receive and transmit, may be written in the wrong order by less than this. [us]
JITTER = 1 * MICROSECONDS
# A counter that wraps comes back to nearly zero: the pause across the wrap must be shorter than this. [us]
PAUSE_AT_WRAP = 60 * MICROSECONDS
# Where recorders' counters wrap [us]: 32 and 31 bits of microseconds, 32 bits of milliseconds, a day.
WRAPS = (1 << 32, 1 << 31, (1 << 32) * 1000, 86_400 * MICROSECONDS)
UNSIGNED = 1 << 64
SIGN_BIT = 1 << 63


@dataclass(frozen=True, slots=True)
class Timeline:
    """Seconds of each row since the earliest one, in the order of the rows; whether the numbers fell; what had to be repaired."""

    seconds: tuple[float, ...]
    falling: bool
    notes: tuple[str, ...]


def timeline(stamps: Sequence[int]) -> Timeline:
    """Return the time of each row. stamps: microseconds as recorded, in the order of the rows."""
    notes: list[str] = []
    signed = _as_signed(stamps, notes)
    falling = _is_falling(signed)
    if falling:
        notes.append("time stamps fall: they were negated, the order of the rows was kept")
        signed = [-stamp for stamp in signed]
    rising = _without_jumps_back(signed, notes)
    if len(rising) > 2 and len(set(rising)) == 1:
        notes.append("time stamps do not advance: times, durations and energy of this log mean nothing")
    origin = min(rising, default=0)
    return Timeline(tuple((stamp - origin) / MICROSECONDS for stamp in rising), falling, tuple(notes))


def _as_signed(stamps: Sequence[int], notes: list[str]) -> list[int]:
    if any(stamp >= SIGN_BIT for stamp in stamps):
        notes.append("time stamps are negative numbers written as unsigned 64 bit")
    return [stamp - UNSIGNED if stamp >= SIGN_BIT else stamp for stamp in stamps]


def _is_falling(stamps: Sequence[int]) -> bool:
    steps = [later - earlier for earlier, later in pairwise(stamps) if later != earlier]
    return len(steps) > 2 and sum(step < 0 for step in steps) > 0.9 * len(steps)


def _without_jumps_back(stamps: Sequence[int], notes: list[str]) -> list[int]:
    """Add what a wrap or a clock that was set back took away."""
    usual = _usual_step(stamps)
    result, offset, back = [], 0, 0
    for index, stamp in enumerate(stamps):
        step = stamp - stamps[index - 1] if index else 0
        back += -JITTER <= step < 0
        if step < -JITTER:
            wrap = next((wrap for wrap in WRAPS if 0 <= step + wrap <= PAUSE_AT_WRAP), None)
            offset += wrap if wrap is not None else usual - step
            reason = "the counter wrapped" if wrap is not None else "the recorder's clock was set back, the true pause there is unknown"
            notes.append(f"time stamp of frame {index + 1} falls by {-step / MICROSECONDS:.6g} s: {reason}")
        result.append(stamp + offset)
    if back:
        notes.append(f"{back} frames were recorded out of order by less than 1 s: sorted by time")
    return result


def _usual_step(stamps: Sequence[int]) -> int:
    steps = [later - earlier for earlier, later in pairwise(stamps) if later > earlier]
    return int(median(steps)) if steps else 0
