"""Stories from CAN logs: the observing sequencer sees what our own one did, and story and verdict say the same."""

from dataclasses import replace
from math import isfinite, isnan, nan
from pathlib import Path
from random import Random

import pytest
from chademo_script import Script, session, shut_down
from log_rig import logged, told
from world_rig import DATABASES

from evse_core import secc_telling
from evse_core.chademo_faults import VISIBLE
from evse_core.codecs.chademo import ChademoStation
from evse_core.codecs.chademo_charger import ChademoCharger
from evse_core.fault_table import BY_NAME
from evse_core.frame import Frame
from evse_core.session_report import report
from evse_core.types import BusLink, ChargeState, Party, Reaction, SessionOutcome, StopCause, VehicleCommand

pytest.importorskip("can")

from evse_tools import analyze, session_source
from evse_tools.compare import differences

LOGS = Path(__file__).resolve().parents[3] / "shared" / "can_logs"
S = ChargeState
# A frame comes up to one period after what it shows; that the current is gone is seen before our contactor has opened, 0.5 s later at most. [s]
FRAMES_LATE = 0.6


def station_says(command: VehicleCommand) -> ChademoCharger:
    """Return what a listener knows after our own frames of one period."""
    station, listener = ChademoStation(DATABASES["chademo"]), ChademoCharger(DATABASES["chademo"])
    station.receive(Frame(0x110, bytes((1, 0, 0, 0, 0, 0, 0, 0))), 0.0)
    for frame in station.frames(command):
        assert listener.receive(frame, 1.0)
    return listener


def test_what_our_station_sends_is_read_back_as_it_was_meant() -> None:
    random = Random(7)
    flags = [name for name, kind in VehicleCommand.__annotations__.items() if kind is bool and name != "transmit"]
    for _ in range(200):
        meant = VehicleCommand(
            transmit=True,
            protocol_number=random.randrange(4),
            available_voltage=float(random.randrange(1000)),
            available_current=float(random.randrange(255)),
            threshold_voltage=float(random.randrange(1000)),
            present_voltage=float(random.randrange(1000)),
            present_current=float(random.randrange(255)),
            remaining_time=random.choice([0.0, 10.0, 2540.0, 2580.0, 15240.0]),
            **{name: random.random() < 0.5 for name in flags},
        )
        got = station_says(meant).said()
        if not meant.discharge_compatible:
            assert isnan(got.max_discharge_current)
        assert replace(got, max_discharge_current=nan, min_discharge_voltage=nan).__repr__() == meant.__repr__()


def test_current_that_flows_back_is_negative() -> None:
    listener = station_says(
        VehicleCommand(present_current=-40.0, present_voltage=380.0, discharge_compatible=True, max_discharge_current=60.0)
    )
    assert listener.power(1.0).current == -40.0
    assert listener.said().max_discharge_current == 60.0


def test_before_both_frames_have_come_nothing_is_known_of_the_charger() -> None:
    listener = ChademoCharger(DATABASES["chademo"])
    assert not listener.power(0.0).complete
    assert listener.receive(Frame(0x102, bytes(8)), 0.0) == ""
    listener.receive(Frame(0x108, bytes(8)), 0.0)
    assert not listener.power(0.0).complete
    assert isnan(listener.age(0.0))


@pytest.mark.parametrize("fault", ["", "vehicle_fault", "vehicle_no_request", "vehicle_stops_permission"])
def test_the_observer_tells_the_states_that_our_sequencer_was_in(fault: str) -> None:
    made = logged(fault)
    own = [(entry.what, entry.at) for entry in made.log if entry.kind == "state"]
    own = own[[name for name, _ in own].index("WAITING_FOR_VEHICLE") :]
    seen = [(state.name, time) for state, time in told(made.wire)[0].states]
    assert [name for name, _ in seen] == [name for name, _ in own]
    for (name, mine), (_, other) in zip(own, seen, strict=True):
        assert other == pytest.approx(mine, abs=FRAMES_LATE), name


def test_a_log_of_our_own_session_has_its_figures() -> None:
    made = logged()
    found, _ = told(made.wire)
    delivered = made.records[-1].end_register_wh - made.records[-1].begin_register_wh
    # 0x109 has whole volts and amperes, rounded down, and one reading in 0.1 s on a ramp.
    assert report(found).energy_wh == pytest.approx(delivered, rel=0.05)
    assert [step for step, _ in found.steps] == list(range(1, 13))
    assert found.link == "chademo"
    assert found.whole
    assert found.curves["current_request"].top > 50.0
    assert any("d2" in words for words in found.inferred)


