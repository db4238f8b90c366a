"""Which transaction message is sent when, after which failure, and with which transaction id."""

from dataclasses import replace

import pytest

from evse_core.ocpp16_backoff import BackOff
from evse_core.ocpp16_delivery import LONGEST_PARKING, Delivery, Kind, Outcome, QueuedMessage, filled
from evse_core.ocpp16_sampling import Sampler
from evse_core.types import MeterReading


def message(
    number: int = 1, session: str = "a", kind: Kind = Kind.STOP, attempts: int = 0, transaction_id: int | None = None
) -> QueuedMessage:
    return QueuedMessage(number, 1, session, kind, "StopTransaction", {"meterStop": 5}, "id", attempts, transaction_id)


@pytest.mark.parametrize(
    ("kind", "transaction_id", "expected"),
    [
        (Kind.START, None, {"meterStop": 5}),
        (Kind.STOP, 42, {"meterStop": 5, "transactionId": 42}),
        (Kind.METER, 42, {"meterStop": 5, "transactionId": 42}),
        (Kind.STOP, None, {"meterStop": 5, "transactionId": -1}),
        (Kind.METER, -1, {"meterStop": 5, "transactionId": -1}),
        (Kind.STOP, 0, {"meterStop": 5, "transactionId": 0}),
    ],
)
def test_the_transaction_id_is_filled_in_when_it_is_sent(kind: Kind, transaction_id: int | None, expected: dict[str, int]) -> None:
    assert filled(message(kind=kind, transaction_id=transaction_id)) == expected


def test_messages_go_in_order() -> None:
    assert Delivery(3, 60.0).choose([message(1), message(2)], 0.0) == message(1)
    assert Delivery(3, 60.0).choose([], 0.0) is None


def test_a_refused_message_waits_longer_each_time_and_holds_up_all_others_until_it_is_given_up() -> None:
    rule, now, waits = Delivery(attempts=4, retry_interval=60.0), 1000.0, []
    for attempts in range(3):
        assert rule.on_error(message(attempts=attempts), now) == Outcome.RETRY
        end = rule.next_change(now)
        assert end is not None
        assert rule.choose([message(1), message(2, "b")], end - 0.1) is None
        assert rule.choose([message(1)], end) == message(1)
        waits.append(end - now)
        now = end
    assert waits == [60.0, 120.0, 180.0]
    assert rule.on_error(message(attempts=3), now) == Outcome.DROP
    assert rule.choose([message(2, "b")], now) == message(2, "b")


def test_one_attempt_means_no_second_one() -> None:
    assert Delivery(1, 60.0).on_error(message(), 0.0) == Outcome.DROP


def test_silence_never_drops_a_message_but_lets_other_sessions_pass() -> None:
    rule, now, stuck, other = Delivery(attempts=2, retry_interval=10.0), 0.0, message(1, "a"), message(2, "b")
    rule.on_silence(stuck, now)
    assert rule.choose([stuck, other], 9.9) is None
    assert rule.choose([stuck, other], 10.0) == stuck
    rule.on_silence(stuck, 10.0)
    assert rule.choose([stuck, message(3, "a"), other], 10.0) == other
    assert rule.next_change(10.0) == 30.0
    assert rule.choose([stuck, other], 30.0) == stuck
    for _ in range(1000):
        rule.on_silence(stuck, 30.0)
    assert rule.next_change(30.0) == 30.0 + LONGEST_PARKING
    rule.on_answer(stuck)
    assert rule.choose([stuck, other], 31.0) == stuck


def test_the_same_session_id_at_another_evse_is_not_parked() -> None:
    rule = Delivery(attempts=1, retry_interval=10.0)
    rule.on_silence(message(), 0.0)
    elsewhere = replace(message(), evse=2)
    assert rule.choose([message(), elsewhere], 1.0) == elsewhere


@pytest.mark.parametrize(
    ("failures", "random", "expected"),
    [(0, 0.0, 10.0), (0, 0.5, 12.5), (1, 0.0, 20.0), (2, 0.5, 50.0), (3, 0.0, 80.0), (4, 0.0, 80.0), (10**6, 0.0, 80.0), (-1, 0.0, 10.0)],
)
def test_the_back_off_doubles_so_many_times(failures: int, random: float, expected: float) -> None:
    assert BackOff(10.0, 5.0, 3).wait(failures, random) == expected


def test_samples_come_at_multiples_of_the_interval_from_the_begin() -> None:
    sampler = Sampler("s", begin=1000.0)
    taken = [now for now in (t / 4 for t in range(4000, 4120)) if sampler.due(MeterReading(stamp=now, session_id="s"), 10.0) is not None]
    assert taken == [1010.0, 1020.0]


def test_a_sample_keeps_its_number_over_a_restart_and_a_late_reading() -> None:
    numbers = [Sampler("s", 1000.0).due(MeterReading(stamp=stamp, session_id="s"), 10.0) for stamp in (1009.9, 1010.0, 1014.0, 1020.1)]
    assert numbers == [None, 1010000, 1010000, 1020000]


@pytest.mark.parametrize(("session", "interval"), [("other", 10.0), ("", 10.0), ("s", 0.0)])
def test_nothing_is_sampled_outside_the_session_or_without_interval(session: str, interval: float) -> None:
    assert Sampler("s", 0.0).due(MeterReading(stamp=100.0, session_id=session), interval) is None
