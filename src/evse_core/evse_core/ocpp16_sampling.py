"""When a running transaction is to be sampled: every MeterValueSampleInterval from its begin (1.6 section 3.12.1)."""

from math import floor

from evse_core.types import MeterReading


class Sampler:
    """Counts the intervals of one transaction by the clock of its readings, so that a restart of the station keeps their rhythm."""

    def __init__(self, session_id: str, begin: float) -> None:
        self.session_id = session_id
        self.begin = begin
        self._last = 0.0

    def due(self, reading: MeterReading, interval: float) -> int | None:
        """Return a number that names the sample (its planned time in ms) where one is to be taken from this reading, else None.

        interval in s, 0 for no samples. The number is the same after a restart, so that a sample can be told from a repeated one.
        """
        if interval <= 0 or reading.session_id != self.session_id:
            return None
        planned = self.begin + floor((reading.stamp - self.begin) / interval) * interval
        if planned <= max(self.begin, self._last):
            return None
        self._last = planned
        return round(planned * 1000)
