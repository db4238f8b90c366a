"""Whose voltage stands at the output before charging: the charger's own test voltage, the vehicle's battery, or not to be told.

The charger tests its cable with its own voltage, discharges it, and gives the ready signal (d2, not on the bus); then the vehicle closes its contactor and the
battery appears (../shared/reference/can.md 2.3, S6 to S10). Vehicles before 1.0 never report their contactor: there the level and the order have to tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from evse_core import chademo_session as c
from evse_core.chademo_session import Observation, Reading

# The charger takes the contactor for closed above this: can.md 2.3, S10. [V]
LIVE = 50.0
# The test has ended, the output is discharged below this: can.md 2.3, S8. [V]
DISCHARGED = 20.0
# Two readings round the vehicle's contactor frame may come in either order: both sides send every 100 ms, slow vehicles every 225 ms. [s]
ONE_CYCLE = 0.25
# A reading this far above the highest battery voltage cannot be a battery; meters are good for some per cent (can.md 2.4, voltage deviation). [ratio]
ABOVE_BATTERY = 1.03
# The charger's output capacitors are charged when two readings differ by no more than this; meters step by 1 V. [V]
SETTLED = 3.0


@dataclass(frozen=True, slots=True)
class Rise:
    """A span of voltage at the output [s]; end is None where it did not fall again. peak [V]."""

    start: float
    end: float | None
    peak: float
    peak_at: float


@dataclass(frozen=True, slots=True)
class Output:
    """What stood at the output before charging: tests; when the battery appeared and its settled reading; a voltage that may be either."""

    tests: tuple[Rise, ...]
    battery_at: float | None
    battery: Reading | None
    unclear: Rise | None

    @property
    def tested_at(self) -> float | None:
        """Return when the last test was over, i.e. the output was down again; None while one runs or none was."""
        return self.tests[-1].end if self.tests else None


def output(observation: Observation, until: float) -> Output:
    """Judge the output voltage from the start of the session to `until`, the time at which charging began or the session ended."""
    tests: list[Rise] = []
    battery: Sequence[Reading] = ()
    unclear = None
    closed_at = contactor_closed(observation)
    for rise in _rises(observation, until):
        kind = _kind(observation, rise, closed_at, bool(tests and tests[-1].end is not None))
        if kind == "test":
            tests.append(rise)
        elif kind == "test, then battery" and closed_at is not None:
            tests.append(_cut(observation, rise, closed_at))
        elif kind == "unclear":
            unclear = unclear or rise
        if "battery" in kind and not battery:
            battery = _battery_readings(observation, rise, closed_at)
    return Output(tuple(tests), battery[0].t if battery else None, _settled(battery), unclear)


def contactor_closed(observation: Observation) -> float | None:
    """Return when the vehicle said that its contactor closed (0x102 byte 5.3 from 1 to 0); None where it never said so."""
    return next(iter(observation.track(c.CONTACTOR_OPEN).falls()), None)


def reports_contactor(observation: Observation) -> bool:
    """Tell whether the vehicle uses 0x102 byte 5.3: before 1.0 it stays 0 (can.md 2.1)."""
    return observation.track(c.CONTACTOR_OPEN).set_at() is not None


def highest_battery_voltage(observation: Observation) -> float | None:
    """Return the highest voltage that the battery can have by the vehicle's own words. [V]"""
    said = [observation.track(name).last for name in (c.MAX_BATTERY_VOLTAGE, c.TARGET)]
    return max((value for value in said if value), default=None)


def _rises(observation: Observation, until: float) -> Iterator[Rise]:
    current: list[Reading] = []
    for reading in observation.readings:
        if reading.t >= until:
            break
        if current and reading.voltage < DISCHARGED:
            yield _rise(current, reading.t)
            current = []
        elif current or reading.voltage >= LIVE:
            current.append(reading)
    if current:
        yield _rise(current, None)


def _rise(readings: Sequence[Reading], end: float | None) -> Rise:
    top = max(readings, key=lambda reading: reading.voltage)
    return Rise(readings[0].t, end, top.voltage, top.t)


def _kind(observation: Observation, rise: Rise, closed_at: float | None, tested: bool) -> str:
    highest = highest_battery_voltage(observation)
    above = highest is not None and rise.peak > highest * ABOVE_BATTERY
    if reports_contactor(observation):
        if closed_at is None or (rise.end is not None and rise.end <= closed_at):
            return "test"
        return "battery" if rise.start >= closed_at - ONE_CYCLE else "test, then battery"
    if above:
        return "test"
    if tested:
        return "battery"
    return "test" if rise.end is not None and _session_went_on(observation, rise.end) else "unclear"


def _session_went_on(observation: Observation, t: float) -> bool:
    """Tell whether neither side had ended the session when the voltage fell: then the charger took its own test voltage away."""
    faults = (observation.track(name).at(t) for name in (c.MALFUNCTION, c.SYSTEM_MALFUNCTION, c.INCOMPATIBLE, c.SYSTEM_FAULT))
    return not any(faults) and bool(observation.track(c.ENABLED).at(t))


def _cut(observation: Observation, rise: Rise, t: float) -> Rise:
    return _rise(observation.readings_in(rise.start, t), t)


def _battery_readings(observation: Observation, rise: Rise, closed_at: float | None) -> Sequence[Reading]:
    """Return the readings that can be the battery's: live, and not above its highest voltage (a charger's own voltage may decay for seconds)."""
    highest = highest_battery_voltage(observation) or float("inf")
    start = rise.start if closed_at is None else max(rise.start, closed_at - ONE_CYCLE)
    readings = observation.readings_in(start, float("inf") if rise.end is None else rise.end)
    return [reading for reading in readings if LIVE <= reading.voltage <= highest * ABOVE_BATTERY]


def _settled(readings: Sequence[Reading]) -> Reading | None:
    """Return the first reading after the output's capacitors were charged; the last one where it never settles."""
    settled = (first for first, second in pairwise(readings) if abs(second.voltage - first.voltage) <= SETTLED)
    return next(settled, readings[-1] if readings else None)
