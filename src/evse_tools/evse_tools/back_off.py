"""How long to wait before a process that has ended is started again: 1 s, 2 s, 4 s ... 30 s, from the beginning again once it has run for a minute."""

# First and longest pause, and how long a process must run for the pauses to begin anew. [s]
FIRST_PAUSE, LONGEST_PAUSE, STABLE = 1.0, 30.0, 60.0


class BackOff:
    """The pauses of one process."""

    def __init__(self, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def pause(self, ran: float) -> float:
        """Return the pause after a process that ran so long [s]."""
        if ran >= STABLE:
            self._next = self._first
        pause, self._next = self._next, min(2.0 * self._next, self._longest)
        return pause

    def begin_anew(self) -> None:
        """Take the next end for the first one."""
        self._next = self._first
