"""What came of a replay of a recorded vehicle: our charger's answers beside those of the recorded charger, as the JSON that others build on.

Both are observed in the same way, from the frames of their bus alone; what only our own station knows (its states, faults, reason of the end) is told besides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import Any

from evse_core import chademo_session as c
from evse_core.chademo_figures import energy_wh, limits, timings
from evse_core.chademo_session import Observation
from evse_core.frame import Frame
from evse_core.session_story import Story
from evse_simulators.recorded_vehicle import Mark, Passed
from evse_tools import log_story
from evse_tools.analyze_log import Judged

# Bits of 0x109 byte 5, lowest first: ../shared/reference/can.md 2.1.
BITS = (
    (c.CHARGING, "charging"),
    (c.MALFUNCTION, "charger malfunction"),
    (c.LOCKED, "locked"),
    (c.INCOMPATIBLE, "incompatible"),
    (c.SYSTEM_MALFUNCTION, "system malfunction"),
    (c.STOP, "stop control"),
)
# The current has come to the request when it is at this part of it, or within 1 A, the step of 109.3. [1]
REACHED = 0.9


@dataclass(frozen=True, slots=True)
class Played:
    """One replay: frames on the bus and states of our sequencer, times since the vehicle woke up [s], and how it ended. began: that moment [s since 1970]."""

    wire: Sequence[tuple[float, Frame]]
    passed: Sequence[Passed]
    states: Sequence[tuple[str, float]]
    faults: Sequence[str]
    in_step: bool
    stuck: Mark | None = None
    end: str = ""
    repeated: int = 0
    skipped: int = 0
    began: float = 0.0


def report(recorded: Judged, ours: Judged, played: Played, recorded_marks: Sequence[Mark]) -> dict[str, Any]:
    """Return the comparison as plain data; times in seconds since the first frame of each."""
    a, b = recorded.observation, ours.observation
    charged = (a.track(c.CHARGING).set_at() is not None, b.track(c.CHARGING).set_at() is not None)
    return {
        "mode": "in step" if played.in_step else "open loop",
        "recorded_charged": charged[0],
        "charged": charged[1],
        "why_not": "" if charged[1] else _why_not(played),
        "ended": played.end,
        "states": [{"state": name.lower(), "t": round(t, 3)} for name, t in played.states],
        "faults": list(played.faults),
        "limits": list(_limits(a, b)),
        "notes": list(_notes(recorded)),
        "bits": {
            "recorded": bits(a),
            "ours": bits(b),
            "same_order": _order(a) == _order(b),
            "recorded_in_ours": _is_part(_order(a), _order(b)),
        },
        "phases": list(_phases(recorded, ours)),
        "current": {"recorded": follow(a), "ours": follow(b)},
        "waits": list(_waits(played, recorded_marks)),
        "vehicle_frames": {"sent": _sent(played, b), "repeated_while_waiting": played.repeated, "leapt_over": played.skipped},
    }


def _why_not(played: Played) -> str:
    """Say why our charger did not come to charging."""
    if played.stuck is not None:
        return f"the log waited for our charger's {played.stuck.name!r}, which did not come; it stood in {played.states[-1][0].lower()}. {played.end}"
    return played.end or "the log was over before"


def _limits(a: Observation, b: Observation) -> Iterator[dict[str, Any]]:
    recorded, ours = limits(a)["charger"], limits(b)["charger"]
    for name, value in recorded.items():
        yield {"what": name, "recorded": value, "ours": ours[name], "same": value == ours[name]}


def bits(seen: Observation) -> list[dict[str, Any]]:
    """Return the patterns of 0x109 byte 5 in order, each with its time and the names of its bits."""
    times = sorted({t for name, _ in BITS for t in seen.track(name).times})
    found: list[dict[str, Any]] = []
    for t in times:
        flags = [words for name, words in BITS if seen.track(name).at(t)]
        number = sum(1 << place for place, (name, _) in enumerate(BITS) if seen.track(name).at(t))
        found.append({"t": round(t - seen.start, 3), "byte": f"0x{number:02X}", "flags": flags})
    return found


def _order(seen: Observation) -> list[str]:
    return [item["byte"] for item in bits(seen)]


def _is_part(short: Sequence[str], long: Sequence[str]) -> bool:
    """Tell whether one sequence stands in the other without a gap: of a log that begins or ends in the middle no more can be asked."""
    return any(list(long[start : start + len(short)]) == list(short) for start in range(len(long) - len(short) + 1))


def _notes(recorded: Judged) -> Iterator[str]:
    """Say what of the recorded session cannot be played as it was."""
    seen, verdict = recorded.observation, recorded.verdict
    if seen.track(c.CHARGING).values[:1] == [1.0]:
        yield "the log begins in mid-charge: its vehicle is as in its first frames until our charger charges; its contactor closes with our d2"
    if verdict.outcome == "charging":
        yield "the log ends while it charges: here the stop button was pressed then, and the vehicle repeated its last frames until our charging flag fell"
    if verdict.outcome == "failed" and verdict.ended_by != "vehicle":
        yield "the recorded charger broke off: from there on the vehicle's frames are those of a vehicle whose session had failed"
    if verdict.cause in ("current_path_open", "no_current_delivered"):
        yield "what kept the current from flowing is not played: behind the inlet is a sound battery here"
    if verdict.cause == "live_output_before_test":
        yield "the voltage that stood at the output before the test is played as a contactor that is closed without d2"


def _phases(recorded: Judged, ours: Judged) -> Iterator[dict[str, Any]]:
    """Yield the times between events that both have, or one of them, beside their limits."""
    found = [{item.name: item for item in timings(one.observation, one.verdict.t)} for one in (recorded, ours)]
    for name in dict.fromkeys([*found[0], *found[1]]):
        a, b = found[0].get(name), found[1].get(name)
        limit = next(item.limit for item in (a, b) if item is not None)
        yield {
            "what": name,
            "recorded_s": None if a is None else round(a.duration, 3),
            "ours_s": None if b is None else round(b.duration, 3),
            "limit_s": limit,
            "within": None if b is None else b.within,
        }


def follow(seen: Observation) -> dict[str, Any]:
    """Return how the current followed the request while charging; None where nothing was asked for.

    reached_s: from the request's highest value to 90 % of it, or to 1 A less, the step of the reading. deviation_a: mean distance from there on.
    """
    began = seen.track(c.CHARGING).set_at()
    readings = [] if began is None else [item for item in seen.readings_in(began, seen.end) if seen.track(c.CHARGING).at(item.t)]
    wanted = [(item, min(seen.track("request").at(item.t) or 0.0, seen.track(c.AVAILABLE_CURRENT).at(item.t) or 0.0)) for item in readings]
    top = max((value for _, value in wanted), default=0.0)
    empty = {"top_request_a": top or None, "top_a": None, "reached_s": None, "deviation_a": None, "energy_wh": None}
    if not top:
        return empty
    asked = next(item.t for item, value in wanted if value == top)
    level = min(REACHED * top, top - 1.0)
    reached = next((item.t for item, _ in wanted if item.t >= asked and item.current >= level), None)
    after = [abs(value - item.current) for item, value in wanted if reached is not None and item.t >= reached]
    return {
        "top_request_a": top,
        "top_a": max(item.current for item in readings),
        "reached_s": None if reached is None else round(reached - asked, 3),
        "deviation_a": round(fmean(after), 2) if after else None,
        "energy_wh": round(energy_wh(seen), 2),
    }


def _waits(played: Played, recorded_marks: Sequence[Mark]) -> Iterator[dict[str, Any]]:
    """Yield where the log's timing depends on the recorded charger, and what became of it."""
    passed = {item.mark.name: item for item in played.passed}
    for mark in recorded_marks:
        item = passed.get(mark.name)
        yield {
            "mark": mark.name,
            "log_t": round(mark.t, 3),
            "ours_t": None if item is None else round(item.at, 3),
            "waited_s": None if item is None else round(item.waited, 3),
            "driver": mark.is_driver,
        }


def _sent(played: Played, ours: Observation) -> int:
    return sum(1 for _, frame in played.wire if ours.names.get(frame.id, "").startswith("EV_"))


def stories(recorded: Judged, ours: Judged) -> tuple[Story, Story]:
    """Return both as stories, for the picture."""
    first, second = (log_story.story_of(one, name) for one, name in ((recorded, "recorded"), (ours, "ours")))
    return first, second


def is_good(data: dict[str, Any]) -> bool:
    """Tell whether our charger came as far as the recorded one: to charging, where that did."""
    return bool(data["charged"] or not data["recorded_charged"])


def figure(value: float | None, unit: str = "") -> str:
    """Return a figure for people; "-" for one that is not known."""
    return "-" if value is None or not isfinite(value) else f"{value:g}{' ' if unit else ''}{unit}"
