"""The status of a connector: what each state of the sequence is called, what faults and silence make of it, which changes the protocol knows."""

from dataclasses import replace
from itertools import pairwise

import pytest
from safety_bench import Bench

from evse_core.ocpp16_messages import Request
from evse_core.ocpp16_status import (
    ALLOWED,
    SILENCE,
    STARTING,
    SUSPENDED_AFTER,
    ConnectorStatus,
    Status,
    StatusInputs,
    StatusRule,
    path,
    station_status,
    status_notification,
)
from evse_core.sample import Sample
from evse_core.types import ChargeState, FaultEvent, MeterReading, Reaction, SafetyState, SessionState, StopCause

IDLE = SessionState(state=ChargeState.AVAILABLE, available=True)
CHARGING = SessionState(state=ChargeState.CHARGING, available=True, session_active=True, transaction_active=True)
SAFE = SafetyState(reaction=Reaction.NONE)


def inputs(
    session: SessionState = IDLE, safety: SafetyState = SAFE, current: float = 100.0, at: float = 100.0, **faults: FaultEvent
) -> StatusInputs:
    return StatusInputs(Sample(session, at), Sample(safety, at), Sample(MeterReading(current=current), at), faults)


def status(session: SessionState = IDLE, safety: SafetyState = SAFE, **faults: FaultEvent) -> ConnectorStatus:
    return StatusRule().status(inputs(session, safety, **faults), 100.0)


@pytest.mark.parametrize(
    ("state", "outside", "inside"),
    [
        (ChargeState.UNKNOWN, "Faulted", "Faulted"),
        (ChargeState.INITIALISING, "Unavailable", "Unavailable"),
        (ChargeState.AVAILABLE, "Available", "Available"),
        (ChargeState.UNAVAILABLE, "Unavailable", "Unavailable"),
        (ChargeState.PREPARING, "Preparing", "Preparing"),
        (ChargeState.AUTHORIZING, "Preparing", "Preparing"),
        (ChargeState.AUTHORIZED, "Preparing", "Preparing"),
        (ChargeState.WAITING_FOR_VEHICLE, "Preparing", "Preparing"),
        (ChargeState.WAITING_FOR_PERMISSION, "Preparing", "Preparing"),
        (ChargeState.LOCKING, "Preparing", "SuspendedEVSE"),
        (ChargeState.CABLE_CHECK, "Preparing", "SuspendedEVSE"),
        (ChargeState.LOWERING_OUTPUT, "Preparing", "SuspendedEVSE"),
        (ChargeState.PRECHARGE, "Preparing", "SuspendedEVSE"),
        (ChargeState.WAITING_FOR_CONTACTOR, "Preparing", "SuspendedEV"),
        (ChargeState.WAITING_FOR_REQUEST, "Preparing", "SuspendedEV"),
        (ChargeState.CHARGING, "Preparing", "Charging"),
        (ChargeState.RAMPING_DOWN, "Finishing", "Charging"),
        (ChargeState.WELDING_DETECTION, "Finishing", "SuspendedEVSE"),
        (ChargeState.CLOSING, "Finishing", "SuspendedEVSE"),
        (ChargeState.UNLOCKING, "Finishing", "SuspendedEVSE"),
        (ChargeState.FINISHED, "Finishing", "Finishing"),
        (ChargeState.EMERGENCY, "Faulted", "Faulted"),
        (ChargeState.FAULTED, "Faulted", "Faulted"),
        (ChargeState.RECOVERING, "Finishing", "SuspendedEVSE"),
    ],
)
def test_each_state_of_the_sequence_has_its_status(state: ChargeState, outside: str, inside: str) -> None:
    base = SessionState(state=state, available=True)
    assert status(base).status == outside
    assert status(replace(base, transaction_active=True, session_active=True)).status == inside


def test_every_state_is_in_the_table() -> None:
    for state in ChargeState:
        for active in (False, True):
            assert status(SessionState(state=state, available=True, transaction_active=active)).status in Status


def test_an_evse_out_of_service_is_unavailable() -> None:
    assert status(replace(IDLE, available=False)).status == Status.UNAVAILABLE


