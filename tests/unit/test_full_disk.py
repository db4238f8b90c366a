"""A disk that is really full under the energy meter's ledger: a small file system of its own, and the limit on file sizes where nobody may mount one.

What must hold: no record is told that is not on disk, an open record is not lost, nothing is billed twice, and the meter says that it cannot write.
"""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from notary_bench import NOTARY

from evse_core.energy_meter import MeterConfig
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, PowerReport, RecordStatus, SessionState, StopCause
from evse_nodes.ledger import Ledger
from evse_nodes.meter_book import MeterBook
from evse_nodes.node_health import Storage

LEDGER = "energy_meter_1.sqlite"


@dataclass
class Disk:
    """A folder whose disk can be filled and freed."""

    folder: Path

    def fill(self) -> None:
        """Take all the room that is left."""
        with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1000))

    def free(self) -> None:
        """Give it back."""
        (self.folder / "ballast").unlink(missing_ok=True)


class LimitedDisk(Disk):
    """Without a file system of its own: no file of this process may grow beyond the ledger's log."""

    _soft, _hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        size = (self.folder / f"{LEDGER}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._hard))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._soft, self._hard))


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limit":
        limited = LimitedDisk(tmp_path)
        try:
            yield limited
        finally:
            limited.free()
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


class Bench:
    """A book on the disk, 36 kW at 10 Hz, and what it told."""

    def __init__(self, disk: Disk) -> None:
        self.now, self.told = 1000.0, list[ChargeRecord]()
        self.book = MeterBook(MeterConfig(), Tariff("EUR", "0.50"), 1, disk.folder, self.told.append)
        self.book.recover(self.now)

    def charge(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.book.on_power(PowerReport(complete=True, age=0.0, voltage=400.0, current=90.0), self.now, self.now)

    def session(self, active: bool) -> None:
        cause = StopCause.NONE if active else StopCause.LOCAL
        state = SessionState(session_id="a", session_active=active, transaction_active=active, stop_cause=cause)
        self.book.on_session(state, self.now, self.now)

    def try_again(self) -> None:
        """Do what the node's timer does."""
        if not self.book.stored:
            self.book.save(self.now, self.now, durable=True)

    @property
    def statuses(self) -> list[RecordStatus]:
        return [record.status for record in self.told]


def test_no_begin_record_is_told_before_the_disk_has_taken_it(disk: Disk) -> None:
    bench = Bench(disk)
    bench.charge(1.0)
    disk.fill()
    for _ in range(3):
        bench.session(active=True)
        bench.try_again()
        assert (bench.told, bench.book.open) == ([], None)
    assert bench.book.failed_writes > 0
    disk.free()
    bench.session(active=True)
    assert bench.statuses == [RecordStatus.OPEN]
    bench.try_again()
    assert (bench.book.failed_writes, bench.book.stored) == (0, True)


def test_a_disk_that_fills_up_under_a_session_loses_nothing_once_it_is_freed(disk: Disk) -> None:
    bench = Bench(disk)
    bench.session(active=True)
    bench.charge(10.0)
    before = bench.book.register_wh
    disk.fill()
    bench.charge(10.0)
    assert not bench.book.stored
    assert bench.book.failed_writes > 0
    assert bench.book.register_wh == before
    bench.session(active=False)
    bench.try_again()
    assert bench.statuses == [RecordStatus.OPEN]
    assert bench.book.open is not None
    disk.free()
    bench.try_again()
    bench.session(active=False)
    assert bench.statuses == [RecordStatus.OPEN, RecordStatus.CLOSED]
    billed = bench.told[-1].end_register_wh - bench.told[-1].begin_register_wh
    assert billed == pytest.approx(200.0, abs=1.1)
    assert (bench.book.failed_writes, bench.book.open) == (0, None)


def test_a_meter_that_dies_on_a_full_disk_ends_the_record_with_what_was_stored(disk: Disk) -> None:
    bench = Bench(disk)
    bench.session(active=True)
    bench.charge(10.0)
    stored = bench.book.register_wh
    disk.fill()
    bench.charge(10.0)
    bench.book.close()
    disk.free()
    again = Bench(disk)
    assert again.statuses == [RecordStatus.OPEN]
    again.book.stop_waiting(again.now + MeterConfig().resume_time)
    assert again.statuses == [RecordStatus.OPEN, RecordStatus.INTERRUPTED]
    assert again.told[-1].end_register_wh == pytest.approx(stored)
    again.book.close()
    assert Ledger(disk.folder / LEDGER, NOTARY).open_records() == []


def test_the_room_that_is_left_is_that_of_the_disk(disk: Disk) -> None:
    if isinstance(disk, LimitedDisk):
        pytest.skip("a limit on file sizes leaves the disk's room as it is")
    assert 0.9e6 < Storage(disk.folder).free_space() < 1.1e6
    disk.fill()
    assert Storage(disk.folder).free_space() == 0.0
