"""Where signed records come from: the ledger of an energy meter, read only, or a file with one record per line."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evse_core.evidence import GENESIS, link
from evse_nodes import read_only

LEDGERS = "energy_meter_*.sqlite"


@dataclass(frozen=True, slots=True)
class Signed:
    """One signed record; page, session, key and the state of the chain are known only from a ledger."""

    text: str
    page: int = 0
    session_id: str = ""
    public_key: str = ""
    chain_problem: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One ledger or file with its records, oldest first."""

    path: Path
    records: tuple[Signed, ...]


def sources(path: Path, evse: int = 0) -> list[Source]:
    """Return what a path holds: a folder with ledgers (data_dir), one ledger, or a file of records; ValueError says what is wrong with it."""
    if path.is_dir():
        found = sorted(path.glob(LEDGERS if not evse else f"energy_meter_{evse}.sqlite"))
        if not found:
            raise ValueError(f"{path}: has no ledger {LEDGERS if not evse else f'of EVSE {evse}'}; give the data_dir of a station")
        return [Source(ledger, tuple(_from_ledger(ledger))) for ledger in found]
    if not path.is_file():
        raise ValueError(f"{path}: is neither a folder nor a file")
    with path.open("rb") as file:
        is_ledger = file.read(16).startswith(b"SQLite format 3")
    return [Source(path, tuple(_from_ledger(path)) if is_ledger else tuple(_from_lines(path)))]


def _from_ledger(path: Path) -> Iterator[Signed]:
    try:
        database = read_only.connect(path)
        try:
            rows = database.execute("SELECT page, session_id, record, link, public_key FROM evidence ORDER BY page").fetchall()
        finally:
            database.close()
    except sqlite3.Error as error:
        raise ValueError(f"{path}: is no ledger with signed records: {error}") from error
    before = GENESIS
    for page, session_id, record, chained, public_key in rows:
        # Who has changed a record may have left text in place of its bytes.
        text = record if isinstance(record, str) else bytes(record).decode(errors="replace")
        wrong = (
            ""
            if link(before, text) == chained
            else f"chain: record {page} does not follow the one before it: one was changed, taken out or put in"
        )
        yield Signed(text, page, session_id, public_key, wrong)
        before = chained


def _from_lines(path: Path) -> Iterator[Signed]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no text: {error}") from error
    yield from (Signed(line.strip()) for line in text.splitlines() if line.strip())
