"""From a judged CAN log to what its vehicle did: the Recording that a RecordedVehicle plays (evse_simulators/recorded_vehicle.py)."""

from collections.abc import Iterator
from itertools import pairwise
from math import inf

from evse_core import chademo_session as c
from evse_core.chademo_course import FALLING
from evse_core.chademo_output import LIVE, Output, contactor_closed, reports_contactor
from evse_core.chademo_session import Observation
from evse_core.chademo_steps import view_of
from evse_core.chademo_verdict import Verdict
from evse_core.codecs.chademo import OWN_NODE
from evse_core.codecs.signals import SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_simulators.recorded_vehicle import LOW, RESISTANCE, Mark, Recording
from evse_tools.analyze_log import Judged

# The output's capacitors take so long to stand at the battery's voltage: ../shared/reference/can.md 2.3, S10. [s]
SETTLED = 1.0


def recording(judged: Judged, database: SignalDatabase) -> Recording:
    """Return what the vehicle of a session did. ValueError where the session has no frames of a vehicle, or none of a charger."""
    seen, verdict = judged.observation, judged.verdict
    frames = tuple((t, frame) for t, frame in judged.frames if is_vehicles(frame, database))
    if seen.first_of(c.VEHICLE_MESSAGES) is None:
        raise ValueError("holds no vehicle (0x100, 0x101, 0x102) that could be played")
    if seen.first_of(c.CHARGER_MESSAGES) is None:
        raise ValueError("holds no charger (0x108, 0x109) to be compared with, and by whose frames contactor and battery could be told")
    output = view_of(seen, verdict.t if verdict.outcome == "failed" else None).output
    welded = ((output.unclear.start, output.unclear.end or inf),) if output.unclear is not None else ()
    return Recording(
        frames=frames,
        marks=tuple(marks(seen, verdict)),
        permitted=_from_the_start(seen, seen.track(c.ENABLED).intervals(inf)),
        closed=tuple(_closed(seen, output.battery_at)),
        welded=welded,
        volts=tuple(_battery(seen, output)) or tuple((reading.t, reading.voltage) for reading in seen.readings[:1]),
    )


def is_vehicles(frame: Frame, database: SignalDatabase) -> bool:
    """Tell whether a frame is the vehicle's: those of the charger and of strangers are not played."""
    try:
        return database.sender(frame) != OWN_NODE
    except UnknownId:
        return False


def marks(seen: Observation, verdict: Verdict) -> Iterator[Mark]:
    """Yield the moments of the recorded charger that its vehicle had to wait for, in order; none after a charger that broke off."""
    last = seen.start
    for mark in _candidates(seen, verdict):
        if mark.t >= last and not (verdict.outcome == "failed" and verdict.t is not None and mark.t >= verdict.t):
            last = mark.t
            yield mark


def _candidates(seen: Observation, verdict: Verdict) -> Iterator[Mark]:
    charging = seen.track(c.CHARGING).set_at()
    tested = view_of(seen, None).output.tested_at
    found: list[tuple[str, float | None]] = [
        ("first frame", seen.first_of(c.CHARGER_MESSAGES)),
        ("locked", seen.track(c.LOCKED).set_at()),
        ("ready", tested),
        ("charging", charging),
    ]
    yield from (Mark(name, t) for name, t in found if t is not None)
    if charging is None or verdict.t is None:
        return
    stopping = seen.track(c.STOP).first(bool, max(charging, verdict.t))
    cleared = None if stopping is None else seen.track(c.CHARGING).first(lambda value: not value, stopping)
    if stopping is None or cleared is None:
        return
    low = next((reading.t for reading in seen.readings_in(cleared, inf) if reading.voltage <= LOW), None)
    unlocked = None if low is None else seen.track(c.LOCKED).first(lambda value: not value, low)
    yield Mark("stopping", stopping, is_driver=verdict.ended_by == "charger")
    yield from (Mark(name, t) for name, t in (("current off", cleared), ("output down", low), ("unlocked", unlocked)) if t is not None)


def _from_the_start(seen: Observation, spans: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return spans; one that is there in the first frame of its kind began before the log."""
    first = seen.first_of(("EV_Status",))
    return tuple((seen.start if begin == first else begin, end) for begin, end in spans)


def _closed(seen: Observation, battery_at: float | None) -> Iterator[tuple[float, float]]:
    """Yield when the vehicle's contactor was closed: from its own word, else from its battery at the output, until it said otherwise or its battery went."""
    began = contactor_closed(seen)
    if began is None and seen.track(c.CHARGING).at(seen.first_of(("SE_Status",)) or seen.start):
        began = seen.start
    if began is None:
        began = battery_at
    if began is None:
        return
    said = seen.track(c.CONTACTOR_OPEN).first(bool, began) if reports_contactor(seen) else None
    # A vehicle says so some 0.3 to 1 s after it has opened; a battery that is connected holds the output up.
    standing = max((battery_at if battery_at is not None else began) + SETTLED, seen.track(c.CHARGING).set_at() or 0.0)
    gone = next((b.t for a, b in pairwise(seen.readings_in(standing, inf)) if b.voltage < FALLING * a.voltage), None)
    yield began, min((t for t in (said, gone) if t is not None), default=inf)


def _battery(seen: Observation, output: Output) -> Iterator[tuple[float, float]]:
    """Yield the battery's voltage without current [V], from when it stood at the output, or seemed to, to when it went."""
    starts = (output.battery_at, output.unclear.start if output.unclear is not None else None, seen.track(c.CHARGING).set_at())
    begin = min((t for t in starts if t is not None), default=None)
    if begin is None:
        return
    for reading in seen.readings_in(begin, inf):
        if reading.voltage < LIVE:
            return
        yield reading.t, reading.voltage - reading.current * RESISTANCE
