"""The signs by which a CHAdeMO session ends, each found in the observed frames with its time and who gave it.

../shared/reference/can.md 2.4 lists them. The earliest sign that the session did not survive tells who ended it; where one frame carries several, the order of
the table decides which is named first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evse_core import chademo_session as c
from evse_core.chademo_output import contactor_closed
from evse_core.chademo_session import LOSS, PLACE, Observation, Traffic

# A charger gives up its orderly stop after this (can.md 2.3, E4): charging that still goes on then has survived the sign. [s]
STOP_LIMIT = 10.0
# A lost party is noticed within this (can.md 2.4: 1 s, other sources 1 to 2 s): a later end has another cause. [s]
NOTICED = 2 * LOSS
# A fault bit that comes so soon after the charger's stop flag says why: two cycles; can_bridge sends its cut before the sequencer's reason. [s]
EXPLAINS = 0.2
CHARGER_FAULTS = frozenset({"battery_incompatible", "charger_malfunction", "system_malfunction"})


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of the end: kind, who gave it (vehicle, charger or bus), when, and the frame that shows it."""

    kind: str
    by: str
    t: float
    evidence: str


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    by: str
    find: Callable[[Observation], Sequence[float]]
    evidence: str


def first_signs(observation: Observation) -> tuple[Sign, ...]:
    """Return the signs that ended the session: the earliest one and those of the same frame, in the order of the table; empty where none is seen.

    A charger that sets its stop flag and in one of the next frames a fault bit has stopped for that fault.
    """
    lasting = [sign for sign in all_signs(observation) if not _survived(observation, sign)]
    start = min((sign.t for sign in lasting), default=None)
    if start is None:
        return ()
    stopped = {sign.kind for sign in lasting if sign.t <= start} <= {"stop_control", "charging_cleared"}
    explained = [sign for sign in lasting if stopped and sign.kind in CHARGER_FAULTS and sign.t <= start + EXPLAINS]
    return tuple(explained) or tuple(sign for sign in lasting if sign.t <= start)


def all_signs(observation: Observation) -> tuple[Sign, ...]:
    """Return every sign seen, in the order of the table."""
    return tuple(Sign(rule.kind, rule.by, t, f"{rule.evidence} at {t:.3f} s") for rule in RULES for t in rule.find(observation))


def survived_signs(observation: Observation) -> tuple[Sign, ...]:
    """Return the signs after which the session went on all the same."""
    return tuple(sign for sign in all_signs(observation) if _survived(observation, sign))


def _survived(observation: Observation, sign: Sign) -> bool:
    """Tell whether charging began or went on after the sign, or the vehicle gave its permission after it had shown a fault."""
    charging, enabled = observation.track(c.CHARGING), observation.track(c.ENABLED)
    started = charging.rises() + (enabled.rises() if sign.by == "vehicle" else [])
    return any(t > sign.t for t in started) or (sign.t + STOP_LIMIT <= observation.end and bool(charging.at(sign.t + STOP_LIMIT)))


def _times(find: Callable[[Observation], float | None]) -> Callable[[Observation], Sequence[float]]:
    def times(observation: Observation) -> Sequence[float]:
        t = find(observation)
        return [] if t is None else [t]

    return times


def _is_set(name: str) -> Callable[[Observation], Sequence[float]]:
    return lambda observation: [start for start, _ in observation.track(name).intervals(observation.end)]


def _permission_off(observation: Observation) -> float | None:
    """Return when the vehicle took its permission away for good."""
    track = observation.track(c.ENABLED)
    return None if track.last or not track.falls() else track.falls()[-1]


def _contactor_opened(observation: Observation) -> float | None:
    """Return when the contactor flag rose after the contactor had been closed; before that a vehicle raises it when it meets a charger of 1.0 (can.md 2.1)."""
    charging = observation.track(c.CHARGING).set_at()
    closed = min((t for t in (contactor_closed(observation), charging) if t is not None), default=None)
    return next((t for t in observation.track(c.CONTACTOR_OPEN).rises() if closed is not None and t > closed), None)


def _request_zero(observation: Observation) -> float | None:
    """Return when the request went to 0 for good; a pause at 0 in mid-charge is no end (a Leaf at a V2H unit paused 4.7 s: can.md 2.7)."""
    track, charging = observation.track("request"), observation.track(c.CHARGING).set_at()
    if charging is None or track.last != 0 or not track.falls() or track.falls()[-1] < charging:
        return None
    zero = track.falls()[-1]
    ends = [_permission_off(observation), _contactor_opened(observation), _charging_cleared(observation), *_stop_control(observation)]
    return zero if observation.end - zero >= STOP_LIMIT or any(end is not None and end >= zero for end in ends) else None


def _stop_control(observation: Observation) -> Sequence[float]:
    """Return when the charger set its stop flag after charging had begun; before that it is 1 from the start."""
    charging = observation.track(c.CHARGING).set_at()
    spans = observation.track(c.STOP).intervals(observation.end)
    return [] if charging is None else [max(start, charging) for start, stop in spans if stop > charging or start >= charging]


