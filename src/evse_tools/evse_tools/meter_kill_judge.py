"""What must hold of a meter's folder whatever killed the meter: each session billed once, with one begin and one end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from evse_core.audit import problems
from evse_core.ocmf import ENDS, parse
from evse_core.ocmf_check import check, check_row
from evse_core.ocmf_signature import public_key
from evse_core.types import ChargeRecord, RecordStatus
from evse_nodes import read_only
from evse_nodes.audit_trail import FILE, read
from evse_tools.audit_command import record_problems
from evse_tools.meter_kill_child import EVSE
from evse_tools.records_source import Source, sources

LEDGER = f"energy_meter_{EVSE}.sqlite"
# Difference of two sums of the same terms in another order. [Wh]
ROUNDING = 1e-6


@dataclass(slots=True)
class Told:
    """What the meter has ever said: each record by session and status, and its highest register [Wh]. `twice` names what it told in two ways."""

    records: dict[tuple[str, RecordStatus], ChargeRecord] = field(default_factory=dict)
    register_wh: float = 0.0
    twice: list[str] = field(default_factory=list)

    def add(self, record: ChargeRecord) -> None:
        """Take a record."""
        before = self.records.setdefault((record.session_id, record.status), record)
        if _money(before) != _money(record):
            self.twice.append(f"{record.session_id}: told as {_money(before)} and as {_money(record)}")

    def status(self, session_id: str) -> RecordStatus | None:
        """Return what was said last of a session."""
        known = [status for status in RecordStatus if (session_id, status) in self.records]
        return max(known) if known else None


def _money(record: ChargeRecord) -> tuple[object, ...]:
    """Return what a bill depends on."""
    end = record.end_register_wh if record.status is not RecordStatus.OPEN else None
    return (record.record_number, record.begin_register_wh, end, record.cost)


def judge(folder: Path, told: Told, true_wh: Mapping[str, float] | None = None) -> Iterator[str]:
    """Yield what does not hold; true_wh is the energy that each session was given, where it must be billed whole."""
    yield from told.twice
    (source,) = sources(folder)
    stored = records(folder)
    yield from _signed(source)
    yield from _one_begin_and_one_end(source, stored)
    yield from _kept(stored, told)
    yield from _billed(stored, true_wh)
    yield from (f"no receipt of {name}" for name in stored if not (folder / "receipts" / f"{name}.json").exists())
    rows = read(folder / FILE)
    yield from (f"audit trail: {words}" for words in (*problems(rows), *record_problems(folder, rows)))


def records(folder: Path) -> dict[str, ChargeRecord]:
    """Return the billing records of a folder by session, oldest first."""
    names = list(ChargeRecord.__dataclass_fields__)
    with closing(read_only.connect(folder / LEDGER)) as database:
        known = {row[1] for row in database.execute("PRAGMA table_info(records)")}
        columns = [name for name in names if name in known]
        rows = database.execute(f"SELECT {', '.join(columns)} FROM records ORDER BY record_number").fetchall()
    found = [ChargeRecord(**{**dict(zip(columns, row, strict=True))}) for row in rows]
    return {record.session_id: record for record in found}


def _signed(source: Source) -> Iterator[str]:
    key = public_key(source.records[0].public_key) if source.records else None
    for record in source.records:
        for words in (*check(record.text, key).errors, *filter(None, [record.chain_problem])):
            yield f"record T{record.page}: {words}"
    yield from check_row([record.text for record in source.records])


def _one_begin_and_one_end(source: Source, stored: Mapping[str, ChargeRecord]) -> Iterator[str]:
    begins, ends = Counter[str](), Counter[str]()
    for record in source.records:
        marks = [reading["TX"] for reading in parse(record.text).readings]
        begins[record.session_id] += set(marks) == {"B"}
        ends[record.session_id] += marks[-1] in ENDS
    for name in {*stored, *begins}:
        if (begins[name], ends[name]) != (1, 1):
            yield f"{name}: {begins[name]} signed begins and {ends[name]} signed ends"


def _kept(stored: Mapping[str, ChargeRecord], told: Told) -> Iterator[str]:
    for (name, status), record in told.records.items():
        found = stored.get(name)
        if found is None:
            yield f"{name}: was told and is lost"
        elif status is RecordStatus.OPEN:
            if (found.record_number, found.begin_register_wh) != (record.record_number, record.begin_register_wh):
                yield f"{name}: begins otherwise than it was told"
        elif _money(found) != _money(record):
            yield f"{name}: ends otherwise than it was told"


def _billed(stored: Mapping[str, ChargeRecord], true_wh: Mapping[str, float] | None) -> Iterator[str]:
    numbers = [record.record_number for record in stored.values()]
    if numbers != [*range(1, len(numbers) + 1)]:
        yield f"numbers of records have gaps: {numbers}"
    for earlier, later in pairwise(stored.values()):
        if later.begin_register_wh < earlier.end_register_wh - ROUNDING:
            yield f"{later.session_id}: begins before the end of {earlier.session_id}: energy billed twice"
    for name, energy in (true_wh or {}).items():
        billed = stored[name].end_register_wh - stored[name].begin_register_wh if name in stored else 0.0
        if abs(billed - energy) > ROUNDING * max(1.0, stored[name].end_register_wh if name in stored else 1.0):
            yield f"{name}: {billed:.6f} Wh billed, {energy:.6f} Wh given"
