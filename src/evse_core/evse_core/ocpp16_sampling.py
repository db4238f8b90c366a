"""When meter values are to be taken: every MeterValueSampleInterval from a transaction's begin, and clock-aligned ones (1.6 sections 3.16.1 and 3.16.2)."""

from dataclasses import replace
from math import floor, isfinite, nan
from typing import Any

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


# What is averaged over an interval; registers and the state of charge are as they are at its end.
_AVERAGED = ("voltage", "current", "power")


class ClockSampler:
    """Makes clock-aligned values of one meter: at multiples of the interval from 00:00:00 UTC, flows averaged over the interval before."""

    def __init__(self) -> None:
        self._planned: int | None = None
        self._interval = 0
        self._sums = dict.fromkeys(_AVERAGED, 0.0)
        self._counts = dict.fromkeys(_AVERAGED, 0)

    def take(self, reading: MeterReading, interval: int) -> MeterReading | None:
        """Take a reading; returns the one to be told, stamped with its planned time, where a border of the interval [s] has passed. 0: none."""
        if interval <= 0:
            self._planned = None
            return None
        planned = floor(reading.stamp / interval) * interval
        due = self._planned is not None and interval == self._interval and planned > self._planned
        told = replace(reading, stamp=float(planned), **self._means()) if due else None
        if planned != self._planned or interval != self._interval:
            self._planned, self._interval = planned, interval
            self._sums, self._counts = dict.fromkeys(_AVERAGED, 0.0), dict.fromkeys(_AVERAGED, 0)
        for name in _AVERAGED:
            if isfinite(value := getattr(reading, name)):
                self._sums[name] += value
                self._counts[name] += 1
        return told

    def _means(self) -> dict[str, Any]:
        return {name: self._sums[name] / self._counts[name] if self._counts[name] else nan for name in _AVERAGED}
