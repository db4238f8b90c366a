"""A vehicle played from a log to our station, on a virtual clock: it waits for our charger and leaps ahead with it, and the report says what differs."""

from pathlib import Path

import pytest
from chademo_script import session, shut_down
from log_rig import logged
from replay_rig import judged, replayed, states
from world_rig import DATABASES

from evse_core.chademo_session import PLACE
from evse_core.frame import Frame
from evse_core.types import SimStationLines, StopCause
from evse_simulators.battery import BatteryConfig
from evse_simulators.recorded_vehicle import SEEN, Mark, RecordedVehicle
from evse_simulators.world import World
from evse_tools.replay_can import run, write_station
from evse_tools.replay_can_recording import marks, recording
from evse_tools.replay_can_report import BITS, Played, bits, is_good, report

LOGS = Path(__file__).resolve().parents[3] / "shared" / "can_logs"
CONFIG = Path(__file__).resolve().parents[2] / "config"
WHOLE = shut_down(session().at(20.0, c_status=0x25), 20.2).until(26.0).frames()


def played(made: World, in_step: bool = True) -> Played:
    """Return what the command would have of a replay in a world."""
    vehicle = made.vehicle
    assert isinstance(vehicle, RecordedVehicle)
    return Played(
        wire=[(at - vehicle.started, frame) for at, frame in sorted(vehicle.wire, key=lambda item: item[0])],
        passed=vehicle.passed,
        states=[(name, at - vehicle.started) for name, at in states(made)],
        faults=[entry.what for entry in made.log if entry.kind == "fault"],
        in_step=in_step,
        stuck=vehicle.waits_for,
        end=f"{made.session.stop_cause.name.lower()}: {made.session.stop_detail}",
        repeated=vehicle.repeated,
        skipped=vehicle.skipped,
    )


def compared(frames: list[tuple[float, Frame]], made: World, in_step: bool = True) -> dict[str, object]:
    one, found = judged(frames), played(made, in_step)
    return report(one, judged(found.wire), found, tuple(marks(one.observation, one.verdict)))


def test_a_log_of_our_own_station_replays_to_the_same_session() -> None:
    made = logged()
    again = replayed(made.wire)
    assert [name for name, _ in states(again)] == [name for name, _ in states(made)]
    begin, began = states(made)[0][1], states(again)[0][1]
    for (name, first), (_, second) in zip(states(made), states(again), strict=True):
        # In each of eight marks the log stands for a frame of ours, and the contactor of the log opens a reading late.
        assert second - began == pytest.approx(first - begin, abs=1.0), name
    data = compared(made.wire, again)
    assert data["charged"]
    assert data["bits"]["same_order"]  # type: ignore[index]
    assert all(row["same"] for row in data["limits"] if row["what"] != "available_current_lowest")  # type: ignore[attr-defined]
    assert data["faults"] == []


def test_in_step_the_log_leaps_ahead_of_a_slow_charger_and_stands_for_a_fast_one() -> None:
    made = replayed(WHOLE)
    passed = {item.mark.name: item for item in made.vehicle.passed}  # type: ignore[union-attr]
    assert list(passed) == ["first frame", "locked", "ready", "charging", "stopping", "current off", "output down", "unlocked"]
    # The script's charger locks 1 s after the permission and answers a request 0.2 s late; ours tests for longer than 1.5 s.
    assert passed["ready"].waited > 0.5
    assert made.session.stop_cause is StopCause.LOCAL
    assert [name for name, _ in states(made)][-1] == "FINISHED"
    for mark, item in passed.items():
        assert item.at >= 0.0, mark


def test_in_an_open_loop_the_log_waits_for_nobody() -> None:
    # Its vehicle closes its contactor and asks for current while our charger tests its cable still.
    made = replayed(WHOLE, in_step=False)
    assert made.vehicle.passed == ()  # type: ignore[union-attr]
    names = [name for name, _ in states(made)]
    assert "CABLE_CHECK" in names


def test_a_charger_that_does_not_come_is_named_with_the_place() -> None:
    frames = session().until(12.0).frames()
    # Our station refuses this vehicle: its battery takes more than 500 V.
    refused = [
        (t, Frame(0x102, bytes([*frame.data[:1], 0x34, 0x03, *frame.data[3:]])) if frame.id == 0x102 else frame) for t, frame in frames
    ]
    made = replayed(refused, seconds=40.0)
    data = compared(refused, made)
    assert data["recorded_charged"]
    assert not data["charged"]
    assert "incompatible" in str(data["why_not"])
    assert not is_good(data)


def test_the_contactor_of_a_recorded_vehicle_needs_both_sequence_signals() -> None:
    one = judged(WHOLE)
    vehicle = RecordedVehicle(BatteryConfig(), DATABASES["chademo"], recording(one, DATABASES["chademo"]), in_step=False)
    vehicle.plug_in()
    for now in range(12):
        vehicle.on_station_lines(SimStationLines(sequence_1=True, sequence_2=now == 11), float(now))
        lines = vehicle.step(float(now)).lines
        assert lines.permission == (now >= 3)
        assert lines.contactor_closed == (now == 11)
    assert lines.battery_voltage == pytest.approx(370.0 - 20.0 * 0.1, abs=2.5)


def test_nobody_speaks_before_sequence_signal_1_and_without_a_plug() -> None:
    vehicle = RecordedVehicle(BatteryConfig(), DATABASES["chademo"], recording(judged(WHOLE), DATABASES["chademo"]))
    vehicle.on_station_lines(SimStationLines(sequence_1=True), 0.0)
    assert vehicle.step(0.0).frames == ()
    vehicle.plug_in()
    vehicle.on_station_lines(SimStationLines(), 0.1)
    assert vehicle.step(0.1).frames == ()
    vehicle.on_station_lines(SimStationLines(sequence_1=True), 0.2)
    assert {frame.id for frame in vehicle.step(0.2).frames} >= {0x100, 0x101, 0x102}


