"""Register and billing records of one EVSE on disk: one SQLite file, one writer.

What a commit survives: every one survives the end of the process (kill -9); a durable one (records, and the register every few seconds) also a loss of
power. The registers in the file never decrease, unless another meter is fitted. A file that is damaged, of another program or of a newer version is never
touched: ValueError names it.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, fields, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any, TextIO

from evse_core.evidence import GENESIS, Notary, Proof, link
from evse_core.ocmf import Mark
from evse_core.record_store import Meter
from evse_core.session_readings import NO_TIMES, SessionReading, Times, begin_reading, complete, end_reading
from evse_core.tariff import TariffChange
from evse_core.types import ChargeRecord, MeterStatus, RecordStatus, StopCause
from evse_nodes.sqlite_file import Form, opened, transaction, usable

VERSION = 6
# Marks the file as a ledger of this program (SQLite header, application_id): "EVSE" in ASCII.
APPLICATION = 0x45565345
# Records that are published again for who comes late: depth of qos.HISTORY.
LAST = 100
_COLUMNS = tuple(item.name for item in fields(ChargeRecord))
_READING_COLUMNS = tuple(item.name for item in fields(SessionReading))
# Signed records as the bytes that were signed, each chained to the one before (evse_core/evidence.py). Nothing in it is ever changed, not even by this program.
_EVIDENCE = """
CREATE TABLE evidence (page INTEGER PRIMARY KEY, session_id TEXT NOT NULL, record BLOB NOT NULL, link BLOB NOT NULL, public_key TEXT NOT NULL);
CREATE TRIGGER evidence_stays BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is never changed'); END;
CREATE TRIGGER evidence_lasts BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is never deleted'); END;"""
# Readings of sessions, each as it was taken, and the tariff that a CSMS gave. A reading is neither changed nor deleted.
_READINGS = """
CREATE TABLE readings (session_id TEXT NOT NULL, number INTEGER NOT NULL, mark TEXT NOT NULL, stamp REAL NOT NULL, register_wh REAL NOT NULL,
    export_register_wh REAL NOT NULL, charging_time REAL NOT NULL, idle_time REAL NOT NULL, phase TEXT NOT NULL, tariff TEXT NOT NULL,
    PRIMARY KEY (session_id, number));
CREATE TRIGGER readings_stay BEFORE UPDATE ON readings BEGIN SELECT RAISE(ABORT, 'readings are never changed'); END;
CREATE TRIGGER readings_last BEFORE DELETE ON readings BEGIN SELECT RAISE(ABORT, 'readings are never deleted'); END;
CREATE TABLE tariff (id INTEGER PRIMARY KEY CHECK (id = 1), old TEXT NOT NULL, new TEXT NOT NULL, who TEXT NOT NULL, stamp REAL NOT NULL);"""
# How the meter stood at a reading, and its own registers.
_METERED = """
ALTER TABLE readings ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE readings ADD COLUMN mains_wh REAL;
ALTER TABLE readings ADD COLUMN export_mains_wh REAL;"""
_SCHEMA = f"""
CREATE TABLE register (id INTEGER PRIMARY KEY CHECK (id = 1), wh REAL NOT NULL, max_power REAL NOT NULL, stamp REAL NOT NULL, counter_wh REAL,
    export_wh REAL NOT NULL DEFAULT 0.0, export_counter_wh REAL,
    charging_time REAL NOT NULL DEFAULT 0.0, idle_time REAL NOT NULL DEFAULT 0.0,
    loss_wh REAL NOT NULL DEFAULT 0.0, export_loss_wh REAL NOT NULL DEFAULT 0.0, meter TEXT NOT NULL DEFAULT '');
INSERT INTO register (id, wh, max_power, stamp) VALUES (1, 0.0, 0.0, 0.0);
CREATE TABLE records (
    stamp REAL NOT NULL, status INTEGER NOT NULL, session_id TEXT NOT NULL UNIQUE, evse_id INTEGER NOT NULL, record_number INTEGER PRIMARY KEY,
    token TEXT NOT NULL, begin REAL NOT NULL, end REAL NOT NULL, begin_register_wh REAL NOT NULL, end_register_wh REAL NOT NULL, max_power REAL NOT NULL,
    stop_cause INTEGER NOT NULL, cost INTEGER NOT NULL, currency TEXT NOT NULL, price_per_kwh TEXT NOT NULL, legal INTEGER NOT NULL,
    transaction_id INTEGER NOT NULL DEFAULT 0,
    begin_export_register_wh REAL NOT NULL DEFAULT 0.0, end_export_register_wh REAL NOT NULL DEFAULT 0.0, export_price_per_kwh TEXT NOT NULL DEFAULT '0',
    tariff TEXT NOT NULL DEFAULT '', tax INTEGER NOT NULL DEFAULT 0,
    charging_time REAL NOT NULL DEFAULT 0.0, idle_time REAL NOT NULL DEFAULT 0.0,
    meter_vendor TEXT NOT NULL DEFAULT '', meter_model TEXT NOT NULL DEFAULT '', meter_serial TEXT NOT NULL DEFAULT '',
    begin_meter_status INTEGER NOT NULL DEFAULT 0, end_meter_status INTEGER NOT NULL DEFAULT 0, cable_resistance REAL NOT NULL DEFAULT 0.0,
    begin_mains_wh REAL, end_mains_wh REAL, begin_export_mains_wh REAL, end_export_mains_wh REAL
);
{_EVIDENCE}
{_READINGS}
{_METERED}
CREATE INDEX open_records ON records (status) WHERE status = {RecordStatus.OPEN.value};
"""
# What came with each version: the counter of power_report up to which the register has counted; energy from vehicles; signed records; readings of sessions,
# their times and tariffs; meters that are read.
_SINCE = {
    2: "ALTER TABLE register ADD COLUMN counter_wh REAL;",
    3: """ALTER TABLE register ADD COLUMN export_wh REAL NOT NULL DEFAULT 0.0;
ALTER TABLE register ADD COLUMN export_counter_wh REAL;
ALTER TABLE records ADD COLUMN begin_export_register_wh REAL NOT NULL DEFAULT 0.0;
ALTER TABLE records ADD COLUMN end_export_register_wh REAL NOT NULL DEFAULT 0.0;
ALTER TABLE records ADD COLUMN export_price_per_kwh TEXT NOT NULL DEFAULT '0';""",
    4: _EVIDENCE,
    5: f"""{_READINGS}
ALTER TABLE register ADD COLUMN charging_time REAL NOT NULL DEFAULT 0.0;
ALTER TABLE register ADD COLUMN idle_time REAL NOT NULL DEFAULT 0.0;
ALTER TABLE records ADD COLUMN tariff TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN tax INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN charging_time REAL NOT NULL DEFAULT 0.0;
ALTER TABLE records ADD COLUMN idle_time REAL NOT NULL DEFAULT 0.0;""",
    6: f"""{_METERED}
ALTER TABLE register ADD COLUMN loss_wh REAL NOT NULL DEFAULT 0.0;
ALTER TABLE register ADD COLUMN export_loss_wh REAL NOT NULL DEFAULT 0.0;
ALTER TABLE register ADD COLUMN meter TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN meter_vendor TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN meter_model TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN meter_serial TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN begin_meter_status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN end_meter_status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN cable_resistance REAL NOT NULL DEFAULT 0.0;
ALTER TABLE records ADD COLUMN begin_mains_wh REAL;
ALTER TABLE records ADD COLUMN end_mains_wh REAL;
ALTER TABLE records ADD COLUMN begin_export_mains_wh REAL;
ALTER TABLE records ADD COLUMN end_export_mains_wh REAL;""",
}
_FORM = Form("ledger", "an energy meter", APPLICATION, VERSION, "recovery", _SCHEMA, _SINCE)
# Longest wait for another program that writes; only tools for inspection would. [s]
_BUSY = 1.0


