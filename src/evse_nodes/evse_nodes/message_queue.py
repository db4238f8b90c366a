"""Transaction messages that wait for the CSMS, on disk: each one is delivered once, also when the process dies at any point.

Exactly once, as the bill sees it: a message enters by (EVSE, session, kind, sequence) once and only once, and leaves in the same database transaction that
stores its answer. Between the answer of the CSMS and that transaction a crash makes the station send the message again: byte for byte the same payload
and, on the new connection, the same message id, so that a CSMS can recognise it (the same connector, token, timestamp and meter value are no second charge).
Sessions stay known after their end (the last `remember` of them), because energy_meter repeats its last 100 records to whoever subscribes.
Messages that were given up stay in the table `dropped`, for a person to bill by hand.

The file is held exclusively: a second process that opens it gets an error. SQLite in WAL mode with synchronous=FULL: what was committed survives power loss.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evse_core.ocpp16_delivery import NO_TRANSACTION, Kind, QueuedMessage
from evse_core.ocpp16_messages import Request

# Sessions that are remembered after their end. energy_meter repeats 100 records per EVSE, this is enough for 50 EVSEs. [1]
REMEMBER = 5000

# One script per schema version, the newest last; PRAGMA user_version counts them.
_SCHEMA = (
    """
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        evse INTEGER NOT NULL,
        session_id TEXT NOT NULL,
        token TEXT NOT NULL,
        begin REAL NOT NULL,
        latest REAL NOT NULL,
        sampled INTEGER NOT NULL DEFAULT 0,
        transaction_id INTEGER,
        ended INTEGER NOT NULL DEFAULT 0,
        stop_confirmed INTEGER NOT NULL DEFAULT 0,
        energy_wh REAL,
        UNIQUE (evse, session_id)
    );
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        session INTEGER NOT NULL REFERENCES sessions (number),
        kind TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        at REAL NOT NULL,
        action TEXT NOT NULL,
        payload TEXT NOT NULL,
        message_id TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        UNIQUE (session, kind, sequence)
    );
    CREATE INDEX messages_in_order ON messages (at, number);
    CREATE TABLE dropped (
        number INTEGER PRIMARY KEY,
        evse INTEGER NOT NULL,
        session_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        action TEXT NOT NULL,
        payload TEXT NOT NULL,
        transaction_id INTEGER,
        reason TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE collected (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
        item TEXT NOT NULL
    );
    CREATE INDEX collected_of_session ON collected (session, number);
    """,
)


@dataclass(frozen=True)
class SessionRow:
    """What is known of a session: transaction_id is None before the CSMS has answered, -1 where it never will; energy_wh is what the stop tells."""

    evse: int
    session_id: str
    token: str
    begin: float
    transaction_id: int | None
    ended: bool
    stop_confirmed: bool
    energy_wh: float | None


class MessageQueue:
    """The queue. ValueError from the constructor names a file that cannot be used. Not for several threads."""

    def __init__(self, path: Path, *, max_meter_values: int = 10000, remember: int = REMEMBER) -> None:
        self._max_meter_values = max_meter_values
        self._remember = remember
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
            self._prepare(path)
        except (OSError, sqlite3.Error) as error:
            raise ValueError(f"{path}: cannot be used as message queue: {error}") from error

    def _prepare(self, path: Path) -> None:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(_SCHEMA):
            raise ValueError(f"{path}: schema version {version} is newer than this program's {len(_SCHEMA)}")
        for number, script in enumerate(_SCHEMA[version:], start=version + 1):
            self._db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
        self._meter_values = int(self._db.execute("SELECT count(*) FROM messages WHERE kind = 'meter'").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Entering

    def begin(self, evse: int, session_id: str, token: str, begin: float, request: Request) -> bool:
        """Queue the StartTransaction of a session; False where it was queued before."""
        with self._transaction():
            return self._begin(evse, session_id, token, begin, request)

    def end(
        self,
        evse: int,
        session_id: str,
        token: str,
        begin: float,
        start: Request,
        end: float,
        stop: Request,
        energy_wh: float,
        cost: Request | None = None,
    ) -> bool:
        """Queue the StopTransaction of a session, and its StartTransaction where that was never queued; False where it has ended before.

        The message with its cost, where one is to be sent, follows.
        """
        with self._transaction():
            self._begin(evse, session_id, token, begin, start)
            row = self._db.execute("SELECT number, ended FROM sessions WHERE evse = ? AND session_id = ?", (evse, session_id)).fetchone()
            if row[1]:
                return False
            self._add(row[0], Kind.STOP, 0, end, stop)
            if cost is not None:
                self._add(row[0], Kind.COST, 0, end, cost)
            self._db.execute("UPDATE sessions SET ended = 1, energy_wh = ? WHERE number = ?", (energy_wh, row[0]))
            self._db.execute("DELETE FROM collected WHERE session = ?", (row[0],))
            return True

    def sample(self, evse: int, session_id: str, sequence: int, at: float, request: Request) -> bool:
        """Queue a MeterValues of a running session; False where it has no open transaction or the sample, or a later one, was taken before."""
        with self._transaction():
            row = self._db.execute(
                "SELECT number, ended, sampled FROM sessions WHERE evse = ? AND session_id = ?", (evse, session_id)
            ).fetchone()
            if row is None or row[1] or sequence <= row[2]:
                return False
            self._add(row[0], Kind.METER, sequence, at, request)
            self._db.execute("UPDATE sessions SET sampled = ? WHERE number = ?", (sequence, row[0]))
            self._thin_out()
            return True

    def collect(self, evse: int, session_id: str, item: Mapping[str, Any], most: int) -> None:
        """Keep a meterValue of a running session for its StopTransaction; beyond `most` every other one goes, so that the whole session stays covered."""
        with self._transaction():
            row = self._db.execute(
                "SELECT number FROM sessions WHERE evse = ? AND session_id = ? AND ended = 0", (evse, session_id)
            ).fetchone()
            if row is None:
                return
            self._db.execute("INSERT INTO collected (session, item) VALUES (?, ?)", (row[0], json.dumps(item)))
            found = [number for (number,) in self._db.execute("SELECT number FROM collected WHERE session = ? ORDER BY number", row)]
            if len(found) > most:
                self._db.executemany("DELETE FROM collected WHERE number = ?", [(number,) for number in found[-2::-2]])

    def collected(self, evse: int, session_id: str) -> list[dict[str, Any]]:
        """Return what was collected of a session, in order."""
        rows = self._db.execute(
            "SELECT c.item FROM collected c JOIN sessions s ON s.number = c.session WHERE s.evse = ? AND s.session_id = ? ORDER BY c.number",
            (evse, session_id),
        )
        return [json.loads(item) for (item,) in rows]

    def skip(self, evse: int, session_id: str, token: str, begin: float, ended: bool) -> None:
        """Remember a session that no CSMS is to hear of."""
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO sessions (evse, session_id, token, begin, latest, ended, stop_confirmed) VALUES (?, ?, ?, ?, ?, 1, ?)"
                " ON CONFLICT DO NOTHING",
                (evse, session_id, token, begin, begin, int(ended)),
            )
            if cursor.rowcount:
                self._forget(cursor.lastrowid or 0)

    def _begin(self, evse: int, session_id: str, token: str, begin: float, request: Request) -> bool:
        cursor = self._db.execute(
            "INSERT INTO sessions (evse, session_id, token, begin, latest) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (evse, session_id, token, begin, begin),
        )
        if cursor.rowcount == 0:
            return False
        self._add(cursor.lastrowid, Kind.START, 0, begin, request)
        self._forget(cursor.lastrowid or 0)
        return True

    def _add(self, session: int | None, kind: Kind, sequence: int, at: float, request: Request) -> None:
        """Insert behind all earlier messages of the same session, whatever a clock that was set back says."""
        latest = self._db.execute("SELECT latest FROM sessions WHERE number = ?", (session,)).fetchone()[0]
        at = max(at, latest)
        self._db.execute(
            "INSERT INTO messages (session, kind, sequence, at, action, payload, message_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (session, kind, sequence, at, request.action, json.dumps(request.payload), str(uuid.uuid4())),
        )
        self._db.execute("UPDATE sessions SET latest = ? WHERE number = ?", (at, session))

    def _thin_out(self) -> None:
        """Drop the oldest MeterValues above the limit; starts and stops are never dropped here."""
        self._meter_values += 1
        if self._meter_values <= self._max_meter_values:
            return
        cursor = self._db.execute(
            "DELETE FROM messages WHERE number IN (SELECT number FROM messages WHERE kind = 'meter' ORDER BY at, number LIMIT ?)",
            (self._meter_values - self._max_meter_values,),
        )
        self._meter_values -= cursor.rowcount

    def _forget(self, newest: int) -> None:
        """Forget the sessions before the last ones that are over and have nothing left to be sent."""
        self._db.execute(
            "DELETE FROM sessions WHERE number <= ? AND ended = 1 AND NOT EXISTS (SELECT 1 FROM messages WHERE session = sessions.number)",
            (newest - self._remember,),
        )

    # Leaving

    def in_order(self) -> Iterator[QueuedMessage]:
        """Yield the messages in the order in which they are to be delivered. Do not change the queue while it runs."""
        rows = self._db.execute(
            "SELECT m.number, s.evse, s.session_id, m.kind, m.action, m.payload, m.message_id, m.attempts, s.transaction_id"
            " FROM messages m CROSS JOIN sessions s ON s.number = m.session ORDER BY m.at, m.number"
        )
        try:
            for number, evse, session_id, kind, action, payload, message_id, attempts, transaction_id in rows:
                yield QueuedMessage(number, evse, session_id, Kind(kind), action, json.loads(payload), message_id, attempts, transaction_id)
        finally:
            rows.close()

    def delivered(self, message: QueuedMessage, transaction_id: int | None = None) -> None:
        """Remove a message that the CSMS has answered and, in the same database transaction, keep what the answer says."""
        with self._transaction():
            if message.kind == Kind.START:
                self._set("transaction_id", transaction_id, message)
            if message.kind == Kind.STOP:
                self._set("stop_confirmed", 1, message)
            self._remove(message)

    def failed(self, message: QueuedMessage, *, attempt: bool) -> None:
        """Give a message that was not taken a new message id for the next try on this connection; attempt: it counts as one."""
        with self._transaction():
            self._db.execute(
                "UPDATE messages SET attempts = attempts + ?, message_id = ? WHERE number = ?",
                (int(attempt), str(uuid.uuid4()), message.number),
            )

    def drop(self, message: QueuedMessage, reason: str) -> None:
        """Take a message out of the queue for good and keep it in the table of dropped ones; without its start a session is transaction -1."""
        with self._transaction():
            if message.kind == Kind.START:
                self._set("transaction_id", NO_TRANSACTION, message)
            self._db.execute(
                "INSERT OR REPLACE INTO dropped VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    message.number,
                    *message.session,
                    message.kind,
                    message.action,
                    json.dumps(message.payload),
                    message.transaction_id,
                    reason,
                ),
            )
            self._remove(message)

    def _remove(self, message: QueuedMessage) -> None:
        cursor = self._db.execute("DELETE FROM messages WHERE number = ?", (message.number,))
        self._meter_values -= cursor.rowcount if message.kind == Kind.METER else 0

    def _set(self, column: str, value: Any, message: QueuedMessage) -> None:
        self._db.execute(f"UPDATE sessions SET {column} = ? WHERE evse = ? AND session_id = ?", (value, *message.session))

    # Looking

    def __len__(self) -> int:
        """Return how many messages wait."""
        return int(self._db.execute("SELECT count(*) FROM messages").fetchone()[0])

    def dropped(self) -> int:
        """Return how many messages were given up."""
        return int(self._db.execute("SELECT count(*) FROM dropped").fetchone()[0])

    def session(self, evse: int, session_id: str) -> SessionRow | None:
        """Return what is known of a session."""
        return next(self._sessions("WHERE evse = ? AND session_id = ?", evse, session_id), None)

    def open_sessions(self) -> list[SessionRow]:
        """Return the sessions without an end, oldest first."""
        return list(self._sessions("WHERE ended = 0 ORDER BY number"))

    def latest(self, evse: int) -> SessionRow | None:
        """Return the session of an EVSE that began last."""
        return next(self._sessions("WHERE evse = ? ORDER BY number DESC LIMIT 1", evse), None)

    def _sessions(self, where: str, *values: Any) -> Iterator[SessionRow]:
        columns = "evse, session_id, token, begin, transaction_id, ended, stop_confirmed, energy_wh"
        for evse, session_id, token, begin, number, ended, confirmed, energy in self._db.execute(
            f"SELECT {columns} FROM sessions {where}", values
        ):
            yield SessionRow(evse, session_id, token, begin, number, bool(ended), bool(confirmed), energy)
