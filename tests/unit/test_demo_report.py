"""What a demo says in the end: story of the session, energies, verdicts on faults. Filled by hand."""

import json
from io import StringIO
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evse_core.types import (
    ChargeRecord,
    ChargeState,
    FaultEvent,
    MeterReading,
    PowerReport,
    PriceLine,
    Reaction,
    RecordStatus,
    Registration,
    SafetyState,
    SessionPrice,
    SessionState,
    SimPower,
    SimVehicleLines,
    StopCause,
    Transaction,
    UplinkState,
)
from evse_core.vehicle_link import CHADEMO, NAMES, PILOT, SECC
from evse_simulators.faults import FAULTS
from evse_tools import demo_print, live_table
from evse_tools.demo_faults import EXPECTED, Outcome, expected, judge
from evse_tools.demo_options import Options
from evse_tools.demo_processes import Usage
from evse_tools.demo_report import LED_STATES, Energies, Report, Session, completeness
from evse_tools.demo_station import expand
from evse_tools.demo_track import Track

# state, step, time since the start of the story [s]
STORY = (
    (ChargeState.AVAILABLE, 0, 0.0),
    (ChargeState.AUTHORIZED, 0, 2.0),
    (ChargeState.WAITING_FOR_VEHICLE, 1, 3.0),
    (ChargeState.WAITING_FOR_PERMISSION, 6, 3.5),
    (ChargeState.LOCKING, 8, 4.0),
    (ChargeState.WAITING_FOR_CONTACTOR, 9, 8.0),
    (ChargeState.CHARGING, 10, 9.0),
    (ChargeState.RAMPING_DOWN, 11, 20.0),
    (ChargeState.CLOSING, 12, 22.0),
    (ChargeState.FINISHED, 12, 23.0),
)
START = 1_000.0


def told(story: tuple[tuple[ChargeState, int, float], ...] = STORY) -> Track:
    track = Track(1)
    for state, step, time in story:
        active = step > 0 and state not in {ChargeState.FINISHED, ChargeState.FAULTED}
        cause = StopCause.LOCAL if time >= 20.0 else StopCause.NONE
        track.take(
            SessionState(
                stamp=START + time, state=state, step=step, session_id="s1" if step else "", session_active=active, stop_cause=cause
            )
        )
    track.take(
        ChargeRecord(session_id="s1", status=RecordStatus.CLOSED, begin_register_wh=10.0, end_register_wh=210.0, cost=10, currency="EUR")
    )
    track.take(Transaction(session_id="s1", transaction_id=7, stop_confirmed=True))
    return track


def test_a_state_that_skips_steps_has_passed_them() -> None:
    steps = dict(told().session_steps())
    assert list(steps) == list(range(1, 13))
    assert (steps[1], steps[2], steps[6], steps[7], steps[12]) == pytest.approx((0.0, 0.5, 0.5, 1.0, 19.0))


def test_times_count_from_the_sessions_start() -> None:
    track = told()
    assert next(iter(track.session_states())) == (ChargeState.WAITING_FOR_VEHICLE, 0.0)
    assert track.relative(track.end) == pytest.approx(20.0)
    assert track.entered(ChargeState.CHARGING) == START + 9.0
    assert isnan(track.entered(ChargeState.EMERGENCY))


def test_a_complete_session_has_no_problems_and_an_incomplete_one_names_them() -> None:
    assert completeness(told()) == []
    problems = completeness(told(STORY[:6]))
    assert any("did not end" in problem for problem in problems)
    assert any(problem.startswith("steps reached: 1, 2") for problem in problems)
    assert any("never charged" in problem for problem in problems)


@pytest.mark.parametrize("connecting", [ChargeState.PRECHARGE, ChargeState.WAITING_FOR_CONTACTOR])
def test_a_vehicle_behind_a_charge_controller_is_precharged_or_connects_itself(connecting: ChargeState) -> None:
    passed = [state for states in LED_STATES for state in states if state not in {ChargeState.PRECHARGE, ChargeState.WAITING_FOR_CONTACTOR}]

    def track(states: list[ChargeState]) -> Track:
        made = told(((ChargeState.AVAILABLE, 0, 0.0), *((state, 1, 3.0) for state in states), (ChargeState.FINISHED, 1, 23.0)))
        made.link = SECC
        return made

    assert completeness(track([*passed, connecting])) == []
    assert completeness(track(passed)) == ["states not reached: PRECHARGE or WAITING_FOR_CONTACTOR"]