@pytest.mark.parametrize(
    ("fault", "event", "by"),
    [
        ("vehicle_silent", "vehicle_silent", Party.UNKNOWN),
        ("vehicle_fault", "vehicle_fault", Party.VEHICLE),
        ("vehicle_shift", "vehicle_not_parked", Party.VEHICLE),
        ("vehicle_fault_current_deviation", "vehicle_current_deviation", Party.VEHICLE),
        ("over_current", "over_current", Party.STATION),
        ("emergency_stop", "charger_malfunction", Party.STATION),
    ],
)
def test_faults_that_a_bus_shows_are_seen_in_its_log(fault: str, event: str, by: Party) -> None:
    found, verdict = told(logged(fault).wire)
    said = report(found)
    assert event in said.faults
    assert (verdict.outcome, said.outcome, said.ended_by) == ("failed", SessionOutcome.BROKEN_OFF, by)


def test_visible_faults_are_rows_of_our_table() -> None:
    assert set(VISIBLE) <= BY_NAME.keys()


SCRIPTS = {
    "whole": shut_down(session().at(20.0, c_status=0x25), 20.0).until(26.0),
    "vehicle ends": shut_down(session().at(20.0, v_request=0).at(20.2, c_status=0x25), 20.3).until(27.0),
    "refused": session(until="parameters").at(1.0, c_status=0x28).until(4.0),
    "malfunction in the test": session(until="testing").at(7.0, c_status=0x26, c_volts=0).until(10.0),
    "vehicle silent": session().at(15.0, v_on=0).at(16.2, c_status=0x34, c_amps=0, c_volts=0).until(19.0),
    "charger silent": session().at(15.0, c_on=0).until(18.0),
    "still charging": session().until(15.0),
    "no permission": session(until="parameters").at(9.0, c_status=0x30).until(12.0),
    "vehicle alone": Script().at(0.0, c_on=0).until(5.0),
    "charger alone": Script().at(0.0, v_on=0).until(5.0),
    "before the permission": session(until="parameters").until(2.0),
}
OUTCOMES = {
    "complete": {SessionOutcome.COMPLETE},
    "failed": {SessionOutcome.FAILED_TO_START, SessionOutcome.BROKEN_OFF},
    "charging": {SessionOutcome.UNFINISHED},
    "unknown": {SessionOutcome.UNFINISHED},
}


def agree(frames: list[tuple[float, Frame]]) -> None:
    """Hold a story against the verdict on the same frames."""
    found, verdict = told(frames)
    said = report(found)
    assert said.outcome in OUTCOMES[verdict.outcome]
    assert verdict.proven in said.explanation
    assert said.check == verdict.check
    assert max((step for step, _ in found.steps), default=0) == max((step.step for step in verdict.steps), default=0)
    charged = said.furthest is S.CHARGING
    assert charged == any(step.step == 10 and step.complete for step in verdict.steps)
    assert (said.outcome is SessionOutcome.BROKEN_OFF) <= charged
    assert (said.outcome is SessionOutcome.FAILED_TO_START) <= (not charged)
    assert (said.ended_by is Party.VEHICLE) == (verdict.ended_by == "vehicle")
    assert (said.ended_by is Party.STATION) == (verdict.ended_by == "charger")
    assert said.stop_cause is not StopCause.NONE or verdict.t is None
    if verdict.outcome != "failed":
        assert not [event for event in found.faults if event.reaction in (Reaction.STOP, Reaction.EMERGENCY)]
    times = [time for _, time in found.states]
    assert times == sorted(times)
    assert all(isfinite(time) for time in times)


@pytest.mark.parametrize("name", SCRIPTS)
def test_story_and_verdict_agree(name: str) -> None:
    agree(SCRIPTS[name].frames())


