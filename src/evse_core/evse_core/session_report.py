"""What is to be said about a session in a few lines: how it went, how far it came, who ended it and why, what took longest and who was silent.

Made from the story of a session (session_story.py) alone, so that a recording, a running graph and a CAN log are judged alike.
"""

from dataclasses import dataclass, replace
from math import isfinite, nan

from evse_core.energy_meter import billed_wh
from evse_core.fault_table import FAULTS
from evse_core.session_story import ALONE, Gap, Story
from evse_core.types import ChargeState as S
from evse_core.types import Party, Reaction, RecordStatus, SessionOutcome, SessionReport, StopCause
from evse_core.words import in_words

# How far a session comes, in the order of a session; states that follow an end are none of them.
PROGRESS = (
    S.PREPARING,
    S.AUTHORIZING,
    S.AUTHORIZED,
    S.WAITING_FOR_VEHICLE,
    S.WAITING_FOR_PERMISSION,
    S.LOCKING,
    S.CABLE_CHECK,
    S.LOWERING_OUTPUT,
    S.WAITING_FOR_CONTACTOR,
    S.PRECHARGE,
    S.WAITING_FOR_REQUEST,
    S.CHARGING,
)
# Who wanted the end. What is not named is the station's.
_BY = {
    StopCause.LOCAL: Party.DRIVER,
    StopCause.UNPLUGGED: Party.DRIVER,
    StopCause.EMERGENCY: Party.DRIVER,
    StopCause.REMOTE: Party.BACK_END,
    StopCause.UNLOCK: Party.BACK_END,
    StopCause.DEAUTHORIZED: Party.BACK_END,
    StopCause.UNAVAILABLE: Party.BACK_END,
    StopCause.VEHICLE: Party.VEHICLE,
    StopCause.VEHICLE_FAULT: Party.VEHICLE,
    StopCause.NONE: Party.NOBODY,
    StopCause.UNKNOWN: Party.NOBODY,
}
# Ends that somebody may want.
WANTED = frozenset(
    {
        StopCause.LOCAL,
        StopCause.REMOTE,
        StopCause.VEHICLE,
        StopCause.TIME_LIMIT,
        StopCause.ENERGY_LIMIT,
        StopCause.UNLOCK,
        StopCause.UNPLUGGED,
        StopCause.SHUTDOWN,
        StopCause.DEAUTHORIZED,
        StopCause.UNAVAILABLE,
    }
)
# From the cable check to the end of charging, in whatever of these a session ends.
_POWER_ON_ITS_WAY = frozenset(PROGRESS[PROGRESS.index(S.CABLE_CHECK) :])
# Outcomes with a fault behind them, and those that are as somebody wanted.
FAILURES = frozenset({SessionOutcome.FAILED_TO_START, SessionOutcome.BROKEN_OFF})
GOOD = frozenset({SessionOutcome.COMPLETE, SessionOutcome.GIVEN_UP, SessionOutcome.NOT_STARTED})
# States in which time is no delay: charging, and those in which a driver makes up his mind.
_NO_DELAY = frozenset({S.CHARGING, S.PREPARING, S.AUTHORIZED, S.FINISHED, S.FAULTED, *ALONE})
_TECHNICIAN = {row.name: row.technician for row in FAULTS}


@dataclass(frozen=True, slots=True)
class Delay:
    """A state that a session spent time in [s]."""

    state: S
    seconds: float


def report(story: Story) -> SessionReport:
    """Return the report on a session that is over, or on what is known of it. A judgement that the story has says how it ended and why."""
    found = _told(story)
    judged = story.judgement
    if judged is None:
        return found
    return replace(
        found,
        outcome=judged.outcome,
        ended_by=judged.ended_by,
        stop_cause=judged.stop_cause,
        first_fault=judged.cause if judged.outcome in FAILURES else "",
        explanation=judged.explanation,
        check=judged.check,
        energy_wh=judged.energy_wh,
        max_power=judged.max_power,
    )