@pytest.mark.parametrize(
    ("reaction", "session", "expected", "code"),
    [
        (Reaction.WARN, IDLE, Status.AVAILABLE, "HighTemperature"),
        (Reaction.BLOCK, IDLE, Status.FAULTED, "HighTemperature"),
        (Reaction.BLOCK, CHARGING, Status.CHARGING, "HighTemperature"),
        (Reaction.STOP, CHARGING, Status.FAULTED, "HighTemperature"),
        (Reaction.EMERGENCY, CHARGING, Status.FAULTED, "HighTemperature"),
    ],
)
def test_a_fault_makes_a_connector_faulted_where_it_blocks(reaction: Reaction, session: SessionState, expected: Status, code: str) -> None:
    event = FaultEvent(fault="hot", active=True, reaction=reaction, ocpp16_error="HighTemperature", mrec_code="CX012", detail="95 °C")
    found = status(session, SafetyState(reaction=reaction, faults=("hot",), first_fault="hot"), hot=event)
    assert (found.status, found.error_code, found.vendor_error_code, found.info) == (expected, code, "CX012", "hot: 95 °C")


@pytest.mark.parametrize(
    ("word", "state", "code"),
    [
        ("EVCommunicationError", ChargeState.FAULTED, "OtherError"),  # A warning in the protocol, never with Faulted.
        ("EVCommunicationError", ChargeState.PREPARING, "EVCommunicationError"),
        ("NoError", ChargeState.FAULTED, "OtherError"),
        ("NoError", ChargeState.PREPARING, "NoError"),
        ("Nonsense", ChargeState.PREPARING, "OtherError"),
        ("", ChargeState.PREPARING, "OtherError"),
    ],
)
def test_error_codes_are_those_of_the_protocol(word: str, state: ChargeState, code: str) -> None:
    event = FaultEvent(fault="f", active=True, ocpp16_error=word)
    assert (
        status(SessionState(state=state), SafetyState(reaction=Reaction.WARN, faults=("f",), first_fault="f"), f=event).error_code == code
    )


def test_a_fault_without_its_event_is_still_named() -> None:
    found = status(IDLE, SafetyState(reaction=Reaction.EMERGENCY, faults=("door",), first_fault="door"))
    assert (found.status, found.error_code, found.info) == (Status.FAULTED, "OtherError", "door")


def test_a_warning_that_was_there_before_is_not_what_the_csms_hears_of_as_the_cause() -> None:
    """From the monitor's inputs to the error code: first a recorder that is gone, then the residual current device trips."""
    bench = Bench()
    bench.run(8.0, ChargeState.CHARGING, ages={"/recorder": 10.0})
    bench.run(1.0, ChargeState.CHARGING, {"io": {"residual_current_trip": True}}, {"/recorder": 10.0})
    assert [event.fault for event in bench.events] == ["node_silent", "residual_current"]
    found = status(CHARGING, bench.outputs.state, **{event.fault: event for event in bench.events})
    assert (found.status, found.error_code, found.vendor_error_code) == (Status.FAULTED, "GroundFailure", "CX002")


@pytest.mark.parametrize(("limited", "expected"), [(False, Status.SUSPENDED_EV), (True, Status.SUSPENDED_EVSE)])
def test_no_current_for_a_while_is_suspended(limited: bool, expected: Status) -> None:
    rule, session = StatusRule(), replace(CHARGING, limited=limited)
    seen = [rule.status(inputs(session, current=0.2, at=now), now).status for now in (0.0, SUSPENDED_AFTER - 0.1, SUSPENDED_AFTER)]
    assert seen == [Status.CHARGING, Status.CHARGING, expected]
    assert rule.status(inputs(session, current=10.0, at=9.0), 9.0).status == Status.CHARGING
    assert rule.status(inputs(session, current=0.2, at=9.5), 9.5).status == Status.CHARGING


def test_an_unknown_current_does_not_suspend() -> None:
    rule = StatusRule()
    for now in (0.0, 60.0):
        assert rule.status(inputs(CHARGING, current=float("nan"), at=now), now).status == Status.CHARGING


@pytest.mark.parametrize("silent", ["session", "safety"])
def test_a_silent_node_is_unavailable_while_starting_and_then_a_fault(silent: str) -> None:
    rule, given = StatusRule(), replace(inputs(at=0.0), **{silent: None})
    assert rule.status(given, 0.0).status == Status.UNAVAILABLE
    assert rule.step(given, 0.1) is None, "nothing is known yet, and so nothing is told"
    later = replace(inputs(at=STARTING), **{silent: None})
    found = rule.status(later, STARTING)
    assert (found.status, found.error_code) == (Status.FAULTED, "InternalError")
    assert rule.step(later, STARTING) == found


def test_a_node_that_falls_silent_is_a_fault() -> None:
    rule = StatusRule()
    assert rule.status(inputs(at=0.0), SILENCE).status == Status.AVAILABLE
    found = rule.status(inputs(at=0.0), SILENCE + 0.1)
    assert (found.status, found.error_code, found.info) == (Status.FAULTED, "InternalError", "charge_sequencer is silent")


