"""`station bench reaction` in its short form: every fault cuts the power, the figures have the shape that others read, times are of the right order."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

# Far above what is measured (README), so that a busy machine does not fail the test: it shows that the cut comes at all. [ms]
SLOWEST = 1500.0


def test_every_fault_cuts_the_power() -> None:
    line = [sys.executable, "-m", "evse_tools.cli", "bench", "reaction", "--trials", "2", "--kills", "1", "--json"]
    end = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False)
    assert end.returncode == 0, end.stderr
    found = json.loads(end.stdout)
    assert found["bench"] == "reaction"
    figures = {row["name"]: row for row in found["figures"]}
    assert {name: row["n"] for name, row in figures.items()} == {
        "emergency stop": 2,
        "over-voltage": 2,
        "vehicle silent, after its deadline": 2,
        "safety_monitor killed": 1,
        "charge_sequencer killed": 1,
    }
    for row in figures.values():
        assert 0.0 < row["median"] <= row["p99"] <= row["max"] < SLOWEST
        assert row["unit"] == "ms"