def _told(story: Story) -> SessionReport:
    """Return what the session's own topics say."""
    last, record = story.last, story.record
    slowest, gap, (soc_begin, soc_end) = slowest_step(story), worst_gap(story), story.curves["soc_percent"].first_and_last()
    outcome, by = _outcome(story), _party(story)
    energy = nan
    if record is not None and record.status is not RecordStatus.OPEN:
        energy = float(billed_wh(record.begin_register_wh, record.end_register_wh))
    return SessionReport(
        stamp=story.end,
        session_id=story.session_id,
        evse_id=story.evse,
        begin=story.begin,
        end=story.end,
        outcome=outcome,
        furthest=furthest(story),
        ended_by=by,
        stop_cause=last.stop_cause,
        first_fault=_first_fault(story),
        explanation=_explanation(story, outcome, by),
        check=_TECHNICIAN.get(_first_fault(story), ""),
        energy_wh=energy,
        max_power=record.max_power if record is not None else nan,
        charging_time=story.time_in(S.CHARGING),
        soc_begin_percent=soc_begin,
        soc_end_percent=soc_end,
        slowest_step=slowest.state if slowest else S.UNKNOWN,
        slowest_step_time=slowest.seconds if slowest else nan,
        worst_gap_part=gap.part if gap else "",
        worst_gap=gap.length if gap else nan,
        faults=tuple(dict.fromkeys(event.fault for event in story.faults if event.active)),
        transaction_id=story.transaction_id,
        whole=story.whole,
    )


def furthest(story: Story) -> S:
    """Return the state to which the session came at most."""
    return max((state for state, _ in story.states if state in PROGRESS), key=PROGRESS.index, default=S.UNKNOWN)


def slowest_step(story: Story) -> Delay | None:
    """Return the state between plug and end in which most time passed that nobody wanted to pass there."""
    spent = {state: story.time_in(state) for state, _ in story.states if state not in _NO_DELAY}
    state = max(spent, key=lambda name: spent[name], default=None)
    return None if state is None else Delay(state, spent[state])


def worst_gap(story: Story) -> Gap | None:
    """Return the longest silence of a part while power was on its way."""
    begin = next((time for state, time in story.states if state in (S.CABLE_CHECK, S.WAITING_FOR_REQUEST, S.CHARGING)), nan)
    end = max((end for state, _, end in story.spans() if state in _POWER_ON_ITS_WAY), default=nan)
    found = [gap for gap in story.gaps if isfinite(begin) and gap.end > begin and not gap.begin > end]
    return max(found, key=lambda gap: gap.length, default=None)


def _serious(story: Story) -> list[str]:
    return [event.fault for event in story.faults if event.active and event.reaction in (Reaction.STOP, Reaction.EMERGENCY)]


def _first_fault(story: Story) -> str:
    return story.first_fault or next(iter(_serious(story)), "")


def _outcome(story: Story) -> SessionOutcome:
    if not story.session_id:
        return SessionOutcome.NOT_STARTED
    charged = any(state is S.CHARGING for state, _ in story.states)
    if story.last.stop_cause in (StopCause.NONE, StopCause.UNKNOWN) and not _first_fault(story):
        return SessionOutcome.UNFINISHED
    if story.last.stop_cause in WANTED and not _serious(story):
        return SessionOutcome.COMPLETE if charged else SessionOutcome.GIVEN_UP
    return SessionOutcome.BROKEN_OFF if charged else SessionOutcome.FAILED_TO_START


def _party(story: Story) -> Party:
    return _BY.get(story.last.stop_cause, Party.STATION)


def _explanation(story: Story, outcome: SessionOutcome, by: Party) -> str:
    """Say in one sentence what happened."""
    last = story.last
    if outcome is SessionOutcome.NOT_STARTED:
        return f"No session was begun: the furthest was {in_words(furthest(story))}."
    after = next((time for state, time in reversed(story.states) if state in PROGRESS), story.begin)
    ended = next((time for state, time in story.states if time > after and state not in PROGRESS), story.end)
    when = f"{ended - story.begin:.1f} s after plug-in, in {in_words(_before(story, ended))}"
    if outcome is SessionOutcome.UNFINISHED:
        return f"The session was still in {in_words(story.states[-1][0])} where this ends."
    whose = {Party.NOBODY: "Ended"}.get(by, f"Ended by {in_words(by)}")
    why = "; ".join(filter(None, (last.stop_detail, f"first fault {_first_fault(story)}" if _first_fault(story) else "")))
    return f"{whose} ({in_words(last.stop_cause)}) {when}{': ' + why if why else ''}."


def _before(story: Story, time: float) -> S:
    return next((state for state, since in reversed(story.states) if since < time), S.UNKNOWN)
