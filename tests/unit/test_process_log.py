"""Which lines of a process a person should see at once."""

from pathlib import Path

import pytest

from evse_tools import process_log
from evse_tools.process_log import ProcessLog, problem_in


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[WARN] [1795236862.595926233] [evse_1.can_bridge]: bus closed", "WARN: bus closed"),
        ("[ERROR] [1795236862.595926233] [recorder]: disk full", "ERROR: disk full"),
        ("[INFO] [1795236862.595926233] [recorder]: error counter is 0", ""),
        ("[DEBUG] [1795236862.595926233] [recorder]: failed", ""),
        ("Traceback (most recent call last):", ""),
        ('  File "x.py", line 1, in <module>', ""),
        (
            "ValueError: /evse_1/can_bridge: parameter vehicle_bus.channel: is empty",
            "ValueError: /evse_1/can_bridge: parameter vehicle_bus.channel: is empty",
        ),
        ("csms_simulator: ws://127.0.0.1:9000", ""),
        ("", ""),
    ],
)
def test_problems_are_told_from_chatter(line: str, shown: str) -> None:
    assert problem_in(line) == shown


def test_only_new_and_whole_lines_are_read(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "a.log")
    log.path.write_text("error of an earlier run\n", encoding="utf-8")
    with log.open() as file:
        file.write(b"error 1\nerr")
        file.flush()
        assert log.problems() == ["error 1"]
        file.write(b"or 2\n")
        file.flush()
        assert log.problems() == ["error 2"]
        assert log.problems() == []


def test_a_flood_and_repetitions_are_cut(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "a.log")
    with log.open() as file:
        file.write(b"error\n" * 100 + b"".join(b"error %d\n" % number for number in range(100)))
        file.flush()
        found = log.problems()
    assert len(found) == process_log.MOST_LINES
    assert found[:2] == ["error", "error 0"]


def test_a_log_that_grows_too_large_is_moved_aside_while_the_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_log, "LARGEST", 1000)
    log = ProcessLog(tmp_path / "a.log")
    with log.open() as file:
        file.write(b"x" * 1500 + b"\n")
        file.flush()
        log.problems()
        file.write(b"error after\n")
        file.flush()
        assert log.problems() == ["error after"]
    assert log.path.read_bytes() == b"error after\n"
    assert (tmp_path / "a.log.1").stat().st_size == 1501
