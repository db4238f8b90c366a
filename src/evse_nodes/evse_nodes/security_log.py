"""The security log of the uplink on disk, and in it the events that the CSMS has still to hear: one SQLite file, synced at every event.

The log keeps the last KEPT events. One that waits for the CSMS stays until it was answered, but never more than KEPT of them, the oldest going first.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Events that are kept: years of ordinary operation, some 1 MB. Own choice. [1]
KEPT = 5000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    at REAL NOT NULL,
    tech_info TEXT NOT NULL,
    waiting INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_waiting ON events (waiting, number);
"""


@dataclass(frozen=True)
class Entry:
    """One event, at a ROS time [s]."""

    number: int
    type: str
    at: float
    tech_info: str


class SecurityLog:
    """The file. ValueError from the constructor names one that cannot be used."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
            for pragma in ("journal_mode = WAL", "synchronous = FULL"):
                self._db.execute(f"PRAGMA {pragma}").fetchall()
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ValueError(f"{path}: cannot be used as security log: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, event: str, at: float, tech_info: str, *, waiting: bool) -> None:
        """Write an event; sqlite3.Error where that fails."""
        found = self._db.execute(
            "INSERT INTO events (type, at, tech_info, waiting) VALUES (?, ?, ?, ?)", (event, at, tech_info, int(waiting))
        )
        oldest = (found.lastrowid or 0) - KEPT
        self._db.execute("DELETE FROM events WHERE number <= ?", (oldest,))

    def first_waiting(self) -> Entry | None:
        """Return the oldest event that the CSMS has still to hear."""
        return next(self._entries("WHERE waiting = 1 ORDER BY number LIMIT 1"), None)

    def heard(self, number: int) -> None:
        """Note that the CSMS has heard of an event."""
        self._db.execute("UPDATE events SET waiting = 0 WHERE number = ?", (number,))

    def between(self, begin: float, end: float) -> Iterator[Entry]:
        """Yield the events of a span of ROS time [s], oldest first."""
        return self._entries("WHERE at >= ? AND at <= ? ORDER BY number", begin, end)

    def _entries(self, where: str, *values: float) -> Iterator[Entry]:
        return (Entry(*row) for row in self._db.execute(f"SELECT number, type, at, tech_info FROM events {where}", values))
