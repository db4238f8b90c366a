"""SQLite files of a station for whoever may read them and not write: nothing is changed, also beside a station that runs."""

import sqlite3
from pathlib import Path

# Longest wait for a writer; a commit takes milliseconds. [s]
BUSY = 5.0


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads; sqlite3.Error where the file cannot be read.

    SQLite wants to write the index of a log (-shm) where nobody has made it. Who may not, and finds no log, reads the file as it lies there.
    """
    uri = path.absolute().as_uri()
    database = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=BUSY)
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        database.close()
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise
        return sqlite3.connect(f"{uri}?immutable=1", uri=True)
    except BaseException:
        database.close()
        raise
    return database
