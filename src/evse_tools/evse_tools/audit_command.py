"""`station audit`: the audit trail for whoever wants to see it, and whether it is whole. Nothing is written, nobody has to log in."""

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evse_core.audit import Entry, Row, head_problem, problems
from evse_core.ocmf import parse
from evse_nodes.audit_trail import FILE, entries, read
from evse_nodes.meter_audit import CHECKSUM, TRAIL
from evse_nodes.metrology_sources import metrology_checksum
from evse_tools import json_target
from evse_tools.description import DescriptionError, load
from evse_tools.records_source import LEDGERS, Signed, sources

# Where the descriptions of config/ keep what a station writes.
DATA = Path("station_data")
_AGE = re.compile(r"([0-9]+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COLUMNS = ("counter", "three_digits", "time", "clock", "who", "evse", "parameter", "old", "new", "changes")


def run(path: Path | None, since: str, parameter: str, json: str, csv_file: str, verify: bool) -> int:
    """Show the entries, oldest first; 0 where the trail is whole, 1 where it is not, 2 where the input is wrong."""
    try:
        if problem := json_target.refusal(json) or json_target.refusal(csv_file).replace("--json", "--csv"):
            raise ValueError(problem)
        file = trail_of(path)
        rows = read(file)
        found = [*problems(rows), *record_problems(file.parent, rows)]
        shown = list(chosen(list(entries(rows)), since, parameter))
        if json:
            json_target.write(json, _as_json(file, rows, found, shown))
        if csv_file:
            _write_csv(csv_file, shown)
        if "-" not in (json, csv_file):
            _print(file, rows, found, () if verify else shown)
    except (ValueError, OSError) as error:
        print(f"station audit: {error}", file=sys.stderr)
        return 2
    return 1 if found else 0


def trail_of(path: Path | None) -> Path:
    """Return the file that a path means: a trail, a data_dir, a description, or without a path the only one below station_data; ValueError for none."""
    if path is None:
        found = sorted(DATA.glob(f"*/{FILE}")) + ([DATA / FILE] if (DATA / FILE).exists() else [])
        if len(found) != 1:
            names = ", ".join(str(file.parent) for file in found) or "there is none below station_data"
            raise ValueError(f"whose audit trail? Give the data_dir of a station: {names}")
        return found[0]
    if path.suffix in {".yaml", ".yml"}:
        try:
            path = load(path).data_dir
        except DescriptionError as error:
            raise ValueError(str(error)) from error
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"{file}: there is no audit trail; give the data_dir of a station, or its description")
    return file


# What is shown


def chosen(found: Sequence[Entry], since: str, parameter: str) -> Iterator[Entry]:
    """Yield the entries since a time whose parameter has a word in its name; ValueError where the time is none."""
    begin = moment(since) if since else None
    return (entry for entry in found if (begin is None or entry.at >= begin) and parameter in entry.parameter)


def moment(text: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float:
    """Return the time that a text means [s since the epoch]: ISO 8601, in UTC where it names no zone, or an age such as 90m, 2h, 30d."""
    if age := _AGE.fullmatch(text):
        return (now() - timedelta(**{_UNITS[age[2]]: int(age[1])})).timestamp()
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--since {text}: is neither a time such as 2026-11-20T10:00 nor an age such as 90m, 2h, 30d") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _print(file: Path, rows: Sequence[Row], found: Sequence[str], shown: Sequence[Entry]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if shown:
        console.print(_table(shown))
    console.print(f"{file}: {len(rows)} entries, {'not whole' if found else 'whole'}", style="red" if found else "green", markup=False)
    for words in found:
        console.print(f"  {words}", style="red", markup=False)
    console.print(f"  checksum of the metrology part of this program: {metrology_checksum()}", style="dim", markup=False)


def _table(shown: Sequence[Entry]) -> Table:
    table = Table("no.", "", "time (UTC)", "EVSE", "parameter", "old", "new", "who", box=None, header_style="bold")
    for entry in shown:
        times = f" ({entry.changes} changes)" if entry.changes > 1 else ""
        place = str(entry.evse) if entry.evse else "station"
        texts = (entry.parameter, _short(entry.old), _short(entry.new) + times, entry.who)
        time = f"{entry.time[:19].replace('T', ' ')} {entry.clock}"
        table.add_row(str(entry.counter), entry.three_digits, time, place, *map(escape, texts))
    return table


def _short(text: str) -> str:
    """Return a value as a table has room for it; --json and --csv have all of it."""
    return text if len(text) <= 40 else f"{text[:36]} ..."


def _as_json(file: Path, rows: Sequence[Row], found: Sequence[str], shown: Sequence[Entry]) -> dict[str, Any]:
    return {
        "source": str(file),
        "entries": len(rows),
        "whole": not found,
        "problems": list(found),
        "metrology_checksum": metrology_checksum(),
        "shown": [_plain(entry) for entry in shown],
    }


def _plain(entry: Entry) -> dict[str, Any]:
    said = asdict(entry) | {"time": entry.time, "clock": entry.clock.value, "three_digits": entry.three_digits}
    return {name: said[name] for name in COLUMNS}


def _write_csv(target: str, shown: Sequence[Entry]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(_plain(entry) for entry in shown)
    if target == "-":
        sys.stdout.write(text.getvalue())
    else:
        Path(target).write_text(text.getvalue(), encoding="utf-8", newline="")


# What the signed records say of the trail


def record_problems(folder: Path, rows: Sequence[Row]) -> Iterator[str]:
    """Yield where a signed record beside the trail names an end of it, or a program, that the trail does not know."""
    links = {row.counter: row.chained for row in rows}
    checksums = {
        (entry.evse, entry.counter): entry.new for row in rows for entry in entries([row]) if entry.parameter == "software.metrology"
    }
    for ledger in sorted(folder.glob(LEDGERS)):
        evse = int(ledger.stem.rpartition("_")[2]) if ledger.stem.rpartition("_")[2].isdecimal() else 0
        for source in sources(ledger):
            for record in source.records:
                for words in _of_record(record, evse, links, checksums):
                    yield f"{ledger.name}: record T{record.page} {words}"


def _of_record(record: Signed, evse: int, links: dict[int, bytes], checksums: dict[tuple[int, int], str]) -> Iterator[str]:
    try:
        fields = parse(record.text).fields
    except ValueError:
        # `station records verify` says what is wrong with it.
        return
    if TRAIL not in fields:
        # Signed by a version that kept no audit trail.
        return
    named = str(fields[TRAIL])
    if problem := head_problem(named, links.get):
        yield problem
        return
    number = int(named.partition(" ")[0])
    known = [value for (place, counter), value in sorted(checksums.items()) if place == evse and counter <= number]
    if known and known[-1] != fields.get(CHECKSUM):
        yield f"names another checksum of the metrology part than entry {number} of the audit trail and those before it"