def test_while_it_waits_the_vehicle_repeats_its_frames_at_their_pace() -> None:
    vehicle = RecordedVehicle(BatteryConfig(), DATABASES["chademo"], recording(judged(WHOLE), DATABASES["chademo"]))
    vehicle.plug_in()
    sent = []
    for tick in range(500):
        now = tick / 100.0
        vehicle.on_station_lines(SimStationLines(sequence_1=True), now)
        sent += [(now, frame) for frame in vehicle.step(now).frames]
    mark = vehicle.waits_for
    assert mark == Mark("first frame", mark.t) if mark else False
    assert vehicle.waited(5.0) > 4.5
    status = [now for now, frame in sent if frame.id == 0x102]
    assert len(status) == pytest.approx(50, abs=3)


def test_only_frames_of_the_vehicle_are_played() -> None:
    strange = [*WHOLE, (26.1, Frame(0x521, bytes(6))), (26.2, Frame(0x18FF0000, bytes(8), True))]
    found = recording(judged(strange), DATABASES["chademo"])
    assert {frame.id for _, frame in found.frames} == {0x100, 0x101, 0x102}


def test_marks_are_known_and_stop_where_the_recorded_charger_broke_off() -> None:
    broken = session(until="testing").at(5.8, c_status=0x26, c_volts=0).until(9.0).frames()
    one = judged(broken)
    assert [mark.name for mark in marks(one.observation, one.verdict)] == ["first frame", "locked"]
    whole = judged(WHOLE)
    found = list(marks(whole.observation, whole.verdict))
    assert {mark.name for mark in found} <= SEEN.keys()
    assert [mark.is_driver for mark in found if mark.name == "stopping"] == [True]
    assert [mark.t for mark in found] == sorted(mark.t for mark in found)


@pytest.mark.parametrize("who", ["v_on", "c_on"])
def test_a_log_with_one_party_only_cannot_be_played(who: str) -> None:
    one = judged(session().at(0.0, **{who: 0}).until(5.0).frames())
    with pytest.raises(ValueError, match=r"holds no (vehicle|charger)"):
        recording(one, DATABASES["chademo"])


def test_bits_are_told_by_name_and_order() -> None:
    found = bits(judged(WHOLE).observation)
    assert [item["byte"] for item in found] == ["0x20", "0x24", "0x05", "0x25", "0x24", "0x20"]
    assert found[2]["flags"] == ["charging", "locked"]
    assert all(PLACE[name] == f"0x109 byte 5.{place}" for place, (name, _) in enumerate(BITS))


@pytest.mark.skipif(not LOGS.is_dir(), reason="the recordings of ../shared/can_logs are not here")
@pytest.mark.parametrize(("name", "top"), [("leaf_start_stop", 14.0), ("leaf_ze1_charging", 110.0)])
def test_our_station_charges_the_recorded_leafs(name: str, top: float) -> None:
    from evse_nodes.databases import load  # noqa: PLC0415
    from evse_tools.analyze_log import analyze  # noqa: PLC0415
    from evse_tools.can_log import read  # noqa: PLC0415

    main = analyze(read(LOGS / f"{name}.csv"), load("chademo")).main
    assert main is not None
    data = compared(list(main.frames), replayed(list(main.frames)))
    assert data["charged"]
    assert data["faults"] == []
    assert data["current"]["ours"]["top_a"] >= top  # type: ignore[index]
    assert data["bits"]["recorded_in_ours"]  # type: ignore[index]
    assert not [row for row in data["phases"] if row["within"] is False]  # type: ignore[attr-defined]


@pytest.mark.skipif(not LOGS.is_dir(), reason="the recordings of ../shared/can_logs are not here")
def test_our_station_refuses_the_vehicle_whose_contactor_was_closed_too_early() -> None:
    from evse_nodes.databases import load  # noqa: PLC0415
    from evse_tools.analyze_log import analyze  # noqa: PLC0415
    from evse_tools.can_log import read  # noqa: PLC0415

    main = analyze(read(LOGS / "failed_1.csv"), load("chademo")).main
    assert main is not None
    made = replayed(list(main.frames))
    assert "CHARGING" not in [name for name, _ in states(made)]
    assert "voltage_before_connection" in [entry.what for entry in made.log if entry.kind == "fault"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"role": "charger"}, "--as charger: unknown; known: vehicle"),
        ({"plot": Path("a.jpg")}, "--plot a.jpg"),
        ({"target": "/nowhere/a.json"}, "--json /nowhere/a.json"),
        ({"log": CONFIG / "single_evse.yaml"}, "single_evse.yaml: not a CAN log"),
    ],
)
def test_wrong_input_is_named(arguments: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"log": Path("a.log"), "role": "vehicle"} | arguments
    assert run(**given) == 2  # type: ignore[arg-type]
    assert words in capsys.readouterr().err


def test_only_a_chademo_evse_of_its_own_can_be_tried(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"evses\[0\].vehicle_link is secc"):
        write_station(CONFIG / "ccs.yaml", tmp_path)
    with pytest.raises(ValueError, match="power_cabinet"):
        write_station(CONFIG / "cabinet.yaml", tmp_path)
    made = write_station(CONFIG / "depot.yaml", tmp_path)
    assert len(made.evses) == 1
    assert made.evses[0].buses["vehicle_bus"].channel.startswith("ff11::")
