"""What killed processes left in shared memory goes, what anybody uses stays."""

import fcntl
import mmap
import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from evse_tools import shared_memory
from evse_tools.shared_memory import remove_abandoned, remove_unused, segments

SEGMENT, PORT = "fastrtps_0123456789abcdef", "fastrtps_port7411"


def left(folder: Path, *names: str, age: float = 60.0) -> None:
    for name in names:
        path = folder / name
        path.touch()
        os.utime(path, (time.time() - age,) * 2)


def names(folder: Path) -> Iterable[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_unlocked_segment_goes_with_its_lock(tmp_path: Path) -> None:
    left(tmp_path, SEGMENT, f"{SEGMENT}_el")
    assert sorted(remove_unused({SEGMENT}, tmp_path)) == [SEGMENT, f"{SEGMENT}_el"]
    assert names(tmp_path) == []


def test_a_port_goes_with_its_mutex(tmp_path: Path) -> None:
    left(tmp_path, PORT, f"{PORT}_sl", f"sem.{PORT}_mutex")
    remove_unused({PORT}, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("end", "kind"), [("_el", fcntl.LOCK_EX), ("_sl", fcntl.LOCK_SH)])
def test_what_is_locked_stays(tmp_path: Path, end: str, kind: int) -> None:
    left(tmp_path, PORT, f"{PORT}{end}", f"sem.{PORT}_mutex")
    with (tmp_path / f"{PORT}{end}").open("rb") as lock:
        fcntl.flock(lock, kind)
        assert remove_unused({PORT}, tmp_path) == []
        assert remove_abandoned(tmp_path) == []
    assert len(list(names(tmp_path))) == 3


def test_what_nobody_ever_locked_stays(tmp_path: Path) -> None:
    """A port without listener: a writer that still has it mapped would go on writing into nothing."""
    left(tmp_path, PORT, f"sem.{PORT}_mutex")
    assert remove_unused({PORT}, tmp_path) == []
    assert remove_abandoned(tmp_path) == []


def test_only_old_files_of_fast_dds_count_as_abandoned(tmp_path: Path) -> None:
    left(tmp_path, SEGMENT, f"{SEGMENT}_el", "other", "other_el", "fastrtps_notes", "fastrtps_notes_el")
    left(tmp_path, PORT, f"{PORT}_el", age=1.0)
    remove_abandoned(tmp_path)
    assert names(tmp_path) == sorted([PORT, f"{PORT}_el", "other", "other_el", "fastrtps_notes", "fastrtps_notes_el"])


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert remove_abandoned(tmp_path / "nothing") == []


def test_the_segments_of_a_process_are_found_in_its_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "SHM", tmp_path)
    path = tmp_path / SEGMENT
    path.write_bytes(b"x" * mmap.PAGESIZE)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        assert segments(os.getpid()) == {SEGMENT}
    assert segments(os.getpid()) == frozenset()
    assert segments(2**22 + 1) == frozenset()
