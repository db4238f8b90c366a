"""The tables of the charging sequence: complete, reachable, and nothing but what they say happens."""

import re
from dataclasses import replace

import pytest
from charge_sequencer_rig import PERMIT_STATES, Rig, S

from evse_core.charge_sequencer_config import SequencerConfig
from evse_core.charge_sequencer_facts import FAULT_CAUSES, SYSTEM_FAULTS
from evse_core.charge_sequencer_links import LINKS
from evse_core.charge_sequencer_outputs import ACTIVE, OUTPUTS
from evse_core.charge_sequencer_session import Ending
from evse_core.charge_sequencer_steps import LAST_STEPS, STEPS
from evse_core.charge_sequencer_table import ENERGISED, RUNNING, STARTING, TRANSITIONS, Transition
from evse_core.fault_table import FAULTS
from evse_core.parameter import check, parameters
from evse_core.types import ChargeState, PowerFunction, Reaction, RequestKind, StopCause

STATES = [state for state in ChargeState if state is not ChargeState.UNKNOWN]
# States that a link does not have: a CHAdeMO vehicle has no precharge, alternating current knows no cable check and no contactor in the vehicle.
WITHOUT: dict[str, set[ChargeState]] = {
    "chademo": {S.PRECHARGE},
    "secc": set(),
    "pilot": {S.WAITING_FOR_PERMISSION, S.CABLE_CHECK, S.LOWERING_OUTPUT, S.PRECHARGE, S.WAITING_FOR_CONTACTOR, S.WELDING_DETECTION},
}
OF_LINK = [(name, state) for name in LINKS for state in STATES if state not in WITHOUT[name]]
# States in which the station waits for a person; all others have a row that opens by time alone.
WAITS_FOR_SOMEBODY = {S.INITIALISING, S.AVAILABLE, S.UNAVAILABLE, S.PREPARING, S.FINISHED, S.FAULTED}
ON_THE_WAY = [
    S.PREPARING,
    S.AUTHORIZED,
    S.WAITING_FOR_VEHICLE,
    S.WAITING_FOR_PERMISSION,
    S.LOCKING,
    S.CABLE_CHECK,
    S.LOWERING_OUTPUT,
    S.WAITING_FOR_CONTACTOR,
    S.WAITING_FOR_REQUEST,
    S.CHARGING,
]


def timed(row: Transition) -> bool:
    """Return whether the guard names a time that is long over, or that a request or a ramp ends."""
    names = set(re.findall("`([a-z_]+)`", row.guard.text))
    return any(name.endswith(("_timeout", "_validity", "_wait")) for name in names) or "remaining time" in row.guard.text


@pytest.mark.parametrize(("link", "state"), OF_LINK)
def test_every_state_is_reached_and_left(link: str, state: ChargeState) -> None:
    rows = LINKS[link].transitions
    assert state is S.INITIALISING or any(row.target is state for row in rows)
    assert any(state in row.sources and row.target is not state for row in rows)
    assert state in OUTPUTS


# A charge controller may let a vehicle that is ready wait for hours (can.md 1.4 row 11), and leads while it charges.
# An AC vehicle may wait in state B as long as it likes.
LED_FOR_LONG = {("secc", S.WAITING_FOR_REQUEST), ("secc", S.CHARGING), ("pilot", S.WAITING_FOR_REQUEST)}


@pytest.mark.parametrize(("link", "state"), [pair for pair in OF_LINK if pair[1] not in WAITS_FOR_SOMEBODY and pair not in LED_FOR_LONG])
def test_every_state_that_waits_for_a_machine_has_a_time_limit(link: str, state: ChargeState) -> None:
    assert any(state in row.sources and timed(row) for row in LINKS[link].transitions)


@pytest.mark.parametrize("link", LINKS)
def test_every_parameter_named_by_a_guard_exists(link: str) -> None:
    known = {item.name for item, _ in parameters(SequencerConfig)}
    named = {name for row in LINKS[link].transitions for name in re.findall("`([a-z_]+)`", row.guard.text)}
    assert named <= known
    assert len(named) > 10


@pytest.mark.parametrize("link", LINKS)
def test_every_row_that_ends_an_open_session_has_a_cause(link: str) -> None:
    for row in LINKS[link].transitions:
        ends = row.sources & (STARTING | RUNNING | {S.PRECHARGE}) and row.target in {S.CLOSING, S.RAMPING_DOWN, S.EMERGENCY}
        if ends and isinstance(row.ending, Ending):
            assert row.ending.cause is not StopCause.NONE, row.guard.text


