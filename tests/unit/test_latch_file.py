"""The file of latched faults, and the watch of the description: on a real disk, whatever happens to it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from evse_core.fault_table import BY_NAME
from evse_core.safety_latches import Latch
from evse_core.types import Reaction
from evse_nodes.description_watch import UNREADABLE, DescriptionWatch
from evse_nodes.latch_file import LatchFile

LATCHES = (Latch("emergency_stop", Reaction.EMERGENCY, "the chain is open"), Latch("door_open", Reaction.EMERGENCY, "offen, geöffnet"))


def wait(condition: Callable[[], bool]) -> None:
    """Wait for the thread that writes."""
    end = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    file = LatchFile(tmp_path / "deep" / "latches.json")
    assert file.read(BY_NAME) == ()
    file.keep(LATCHES[:1])
    file.keep(LATCHES)
    file.close()
    again = LatchFile(file.path)
    assert again.read(BY_NAME) == LATCHES
    again.keep(())
    again.close()
    assert LatchFile(file.path).read(BY_NAME) == ()
    assert [path.name for path in file.path.parent.iterdir()] == ["latches.json"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"version": 1, "faults": [{"fault": "x", "reaction": "STOP", "detail": ""}]}']
)
def test_a_file_that_says_nothing_is_an_error_and_not_an_empty_list(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "latches.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read|is no list|does not know"):
        LatchFile(path).read(BY_NAME)


def test_a_disk_that_refuses_is_told_and_tried_again(tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("a file where the folder has to be")
    file = LatchFile(blocked / "latches.json")
    file.keep(LATCHES)
    wait(lambda: file.failed_writes > 0)
    assert file.error
    blocked.unlink()
    wait(lambda: file.failed_writes == 0)
    assert LatchFile(file.path).read(BY_NAME) == LATCHES
    file.close()


def test_a_description_is_read_anew_only_where_time_or_size_changed(tmp_path: Path) -> None:
    path = tmp_path / "station.yaml"
    path.write_text("a: 1\n")
    watch = DescriptionWatch(str(path))
    first = watch.digest
    assert len(first) == 64
    os.utime(path, ns=(5, 5))
    assert watch.look() == first
    path.write_text("a: 2\n")
    assert watch.look() not in ("", first, UNREADABLE)
    path.unlink()
    assert watch.look() == UNREADABLE
    path.write_text("a: 1\n")
    assert watch.look() == first
    assert DescriptionWatch("").look() == ""
