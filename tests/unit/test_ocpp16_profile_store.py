"""Which profiles are installed: places, replacement, clearing, the life of a TxProfile, and what comes back from disk."""

import json
from dataclasses import replace
from typing import Any

import pytest

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_charging_profiles import Purpose, Unusable
from evse_core.ocpp16_profile_store import (
    REMOTE_WAIT,
    Running,
    Store,
    as_json,
    clear,
    followed,
    from_json,
    install,
    install_remote,
    rate_units,
)

LIMITS = OcppConfig()
NOW = 1_800_000_000
RUNS = {1: Running("s-1", NOW - 60, 7, "ABC")}


def given(number: int = 1, purpose: str = "TxDefaultProfile", level: int = 0, **more: Any) -> dict[str, Any]:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}]}
    named = {"chargingProfileId": number, "stackLevel": level, "chargingProfilePurpose": purpose, "chargingProfileKind": "Relative"}
    return named | {"chargingSchedule": schedule} | more


def put(store: Store, connector: int, payload: dict[str, Any], limits: OcppConfig = LIMITS) -> Store:
    return install(store, connector, payload, NOW, RUNS, (1, 2), limits)


def numbers(store: Store) -> list[int]:
    return [item.number for item in store]


@pytest.mark.parametrize(
    ("connector", "payload"),
    [
        (3, given()),
        (-1, given()),
        (1, given(purpose="ChargePointMaxProfile")),
        (0, given(purpose="TxProfile")),
        (2, given(purpose="TxProfile")),
        (1, given(purpose="TxProfile", transactionId=8)),
        (1, given(transactionId=7)),
        (1, given(level=21)),
    ],
)
def test_a_profile_that_belongs_nowhere_is_refused(connector: int, payload: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        put((), connector, payload)


@pytest.mark.parametrize("payload", [given(purpose="TxProfile"), given(purpose="TxProfile", transactionId=7)])
def test_a_txprofile_belongs_to_the_session_that_runs(payload: dict[str, Any]) -> None:
    store = put((), 1, payload)
    assert store[0].session == "s-1"
    assert followed(store, RUNS, NOW) == store
    assert followed(store, {}, NOW) == ()
    assert followed(store, {1: replace(RUNS[1], session="s-2")}, NOW) == ()


def test_no_transaction_id_is_known_before_the_csms_gave_one() -> None:
    with pytest.raises(Unusable):
        install((), 1, given(purpose="TxProfile", transactionId=7), NOW, {1: Running("s-1", NOW, None)}, (1,), LIMITS)


def test_the_same_place_or_the_same_id_is_replaced() -> None:
    store = put(put((), 1, given(1)), 0, given(2))
    assert numbers(store) == [1, 2]
    assert numbers(put(store, 1, given(3))) == [2, 3]
    assert numbers(put(store, 1, given(3, level=1))) == [1, 2, 3]
    assert numbers(put(store, 2, given(1))) == [2, 1]
    assert numbers(put(store, 1, given(3, "TxProfile"))) == [1, 2, 3]


def test_only_so_many_are_installed_and_a_replacement_still_fits() -> None:
    limits = replace(LIMITS, max_charging_profiles_installed=2, charging_schedule_max_periods=1)
    store = put(put((), 1, given(1), limits), 0, given(2), limits)
    with pytest.raises(Unusable):
        put(store, 2, given(3), limits)
    assert numbers(put(store, 1, given(3), limits)) == [2, 3]
    periods = [{"startPeriod": 0, "limit": 6.0}, {"startPeriod": 9, "limit": 7.0}]
    with pytest.raises(Unusable):
        put((), 1, given(chargingSchedule={"chargingRateUnit": "A", "chargingSchedulePeriod": periods}), limits)


@pytest.mark.parametrize(
    ("payload", "left"),
    [
        ({}, []),
        ({"id": 2}, [1, 3, 4]),
        ({"id": 2, "connectorId": 1}, [1, 3, 4]),
        ({"id": 9}, [1, 2, 3, 4]),
        ({"connectorId": 0}, [1, 4]),
        ({"connectorId": 1}, [2, 3]),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, [3]),
        ({"stackLevel": 1}, [1, 2, 3]),
        ({"connectorId": 1, "stackLevel": 0}, [2, 3, 4]),
        ({"connectorId": 2}, [1, 2, 3, 4]),
    ],
)
def test_clearing_takes_the_id_alone_else_all_that_is_named(payload: dict[str, Any], left: list[int]) -> None:
    store = put(put(put(put((), 1, given(1)), 0, given(2)), 0, given(3, "ChargePointMaxProfile")), 1, given(4, level=1))
    assert numbers(clear(store, payload)) == left


def test_the_profile_of_a_remote_start_waits_for_its_own_session_only() -> None:
    store = install_remote((), 2, "ABC", given(5, "TxProfile"), NOW, LIMITS)
    assert followed(store, RUNS, NOW + REMOTE_WAIT) == store
    assert followed(store, RUNS, NOW + REMOTE_WAIT + 1) == ()
    assert followed(store, {2: Running("s-9", NOW, None, "OTHER")}, NOW) == ()
    found = followed(store, {2: Running("s-9", NOW, None, "ABC")}, NOW)
    assert [(item.session, item.token, item.purpose) for item in found] == [("s-9", "", Purpose.TX)]
    assert numbers(install_remote(store, 2, "XYZ", given(6, "TxProfile"), NOW, LIMITS)) == [6]


@pytest.mark.parametrize("payload", [given(5), given(5, "TxProfile", transactionId=1)])
def test_a_remote_start_brings_nothing_but_a_txprofile_without_transaction(payload: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        install_remote((), 1, "ABC", payload, NOW, LIMITS)


def test_what_is_kept_comes_back_as_it_was() -> None:
    store = put(put((), 1, given(1, "TxProfile", validFrom="2026-01-01T00:00:00Z")), 0, given(3, "ChargePointMaxProfile"))
    store = install_remote(store, 2, "ABC", given(5, "TxProfile"), NOW, LIMITS)
    assert from_json(json.loads(json.dumps(as_json(store)))) == store


@pytest.mark.parametrize("kept", [None, {}, [1], [{}], [{"connector": 1, "profile": {}, "received": 0, "session": "", "token": ""}]])
def test_what_is_no_store_is_refused(kept: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(kept)


def test_units_are_named_as_the_key_wants_them() -> None:
    assert rate_units() == "Current,Power"
