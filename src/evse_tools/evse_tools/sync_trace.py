"""Which part of SQLite's logs is synced: connections that are made under `tracing` note it after each commit that syncs. For benches and tests only."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Layout of a write-ahead log: header, then frames of a header and a page (SQLite file format, section 4).
LOG_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096
FRAME = FRAME_HEADER + PAGE
# PRAGMA synchronous: from FULL on a commit syncs the log.
FULL = 2


def frames(log: Path) -> int:
    """Return how many whole frames a log has."""
    return max(0, (log.stat().st_size - LOG_HEADER) // FRAME) if log.exists() else 0


def commits(log: bytes) -> list[int]:
    """Return after how many frames of a log something is committed, 0 first: a frame that commits names the size of the database (section 4.1)."""
    total = (len(log) - LOG_HEADER) // FRAME
    heads = (LOG_HEADER + number * FRAME for number in range(total))
    return [0, *(number for number, at in enumerate(heads, 1) if any(log[at + 4 : at + 8]))]


@contextmanager
def tracing() -> Iterator[Mapping[str, int]]:
    """Yield the number of frames that are synced, by the name of the log; it grows while files are opened and written in this block."""
    synced: dict[str, int] = {}

    class Traced(sqlite3.Connection):
        """Notes what a commit has synced."""

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            result = super().execute(sql, *values)
            if sql.startswith("COMMIT"):
                self._note()
            return result

        def executescript(self, sql: str) -> sqlite3.Cursor:
            result = super().executescript(sql)
            self._note()
            return result

        def _note(self) -> None:
            if super().execute("PRAGMA synchronous").fetchone()[0] >= FULL:
                log = Path(super().execute("PRAGMA database_list").fetchone()[2] + "-wal")
                synced[log.name] = frames(log)

    plain = sqlite3.connect
    sqlite3.connect = lambda *values, **words: plain(*values, **{"factory": Traced, **words})
    try:
        yield synced
    finally:
        sqlite3.connect = plain
