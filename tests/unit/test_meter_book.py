"""Ledger, records and receipts on disk: what a restart, a full disk, a damaged or a foreign file do to them."""

import json
import sqlite3
from dataclasses import dataclass, field
from math import nan
from pathlib import Path

import pytest
from notary_bench import NOTARY

from evse_core.energy_meter import MeterConfig
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, PowerReport, RecordStatus, SessionState, StopCause, Transaction
from evse_nodes import ledger
from evse_nodes.ledger import APPLICATION, VERSION, Ledger
from evse_nodes.meter_book import MeterBook

CONFIG, TARIFF = MeterConfig(), Tariff("EUR", "0.50")
FILE = "energy_meter_1.sqlite"


@dataclass
class Bench:
    """A book in a folder, fed with 36 kW at 10 Hz, so that a second is 10 Wh."""

    folder: Path
    now: float = 1000.0
    counter: float = 0.0
    told: list[ChargeRecord] = field(default_factory=list)

    def open(self) -> MeterBook:
        self.book = MeterBook(CONFIG, TARIFF, 1, self.folder, self.told.append)
        self.book.recover(self.now)
        return self.book

    def charge(self, seconds: float, counter: bool = False) -> None:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.counter += 1.0
            counted = self.counter if counter else nan
            report = PowerReport(complete=True, age=0.0, voltage=400.0, current=90.0, energy_wh=counted)
            self.book.on_power(report, self.now, self.now)

    def charge_unseen(self, seconds: float) -> None:
        """Go on charging while no meter listens."""
        self.now += seconds
        self.counter += 10.0 * seconds

    def idle(self) -> None:
        """Have the modules say that nothing flows."""
        self.book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0), self.now, self.now)

    def session(self, session_id: str, active: bool, cause: StopCause = StopCause.NONE) -> None:
        state = SessionState(
            session_id=session_id, session_active=active, transaction_active=active, token="04A2B3C4D5E680", stop_cause=cause
        )
        self.book.on_session(state, self.now, self.now)

    def die(self) -> None:
        """End as by kill -9: nothing is said, the file is let go."""
        self.book.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def receipt(bench: Bench, session_id: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((bench.folder / "receipts" / f"{session_id}.json").read_text())
    return found


def test_a_session_from_begin_to_receipt(bench: Bench) -> None:
    book = bench.open()
    bench.charge(1.0)
    bench.session("a", True)
    assert bench.told[-1].status is RecordStatus.OPEN
    bench.charge(360.0)
    bench.session("a", True)
    assert len(bench.told) == 1
    bench.session("a", False, StopCause.VEHICLE)
    closed = bench.told[-1]
    assert (closed.status, closed.record_number, closed.stop_cause, closed.max_power) == (
        RecordStatus.CLOSED,
        1,
        StopCause.VEHICLE,
        36_000.0,
    )
    assert closed.end_register_wh - closed.begin_register_wh == pytest.approx(3600.0)
    assert closed.cost == 180
    assert receipt(bench, "a")["energy_wh"] == 3600
    assert "1.80 EUR" in (bench.folder / "receipts" / "a.txt").read_text()
    assert book.open is None


def test_what_is_told_is_on_disk(bench: Bench) -> None:
    """Whoever hears of a record finds it in the file, as a second connection sees it."""
    seen: list[tuple[int, float]] = []
    bench.open()

    def look(record: ChargeRecord) -> None:
        rows = (
            sqlite3.connect(f"file:{bench.folder / FILE}?mode=ro", uri=True)
            .execute("SELECT status, begin_register_wh FROM records")
            .fetchall()
        )
        assert rows[-1] == (record.status, record.begin_register_wh)
        seen.append(rows[-1])

    bench.book._tell = look  # type: ignore[method-assign]
    bench.session("a", True)
    bench.charge(5.0)
    bench.session("a", False)
    assert len(seen) == 2


def test_a_session_that_goes_on_while_the_meter_restarts_is_billed_whole(bench: Bench) -> None:
    """The counter in power_report says what flowed meanwhile."""
    bench.open()
    bench.session("a", True)
    bench.charge(10.0, counter=True)
    bench.die()
    bench.told.clear()
    bench.charge_unseen(4.0)
    book = bench.open()
    assert [record.status for record in bench.told] == [RecordStatus.OPEN]
    assert book.open is not None
    bench.charge(10.0, counter=True)
    bench.session("a", True)
    bench.session("a", False, StopCause.LOCAL)
    closed = bench.told[-1]
    assert (closed.status, closed.stop_cause, closed.record_number, closed.max_power) == (RecordStatus.CLOSED, StopCause.LOCAL, 1, 36_000.0)
    assert closed.end_register_wh - closed.begin_register_wh == pytest.approx(239.0)
    bench.session("b", True)
    assert bench.told[-1].begin_register_wh == closed.end_register_wh


def test_a_meter_that_dies_before_anything_has_flowed_bills_what_flows_meanwhile(bench: Bench) -> None:
    """The counter up to which it has counted is on disk before there is anything to count."""
    book = bench.open()
    bench.session("a", True)
    book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0, energy_wh=bench.counter), bench.now, bench.now)
    bench.die()
    bench.charge_unseen(3.0)
    bench.open()
    bench.charge(0.1, counter=True)
    bench.session("a", False, StopCause.LOCAL)
    assert bench.told[-1].end_register_wh - bench.told[-1].begin_register_wh == pytest.approx(31.0)


