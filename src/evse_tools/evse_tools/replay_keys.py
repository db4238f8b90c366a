"""Keys of a terminal while something runs: read without Enter and without waiting. Without a terminal there are none."""

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Any, Self

ARROW_RIGHT = "\x1b[C"
# Longest sequence that one key sends. [B]
LONGEST = 8


class Keys:
    """The keys that were pressed; in a `with` block, after which the terminal is as before."""

    def __init__(self) -> None:
        self._number = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        self._before: Any = None

    @property
    def are_there(self) -> bool:
        """Whether there is a terminal to press keys at."""
        return self._number >= 0

    def __enter__(self) -> Self:
        if self.are_there:
            self._before = termios.tcgetattr(self._number)
            # Ctrl-C stays a signal.
            tty.setcbreak(self._number)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            termios.tcsetattr(self._number, termios.TCSADRAIN, self._before)

    def pressed(self, timeout: float) -> str:
        """Return the key that is pressed within timeout [s], "" where none is."""
        if not self.are_there:
            select.select([], [], [], timeout)
            return ""
        ready, _, _ = select.select([self._number], [], [], timeout)
        return os.read(self._number, LONGEST).decode(errors="replace") if ready else ""
