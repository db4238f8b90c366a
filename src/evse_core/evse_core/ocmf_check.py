"""What a check program says of OCMF records: each record for itself, and several in a row (can.md 7.1)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from evse_core.ocmf import ENDS, Clock, Document, Mark, MeterState, parse, parse_time
from evse_core.ocmf_signature import PublicKey, signature_problem

_PAGINATION = re.compile(r"[TF][0-9]+")
# What every record and every reading must have.
_NEEDED, _NEEDED_IN_READING = ("PG", "RD"), ("TM", "ST")
_UNITS = {"kWh": Decimal(1000), "Wh": Decimal(1)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one record: errors make it worthless as evidence, notes are to be known. Energy [Wh] where begin and end give one."""

    pagination: str = ""
    meter: str = ""
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    energy_wh: Decimal | None = None
    begin: datetime | None = None
    end: datetime | None = None

    @property
    def holds(self) -> bool:
        """The record is evidence."""
        return not self.errors


def check(text: str, key: PublicKey | None = None, serial: str = "") -> Verdict:
    """Return what a record is worth; key and serial are those that the meter should have, without a key the signature is not checked and that is an error."""
    try:
        document = parse(text)
    except ValueError as error:
        return Verdict(errors=(str(error),))
    errors, notes = [*_form(document)], [*_notes(document)]
    errors += ["signature: there is no public key to check it with"] if key is None else filter(None, [signature_problem(document, key)])
    meter = str(document.fields.get("MS", ""))
    if serial and meter != serial:
        errors.append(f"meter: serial number is {meter!r}, expected {serial!r}")
    times = _times(document)
    energy, problems = _energy(document.readings)
    errors += [*_order(times), *problems]
    moments = [when for when, _ in times.values()]
    begin, end = (moments[0], moments[-1]) if moments else (None, None)
    return Verdict(document.pagination, meter, tuple(errors), tuple(notes), energy, begin, end)


def _form(document: Document) -> Iterator[str]:
    """Yield what is missing or not of the format."""
    yield from (f"payload: {name} is missing" for name in _NEEDED if name not in document.fields)
    if "MS" not in document.fields and "GS" not in document.fields:
        yield "payload: neither meter (MS) nor gateway (GS) has a serial number"
    if document.pagination and not _PAGINATION.fullmatch(document.pagination):
        yield f"pagination: {document.pagination!r} is neither T nor F and a number"
    for number, reading in enumerate(document.readings, 1):
        yield from (f"reading {number}: {name} is missing" for name in _NEEDED_IN_READING if name not in reading)
        if ("RI" in reading) != ("RU" in reading):
            yield f"reading {number}: register (RI) and unit (RU) come together"
    if not document.readings:
        yield "payload: there is no reading"


def _notes(document: Document) -> Iterator[str]:
    for number, reading in enumerate(document.readings, 1):
        if (state := reading.get("ST")) not in (None, MeterState.GOOD):
            words = state.name.lower().replace("_", " ") if (state := _member(MeterState, state)) else reading["ST"]
            yield f"reading {number}: state of the meter: {words}"
        if reading.get("TX") == Mark.POWER_FAILURE:
            yield f"reading {number}: the session ended with a power failure"
        if "t" in str(reading.get("EF", "")):
            yield f"reading {number}: the time is marked as unusable"
    letters = {str(reading.get("TM", ""))[-1:] for reading in document.readings} - {Clock.SYNCHRONISED}
    if letters:
        yield "time: the clock was not synchronised; the times inform, they bill nothing"
    if document.fields.get("IS") is False:
        yield "user: nobody is assigned"


def _member(kind: Any, value: Any) -> Any:
    return next((member for member in kind if member == value), None)


def _times(document: Document) -> dict[int, tuple[datetime, str]]:
    """Return the times that can be read, by number of the reading."""
    found = {}
    for number, reading in enumerate(document.readings, 1):
        try:
            when, clock = parse_time(str(reading.get("TM", "")))
        except ValueError:
            continue
        found[number] = (when, clock.value)
    return found


def _order(times: dict[int, tuple[datetime, str]]) -> Iterator[str]:
    last: datetime | None = None
    for number, (when, _) in times.items():
        if last is not None and when < last:
            yield f"reading {number}: {when.isoformat()} is before the reading before it"
        last = when


