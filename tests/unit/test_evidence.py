"""Signed records of sessions: made with each record of the ledger, chained, never changed, and checked by `station records`."""

import json
import random
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from notary_bench import NOTARY
from test_meter_book import FILE, Bench
from typer.testing import CliRunner

from evse_core.evidence import GENESIS, link
from evse_core.ocmf import Mark, parse
from evse_core.ocmf_check import check, check_row
from evse_core.ocmf_signature import public_key
from evse_core.session_readings import complete, mark_of
from evse_core.types import ChargeRecord, RecordStatus, StopCause
from evse_nodes.meter_key import notary
from evse_tools import records_check
from evse_tools.commands import app
from evse_tools.records_source import sources


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def charged(bench: Bench, count: int = 3) -> Bench:
    """Charge some sessions, 100 Wh each but the first, which has one reading less between its two."""
    bench.open()
    for number in range(count):
        bench.session(f"s-{number}", True)
        bench.charge(10.0)
        bench.session(f"s-{number}", False, StopCause.LOCAL)
    bench.die()
    return bench


def stored(bench: Bench) -> list[str]:
    (source,) = sources(bench.folder)
    return [record.text for record in source.records]


def station(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["records", *words])
    return result.exit_code, result.output


def test_each_session_has_a_page_at_its_begin_and_one_at_its_end(bench: Bench) -> None:
    charged(bench)
    records = stored(bench)
    assert [parse(text).pagination for text in records] == [f"T{number}" for number in range(1, 7)]
    assert [[reading["TX"] for reading in parse(text).readings] for text in records] == [["B"], ["B", "L"]] * 3
    assert check_row(records) == []
    assert [check(text).energy_wh for text in records] == [None, 99, None, 100, None, 100]


def test_energy_of_a_record_is_what_was_billed_and_every_record_says_that_it_is_not_legal(bench: Bench) -> None:
    charged(bench)
    closed = [record for record in bench.told if record.status is RecordStatus.CLOSED]
    texts = [text for text in stored(bench) if check(text).energy_wh is not None]
    for record, text in zip(closed, texts, strict=True):
        assert check(text).energy_wh == round(record.end_register_wh) - round(record.begin_register_wh)
        assert "not legal" in parse(text).fields["XN"]
        assert parse(text).fields["ID"] == record.token


