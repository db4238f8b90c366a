"""Plug, token and start in any order, verdicts, remote requests, and truthful answers to service calls."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from math import nan

import pytest
from charge_sequencer_rig import STEP, Rig, S, Vehicle

from evse_core.charge_sequencer import ChargeSequencer, SequencerConfig, SequencerInputs
from evse_core.sample import Sample
from evse_core.types import Authorization, ChargeState, DriverRules, Lamp, Reaction, RequestKind, SessionRequest, StopCause, Verdict

Act = Callable[[Rig], object]
ACTS: dict[str, Act] = {"plug": lambda rig: rig.plug(), "token": lambda rig: rig.token(), "start": lambda rig: rig.start()}


def ready() -> Rig:
    return Rig().run(0.3)


@pytest.mark.parametrize("order", list(permutations(ACTS)), ids="-".join)
def test_driver_may_act_in_any_order(order: tuple[str, ...]) -> None:
    rig = ready()
    for name in order[:2]:
        ACTS[name](rig)
        rig.run(5.0)
        assert not rig.out.io.sequence_1
    ACTS[order[2]](rig)
    rig.until(S.WAITING_FOR_VEHICLE, limit=1.0)
    assert (rig.out.session.token, rig.out.session.remote_start) == ("04AABBCC", False)


@pytest.mark.parametrize("missing", ACTS)
def test_two_of_three_start_nothing(missing: str) -> None:
    rig = ready()
    for name in set(ACTS) - {missing}:
        ACTS[name](rig)
        rig.run(0.5)
    rig.run(200.0)
    assert S.WAITING_FOR_VEHICLE.name not in rig.path


def test_start_button_may_be_unnecessary() -> None:
    rig = Rig(start_button_required=False).run(0.3)
    rig.plug()
    rig.token()
    rig.until(S.WAITING_FOR_VEHICLE, limit=1.0)


@pytest.mark.parametrize("verdict", [Verdict.BLOCKED, Verdict.EXPIRED, Verdict.INVALID, Verdict.CONCURRENT, Verdict.UNKNOWN])
@pytest.mark.parametrize(("plugged", "back"), [(True, S.PREPARING), (False, S.AVAILABLE)])
def test_refused_token_leads_back(verdict: Verdict, plugged: bool, back: ChargeState) -> None:
    rig = ready()
    rig.plug(plugged)
    rig.run(0.2)
    rig.verdict = verdict
    rig.token()
    rig.until(S.AUTHORIZING, limit=0.2).until(back, limit=0.2)
    assert rig.out.session.token == ""


def test_verdict_that_does_not_come_leads_back() -> None:
    rig = ready()
    rig.verdict = None
    rig.token()
    rig.until(S.AUTHORIZING)
    begun = rig.now
    rig.until(S.AVAILABLE)
    assert rig.now - begun == pytest.approx(rig.config.authorization_timeout, abs=2 * STEP)


def test_verdict_on_another_token_is_ignored() -> None:
    rig = ready()
    rig.verdict = None
    rig.token()
    rig.until(S.AUTHORIZING)
    rig.samples["authorization"] = Sample(Authorization(token="04DDEEFF", verdict=Verdict.ACCEPTED), rig.now)
    rig.run(1.0)
    assert rig.state is S.AUTHORIZING


def test_verdict_of_an_earlier_time_is_ignored() -> None:
    rig = ready()
    rig.token()
    rig.until(S.AUTHORIZED).run(0.2)
    rig.stop()
    rig.until(S.AVAILABLE).run(0.5)
    rig.verdict = None
    rig.token()
    rig.until(S.AUTHORIZING).run(1.0)
    assert rig.state is S.AUTHORIZING


def test_late_verdict_changes_nothing() -> None:
    rig = ready()
    rig.verdict = None
    rig.token()
    rig.until(S.AUTHORIZING).until(S.AVAILABLE)
    rig.samples["authorization"] = Sample(Authorization(token="04AABBCC", verdict=Verdict.ACCEPTED), rig.now)
    rig.run(1.0)
    assert rig.state is S.AVAILABLE


def test_another_token_takes_the_place_of_one_that_waits_for_its_verdict() -> None:
    rig = ready()
    rig.verdict = None
    rig.token("04111111")
    rig.until(S.AUTHORIZING)
    rig.token("04222222")
    rig.run(0.1)
    assert rig.out.session.token == "04222222"
    rig.verdict = Verdict.ACCEPTED
    rig.until(S.AUTHORIZED, limit=0.3)
    assert rig.out.session.token == "04222222"


def test_authorization_expires() -> None:
    rig = ready()
    rig.token()
    rig.until(S.AUTHORIZED)
    begun = rig.now
    rig.until(S.AVAILABLE)
    assert rig.now - begun == pytest.approx(rig.config.authorization_validity, abs=2 * STEP)
    rig.plug()
    rig.start()
    rig.run(5.0)
    assert rig.state is S.PREPARING


@pytest.mark.parametrize(("told", "holds"), [(20.0, 20.0), (5.0, 5.0), (4.9, 60.0), (3601.0, 60.0), (nan, 60.0)])
def test_authorization_expires_when_the_csms_says_within_the_bounds(told: float, holds: float) -> None:
    rig = ready()
    rig.samples["rules"] = Sample(DriverRules(connection_timeout=told), rig.now)
    rig.token()
    rig.until(S.AUTHORIZED)
    begun = rig.now
    rig.until(S.AVAILABLE)
    assert rig.now - begun == pytest.approx(holds, abs=2 * STEP)


def test_start_that_was_pressed_long_ago_does_not_count() -> None:
    rig = ready()
    rig.plug()
    rig.start()
    rig.run(rig.config.authorization_validity + 1.0)
    rig.token()
    rig.until(S.AUTHORIZED).run(5.0)
    assert rig.state is S.AUTHORIZED


@pytest.mark.parametrize("state", [S.AUTHORIZING, S.AUTHORIZED])
def test_stop_button_takes_the_token_back(state: ChargeState) -> None:
    rig = ready()
    rig.plug()
    rig.verdict = None if state is S.AUTHORIZING else Verdict.ACCEPTED
    rig.token()
    rig.until(state).stop()
    rig.until(S.PREPARING, limit=0.2)
    rig.start()
    rig.run(5.0)
    assert rig.state is S.PREPARING


def test_counts_after_a_restart_are_no_press() -> None:
    """Whatever the board counted before, nothing was pressed since."""
    rig = Rig()
    rig.plug()
    rig.start()
    rig.stop()
    rig.token()
    rig.run(3.0)
    assert rig.path == ["PREPARING"]


def test_counts_of_a_board_that_was_restarted_are_no_press() -> None:
    rig = ready()
    rig.plug()
    rig.stop()
    rig.token()
    rig.until(S.AUTHORIZED)
    rig.silent.add("io")
    rig.run(1.0)
    rig.silent.clear()
    rig.board = replace(rig.board, start_count=0, stop_count=0, token_count=0)
    rig.run(2.0)
    assert rig.state is S.AUTHORIZED


def test_counts_after_a_long_silence_are_no_press() -> None:
    rig = ready()
    rig.silent.add("io")
    rig.until(S.FAULTED)
    rig.plug()
    rig.start()
    rig.token()
    rig.silent.clear()
    rig.run(3.0)
    assert rig.state is S.PREPARING


def test_press_during_a_short_gap_counts() -> None:
    rig = ready()
    rig.silent.add("io")
    rig.run(1.0)
    rig.token()
    rig.silent.clear()
    rig.until(S.AUTHORIZING, limit=0.2)


def test_counters_wrap_around() -> None:
    rig = ready()
    for _ in range(40):
        rig.token("04FFFFFF")
        rig.verdict = Verdict.INVALID
        rig.until(S.AUTHORIZING, limit=0.2).until(S.AVAILABLE, limit=0.5)


def test_session_that_ended_needs_the_connector_out() -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    rig.stop()
    rig.until(S.FINISHED)
    rig.start()
    rig.token()
    rig.run(3.0)
    assert rig.state is S.FINISHED
    rig.plug(False)
    rig.run(0.5)
    rig.plug()
    rig.run(0.5)
    assert rig.state is S.PREPARING  # what was pressed meanwhile does not count
    rig.vehicle = Vehicle()
    rig.start()
    rig.token()
    rig.until(S.CHARGING)
    assert rig.out.session.stop_cause is StopCause.NONE


# Back end.


@pytest.mark.parametrize(("authorized", "path"), [(True, ["AUTHORIZED"]), (False, ["AUTHORIZING", "AUTHORIZED"])])
@pytest.mark.parametrize("plugged", [True, False])
def test_remote_start_counts_as_token_and_start(authorized: bool, path: list[str], plugged: bool) -> None:
    rig = ready()
    rig.plug(plugged)
    rig.run(0.2)
    before = len(rig.path)
    rig.ask(RequestKind.START, "REMOTE-TAG", authorized=authorized)
    rig.run(0.5)
    rig.plug()
    rig.run(0.5)
    assert rig.path[before : before + len(path) + 1] == [*path, "WAITING_FOR_VEHICLE"]
    assert (rig.out.session.token, rig.out.session.remote_start) == ("REMOTE-TAG", True)


def test_remote_start_in_the_step_of_plugging_in_is_not_lost() -> None:
    rig = ready()
    rig.plug()
    rig.ask(RequestKind.START, "REMOTE-TAG", authorized=True)
    rig.until(S.WAITING_FOR_VEHICLE, limit=1.0)


def test_remote_start_never_borrows_the_verdict_on_another_token() -> None:
    """The verdict and a start for another token in the same step: the start was refused, and must not slip in."""
    rig = ready()
    rig.token("04111111")
    rig.until(S.AUTHORIZING)
    rig.ask(RequestKind.START, "04222222")
    rig.until(S.AUTHORIZED)
    assert rig.out.session.token == "04111111"


def test_remote_start_with_the_token_that_was_accepted_is_the_button() -> None:
    rig = ready()
    rig.plug()
    rig.token()
    rig.until(S.AUTHORIZED).run(1.0)
    rig.ask(RequestKind.START, "04aabbcc")
    rig.until(S.WAITING_FOR_VEHICLE, limit=0.5)
    assert not rig.out.session.remote_start


def test_shutdown_without_a_session_takes_out_of_service() -> None:
    rig = ready()
    rig.ask(RequestKind.SHUTDOWN)
    rig.until(S.UNAVAILABLE, limit=0.2)
    assert rig.sequencer.at_rest


def test_shutdown_is_at_rest_only_when_the_session_is_over() -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    rig.ask(RequestKind.SHUTDOWN)
    while not rig.sequencer.at_rest:
        rig.step()
        assert rig.now < 200.0
    assert (rig.state, rig.out.io.lock, rig.out.io.close_contactor) == (S.FINISHED, False, False)


def test_out_of_service_and_back() -> None:
    rig = ready()
    rig.ask(RequestKind.DISABLE)
    rig.until(S.UNAVAILABLE, limit=0.2)
    rig.plug()
    rig.token()
    rig.run(2.0)
    assert rig.state is S.UNAVAILABLE
    rig.ask(RequestKind.ENABLE)
    rig.until(S.PREPARING, limit=0.2)


# Faults without a session.


@pytest.mark.parametrize("reaction", [Reaction.BLOCK, Reaction.STOP, Reaction.EMERGENCY, Reaction.UNKNOWN])
@pytest.mark.parametrize("plugged", [True, False])
def test_fault_blocks_and_frees_again(reaction: Reaction, plugged: bool) -> None:
    rig = ready()
    rig.plug(plugged)
    rig.run(0.5)
    before = rig.state
    rig.patch["safety"] = {"reaction": reaction}
    rig.until(S.FAULTED, limit=0.2)
    assert rig.out.io.lamp is Lamp.FAULT
    rig.token()
    rig.run(1.0)
    assert rig.state is S.FAULTED
    rig.patch["safety"] = {}
    rig.until(before, limit=0.2)


@pytest.mark.parametrize("name", ["io", "safety"])
def test_silence_blocks_after_the_idle_age(name: str) -> None:
    rig = ready()
    rig.silent.add(name)
    begun = rig.now
    rig.until(S.FAULTED)
    assert rig.now - begun == pytest.approx(rig.config.idle_age, abs=0.15)
    rig.silent.clear()
    rig.until(S.AVAILABLE, limit=0.3)


def test_warning_blocks_nothing() -> None:
    rig = Rig()
    rig.patch["safety"] = {"reaction": Reaction.WARN}
    rig.to(S.CHARGING)


def test_initialising_waits_for_the_monitor() -> None:
    rig = Rig()
    rig.silent.add("safety")
    rig.run(5.0)
    assert rig.state is S.INITIALISING
    rig.silent.clear()
    rig.until(S.AVAILABLE, limit=0.2)


# Answers.


def request(kind: RequestKind, token: str = "TAG") -> SessionRequest:
    return SessionRequest(kind=kind, token=token)


def in_state(state: ChargeState) -> Rig:
    if state is S.AVAILABLE:
        return ready()
    rig = Rig()
    if state is S.FINISHED:
        rig.to(S.CHARGING).run(1.0).stop()
        return rig.until(state)
    return rig.to(state)


@pytest.mark.parametrize(
    ("state", "kind", "accepted"),
    [
        (S.AVAILABLE, RequestKind.START, True),
        (S.AVAILABLE, RequestKind.STOP, False),
        (S.AVAILABLE, RequestKind.UNLOCK, True),
        (S.PREPARING, RequestKind.START, True),
        (S.WAITING_FOR_VEHICLE, RequestKind.START, False),
        (S.WAITING_FOR_VEHICLE, RequestKind.STOP, True),
        (S.CHARGING, RequestKind.START, False),
        (S.CHARGING, RequestKind.STOP, True),
        (S.CHARGING, RequestKind.UNLOCK, True),
        (S.CHARGING, RequestKind.DISABLE, True),
        (S.CHARGING, RequestKind.UNKNOWN, False),
        (S.FINISHED, RequestKind.START, False),
        (S.FINISHED, RequestKind.STOP, False),
        (S.FINISHED, RequestKind.ENABLE, True),
    ],
)
def test_answer_says_what_will_happen(state: ChargeState, kind: RequestKind, accepted: bool) -> None:
    rig = in_state(state)
    answer = rig.sequencer.answer(request(kind), rig.inputs, rig.now)
    assert answer.accepted is accepted
    assert answer.accepted or answer.message


@pytest.mark.parametrize(("token", "words"), [("", "0"), ("X" * 21, "21")])
def test_token_that_ocpp_cannot_carry_is_refused(token: str, words: str) -> None:
    rig = ready()
    answer = rig.sequencer.answer(request(RequestKind.START, token), rig.inputs, rig.now)
    assert not answer.accepted
    assert words in answer.message


def test_start_is_refused_with_the_fault_that_blocks() -> None:
    rig = ready()
    rig.patch["safety"] = {"reaction": Reaction.BLOCK, "first_fault": "door_open"}
    rig.until(S.FAULTED)
    assert not rig.sequencer.answer(request(RequestKind.START), rig.inputs, rig.now).accepted


def test_start_is_refused_by_a_fault_that_the_next_step_would_see() -> None:
    rig = ready()
    rig.now += 5.0
    answer = rig.sequencer.answer(request(RequestKind.START), rig.inputs, rig.now)
    assert not answer.accepted
    assert "silent" in answer.message


def test_stop_of_another_session_is_refused() -> None:
    rig = Rig().to(S.CHARGING)
    answer = rig.sequencer.answer(request(RequestKind.STOP), rig.inputs, rig.now, "other")
    assert not answer.accepted
    assert rig.out.session.session_id in answer.message
    assert rig.sequencer.answer(request(RequestKind.STOP), rig.inputs, rig.now, rig.out.session.session_id).accepted


def test_unlocking_is_refused_with_the_voltage() -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    rig.patch["io"] = {"connector_voltage": 300.0}
    rig.stop()
    rig.until(S.FAULTED)
    answer = rig.sequencer.answer(request(RequestKind.UNLOCK), rig.inputs, rig.now)
    assert not answer.accepted
    assert "300 V" in answer.message


def test_answers_change_nothing() -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    for kind in RequestKind:
        rig.sequencer.answer(request(kind), rig.inputs, rig.now)
    rig.run(1.0)
    assert rig.state is S.CHARGING


def test_requests_before_anything_is_known_are_refused() -> None:
    sequencer = ChargeSequencer(SequencerConfig())
    for kind in (RequestKind.START, RequestKind.STOP, RequestKind.UNLOCK):
        assert not sequencer.answer(request(kind), SequencerInputs(), 1.0).accepted
