"""The local authorisation list and the cache: what is taken, what is refused as a whole, who is dropped, and what an entry means."""

import json
from typing import Any

import pytest

from evse_core.ocpp16_local_list import (
    Cache,
    ListLimits,
    LocalList,
    cache_as_json,
    cache_from_json,
    cached,
    list_as_json,
    list_from_json,
    update,
    verdict,
    without,
)
from evse_core.types import Verdict, VerdictSource

LIMITS = ListLimits(entries=3, at_once=2)
NOW = 1_800_000_000
OK, BAD = {"status": "Accepted"}, {"status": "Blocked"}
PAST, FUTURE = "2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"


def entry(token: str, info: dict[str, Any] | None = OK) -> dict[str, Any]:
    return {"idTag": token} | ({} if info is None else {"idTagInfo": info})


def send(current: LocalList, version: int, kind: str, *entries: dict[str, Any]) -> tuple[str, LocalList]:
    return update(current, {"listVersion": version, "updateType": kind, "localAuthorizationList": list(entries)}, LIMITS)


LISTED = LocalList(5, {"A": OK, "B": BAD})


@pytest.mark.parametrize(
    ("version", "kind", "entries", "answer"),
    [
        (0, "Full", [entry("A")], "Failed"),
        (-1, "Full", [entry("A")], "Failed"),
        (0, "Differential", [], "Failed"),
        (5, "Differential", [entry("C")], "VersionMismatch"),
        (4, "Differential", [], "VersionMismatch"),
        (6, "Full", [entry("A", None)], "Failed"),
        (6, "Full", [entry("A"), entry("A", BAD)], "Failed"),
        (6, "Differential", [entry("A"), entry("A", None)], "Failed"),
        (6, "Full", [entry("A"), entry("B"), entry("C")], "Failed"),
        (6, "Differential", [entry("C"), entry("D")], "Failed"),
        (6, "Full", [entry("X" * 21)], "Failed"),
        (6, "Full", [entry("A", OK | {"expiryDate": "soon"})], "Failed"),
    ],
)
def test_what_cannot_be_taken_as_a_whole_changes_nothing(version: int, kind: str, entries: list[dict[str, Any]], answer: str) -> None:
    assert send(LISTED, version, kind, *entries) == (answer, LISTED)


def test_a_full_list_replaces_all_whatever_its_version() -> None:
    assert send(LISTED, 2, "Full", entry("C")) == ("Accepted", LocalList(2, {"C": OK}))
    assert update(LISTED, {"listVersion": 2, "updateType": "Full"}, LIMITS) == ("Accepted", LocalList(2, {}))


def test_a_difference_adds_changes_and_removes() -> None:
    answer, found = send(LISTED, 6, "Differential", entry("C"), entry("B", None))
    assert (answer, found) == ("Accepted", LocalList(6, {"A": OK, "C": OK}))
    assert send(found, 7, "Differential", entry("A", BAD))[1].entries == {"C": OK, "A": BAD}
    assert send(found, 7, "Differential", entry("nobody", None))[1] == LocalList(7, found.entries)


def test_an_empty_list_tells_version_0_and_still_knows_what_it_had() -> None:
    empty = send(LISTED, 6, "Differential", entry("A", None), entry("B", None))[1]
    assert (LISTED.told_version, empty.told_version) == (5, 0)
    assert send(empty, 6, "Differential")[0] == "VersionMismatch"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (OK, (Verdict.ACCEPTED, "")),
        (OK | {"parentIdTag": "P", "expiryDate": FUTURE}, (Verdict.ACCEPTED, "P")),
        (OK | {"expiryDate": PAST}, (Verdict.EXPIRED, "")),
        (OK | {"expiryDate": "soon"}, (Verdict.EXPIRED, "")),
        (BAD | {"expiryDate": PAST}, (Verdict.BLOCKED, "")),
        ({}, (Verdict.INVALID, "")),
    ],
)
def test_an_entry_means_what_it_says_until_it_expires(info: dict[str, Any], expected: tuple[Verdict, str]) -> None:
    found = verdict("A", info, NOW, VerdictSource.LIST)
    assert (found.token, found.source, (found.verdict, found.parent_token)) == ("A", VerdictSource.LIST, expected)


def test_a_full_cache_drops_who_is_not_valid_then_the_oldest() -> None:
    cache: Cache = {}
    for number, (token, info) in enumerate((("A", OK), ("B", OK), ("C", BAD))):
        cache = cached(cache, token, info, NOW + number, 3)
    cache = cached(cache, "D", OK, NOW + 3, 3)
    assert set(cache) == {"A", "B", "D"}
    cache = cached(cache, "A", OK, NOW + 4, 3)
    assert set(cached(cache, "E", OK, NOW + 5, 3)) == {"A", "D", "E"}
    assert cached(cache, "E", OK, NOW + 5, 0) == {}


def test_tokens_of_the_list_are_not_cached() -> None:
    cache = cached(cached({}, "A", OK, NOW, 9), "Z", OK, NOW, 9)
    assert set(without(cache, LISTED)) == {"Z"}


def test_what_is_kept_comes_back_as_it_was() -> None:
    cache = cached({}, "A", OK | {"expiryDate": FUTURE}, NOW, 9)
    assert list_from_json(json.loads(json.dumps(list_as_json(LISTED)))) == LISTED
    assert cache_from_json(json.loads(json.dumps(cache_as_json(cache)))) == cache


@pytest.mark.parametrize("kept", [None, [], {"version": 1}, {"version": "1", "entries": {}}, {"version": 1, "entries": {"A": 1}}])
def test_what_is_no_list_is_refused(kept: object) -> None:
    with pytest.raises(ValueError, match="list"):
        list_from_json(kept)


@pytest.mark.parametrize("kept", [None, [], {"A": 1}, {"A": {"info": {}}}, {"A": {"info": 1, "at": 1}}, {"A": {"info": {}, "at": None}}])
def test_what_is_no_cache_is_refused(kept: object) -> None:
    with pytest.raises(ValueError, match="cache"):
        cache_from_json(kept)
