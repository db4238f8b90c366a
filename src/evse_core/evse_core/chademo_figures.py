"""Figures of an observed CHAdeMO session: energy by the charger's own readings, limits exchanged, times between events beside their limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from evse_core import chademo_session as c
from evse_core.chademo_output import contactor_closed, output
from evse_core.chademo_session import LOSS, Observation, charging_minutes
from evse_core.chademo_steps import NO_CURRENT, SAFE_TO_UNLOCK

WATT_SECONDS_PER_WH = 3600.0


@dataclass(frozen=True, slots=True)
class Timing:
    """A time between two events, beside the longest that is allowed (None: no limit is known). [s]"""

    name: str
    start: float
    duration: float
    limit: float | None

    @property
    def within(self) -> bool | None:
        return None if self.limit is None else self.duration <= self.limit


def energy_wh(observation: Observation, *, charging: bool = True) -> float:
    """Return the energy by the charger's readings of 0x109, trapezoid of V times I over time. [Wh]

    Only spans at one end of which the charger reports charging (0x109 byte 5.0) count; with charging=False only the others, where a current is an offset of the
    charger's meter or flows without its word. Over a pause longer than LOSS nothing is known and nothing is counted.
    """
    flag = observation.track(c.CHARGING)
    total = 0.0
    for first, second in pairwise(observation.readings):
        is_charging = bool(flag.at(first.t)) or bool(flag.at(second.t))
        if is_charging == charging and second.t - first.t <= LOSS:
            total += (first.voltage * first.current + second.voltage * second.current) / 2 * (second.t - first.t)
    return total / WATT_SECONDS_PER_WH


def uncounted(observation: Observation) -> float:
    """Return the time without readings while charging, which the energy does not contain. [s]"""
    flag = observation.track(c.CHARGING)
    steps = ((first.t, second.t) for first, second in pairwise(observation.readings))
    return sum(after - before for before, after in steps if after - before > LOSS and flag.at(before) and flag.at(after))


def limits(observation: Observation) -> dict[str, dict[str, float | None]]:
    """Return what the parties told each other, as it stood when the vehicle gave its permission: before, values are not stable (can.md 2.7)."""
    latched = observation.track(c.ENABLED).set_at()

    def said(name: str) -> float | None:
        track = observation.track(name)
        value = track.last if latched is None else track.at(latched)
        return value if value is not None or not track.values else track.values[0]

    current = observation.track(c.AVAILABLE_CURRENT).values
    return {
        "vehicle": {
            "protocol": said(c.PROTOCOL_EV),
            "target_voltage": said(c.TARGET),
            "max_battery_voltage": said(c.MAX_BATTERY_VOLTAGE),
            "min_battery_voltage": said(c.MIN_BATTERY_VOLTAGE),
            "max_current": said(c.MAX_CURRENT),
            "min_current": said(c.MIN_CURRENT),
            "charging_time_min": charging_minutes(said(c.TIME_10S), said(c.TIME_MIN)),
            "battery_capacity_kwh": said(c.CAPACITY),
        },
        "charger": {
            "protocol": said(c.PROTOCOL_SE),
            "available_voltage": said(c.AVAILABLE_VOLTAGE),
            "available_current": said(c.AVAILABLE_CURRENT),
            "available_current_lowest": min(current, default=None),
            "available_current_highest": max(current, default=None),
            "threshold_voltage": said(c.THRESHOLD),
            "welding_detection": said(c.WELDING),
        },
    }


def timings(observation: Observation, ended_at: float | None) -> tuple[Timing, ...]:
    """Return the times between the events that were seen. ended_at: the first sign of the end, None where there is none."""
    at = _events(observation, ended_at)
    found = []
    for name, start, stop, limit in ROWS:
        begun, done = at.get(start), at.get(stop)
        if begun is not None and done is not None and done >= begun:
            found.append(Timing(name, begun, done - begun, limit))
    return tuple(found)


# name, from, to, limit [s]; limits: can.md 2.3. d1, d2 and k are not on the bus: such a limit is given where frames that come later can break it, too.
ROWS: tuple[tuple[str, str, str, float | None], ...] = (
    ("vehicle's parameters to charger's first frame", "parameters", "charger", None),
    ("vehicle's first frame to permission (from d1: 8 s)", "vehicle", "permission", 8.0),
    ("permission to lock", "permission", "locked", None),
    ("lock to insulation test", "locked", "test", None),
    ("insulation test, start to discharged", "test", "tested", None),
    ("permission to contactor closed (20 s to d2, 4 s more)", "permission", "closed", 24.0),
    ("contactor closed to current request", "closed", "request", 4.0),
    ("current request to charging", "request", "charging", 0.5),
    ("end to 5 A or less", "ended", "no_current", 0.5),
    ("end to charging flag cleared", "ended", "cleared", None),
    ("end to permission withdrawn", "ended", "withdrawn", None),
    ("charging flag cleared to contactor open", "cleared", "opened", 4.0),
    ("contactor open to 10 V or less", "opened", "low", 2.0),
    ("contactor open to unlocked", "opened", "unlocked", None),
    ("end to 10 V or less", "ended", "low", None),
    ("end to unlocked", "ended", "unlocked", None),
)


def _events(observation: Observation, ended_at: float | None) -> Mapping[str, float | None]:
    """Return the time of each event that a row of the table starts or stops at."""
    charging = observation.track(c.CHARGING).set_at()
    tested = output(observation, observation.end if charging is None else charging)
    firsts = [observation.track(name).times for name in (c.MAX_BATTERY_VOLTAGE, c.TIME_10S, c.TARGET)]
    closed = contactor_closed(observation)
    end = ended_at if ended_at is not None else float("inf")
    after: Callable[[str], float | None] = lambda name: next((t for t in observation.track(name).falls() if t >= end), None)  # noqa: E731
    return {
        "parameters": max(times[0] for times in firsts) if all(firsts) else None,
        "vehicle": observation.first_of(c.VEHICLE_MESSAGES),
        "charger": observation.first_of(c.CHARGER_MESSAGES),
        "permission": _changed(observation, c.ENABLED),
        "locked": _changed(observation, c.LOCKED),
        "test": tested.tests[0].start if tested.tests else None,
        "tested": tested.tested_at,
        "closed": closed,
        "request": None if closed is None else observation.track("request").first(bool, closed),
        "charging": _changed(observation, c.CHARGING),
        "ended": ended_at,
        "no_current": _reading_after(observation, end, lambda reading: reading.current <= NO_CURRENT) if charging is not None else None,
        "cleared": after(c.CHARGING),
        "withdrawn": after(c.ENABLED),
        "opened": next((t for t in observation.track(c.CONTACTOR_OPEN).rises() if charging is not None and t > charging), None),
        "low": _reading_after(observation, end, lambda reading: reading.voltage <= SAFE_TO_UNLOCK),
        "unlocked": after(c.LOCKED),
    }


def _changed(observation: Observation, name: str) -> float | None:
    """Return when a flag rose; a flag that was 1 from its first frame rose at an unknown time."""
    return next(iter(observation.track(name).rises()), None)


def _reading_after(observation: Observation, t: float, test: Callable[[c.Reading], bool]) -> float | None:
    return next((reading.t for reading in observation.readings_in(t, float("inf")) if test(reading)), None)