def test_an_unexpected_fault_is_a_problem() -> None:
    track = told()
    track.take(FaultEvent(fault="bus_error", active=True, detail="vehicle bus"))
    assert completeness(track) == ["fault bus_error: vehicle bus"]
    assert completeness(track, ("bus_error",)) == []


def test_the_vehicle_counts_until_it_is_unplugged() -> None:
    track = told()
    track.take(SimVehicleLines(plugged=True, energy_wh=199.9))
    track.take(SimVehicleLines(plugged=False, energy_wh=0.0))
    assert track.vehicle_energy_wh == 199.9


@pytest.mark.parametrize(
    ("energies", "wrong"),
    [
        (Energies(1000.0, 1000.0, 1000.0, 1000.0), ()),
        (Energies(1000.0, 1005.9, 1004.9, 1005.9), ()),
        (Energies(1000.0, 1006.1, 1000.0, 1000.0), ("csms",)),
        (Energies(1000.0, 1000.0, 994.9, 1006.1), ("vehicle", "receipt")),
        (Energies(1000.0, None, 1000.0, 1000.0), ("csms",)),
        (Energies(None, 1.0, 1.0, 1.0), ("meter",)),
        (Energies(20.0, 21.0, 20.0, 20.0), ()),
        (Energies(20.0, 22.0, 20.0, 20.0), ("csms",)),
    ],
)
def test_energies_that_disagree_by_more_than_half_a_percent_are_named(energies: Energies, wrong: tuple[str, ...]) -> None:
    problems = energies.problems(("meter", "csms", "vehicle", "receipt"))
    assert [name for name in ("meter", "csms", "vehicle", "receipt") if any(f"the {name}" in p.split(",")[0] for p in problems)] == list(
        wrong
    )


def test_a_real_csms_need_not_say_its_energy() -> None:
    assert Energies(1000.0, None, 1000.0, 1000.0).problems(("meter", "vehicle", "receipt")) == []


def report(track: Track, outcome: Outcome | None = None) -> Report:
    session = Session(track, Energies(200.0, 200.0, 199.9, 200.0), "receipt.txt", "Receipt 1", tuple(completeness(track)))
    return Report([session], "recordings/r", "chart.png", 9.0, 40.0, [Usage("can_bridge", 12, 60.0, 2.0, 40.0)], outcome, [])


def test_the_json_has_the_promised_fields() -> None:
    found = json.loads(json.dumps(report(told()).as_dict(), allow_nan=False))
    session = found["sessions"][0]
    assert (session["evse"], session["transaction_id"], session["stop_reason"], session["duration_s"]) == (1, 7, "local", 20.0)
    assert session["energy_wh"] == {"meter": 200.0, "csms": 200.0, "vehicle": 199.9, "receipt": 200.0}
    assert session["states"][0] == {"state": "waiting_for_vehicle", "t": 0.0}
    assert [step["step"] for step in session["steps"]] == list(range(1, 13))
    assert (found["recording"], found["chart"], found["receipt"], found["ok"]) == ("recordings/r", "chart.png", "receipt.txt", True)


def test_what_never_happened_is_null_in_the_json() -> None:
    found = json.loads(json.dumps(report(told(STORY[:2])).as_dict(), allow_nan=False))
    assert found["sessions"][0]["duration_s"] is None
    assert not found["ok"]


def test_the_screen_shows_receipt_steps_energies_and_processes() -> None:
    console = Console(width=160, record=True, file=StringIO())
    demo_print.show(report(told()), console)
    text = console.export_text()
    for wanted in ("Receipt 1", "session over", "0.2000 kWh", "can_bridge", "chart.png", "recordings/r"):
        assert wanted in text