def test_the_begin_is_signed_before_it_is_told(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    told = [record for record in bench.told if record.status is RecordStatus.OPEN]
    assert len(told) == len(stored(bench)) == 1


def test_without_a_signature_there_is_no_begin_and_no_charging(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    book = bench.open()

    def broken(*_: object) -> str:
        raise sqlite3.OperationalError("no signature")

    monkeypatch.setattr(type(NOTARY), "made", broken)
    bench.session("a", True)
    assert bench.told == []
    assert book.open is None
    assert not book.stored
    monkeypatch.undo()
    bench.session("a", True)
    assert [record.status for record in bench.told] == [RecordStatus.OPEN]


def test_a_session_that_nobody_saw_end_ends_with_a_power_failure(bench: Bench) -> None:
    bench.open()
    bench.session("a", True)
    bench.charge(10.0)
    bench.die()
    book = bench.open()
    bench.now += 60.0
    book.stop_waiting(bench.now)
    assert [reading["TX"] for reading in parse(stored(bench)[-1]).readings] == ["B", "P"]


@pytest.mark.parametrize(
    ("status", "cause", "mark"),
    [
        (RecordStatus.CLOSED, StopCause.LOCAL, Mark.LOCAL_STOP),
        (RecordStatus.CLOSED, StopCause.REMOTE, Mark.REMOTE_STOP),
        (RecordStatus.CLOSED, StopCause.VEHICLE, Mark.END),
        (RecordStatus.CLOSED, StopCause.EMERGENCY, Mark.ABORT),
        (RecordStatus.CLOSED, StopCause.CHARGER_FAULT, Mark.ABORT),
        (RecordStatus.INTERRUPTED, StopCause.LOCAL, Mark.POWER_FAILURE),
    ],
)
def test_the_end_says_why(status: RecordStatus, cause: StopCause, mark: Mark) -> None:
    assert mark_of(ChargeRecord(status=status, stop_cause=cause)) is mark


def test_energy_from_the_vehicle_has_a_register_of_its_own() -> None:
    record = ChargeRecord(
        status=RecordStatus.CLOSED, begin=0.0, end=60.0, begin_register_wh=10.0, end_register_wh=110.0, price_per_kwh="0.4", currency="EUR"
    )
    gave = replace(record, begin_export_register_wh=5.0, end_export_register_wh=45.0)
    text = NOTARY.made(gave, complete(gave, ()), 1)
    assert [reading["RI"] for reading in parse(text).readings] == ["01-00:B1.08.00*FF", "01-00:C1.08.00*FF"] * 2
    verdict = check(text, public_key(NOTARY.public_key))
    assert (verdict.errors, verdict.energy_wh) == ((), 100)
    assert len(parse(NOTARY.made(record, complete(record, ()), 1)).readings) == 2


def test_evidence_is_neither_changed_nor_deleted(bench: Bench) -> None:
    charged(bench)
    database = sqlite3.connect(bench.folder / FILE)
    for sql in ("UPDATE evidence SET record = 'x'", "DELETE FROM evidence"):
        with pytest.raises(sqlite3.IntegrityError, match="evidence is never"):
            database.execute(sql)
    database.close()


def tampered(bench: Bench, *statements: str) -> None:
    """Change the ledger as somebody does who can write the file."""
    database = sqlite3.connect(bench.folder / FILE)
    database.executescript("DROP TRIGGER evidence_stays; DROP TRIGGER evidence_lasts;" + ";".join(statements))
    database.close()


TAMPERED = [
    (
        "UPDATE evidence SET record = replace(CAST(record AS TEXT), '0.099', '0.001') WHERE page = 2",
        "was changed, or another key signed it",
    ),
    ("UPDATE evidence SET record = replace(CAST(record AS TEXT), '0.099', '0.001') WHERE page = 2", "chain: record 2 does not follow"),
    ("DELETE FROM evidence WHERE page = 3", "T3 is missing"),
    ("DELETE FROM evidence WHERE page = 3", "chain: record 4 does not follow"),
    ("UPDATE evidence SET link = zeroblob(32) WHERE page = 6", "chain: record 6 does not follow"),
    ("UPDATE evidence SET record = x'ff00' WHERE page = 1", "is no record"),
    ("INSERT INTO evidence SELECT 7, session_id, record, link, public_key FROM evidence WHERE page = 6", "comes again, or out of order"),
    ("DELETE FROM evidence", "there is no record"),
]


@pytest.mark.parametrize(("statement", "words"), TAMPERED)
def test_what_was_done_to_a_ledger_is_found_and_said(bench: Bench, statement: str, words: str) -> None:
    charged(bench)
    assert station("verify", str(bench.folder))[0] == 0
    tampered(bench, statement)
    code, output = station("verify", str(bench.folder))
    assert code == 1
    assert words in " ".join(output.split())


def test_a_kill_at_any_point_leaves_pages_without_gaps_and_no_session_twice(tmp_path: Path) -> None:
    """A hundred ends of the process, at random points of sessions."""
    dice, bench = random.Random(7), Bench(tmp_path)
    book = bench.open()
    for number in range(100):
        if dice.random() < 0.7:
            bench.session(f"s-{number}", True)
        bench.charge(dice.choice((0.0, 0.2, 1.0)))
        if dice.random() < 0.5:
            bench.session(f"s-{number}", False, StopCause.LOCAL)
        bench.die()
        book = bench.open()
        bench.now += 20.0
        book.stop_waiting(bench.now)
    records = stored(bench)
    assert check_row(records) == []
    (source,) = sources(tmp_path)
    key = public_key(source.records[0].public_key)
    assert all(check(record.text, key).holds and not record.chain_problem for record in source.records)
    ends = [record.session_id for record in source.records if check(record.text).energy_wh is not None]
    assert len(ends) == len(set(ends)) == len(records) / 2 > 50


def test_the_chain_begins_with_zeros_and_takes_every_byte() -> None:
    assert link(GENESIS, "a") != link(GENESIS, "b") != link(link(GENESIS, "a"), "b")


# The key


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    config = Bench(tmp_path).open()._config
    first = notary(tmp_path, 1, config)
    assert notary(tmp_path, 1, config).public_key == first.public_key
    assert notary(tmp_path, 2, config).public_key != first.public_key
    assert stat.S_IMODE((tmp_path / "meter_key_1.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_cannot_be_read_is_refused_and_left_as_it_is(bench: Bench, content: str) -> None:
    path = bench.folder / "meter_key_1.pem"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"meter_key_1\.pem: cannot be used as the key of the meter"):
        bench.open()
    assert path.read_text() == content


def test_a_new_key_is_noticed_and_the_old_records_still_hold(bench: Bench) -> None:
    charged(bench, 1)
    (bench.folder / "meter_key_1.pem").unlink()
    bench.open()
    bench.session("later", True)
    bench.die()
    code, output = station("verify", str(bench.folder))
    assert code == 1
    assert "the key has changed" in output
    assert "3 of 3 records hold" in output


# The commands


def test_records_are_listed_shown_and_exported(bench: Bench, tmp_path: Path) -> None:
    charged(bench)
    code, output = station("list", str(bench.folder))
    assert code == 0
    assert (output.count("0.099 kWh"), output.count("0.100 kWh")) == (1, 2)
    code, output = station("list", str(bench.folder), "--json", "-")
    assert [row["pagination"] for row in json.loads(output)] == [f"T{number}" for number in range(1, 7)]
    code, output = station("show", str(bench.folder), "T2")
    assert code == 0
    assert "TX=L" in output
    assert stored(bench)[1] in output
    assert station("export", str(bench.folder), str(tmp_path / "records.txt"))[0] == 0
    assert (tmp_path / "records.txt").read_text().splitlines() == stored(bench)
    assert station("export", str(bench.folder), str(tmp_path / "records.xml"), "--xml")[0] == 0
    assert (tmp_path / "records.xml").read_text().count("<signedData") == 3


def test_exported_records_are_verified_with_the_key_alone(bench: Bench, tmp_path: Path) -> None:
    charged(bench)
    station("export", str(bench.folder), str(tmp_path / "records.txt"))
    (source,) = sources(bench.folder)
    key = source.records[0].public_key
    assert station("verify", str(tmp_path / "records.txt"), "--key", key)[0] == 0
    (tmp_path / "key.txt").write_text(key)
    code, output = station("verify", str(tmp_path / "records.txt"), "--key", str(tmp_path / "key.txt"), "--json", "-")
    assert (code, json.loads(output)[0]["holds"]) == (0, True)
    assert station("verify", str(tmp_path / "records.txt"))[0] == 1
    assert station("verify", str(tmp_path / "records.txt"), "--key", key, "--serial", "other")[0] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "nowhere"), "nowhere: is neither a folder nor a file"),
        (("verify", "."), "has no ledger"),
        (("verify", "{file}", "--key", "zz"), "--key: is no public key"),
        (("show", "{file}", "T9"), "T9: is neither the pagination"),
    ],
)
def test_wrong_input_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "records.txt").write_text("OCMF|{}|{}\n")
    code, output = station(*(word.format(file="records.txt") for word in words))
    assert code == 2
    assert said in output


def test_many_records_are_checked_on_all_processors_with_the_same_result(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    charged(bench)
    (source,) = sources(bench.folder)
    spoiled = replace(source.records[3], text=source.records[3].text.replace('"RV":', '"RV":1'))
    records = [*source.records[:3], spoiled, *source.records[4:]]
    alone = records_check.verdicts(records, None)
    monkeypatch.setattr(records_check, "FEW", 1)
    monkeypatch.setattr(records_check, "processors", lambda: 2)
    monkeypatch.setattr(records_check, "CHUNK", 2)
    assert records_check.verdicts(records, None) == alone
    assert [verdict.holds for verdict in alone] == [True, True, True, False, True, True]
    assert [verdict.holds for verdict in records_check.verdicts(records, NOTARY.key.public_key())] == [False] * 6