def test_a_change_is_reported_once_and_words_alone_are_none() -> None:
    rule, rough = StatusRule(), SafetyState(reaction=Reaction.WARN, faults=("f",), first_fault="f")
    reported = rule.step(inputs(at=0.0), 0.0)
    assert reported is not None
    assert reported.status == Status.AVAILABLE
    assert rule.step(inputs(at=1.0), 1.0) is None
    first = FaultEvent(fault="f", active=True, ocpp16_error="OtherError", detail="1 V")
    assert rule.step(inputs(IDLE, rough, at=2.0, f=first), 2.0) is not None
    assert rule.step(inputs(IDLE, rough, at=3.0, f=replace(first, detail="2 V")), 3.0) is None


def test_a_status_shorter_than_the_minimum_duration_is_not_reported() -> None:
    rule, busy = StatusRule(minimum_duration=2.0), SessionState(state=ChargeState.PREPARING)
    assert rule.step(inputs(at=0.0), 0.0) is not None
    assert rule.step(inputs(busy, at=1.0), 1.0) is None
    assert rule.step(inputs(at=2.0), 2.0) is None
    assert rule.step(inputs(busy, at=3.0), 3.0) is None
    assert rule.step(inputs(busy, at=4.9), 4.9) is None
    found = rule.step(inputs(busy, at=5.0), 5.0)
    assert found is not None
    assert found.status == Status.PREPARING


def test_a_fault_is_reported_with_its_cause_where_that_comes_soon() -> None:
    event = FaultEvent(fault="hot", active=True, ocpp16_error="HighTemperature")
    stopped, hot = SessionState(state=ChargeState.EMERGENCY), SafetyState(reaction=Reaction.EMERGENCY, faults=("hot",), first_fault="hot")
    rule = StatusRule()
    assert rule.step(inputs(CHARGING, at=0.0), 0.0) is not None
    assert rule.step(inputs(stopped, at=1.0), 1.0) is None
    assert rule.step(inputs(stopped, hot, at=1.1), 1.1) is None
    found = rule.step(inputs(stopped, hot, at=1.2, hot=event), 1.2)
    assert found is not None
    assert found.error_code == "HighTemperature"


def test_a_fault_without_a_known_cause_is_reported_soon_all_the_same() -> None:
    rule, stopped = StatusRule(), SessionState(state=ChargeState.EMERGENCY)
    assert rule.step(inputs(CHARGING, at=0.0), 0.0) is not None
    assert rule.step(inputs(stopped, at=1.0), 1.0) is None
    found = rule.step(inputs(stopped, at=1.5), 1.5)
    assert found is not None
    assert (found.status, found.error_code) == (Status.FAULTED, "OtherError")


@pytest.mark.parametrize(
    ("connectors", "expected"),
    [
        (["Available", "Faulted"], Status.AVAILABLE),
        (["Faulted", "Faulted"], Status.FAULTED),
        (["Unavailable", "Unavailable"], Status.UNAVAILABLE),
        (["Unavailable", "Faulted"], Status.UNAVAILABLE),
        (["Charging"], Status.AVAILABLE),
        ([], Status.AVAILABLE),
    ],
)
def test_the_station_is_out_of_order_only_where_every_connector_is(connectors: list[str], expected: Status) -> None:
    assert station_status(ConnectorStatus(Status(name)) for name in connectors).status == expected


def test_the_table_of_changes_is_that_of_the_protocol() -> None:
    assert set(ALLOWED) == set(Status)
    assert all(start not in targets for start, targets in ALLOWED.items())
    assert all(Status.FAULTED in targets for start, targets in ALLOWED.items() if start != Status.FAULTED)
    assert len(ALLOWED[Status.FAULTED]) == 8
    assert Status.RESERVED not in ALLOWED[Status.PREPARING] | ALLOWED[Status.UNAVAILABLE]


