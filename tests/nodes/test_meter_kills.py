"""kill -9 of the meter at random points: the register never decreases, no record is lost, nothing is billed twice."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from evse_core.energy_meter import MeterConfig
from evse_core.pricing import price
from evse_core.session_readings import tariff_of
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, PowerReport, RecordStatus, SessionState
from evse_nodes.meter_book import MeterBook
from evse_tools.meter_kill_judge import judge
from evse_tools.meter_kill_run import play

CONFIG, TARIFF = MeterConfig(), Tariff("EUR", "0.50")

# 36 kW at 500 readings per second and a session every 40 ms: whatever is printed has been told before. 1 ms is 0.01 Wh.
CHILD = """
import itertools, sys, time
from pathlib import Path
from evse_core.energy_meter import MeterConfig
from evse_core.tariff import Tariff
from evse_core.types import PowerReport, SessionState
from evse_nodes import meter_book
import evse_core.energy_meter as rule
rule.SAME_FRAME = 0.001
import evse_core.session_readings as readings_rule
readings_rule.READING_SPACING = 0.01
def tell(record):
    print("record", record.session_id, int(record.status), record.record_number, record.begin_register_wh, record.end_register_wh, flush=True)
book = meter_book.MeterBook(MeterConfig(sync_period=0.1), Tariff("EUR", "0.50"), 1, Path(sys.argv[1]), tell)
book.recover(time.monotonic())
whole = len(sys.argv) > 3
print("start", book.register_wh, time.monotonic(), flush=True)
for count in itertools.count():
    now = time.monotonic()
    counter = 10.0 * (now - float(sys.argv[3])) if whole else float("nan")
    book.on_power(PowerReport(complete=True, age=0.0, voltage=400.0, current=90.0, energy_wh=counter), now, time.time())
    print("register", book.register_wh, now, flush=True)
    number, phase = divmod(count, 20)
    session = SessionState(session_id="whole", transaction_active=True)
    if not whole:
        session = SessionState(session_id=f"{sys.argv[2]}-{number}", transaction_active=phase < 15)
    book.on_session(session, now, time.time())
    if count % 5 == 0:
        book.change_tariff('{"price_per_kwh":"0.%03d"}' % (count % 900 + 1), "test", time.time())
    book.tick(now, time.time())
    if book.open is not None:
        print("readings", book.open.session_id, len(book._ledger.readings(book.open)), flush=True)
    time.sleep(0.002)
"""
KILLS = 15


def killed_run(folder: Path, run: int, lifetime: float, *counted_since: str) -> list[list[str]]:
    """Run a meter, kill it some time [s] after its first words, return what it said, whole lines only."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(run), *counted_since], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    time.sleep(lifetime)
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.read()
    process.wait()
    return [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]


def test_kills_at_random_points_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    register, told, random_time, readings = 0.0, {}, random.Random(2), dict[str, int]()
    for run in range(KILLS):
        lines = killed_run(tmp_path, run, random_time.uniform(0.0, 0.25))
        registers = [(float(line[1]), float(line[2])) for line in lines if line[0] in ("start", "register")]
        if registers:
            assert registers[0][0] >= register, "the register went back over a kill"
            for (before, earlier), (after, later) in pairwise(registers):
                assert 0.0 <= after - before <= (later - earlier) * 10.0 + 1e-6, "more was counted than flowed"
            register = registers[-1][0]
        for _, session_id, status, number, begin, end in (line for line in lines if line[0] == "record"):
            told.setdefault((session_id, status), (int(number), float(begin), float(end)))
            assert told[session_id, status] == (int(number), float(begin), float(end)), "a record was told differently"
        readings |= {line[1]: int(line[2]) for line in lines if line[0] == "readings"}
        check(tmp_path, told, register, readings)
    assert max(readings.values()) > 2, "no session had a reading between its begin and its end"


