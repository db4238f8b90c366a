"""An observed CHAdeMO session told as the topics of our own EVSE would tell it: what session_story.py makes stories of.

The vehicle's frames go through can_bridge's codec (codecs/chademo.py), the charger's through its reverse (codecs/chademo_charger.py), the states come from the
observing sequencer (chademo_course.py), faults from our monitor (chademo_faults.py). Why the session ended is said by the verdict alone, as the story's
judgement; a fault of our table that the observed charger's session outlived is told as a warning.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite, nan
from typing import Any

from evse_core import chademo_session as c
from evse_core.chademo_course import Phase, course
from evse_core.chademo_faults import VisibleFaults, command_of
from evse_core.chademo_figures import energy_wh
from evse_core.chademo_session import LOSS, Observation, state_of_charge
from evse_core.chademo_verdict import Verdict
from evse_core.codecs.chademo import PULSE as VEHICLE_PULSE
from evse_core.codecs.chademo import ChademoStation
from evse_core.codecs.chademo_charger import PULSE as CHARGER_PULSE
from evse_core.codecs.chademo_charger import ChademoCharger
from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_core.session_story import GAP, Judgement, Story, Storyteller
from evse_core.types import ChargeState, FaultEvent, Party, Reaction, SessionOutcome, SessionState, StopCause
from evse_core.words import in_words

# Pace of session_state and of the monitor's looks: msg/SessionState.msg. [s]
TICK = 0.1
# A report is repeated with its age where its frames stay away for longer: three periods of slow vehicles are 0.68 s, so that GAP is seen in time. [s]
REPEAT = 0.15
# What a fault shows before the first sign of the end by no more than this may have to do with it. [s]
AT_THE_END = 2 * LOSS

# Identifier of the frame that closes a period of the vehicle, EV_Status.
STATUS_ID = 0x102

_PARTIES = {"charger": Party.STATION, "vehicle": Party.VEHICLE}
_TIMEOUTS = frozenset({"no_permission", "no_current_request", "contactor_not_closed", "charger_gave_up"})
# Causes whose words are not those of the party that ended: what our own sequencer calls them.
_CAUSES = {
    "battery_incompatible": StopCause.INCOMPATIBLE,
    "charging_time_over": StopCause.TIME_LIMIT,
    # Stop button, session limit and back end of a charger look the same on the bus.
    "stopped_at_charger": StopCause.UNKNOWN,
    "vehicle_ended": StopCause.VEHICLE,
    "vehicle_normal_stop_request": StopCause.VEHICLE,
    "permission_withdrawn": StopCause.VEHICLE,
    "permission_withdrawn_before_charging": StopCause.VEHICLE,
    "contactor_opened": StopCause.VEHICLE,
    "charging_flag_cleared": StopCause.UNKNOWN,
    "vehicle_frames_lost": StopCause.VEHICLE_FAULT,
    "charger_frames_lost": StopCause.CHARGER_FAULT,
    **dict.fromkeys(_TIMEOUTS, StopCause.TIMEOUT),
}


def story(
    frames: Sequence[tuple[float, Frame]],
    database: SignalDatabase,
    observation: Observation,
    verdict: Verdict,
    name: str,
    *,
    epoch: float = 0.0,
    evse: int = 1,
    gap: float = GAP,
) -> Story:
    """Return the story of one observed session. name: its session_id; epoch: the log's time 0 by the ROS clock [s], 0 where the log does not know it."""
    phases = course(observation, verdict)
    teller = Storyteller(evse, gap, source="charger")
    for t, value in _Telling(database, observation, verdict, phases, name, epoch).values(frames):
        teller.feed(value, epoch + t)
    told = teller.finish() or Story(evse, epoch + observation.start, epoch + observation.end)
    told.judgement = judgement(observation, verdict)
    told.inferred = tuple(f"{in_words(phase.state)}: {phase.inferred}" for phase in phases if phase.inferred)
    told.whole = bool(phases) and phases[0].state is ChargeState.WAITING_FOR_VEHICLE and verdict.outcome in ("complete", "failed")
    return told


def judgement(observation: Observation, verdict: Verdict) -> Judgement:
    """Return the verdict as the story's judgement."""
    power = [reading.voltage * reading.current for reading in observation.readings if observation.track(c.CHARGING).at(reading.t)]
    return Judgement(
        outcome=_outcome(observation, verdict),
        ended_by=_PARTIES.get(verdict.ended_by, Party.UNKNOWN if verdict.t is not None else Party.NOBODY),
        stop_cause=stop_cause(verdict),
        cause=verdict.cause,
        explanation=" ".join(filter(None, (verdict.proven, verdict.likely))),
        check=verdict.check,
        energy_wh=energy_wh(observation) if observation.readings else nan,
        max_power=max(power, default=nan),
    )


def stop_cause(verdict: Verdict) -> StopCause:
    """Return what our own sequencer would call the end."""
    if verdict.t is None:
        return StopCause.NONE
    if verdict.cause in _CAUSES:
        return _CAUSES[verdict.cause]
    by = {"vehicle": StopCause.VEHICLE_FAULT, "charger": StopCause.CHARGER_FAULT}
    return by.get(verdict.ended_by, StopCause.UNKNOWN)


