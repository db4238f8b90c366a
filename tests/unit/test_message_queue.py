"""The message queue on disk: each message enters once, leaves with its answer, in order, and what was decided is still there after a restart."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evse_core.ocpp16_delivery import NO_TRANSACTION, Kind, filled
from evse_core.ocpp16_messages import Request
from evse_nodes.message_queue import MessageQueue

START, METER, STOP = Request("StartTransaction", {"a": 1}), Request("MeterValues", {"b": 2}), Request("StopTransaction", {"c": 3})
Open = Callable[..., MessageQueue]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Open]:
    """Yield a function that closes the queue, if one is open, and opens it again."""
    held: list[MessageQueue] = []

    def again(**options: int) -> MessageQueue:
        while held:
            held.pop().close()
        held.append(MessageQueue(tmp_path / "new" / "queue.sqlite", **options))
        return held[0]

    yield again
    while held:
        held.pop().close()


def begin(queue: MessageQueue, session: str, at: float = 1.0, evse: int = 1) -> bool:
    return queue.begin(evse, session, "TOKEN", at, START)


def end(queue: MessageQueue, session: str, at: float = 2.0, energy: float = 5.5, evse: int = 1) -> bool:
    return queue.end(evse, session, "TOKEN", 1.0, START, at, STOP, energy)


def waiting(queue: MessageQueue) -> list[tuple[str, str]]:
    return [(message.session_id, message.kind) for message in queue.in_order()]


def deliver_all(queue: MessageQueue, transaction_id: int = 7) -> None:
    while (message := next(queue.in_order(), None)) is not None:
        queue.delivered(message, transaction_id)


def test_a_session_enters_and_ends_once_however_often_its_records_come(reopen: Open) -> None:
    queue = reopen()
    assert [begin(queue, "a"), begin(queue, "a"), end(queue, "a"), end(queue, "a"), begin(queue, "a")] == [True, False, True, False, False]
    assert waiting(queue) == [("a", "start"), ("a", "stop")]
    deliver_all(queue)
    queue = reopen()
    assert [begin(queue, "a"), end(queue, "a")] == [False, False]
    assert len(queue) == 0


def test_the_cost_of_a_session_follows_its_stop_and_is_not_lost_with_the_process(reopen: Open) -> None:
    queue = reopen()
    assert queue.end(1, "a", "TOKEN", 1.0, START, 2.0, STOP, 5.5, Request("DataTransfer", {"vendorId": "v", "data": "{}"}))
    assert not queue.end(1, "a", "TOKEN", 1.0, START, 2.0, STOP, 5.5, Request("DataTransfer", {"vendorId": "v", "data": "{}"}))
    queue = reopen()
    assert waiting(queue) == [("a", "start"), ("a", "stop"), ("a", "cost")]
    queue.delivered(next(queue.in_order()), 7)
    assert json.loads(filled(list(queue.in_order())[-1])["data"]) == {"transactionId": 7}
    deliver_all(queue)
    assert len(queue) == 0


def test_an_end_without_a_begin_brings_both(reopen: Open) -> None:
    queue = reopen()
    assert end(queue, "a")
    assert waiting(queue) == [("a", "start"), ("a", "stop")]


def test_the_same_session_id_at_two_evses_is_two_sessions(reopen: Open) -> None:
    queue = reopen()
    assert begin(queue, "a", evse=1)
    assert begin(queue, "a", evse=2)


def test_messages_are_delivered_in_the_order_in_which_they_happened(reopen: Open) -> None:
    queue = reopen()
    begin(queue, "late", 50.0)
    begin(queue, "early", 10.0, evse=2)
    end(queue, "late", 90.0)
    queue.sample(2, "early", 1, 60.0, METER)
    assert waiting(queue) == [("early", "start"), ("late", "start"), ("early", "meter"), ("late", "stop")]


def test_a_clock_that_was_set_back_does_not_bring_a_stop_before_its_start(reopen: Open) -> None:
    queue = reopen()
    begin(queue, "a", 1000.0)
    queue.sample(1, "a", 1, 1010.0, METER)
    end(queue, "a", 500.0)
    begin(queue, "b", 600.0)
    assert waiting(queue) == [("b", "start"), ("a", "start"), ("a", "meter"), ("a", "stop")]


def test_the_answer_and_the_removal_are_one(reopen: Open) -> None:
    queue = reopen()
    begin(queue, "a")
    end(queue, "a")
    first = next(queue.in_order())
    assert (first.kind, first.transaction_id) == (Kind.START, None)
    queue.delivered(first, 42)
    queue = reopen()
    stop = next(queue.in_order())
    assert (stop.kind, stop.transaction_id, stop.payload) == (Kind.STOP, 42, {"c": 3})
    queue.delivered(stop)
    row = reopen().session(1, "a")
    assert row is not None
    assert (row.transaction_id, row.ended, row.stop_confirmed, row.energy_wh) == (42, True, True, 5.5)


def test_a_message_keeps_its_id_over_a_restart_and_gets_a_new_one_after_a_failure(reopen: Open) -> None:
    queue = reopen()
    begin(queue, "a")
    first = next(queue.in_order())
    queue = reopen()
    assert next(queue.in_order()) == first
    queue.failed(first, attempt=True)
    second = next(queue.in_order())
    queue.failed(second, attempt=False)
    third = next(queue.in_order())
    assert [message.attempts for message in (first, second, third)] == [0, 1, 1]
    assert len({message.message_id for message in (first, second, third)}) == 3


def test_a_start_that_is_given_up_leaves_its_session_without_transaction(reopen: Open) -> None:
    queue = reopen()
    begin(queue, "a")
    end(queue, "a")
    queue.drop(next(queue.in_order()), "refused")
    assert [(message.kind, message.transaction_id) for message in queue.in_order()] == [(Kind.STOP, NO_TRANSACTION)]
    assert reopen().dropped() == 1
    assert not begin(reopen(), "a")


def test_samples_belong_to_a_running_session_and_come_once(reopen: Open) -> None:
    queue = reopen()
    assert not queue.sample(1, "a", 1, 1.0, METER)
    begin(queue, "a")
    assert [queue.sample(1, "a", number, 2.0, METER) for number in (1, 1, 2)] == [True, False, True]
    deliver_all(queue)
    assert not queue.sample(1, "a", 2, 2.0, METER)
    end(queue, "a")
    assert not queue.sample(1, "a", 3, 3.0, METER)


def test_too_many_samples_push_out_the_oldest_and_never_a_start_or_stop(reopen: Open) -> None:
    queue = reopen(max_meter_values=3)
    begin(queue, "a")
    for number in range(1, 11):
        queue.sample(1, "a", number, 2.0 + number, Request("MeterValues", {"n": number}))
    end(queue, "a", 50.0)
    found = list(queue.in_order())
    assert [message.kind for message in found] == ["start", "meter", "meter", "meter", "stop"]
    assert [message.payload["n"] for message in found[1:4]] == [8, 9, 10]


def test_skipped_sessions_are_never_told(reopen: Open) -> None:
    queue = reopen()
    queue.skip(1, "free", "T", 1.0, False)
    assert [begin(queue, "free"), end(queue, "free")] == [False, False]
    assert queue.open_sessions() == []
    assert len(queue) == 0


def test_only_sessions_that_are_over_and_told_are_forgotten(reopen: Open) -> None:
    queue = reopen(remember=3)
    begin(queue, "open")
    deliver_all(queue)
    end(queue, "untold", 3.0)
    for number in range(20):
        deliver = end(queue, f"s{number}", 4.0)
        assert deliver
        for message in [message for message in queue.in_order() if message.session_id == f"s{number}"]:
            queue.delivered(message, number)
    assert queue.session(1, "open") is not None
    assert queue.session(1, "untold") is not None
    assert queue.session(1, "s0") is None
    assert queue.session(1, "s19") is not None
    assert waiting(queue) == [("untold", "start"), ("untold", "stop")]


def test_open_sessions_and_the_latest_are_found(reopen: Open) -> None:
    queue = reopen()
    end(queue, "old")
    begin(queue, "new", 5.0)
    begin(queue, "other", 6.0, evse=2)
    assert [(row.evse, row.session_id) for row in queue.open_sessions()] == [(1, "new"), (2, "other")]
    latest = queue.latest(1)
    assert latest is not None
    assert latest.session_id == "new"
    assert queue.latest(3) is None


def test_a_second_process_cannot_open_the_file(reopen: Open, tmp_path: Path) -> None:
    begin(reopen(), "a")
    with pytest.raises(ValueError, match=r"queue\.sqlite"):
        MessageQueue(tmp_path / "new" / "queue.sqlite")


def test_a_file_that_is_no_queue_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_text("this is no database, and it is longer than a header of one hundred bytes would be" * 3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"queue\.sqlite"):
        MessageQueue(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="version 99"):
        MessageQueue(path)


def test_the_file_is_written_ahead_and_synchronously(reopen: Open) -> None:
    queue = reopen()
    assert queue._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert queue._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_what_is_collected_for_the_stop_covers_the_session_outlives_a_restart_and_ends_with_it(reopen: Open) -> None:
    queue = reopen()
    queue.begin(1, "a", "T", 1.0, START)
    queue.collect(1, "unknown", {"n": -1}, 4)
    for number in range(9):
        queue.collect(1, "a", {"n": number}, 4)
    queue = reopen()
    found = [item["n"] for item in queue.collected(1, "a")]
    assert len(found) <= 4
    assert (found == sorted(found), found[-1]) == (True, 8)
    queue.end(1, "a", "T", 1.0, START, 2.0, STOP, 5.0)
    assert queue.collected(1, "a") == []
    queue.collect(1, "a", {"n": 9}, 4)
    assert queue.collected(1, "a") == []
