"""Where a replay stands in its recording: true or scaled pace, pause, single steps. No clock: `now` comes from outside."""

from math import inf


class Pace:
    """Maps the monotonic clock [s] to the time of the recording [s since the epoch]."""

    def __init__(self, begin: float, rate: float, now: float) -> None:
        self._at, self._rate, self._then = begin, rate, now
        self.is_paused = False

    def position(self, now: float) -> float:
        """Return the time of the recording."""
        return self._at if self.is_paused else self._at + (now - self._then) * self._rate

    def wait(self, stamp: float, now: float) -> float:
        """Return how long it is until a message of a time [s since the epoch] is due [s]; infinite in a pause."""
        return inf if self.is_paused else max((stamp - self.position(now)) / self._rate, 0.0)

    def toggle(self, now: float) -> None:
        """Pause, or go on from where it was paused."""
        self._at, self._then = self.position(now), now
        self.is_paused = not self.is_paused

    def jump(self, stamp: float, now: float) -> None:
        """Go to a time of the recording: a step in a pause, or past a stretch without messages."""
        self._at, self._then = max(stamp, self._at), now