def faulty(
    *,
    fault: str = "emergency_stop",
    permit_after: float = 0.05,
    off_after: float = 0.2,
    over: bool = True,
    reaction: Reaction = Reaction.EMERGENCY,
) -> Track:
    """Return a session with a fault injected 15 s after the start of the story and raised 0.1 s later."""
    end = ((ChargeState.EMERGENCY, 11, 15.2), (ChargeState.FAULTED, 12, 18.0)) if over else ((ChargeState.EMERGENCY, 11, 15.2),)
    track = told((*STORY[:7], *end))
    raised = START + 15.1
    track.take(FaultEvent(stamp=raised, fault=fault, active=True, reaction=reaction, detail="seen"))
    track.take(SafetyState(stamp=START + 4.0, permit=True))
    track.take(SafetyState(stamp=raised + permit_after, permit=False))
    for number in range(100):
        time = START + 14.0 + 0.04 * number
        track.take(SimPower(stamp=time, current=100.0 if time < raised + off_after else 0.0))
    return track


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ""),
        ({"permit_after": 0.5}, "the permit was still there"),
        ({"permit_after": -0.5}, ""),
        ({"off_after": 1.5}, "power was off 1.5"),
        ({"off_after": 60.0}, "power did not go off"),
        ({"over": False}, "did not end"),
        ({"fault": "door_open"}, "none of emergency_stop was raised"),
        ({"fault": "insulation_warning"}, "its row does not know"),
    ],
)
def test_a_reaction_is_judged_by_the_fault_table(changes: dict[str, object], wrong: str) -> None:
    outcome = judge("emergency_stop", faulty(**changes), START + 15.0)  # type: ignore[arg-type]
    assert bool(outcome.problems) == bool(wrong)
    assert any(wrong in problem for problem in outcome.problems or ("",))


@pytest.mark.parametrize(("locked_in", "wrong"), [("the connector is locked", ""), ("", "could be pulled although it is live")])
def test_a_live_connector_has_to_stay_locked(locked_in: str, wrong: str) -> None:
    track = faulty(fault="vehicle_contactor_welded", reaction=Reaction.BLOCK)
    outcome = judge("vehicle_contactor_welded", track, START + 15.0, locked_in)
    assert bool(outcome.problems) == bool(wrong)
    assert all(wrong in problem for problem in outcome.problems)


def test_times_of_a_fault_count_from_its_injection() -> None:
    outcome = judge("emergency_stop", faulty(), START + 15.0)
    assert outcome.permit_after == pytest.approx(0.15)
    assert outcome.power_off_after == pytest.approx(0.3, abs=0.05)


def test_a_fault_that_was_never_injected_proves_nothing() -> None:
    assert judge("emergency_stop", told(), nan).problems


def test_every_fault_of_the_simulators_has_an_expectation() -> None:
    assert set(EXPECTED) == set(FAULTS)


def test_a_demo_is_refused_a_fault_that_its_link_does_not_have() -> None:
    for name, row in EXPECTED.items():
        assert not list(Options(fault=name).errors())
        for link in () if row.cabinet else NAMES:
            assert bool(Options(fault=name).fault_problem({link})) is (link not in row.links), (name, link)
    assert EXPECTED["ac_over_current"].links == EXPECTED["mains_low"].links == EXPECTED["ac_sleeps"].links == {PILOT}
    assert PILOT not in EXPECTED["module_hot"].links
    assert Options(fault="mains_low").default_link == PILOT


def test_what_an_ac_output_does_differently_is_expected_of_it_only() -> None:
    assert (expected("contactor_welded", PILOT).stays_locked, expected("contactor_welded", CHADEMO).stays_locked) == (True, False)
    assert Options(fault="ac_sleeps", link=PILOT).plan(1, PILOT).fault_early


def test_a_link_is_one_that_exists_and_stands_in_one_place() -> None:
    assert list(Options(link="petrol").errors()) == ["--link petrol: unknown; known: chademo, secc, pilot"]
    assert "a description says its own" in next(Options(link="secc", description=__file__).errors())
    assert list(Options(link="secc").errors()) == []


def test_a_fault_that_only_one_link_knows_chooses_it() -> None:
    assert Options(fault="controller_silent").default_link == "secc"
    assert Options(fault="vehicle_silent").default_link == "chademo"
    assert Options(fault="emergency_stop").default_link == "chademo"
    assert Options(fault="controller_silent").fault_problem({"chademo"}) == "--fault controller_silent: only with vehicle link secc"
    assert Options(fault="lock_lost").fault_problem({"secc"}) == "--fault lock_lost: only with vehicle link chademo or pilot"
    assert Options(fault="emergency_stop").fault_problem({"chademo", "secc"}) == ""


