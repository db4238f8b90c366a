"""`station up`: the whole graph in processes, started, used through `station sim`, and ended by a signal."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy")

from evse_tools.demo_station import expand

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "evse_tools.cli"]
TOKEN = "04A1B201"


@pytest.fixture
def environment() -> dict[str, str]:
    return os.environ | {
        "ROS_DOMAIN_ID": str(random.randint(1, 100)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A description with buses and ports of its own."""
    data = expand(yaml.safe_load((ROOT / "config/single_evse.yaml").read_text(encoding="utf-8")), 1, "", tmp_path / "data")
    path = tmp_path / "station.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


@pytest.fixture
def station(file: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "up.txt").open("wb") as output:
        process = subprocess.Popen([*CLI, "up", str(file)], env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def sequencer_log(tmp_path: Path) -> str:
    path = tmp_path / "data" / "log" / "evse_1.charge_sequencer.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def wait_for(pattern: str, tmp_path: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not re.search(pattern, sequencer_log(tmp_path)):
        if time.monotonic() > deadline:
            pytest.fail(f"no {pattern!r} within {seconds:.0f} s\n{(tmp_path / 'up.txt').read_text()}\n{sequencer_log(tmp_path)}")
        time.sleep(0.1)


def sim(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLI, "sim", *words], env=environment, capture_output=True, text=True, timeout=30, check=False)


def children(pid: int) -> set[int]:
    return {int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()}


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_signal_in_the_middle_of_a_session_ends_it_safely_and_leaves_no_process(
    station: subprocess.Popen[bytes], environment: dict[str, str], tmp_path: Path
) -> None:
    wait_for("-> AVAILABLE", tmp_path)
    assert sim(environment, "plug-in").returncode == 0
    again = sim(environment, "plug-in")
    assert (again.returncode, again.stderr.strip()) == (1, "is plugged in already")
    assert sim(environment, "token", TOKEN).returncode == 0
    wait_for("-> AUTHORIZED", tmp_path)
    assert sim(environment, "start").returncode == 0
    wait_for("-> CHARGING", tmp_path)
    processes = children(station.pid)
    assert len(processes) == 11
    station.send_signal(signal.SIGINT)
    assert station.wait(timeout=40) == 0, (tmp_path / "up.txt").read_text()
    # Ended in order: power off, contactor open, unlocked, billed; no emergency.
    assert "-> UNLOCKING" in sequencer_log(tmp_path).rpartition("-> CHARGING")[2]
    assert "EMERGENCY" not in sequencer_log(tmp_path)
    bill = json.loads((tmp_path / "data" / "csms_simulator.json").read_text(encoding="utf-8"))["transactions"]
    assert [item["reason"] is not None for item in bill] == [True]
    assert not any(alive(pid) for pid in processes)


def test_nothing_outlives_a_command_that_is_killed(station: subprocess.Popen[bytes], tmp_path: Path) -> None:
    wait_for("-> AVAILABLE", tmp_path)
    processes = children(station.pid)
    station.kill()
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in processes):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.1)


def test_a_second_station_on_the_same_data_is_refused(
    file: Path, station: subprocess.Popen[bytes], environment: dict[str, str], tmp_path: Path
) -> None:
    deadline = time.monotonic() + 30
    while not (tmp_path / "data" / ".station.lock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)
    second = subprocess.run([*CLI, "up", str(file)], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert "is running with the data of" in second.stderr


def test_a_wrong_description_starts_nothing(file: Path, environment: dict[str, str], tmp_path: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace("max_current: 125", "max_current: 12500"), encoding="utf-8")
    answer = subprocess.run([*CLI, "up", str(file)], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 2
    assert re.search(r"station\.yaml:\d+: evses\[0\]\.rating\.max_current: 12500\.0 A is above 3000\.0 A", answer.stderr)
    assert not (tmp_path / "data").exists()


def test_a_driver_without_a_station_is_told_so(environment: dict[str, str]) -> None:
    answer = sim(environment, "plug-in")
    assert answer.returncode == 1
    assert f"no station is running in ROS domain {environment['ROS_DOMAIN_ID']}" in answer.stderr


def test_doctor_finds_this_machine_well_and_a_bad_description_bad(environment: dict[str, str], tmp_path: Path) -> None:
    good = subprocess.run(
        [*CLI, "doctor", "config/depot.yaml", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    findings = json.loads(good.stdout)["findings"]
    assert good.returncode == 0, findings
    assert {"python", "ros", "messages", "discovery", "simulated can", "description"} <= {item["topic"] for item in findings}
    (tmp_path / "bad.yaml").write_text("station: {}\n", encoding="utf-8")
    bad = subprocess.run(
        [*CLI, "doctor", str(tmp_path / "bad.yaml")], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert bad.returncode == 2
    assert "station.name: is missing" in bad.stdout
