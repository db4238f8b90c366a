"""What ocpp_uplink says of its queue on disk: writes that fail are counted until one works, and the record is not lost."""

import sqlite3
from pathlib import Path

import pytest

from evse_core.ocpp16 import OcppConfig
from evse_core.types import ChargeRecord, RecordStatus
from evse_nodes.message_queue import MessageQueue
from evse_nodes.ocpp_transactions import Listeners, Transactions

OPEN = ChargeRecord(status=RecordStatus.OPEN, session_id="a", evse_id=1, token="T", begin=100.0, begin_register_wh=5.0, end_register_wh=5.0)


def test_a_record_that_the_disk_refuses_is_counted_and_stored_when_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = MessageQueue(tmp_path / "ocpp16.sqlite")
    transactions = Transactions(OcppConfig(url="ws://127.0.0.1:1"), queue, Listeners(lambda evse, value: None, lambda row, verdict: None))

    def refuse(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(queue, "begin", refuse)
        transactions.on_record(1, OPEN)
        transactions.retry()
        assert (transactions.failed_writes, len(queue)) == (2, 0)
    transactions.retry()
    assert (transactions.failed_writes, len(queue)) == (0, 1)
    queue.close()
