"""Tariffs in the book of a meter: readings on disk, signed records, the price so far, restarts, and what the CSMS changes."""

import json
import random
import sqlite3
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from math import nan
from pathlib import Path

import pytest
from test_meter_book import FILE, WITHOUT_READINGS

from evse_core.energy_meter import MeterConfig
from evse_core.ocmf import Mark, parse
from evse_core.ocmf_check import check, check_row
from evse_core.ocmf_signature import public_key
from evse_core.pricing import price
from evse_core.session_readings import SessionReading, tariff_of
from evse_core.signed_readings import signed_readings
from evse_core.tariff import Tariff, windows_text
from evse_core.types import ChargeRecord, ChargeState, PowerReport, RecordStatus, SessionPrice, SessionState, StopCause
from evse_nodes import sqlite_file
from evse_nodes.ledger import VERSION
from evse_nodes.meter_book import MeterBook
from evse_tools.records_source import sources

# 2026-11-20 21:50 UTC; the night begins ten minutes later.
EVENING = datetime(2026, 11, 20, 21, 50, tzinfo=UTC).timestamp()
NIGHT = Tariff(
    price_per_kwh="0.50", price_per_minute="0.05", idle_price_per_minute="0.20", idle_grace=2, tax_percent="19", name="day and night",
    windows=windows_text([{"begin": "22:00", "end": "06:00", "price_per_kwh": "0.30"}]),
)  # fmt: skip


@dataclass
class Charger:
    """A book in a folder with 36 kW at 2 Hz, 10 Wh a second, and a session_state and a tick as often."""

    folder: Path
    tariff: Tariff = NIGHT
    now: float = 1000.0
    counter: float = 0.0
    session_id: str = ""
    state: ChargeState = ChargeState.CHARGING
    told: list[ChargeRecord] = field(default_factory=list)
    # Prices so far, where somebody wants them.
    prices: list[SessionPrice] | None = None

    def open(self) -> MeterBook:
        self.book = MeterBook(MeterConfig(station_name="depot"), self.tariff, 1, self.folder, self.told.append)
        self.book.recover(self.now)
        return self.book

    @property
    def stamp(self) -> float:
        return EVENING + self.now - 1000.0

    def begin(self, session_id: str) -> None:
        self.session_id = session_id
        self.pass_time(1.0, 0.0)

    def pass_time(self, seconds: float, current: float) -> None:
        for _ in range(round(2 * seconds)):
            self.now += 0.5
            self.counter += max(current, 0.0) * 400.0 / 7200.0
            report = PowerReport(complete=True, age=0.0, voltage=400.0, current=current, energy_wh=self.counter, export_energy_wh=nan)
            self.book.on_power(report, self.now, self.stamp)
            state = SessionState(
                session_id=self.session_id, session_active=True, transaction_active=bool(self.session_id), state=self.state
            )
            self.book.on_session(state, self.now, self.stamp)
            self.book.tick(self.now, self.stamp)
            if self.prices is not None and (found := self.book.session_price()) is not None and not found.final:
                self.prices.append(found)

    def end(self) -> ChargeRecord:
        self.now += 0.1
        over = SessionState(session_id=self.session_id, stop_cause=StopCause.VEHICLE)
        self.book.on_session(over, self.now, self.stamp)
        self.session_id = ""
        return self.told[-1]

    def readings(self, record: ChargeRecord) -> tuple[SessionReading, ...]:
        return self.book._ledger.readings(record)

    def receipt(self, session_id: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / "receipts" / f"{session_id}.json").read_text())
        return found


@pytest.fixture
def charger(tmp_path: Path) -> Charger:
    return Charger(tmp_path)


def marks(readings: tuple[SessionReading, ...]) -> str:
    return "".join(reading.mark.value for reading in readings)


@dataclass
class Night:
    """A session over the begin of the night, with a pause of five minutes before it. Nothing of it may be changed: tests share it."""

    charger: Charger
    record: ChargeRecord
    prices: list[SessionPrice]


@pytest.fixture(scope="module")
def whole_night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    prices: list[SessionPrice] = []
    charger = Charger(tmp_path_factory.mktemp("night"), prices=prices)
    charger.open()
    charger.begin("a")
    charger.pass_time(120.0, 90.0)
    charger.pass_time(300.0, 0.0)
    charger.pass_time(400.0, 90.0)
    return Night(charger, charger.end(), prices)


