"""What a fuzz case is: plain JSON values that can be kept in a file and played again."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# "what" names the kind of case; the rest belongs to the module of that kind. `steps`, where there is one, is a list that may be shortened.
Case = dict[str, Any]


class TooLong(Exception):
    """A case did not come to its end."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooLong in the main thread after seconds: what hangs is a finding, too."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