def test_a_demo_of_an_ac_output_has_one_bus_and_no_modules(tmp_path: Path) -> None:
    built = expand({"evses": [{"evse": 1, "vehicle_link": "pilot"}]}, 2, "", tmp_path)["evses"]
    assert [set(evse["can_bridge"]) for evse in built] == [{"io_bus"}, {"io_bus"}]
    assert "power_module_simulator" not in built[0]
    assert built[0]["ac_vehicle_simulator"]["follow_delay"] == 0.5


def test_a_demo_behind_a_charge_controller_has_one_that_is_simulated(tmp_path: Path) -> None:
    built = expand({"evses": [{"evse": 1, "vehicle_link": "secc"}]}, 1, "", tmp_path)["evses"][0]
    assert "vehicle_simulator" not in built
    assert built["secc_simulator"]["negotiation_time"] == 1.0


def test_a_demo_builds_the_evse_that_its_fault_needs(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"evses": [{"evse": 1, "rating": {"max_current": 100.0, "module_count": 2}}]}
    built = expand(plain, 2, "", tmp_path, EXPECTED["pilot_short"].rating)
    assert [evse["rating"] for evse in built["evses"]] == [{"max_current": 100.0, "module_count": 2, "has_control_pilot": True}] * 2
    assert expand(plain, 1, "", tmp_path)["evses"][0]["rating"] == plain["evses"][0]["rating"]


def test_the_live_table_says_unknown_before_it_knows_and_then_what_is() -> None:
    track = Track(2)
    assert live_table.cells(track)[1:4] == ("no report yet", "-", "-")
    assert live_table.cells(track)[-1] == "no report yet"
    track.take(SessionState(state=ChargeState.CHARGING, step=10, soc_percent=33.4, session_active=True, session_id="s1"))
    track.take(
        MeterReading(voltage=401.2, current=120.0, power=48144.0, session_id="s1", session_energy_wh=512.0, session_cost=25, currency="EUR")
    )
    track.take(SafetyState(permit=True, reaction=Reaction.NONE))
    assert live_table.cells(track) == ("2", "charging", "10/12", "401", "120.0", "48.1", "0.512", "33 %", "0.25 EUR", "permit")
    track.take(SafetyState(reaction=Reaction.EMERGENCY, first_fault="emergency_stop"))
    assert live_table.cells(track)[-1] == "EMERGENCY: emergency_stop"
    uplink = UplinkState(connected=True, registration=Registration.ACCEPTED, queued=2)
    assert "CSMS connected, 2 messages wait" in live_table.line([track], uplink, 3.0)


def test_the_live_table_says_what_a_price_is_made_of() -> None:
    track = Track(1)
    track.take(MeterReading(session_id="s1", session_cost=160, currency="KWD"))
    lines = (PriceLine(what="energy", amount=150), PriceLine(what="idle time", amount=10))
    track.take(SessionPrice(session_id="s0", currency="KWD", lines=lines))
    assert live_table.cells(track)[8] == "0.160 KWD"
    track.take(SessionPrice(session_id="s1", currency="KWD", lines=lines[:1]))
    assert live_table.cells(track)[8] == "0.160 KWD"
    track.take(SessionPrice(session_id="s1", currency="KWD", lines=lines))
    assert live_table.cells(track)[8] == "0.160 KWD\nenergy 0.150\nidle time 0.010"
    assert "0.160 KWD, energy 0.150, idle time 0.010" in live_table.line([track], UplinkState(), 3.0)


def test_curves_leave_a_gap_where_the_modules_are_silent() -> None:
    track = Track(1)
    track.take(PowerReport(stamp=1.0, complete=True, age=0.1, voltage=400.0, current=10.0))
    track.take(PowerReport(stamp=2.0, complete=True, age=5.0, voltage=400.0, current=10.0))
    assert track.curves.voltage[0] == 400.0
    assert isnan(track.curves.voltage[1])
