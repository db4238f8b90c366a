"""What the system clock is worth: whether the kernel knows that somebody keeps it in step with another one, and which counter it runs on."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

from evse_core.ocmf import Clock

# adjtimex(2): the return value of a clock that nobody keeps in step.
TIME_ERROR = 5
# Size of struct timex and more: only its presence counts, nothing of it is read. [byte]
_TIMEX = 512
_COUNTER = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


@dataclass(frozen=True, slots=True)
class ClockState:
    """The letter that a time of this clock gets, and what the clock follows, in words."""

    clock: Clock
    source: str


def clock_state() -> ClockState:
    """Return the state of the system clock. SYNCHRONISED is the kernel's word, which NTP, PTP and GPS daemons set; not a certificate."""
    kept = _kept_in_step()
    words = {True: "kept in step", False: "running free", None: "unknown"}[kept]
    letter = {True: Clock.SYNCHRONISED, False: Clock.INFORMATIVE, None: Clock.UNKNOWN}[kept]
    return ClockState(letter, f"{words}, counter {_counter()}")


def _kept_in_step() -> bool | None:
    """Return what adjtimex(2) says, None where it cannot be asked."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        # modes, the first field, is 0: nothing is set.
        found = int(library.adjtimex(ctypes.create_string_buffer(_TIMEX)))
    except AttributeError:
        return None
    return None if found < 0 else found != TIME_ERROR


def _counter() -> str:
    try:
        return _COUNTER.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
