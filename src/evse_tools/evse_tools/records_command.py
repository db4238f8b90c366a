"""`station records list|show|export|verify`: signed records of a station, and of other people's meters."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from rich.console import Console
from rich.table import Table

from evse_core.ocmf import parse
from evse_core.ocmf_check import Verdict, check, check_row
from evse_core.ocmf_signature import PublicKey, public_key, public_text
from evse_tools import json_target
from evse_tools.records_check import verdicts
from evse_tools.records_source import Signed, Source, sources

# Room of a session in a table: who needs all of it takes --json or `show`. [characters]
SESSION_WIDTH = 14


def _guarded(work: Callable[[], int]) -> int:
    """Run a command; wrong input is exit code 2."""
    try:
        return work()
    except (ValueError, OSError) as error:
        print(f"station records: {error}", file=sys.stderr)
        return 2


def listing(path: Path, evse: int, json: str) -> int:
    """Show the records of a source as a table."""
    return _guarded(lambda: _list(sources(path, evse), json))


def _list(found: Sequence[Source], json: str) -> int:
    rows = [_row(source, record) for source in found for record in source.records]
    if json:
        json_target.write(json, rows)
        return 0
    table = Table("record", "session", "begin", "end", "energy", box=None, header_style="bold")
    for row in rows:
        ended = row["energy_wh"] is not None
        energy = f"{row['energy_wh'] / 1000.0:.3f} kWh" if ended else ""
        table.add_row(row["pagination"], row["session_id"], _time(row["begin"]), _time(row["end"]) if ended else "(begin)", energy)
    for column in table.columns:
        column.no_wrap = True
    table.columns[1].max_width = SESSION_WIDTH
    Console(highlight=False).print(table if rows else "There are no records yet.")
    return 0


def _time(text: str) -> str:
    """Return a time as a table has room for it: without zone."""
    return text[:19].replace("T", " ")


def _row(source: Source, record: Signed) -> dict[str, Any]:
    verdict = check(record.text)
    return {
        "source": source.path.name,
        "pagination": verdict.pagination,
        "session_id": record.session_id,
        "begin": verdict.begin.isoformat() if verdict.begin else "",
        "end": verdict.end.isoformat() if verdict.end else "",
        "energy_wh": float(verdict.energy_wh) if verdict.energy_wh is not None else None,
        "record": record.text,
    }


def show(path: Path, which: str, evse: int) -> int:
    """Show one record, by its pagination or its session, field by field."""
    return _guarded(lambda: _show(sources(path, evse), which))


def _show(found: Sequence[Source], which: str) -> int:
    chosen = [record for source in found for record in source.records if which in (record.session_id, _pagination(record))]
    if not chosen:
        raise ValueError(f"{which}: is neither the pagination (such as T1) nor the session of a record")
    console = Console(highlight=False, soft_wrap=True)
    for record in chosen:
        document = parse(record.text)
        table = Table(
            "key", "value", box=None, header_style="bold", title=f"{document.pagination} {record.session_id}".strip(), title_justify="left"
        )
        for key, value in document.fields.items():
            if key != "RD":
                table.add_row(key, str(value))
        for number, reading in enumerate(document.readings, 1):
            table.add_row(f"RD {number}", "  ".join(f"{key}={value}" for key, value in reading.items()))
        table.add_row("signature", " ".join(f"{key}={value}" for key, value in document.signature.items()))
        table.add_row("public key", record.public_key)
        console.print(table)
        console.print(record.text, markup=False)
    return 0


def _pagination(record: Signed) -> str:
    try:
        return parse(record.text).pagination
    except ValueError:
        return ""


def export(path: Path, output: Path, evse: int, xml: bool) -> int:
    """Write the records of ended sessions as they were signed, one per line, or as XML for transparency software."""
    return _guarded(lambda: _export(sources(path, evse), output, xml))


def _export(found: Sequence[Source], output: Path, xml: bool) -> int:
    records = [record for source in found for record in source.records]
    if xml:
        # Layout of the SAFE transparency software's XML: a value per record, with the key that checks it.
        values = "".join(
            f'  <value>\n    <signedData format="OCMF" encoding="plain">{escape(record.text)}</signedData>\n'
            f'    <publicKey encoding="plain">{escape(record.public_key)}</publicKey>\n  </value>\n'
            for record in records
            if check(record.text).energy_wh is not None
        )
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<values>\n{values}</values>\n'
    else:
        text = "".join(f"{record.text}\n" for record in records)
    output.write_text(text, encoding="utf-8")
    print(f"{output}: {len(records)} records", file=sys.stderr)
    return 0


def verify(path: Path, key: str, serial: str, evse: int, json: str) -> int:
    """Check signature, serial number, pagination, order and chain of every record; 1 where one does not hold."""
    return _guarded(lambda: _verify(sources(path, evse), _given_key(key), serial, json))


def _given_key(key: str) -> PublicKey | None:
    """Return the key of the command line, itself or in a file."""
    if not key:
        return None
    text = Path(key).read_text(encoding="utf-8") if len(key) < 4096 and Path(key).is_file() else key
    try:
        return public_key(text)
    except ValueError as error:
        raise ValueError(f"--key: {error}") from error


def _verify(found: Sequence[Source], key: PublicKey | None, serial: str, json: str) -> int:
    results = [_judged(source, key, serial) for source in found]
    if json:
        json_target.write(json, results)
    else:
        _print(results)
    return 0 if all(result["holds"] for result in results) else 1


def _judged(source: Source, key: PublicKey | None, serial: str) -> dict[str, Any]:
    keys = {record.public_key for record in source.records} - {""}
    found = zip(source.records, verdicts(source.records, key, serial), strict=True)
    records = [_judged_record(record, verdict) for record, verdict in found]
    row = check_row([record.text for record in source.records])
    if len(keys) > 1:
        row.append(f"the key has changed: {len(keys)} keys signed these records")
    if not records:
        row.append("there is no record")
    return {
        "source": str(source.path),
        "public_keys": sorted(keys) or ([public_text(key)] if key else []),
        "holds": not row and all(record["holds"] for record in records),
        "problems": row,
        "records": records,
    }


def _judged_record(record: Signed, verdict: Verdict) -> dict[str, Any]:
    errors = [*verdict.errors, *filter(None, [record.chain_problem])]
    return {
        "pagination": verdict.pagination,
        "session_id": record.session_id,
        "holds": not errors,
        "energy_wh": float(verdict.energy_wh) if verdict.energy_wh is not None else None,
        "errors": errors,
        "notes": list(verdict.notes),
    }


def _print(results: Sequence[dict[str, Any]]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for result in results:
        good = sum(record["holds"] for record in result["records"])
        console.print(
            f"{result['source']}: {good} of {len(result['records'])} records hold",
            style="green" if result["holds"] else "red",
            markup=False,
        )
        for problem in result["problems"]:
            console.print(f"  {problem}", style="red", markup=False)
        for record in result["records"]:
            for words in record["errors"]:
                console.print(f"  {record['pagination'] or '?'} {record['session_id']}: {words}", style="red", markup=False)
        notes = dict.fromkeys(note for record in result["records"] for note in record["notes"])
        for note in notes:
            console.print(f"  note: {note}", style="dim", markup=False)
        for text in result["public_keys"]:
            console.print(f"  public key {text}", style="dim", markup=False)
