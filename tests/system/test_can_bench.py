"""`station bench can` in its short form: the figures have the shape that others read, and every frame is accounted for."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

# Each of the two parts with can_bridge sends for 1 s of warming up and 2 s of measuring on two buses of 4,000 frames/s.
SECONDS, FRAMES = 2, 2 * 3 * 4000


def test_every_frame_is_accounted_for_and_leaps_are_reported() -> None:
    line = [sys.executable, "-m", "evse_tools.cli", "bench", "can", "--seconds", str(SECONDS), "--json"]
    end = subprocess.run(line, capture_output=True, text=True, timeout=110, check=False)
    assert end.stdout, end.stderr
    found = json.loads(end.stdout)
    assert found["bench"] == "can"
    parts = {name: counts for name, counts in found["frames"].items() if name != "bare loop"}
    assert len(parts) == 2
    assert [counts["sent"] for counts in found["frames"].values()] == [FRAMES] * 3
    # A machine that is busy with other things may lose frames: then the command says so by its exit code.
    assert end.returncode == int(any(counts["lost"] for counts in parts.values()))
    recorded, silent = parts.values()
    assert recorded["in_can_frames"] >= 0.9 * (FRAMES - recorded["lost"])
    assert silent["in_can_frames"] == 0
    names = [row["name"] for row in found["figures"]]
    assert sum("socket to topic" in name for name in names) == 2
    assert sum("processor time per frame" in name for name in names) == 3
    assert all(0.0 < row["median"] <= row["p99"] <= row["max"] for row in found["figures"])
    assert {row["met"] for row in found["aims"]} <= {True, False}
