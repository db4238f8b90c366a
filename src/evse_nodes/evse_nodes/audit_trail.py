"""The audit trail on disk: <data_dir>/audit.sqlite, written by every process of a station that can change what is metered. The rules are evse_core/audit.py.

Each write is synced before it returns, so that what was changed is never younger than its entry. Entries are only ever added: triggers refuse the rest, and
all are kept. A file that is damaged, of another program or of a newer version is never touched: ValueError names it, and without its trail energy_meter does
not start.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evse_core.audit import EVENTS, NOTHING, REPEAT, Entry, Row, head_text, news, parse
from evse_core.evidence import GENESIS, link
from evse_core.ocmf import Clock
from evse_nodes import read_only
from evse_nodes.clock_state import clock_state
from evse_nodes.sqlite_file import Form, check, opened, transaction, usable

FILE = "audit.sqlite"
VERSION = 1
# Marks the file as an audit trail of this program (SQLite header, application_id): "EVAT" in ASCII.
APPLICATION = 0x45564154
# Longest wait for another process that writes; a write takes milliseconds. [s]
BUSY = 1.0
_KEY = "json_extract(entry, '$.evse'), json_extract(entry, '$.parameter')"
# `recent`: when a change was written last, on the steady clock of a boot; `held`: changes that are counted and not yet written.
_SCHEMA = f"""
CREATE TABLE entries (counter INTEGER PRIMARY KEY, entry TEXT NOT NULL, link BLOB NOT NULL);
CREATE INDEX of_parameter ON entries ({_KEY}, counter);
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER entries_last BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
CREATE TABLE recent (evse INTEGER, parameter TEXT, old TEXT, new TEXT, boot TEXT NOT NULL, steady REAL NOT NULL, PRIMARY KEY (evse, parameter, old, new));
CREATE TABLE held (evse INTEGER, parameter TEXT, old TEXT NOT NULL, new TEXT NOT NULL, changes INTEGER NOT NULL, who TEXT NOT NULL, at REAL NOT NULL,
    clock TEXT NOT NULL, boot TEXT NOT NULL, steady REAL NOT NULL, PRIMARY KEY (evse, parameter));
CREATE TABLE pages (evse INTEGER PRIMARY KEY, page INTEGER NOT NULL);
"""
_FORM = Form("audit trail", "a station", APPLICATION, VERSION, "inspection", _SCHEMA)


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens: wall clock [s since the epoch] with its state, and the steady clock [s] of a boot."""

    at: float
    clock: Clock
    boot: str
    steady: float


def present() -> Moment:
    """Return the moment that is now."""
    return Moment(time.time(), clock_state().clock, _boot(), time.clock_gettime(time.CLOCK_BOOTTIME))