def test_a_counter_that_stands_still_is_not_stored_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    book, saves = bench.open(), list[float]()
    monkeypatch.setattr(book, "save", lambda now, stamp, durable: (saves.append(now), MeterBook.save(book, now, stamp, durable)))
    for counter in (5.0, 5.0, 5.0, 0.0, 0.0, nan, nan):
        bench.now += 0.1
        book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0, energy_wh=counter), bench.now, bench.now)
    assert len(saves) == 2


def test_what_was_counted_last_is_stored_durably_also_where_nothing_more_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current has gone, the record is open: a loss of power must not take the last seconds of the ramp."""
    book, told = bench.open(), list[bool]()
    bench.session("a", True)
    bench.charge(10.5)
    monkeypatch.setattr(book, "save", lambda now, stamp, durable: (told.append(durable), MeterBook.save(book, now, stamp, durable)))
    for _ in range(30):
        bench.now += 0.25
        book.tick(bench.now, bench.now)
    assert told == [True]


def test_a_session_that_ends_while_the_meter_restarts_is_closed_with_its_cause(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0, counter=True)
    bench.die()
    bench.charge_unseen(2.0)
    bench.open()
    bench.charge(0.1, counter=True)
    bench.session("a", False, StopCause.CHARGER_FAULT)
    closed = bench.told[-1]
    assert (closed.status, closed.stop_cause) == (RecordStatus.CLOSED, StopCause.CHARGER_FAULT)
    assert closed.end_register_wh - closed.begin_register_wh == pytest.approx(120.0)


def test_what_flowed_while_the_meter_was_away_is_billed_also_where_the_session_has_ended_meanwhile(bench: Bench) -> None:
    """The state of the session may come before the first reading."""
    bench.open()
    bench.session("a", True)
    bench.charge(10.0, counter=True)
    bench.die()
    bench.charge_unseen(2.5)
    book = bench.open()
    bench.session("a", False, StopCause.CHARGER_FAULT)
    assert book.open is not None
    book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0, energy_wh=bench.counter), bench.now, bench.now)
    bench.session("a", False, StopCause.CHARGER_FAULT)
    closed = bench.told[-1]
    assert (closed.status, closed.stop_cause) == (RecordStatus.CLOSED, StopCause.CHARGER_FAULT)
    assert closed.end_register_wh - closed.begin_register_wh == pytest.approx(124.0)


def test_modules_that_stay_silent_hold_up_no_record(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0, counter=True)
    bench.die()
    book = bench.open()
    bench.session("a", False, StopCause.CHARGER_FAULT)
    book.stop_waiting(bench.now + CONFIG.resume_time)
    assert book.open is not None
    bench.session("a", False, StopCause.CHARGER_FAULT)
    assert (book.open, bench.told[-1].status, bench.told[-1].stop_cause) == (None, RecordStatus.CLOSED, StopCause.CHARGER_FAULT)


def test_a_session_that_nobody_tells_of_after_a_restart_is_interrupted_in_time(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0, counter=True)
    bench.die()
    bench.now += 60.0
    book = bench.open()
    book.stop_waiting(bench.now + CONFIG.resume_time - 0.1)
    assert book.open is not None
    book.stop_waiting(bench.now + CONFIG.resume_time)
    assert (book.open, bench.told[-1].status, bench.told[-1].end) == (None, RecordStatus.INTERRUPTED, pytest.approx(1010.0))
    book.stop_waiting(bench.now + 100.0)
    assert len(bench.told) == 3


def test_a_restart_goes_on_with_the_register_and_interrupts_a_record_whose_session_is_gone(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0)
    register = bench.book.register_wh
    bench.die()
    bench.told.clear()
    bench.now += 60.0
    bench.open()
    assert bench.book.register_wh == register == pytest.approx(99.0)
    bench.idle()
    bench.session("", False)
    _, record = bench.told
    assert (record.status, record.session_id, record.stop_cause, record.end_register_wh) == (
        RecordStatus.INTERRUPTED,
        "a",
        StopCause.RESTART,
        register,
    )
    assert (record.end, record.max_power) == (pytest.approx(1010.0), 36_000.0)
    assert receipt(bench, "a")["interrupted"] is True
    bench.session("a", True)
    bench.charge(10.0)
    bench.session("a", False)
    assert bench.told[1:] == [record]


def test_a_sequencer_that_was_restarted_interrupts_the_record(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0)
    bench.now += 0.1
    bench.idle()
    bench.session("", False)
    assert (bench.told[-1].status, bench.told[-1].stop_cause) == (RecordStatus.INTERRUPTED, StopCause.RESTART)
    bench.session("b", True)
    assert [record.record_number for record in bench.told] == [1, 1, 2]


@pytest.mark.parametrize("state", [SessionState(), SessionState(session_id="b", session_active=True, transaction_active=True)])
def test_what_flows_when_the_session_is_gone_belongs_to_its_record(bench: Bench, state: SessionState) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0)
    for _ in range(10):
        bench.charge(0.1)
        bench.book.on_session(state, bench.now, bench.now)
    assert [record.status for record in bench.told] == [RecordStatus.OPEN]
    bench.now += 0.1
    bench.idle()
    bench.book.on_session(state, bench.now, bench.now)
    assert bench.told[1].status is RecordStatus.INTERRUPTED
    assert bench.told[1].end_register_wh == bench.book.register_wh == pytest.approx(109.5)
    assert [record.session_id for record in bench.told[2:]] == ([state.session_id] if state.session_id else [])


def test_a_current_that_does_not_end_holds_a_record_open_for_the_settle_time_only(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(1.0)
    bench.session("", False)
    bench.charge(CONFIG.settle_time - 0.1)
    bench.session("", False)
    assert bench.book.open is not None
    bench.charge(0.2)
    bench.session("", False)
    assert bench.book.open is None


def test_modules_that_are_silent_hold_a_record_open_for_the_settle_time_only(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(1.0)
    bench.now += 2.0
    bench.session("", False)
    assert bench.book.open is not None
    bench.now += CONFIG.settle_time
    bench.session("", False)
    assert bench.book.open is None


def test_a_word_of_another_session_does_not_end_the_one_that_charges_on(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    for _ in range(10 * round(CONFIG.settle_time)):
        bench.charge(0.2)
        bench.session("", False)
        bench.session("a", True)
    assert [record.status for record in bench.told] == [RecordStatus.OPEN]


def test_the_last_hundred_records_are_told_again_oldest_first(bench: Bench) -> None:
    bench.open()
    for number in range(105):
        bench.session(f"s{number}", True)
        bench.session(f"s{number}", False)
    bench.die()
    bench.told.clear()
    bench.open()
    assert [record.record_number for record in bench.told] == list(range(6, 106))


def test_a_receipt_that_was_not_written_before_the_end_is_written_at_the_next_start(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.session("a", False)
    (bench.folder / "receipts" / "a.json").unlink()
    bench.die()
    bench.open()
    assert receipt(bench, "a")["record_number"] == 1


def test_the_number_of_the_csms_comes_on_the_receipt_whenever_it_comes(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.book.on_transaction(Transaction(session_id="a", transaction_id=0))
    bench.session("a", False)
    assert receipt(bench, "a")["transaction_id"] is None
    bench.book.on_transaction(Transaction(session_id="a", transaction_id=4711))
    assert receipt(bench, "a")["transaction_id"] == 4711
    bench.session("b", True)
    bench.book.on_transaction(Transaction(session_id="b", transaction_id=4712))
    bench.session("b", False)
    assert receipt(bench, "b")["transaction_id"] == 4712
    bench.book.on_transaction(Transaction(session_id="unknown", transaction_id=1))


def test_a_session_id_cannot_leave_the_folder(bench: Bench) -> None:
    bench.open()
    bench.session("../../evil", True)
    bench.session("../../evil", False)
    assert {path.name for path in (bench.folder / "receipts").iterdir()} == {"_._.._evil.txt", "_._.._evil.json"}
    assert not list(bench.folder.parent.glob("evil*"))


def test_without_a_place_to_write_nothing_is_told_and_it_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_BUSY", 0.05)
    bench.open()
    bench.charge(1.0)
    other = sqlite3.connect(bench.folder / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = bench.book.register_wh
    bench.session("a", True)
    bench.charge(0.5)
    assert (bench.told, bench.book.open, bench.book.stored, bench.book.register_wh) == ([], None, False, before)
    other.execute("ROLLBACK")
    bench.session("a", True)
    assert bench.told[-1].status is RecordStatus.OPEN
    bench.charge(0.5)
    assert bench.book.stored
    assert bench.book.register_wh == pytest.approx(19.0)


# --- files that are not what they should be ---


def refused(folder: Path) -> str:
    with pytest.raises(ValueError, match=FILE) as caught:
        MeterBook(CONFIG, TARIFF, 1, folder, lambda _: None)
    return str(caught.value)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / FILE)
    database.executescript(f"CREATE TABLE x (y); PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION + 1};")
    database.close()
    before = (tmp_path / FILE).read_bytes()
    assert f"version {VERSION + 1}, this program knows {VERSION}" in refused(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / FILE)
    database.executescript("CREATE TABLE x (y);")
    database.close()
    assert "no ledger" in refused(tmp_path)


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to have a header" * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert "cannot be used" in refused(tmp_path) or "damaged" in refused(tmp_path)


def test_a_damaged_ledger_is_refused(bench: Bench) -> None:
    bench.open()
    for number in range(30):
        bench.session(f"session {number}", True)
        bench.session(f"session {number}", False)
    bench.die()
    path = bench.folder / FILE
    content = bytearray(path.read_bytes())
    for offset in range(4096 * 3, len(content), 512):
        content[offset : offset + 64] = b"\xa5" * 64
    path.write_bytes(content)
    for leftover in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        leftover.unlink(missing_ok=True)
    text = refused(bench.folder)
    assert "damaged" in text or "malformed" in text


def test_two_meters_cannot_use_one_ledger(bench: Bench) -> None:
    bench.open()
    assert "another energy_meter" in refused(bench.folder)
    bench.die()
    Ledger(bench.folder / FILE, NOTARY).close()


def test_an_open_record_that_cannot_be_ended_is_ended_later(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.die()
    bench.now += 60.0
    book = MeterBook(CONFIG, TARIFF, 1, bench.folder, bench.told.append)
    other = sqlite3.connect(bench.folder / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bench.told.clear()
    book.recover(bench.now)
    book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0), bench.now, bench.now)
    book.on_session(SessionState(), bench.now, bench.now)
    assert [record.status for record in bench.told] == [RecordStatus.OPEN]
    assert not book.stored
    other.execute("ROLLBACK")
    book.on_session(SessionState(), bench.now, bench.now)
    assert bench.told[-1].status is RecordStatus.INTERRUPTED
    assert bench.told[-1].end == pytest.approx(1000.0)


# What version 5 added.
# What came with version 6.
WITHOUT_METER = "".join(
    f"ALTER TABLE {table} DROP COLUMN {column};"
    for table, column in (
        *(("register", column) for column in ("loss_wh", "export_loss_wh", "meter")),
        *(("records", f"meter_{column}") for column in ("vendor", "model", "serial")),
        *(("records", f"{when}_{column}") for when in ("begin", "end") for column in ("meter_status", "mains_wh", "export_mains_wh")),
        ("records", "cable_resistance"),
    )
)
WITHOUT_READINGS = (
    WITHOUT_METER
    + "DROP TABLE readings; DROP TABLE tariff;"
    + "".join(
        f"ALTER TABLE {table} DROP COLUMN {column};"
        for table, column in (
            ("register", "charging_time"),
            ("register", "idle_time"),
            ("records", "tariff"),
            ("records", "tax"),
            ("records", "charging_time"),
            ("records", "idle_time"),
        )
    )
)
WITHOUT_EXPORT = (
    WITHOUT_READINGS
    + "DROP TABLE evidence;"
    + "".join(
        f"ALTER TABLE {table} DROP COLUMN {column};"
        for table, column in (
            ("register", "export_wh"),
            ("register", "export_counter_wh"),
            ("records", "begin_export_register_wh"),
            ("records", "end_export_register_wh"),
            ("records", "export_price_per_kwh"),
        )
    )
)


def test_a_ledger_that_knew_no_export_is_taken_over_with_its_records(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0)
    bench.die()
    database = sqlite3.connect(bench.folder / FILE)
    database.executescript(WITHOUT_EXPORT + "PRAGMA user_version = 2;")
    database.close()
    book = bench.open()
    bench.charge(1.0, counter=True)
    bench.session("a", True)
    bench.session("a", False)
    record = bench.told[-1]
    assert (record.status, record.begin_export_register_wh, record.end_export_register_wh) == (RecordStatus.CLOSED, 0.0, 0.0)
    assert record.end_register_wh == pytest.approx(book.register_wh)
    assert record.cost == round(round(record.end_register_wh) * 0.05)


def test_a_ledger_of_the_first_version_is_taken_over(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0)
    bench.session("a", False)
    bench.die()
    database = sqlite3.connect(bench.folder / FILE)
    database.executescript("ALTER TABLE register DROP COLUMN counter_wh; PRAGMA user_version = 1;" + WITHOUT_EXPORT)
    database.close()
    book = bench.open()
    assert book.register_wh == pytest.approx(99.0)
    bench.charge(1.0, counter=True)
    assert book.stored
    assert book.register_wh == pytest.approx(108.0)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file"):
        MeterBook(CONFIG, TARIFF, 1, tmp_path / "file", lambda _: None)