def test_a_night_price_holds_from_a_reading_of_its_own_on(whole_night: Night) -> None:
    charger, record = whole_night.charger, whole_night.record
    readings = charger.readings(record)
    assert marks(readings) == "BSCTE"
    change = readings[3]
    assert datetime.fromtimestamp(change.stamp, UTC) == datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
    found = {(line.what.value, line.unit_price): line.quantity for line in price(NIGHT, readings).lines}
    day, night = found["energy", "0.50"], found["energy", "0.30"]
    assert day + night == round(record.end_register_wh)
    assert night == pytest.approx(2200, abs=20)
    assert found["charging time", "0.05"] == pytest.approx(520, abs=2)
    assert found["idle time", "0.20"] == pytest.approx(300 - 120, abs=2)


def test_price_so_far_final_price_record_receipt_and_readings_agree_to_the_cent(whole_night: Night) -> None:
    charger, record = whole_night.charger, whole_night.record
    final = charger.book.session_price()
    assert final is not None
    assert (final.final, final.session_id, final.total) == (True, "a", record.cost)
    assert final.total == price(tariff_of(record), charger.readings(record)).total
    receipt = charger.receipt("a")
    assert (receipt["total_minor_units"], receipt["tax"], receipt["net"]) == (
        final.total,
        f"{final.tax / 100:.2f}",
        f"{final.net / 100:.2f}",
    )
    assert [(line["what"], line["minor_units"]) for line in receipt["lines"]] == [(line.what, line.amount) for line in final.lines]  # type: ignore[attr-defined]
    totals = [found.total for found in whole_night.prices]
    assert totals == sorted(totals)
    assert record.cost - totals[-1] <= 1
    assert whole_night.prices[-1].lines[0].quantity.endswith(" kWh")


def test_a_change_of_prices_makes_a_signed_record_and_the_last_one_has_all_readings(whole_night: Night) -> None:
    charger, record = whole_night.charger, whole_night.record
    (source,) = sources(charger.folder)
    key = public_key(source.records[0].public_key)
    found = [parse(item.text) for item in source.records]
    assert ["".join(row["TX"] for row in document.readings) for document in found] == ["B", "BSCT", "BSCTE"]
    assert all(check(item.text, key).holds and not item.chain_problem for item in source.records)
    assert check_row([item.text for item in source.records]) == []
    assert check(source.records[-1].text).energy_wh == round(record.end_register_wh)
    assert found[0].fields["TT"].startswith("day and night: 0.50 EUR/kWh, 0.05 EUR/min")
    assert found[1].fields["TT"].startswith("day and night: 0.30 EUR/kWh")


def test_begin_change_of_prices_and_end_have_a_record_each_and_a_pause_is_in_the_next_one(whole_night: Night) -> None:
    found = whole_night.charger.book.signed_readings(whole_night.record)
    assert "".join(item.reading.mark.value for item in found) == "BSCTE"
    assert [item.proof.page if item.proof else "" for item in found] == ["T1", "", "", "T2", "T3"]
    for item in found:
        if item.proof:
            last = parse(item.proof.text).readings[-1]
            assert (last["TX"], round(last["RV"] * 1000)) == (item.reading.mark.value, round(item.reading.register_wh))


def test_a_record_that_fits_no_reading_is_named(whole_night: Night) -> None:
    ledger = whole_night.charger.book._ledger
    readings, proofs = ledger.readings(whole_night.record), ledger.proofs("a")
    with pytest.raises(ValueError, match="record T2: ends with no reading"):
        signed_readings(readings[:3], proofs)
    with pytest.raises(ValueError, match="record T1: ends with no reading"):
        signed_readings(readings, (proofs[1], proofs[0]))
    with pytest.raises(ValueError, match="record T1: is no record"):
        signed_readings(readings, (replace(proofs[0], text="OCMF|"),))
    assert [item.proof for item in signed_readings(readings, ())] == [None] * 5


def test_phases_of_the_receipt_say_when_which_prices_held(whole_night: Night) -> None:
    charger, record = whole_night.charger, whole_night.record
    phases = charger.receipt("a")["phases"]
    assert [(phase["end"][11:16], phase["price_per_kwh"]) for phase in phases] == [("22:00", "0.50"), ("22:03", "0.30")]  # type: ignore[attr-defined]
    assert sum(float(phase["energy_kwh"]) for phase in phases) == pytest.approx(round(record.end_register_wh) / 1000)  # type: ignore[attr-defined]


def test_readings_are_neither_changed_nor_deleted(whole_night: Night) -> None:
    database = sqlite3.connect(whole_night.charger.folder / FILE)
    for sql in ("UPDATE readings SET register_wh = 0", "DELETE FROM readings"):
        with pytest.raises(sqlite3.IntegrityError, match="readings are never"):
            database.execute(sql)
    database.close()