class Ledger:
    """A store of evse_core/record_store.py. Opens the file or makes a new one; ValueError where it cannot be used. Error from a method means: not stored."""

    Error: type[Exception] = sqlite3.Error

    def __init__(self, path: Path, notary: Notary) -> None:
        self.path, self._notary = path, notary
        self.register_wh = self.export_register_wh = self.max_power = self.stamp = 0.0
        self.counter_wh = self.export_counter_wh = nan
        self.times = NO_TIMES
        self.loss_wh, self.export_loss_wh, self.meter = 0.0, 0.0, ""
        with ExitStack() as undo, usable(path, _FORM):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = undo.enter_context(_locked(path))
            self._db = undo.enter_context(closing(opened(path, _FORM, _BUSY)))
            self._recall()
            undo.pop_all()

    def _recall(self) -> None:
        columns = "wh, export_wh, max_power, stamp, loss_wh, export_loss_wh, meter, charging_time, idle_time, counter_wh, export_counter_wh"
        row = self._db.execute(f"SELECT {columns} FROM register").fetchone()
        self.register_wh, self.export_register_wh, self.max_power, self.stamp = row[:4]
        self.loss_wh, self.export_loss_wh, self.meter = row[4:7]
        self.times = Times(*row[7:9])
        self.counter_wh, self.export_counter_wh = (nan if value is None else value for value in row[9:])

    def close(self) -> None:
        """Release the file."""
        self._db.close()
        self._lock.close()

    # Register

    def save(self, meter: Meter, stamp: float, durable: bool, times: Times = NO_TIMES) -> None:
        """Store registers and losses [Wh], highest power since the begin of the record [W], time [s], counters of power_report [Wh], times of the session.

        Registers of another meter take the place of the old ones.
        """
        counters = tuple(value if isfinite(value) else None for value in (meter.counter_wh, meter.export_counter_wh))
        losses, another = (meter.losses.import_wh, meter.losses.export_wh), meter.identity != self.meter
        with self._transaction(durable):
            if another:
                values = (meter.register_wh, meter.export_register_wh, meter.identity)
                self._db.execute("UPDATE register SET wh = ?, export_wh = ?, meter = ?", values)
            self._store(meter.register_wh, meter.export_register_wh, meter.max_power, stamp, times)
            sql = "UPDATE register SET counter_wh = ?, export_counter_wh = ?, loss_wh = ?, export_loss_wh = ?"
            self._db.execute(sql, (*counters, *losses))
        if another:
            self.register_wh, self.export_register_wh, self.meter = meter.register_wh, meter.export_register_wh, meter.identity
        self.loss_wh, self.export_loss_wh = losses
        self._stored(meter.register_wh, meter.export_register_wh)
        self.max_power, self.stamp, self.times = meter.max_power, stamp, times
        self.counter_wh, self.export_counter_wh = meter.counter_wh, meter.export_counter_wh

    def _store(self, register_wh: float, export_wh: float, max_power: float, stamp: float, times: Times) -> None:
        sql = (
            "UPDATE register SET wh = max(wh, ?), export_wh = max(export_wh, ?), max_power = ?, stamp = ?, charging_time = ?, idle_time = ?"
        )
        self._db.execute(sql, (register_wh, export_wh, max_power, stamp, times.charging, times.idle))

    def _stored(self, register_wh: float, export_wh: float) -> None:
        self.register_wh, self.export_register_wh = max(register_wh, self.register_wh), max(export_wh, self.export_register_wh)

    @contextmanager
    def _transaction(self, durable: bool) -> Iterator[None]:
        self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        with transaction(self._db):
            yield

    # Records

    def next_number(self) -> int:
        """Return the number of the next record."""
        return int(self._db.execute("SELECT coalesce(max(record_number), 0) + 1 FROM records").fetchone()[0])

    def begin(self, record: ChargeRecord, phase: str = "") -> None:
        """Store an OPEN record with its begin reading, signed, and the register that it begins with, together and durably; phase: its unit prices."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._transaction(durable=True):
            self._store(record.begin_register_wh, record.begin_export_register_wh, 0.0, record.stamp, NO_TIMES)
            self._db.execute(f"INSERT INTO records ({', '.join(_COLUMNS)}) VALUES ({marks})", astuple(record))
            self._add(record.session_id, begin_reading(record, phase))
            self._witness(record)
        self._stored(record.begin_register_wh, record.begin_export_register_wh)
        self.max_power, self.stamp, self.times = 0.0, record.stamp, Times()

    def add(self, record: ChargeRecord, reading: SessionReading) -> None:
        """Store a reading of an OPEN record and its registers, together and durably; one that changes prices makes a signed record."""
        times = Times(reading.charging_time, reading.idle_time)
        with self._transaction(durable=True):
            self._store(reading.register_wh, reading.export_register_wh, self.max_power, reading.stamp, times)
            self._with_begin(record)
            self._add(record.session_id, reading)
            if reading.mark is Mark.TARIFF_CHANGE:
                self._witness(record)
        self._stored(reading.register_wh, reading.export_register_wh)
        self.stamp, self.times = reading.stamp, times

    def end(self, record: ChargeRecord) -> None:
        """Store the end of an OPEN record, signed, and the register that it ends with, together and durably; one that has ended stays as it is."""
        assignments = ", ".join(f"{name} = ?" for name in _COLUMNS)
        times = Times(record.charging_time, record.idle_time)
        with self._transaction(durable=True):
            self._store(record.end_register_wh, record.end_export_register_wh, record.max_power, record.stamp, times)
            sql = f"UPDATE records SET {assignments} WHERE session_id = ? AND status = ?"
            if self._db.execute(sql, (*astuple(record), record.session_id, RecordStatus.OPEN.value)).rowcount:
                self._add(record.session_id, end_reading(record, self._with_begin(record)))
                self._witness(record)
        self._stored(record.end_register_wh, record.end_export_register_wh)
        self.times = times

    def _with_begin(self, record: ChargeRecord) -> tuple[SessionReading, ...]:
        """Return the readings of an OPEN record; one of an older version gets the row of its begin."""
        if not (found := self._readings_of(record.session_id)):
            found = (begin_reading(record),)
            self._add(record.session_id, found[0])
        return found

    def _add(self, session_id: str, reading: SessionReading) -> None:
        marks = ", ".join("?" * len(_READING_COLUMNS))
        sql = f"INSERT INTO readings (session_id, {', '.join(_READING_COLUMNS)}) VALUES (?, {marks})"
        self._db.execute(sql, (session_id, *astuple(reading)))

    def readings(self, record: ChargeRecord) -> tuple[SessionReading, ...]:
        """Return the readings of a record in their order, the end among them where it has ended; those of older versions have begin and end only."""
        return complete(record, self._readings_of(record.session_id))

    def _readings_of(self, session_id: str) -> tuple[SessionReading, ...]:
        sql = f"SELECT {', '.join(_READING_COLUMNS)} FROM readings WHERE session_id = ? ORDER BY number"
        return tuple(_reading(row) for row in self._db.execute(sql, (session_id,)))

    def _witness(self, record: ChargeRecord) -> None:
        """Store the next signed record in the transaction of what it says."""
        last, before = self._db.execute("SELECT page, link FROM evidence ORDER BY page DESC LIMIT 1").fetchone() or (0, GENESIS)
        text = self._notary.made(record, self.readings(record), last + 1)
        values = (last + 1, record.session_id, text.encode(), link(before, text), self._notary.public_key)
        self._db.execute("INSERT INTO evidence (page, session_id, record, link, public_key) VALUES (?, ?, ?, ?, ?)", values)

    def audited(self) -> tuple[dict[str, str], int]:
        """Return what the audit trail knows a ledger by, schema and link of the first signed record, and how many signed records there are."""
        first = self._db.execute("SELECT link FROM evidence WHERE page = 1").fetchone()
        pages = self._db.execute("SELECT coalesce(max(page), 0) FROM evidence").fetchone()[0]
        return {"ledger.schema": str(VERSION), "ledger.first_record": first[0].hex() if first else ""}, int(pages)

    def proofs(self, session_id: str) -> tuple[Proof, ...]:
        """Return the signed records of a session, oldest first; sessions before version 4 have none."""
        rows = self._db.execute("SELECT page, record, public_key FROM evidence WHERE session_id = ? ORDER BY page", (session_id,))
        return tuple(Proof(f"T{page}", bytes(record).decode(), public_key) for page, record, public_key in rows)

    def keep_tariff(self, change: TariffChange) -> None:
        """Store durably which tariff took the place of the description's."""
        with self._transaction(durable=True):
            self._db.execute("INSERT OR REPLACE INTO tariff VALUES (1, ?, ?, ?, ?)", (change.old, change.new, change.who, change.stamp))

    def kept_tariff(self) -> TariffChange | None:
        """Return what was stored by keep_tariff() last."""
        row = self._db.execute("SELECT old, new, who, stamp FROM tariff").fetchone()
        return TariffChange(*row) if row else None

    def open_records(self) -> list[ChargeRecord]:
        """Return the records without an end, oldest first."""
        return self._records("WHERE status = ? ORDER BY record_number", (RecordStatus.OPEN.value,))

    def last(self, count: int = LAST) -> list[ChargeRecord]:
        """Return the newest records, oldest first."""
        return self._records("ORDER BY record_number DESC LIMIT ?", (count,))[::-1]

    def find(self, session_id: str) -> ChargeRecord | None:
        """Return the record of a session."""
        return next(iter(self._records("WHERE session_id = ?", (session_id,))), None)

    def _records(self, rest: str, values: tuple[Any, ...]) -> list[ChargeRecord]:
        rows = self._db.execute(f"SELECT {', '.join(_COLUMNS)} FROM records {rest}", values)
        return [_record(row) for row in rows]

    def set_transaction(self, session_id: str, transaction_id: int) -> bool:
        """Store what the CSMS calls a session; returns whether that is news."""
        with self._transaction(durable=False):
            sql = "UPDATE records SET transaction_id = ? WHERE session_id = ? AND transaction_id != ?"
            return self._db.execute(sql, (transaction_id, session_id, transaction_id)).rowcount > 0

    def transaction_id(self, session_id: str) -> int:
        """Return what the CSMS calls a session, 0 where it has not said."""
        row = self._db.execute("SELECT transaction_id FROM records WHERE session_id = ?", (session_id,)).fetchone()
        return int(row[0]) if row else 0


def _locked(path: Path) -> TextIO:
    """Two writers would count twice. The lock goes with the process, also when it is killed."""
    lock = path.with_name(path.name + ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ValueError(f"{path}: another energy_meter is using this ledger") from None
    return lock


def _reading(row: tuple[Any, ...]) -> SessionReading:
    values: list[Any] = [nan if value is None else value for value in row]
    found = SessionReading(*values)
    return replace(found, mark=Mark(found.mark), status=MeterStatus(found.status))


def _record(row: tuple[Any, ...]) -> ChargeRecord:
    values: list[Any] = [nan if value is None else value for value in row]
    record = ChargeRecord(*values)
    return replace(
        record,
        status=RecordStatus(record.status),
        stop_cause=StopCause(record.stop_cause),
        legal=bool(record.legal),
        begin_meter_status=MeterStatus(record.begin_meter_status),
        end_meter_status=MeterStatus(record.end_meter_status),
    )
