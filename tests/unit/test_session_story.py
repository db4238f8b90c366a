"""What the story of a session holds, and what the report says about it."""

from dataclasses import replace
from math import isfinite, isnan, nan

import pytest
from story_rig import charged
from world_rig import AC_COURSE, COURSE, LED_COURSE

from evse_core.session_report import PROGRESS, furthest, report
from evse_core.session_story import GAP, Storyteller
from evse_core.types import (
    ChargeState,
    FaultEvent,
    IoReport,
    Party,
    PowerReport,
    Reaction,
    SessionOutcome,
    SessionState,
    StopCause,
)

S = ChargeState


@pytest.mark.parametrize(("link", "course"), [("chademo", COURSE), ("secc", LED_COURSE), ("pilot", AC_COURSE)])
def test_a_good_session_is_told_from_plug_to_unplug(link: str, course: list[str]) -> None:
    story = charged(link)
    assert [state.name for state, _ in story.states] == [*course[1:], "AVAILABLE"]
    assert story.states[0][1] == story.begin
    assert story.states[-1][1] == story.end
    found = report(story)
    assert (found.outcome, found.furthest, found.ended_by, found.stop_cause) == (
        SessionOutcome.COMPLETE,
        S.CHARGING,
        Party.DRIVER,
        StopCause.LOCAL,
    )
    assert (found.faults, found.first_fault, found.check, found.worst_gap_part) == ((), "", "", "")
    assert found.charging_time == pytest.approx(6.0, abs=0.7)
    assert found.energy_wh > 1.0
    assert "stop button" in found.explanation
    assert story.whole


def test_curves_and_times_are_those_of_the_session() -> None:
    story = charged()
    assert sum(end - begin for _, begin, end in story.spans()) == pytest.approx(story.end - story.begin)
    assert story.curves["voltage"].top > 300.0
    assert 10.0 < story.curves["current"].top <= story.curves["current_request"].top + 1.0
    assert [step for step, _ in story.steps] == sorted(step for step, _ in story.steps)
    assert all(story.begin <= time <= story.end for time in story.curves["current"].time)


@pytest.mark.parametrize(
    ("fault", "first", "by"),
    [
        ("emergency_stop", "emergency_stop", Party.DRIVER),
        ("vehicle_silent", "vehicle_silent", Party.VEHICLE),
        ("modules_silent", "power_modules_silent", Party.STATION),
    ],
)
def test_a_fault_breaks_the_session_off_and_is_named(fault: str, first: str, by: Party) -> None:
    story = charged(fault=fault)
    found = report(story)
    assert found.outcome is SessionOutcome.BROKEN_OFF
    assert found.first_fault == first or first in found.faults
    assert found.check
    assert found.ended_by is by or found.ended_by is Party.STATION
    event, cleared = next(iter(story.fault_spans()))
    assert story.begin < event.stamp < cleared <= story.end


def test_who_was_silent_and_for_how_long_is_told() -> None:
    found, story = report(charged(fault="vehicle_silent")), charged(fault="vehicle_silent")
    assert found.worst_gap_part == "vehicle"
    assert found.worst_gap > 1.0
    assert all(gap.length > GAP for gap in story.gaps)


# Values by hand.


def state(at: float, now: ChargeState, session: str = "", cause: StopCause = StopCause.NONE) -> SessionState:
    return SessionState(stamp=at, state=now, session_id=session, session_active=bool(session), stop_cause=cause)


def test_a_driver_who_never_starts_is_told_too() -> None:
    teller = Storyteller(2)
    assert teller.feed(state(1.0, S.AVAILABLE), 1.0) is None
    assert teller.feed(state(2.0, S.PREPARING), 2.0) is None
    story = teller.feed(state(9.0, S.AVAILABLE), 9.0)
    assert story is not None
    found = report(story)
    assert (story.evse, found.outcome, found.furthest, found.session_id) == (2, SessionOutcome.NOT_STARTED, S.PREPARING, "")
    assert "preparing" in found.explanation


def test_what_begins_or_ends_in_the_middle_says_so() -> None:
    teller = Storyteller(1)
    teller.feed(state(5.0, S.CHARGING, "a"), 5.0)
    story = teller.finish()
    assert story is not None
    assert not story.whole
    assert report(story).outcome is SessionOutcome.UNFINISHED
    assert Storyteller(1).finish() is None


def test_another_session_without_a_pause_is_another_story() -> None:
    teller = Storyteller(1)
    teller.feed(state(0.5, S.AVAILABLE), 0.5)
    teller.feed(state(1.0, S.CHARGING, "a"), 1.0)
    first = teller.feed(state(2.0, S.CHARGING, "b"), 2.0)
    second = teller.finish()
    assert first is not None
    assert second is not None
    assert (first.session_id, second.session_id) == ("a", "b")


def test_a_gap_is_from_the_last_frame_to_the_first_one_after_it() -> None:
    teller = Storyteller(1)
    teller.feed(state(0.5, S.AVAILABLE), 0.5)
    teller.feed(state(1.0, S.CHARGING, "a"), 1.0)
    for at, age in ((2.0, 0.02), (2.5, 0.52), (3.0, 1.02), (3.5, 0.1)):
        teller.feed(IoReport(stamp=at, complete=True, age=age, connector_temperature=30.0), at)
    story = teller.finish()
    assert story is not None
    (gap,) = story.gaps
    assert (gap.part, gap.begin, gap.end) == ("I/O board", pytest.approx(1.98), pytest.approx(3.4))
    # What is older than a second is nothing to draw.
    assert [isnan(value) for value in story.curves["connector_temperature"].value] == [False, False, True, False]


def test_reports_without_frames_are_no_values() -> None:
    teller = Storyteller(1)
    teller.feed(state(1.0, S.CHARGING, "a"), 1.0)
    teller.feed(PowerReport(stamp=1.1, complete=False, age=nan, voltage=400.0), 1.1)
    story = teller.finish()
    assert story is not None
    assert not any(isfinite(value) for value in story.curves["voltage"].value)


def test_a_warning_ends_no_session() -> None:
    teller = Storyteller(1)
    teller.feed(state(0.5, S.AVAILABLE), 0.5)
    teller.feed(state(1.0, S.CHARGING, "a"), 1.0)
    teller.feed(FaultEvent(stamp=1.5, fault="disk_low", active=True, reaction=Reaction.WARN), 1.5)
    teller.feed(replace(state(2.0, S.FINISHED, "a", StopCause.REMOTE), session_active=False), 2.0)
    story = teller.feed(state(3.0, S.AVAILABLE), 3.0)
    assert story is not None
    found = report(story)
    assert (found.outcome, found.ended_by, found.faults) == (SessionOutcome.COMPLETE, Party.BACK_END, ("disk_low",))


def test_how_far_a_session_came_is_not_where_it_ended() -> None:
    story = charged(fault="emergency_stop")
    assert furthest(story) is S.CHARGING
    assert not {S.EMERGENCY, S.FAULTED, S.FINISHED, S.UNLOCKING} & set(PROGRESS)