# Tariffs from the CSMS


CHEAPER = '{"price_per_kwh":"0.20","tax_percent":"19","name":"late"}'


def test_a_tariff_from_the_csms_holds_from_a_reading_on(charger: Charger, caplog: pytest.LogCaptureFixture) -> None:
    charger.open()
    charger.begin("a")
    charger.pass_time(100.0, 90.0)
    assert charger.book.change_tariff(CHEAPER, "CSMS", charger.stamp) == (True, "it holds")
    assert "tariff changed by CSMS" in caplog.text
    charger.pass_time(100.0, 90.0)
    record = charger.end()
    readings = charger.readings(record)
    assert marks(readings) == "BTE"
    assert Tariff.parse(readings[1].tariff).name == "late"
    lines = {line.unit_price: line.quantity for line in price(tariff_of(record), readings).lines}
    assert lines["0.50"] == pytest.approx(1000, abs=10)
    assert lines["0.20"] == pytest.approx(1000, abs=10)
    charger.begin("b")
    assert charger.told[-1].price_per_kwh == "0.20"


def test_another_currency_or_tax_waits_for_the_next_session(charger: Charger) -> None:
    charger.open()
    charger.begin("a")
    charger.pass_time(100.0, 90.0)
    good, words = charger.book.change_tariff('{"price_per_kwh":"5","currency":"SEK"}', "CSMS", charger.stamp)
    assert good
    assert "next session" in words
    charger.pass_time(100.0, 90.0)
    record = charger.end()
    assert marks(charger.readings(record)) == "BE"
    assert record.currency == "EUR"
    charger.begin("b")
    assert charger.told[-1].currency == "SEK"


def test_what_is_no_tariff_changes_nothing(charger: Charger) -> None:
    charger.open()
    assert charger.book.change_tariff('{"price_per_kwh":"-1"}', "CSMS", charger.stamp)[0] is False
    assert charger.book.tariff == NIGHT
    assert charger.book._ledger.kept_tariff() is None


def test_a_tariff_that_cannot_be_stored_does_not_hold(charger: Charger, monkeypatch: pytest.MonkeyPatch) -> None:
    charger.open()

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(charger.book._ledger, "keep_tariff", broken)
    assert charger.book.change_tariff(CHEAPER, "CSMS", charger.stamp) == (False, "disk full")
    assert charger.book.tariff == NIGHT


def test_the_csms_tariff_holds_over_restarts_until_the_description_has_another_one(charger: Charger) -> None:
    charger.open()
    charger.book.change_tariff(CHEAPER, "CSMS", charger.stamp)
    charger.book.close()
    assert charger.open().tariff.name == "late"
    charger.book.change_tariff('{"price_per_kwh":"0.19","name":"later"}', "CSMS", charger.stamp)
    charger.book.close()
    assert charger.open().tariff.name == "later"
    charger.book.close()
    charger.tariff = Tariff(price_per_kwh="0.99")
    assert charger.open().tariff == charger.tariff
    charger.book.close()


def test_a_kept_tariff_that_is_none_does_not_stop_the_meter(charger: Charger, caplog: pytest.LogCaptureFixture) -> None:
    charger.open()
    charger.book.change_tariff(CHEAPER, "CSMS", charger.stamp)
    charger.book.close()
    database = sqlite3.connect(charger.folder / FILE)
    database.execute("UPDATE tariff SET new = '{'")
    database.commit()
    database.close()
    assert charger.open().tariff == NIGHT
    assert "cannot be used" in caplog.text


# Restarts


def test_a_session_that_goes_on_after_a_restart_keeps_its_tariff_times_and_readings(charger: Charger) -> None:
    charger.open()
    charger.begin("a")
    charger.pass_time(100.0, 90.0)
    charger.book.change_tariff(CHEAPER, "CSMS", charger.stamp)
    charger.pass_time(100.0, 90.0)
    charger.book.close()
    charger.open()
    charger.pass_time(100.0, 90.0)
    record = charger.end()
    assert marks(charger.readings(record)) == "BTXE"
    assert record.charging_time == pytest.approx(300.0, abs=2.0)
    assert price(tariff_of(record), charger.readings(record)).lines[1].quantity == pytest.approx(2000, abs=20)


