"""The audit trail on disk: several writers, kills, changes that come again, files that are not what they should be."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evse_core.audit import REPEAT, Entry, facts, problems
from evse_core.energy_meter import MeterConfig
from evse_core.meter_link import MeterLinkConfig
from evse_core.ocmf import Clock
from evse_core.ocpp16 import OcppConfig
from evse_core.tariff import Tariff
from evse_core.types import SessionState
from evse_nodes import audit_trail, databases, meter_audit, meter_maps
from evse_nodes.audit_trail import APPLICATION, FILE, VERSION, AuditTrail, Moment, entries, read
from evse_nodes.ledger import Ledger
from evse_nodes.meter_book import MeterBook
from evse_nodes.meter_files import meter_files
from evse_nodes.ocpp_audit import OcppAudit

NOW = Moment(1.8e9, Clock.INFORMATIVE, "boot", 100.0)
PRICE = "tariff.price_per_kwh"


def later(seconds: float) -> Moment:
    return replace(NOW, at=NOW.at + seconds, steady=NOW.steady + seconds)


def lines(folder: Path) -> list[Entry]:
    rows = read(folder / FILE)
    assert list(problems(rows)) == []
    return list(entries(rows))


def prices(folder: Path) -> list[tuple[str, str, int]]:
    return [(entry.old, entry.new, entry.changes) for entry in lines(folder) if entry.parameter == PRICE]


def test_only_what_differs_is_written_and_each_evse_for_itself(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    assert trail.compare(1, {PRICE: "0.49", "tariff.currency": "EUR"}, ("tariff.",), "me", NOW) == {PRICE: "0.49", "tariff.currency": "EUR"}
    assert trail.compare(1, {PRICE: "0.49", "tariff.currency": "EUR"}, ("tariff.",), "me", NOW) == {}
    assert trail.compare(2, {PRICE: "0.59"}, ("tariff.",), "you", NOW) == {PRICE: "0.59"}
    assert trail.compare(1, {PRICE: "0.50"}, ("tariff.",), "you", NOW) == {PRICE: "0.50", "tariff.currency": ""}
    trail.change(1, PRICE, "0.50", "me", NOW)
    said = [(entry.counter, entry.evse, entry.who, entry.parameter, entry.old, entry.new) for entry in lines(tmp_path)]
    assert said == [
        (1, 1, "me", PRICE, "", "0.49"),
        (2, 1, "me", "tariff.currency", "", "EUR"),
        (3, 2, "you", PRICE, "", "0.59"),
        (4, 1, "you", PRICE, "0.49", "0.50"),
        (5, 1, "you", "tariff.currency", "EUR", ""),
    ]


def test_other_sections_stay_out_of_a_comparison(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    trail.change(0, "ocpp_uplink.url", "ws://a", "me", NOW)
    assert trail.compare(0, {}, ("tariff.",), "me", NOW) == {}


def test_a_change_that_comes_again_is_counted_and_told_once_a_minute(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    trail._db.execute("PRAGMA synchronous=OFF")
    for tenth in range(600):
        trail.change(1, PRICE, "0.1" if tenth % 2 else "0.2", "me", later(tenth / 10))
    assert len(prices(tmp_path)) == 3
    assert trail.value(1, PRICE) == "0.1"
    trail.settle(later(REPEAT + 1.0))
    assert prices(tmp_path) == [("", "0.2", 1), ("0.2", "0.1", 1), ("0.1", "0.2", 1), ("0.2", "0.1", 597)]


def test_a_parameter_that_flaps_for_an_hour_writes_a_few_lines_a_minute_and_no_change_is_lost(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    trail._db.execute("PRAGMA synchronous=OFF")
    for second in range(3600):
        trail.change(1, PRICE, "0.1" if second % 2 else "0.2", "me", later(second))
    trail.settle(later(4000))
    found = prices(tmp_path)
    assert len(found) <= 60 * 4
    assert sum(changes for _, _, changes in found) == 3600
    assert found[-1][1] == "0.1"


def test_what_is_counted_is_told_before_anything_else_of_the_parameter(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    for number, value in enumerate(("1", "2", "1", "2", "1")):
        trail.change(1, PRICE, value, "me", later(number))
    trail.change(1, PRICE, "3", "me", later(10))
    assert prices(tmp_path) == [("", "1", 1), ("1", "2", 1), ("2", "1", 1), ("1", "1", 2), ("1", "3", 1)]


def test_a_repeat_after_a_minute_or_after_a_boot_is_an_entry(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    for moment in (NOW, later(REPEAT), replace(NOW, boot="other", steady=0.0)):
        trail.change(1, "clock.step", "+5 s", "me", moment)
    assert [entry.new for entry in lines(tmp_path)] == ["+5 s"] * 3


def test_the_wall_clock_neither_hides_nor_multiplies_changes(tmp_path: Path) -> None:
    """A clock that is set back an hour at each step."""
    trail = AuditTrail(tmp_path)
    for number in range(5):
        trail.change(1, "clock.step", "-3600 s", "me", replace(later(number), at=NOW.at - 3600.0 * number))
    trail.settle(later(REPEAT + 1.0))
    assert [entry.changes for entry in lines(tmp_path)] == [1, 4]


def test_what_is_counted_survives_the_end_of_the_process(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path)
    for value in ("1", "2", "1", "2"):
        trail.change(1, PRICE, value, "me", NOW)
    trail.close()
    again = AuditTrail(tmp_path)
    assert again.value(1, PRICE) == "2"
    again.settle(replace(NOW, boot="other"))
    assert prices(tmp_path)[-1] == ("1", "2", 1)


@pytest.mark.parametrize("statement", ["UPDATE entries SET entry = ''", "DELETE FROM entries"])
def test_entries_are_neither_changed_nor_deleted(tmp_path: Path, statement: str) -> None:
    trail = AuditTrail(tmp_path)
    trail.change(1, PRICE, "1", "me", NOW)
    with pytest.raises(sqlite3.Error, match="never"):
        trail._db.execute(statement)


# Files that are not what they should be


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / FILE)
    database.executescript(f"CREATE TABLE x (y); PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION + 1};")
    database.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ValueError, match="newer"):
        AuditTrail(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("content", [b"rubbish" * 100, b"SQLite format 3\0" + bytes(4000)])
def test_without_a_trail_there_is_no_meter_and_the_file_stays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"audit\.sqlite"):
        MeterBook(MeterConfig(), Tariff(), 1, tmp_path, lambda _: None)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_trail_that_cannot_be_written_at_the_start_bars_the_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_trail, "BUSY", 0.01)
    MeterBook(MeterConfig(), Tariff(), 1, tmp_path, lambda _: None).close()
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ValueError, match=r"audit\.sqlite: cannot be written"):
        MeterBook(MeterConfig(), Tariff("EUR", "0.99"), 1, tmp_path, lambda _: None)
    other.execute("ROLLBACK")
    MeterBook(MeterConfig(), Tariff("EUR", "0.99"), 1, tmp_path, lambda _: None).close()
    assert lines(tmp_path)[-1].new == "0.99"


# The uplink


def test_what_a_csms_writes_is_an_entry_with_its_address_before_it_holds(tmp_path: Path) -> None:
    audit, before = OcppAudit(tmp_path, "ab" * 32), OcppConfig(url="wss://u:p@csms/ocpp")
    audit.start(before)
    assert audit.change(before, replace(before, meter_value_sample_interval=17))
    assert audit.change(before, replace(before, heartbeat_interval=17.0))
    entry = lines(tmp_path)[-1]
    assert (entry.evse, entry.parameter, entry.old, entry.new) == (0, "ocpp_uplink.meter_value_sample_interval", "60", "17")
    assert entry.who == "CSMS wss://csms/ocpp as EVSE-1"
    count = len(lines(tmp_path))
    again = OcppAudit(tmp_path)
    again.start(replace(before, meter_value_sample_interval=17))
    assert len(lines(tmp_path)) == count


def test_what_cannot_be_told_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"rubbish" * 100)
    audit, before = OcppAudit(tmp_path), OcppConfig()
    audit.start(before)
    assert audit.failed_writes == 1
    assert not audit.change(before, replace(before, meter_value_sample_interval=17))
    assert audit.change(before, replace(before, heartbeat_interval=17.0))
    (tmp_path / FILE).unlink()
    audit.tick()
    assert audit.failed_writes == 0
    assert audit.change(before, replace(before, meter_value_sample_interval=17))


# Readers


class Denied(sqlite3.Connection):
    """What SQLite is to somebody who may only read where the index of the log is not there."""

    def execute(self, *_: object) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("attempt to write a readonly database")


REAL_CONNECT = sqlite3.connect


def test_who_may_only_read_sees_a_trail_that_was_closed_and_no_half_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditTrail(tmp_path)
    trail.change(1, PRICE, "1", "me", NOW)
    monkeypatch.setattr(sqlite3, "connect", lambda path, **words: Denied(":memory:") if "mode=ro" in path else REAL_CONNECT(path, **words))
    with pytest.raises(ValueError, match="is no audit trail"):
        read(tmp_path / FILE)
    trail.close()
    assert len(read(tmp_path / FILE)) == 1


# Writers


WRITER = """
import sys, time
from pathlib import Path
from evse_nodes.audit_trail import AuditTrail, present
trail = AuditTrail(Path(sys.argv[1]))
for number in range(10**6):
    trail.change(int(sys.argv[2]), "tariff.price_per_kwh", str(number + 1), "writer", present())
    print(number + 1, flush=True)
    time.sleep(0.002)
