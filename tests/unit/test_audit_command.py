"""`station audit`: what it shows, what it finds in a trail that somebody has touched, what it says to wrong input."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evse_core.energy_meter import MeterConfig
from evse_core.tariff import Tariff
from evse_core.types import SessionState
from evse_nodes.audit_trail import FILE
from evse_nodes.meter_book import MeterBook
from evse_nodes.metrology_sources import metrology_checksum
from evse_tools import doctor
from evse_tools.audit_command import moment
from evse_tools.commands import app


def station(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["audit", *words])
    return result.exit_code, result.output


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A station whose price changes between two sessions."""
    for number, price in enumerate(("0.49", "0.59")):
        book = MeterBook(MeterConfig(), Tariff("EUR", price), 1, tmp_path, lambda _: None)
        book.on_session(SessionState(session_id=f"s{number}", transaction_active=True), 1.0, 1.8e9)
        book.on_session(SessionState(session_id=f"s{number}"), 2.0, 1.8e9 + 1.0)
        book.close()
    return tmp_path


def touch(data: Path, statement: str) -> None:
    with sqlite3.connect(data / FILE) as database:
        database.executescript(f"DROP TRIGGER entries_stay; DROP TRIGGER entries_last; {statement}")


def test_changes_are_shown_newest_last_with_both_counters_and_the_checksum(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    code, output = station(str(data), "--parameter", "tariff.price_per_kwh")
    first, second = (line.split() for line in output.splitlines()[1:3])
    assert code == 0
    assert first[5:8] == ["1", "tariff.price_per_kwh", "0.49"]
    assert second[5:9] == ["1", "tariff.price_per_kwh", "0.49", "0.59"]
    assert [row[1] for row in (first, second)] == [f"{int(row[0]) % 1000:03d}" for row in (first, second)]
    assert metrology_checksum() in output
    assert "entries, whole" in output


def test_a_trail_is_whole_and_says_so_for_machines(data: Path) -> None:
    code, output = station(str(data / FILE), "--json", "-")
    said = json.loads(output)
    assert (code, said["whole"], said["problems"]) == (0, True, [])
    assert [entry["counter"] for entry in said["shown"]] == list(range(1, said["entries"] + 1))


def test_csv_has_every_entry_with_all_of_its_text(data: Path) -> None:
    code, output = station(str(data), "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(output)))
    assert code == 0
    assert {row["parameter"]: row["new"] for row in rows}["software.metrology"] == metrology_checksum()
    assert station(str(data), "--csv", str(data / "out.csv"))[0] == 0
    assert list(csv.DictReader((data / "out.csv").open(newline=""))) == rows


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE entries SET entry = replace(entry, '0.59', '0.50')", "does not follow the one before it"),
        ("DELETE FROM entries WHERE counter = 3", "entry 4: entry 3 is missing before it"),
        ("DELETE FROM entries WHERE counter > (SELECT max(counter) - 2 FROM entries)", "energy_meter_1.sqlite: record T3 names entry"),
        ("DELETE FROM entries", "which is not there any more"),
    ],
)
def test_what_was_done_to_a_trail_is_said_in_words(data: Path, statement: str, words: str) -> None:
    assert station(str(data), "--verify")[0] == 0
    touch(data, statement)
    code, output = station(str(data), "--verify")
    assert code == 1
    assert words in output
    assert "not whole" in output


def test_a_trail_that_was_made_anew_does_not_fit_the_records(data: Path) -> None:
    for path in data.glob(f"{FILE}*"):
        path.unlink()
    for price in ("0.11", "0.22", "0.33"):
        MeterBook(MeterConfig(), Tariff("EUR", price), 1, data, lambda _: None).close()
    code, output = station(str(data), "--verify")
    assert code == 1
    assert "made anew" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere: there is no audit trail"),
        ((), "whose audit trail?"),
        (("{data}", "--since", "yesterday"), "--since yesterday: is neither a time"),
        (("{data}", "--csv", "/nowhere/x.csv"), "--csv /nowhere/x.csv"),
        (("{data}/energy_meter_1.sqlite",), "is no audit trail of a station"),
    ],
)
def test_wrong_input_is_named(data: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str) -> None:
    monkeypatch.chdir(data)
    code, output = station(*(word.format(data=data) for word in words))
    assert code == 2
    assert said in output


@pytest.mark.parametrize(
    ("spoil", "level", "words"),
    [
        (lambda data: None, "ok", "entries, whole"),
        (lambda data: touch(data, "DELETE FROM entries WHERE counter = 3"), "warning", "not whole: entry 4: entry 3 is missing"),
        (lambda data: (data / FILE).write_bytes(b"rubbish" * 100), "failure", "is no audit trail"),
    ],
)
def test_doctor_says_how_the_trail_of_a_description_is(data: Path, spoil: Callable[[Path], object], level: str, words: str) -> None:
    spoil(data)
    (finding,) = doctor._audit_trail(data)
    assert finding.level == level
    assert words in finding.text


def test_without_a_path_the_only_station_is_taken(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work" / "station_data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "work" / "station_data" / "one").symlink_to(data, target_is_directory=True)
    assert station("--verify")[0] == 0


def test_times_are_moments_or_ages() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert moment("2h", lambda: now) == now.timestamp() - 7200.0
    assert moment("2026-11-21T12:00") == moment("2026-11-21T13:00+01:00") == now.timestamp()


def test_entries_before_a_time_stay_out(data: Path) -> None:
    assert json.loads(station(str(data), "--since", "1h", "--json", "-")[1])["shown"]
    assert json.loads(station(str(data), "--since", "2999-01-01", "--json", "-")[1])["shown"] == []
