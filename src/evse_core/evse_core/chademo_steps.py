"""How far a CHAdeMO session came: the 12 steps of a session, each with the time and the frame that prove it.

The steps are those of ../shared/reference/can.md 2.5. A step is listed when the frames show that it began, complete when they show that it ended. Lines that
are not on the bus (d1, d2, k, the lock) are never claimed. Steps 11 and 12 belong to an orderly end; a session that was broken off before does not reach them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evse_core import chademo_session as c
from evse_core.chademo_output import DISCHARGED, Output, contactor_closed, output, reports_contactor
from evse_core.chademo_session import PLACE, Observation, charging_minutes

# At most this flows when the charger clears 0x109 byte 5.0, and when the contactor opens: can.md 2.3, E1 and E2. [A]
NO_CURRENT = 5.0
# The connector may be unlocked at or below this: can.md 2.3, E6. [V]
SAFE_TO_UNLOCK = 10.0

NAMES = {
    1: "start",
    2: "vehicle limits",
    3: "vehicle parameters complete",
    4: "compatible",
    5: "charger limits",
    6: "charging time",
    7: "permission",
    8: "lock, insulation test, ready",
    9: "vehicle contactor closed",
    10: "current",
    11: "current stopped",
    12: "contactor open, unlocked",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One of the 12 steps: when it was reached, the frame that shows it, whether it was finished and since when, whether it was so when the log began."""

    step: int
    name: str
    t: float
    evidence: str
    complete: bool = True
    from_first_frame: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What the steps look at: the observation, the output voltage before charging, when an abnormal end (if any) began."""

    observation: Observation
    output: Output
    charging_at: float | None
    broken_at: float | None

    def set_at(self, name: str) -> float | None:
        return self.observation.track(name).set_at()

    def value(self, name: str, t: float) -> float:
        return self.observation.track(name).at(t) or 0.0


def steps(observation: Observation, broken_at: float | None = None) -> tuple[Step, ...]:
    """Return the steps reached, in order. broken_at: when the session was broken off, None for an orderly or open end."""
    view = view_of(observation, broken_at)
    found = [step for build in BUILDERS if (step := build(view)) is not None]
    if view.set_at(c.INCOMPATIBLE) is not None and view.charging_at is None:
        found = [step for step in found if step.step <= 4]
    return tuple(found)


def view_of(observation: Observation, broken_at: float | None = None) -> View:
    """Return what steps and verdict are judged by."""
    charging_at = observation.track(c.CHARGING).set_at()
    until = min(t for t in (charging_at, broken_at, observation.end) if t is not None)
    return View(observation, output(observation, observation.end if charging_at is None else until), charging_at, broken_at)


def says(name: str, value: float, t: float, meaning: str) -> str:
    """Return the evidence that one signal gives: where it stands, what it said, when, what that means."""
    return f"{PLACE[name]} = {value:g} at {t:.3f} s: {meaning}"


def _flag(view: View, number: int, name: str, t: float, value: float, meaning: str, *, complete: bool = True) -> Step:
    track = view.observation.track(name)
    first = bool(track.times) and t <= track.times[0]
    return Step(
        number, NAMES[number], t, says(name, value, t, meaning) + (" (already so in its first frame)" if first else ""), complete, first
    )


def _start(view: View) -> Step | None:
    t = view.observation.first_of(c.VEHICLE_MESSAGES)
    if t is None:
        return None
    identifier = min(
        (identifier for identifier, traffic in view.observation.traffic.items() if identifier < 0x103 and traffic.first == t), default=0x102
    )
    return Step(
        1,
        NAMES[1],
        t,
        f"0x{identifier:X} at {t:.3f} s is the vehicle's first frame in the log: it is awake (start button and d1 are not on the bus)",
    )


def _vehicle_limits(view: View) -> Step | None:
    track = view.observation.track(c.MAX_BATTERY_VOLTAGE)
    if not track.times:
        return None
    t = track.times[0]
    return Step(2, NAMES[2], t, says(c.MAX_BATTERY_VOLTAGE, track.values[0], t, f"battery voltage at most {track.values[0]:g} V"))


def _vehicle_parameters(view: View) -> Step | None:
    firsts = [view.observation.track(name).times for name in (c.MAX_BATTERY_VOLTAGE, c.TIME_10S, c.TARGET)]
    if not all(firsts):
        return None
    t = max(times[0] for times in firsts)
    target, protocol = view.value(c.TARGET, t), view.value(c.PROTOCOL_EV, t)
    return Step(
        3,
        NAMES[3],
        t,
        f"0x100, 0x101 and 0x102 seen by {t:.3f} s: {PLACE[c.TARGET]} = {target:g} V target, {PLACE[c.PROTOCOL_EV]} = {protocol:g}",
    )


def _compatible(view: View) -> Step | None:
    refused = view.set_at(c.INCOMPATIBLE)
    if refused is not None and view.charging_at is None:
        return _flag(
            view, 4, c.INCOMPATIBLE, refused, 1, f"refused; target {view.value(c.TARGET, refused):g} V, {_offer(view)}", complete=False
        )
    track = view.observation.track(c.INCOMPATIBLE)
    if not track.times or not view.observation.track(c.TARGET).times:
        return None
    t = max(track.times[0], view.observation.track(c.TARGET).times[0])
    return Step(4, NAMES[4], t, says(c.INCOMPATIBLE, 0, t, f"not refused; target {view.value(c.TARGET, t):g} V, {_offer(view)}"))


def _offer(view: View) -> str:
    volts = view.observation.track(c.AVAILABLE_VOLTAGE).last
    return "the charger has not said what it can give" if volts is None else f"charger up to {volts:g} V ({PLACE[c.AVAILABLE_VOLTAGE]})"


def _charger_limits(view: View) -> Step | None:
    t = view.observation.track(c.AVAILABLE_VOLTAGE).set_at()
    if t is None:
        return None
    volts, amperes = view.value(c.AVAILABLE_VOLTAGE, t), view.value(c.AVAILABLE_CURRENT, t)
    return Step(
        5,
        NAMES[5],
        t,
        f"0x108 at {t:.3f} s: bytes 1-2 = {volts:g} V, byte 3 = {amperes:g} A, threshold bytes 4-5 = {view.value(c.THRESHOLD, t):g} V",
    )


def _charging_time(view: View) -> Step | None:
    tens, minutes = view.observation.track(c.TIME_10S), view.observation.track(c.TIME_MIN)
    for t in sorted({*tens.times, *minutes.times}):
        known = charging_minutes(tens.at(t), minutes.at(t))
        if known is not None:
            raw = f"0x101 bytes 1, 2 = {(tens.at(t) or 0) / 10:02.0f}, {minutes.at(t) or 0:g} at {t:.3f} s"
            return Step(6, NAMES[6], t, f"{raw}: at most {known:.4g} min", from_first_frame=t <= tens.times[0])
    return None


def _permission(view: View) -> Step | None:
    t = view.set_at(c.ENABLED)
    return None if t is None else _flag(view, 7, c.ENABLED, t, 1, "vehicle allows charging (switch k is not on the bus)")


def _ready(view: View) -> Step | None:
    tests, locked = view.output.tests, view.set_at(c.LOCKED)
    began = min((t for t in (locked, tests[0].start if tests else None) if t is not None), default=None)
    if began is None:
        return None
    lock = _flag(view, 8, c.LOCKED, locked, 1, "locked").evidence if locked is not None else f"{PLACE[c.LOCKED]} stays 0"
    passed = view.charging_at is not None or contactor_closed(view.observation) is not None
    done = passed or (view.output.tested_at is not None and not _broken_by(view, view.output.tested_at))
    first = locked is not None and locked <= view.observation.track(c.LOCKED).times[0]
    return Step(8, NAMES[8], began, f"{lock}; {_test_evidence(view)}; d2 is not on the bus", done, first)


def _test_evidence(view: View) -> str:
    if not view.output.tests:
        return "no insulation test seen"
    top = max(view.output.tests, key=lambda test: test.peak)
    ended = view.output.tested_at
    end = f"below {DISCHARGED:g} V or handed over at {ended:.3f} s" if ended is not None else "not over when the log ends"
    return f"{PLACE[c.VOLTAGE]} = {top.peak:g} V at {top.peak_at:.3f} s: insulation test from {view.output.tests[0].start:.3f} s, {end}"


def _broken_by(view: View, t: float) -> bool:
    return view.broken_at is not None and view.broken_at <= t


def _contactor(view: View) -> Step | None:
    closed, battery = contactor_closed(view.observation), view.output.battery
    if closed is not None and not _broken_by(view, closed):
        volts = f"; {PLACE[c.VOLTAGE]} = {battery.voltage:g} V at {battery.t:.3f} s" if battery else "; no battery voltage seen"
        return _flag(view, 9, c.CONTACTOR_OPEN, closed, 0, f"contactor closed{volts}")
    if battery is not None and not _broken_by(view, battery.t):
        return Step(
            9,
            NAMES[9],
            battery.t,
            says(c.VOLTAGE, battery.voltage, battery.t, "battery at the output (this vehicle does not report its contactor)"),
        )
    track = view.observation.track(c.CONTACTOR_OPEN)
    if view.charging_at is None or not track.times:
        return None
    t = max(view.charging_at, track.times[0])
    meaning = "charging, so it is closed" + ("" if reports_contactor(view.observation) else "; this flag was never 1 in the log")
    return None if track.at(t) else _flag(view, 9, c.CONTACTOR_OPEN, t, 0, meaning)


def _current(view: View) -> Step | None:
    contactor = _contactor(view)
    if contactor is None:
        return None
    asked = view.observation.track("request").first(bool, contactor.t)
    charging = view.charging_at
    if charging is None and (asked is None or _broken_by(view, asked)):
        return None
    begun = [t for t in (asked, charging) if t is not None]
    first = charging is not None and charging <= view.observation.track(c.CHARGING).times[0]
    request = (
        says(c.REQUEST, view.value("request", asked), asked, "current requested") if asked is not None else f"{PLACE[c.REQUEST]} stays 0"
    )
    answer = (
        says(c.CHARGING, 1, charging, "charging") if charging is not None else f"{PLACE[c.CHARGING]} stays 0: the charger does not answer"
    )
    return Step(
        10,
        NAMES[10],
        min(begun),
        f"{request}; {answer}" + (" (already so in its first frame)" if first else ""),
        charging is not None,
        first,
    )


def _stopped(view: View) -> Step | None:
    if view.charging_at is None or view.broken_at is not None:
        return None
    cleared = view.observation.track(c.CHARGING).falls()
    if not cleared:
        return None
    reading = view.observation.reading_at(cleared[-1])
    amperes = f", {PLACE[c.CURRENT]} = {reading.current:g} A" if reading else ""
    complete = reading is not None and reading.current <= NO_CURRENT
    return _flag(view, 11, c.CHARGING, cleared[-1], 0, f"power transfer ended{amperes}", complete=complete)


def _opened(view: View) -> Step | None:
    stopped = _stopped(view)
    if stopped is None:
        return None
    flag = next(
        (t for t in view.observation.track(c.CONTACTOR_OPEN).rises() if view.charging_at is not None and t >= view.charging_at), None
    )
    low = next((reading for reading in view.observation.readings_in(stopped.t, float("inf")) if reading.voltage <= SAFE_TO_UNLOCK), None)
    began = flag if flag is not None else (low.t if low else None)
    if began is None:
        return None
    unlocked = next((t for t in view.observation.track(c.LOCKED).falls() if t >= stopped.t), None)
    parts = [
        says(c.CONTACTOR_OPEN, 1, flag, "contactor open") if flag is not None else f"{PLACE[c.CONTACTOR_OPEN]} stays 0",
        says(c.VOLTAGE, low.voltage, low.t, f"at most {SAFE_TO_UNLOCK:g} V") if low else f"the output stays above {SAFE_TO_UNLOCK:g} V",
        says(c.LOCKED, 0, unlocked, "unlocked") if unlocked is not None else f"{PLACE[c.LOCKED]} stays 1",
    ]
    return Step(12, NAMES[12], began, "; ".join(parts), low is not None and unlocked is not None)


BUILDERS: tuple[Callable[[View], Step | None], ...] = (
    _start,
    _vehicle_limits,
    _vehicle_parameters,
    _compatible,
    _charger_limits,
    _charging_time,
    _permission,
    _ready,
    _contactor,
    _current,
    _stopped,
    _opened,
)
