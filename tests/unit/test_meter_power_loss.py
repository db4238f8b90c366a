"""A loss of power at the commits of sessions leaves nothing told unkept; and what keeps it so is seen when it is taken away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from evse_core.types import ChargeRecord, SessionState
from evse_nodes.ledger import Ledger
from evse_nodes.meter_audit import MeterAudit
from evse_nodes.meter_book import MeterBook
from evse_tools.meter_kill_child import CONFIG, TARIFF
from evse_tools.meter_kill_judge import Told, judge
from evse_tools.meter_power_loss import Verdict, lose


def lost(folder: Path) -> Verdict:
    """Lose power around what two sessions promise, the second of which does not end."""
    return lose(folder, 2, 1000, seed=3)


def test_whatever_a_loss_of_power_leaves_is_billed_once_and_nothing_told_is_gone(tmp_path: Path) -> None:
    verdict = lose(tmp_path, 2, 25, seed=3)
    assert verdict.problems == ()
    assert verdict.states >= 40


def test_a_record_that_is_told_before_it_is_synced_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Ledger._transaction

    @contextmanager
    def never_synced(ledger: Ledger, durable: bool) -> Iterator[None]:
        with real(ledger, durable=False):
            yield

    monkeypatch.setattr(Ledger, "_transaction", never_synced)
    assert any("loss-0 was said with" in words for words in lost(tmp_path).problems)


def test_an_end_that_is_signed_after_it_was_stored_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end, witness, later = Ledger.end, Ledger._witness, list[object]()

    def end_twice(ledger: Ledger, record: ChargeRecord) -> None:
        monkeypatch.setattr(Ledger, "_witness", lambda _, *what: later.append(what))
        end(ledger, record)
        monkeypatch.setattr(Ledger, "_witness", witness)
        with ledger._transaction(durable=True):
            witness(ledger, *later.pop())  # type: ignore[misc]

    monkeypatch.setattr(Ledger, "end", end_twice)
    assert any("1 signed begins and 0 signed ends" in words for words in lost(tmp_path).problems)


def test_records_that_name_another_trail_than_the_one_beside_them_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MeterAudit, "extensions", lambda _: {"XM": "0", "XA": "7 00"})
    assert any("of the audit trail, which is not there" in words or "made anew" in words for words in lost(tmp_path).problems)


def test_the_judge_finds_what_is_wrong_with_a_bill(tmp_path: Path) -> None:
    told = Told()
    book = MeterBook(CONFIG, TARIFF, 1, tmp_path, told.add)
    book.on_session(SessionState(session_id="a", transaction_active=True), 1.0, 1.8e9)
    book.on_session(SessionState(session_id="a"), 2.0, 1.8e9)
    book.close()
    assert list(judge(tmp_path, told, {"a": 0.0})) == []
    assert list(judge(tmp_path, told, {"a": 1.0})) == ["a: 0.000000 Wh billed, 1.000000 Wh given"]
    (known, *_) = told.records.values()
    told.add(replace(known, begin_register_wh=5.0))
    told.add(replace(known, session_id="b"))
    problems = list(judge(tmp_path, told))
    assert any("a: told as" in words for words in problems)
    assert "b: was told and is lost" in problems