def _outcome(observation: Observation, verdict: Verdict) -> SessionOutcome:
    if verdict.outcome == "failed":
        charged = bool(observation.track(c.CHARGING).values) and any(observation.track(c.CHARGING).values)
        return SessionOutcome.BROKEN_OFF if charged else SessionOutcome.FAILED_TO_START
    return SessionOutcome.COMPLETE if verdict.outcome == "complete" else SessionOutcome.UNFINISHED


class _Telling:
    """Goes through the frames of a session once and yields what topics would have carried, with times of the log."""

    def __init__(
        self, database: SignalDatabase, seen: Observation, verdict: Verdict, phases: Sequence[Phase], name: str, epoch: float
    ) -> None:
        self._seen, self._verdict, self._phases, self._name, self._epoch = seen, verdict, phases, name, epoch
        self._times = [phase.t for phase in phases]
        # Each step not before those that precede it, as the sequencer counts.
        self._steps, reached = list[tuple[float, int]](), seen.start
        for step in sorted(verdict.steps, key=lambda item: item.step):
            reached = max(reached, step.t)
            self._steps.append((reached, step.step))
        self._vehicle, self._charger = ChademoStation(database), ChademoCharger(database)
        self._told: dict[str, float] = {}
        self._step = 0
        # Before it gives its permission a vehicle's numbers are not stable (../shared/reference/can.md 2.7).
        self._settled_at = seen.track(c.ENABLED).set_at()
        most = [max(seen.track(name).values, default=nan) for name in (c.AVAILABLE_VOLTAGE, c.AVAILABLE_CURRENT)]
        self._faults = VisibleFaults(*most)

    def values(self, frames: Sequence[tuple[float, Frame]]) -> Iterator[tuple[float, Any]]:
        """Yield time [s of the log] and value, in order."""
        due = self._seen.start
        marks = sorted({*self._times, *(t for t, _ in self._steps)})
        for t, frame in frames:
            while due <= t or (marks and marks[0] <= t):
                now = min(due, marks[0]) if marks else due
                if marks and now == marks[0]:
                    marks.pop(0)
                if now == due:
                    due += TICK
                yield from self._tick(now)
            yield from self._frame(t, frame)
        yield from self._tick(self._seen.end)

    def _frame(self, t: float, frame: Frame) -> Iterator[tuple[float, Any]]:
        try:
            name = self._charger.receive(frame, t)
            if not name:
                self._vehicle.receive(frame, t)
        except (UnknownId, Malformed):
            return
        if name == CHARGER_PULSE and self._charger.complete:
            yield self._report(t, CHARGER_PULSE)
            for event in self._faults.own_words(self._charger.said(), self._epoch + t):
                yield t, self._rated(event)
        elif not name and frame.id == STATUS_ID:
            yield self._report(t, VEHICLE_PULSE)

    def _report(self, t: float, part: str) -> tuple[float, Any]:
        self._told[part] = t
        return t, self._charger.power(t) if part == CHARGER_PULSE else self._vehicle.report(t)

    def _tick(self, now: float) -> Iterator[tuple[float, Any]]:
        """Yield where the session stands, what was commanded, reports whose frames stay away, and what our monitor would say."""
        vehicle, power, said = self._vehicle.report(now), self._charger.power(now), self._charger.said()
        session = self._session(now)
        for step in (step for t, step in self._steps if self._step < step < session.step and t <= now):
            yield now, replace(session, step=step)
        self._step = session.step
        yield now, session
        for part, known in ((CHARGER_PULSE, power.complete), (VEHICLE_PULSE, vehicle.complete)):
            if known and now - self._told.get(part, now) > REPEAT:
                yield self._report(now, part)
        command = command_of(session.state, vehicle, said)
        if self._charger.complete:
            yield now, command
        if self._charger.complete and isfinite(vehicle.age):
            for event in self._faults.step(session, vehicle, power, command, now, self._epoch + now):
                yield now, self._rated(event)

    def _session(self, now: float) -> SessionState:
        index = bisect_right(self._times, now) - 1
        over = self._verdict.t is not None and now >= self._verdict.t
        return SessionState(
            state=self._phases[max(index, 0)].state,
            time_in_state=now - self._times[max(index, 0)],
            step=max((step for t, step in self._steps if t <= now), default=0),
            session_id=self._name,
            session_active=True,
            stop_cause=stop_cause(self._verdict) if over else StopCause.NONE,
            stop_detail=self._verdict.cause if over else "",
            soc_percent=self._soc(now),
            plugged=True,
        )

    def _soc(self, now: float) -> float:
        """Return the state of charge as the analysis reads it. [%]"""
        found = state_of_charge(self._seen, now) if self._settled_at is not None and now >= self._settled_at else None
        return nan if found is None else found

    def _rated(self, event: FaultEvent) -> FaultEvent:
        """Return the event with our reaction where the session ended with it, as a warning where the observed session went on all the same."""
        t, serious = event.stamp - self._epoch, event.reaction in (Reaction.STOP, Reaction.EMERGENCY)
        ended = self._verdict.outcome == "failed" and self._verdict.t is not None and t >= self._verdict.t - AT_THE_END
        if not serious or ended:
            return event
        over = self._verdict.t is not None and t >= self._verdict.t
        words = f"{event.detail}; ours would have answered with {event.reaction.name}, here the session {'was over' if over else 'went on'}"
        return replace(event, reaction=Reaction.WARN, detail=words)
