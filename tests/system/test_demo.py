"""The whole graph, in processes: a demo charges a car, and its answers hold together."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from machine_watch import ENOUGH, MACHINE
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evse_core.audit import problems
from evse_core.session_report import report as report_on
from evse_core.types import SessionOutcome
from evse_nodes.audit_trail import entries, read
from evse_nodes.metrology_sources import metrology_checksum
from evse_tools.audit_command import record_problems
from evse_tools.bag_reader import BagReader
from evse_tools.bag_story import stories
from evse_tools.verify import verify

pytestmark = pytest.mark.timeout(240)

DEMO = """
import json, sys
from evse_tools.demo import run
raise SystemExit(run(**json.loads(sys.argv[1])))
"""
# A CSMS or a receipt that rounds to 1 Wh is then within 0.5 %.  [Wh]
ENERGY_WH = 200.0


def demo(folder: Path, **options: object) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run a demo and return its end and its JSON."""
    options = {"json": "-", "output": str(folder)} | options
    end = subprocess.run(
        [sys.executable, "-c", DEMO, json.dumps(options)], capture_output=True, text=True, timeout=200, check=False, cwd=folder
    )
    assert end.returncode in {0, 1}, end.stderr
    return end, json.loads(end.stdout)


@pytest.fixture(scope="module")
def charged(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """A whole session, which many tests look at; one that a stop of the machine has broken off is made again, as the runner does it for other tests."""
    for _ in range(ENOUGH):
        began = time.monotonic()
        found = demo(tmp_path_factory.mktemp("demo"), energy_wh=ENERGY_WH)
        stop = MACHINE.longest(began)
        if not found[1]["problems"] or not stop:
            return found
    pytest.skip(f"the machine stood still for {1e3 * stop:.0f} ms during this demo: {found[1]['problems'][0]}")


def test_a_car_is_charged_and_nothing_is_wrong(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    end, found = charged
    assert (found["problems"], end.returncode) == ([], 0), end.stderr
    session = found["sessions"][0]
    assert (len(found["sessions"]), session["evse"], session["stop_reason"], session["faults"]) == (1, 1, "local", [])
    assert session["transaction_id"] >= 1
    assert session["duration_s"] > 10.0


def test_the_twelve_steps_come_in_order(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    session = charged[1]["sessions"][0]
    times = [step["t"] for step in session["steps"]]
    assert [step["step"] for step in session["steps"]] == list(range(1, 13))
    assert times == sorted(times)
    assert 0.0 <= times[0] < times[-1] < session["duration_s"]
    assert [state["t"] for state in session["states"]] == sorted(state["t"] for state in session["states"])
    names = [state["state"] for state in session["states"]]
    for name in ("waiting_for_vehicle", "locking", "cable_check", "charging", "ramping_down", "unlocking", "finished"):
        assert name in names


def test_a_vehicle_gives_power_between_two_charges(tmp_path: Path) -> None:
    """Behind a charge controller; CHAdeMO's way is played by the simulated world (tests/unit/test_discharge_world.py)."""
    end, found = demo(tmp_path, link="secc", discharge=True, seconds=36.0)
    assert (found["problems"], end.returncode) == ([], 0), end.stderr
    session = found["sessions"][0]
    assert (session["link"], session["stop_reason"], session["end_state"], session["faults"]) == ("secc", "local", "finished", [])
    # 8 kW for a third of 36 s, less the pause, the ramp and the budget's way.
    assert 12.0 < session["exported_wh"]["meter"] < 27.0
    assert session["exported_wh"]["vehicle"] == pytest.approx(session["exported_wh"]["meter"], rel=0.01, abs=0.2)
    assert session["energy_wh"]["meter"] > 50.0


def test_a_charge_controller_leads_a_whole_session(tmp_path: Path) -> None:
    end, found = demo(tmp_path, link="secc", energy_wh=ENERGY_WH)
    assert (found["problems"], end.returncode) == ([], 0), end.stderr
    session = found["sessions"][0]
    assert (session["link"], session["stop_reason"], session["end_state"], session["faults"]) == ("secc", "local", "finished", [])
    names = [state["state"] for state in session["states"]]
    passed = [
        "waiting_for_vehicle",
        "locking",
        "cable_check",
        "lowering_output",
        "precharge",
        "charging",
        "ramping_down",
        "closing",
        "unlocking",
        "finished",
    ]
    assert [name for name in names if name in passed] == passed
    for name, value in session["energy_wh"].items():
        assert value == pytest.approx(session["energy_wh"]["meter"], rel=0.005), name


def test_an_ac_output_charges_on_three_phases_by_its_control_pilot(tmp_path: Path) -> None:
    end, found = demo(tmp_path, link="pilot", seconds=15.0)
    assert (found["problems"], end.returncode) == ([], 0), end.stderr
    session = found["sessions"][0]
    assert (session["link"], session["stop_reason"], session["end_state"], session["faults"]) == ("pilot", "local", "finished", [])
    # 11 kW for 15 s, less the ramp.
    assert 30.0 < session["energy_wh"]["meter"] < 55.0
    for name, value in session["energy_wh"].items():
        assert value == pytest.approx(session["energy_wh"]["meter"], rel=0.005, abs=1.0), name
    assert "offered A" in end.stdout + end.stderr
    # The live report of session_reporter says what the recording shows.
    with BagReader(found["recording"]) as bag:
        told = [item.value for item in bag.items({"/evse_1/session_report"})]
    (story,) = stories(Path(found["recording"]))
    assert [(report.outcome, report.session_id) for report in told] == [(SessionOutcome.COMPLETE, story.session_id)]
    assert report_on(story).charging_time == pytest.approx(told[0].charging_time, abs=0.5)


def test_four_parties_agree_on_the_energy(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    energy = charged[1]["sessions"][0]["energy_wh"]
    assert set(energy) == {"meter", "csms", "vehicle", "receipt"}
    assert energy["meter"] >= ENERGY_WH
    for name, value in energy.items():
        assert value == pytest.approx(energy["meter"], rel=0.005), name


def test_four_parties_agree_on_the_price_to_the_cent(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    session = charged[1]["sessions"][0]
    assert set(session["prices"]) == {"record", "topic", "receipt", "csms"}
    assert set(session["prices"].values()) == {session["cost"]}
    assert session["cost"] > 0


def test_the_recording_holds_the_session(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    found = charged[1]
    store, states, counts = get_typestore(Stores.ROS2_JAZZY), [], Counter[str]()
    with Reader(found["recording"]) as reader:
        for connection in reader.connections:
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        for connection, _, data in reader.messages():
            counts[connection.topic.removeprefix("/evse_1/")] += 1
            if connection.topic == "/evse_1/session_state":
                states.append(store.deserialize_cdr(data, connection.msgtype))
    session = found["sessions"][0]
    own = [state for state in states if state.session_id == session["session_id"]]
    assert {state.step for state in own} >= {8, 10, 12}
    assert any(state.state == 14 for state in own)
    for topic in (
        "vehicle_report",
        "power_report",
        "io_report",
        "can_frames",
        "power_command",
        "safety_state",
        "meter_reading",
        "session_price",
        "charge_record",
    ):
        assert counts[topic] > 0, topic
    assert counts["/uplink_state"] > 0
    assert counts["/rosout"] > 0


def test_the_recording_is_decided_again_as_it_was(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    found = verify(Path(charged[1]["recording"]))
    assert not found.differs, [item for result in found.results for item in result.differences[:3]]
    nodes = {"/energy_manager", "/evse_1/charge_sequencer", "/evse_1/energy_meter", "/evse_1/safety_monitor"}
    assert {result.node for result in found.results if result.messages > 10} == nodes
    assert {result.unrecorded for result in found.results} == {0}


def test_chart_and_receipt_are_where_the_json_says(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    found = charged[1]
    assert Path(found["chart"]).read_bytes()[:4] == b"\x89PNG"
    assert found["sessions"][0]["session_id"] in Path(found["receipt"]).read_text()


def test_the_audit_trail_says_with_what_the_session_was_metered(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    data = Path(charged[1]["receipt"]).parents[1]
    rows = read(data / "audit.sqlite")
    said = {entry.parameter: entry for entry in entries(rows)}
    assert [*problems(rows), *record_problems(data, rows)] == []
    assert said["software.metrology"].new == metrology_checksum()
    assert said["tariff.price_per_kwh"].who == said["ocpp_uplink.url"].who
    assert "description unknown" not in said["ocpp_uplink.url"].who


def test_every_process_is_measured(charged: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    processes = {process["name"]: process for process in charged[1]["processes"]}
    for name in ("/recorder", "/csms_simulator", "/ocpp_uplink", "/energy_manager", "/evse_1/can_bridge", "/evse_1/safety_monitor"):
        assert processes[name]["memory_mb"] > 10.0
        assert processes[name]["cpu_s"] > 0.0


def test_an_emergency_stop_takes_the_power_away_and_ends_the_session(tmp_path: Path) -> None:
    end, found = demo(tmp_path, fault="emergency_stop")
    assert (found["problems"], end.returncode) == ([], 0), end.stderr
    fault = found["fault"]
    assert fault["as_the_fault_table_says"]
    assert fault["raised"][0]["fault"] == "emergency_stop"
    assert fault["reaction"] == "emergency"
    assert 0.0 < fault["permit_withdrawn_after_s"] < 1.0
    assert 0.0 < fault["power_off_after_s"] < 1.0
    assert found["sessions"][0]["stop_reason"] in {"emergency", "charger_fault"}
    assert found["sessions"][0]["energy_wh"]["meter"] > 0.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"evses": 0}, "--evses 0: outside 1 to"),
        ({"fault": "dragon"}, "--fault dragon: unknown; known: "),
        ({"seconds": -1.0}, "--seconds -1.0: outside"),
        ({"energy_wh": 0.0}, "--energy-wh 0.0: outside"),
        ({"csms": "http://localhost"}, "--csms http://localhost: not an address"),
        ({"description": "nowhere.yaml"}, "--description nowhere.yaml: no such file"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_started(options: dict[str, object], words: str, tmp_path: Path) -> None:
    chosen = {"output": str(tmp_path / "out")} | options
    end = subprocess.run(
        [sys.executable, "-c", DEMO, json.dumps(chosen)], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert (end.returncode, words in end.stderr) == (2, True), end.stderr
    assert os.listdir(tmp_path) == []
