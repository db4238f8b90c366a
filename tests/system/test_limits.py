"""A limit that the CSMS sets shows on the bus of a running AC session: the short form of `station bench limits`, which has the other vehicle links."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")
pytestmark = pytest.mark.timeout(200)


def test_limits_of_the_csms_reach_the_bus_and_suspend_and_go_again() -> None:
    line = [sys.executable, "-m", "evse_tools.cli", "bench", "limits", "--json", "--link", "pilot"]
    end = subprocess.run(line, capture_output=True, text=True, timeout=180, check=False)
    found = json.loads(end.stdout)
    problems = [problem for problem in found["problems"] if ", allowed " not in problem]
    assert problems == [], end.stderr
    names = [figure["name"] for figure in found["figures"]]
    assert len(names) == 4
    assert names[2].endswith("suspended (0.0 A)")
    # 2 s on a machine that does nothing else (issue 6); the suite shares its processors.
    assert all(figure["max"] < 6000.0 for figure in found["figures"][:3])