# What a session goes through, as (state, session_active, transaction_active).
SESSIONS = {
    "complete": [
        (ChargeState.INITIALISING, False, False),
        (ChargeState.AVAILABLE, False, False),
        (ChargeState.PREPARING, False, False),
        (ChargeState.AUTHORIZING, False, False),
        (ChargeState.AUTHORIZED, False, False),
        (ChargeState.WAITING_FOR_VEHICLE, True, False),
        (ChargeState.WAITING_FOR_PERMISSION, True, False),
        (ChargeState.LOCKING, True, True),
        (ChargeState.CABLE_CHECK, True, True),
        (ChargeState.LOWERING_OUTPUT, True, True),
        (ChargeState.WAITING_FOR_CONTACTOR, True, True),
        (ChargeState.WAITING_FOR_REQUEST, True, True),
        (ChargeState.CHARGING, True, True),
        (ChargeState.RAMPING_DOWN, True, True),
        (ChargeState.WELDING_DETECTION, True, True),
        (ChargeState.CLOSING, True, True),
        (ChargeState.UNLOCKING, True, False),
        (ChargeState.FINISHED, False, False),
        (ChargeState.AVAILABLE, False, False),
        (ChargeState.UNAVAILABLE, False, False),
        (ChargeState.AVAILABLE, False, False),
    ],
    "refused before the lock": [
        (ChargeState.AVAILABLE, False, False),
        (ChargeState.PREPARING, False, False),
        (ChargeState.WAITING_FOR_VEHICLE, True, False),
        (ChargeState.CLOSING, True, False),
        (ChargeState.UNLOCKING, True, False),
        (ChargeState.FINISHED, False, False),
        (ChargeState.PREPARING, False, False),
        (ChargeState.AVAILABLE, False, False),
    ],
    "emergency": [
        (ChargeState.CHARGING, True, True),
        (ChargeState.EMERGENCY, True, True),
        (ChargeState.UNLOCKING, True, False),
        (ChargeState.FAULTED, False, False),
        (ChargeState.AVAILABLE, False, False),
    ],
    "restarted sequencer": [
        (ChargeState.CHARGING, True, True),
        (ChargeState.RECOVERING, True, True),
        (ChargeState.RECOVERING, True, False),
        (ChargeState.FINISHED, False, False),
        (ChargeState.AVAILABLE, False, False),
    ],
}


@pytest.mark.parametrize("name", SESSIONS)
def test_the_statuses_of_a_session_change_as_the_protocol_allows(name: str) -> None:
    seen = [
        status(
            SessionState(state=state, session_active=active, transaction_active=running, available=state != ChargeState.UNAVAILABLE)
        ).status
        for state, active, running in SESSIONS[name]
    ]
    for old, new in pairwise(seen):
        assert new == old or new in ALLOWED[old], f"{old} → {new} in {seen}"


def test_a_notification_leaves_empty_fields_out() -> None:
    assert status_notification(1, ConnectorStatus(Status.AVAILABLE), 0.0) == Request(
        "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError", "timestamp": "1970-01-01T00:00:00.000Z"}
    )


@pytest.mark.parametrize("old", Status)
@pytest.mark.parametrize("new", Status)
def test_every_change_is_told_in_steps_of_the_table(old: Status, new: Status) -> None:
    if old == new:
        return
    way = (old, *path(old, new))
    assert way[-1] == new
    assert all(later in ALLOWED[earlier] for earlier, later in pairwise(way))
    assert len(way) == 2 or new not in ALLOWED[old]
    assert Status.FAULTED not in way[1:-1]


@pytest.mark.parametrize(
    ("old", "new", "between"),
    [
        (Status.PREPARING, Status.UNAVAILABLE, (Status.AVAILABLE,)),
        (Status.PREPARING, Status.RESERVED, (Status.AVAILABLE,)),
        (Status.FINISHING, Status.CHARGING, (Status.PREPARING,)),
        (Status.UNAVAILABLE, Status.RESERVED, (Status.AVAILABLE,)),
        (Status.RESERVED, Status.CHARGING, (Status.PREPARING,)),
        (Status.AVAILABLE, Status.CHARGING, ()),
    ],
)
def test_what_the_table_does_not_have_goes_by_way_of_something_true(old: Status, new: Status, between: tuple[Status, ...]) -> None:
    assert path(old, new) == (*between, new)


def test_a_vehicle_that_was_unplugged_is_told_in_words() -> None:
    over = SessionState(state=ChargeState.FINISHED, available=True, stop_cause=StopCause.UNPLUGGED)
    assert (status(over).status, status(over).info) == (Status.FINISHING, "EV side disconnected")
    assert status(replace(over, stop_cause=StopCause.LOCAL)).info == ""
    assert status(replace(over, state=ChargeState.AVAILABLE)).info == ""


def test_reserved_shows_where_nobody_is() -> None:
    rule = StatusRule()
    for session, expected in (
        (IDLE, Status.RESERVED),
        (replace(IDLE, state=ChargeState.PREPARING), Status.PREPARING),
        (CHARGING, Status.CHARGING),
        (replace(IDLE, available=False), Status.UNAVAILABLE),
    ):
        assert rule.status(replace(inputs(session), reserved=True), 100.0).status == expected