def _charging_cleared(observation: Observation) -> float | None:
    falls = observation.track(c.CHARGING).falls()
    return falls[-1] if falls and not observation.track(c.CHARGING).last else None


def _unlocked_early(observation: Observation) -> float | None:
    """Return when the charger gave up the lock without ever having charged."""
    if observation.track(c.CHARGING).set_at() is not None or observation.track(c.LOCKED).last:
        return None
    return next(reversed(observation.track(c.LOCKED).falls()), None)


def _silent(lost: Sequence[str], other: Sequence[str]) -> Callable[[Observation], float | None]:
    """Find when one party fell silent for more than LOSS while the other went on; a pause that was survived counts when an end follows at once."""

    def find(observation: Observation) -> float | None:
        last, others_last = observation.last_of(lost), observation.last_of(other)
        if last is not None and others_last is not None and others_last - last > LOSS:
            return last
        return _broken_by_pause(observation, lost, other)

    return find


def _broken_by_pause(observation: Observation, lost: Sequence[str], other: Sequence[str]) -> float | None:
    ends = [t for name in (c.MALFUNCTION, c.SYSTEM_MALFUNCTION, c.SYSTEM_FAULT) if (t := observation.track(name).set_at()) is not None]
    ends += [*_stop_control(observation), *_times(_permission_off)(observation)]
    for start, stop in party_pauses(observation.frames(lost)):
        both = any(a < stop and start < b for a, b in party_pauses(observation.frames(other)))
        if not both and any(start < t <= max(start + NOTICED, stop) for t in ends):
            return start
    return None


def party_pauses(traffic: Sequence[Traffic]) -> list[tuple[float, float]]:
    """Return the spans longer than LOSS in which no frame of a party was seen though it spoke before and after. [s]"""
    if not traffic:
        return []
    spans = [[pause for pause in item.pauses if pause[1] - pause[0] > LOSS] for item in traffic]
    common = [(max(a for a, _ in overlap), min(b for _, b in overlap)) for first in spans[0] if (overlap := _overlapping(first, spans))]
    return [(start, stop) for start, stop in common if stop - start > LOSS]


def _overlapping(span: tuple[float, float], spans: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Return one pause of each identifier that overlaps the span; empty where an identifier was heard."""
    found = [next((pause for pause in pauses if pause[0] < span[1] and span[0] < pause[1]), None) for pauses in spans]
    return [pause for pause in found if pause is not None] if None not in found else []


def _flagged(kind: str, by: str, name: str) -> _Rule:
    return _Rule(kind, by, _is_set(name), f"{PLACE[name]} = 1")


RULES: tuple[_Rule, ...] = (
    _flagged("battery_incompatible", "charger", c.INCOMPATIBLE),
    _flagged("battery_overvoltage", "vehicle", c.OVERVOLTAGE),
    _flagged("battery_undervoltage", "vehicle", c.UNDERVOLTAGE),
    _flagged("current_deviation", "vehicle", c.CURRENT_DEVIATION),
    _flagged("high_battery_temperature", "vehicle", c.TEMPERATURE),
    _flagged("voltage_deviation", "vehicle", c.VOLTAGE_DEVIATION),
    _flagged("charging_system_fault", "vehicle", c.SYSTEM_FAULT),
    _flagged("shifter_moved", "vehicle", c.NOT_PARKED),
    _flagged("normal_stop_request", "vehicle", c.NORMAL_STOP),
    _flagged("charger_malfunction", "charger", c.MALFUNCTION),
    _flagged("system_malfunction", "charger", c.SYSTEM_MALFUNCTION),
    _Rule("contactor_opened", "vehicle", _times(_contactor_opened), f"{PLACE[c.CONTACTOR_OPEN]} from 0 to 1"),
    _Rule("request_zero", "vehicle", _times(_request_zero), f"{PLACE[c.REQUEST]} = 0 for good"),
    _Rule("permission_off", "vehicle", _times(_permission_off), f"{PLACE[c.ENABLED]} from 1 to 0"),
    _Rule("stop_control", "charger", _stop_control, f"{PLACE[c.STOP]} = 1"),
    _Rule("charging_cleared", "charger", _times(_charging_cleared), f"{PLACE[c.CHARGING]} from 1 to 0"),
    _Rule("unlocked_early", "charger", _times(_unlocked_early), f"{PLACE[c.LOCKED]} from 1 to 0"),
    _Rule("charger_silent", "bus", _times(_silent(c.CHARGER_MESSAGES, c.VEHICLE_MESSAGES)), "the charger's last frame (0x108, 0x109)"),
    _Rule(
        "vehicle_silent", "bus", _times(_silent(c.VEHICLE_MESSAGES, c.CHARGER_MESSAGES)), "the vehicle's last frame (0x100, 0x101, 0x102)"
    ),
)