def test_time_that_nobody_saw_is_free(charger: Charger) -> None:
    charger.open()
    charger.begin("a")
    charger.pass_time(10.0, 90.0)
    charger.pass_time(60.0, 0.0)
    charger.book.close()
    charger.now += 7.0
    charger.open()
    charger.pass_time(60.0, 0.0)
    record = charger.end()
    assert 120.0 - 6.0 <= record.idle_time <= 120.0


def test_an_open_record_of_version_4_is_gone_on_with_at_its_own_price(charger: Charger) -> None:
    charger.open()
    charger.begin("a")
    charger.pass_time(100.0, 90.0)
    charger.book.close()
    database = sqlite3.connect(charger.folder / FILE)
    database.executescript(WITHOUT_READINGS + "PRAGMA user_version = 4;")
    database.close()
    charger.open()
    assert sqlite_file.number(charger.book._ledger._db, "user_version") == VERSION
    charger.pass_time(300.0, 90.0)
    record = charger.end()
    assert marks(charger.readings(record)) == "BXE"
    assert record.cost == round(round(record.end_register_wh) * 0.05)
    assert charger.receipt("a")["total_minor_units"] == record.cost
    assert check_row([item.text for item in sources(charger.folder)[0].records]) == []


def test_ended_records_of_version_4_stay_as_they_are(charger: Charger) -> None:
    charger.tariff = Tariff(price_per_kwh="0.50")
    charger.open()
    charger.begin("a")
    charger.pass_time(100.0, 90.0)
    record = charger.end()
    charger.book.close()
    database = sqlite3.connect(charger.folder / FILE)
    database.executescript(WITHOUT_READINGS + "PRAGMA user_version = 4;")
    database.close()
    (charger.folder / "receipts" / "a.json").unlink()
    charger.open()
    (found,) = charger.book._ledger.last()
    assert (found.cost, found.end_register_wh, found.tariff) == (record.cost, record.end_register_wh, "")
    assert marks(charger.readings(found)) == "BE"
    assert charger.receipt("a")["total_minor_units"] == record.cost


def test_ends_of_the_process_at_random_points_lose_no_reading_and_price_every_session_once(charger: Charger) -> None:
    """A hundred ends in and between sessions with pauses, nights and changes of the tariff: all that was stored is on record, in order, and priced."""
    dice = random.Random(11)
    charger.open()
    kept: dict[str, int] = {}
    for number in range(100):
        if not charger.session_id and dice.random() < 0.8:
            charger.begin(f"s-{number}")
        charger.pass_time(dice.choice((0.5, 2.0)), 90.0)
        charger.now += dice.choice((0.0, 15.0, 70.0))
        charger.pass_time(1.0, dice.choice((0.0, 90.0)))
        if dice.random() < 0.3:
            charger.book.change_tariff(json.dumps({"price_per_kwh": f"0.{number + 1:03}", "tax_percent": "19"}), "CSMS", charger.stamp)
        if charger.session_id and dice.random() < 0.3:
            charger.end()
        if charger.book.open is not None:
            kept[charger.session_id] = len(charger.readings(charger.book.open))
        charger.book.close()
        if dice.random() < 0.2:
            charger.session_id = ""
        charger.open()
        charger.pass_time(0.5, 0.0)
        charger.now += 4.0
        charger.pass_time(0.5, 0.0)
    if charger.session_id:
        charger.end()
    ledger = charger.book._ledger
    records = ledger.last(1000)
    assert ledger.open_records() == []
    assert len(records) > 20
    seen = set[Mark]()
    for record in records:
        readings = charger.readings(record)
        assert [reading.number for reading in readings] == list(range(len(readings)))
        assert len(readings) > kept.get(record.session_id, 0)
        assert all(a.stamp <= b.stamp and a.register_wh <= b.register_wh for a, b in pairwise(readings))
        assert record.cost == price(tariff_of(record), readings).total
        assert charger.receipt(record.session_id)["total_minor_units"] == record.cost
        seen |= {reading.mark for reading in readings}
    assert {Mark.BEGIN, Mark.TARIFF_CHANGE, Mark.ERROR, Mark.SUSPENDED, Mark.POWER_FAILURE, Mark.END} <= seen
    (source,) = sources(charger.folder)
    key = public_key(source.records[0].public_key)
    assert check_row([item.text for item in source.records]) == []
    assert all(check(item.text, key).holds and not item.chain_problem for item in source.records)
    ends = [item.session_id for item in source.records if check(item.text).energy_wh is not None]
    assert sorted(ends) == sorted(record.session_id for record in records)
    assert {RecordStatus.CLOSED, RecordStatus.INTERRUPTED} == {record.status for record in records}