def _energy(readings: Sequence[Any]) -> tuple[Decimal | None, list[str]]:
    """Return the energy from the begin to the end of the first register [Wh], None where the record has not both, and what is wrong with the readings."""
    problems, rows = list[str](), dict[str, list[tuple[str, Decimal | None]]]()
    values = list[Decimal | None]()
    for number, reading in enumerate(readings, 1):
        value, problem = _value(number, reading)
        values.append(value)
        problems += [problem] if problem else []
        rows.setdefault(str(reading.get("RI", "")), []).append((str(reading.get("TX", "")), value))
    problems += [*dict.fromkeys(words for row in rows.values() for words in _marks([mark for mark, _ in row]))]
    problems += _falling(readings, values)
    return _difference(next(iter(rows.values()), [])), problems


def _marks(marks: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the order of the reasons in the readings of one register."""
    if marks.count(Mark.BEGIN) > 1 or (Mark.BEGIN in marks and marks[0] != Mark.BEGIN):
        yield "readings: the begin (B) is not the first one, or there are several"
    unknown = [mark for mark in marks if mark and _member(Mark, mark) is None]
    if unknown:
        yield f"readings: {unknown[0]!r} is no reason (TX) of the format"
    pauses = [mark for mark in marks if mark in (Mark.SUSPENDED, Mark.CHARGING)]
    if any(a == b == Mark.SUSPENDED for a, b in pairwise(pauses)):
        yield "readings: suspended (S) comes twice without charging (C) in between"
    ends = [number for number, mark in enumerate(marks) if mark in ENDS]
    if ends and ends != [len(marks) - 1]:
        yield "readings: the end (E, L, R, A, P) is not the last one, or there are several"


def _difference(row: Sequence[tuple[str, Decimal | None]]) -> Decimal | None:
    """Return what a register counted from its begin to its end [Wh], None where it has not both."""
    if len(row) < 2 or row[0][0] != Mark.BEGIN or row[-1][0] not in ENDS or row[0][1] is None or row[-1][1] is None:
        return None
    return row[-1][1] - row[0][1]


def _value(number: int, reading: Any) -> tuple[Decimal | None, str]:
    if "RV" not in reading:
        return None, ""
    value, unit = reading["RV"], str(reading.get("RU", ""))
    if not isinstance(value, Decimal) or not value.is_finite():
        return None, f"reading {number}: register (RV) {value!r} is no number"
    if unit not in _UNITS:
        return None, f"reading {number}: unit {unit!r} is neither kWh nor Wh"
    if "E" in str(reading.get("EF", "")):
        return value * _UNITS[unit], f"reading {number}: the energy is marked as unusable"
    return value * _UNITS[unit], ""


def _falling(readings: Sequence[Any], values: Sequence[Decimal | None]) -> list[str]:
    """Return where a register fell; each register counts for itself."""
    last: dict[str, Decimal] = {}
    problems = []
    for number, (reading, value) in enumerate(zip(readings, values, strict=True), 1):
        register = str(reading.get("RI", ""))
        if value is not None:
            if value < last.get(register, value):
                problems.append(f"reading {number}: the register fell from {last[register]} to {value} Wh")
            last[register] = value
    return problems


def check_row(texts: Sequence[str]) -> list[str]:
    """Return what is wrong with records in the order in which a meter made them: its pagination has no gaps, each counter for itself, and one serial number."""
    problems, last, serials = [], dict[str, int](), set[str]()
    for position, text in enumerate(texts, 1):
        try:
            document = parse(text)
        except ValueError:
            continue
        serials.add(str(document.fields.get("MS", "")))
        if not _PAGINATION.fullmatch(document.pagination):
            continue
        kind, number = document.pagination[0], int(document.pagination[1:])
        if kind in last and number != last[kind] + 1:
            what = "is missing" if number > last[kind] + 1 else "comes again, or out of order"
            problems.append(f"record {position}: after {kind}{last[kind]} comes {document.pagination}: {kind}{last[kind] + 1} {what}")
        last[kind] = number
    if len(serials) > 1:
        problems.append(f"records of several meters: {', '.join(sorted(serials))}")
    return problems
