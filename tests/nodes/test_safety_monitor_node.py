"""The node safety_monitor and a probe: rate, latency of the permit's end, services, diagnostics, orderly end."""

import hashlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

pytest.importorskip("rclpy")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from diagnostic_msgs.msg import DiagnosticArray
from probe import Probe
from safety_bench import healthy

from evse_core.fault_table import FAULTS
from evse_core.safety_inputs import PERMIT_STATES
from evse_core.types import ChargeState, NodeHealth, Reaction
from evse_nodes import topics

PERIODS = {
    "vehicle": 0.1,
    "power": 0.1,
    "io": 0.1,
    "can_status": 0.1,
    "session": 0.1,
    "power_command": 0.05,
    "io_command": 0.05,
    "meter": 0.25,
}
TOPICS = {"vehicle": "vehicle_report", "power": "power_report", "io": "io_report", "session": "session_state", "meter": "meter_reading"}
# The longest limits that the monitor takes: this probe shares its machine with other tests and must not be taken for dead.
PATIENT = {
    "command_timeout": 1.0,
    "session_timeout": 1.0,
    "bridge_timeout": 2.0,
    "io_timeout": 2.0,
    "modules_timeout": 2.0,
    "vehicle_timeout": 2.0,
}


class Station(Probe):
    """Writes healthy inputs at their rates for whatever state it is set to."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.state = ChargeState.AVAILABLE
        self.changes: dict[str, dict[str, Any]] = {}
        self.silent: set[str] = set()
        self.settled = True
        self.states = self.read("safety_state")
        self.events = self.read("fault_event")
        for name, period in PERIODS.items():
            self.every(period, lambda name=name: self.settled and self.send(name))
        self.description = tmp_path / "station.yaml"
        self.description.write_text("evses: 1\n")
        self.parameters = PATIENT | {
            "data_dir": str(tmp_path / "data"),
            "expected_nodes": ["/ocpp_uplink"],
            "description_file": str(self.description),
            "description_digest": hashlib.sha256(self.description.read_bytes()).hexdigest(),
        }
        self.health = {"/ocpp_uplink": NodeHealth(node="/ocpp_uplink", started=5.0, free_space=1e12)}
        self.every(1.0, self.send_health)
        self.process = self.start("safety_monitor", self.parameters)

    def send(self, name: str) -> None:
        """Publish one input as it is now, unless it is to be silent."""
        if name not in self.silent:
            value = replace(healthy(self.state)[name], **self.changes.get(name, {}))
            self.write(TOPICS.get(name, name), value)

    def send_health(self) -> None:
        """Let the other nodes say that they live."""
        for name, health in self.health.items():
            self.write("node_health", health, topics.STATION if name.count("/") == 1 else "evse_1")

    def change(self, name: str, **fields: Any) -> float:
        """Change an input, publish it at once, return when."""
        self.changes[name] = fields
        moment = time.monotonic()
        self.send(name)
        return moment

    def enter(self, state: ChargeState) -> None:
        """Go to a state: into power once everything else is as it has to be, out of it before anything changes."""
        self.state, self.settled = state, False
        others = [name for name in PERIODS if name != "session"]
        for names in (others, ["session"]) if state in PERMIT_STATES else (["session"], others):
            for name in names:
                self.send(name)
            self.spin(0.05)
        self.settled = True

    @property
    def last(self) -> Any:
        """The newest safety_state."""
        return self.states[-1][1]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path)
    try:
        yield station
    finally:
        station.close()


def charging(station: Station) -> None:
    station.until(lambda: station.states and station.last.reaction is Reaction.NONE, what="safety_state")
    station.enter(ChargeState.CHARGING)
    station.until(lambda: station.last.permit, what="a permit")


def test_the_permit_comes_at_20_hz_and_ends_within_milliseconds_of_the_report(station: Station) -> None:
    charging(station)
    begin = len(station.states)
    station.spin(2.0)
    assert 20 <= len(station.states) - begin <= 44
    assert station.events == []
    # A permit that waited for the next period would end after 25 ms on average; a machine busy with other things gets three tries.
    rounds = []
    while len(rounds) < 3 and (not rounds or min(map(median, rounds)) > 0.015):
        rounds.append([delay_of_an_emergency_stop(station) for _ in range(10)])
    print("permit ends after [ms]:", [sorted(round(delay * 1e3, 1) for delay in delays) for delays in rounds])
    assert min(map(median, rounds)) < 0.015


def delay_of_an_emergency_stop(station: Station) -> float:
    """Press, wait for the end of the permit, heal, reset and go on; return the delay [s]."""
    pressed = station.change("io", emergency_stop=True)
    delay = station.until(lambda: not station.last.permit and station.states[-1][0], 20.0, "the end of the permit") - pressed
    station.enter(ChargeState.FAULTED)
    station.change("io", emergency_stop=False)
    station.spin(0.1)
    assert station.call("reset_faults").success
    station.enter(ChargeState.CHARGING)
    station.until(lambda: station.last.permit, 20.0, "a permit")
    station.spin(0.037)
    return float(delay)


def test_each_silent_input_ends_the_permit_in_its_time(station: Station) -> None:
    charging(station)
    for name, fault in (("power_command", "charge_sequencer_silent"), ("can_status", "can_bridge_silent")):
        limit = PATIENT["command_timeout" if name == "power_command" else "bridge_timeout"]
        station.silent = {name}
        begin = time.monotonic()
        station.until(lambda: not station.last.permit, 20.0, "the end of the permit")
        assert limit - 0.3 <= time.monotonic() - begin <= limit + 0.5
        assert station.last.first_fault == fault
        station.silent = set()
        station.enter(ChargeState.AVAILABLE)
        station.until(lambda: station.last.faults == (), 20.0, "the reset by unplugging")
        charging(station)


def test_a_fault_is_told_with_its_codes_and_reset_only_when_it_is_gone(station: Station) -> None:
    charging(station)
    station.change("io", residual_current_trip=True)
    _, event = station.until(lambda: station.events and station.events[-1], 20.0, "the event")
    assert (event.fault, event.active, event.reaction, event.mrec_code, event.ocpp16_error, event.session_id) == (
        "residual_current", True, Reaction.EMERGENCY, "CX002", "GroundFailure", "s-1",
    )  # fmt: skip
    station.enter(ChargeState.FAULTED)
    station.spin(0.1)
    answer = station.call("reset_faults")
    assert (answer.success, answer.message) == (False, "still there: residual_current")
    station.change("io", residual_current_trip=False)
    station.spin(0.1)
    assert station.call("reset_faults").success
    station.until(lambda: not station.events[-1][1].active, 20.0, "the event")


def test_the_service_emergency_stop_cuts_and_latches(station: Station) -> None:
    charging(station)
    assert station.call("emergency_stop").success
    station.spin(0.2)
    assert not station.last.permit
    assert station.last.faults == ("emergency_stop",)


def test_diagnostics_show_every_row_of_the_table(station: Station) -> None:
    arrays: list[Any] = []
    station.node.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, 10)
    charging(station)
    station.change("io", door_open=True)
    station.until(lambda: any(status.level == b"\x02" for array in arrays for status in array.status), 20.0, "an error in the diagnostics")
    shown = {status.name: status for status in arrays[-1].status}
    assert set(shown) == {f"/evse_1/safety_monitor: {fault.name}" for fault in FAULTS}
    door = shown["/evse_1/safety_monitor: door_open"]
    assert (door.level, door.message) == (b"\x02", "the cabinet door is open")
    assert {"technician", "meaning", "reaction"} <= {item.key for item in door.values}


def test_it_watches_on_after_sigint_until_the_session_is_over(station: Station) -> None:
    charging(station)
    station.process.send_signal(2)
    station.spin(1.0)
    assert station.process.poll() is None
    assert station.last.permit
    station.enter(ChargeState.FINISHED)
    station.until(lambda: station.process.poll() is not None, 20.0, "the end of the node")
    assert station.process.returncode == 0


def test_a_monitor_that_was_stalled_blames_nobody(station: Station) -> None:
    """Its own pause makes every input look old; what came meanwhile waits in its queues. On a machine so busy that inputs do stay away it may try again."""
    for _ in range(4):
        charging(station)
        station.process.send_signal(signal.SIGSTOP)
        station.spin(1.5)
        before, events = len(station.states), len(station.events)
        station.process.send_signal(signal.SIGCONT)
        station.until(lambda before=before: len(station.states) > before + 5, 20.0, "safety_state")
        if station.last.permit and len(station.events) == events:
            return
        station.enter(ChargeState.AVAILABLE)
        station.call("reset_faults")
    pytest.fail(f"blamed others four times: {station.events}")


def test_a_fault_that_waits_for_an_operator_survives_kill_9_and_a_reset_is_kept_too(station: Station) -> None:
    charging(station)
    station.change("io", residual_current_trip=True)
    station.until(lambda: station.last.faults == ("residual_current",), 20.0, "the fault")
    file = Path(station.parameters["data_dir"]) / "safety_monitor_1.json"
    station.until(lambda: file.exists() and json.loads(file.read_text())["faults"], 20.0, "the file")
    station.enter(ChargeState.FAULTED)
    station.change("io", residual_current_trip=False)
    station.process.kill()
    station.process.wait()
    station.states.clear()
    station.events.clear()
    station.process = station.start("safety_monitor", station.parameters)
    station.until(lambda: station.states and station.last.faults == ("residual_current",), what="the fault of the earlier run")
    assert (station.last.reaction, station.last.permit) == (Reaction.EMERGENCY, False)
    station.until(lambda: [event.fault for _, event in station.events] == ["residual_current"], what="its event")
    station.until(lambda: station.call("reset_faults").success, what="the reset")
    station.until(lambda: json.loads(file.read_text())["faults"] == [], 20.0, "the empty file")


def test_a_damaged_file_of_latched_faults_blocks_until_an_operator_has_looked(station: Station) -> None:
    station.until(lambda: station.states, what="safety_state")
    station.process.kill()
    station.process.wait()
    file = Path(station.parameters["data_dir"]) / "safety_monitor_1.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"\0\0\0")
    station.states.clear()
    station.process = station.start("safety_monitor", station.parameters)
    station.until(lambda: station.states and station.last.faults == ("latches_lost",), what="the fault")
    assert station.last.reaction is Reaction.BLOCK
    station.until(lambda: station.call("reset_faults").success, what="the reset")
    station.until(lambda: json.loads(file.read_text())["faults"] == [], 20.0, "the file")


def test_what_other_nodes_say_of_themselves_is_heard_from_both_namespaces(station: Station) -> None:
    station.until(lambda: station.states, what="safety_state")
    meter = NodeHealth(node="/evse_1/energy_meter", started=5.0, failed_writes=2, free_space=1e12)
    station.health["/evse_1/energy_meter"] = meter
    station.until(lambda: "ledger_failed" in station.last.faults, 20.0, "the fault of the meter")
    station.health["/evse_1/energy_meter"] = replace(meter, failed_writes=0)
    station.health["/ocpp_uplink"] = replace(station.health["/ocpp_uplink"], free_space=1e6)
    station.until(lambda: {"disk_full", "disk_low"} <= set(station.last.faults), 20.0, "the fault of the uplink")
    del station.health["/ocpp_uplink"]
    station.until(lambda: "node_silent" in station.last.faults, 20.0, "the silence")


def test_a_description_that_somebody_changes_blocks_until_it_is_put_back(station: Station) -> None:
    charging(station)
    station.description.write_text("evses: 2\n")
    station.until(lambda: station.last.faults == ("description_changed",), 20.0, "the fault")
    assert (station.last.reaction, station.last.permit) == (Reaction.BLOCK, True)
    station.description.write_text("evses: 1\n")
    station.until(lambda: station.last.faults == (), 20.0, "the end of the fault")


def test_every_node_says_once_a_second_that_it_lives(station: Station) -> None:
    told = station.read("node_health")
    station.until(lambda: len(told) >= 4, what="node_health")
    first, last = told[0][1], told[-1][1]
    assert (last.node, last.started) == ("/evse_1/safety_monitor", first.started)
    assert abs(last.started - time.time()) < 120.0
    assert last.description == station.parameters["description_digest"]
    assert last.failed_writes == 0
    assert 2.5 <= told[3][0] - told[0][0] <= 6.0


def test_a_wrong_parameter_ends_it_with_code_2_and_its_name(tmp_path: Path) -> None:
    probe = Probe(tmp_path)
    try:
        process = probe.start("safety_monitor", {"vehicle_timeout": 5.0})
        probe.until(lambda: process.poll() is not None, what="the end of the node")
        assert process.returncode == 2
        assert "vehicle_timeout: 5.0 s is above 2.0 s" in probe.log("safety_monitor")
    finally:
        probe.close()