def check(folder: Path, told: dict[tuple[str, str], tuple[int, float, float]], register: float, readings: dict[str, int]) -> None:
    """Open the book as the next start would and compare it with all that was ever told."""
    records: list[ChargeRecord] = []
    book = MeterBook(CONFIG, TARIFF, 1, folder, records.append)
    book.recover(time.monotonic())
    book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0), time.monotonic(), time.time())
    book.on_session(SessionState(), time.monotonic(), time.time())
    found = {record.session_id: record for record in book._ledger.last(10_000)}
    assert book.register_wh >= register
    assert book._ledger.open_records() == []
    for record in found.values():
        rows = book._ledger.readings(record)
        assert [row.number for row in rows] == list(range(len(rows)))
        assert len(rows) > readings.get(record.session_id, 1), "a reading was lost"
        assert record.cost == price(tariff_of(record), rows).total
    book.close()
    numbers = [record.record_number for record in found.values()]
    assert numbers == list(range(1, len(numbers) + 1)), "record numbers have gaps"
    last = 0.0
    for record in found.values():
        assert last <= record.begin_register_wh <= record.end_register_wh <= book._ledger.register_wh, "energy was billed twice"
        last = record.end_register_wh
        assert (folder / "receipts" / f"{record.session_id}.json").exists()
    for (session_id, status), (number, begin, end) in told.items():
        assert (found[session_id].record_number, found[session_id].begin_register_wh) == (number, begin), "a record was lost"
        if int(status) != RecordStatus.OPEN:
            assert (found[session_id].status, found[session_id].end_register_wh) == (int(status), end), "an ended record changed"


def test_kills_in_one_session_cost_none_of_its_energy(tmp_path: Path) -> None:
    """The counter of can_bridge goes on while the meter is dead; each start takes up where the last one was killed."""
    random_time, since = random.Random(3), time.monotonic()
    last, told = (0.0, 0.0), set()
    for run in range(6):
        lines = killed_run(tmp_path, run, random_time.uniform(0.05, 0.25), str(since))
        last = max([last, *((float(line[2]), float(line[1])) for line in lines if line[0] == "register")])
        told |= {(line[1], line[2]) for line in lines if line[0] == "record"}
    assert told == {("whole", str(int(RecordStatus.OPEN)))}
    records: list[ChargeRecord] = []
    book = MeterBook(CONFIG, TARIFF, 1, tmp_path, records.append)
    book.recover(time.monotonic())
    book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0), time.monotonic(), time.time())
    book.on_session(SessionState(session_id="whole"), time.monotonic(), time.time())
    begin, end = records[-1].begin_register_wh, records[-1].end_register_wh
    moment, register = last
    assert records[-1].status is RecordStatus.CLOSED
    assert end >= register > 10.0
    # All the time since the counter began, but the moment from its begin to the first reading.
    first = records[0].begin - time.time() + time.monotonic()
    assert register - begin == pytest.approx(10.0 * (moment - first), abs=0.5)


def test_the_kill_test_sees_sessions_of_all_kinds(tmp_path: Path) -> None:
    """Without this the test above could pass on silence."""
    lines = killed_run(tmp_path, 0, 0.6)
    statuses = {int(line[2]) for line in lines if line[0] == "record"}
    assert {RecordStatus.OPEN, RecordStatus.CLOSED} <= statuses
    assert sum(line[0] == "register" for line in lines) > 30


def test_sessions_around_forty_kills_are_billed_once_and_to_the_last_watt_hour(tmp_path: Path) -> None:
    """The short form of `station bench meter-kills`: begin, ramp, end and restart, wherever the kill comes."""
    outcome = play(tmp_path, 40, seed=5)
    assert outcome.kills >= 30, "too few kills hit a living meter for this test to mean anything"
    assert sum(outcome.given_wh.values()) > 10.0
    assert {RecordStatus.OPEN, RecordStatus.CLOSED} <= {status for _, status in outcome.told.records}
    assert list(judge(tmp_path, outcome.told, outcome.given_wh)) == []