def _boot() -> str:
    """Return what names the present boot of the machine; where nobody says, this process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"process {os.getpid()}"


class AuditTrail:
    """The file in a folder, opened or made. sqlite3.Error from a method means: nothing was written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        with usable(self.path, _FORM):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_name(f"{FILE}.lock").open("w") as lock:
                # Nodes start together: one makes the file, the others find it made. The lock goes with the process, also when it is killed.
                fcntl.flock(lock, fcntl.LOCK_EX)
                # ocpp_uplink opens in the executor's thread and writes in its own, one after the other.
                self._db = opened(self.path, _FORM, BUSY, check_same_thread=False)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    # Reading

    def head(self) -> str:
        """Return the end of the trail as a signed record names it."""
        counter, chained = self._end()
        return head_text(counter, chained)

    def _end(self) -> tuple[int, bytes]:
        found: tuple[int, bytes] | None = self._db.execute("SELECT counter, link FROM entries ORDER BY counter DESC LIMIT 1").fetchone()
        return found or (0, GENESIS)

    def known(self, evse: int, prefixes: tuple[str, ...]) -> dict[str, str]:
        """Return what the trail says of the parameters of an EVSE (0: station) whose names begin so, with what is counted and not yet written."""
        sql = "SELECT DISTINCT json_extract(entry, '$.parameter') FROM entries WHERE json_extract(entry, '$.evse') = ?"
        rows = self._db.execute(sql, (evse,))
        names = [name for (name,) in rows if name.startswith(prefixes) and name not in EVENTS]
        return {name: self.value(evse, name) for name in names}

    def value(self, evse: int, parameter: str) -> str:
        """Return what the trail says that a parameter is, NOTHING where it says nothing."""
        held = self._held(evse, parameter)
        if held is not None:
            return str(held["new"])
        sql = f"SELECT json_extract(entry, '$.new') FROM entries WHERE ({_KEY}) = (?, ?) ORDER BY counter DESC LIMIT 1"
        row = self._db.execute(sql, (evse, parameter)).fetchone()
        return str(row[0]) if row else NOTHING

    def _held(self, evse: int, parameter: str) -> dict[str, Any] | None:
        cursor = self._db.execute("SELECT * FROM held WHERE evse = ? AND parameter = ?", (evse, parameter))
        row = cursor.fetchone()
        return dict(zip((column[0] for column in cursor.description), row, strict=True)) if row else None

    # Writing

    def compare(self, evse: int, found: Mapping[str, str], prefixes: tuple[str, ...], who: str, now: Moment) -> dict[str, str]:
        """Write what differs from what the trail knows of the parameters with these prefixes, all of which `found` must hold; return it."""
        with transaction(self._db):
            changed = news(self.known(evse, prefixes), found)
            self._settle(now)
            for name, value in changed.items():
                self._change(evse, name, value, who, now)
        return changed

    def change(self, evse: int, parameter: str, new: str, who: str, now: Moment) -> None:
        """Write that a parameter is something else now; nothing is written where it is not."""
        with transaction(self._db):
            self._settle(now)
            self._change(evse, parameter, new, who, now)

    def settle(self, now: Moment) -> None:
        """Write what was counted for long enough."""
        if self._db.execute("SELECT count(*) FROM held").fetchone()[0]:
            with transaction(self._db):
                self._settle(now)

    def _change(self, evse: int, parameter: str, new: str, who: str, now: Moment) -> None:
        old = NOTHING if parameter in EVENTS else self.value(evse, parameter)
        if old == new and parameter not in EVENTS:
            return
        key, held = (evse, parameter, old, new), self._held(evse, parameter)
        if self._is_repeat(key, now):
            # The oldest moment stays: a parameter that never rests is told once a minute all the same.
            first, count, steady = (held["old"], held["changes"], held["steady"]) if held else (old, 0, now.steady)
            values = (evse, parameter, first, new, count + 1, who, now.at, now.clock.value, now.boot, steady)
            self._db.execute(f"INSERT OR REPLACE INTO held VALUES ({', '.join('?' * len(values))})", values)
            return
        if held:
            self._tell(held)
        self._append(Entry(0, now.at, now.clock, who, parameter, evse, old, new))
        self._db.execute("INSERT OR REPLACE INTO recent VALUES (?, ?, ?, ?, ?, ?)", (*key, now.boot, now.steady))

    def _is_repeat(self, key: tuple[int, str, str, str], now: Moment) -> bool:
        sql = "SELECT steady FROM recent WHERE evse = ? AND parameter = ? AND old = ? AND new = ? AND boot = ?"
        row = self._db.execute(sql, (*key, now.boot)).fetchone()
        return row is not None and now.steady - row[0] < REPEAT

    def _settle(self, now: Moment) -> None:
        self._db.execute("DELETE FROM recent WHERE boot != ? OR ? - steady >= ?", (now.boot, now.steady, REPEAT))
        cursor = self._db.execute("SELECT * FROM held WHERE boot != ? OR ? - steady >= ? ORDER BY at", (now.boot, now.steady, REPEAT))
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            self._tell(dict(zip(names, row, strict=True)))

    def _tell(self, held: Mapping[str, Any]) -> None:
        """Write what was counted as one entry."""
        said = {name: held[name] for name in ("at", "who", "parameter", "evse", "old", "new", "changes")}
        self._append(Entry(counter=0, clock=Clock(held["clock"]), **said))
        self._db.execute("DELETE FROM held WHERE evse = ? AND parameter = ?", (held["evse"], held["parameter"]))

    def _append(self, entry: Entry) -> None:
        last, before = self._end()
        text = replace(entry, counter=last + 1).text()
        self._db.execute("INSERT INTO entries VALUES (?, ?, ?)", (last + 1, text, link(before, text)))

    # Pages of the ledgers

    def pages(self, evse: int) -> int:
        """Return how many signed records an EVSE's ledger is known to have had."""
        row = self._db.execute("SELECT page FROM pages WHERE evse = ?", (evse,)).fetchone()
        return int(row[0]) if row else 0

    def keep_pages(self, evse: int, page: int) -> None:
        """Remember how many signed records an EVSE's ledger has; neither chained nor synced, because it only helps to see a loss."""
        self._db.execute("PRAGMA synchronous=NORMAL")
        try:
            self._db.execute("INSERT OR REPLACE INTO pages VALUES (?, ?)", (evse, page))
        finally:
            self._db.execute("PRAGMA synchronous=FULL")


def read(path: Path) -> list[Row]:
    """Return the entries of a file, oldest first, without changing it; ValueError where it is no audit trail."""
    try:
        with closing(read_only.connect(path)) as database:
            check(database, path, _FORM)
            rows = database.execute("SELECT counter, entry, link FROM entries ORDER BY counter").fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{path}: is no audit trail: {error}") from error
    return [Row(counter, str(entry), bytes(chained)) for counter, entry, chained in rows]


def entries(rows: list[Row]) -> Iterator[Entry]:
    """Yield the entries that can be read."""
    for row in rows:
        try:
            yield parse(row.text)
        except ValueError:
            continue