@pytest.mark.parametrize("seed", range(12))
def test_story_and_verdict_agree_wherever_a_log_begins_and_ends(seed: int) -> None:
    random = Random(seed)
    frames = random.choice(list(SCRIPTS.values())).frames()
    begin = random.randrange(len(frames) // 2)
    agree(frames[begin : random.randrange(begin + 20, len(frames) + 1)])


@pytest.mark.skipif(not LOGS.is_dir(), reason="the recordings of ../shared/can_logs are not here")
@pytest.mark.parametrize("name", ["leaf_start_stop", "leaf_ze1_charging", "failed_1", "failed_2", "failed_3"])
def test_story_and_verdict_agree_on_real_logs(name: str) -> None:
    from evse_nodes.databases import load  # noqa: PLC0415
    from evse_tools.analyze_log import analyze as judged  # noqa: PLC0415
    from evse_tools.can_log import read  # noqa: PLC0415

    for one in judged(read(LOGS / f"{name}.csv"), load("chademo")).sessions:
        agree(list(one.frames))


# Times by hand: see tests/unit/test_analyze_logs.py.
@pytest.mark.skipif(not LOGS.is_dir(), reason="the recordings of ../shared/can_logs are not here")
def test_a_leafs_log_goes_through_our_states_at_its_times() -> None:
    (found,) = session_source.stories(LOGS / "leaf_start_stop.csv")
    entered = dict(found.states)
    expected = {
        S.LOCKING: 3.924,
        S.CABLE_CHECK: 12.664,
        S.WAITING_FOR_CONTACTOR: 15.868,
        S.WAITING_FOR_REQUEST: 17.338,
        S.CHARGING: 19.564,
        S.RAMPING_DOWN: 46.762,
        S.WELDING_DETECTION: 46.962,
        S.FINISHED: 50.562,
    }
    assert {state: entered[state] for state in expected} == pytest.approx(expected, abs=0.001)
    assert report(found).energy_wh == pytest.approx(32, abs=0.5)


@pytest.mark.parametrize(
    ("fault", "bus", "outcome", "cause"),
    [
        ("", BusLink.VEHICLE, SessionOutcome.COMPLETE, StopCause.UNKNOWN),
        ("controller_emergency", BusLink.VEHICLE, SessionOutcome.BROKEN_OFF, StopCause.EMERGENCY),
        ("", BusLink.POWER, SessionOutcome.COMPLETE, StopCause.UNKNOWN),
    ],
)
def test_a_log_of_the_generic_interface_tells_its_session(fault: str, bus: BusLink, outcome: SessionOutcome, cause: StopCause) -> None:
    made = logged(fault, "secc", bus)
    database = DATABASES["evse_v3"]
    assert secc_telling.pistols((frame for _, frame in made.wire), database) == (1,)
    (found,) = secc_telling.stories(made.wire, database, 1, "log")
    said = report(found)
    assert (said.outcome, said.stop_cause, found.link) == (outcome, cause, "secc")
    states = [state for state, _ in found.states]
    course = [S.CABLE_CHECK, S.PRECHARGE, S.WAITING_FOR_REQUEST, S.CHARGING]
    assert [state for state in states if state in course] == course
    if not fault:
        delivered = made.records[-1].end_register_wh - made.records[-1].begin_register_wh
        assert said.energy_wh == pytest.approx(delivered, rel=0.05)


def written(path: Path, frames: list[tuple[float, Frame]], epoch: float = 1_700_000_000.0) -> Path:
    """Write a candump log."""
    width = {True: 8, False: 3}
    lines = [f"({epoch + t:.6f}) can0 {frame.id:0{width[frame.extended]}X}#{frame.data.hex().upper()}" for t, frame in frames]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw with few pixels: what is drawn is the same."""
    from evse_tools import sheet  # noqa: PLC0415

    monkeypatch.setattr(sheet, "DPI", 30)


@pytest.mark.usefixtures("small")
def test_sheet_comparison_and_report_take_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = (written(tmp_path / f"{name}.log", logged(fault).wire) for name, fault in (("good", ""), ("bad", "vehicle_fault")))
    sheet = tmp_path / "sheet.png"
    assert analyze.run(good, True, None, sheet) == 0
    assert sheet.read_bytes()[:4] == b"\x89PNG"
    (story,), (other,) = session_source.stories(good), session_source.stories(bad)
    assert session_source.when_of(story).startswith("2023-11-1")
    assert not {row.what: row for row in differences(story, other)}["outcome"].same
    from evse_tools import report_page  # noqa: PLC0415

    (tmp_path / "process.log").write_text("[INFO] nothing on a bus\n", encoding="ascii")
    capsys.readouterr()
    assert report_page.run(tmp_path, None, False) == 0
    assert "2 sessions of 2 recordings" in capsys.readouterr().err
    assert "vehicle charging system fault" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_log_of_the_generic_interface_is_analyzed_by_its_controllers_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "secc.log", logged("", "secc").wire)
    assert analyze.run(path, False, None, tmp_path / "sheet.png") == 0
    assert "complete" in capsys.readouterr().out
    assert (tmp_path / "sheet.png").stat().st_size > 40_000


def test_a_sheet_with_a_wrong_ending_is_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.log", logged().wire)
    assert analyze.run(path, True, None, tmp_path / "a.jpg") == 2
    assert ".png or .pdf" in capsys.readouterr().err
    assert analyze.run(path, True, None, None, 2) == 2
    assert "--session 2" in capsys.readouterr().err


def test_a_log_without_a_date_says_so() -> None:
    found, _ = told(logged().wire)
    assert session_source.when_of(found).endswith("s of the log")
