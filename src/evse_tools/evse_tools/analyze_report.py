"""The analysis of a CAN log as the JSON that others build on."""

from typing import Any

from evse_core import chademo_session as c
from evse_core.chademo_course import course
from evse_core.chademo_figures import energy_wh, limits, timings
from evse_core.chademo_quirks import first_silent, holes, pauses_of, quirks
from evse_core.chademo_session import FLAGS, PLACE, Observation, state_of_charge
from evse_core.chademo_steps import Step
from evse_tools.analyze_log import Analysis, Judged


def report(analysis: Analysis) -> dict[str, Any]:
    """Return the report as plain data: times in seconds since the first frame of the log, SI units, energy in Wh."""
    log = analysis.log
    head = {
        "file": str(log.path),
        "format": log.format,
        "channel": analysis.channel,
        "frames": len(log.frames),
        "error_frames": log.error_frames,
        "duration_s": _s(log.frames[-1].t if log.frames else 0.0),
    }
    if analysis.main is None:
        return {**_unknown(analysis), **head}
    sessions = [_summary(session) for session in analysis.sessions]
    return {**_session(analysis.main, analysis.notes), **head, "sessions": sessions}


def states(analysis: Analysis) -> dict[str, Any]:
    """Return the states of our own sequence that the main session went through: what the frames show, and what is inferred from that."""
    if analysis.main is None:
        return {}
    phases = course(analysis.main.observation, analysis.main.verdict)
    found = [{"state": phase.state.name.lower(), "t": _s(phase.t), "seen": phase.seen, "inferred": phase.inferred} for phase in phases]
    return {"states": found}


def _unknown(analysis: Analysis) -> dict[str, Any]:
    cause = "no_chademo_frames" if analysis.log.frames else "empty_log"
    words = analysis.notes[-1]
    return {
        "protocol": "unknown",
        "outcome": "unknown",
        "last_step": 0,
        "steps": [],
        "ended_by": "unknown",
        "cause": cause,
        "explanation": f"{words[0].upper()}{words[1:]}. Check that the recorder was on the vehicle's bus (CAN pins 8 and 9 of the plug) at 500 kbit/s.",
        "energy_wh": None,
        "max_current": None,
        "max_voltage": None,
        "limits": {},
        "warnings": list(analysis.notes),
        "sessions": [],
    }


def _session(judged: Judged, notes: tuple[str, ...]) -> dict[str, Any]:
    seen, verdict = judged.observation, judged.verdict
    readings = seen.readings
    return {
        "protocol": "chademo",
        "outcome": verdict.outcome,
        "last_step": _last_step(judged),
        "steps": [_step(step) for step in verdict.steps],
        "ended_by": verdict.ended_by,
        "cause": verdict.cause,
        "ended_at": _s(verdict.t),
        "explanation": verdict.explanation,
        "proven": verdict.proven,
        "likely": verdict.likely,
        "check": verdict.check,
        "energy_wh": round(energy_wh(seen), 3) if readings else None,
        "max_current": max((reading.current for reading in readings), default=None),
        "max_voltage": max((reading.voltage for reading in readings), default=None),
        "max_voltage_charging": _max_voltage_charging(seen),
        "limits": {party: {name: _rounded(value) for name, value in values.items()} for party, values in limits(seen).items()},
        "state_of_charge_percent": _charge(seen),
        "signs": [{"sign": sign.kind, "by": sign.by, "t": _s(sign.t), "evidence": sign.evidence} for sign in verdict.signs],
        "timings": [
            {"name": item.name, "t": _s(item.start), "duration_s": _s(item.duration), "limit_s": item.limit, "within": item.within}
            for item in timings(seen, verdict.t)
        ],
        "warnings": [*notes, *quirks(seen, verdict.t)],
        "flags": _flags(seen),
        "gaps": [{"from": _s(start), "to": _s(stop)} for start, stop in holes(seen)],
        "first_silent": first_silent(seen),
        "traffic": _traffic(seen),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.step,
        "name": step.name,
        "t": _s(step.t),
        "evidence": step.evidence,
        "complete": step.complete,
        "from_first_frame": step.from_first_frame,
    }


def _summary(judged: Judged) -> dict[str, Any]:
    verdict = judged.verdict
    return {
        "from": _s(judged.observation.start),
        "to": _s(judged.observation.end),
        "outcome": verdict.outcome,
        "last_step": _last_step(judged),
        "ended_by": verdict.ended_by,
        "cause": verdict.cause,
        "explanation": verdict.explanation,
    }


def _last_step(judged: Judged) -> int:
    return max((step.step for step in judged.verdict.steps), default=0)


def _max_voltage_charging(seen: Observation) -> float | None:
    flag = seen.track(c.CHARGING)
    return max((reading.voltage for reading in seen.readings if flag.at(reading.t)), default=None)


def _charge(seen: Observation) -> dict[str, float | None]:
    values = [value for t in seen.track(c.CHARGED).times if (value := state_of_charge(seen, t)) is not None]
    # Before the permission the vehicle's numbers are not stable (../shared/reference/can.md 2.7).
    permitted = seen.track(c.ENABLED).set_at()
    first = state_of_charge(seen, permitted) if permitted is not None else None
    return {"first": _rounded(first if first is not None else next(iter(values), None)), "last": _rounded(next(reversed(values), None))}


def _flags(seen: Observation) -> list[dict[str, Any]]:
    spans = ((name, seen.spans(name)) for name in FLAGS)
    return [
        {"flag": name.split(".")[1], "place": PLACE[name], "spans": [[_s(start), _s(stop)] for start, stop in found]}
        for name, found in spans
        if found
    ]


def _traffic(seen: Observation) -> list[dict[str, Any]]:
    return [
        {
            "id": f"0x{identifier:X}",
            "name": seen.names.get(identifier, ""),
            "frames": traffic.count,
            "first": _s(traffic.first),
            "last": _s(traffic.last),
            "period_ms": None if traffic.period is None else round(traffic.period * 1000, 1),
            "longest_pause_s": _s(pauses_of(traffic)) or None,
        }
        for identifier, traffic in seen.traffic.items()
    ]


def _s(t: float | None) -> float | None:
    return None if t is None else round(t, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