"""


def test_two_processes_write_one_chain_and_a_kill_loses_nothing_that_was_said(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(evse)], stdout=subprocess.PIPE, text=True) for evse in (1, 2)
    ]
    outputs = []
    try:
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        time.sleep(0.3)
    finally:
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            outputs.append(writer.communicate()[0])
    found = lines(tmp_path)
    for evse, output in enumerate(outputs, 1):
        said = max([1, *map(int, output.splitlines()[:-1])])
        assert max(int(entry.new) for entry in found if entry.evse == evse) >= said
    assert {entry.evse for entry in found} == {1, 2}


# The meter


def parameters(folder: Path) -> dict[str, str]:
    return {entry.parameter: entry.new for entry in lines(folder)}


def test_what_a_meter_runs_with_is_in_the_trail_before_a_session_can_begin(tmp_path: Path) -> None:
    told: list[object] = []
    book = MeterBook(MeterConfig(serial="77"), Tariff("EUR", "0.50"), 1, tmp_path, told.append, description="ab" * 32)
    said = parameters(tmp_path)
    assert (said["energy_meter.serial"], said[PRICE], said["software.metrology"]) == ("77", "0.50", meter_audit.metrology_checksum())
    assert len(said["key.fingerprint"]) == 64
    assert lines(tmp_path)[0].who == f"description abababababab, started by {meter_audit.user()}"
    book.on_session(SessionState(session_id="a", transaction_active=True), 1.0, 1.8e9)
    count, record = len(lines(tmp_path)), book._ledger._db.execute("SELECT record FROM evidence").fetchone()[0].decode()
    assert f'"XM":"{said["software.metrology"]}"' in record
    assert f'"XA":"{count} ' in record
    book.close()


def test_a_restart_with_the_same_writes_nothing_and_a_new_price_key_or_ledger_is_told(tmp_path: Path) -> None:
    def run(price: str) -> list[tuple[str, str]]:
        before = len(lines(tmp_path)) if (tmp_path / FILE).exists() else 0
        book = MeterBook(MeterConfig(), Tariff("EUR", price), 1, tmp_path, lambda _: None)
        book.on_session(SessionState(session_id=price, transaction_active=True), 1.0, 1.8e9)
        book.on_session(SessionState(session_id=price), 2.0, 1.8e9 + 1.0)
        book.close()
        return [(entry.parameter, entry.new) for entry in lines(tmp_path)[before:]]

    assert len(run("0.50")) > 10
    assert [name for name, _ in run("0.50")] == ["ledger.first_record"]
    assert run("0.50") == []
    assert run("0.60") == [(PRICE, "0.60")]
    (tmp_path / "meter_key_1.pem").unlink()
    assert [name for name, _ in run("0.60")] == ["key.fingerprint"]
    for path in tmp_path.glob("energy_meter_1.sqlite*"):
        path.unlink()
    assert run("0.60") == [("ledger.first_record", ""), ("ledger.lost", "4 signed records before, 0 now")]


MODBUS_METER = MeterLinkConfig(kind="modbus", map="dcm230", host="127.0.0.1")


def test_a_register_map_that_was_changed_is_an_entry_and_changes_the_checksum_of_each_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, data = tmp_path / "config", tmp_path / "data"
    own = config / "meters" / "dcm230.yaml"
    own.parent.mkdir(parents=True)
    content = meter_maps.find("dcm230").read_text(encoding="utf-8")
    own.write_text(content, encoding="utf-8")
    monkeypatch.setenv("EVSE_CONFIG_DIR", str(config))

    def run(link: MeterLinkConfig = MODBUS_METER) -> dict[str, tuple[str, str]]:
        before = len(lines(data)) if (data / FILE).exists() else 0
        read_by = meter_files(link)
        book = MeterBook(MeterConfig(), Tariff(), 1, data, lambda _: None, link=link, files=read_by.contents)
        assert book.audit.extensions()["XM"] == parameters(data)["software.metrology"]
        book.close()
        return {entry.parameter: (entry.old, entry.new) for entry in lines(data)[before:]}

    first = run()
    assert run() == {}
    own.write_text(content + "# Looked at.\n", encoding="utf-8")
    changed = run()
    assert set(changed) == {"energy_meter.meter.map_sha256", "software.metrology"}
    assert changed["energy_meter.meter.map_sha256"] == (
        hashlib.sha256(content.encode()).hexdigest(),
        hashlib.sha256(own.read_bytes()).hexdigest(),
    )
    assert changed["software.metrology"][0] == first["software.metrology"][1] != changed["software.metrology"][1]
    without = run(MeterLinkConfig())
    assert without["energy_meter.meter.map_sha256"][1] == ""
    assert without["software.metrology"][1] == meter_audit.metrology_checksum()


def test_the_database_of_a_meter_on_the_bus_is_in_the_checksum_as_a_map_is() -> None:
    (name, content), *rest = meter_files(MeterLinkConfig(kind="can")).contents.items()
    assert rest == []
    assert content == databases.find("meter").read_bytes()
    checksums = {meter_audit.metrology_checksum(files) for files in ({}, {name: content}, {name: content + b" "})}
    assert len(checksums) == 3


def test_a_step_of_the_clock_and_a_new_source_are_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = MeterBook(MeterConfig(), Tariff(), 1, tmp_path, lambda _: None)
    book.tick(1.0, 1.8e9)
    monkeypatch.setattr(meter_audit, "clock_state", lambda: audit_trail.clock_state().__class__(Clock.SYNCHRONISED, "kept in step"))
    book.tick(2.0, 1.8e9 + 7201.0)
    book.tick(20.0, 1.8e9 + 7219.0)
    assert [(entry.parameter, entry.new) for entry in lines(tmp_path)[-2:]] == [("clock.step", "+7200 s"), ("clock.source", "kept in step")]


def test_a_change_that_the_disk_does_not_take_counts_as_failed_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "BUSY", 0.01)
    book = MeterBook(MeterConfig(), Tariff(), 1, tmp_path, lambda _: None)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    book.audit.changed("tariff.", facts("tariff", Tariff("EUR", "0.77")), "me")
    assert book.failed_writes == 1
    other.execute("ROLLBACK")
    book.tick(5.0, 1.8e9)
    assert book.failed_writes == 0
    assert (lines(tmp_path)[-1].new, lines(tmp_path)[-1].who) == ("0.77", "me")


def test_pages_that_are_lost_are_told_also_where_the_ledger_is_an_older_copy(tmp_path: Path) -> None:
    book = MeterBook(MeterConfig(), Tariff(), 1, tmp_path, lambda _: None)
    book.on_session(SessionState(session_id="a", transaction_active=True), 1.0, 1.8e9)
    assert isinstance(book._ledger, Ledger)
    book.close()
    copy = (tmp_path / "energy_meter_1.sqlite").read_bytes()
    book = MeterBook(MeterConfig(), Tariff(), 1, tmp_path, lambda _: None)
    book.recover(1.0)
    book.stop_waiting(100.0)
    book.close()
    (tmp_path / "energy_meter_1.sqlite").write_bytes(copy)
    MeterBook(MeterConfig(), Tariff(), 1, tmp_path, lambda _: None).close()
    assert lines(tmp_path)[-1].new == "2 signed records before, 1 now"


def test_a_tariff_of_the_csms_is_an_entry_with_its_name_and_a_restart_adds_none(tmp_path: Path) -> None:
    book = MeterBook(MeterConfig(), Tariff("EUR", "0.50"), 1, tmp_path, lambda _: None)
    assert book.change_tariff(Tariff("EUR", "0.80").text(), "CSMS ws://x as EVSE-1", 1.8e9)[0]
    book.close()
    count = len(lines(tmp_path))
    assert (prices(tmp_path)[-1], lines(tmp_path)[-1].who) == (("0.50", "0.80", 1), "CSMS ws://x as EVSE-1")
    MeterBook(MeterConfig(), Tariff("EUR", "0.50"), 1, tmp_path, lambda _: None).close()
    assert len(lines(tmp_path)) == count