@pytest.mark.parametrize("link", LINKS)
def test_what_is_energised_is_ramped_down_or_cut_and_never_left_otherwise(link: str) -> None:
    running = RUNNING | {S.PRECHARGE}
    # Who pulls an AC connector leaves state C, on which the board has opened already; CLOSING has an open contactor.
    ends = {S.RAMPING_DOWN, S.EMERGENCY} | ({S.CLOSING} if link == "pilot" else set())
    for row in LINKS[link].transitions:
        if row.sources & running:
            assert row.target in running | ends, row.guard.text
            assert row.target is not S.CLOSING or row.guard.text == "unplugged"


def test_only_a_passed_cable_check_leads_to_signal_2() -> None:
    assert {source for row in TRANSITIONS if row.target is S.WAITING_FOR_CONTACTOR for source in row.sources} == {S.LOWERING_OUTPUT}
    assert {source for row in TRANSITIONS if row.target is S.LOWERING_OUTPUT for source in row.sources} == {S.CABLE_CHECK}
    assert {state for state in STATES if OUTPUTS[state].sequence_2} == {
        S.WAITING_FOR_CONTACTOR,
        S.WAITING_FOR_REQUEST,
        S.CHARGING,
        S.RAMPING_DOWN,
        S.WELDING_DETECTION,
        S.EMERGENCY,
    }


def test_contactor_and_functions_belong_to_states_with_a_permit() -> None:
    for state in STATES:
        row = OUTPUTS[state]
        assert not row.contactor or state in ENERGISED | {S.PRECHARGE}
        assert row.function in {PowerFunction.OFF, PowerFunction.STANDBY} or state in ENERGISED | {S.PRECHARGE}
    assert ENERGISED | {S.PRECHARGE} <= PERMIT_STATES


def test_steps_grow_along_the_way() -> None:
    numbers = [STEPS[state] for state in ON_THE_WAY if state in STEPS] + list(LAST_STEPS.values())
    assert numbers == sorted(numbers)
    assert set(STEPS) | set(LAST_STEPS) <= ACTIVE


def test_faults_with_a_meaning_of_their_own_are_in_the_fault_table() -> None:
    assert SYSTEM_FAULTS | set(FAULT_CAUSES) <= {fault.name for fault in FAULTS}


def test_defaults_are_within_their_bounds_and_every_bound_is_told() -> None:
    assert check(SequencerConfig()) == []
    errors = check(replace(SequencerConfig(), unlock_voltage=11.0, sequence_gap=0.4, insulation_per_volt=50.0))
    assert [error.split(":")[0] for error in errors] == ["insulation_per_volt", "sequence_gap", "unlock_voltage"]


def test_ramp_and_contactor_fit_into_the_time_that_the_monitor_gives() -> None:
    """docs/design.md, The permit 5: a STOP that is not followed within 5 s becomes an emergency."""
    bounds = {item.name: info.maximum for item, info in parameters(SequencerConfig)}
    config = SequencerConfig()
    assert config.ramp_down_timeout + config.output_contactor_timeout < 5.0
    assert config.discharge_time < config.ramp_down_timeout
    assert bounds["ramp_down_timeout"] is not None


# An event that no row of the present state names changes nothing.

IRRELEVANT = {
    "remote_start": lambda rig: rig.ask(RequestKind.START, "TAG", authorized=True),
    "start_button": lambda rig: rig.start(),
    "enable": lambda rig: rig.ask(RequestKind.ENABLE),
    "unknown_request": lambda rig: rig.ask(RequestKind.UNKNOWN),
    "another_token": lambda rig: rig.token("04DDEEFF"),
    "empty_token": lambda rig: rig.token(""),
    "warning": lambda rig: rig.patch["safety"].update(reaction=Reaction.WARN),
    "block": lambda rig: rig.patch["safety"].update(reaction=Reaction.BLOCK),
    "door": lambda rig: rig.patch["io"].update(door_open=True),
}


@pytest.mark.parametrize("name", IRRELEVANT)
@pytest.mark.parametrize("state", [state for state in ON_THE_WAY if state in STARTING | RUNNING])
def test_event_that_no_row_names_changes_nothing(state: ChargeState, name: str) -> None:
    disturbed, undisturbed = Rig().to(state), Rig().to(state)
    IRRELEVANT[name](disturbed)
    disturbed.run(0.2)
    undisturbed.run(0.2)
    assert disturbed.path == undisturbed.path
    assert disturbed.out.io == undisturbed.out.io
    assert repr(disturbed.out.power) == repr(undisturbed.out.power)
    assert repr(disturbed.out.session) == repr(undisturbed.out.session)
