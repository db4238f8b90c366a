"""Reservations: who gets one, whom they keep away, and when they end."""

import json
from typing import Any

import pytest

from evse_core.ocpp16_reservations import Book, as_json, bars, cancel, current, from_json, is_reserved, reserve, used_by
from evse_core.ocpp16_status import Status as S
from evse_core.ocpp16_time import NoTime

NOW = 1_800_000_000
LATER = "2040-01-01T00:00:00Z"


def wish(connector: int = 1, number: int = 1, token: str = "ABC", expiry: str = LATER, **more: Any) -> dict[str, Any]:
    return {"connectorId": connector, "reservationId": number, "idTag": token, "expiryDate": expiry} | more


def book(*wishes: dict[str, Any], connectors: int = 3) -> Book:
    found: Book = ()
    for item in wishes:
        answer, found = reserve(found, item, dict.fromkeys(range(1, connectors + 1), S.AVAILABLE), NOW)
        assert answer == "Accepted"
    return found


@pytest.mark.parametrize(
    ("payload", "statuses", "answer"),
    [
        (wish(), (S.AVAILABLE,), "Accepted"),
        (wish(2), (S.AVAILABLE,), "Rejected"),
        (wish(-1), (S.AVAILABLE,), "Rejected"),
        (wish(expiry="2020-01-01T00:00:00Z"), (S.AVAILABLE,), "Rejected"),
        (wish(), (S.FAULTED,), "Faulted"),
        (wish(), (S.UNAVAILABLE,), "Unavailable"),
        (wish(), (S.PREPARING,), "Occupied"),
        (wish(), (S.CHARGING,), "Occupied"),
        (wish(), (S.FINISHING, S.AVAILABLE), "Occupied"),
        (wish(0), (S.FAULTED, S.FAULTED), "Faulted"),
        (wish(0), (S.FAULTED, S.UNAVAILABLE), "Unavailable"),
        (wish(0), (S.CHARGING, S.UNAVAILABLE), "Occupied"),
        (wish(0), (S.CHARGING, S.AVAILABLE), "Accepted"),
    ],
)
def test_a_wish_is_answered_by_what_the_connector_is(payload: dict[str, Any], statuses: tuple[S, ...], answer: str) -> None:
    word, found = reserve((), payload, dict(enumerate(statuses, 1)), NOW)
    assert word == answer
    assert len(found) == (1 if answer == "Accepted" else 0)


def test_what_is_reserved_is_occupied_for_others_and_the_same_number_replaces() -> None:
    one = book(wish(1, 1))
    statuses = {1: S.RESERVED, 2: S.AVAILABLE}
    assert reserve(one, wish(1, 2, "XYZ"), statuses, NOW) == ("Occupied", one)
    word, moved = reserve(one, wish(2, 1, "XYZ"), statuses, NOW)
    assert (word, [(item.connector, item.token) for item in moved]) == ("Accepted", [(2, "XYZ")])
    assert reserve(one, wish(1, 1, "XYZ"), statuses, NOW)[0] == "Accepted"


def test_reservations_of_any_connector_leave_one_for_each() -> None:
    floating = book(wish(0, 1), wish(0, 2, "DEF"))
    assert reserve(floating, wish(1, 3, "GHI"), dict.fromkeys((1, 2, 3), S.AVAILABLE), NOW)[0] == "Accepted"
    assert reserve(floating, wish(1, 3, "GHI"), {1: S.AVAILABLE, 2: S.AVAILABLE}, NOW) == ("Occupied", floating)
    two = {1: S.AVAILABLE, 2: S.AVAILABLE}
    assert bars(floating, 1, "XYZ", "", two)
    assert not bars(floating, 1, "ABC", "", two)
    assert not bars(floating, 1, "XYZ", "", {1: S.PREPARING, 2: S.AVAILABLE, 3: S.AVAILABLE})
    assert not any(is_reserved(floating, connector) for connector in (0, 1, 2) if connector)


@pytest.mark.parametrize(
    ("token", "parent", "barred"), [("ABC", "", False), ("XYZ", "P", False), ("XYZ", "Q", True), ("XYZ", "", True), ("", "", True)]
)
def test_a_connector_is_kept_for_its_token_and_its_group(token: str, parent: str, barred: bool) -> None:
    held = book(wish(1, parentIdTag="P"))
    assert bars(held, 1, token, parent, {1: S.PREPARING, 2: S.AVAILABLE}) is barred
    assert not bars(held, 2, token, parent, {1: S.RESERVED, 2: S.AVAILABLE})


def test_without_a_group_an_empty_parent_is_no_group() -> None:
    assert bars(book(wish(1)), 1, "XYZ", "", {1: S.AVAILABLE})


def test_a_transaction_uses_the_reservation_of_its_connector_before_one_of_any() -> None:
    held = book(wish(0, 1), wish(2, 2))
    assert [getattr(used_by(held, connector, "ABC", ""), "number", None) for connector in (1, 2)] == [1, 2]
    assert used_by(held, 1, "XYZ", "") is None


def test_a_reservation_ends_by_time_or_by_its_number() -> None:
    held = book(wish(1, 7, expiry="2027-01-15T08:00:10Z"), wish(2, 8))
    assert held[0].expiry == NOW + 10
    assert current(held, NOW + 9) == held
    assert [item.number for item in current(held, NOW + 10)] == [8]
    assert cancel(held, 9) == ("Rejected", held)
    word, left = cancel(held, 7)
    assert (word, is_reserved(left, 1), is_reserved(left, 2)) == ("Accepted", False, True)


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(NoTime):
        reserve((), wish(expiry="soon"), {1: S.AVAILABLE}, NOW)


def test_what_is_kept_comes_back_as_it_was() -> None:
    held = book(wish(1, 7, parentIdTag="P"), wish(0, 8))
    assert from_json(json.loads(json.dumps(as_json(held)))) == held


@pytest.mark.parametrize("kept", [None, {}, [1], [{"number": 1}], [as_json(book(wish()))[0] | {"expiry": "1"}]])
def test_what_is_no_book_is_refused(kept: object) -> None:
    with pytest.raises(ValueError, match="reservations"):
        from_json(kept)
