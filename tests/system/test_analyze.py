"""`station analyze` as a user starts it, on the recordings of real cars: one JSON document on stdout, a picture, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT.parent / "shared" / "can_logs"
pytestmark = pytest.mark.skipif(not LOGS.is_dir(), reason="the recordings of ../shared/can_logs are not here")
EXPECTED = {
    "leaf_start_stop": ("complete", 12, "charger"),
    "leaf_ze1_charging": ("charging", 10, "unknown"),
    "failed_1": ("failed", 8, "charger"),
    "failed_2": ("failed", 10, "charger"),
    "failed_3": ("failed", 8, "charger"),
}


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evse_tools.cli", "analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_gives_json_and_a_picture(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    done = analyze(LOGS / f"{name}.csv", "--json", "--plot", picture)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["outcome"], data["last_step"], data["ended_by"]) == EXPECTED[name]
    assert picture.read_bytes().startswith(b"\x89PNG")
    # An empty sheet of this size has about 8 kB.
    assert picture.stat().st_size > 40_000


def test_without_json_people_get_tables() -> None:
    done = analyze(LOGS / "failed_2.csv")
    assert done.returncode == 0
    assert "FAILED in step 10, ended by charger" in done.stdout


def test_a_file_that_is_no_log_is_exit_code_2(tmp_path: Path) -> None:
    done = analyze(ROOT / "README.md", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "README.md: not a CAN log" in done.stderr
