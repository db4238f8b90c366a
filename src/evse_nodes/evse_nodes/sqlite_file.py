"""SQLite files that a station's evidence is in: opened or made, looked at before anything is written, and written as a whole or not at all.

Each commit survives the end of the process (kill -9) and, unless a caller lowers `synchronous`, a loss of power. A file that is damaged, of another program
or of a newer version is never touched: ValueError names it.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file: its name and whose it is in words, what marks it (SQLite header: application_id, user_version), and what a damaged one is kept for.

    schema: the SQL of a new file; news: what came with a version, for files of older ones.
    """

    name: str
    owner: str
    application: int
    version: int
    kept_for: str
    schema: str
    news: Mapping[int, str] = field(default_factory=dict)


@contextmanager
def usable(path: Path, form: Form) -> Iterator[None]:
    """Turn what a file or disk answers while it is opened into a ValueError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ValueError(f"{path}: cannot be used as {form.name}: {error}") from error


def opened(path: Path, form: Form, timeout: float, check_same_thread: bool = True) -> sqlite3.Connection:
    """Return a connection to the file, made or brought to this version where need be; timeout: longest wait for another writer [s]. Errors: see usable."""
    database = sqlite3.connect(path, isolation_level=None, timeout=timeout, check_same_thread=check_same_thread)
    try:
        _prepare(database, path, form)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path, form: Form) -> None:
    empty, version = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0, number(database, "user_version")
    if not empty:
        check(database, path, form)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    news = form.schema if empty else "".join(sql for since, sql in form.news.items() if since > version)
    if empty or version < form.version:
        marks = f"PRAGMA application_id = {form.application}; PRAGMA user_version = {form.version};"
        database.executescript(f"BEGIN IMMEDIATE; {news} {marks} COMMIT;")


def check(database: sqlite3.Connection, path: Path, form: Form) -> None:
    """Raise ValueError where a file is none of this kind that this program may write or read."""
    application, version = number(database, "application_id"), number(database, "user_version")
    if application != form.application:
        raise ValueError(f"{path}: is no {form.name} of {form.owner} (application_id {application:#x})")
    if version > form.version:
        raise ValueError(f"{path}: has schema version {version}, this program knows {form.version}: it was written by a newer one")
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise ValueError(f"{path}: is damaged: {found}. Keep it for {form.kept_for} and start with another data_dir")


def number(database: sqlite3.Connection, pragma: str) -> int:
    """Return a number of the file's header."""
    return int(database.execute(f"PRAGMA {pragma}").fetchone()[0])


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Write all of what is done in this context, or nothing where it raises."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
