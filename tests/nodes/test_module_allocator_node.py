"""module_allocator and the simulated cabinet as processes on a bus of their own, and a probe that plays the sequencers of two EVSEs."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")

from probe import Probe

from evse_core.module_allocator import Cabinet, ModuleRating
from evse_core.module_demand import OutletRating
from evse_core.types import CabinetReport, ChargeState, SessionState
from evse_nodes.cabinet_layout import to_json
from evse_simulators.local_door import knock

CONTENT = Cabinet(
    tuple(ModuleRating(number, 100.0, 30e3, 1000.0, frozenset({1, 2})) for number in (1, 2, 3, 4)),
    tuple(OutletRating(outlet, 200.0, 60e3, 500.0) for outlet in (1, 2)),
)
IDLE, BEGUN = SessionState(state=ChargeState.AVAILABLE), SessionState(state=ChargeState.LOCKING, session_id="s", session_active=True)


def bus() -> str:
    return f"ff11::{random.randrange(1, 0xFFFF):x}:{random.randrange(1, 0xFFFF):x}"


class Station(Probe):
    """Two EVSEs that say at 10 Hz how their sessions stand, and hear what the cabinet does for them."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.sessions = {1: IDLE, 2: IDLE}
        self.reports = {number: self.read("cabinet_report", f"evse_{number}") for number in (1, 2)}
        self.power = {number: self.read("sim/power", f"evse_{number}") for number in (1, 2)}
        self.every(0.1, self.say)
        self.shared: dict[str, Any] = {"cabinet": json.dumps(to_json(CONTENT)), "bus.interface": "udp_multicast", "bus.channel": bus()}
        self.allocator = self.start("module_allocator", self.shared, "/")
        links = {
            "evse_1.interface": "udp_multicast",
            "evse_1.channel": bus(),
            "evse_1.pistol": 1,
            "evse_2.shares_bus_with": 1,
            "evse_2.pistol": 2,
        }
        self.cabinet = self.simulate(self.shared | links)

    def simulate(self, parameters: dict[str, Any]) -> subprocess.Popen[bytes]:
        """Start the simulated cabinet."""
        path = self._tmp_path / "power_cabinet_simulator.yaml"
        path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
        code = "from evse_simulators.power_cabinet_simulator_node import main; raise SystemExit(main())"
        log = (self._tmp_path / "power_cabinet_simulator.log").open("wb")
        environment = os.environ | {"ROS_DOMAIN_ID": str(self.domain)}
        command = [sys.executable, "-c", code, "--ros-args", "--params-file", str(path)]
        self.processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
        return self.processes[-1]

    def say(self) -> None:
        """Publish what each EVSE says."""
        for number, session in self.sessions.items():
            self.write("session_state", session, f"evse_{number}")

    def report(self, number: int) -> CabinetReport:
        """Return the last report of an EVSE, an empty one before the first."""
        found: CabinetReport = self.reports[number][-1][1] if self.reports[number] else CabinetReport()
        return found

    def fault(self, evse: int, name: str, active: bool = True) -> tuple[bool, str] | None:
        """Break something of the cabinet at an EVSE, by the door of its simulator."""
        before = os.environ.get("ROS_DOMAIN_ID")
        os.environ["ROS_DOMAIN_ID"] = str(self.domain)
        try:
            return knock(f"/evse_{evse}/power_module_simulator", "inject_fault", {"fault": name, "active": active})
        finally:
            os.environ.pop("ROS_DOMAIN_ID") if before is None else os.environ.update(ROS_DOMAIN_ID=before)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    try:
        made.until(lambda: made.report(1).age < 0.5 and made.report(2).age < 0.5, what="the cabinet's frames")
        yield made
    finally:
        made.close()


def test_modules_come_to_who_begins_and_are_shared_with_who_comes_later(station: Station) -> None:
    assert station.report(1).modules_connected == 0
    station.sessions[1] = BEGUN
    station.until(lambda: station.report(1).modules_connected >= 2, what="modules of EVSE 1")
    station.sessions[2] = BEGUN
    station.until(lambda: station.report(2).modules_connected >= 1, what="modules of EVSE 2")
    assert station.report(1).modules_connected >= 1
    station.until(lambda: station.power[1] and station.power[2], what="the DC paths")


def test_a_module_that_dies_is_told_and_taken_out(station: Station) -> None:
    station.sessions[1] = BEGUN
    station.until(lambda: station.report(1).modules_connected >= 2, what="modules")
    assert station.fault(1, "cabinet_module_dies") is not None
    station.until(lambda: "does not work" in station.report(1).lost, what="the word about it")
    station.until(lambda: station.report(1).modules_connected >= 2, what="another module in its place")


def test_a_switch_that_sticks_waits_for_reset_modules(station: Station) -> None:
    assert station.fault(1, "cabinet_switch_stuck_open") is not None
    station.sessions[1] = station.sessions[2] = BEGUN
    station.until(lambda: "does not close" in station.report(1).stuck, what="the word about it")
    assert station.fault(1, "cabinet_switch_stuck_open", False) is not None
    station.spin(1.0)
    assert "does not close" in station.report(1).stuck
    answer = station.call("/module_allocator/reset_modules")
    assert answer.success
    station.until(lambda: not station.report(1).stuck, what="its end")


def test_a_killed_allocator_finds_out_what_is_connected(station: Station) -> None:
    station.sessions[1] = BEGUN
    station.until(lambda: station.report(1).modules_connected >= 2, what="modules")
    station.spin(2.5)
    before = station.report(1)
    station.allocator.kill()
    station.allocator.wait()
    station.reports[1].clear()
    station.start("module_allocator", station.shared, "/")
    station.until(lambda: station.report(1).modules_connected == before.modules_connected, what="the modules again")
    station.until(lambda: station.report(1).switch_operations >= before.switch_operations, what="the counters of the switches")
    station.spin(2.0)
    assert station.report(1).switch_operations == before.switch_operations
    assert station.report(1).modules_connected == before.modules_connected


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"cabinet": "{}", "bus.channel": "can0"}, "'{}' is no cabinet"),
        ({"cabinet": json.dumps(to_json(CONTENT)), "bus.channel": "can0", "match_voltage": 30.0}, "match_voltage: 30.0 V is above 20.0 V"),
        ({"cabinet": json.dumps(to_json(CONTENT))}, "bus.channel: is empty"),
    ],
)
def test_wrong_input_ends_it_with_code_2_and_a_name(tmp_path: Path, parameters: dict[str, Any], words: str) -> None:
    probe = Probe(tmp_path)
    try:
        process = probe.start("module_allocator", parameters, "/")
        probe.until(lambda: process.poll() is not None, what="the end of the node")
        assert process.returncode == 2
        assert words in probe.log("module_allocator")
    finally:
        probe.close()
