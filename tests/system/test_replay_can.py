"""`station replay-can` as a user starts it: our station charges a recorded Leaf in real time, and says how its answers differ from the recorded charger's."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEAF = ROOT.parent / "shared" / "can_logs" / "leaf_start_stop.csv"
pytestmark = pytest.mark.skipif(not LEAF.is_file(), reason="the recordings of ../shared/can_logs are not here")
# Steady charging that the test has no time for, in the log's microseconds: from 26 s to 45 s after its first frame.
CUT = (3_016_672 + 26_000_000, 3_016_672 + 45_000_000)
# Start of a station, 24 s of the log that are left in step, end of the station; a loaded machine needs more. [s]
LIMIT = 110


def shortened(path: Path) -> Path:
    """Write the log without its steady charging."""
    head, *rows = LEAF.read_text(encoding="ascii").splitlines()
    kept = [head]
    for row in rows:
        stamp, rest = row.split(",", 1)
        if int(stamp) < CUT[0]:
            kept.append(row)
        elif int(stamp) >= CUT[1]:
            kept.append(f"{int(stamp) - CUT[1] + CUT[0]},{rest}")
    path.write_text("\n".join(kept) + "\n", encoding="ascii")
    return path


def test_our_station_charges_a_recorded_leaf_as_its_charger_did(tmp_path: Path) -> None:
    log, folder, picture, result = (tmp_path / name for name in ("leaf.csv", "kept", "both.png", "result.json"))
    command = [sys.executable, "-m", "evse_tools.cli", "replay-can", shortened(log), "--as", "vehicle"]
    command += ["--json", result, "--plot", picture, "--output", folder]
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, errors
    data = json.loads(result.read_text(encoding="utf-8"))
    assert data["charged"]
    assert data["bits"]["same_order"], data["bits"]
    assert data["current"]["ours"]["top_a"] == 14
    assert [row["mark"] for row in data["waits"] if row["ours_t"] is None] == []
    assert [row for row in data["phases"] if row["within"] is False] == []
    assert picture.read_bytes().startswith(b"\x89PNG")
    again = subprocess.run(
        [sys.executable, "-m", "evse_tools.cli", "analyze", str(folder / "vehicle_bus.log"), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert json.loads(again.stdout)["cause"] == "stopped_at_charger"
