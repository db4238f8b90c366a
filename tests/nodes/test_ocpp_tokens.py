"""Local list, cache and reservations against the CSMS simulator, without ROS: verdicts at the reader, statuses, and what survives a restart."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fake_evse import wait_for
from ocpp_local import LocalBench, LocalCsms

from evse_core.types import ChargeState, Verdict, VerdictSource

NOBODY = "ws://127.0.0.1:9"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    made = LocalBench(tmp_path, evses=2)
    yield made
    made.end()


@pytest.fixture
def csms(bench: LocalBench) -> LocalCsms:
    made = bench.csms("ABC", "DEF=Accepted:GROUP", "GHI=Accepted:GROUP", "OTHER", "BAD=Blocked")
    bench.start(made.url)
    bench.until_registered()
    wait_for(lambda: made.statuses(1)[-1:] == ["Available"] and made.statuses(2), "the statuses")
    return made


def verdict(bench: LocalBench, token: str, evse: int = 1) -> tuple[Verdict, VerdictSource]:
    """Present a token, as a driver who plugs in first does, and go away again."""
    bench[evse].heard["authorization"].clear()
    bench[evse].go(ChargeState.AUTHORIZING, token=token)
    found = wait_for(lambda: bench[evse].heard["authorization"], "a verdict")[0]
    bench[evse].go(ChargeState.AVAILABLE, token="")
    time.sleep(0.1)
    return found.verdict, found.source


def listed(csms: LocalCsms, version: int, kind: str, *entries: dict[str, Any]) -> Any:
    return csms.call("SendLocalList", listVersion=version, updateType=kind, localAuthorizationList=list(entries))


def version(csms: LocalCsms) -> int:
    found: int = csms.call("GetLocalListVersion")["listVersion"]
    return found


def change(csms: LocalCsms, key: str, value: str) -> Any:
    return csms.call("ChangeConfiguration", key=key, value=value)


def test_offline_the_list_comes_before_the_cache_and_both_before_the_unknown(bench: LocalBench, csms: LocalCsms) -> None:
    assert [verdict(bench, token) for token in ("ABC", "BAD")] == [
        (Verdict.ACCEPTED, VerdictSource.CSMS),
        (Verdict.BLOCKED, VerdictSource.CSMS),
    ]
    entries = [{"idTag": "LISTED", "idTagInfo": {"status": "Accepted"}}, {"idTag": "OTHER", "idTagInfo": {"status": "Blocked"}}]
    assert (listed(csms, 3, "Full", *entries), version(csms)) == ("Accepted", 3)
    assert verdict(bench, "OTHER") == (Verdict.ACCEPTED, VerdictSource.CSMS)  # Asked while online, and never cached.
    bench.start(NOBODY, allow_offline_tx_for_unknown_id=True)
    wait_for(lambda: bench.states, "the uplink")
    assert {token: verdict(bench, token) for token in ("LISTED", "OTHER", "ABC", "BAD", "XYZ")} == {
        "LISTED": (Verdict.ACCEPTED, VerdictSource.LIST),
        "OTHER": (Verdict.BLOCKED, VerdictSource.LIST),
        "ABC": (Verdict.ACCEPTED, VerdictSource.CACHE),
        "BAD": (Verdict.BLOCKED, VerdictSource.CACHE),
        "XYZ": (Verdict.ACCEPTED, VerdictSource.OFFLINE),
    }


def test_lists_are_answered_by_the_rules_and_a_conflict_is_told_once(bench: LocalBench, csms: LocalCsms) -> None:
    assert version(csms) == 0
    bad = {"idTag": "ABC", "idTagInfo": {"status": "Blocked"}}
    assert [listed(csms, number, "Full", bad) for number in (0, -1, 4)] == ["Failed", "Failed", "Accepted"]
    assert listed(csms, 4, "Differential") == "VersionMismatch"
    for _ in range(2):
        assert verdict(bench, "ABC") == (Verdict.ACCEPTED, VerdictSource.CSMS)

    def conflicts() -> list[Any]:
        found = csms.ask("list")["stations"]["EVSE-1"]["statuses"]
        return [item["connector"] for item in found if item["error_code"] == "LocalListConflict"]

    wait_for(conflicts, "the conflict")
    assert conflicts() == [0]
    assert change(csms, "LocalAuthListEnabled", "false") == "Accepted"
    assert (version(csms), listed(csms, 5, "Full")) == (-1, "NotSupported")


def test_a_known_token_need_not_wait_where_configured(bench: LocalBench, csms: LocalCsms) -> None:
    assert verdict(bench, "ABC")[1] == VerdictSource.CSMS
    assert change(csms, "LocalPreAuthorize", "true") == "Accepted"
    assert verdict(bench, "ABC") == (Verdict.ACCEPTED, VerdictSource.CACHE)
    assert csms.call("ClearCache") == "Accepted"
    assert verdict(bench, "ABC") == (Verdict.ACCEPTED, VerdictSource.CSMS)
    assert change(csms, "AuthorizationCacheEnabled", "false") == "Accepted"
    assert csms.call("ClearCache") == "Rejected"
    assert verdict(bench, "ABC")[1] == VerdictSource.CSMS


def reserve(csms: LocalCsms, connector: int, number: int, seconds: float = 3600.0, token: str = "DEF", **more: Any) -> Any:
    until = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()
    return csms.call("ReserveNow", connectorId=connector, reservationId=number, idTag=token, expiryDate=until, **more)


def test_a_reserved_connector_is_kept_for_its_token_and_group_also_after_a_restart(bench: LocalBench, csms: LocalCsms) -> None:
    assert reserve(csms, 1, 7, parentIdTag="GROUP") == "Accepted"
    wait_for(lambda: csms.statuses(1)[-1] == "Reserved", "Reserved")
    bench.start(csms.url)
    wait_for(lambda: csms.arrivals().count("BootNotification") == 2, "the second boot")
    wait_for(lambda: csms.statuses(1)[-1] == "Reserved", "Reserved after a restart")
    assert verdict(bench, "ABC") == (Verdict.INVALID, VerdictSource.RESERVATION)
    assert verdict(bench, "GHI") == (Verdict.ACCEPTED, VerdictSource.CSMS)
    assert csms.call("RemoteStartTransaction", connectorId=1, idTag="ABC") == "Rejected"
    bench[1].go(ChargeState.AVAILABLE, parent_token="GROUP", token="GHI")
    record = bench[1].begin("s-1", "GHI")
    wait_for(csms.transactions, "the start")
    assert csms.transactions()[0]["reservation_id"] == 7
    bench[1].finish(record, 1.0)
    bench[1].go(ChargeState.AVAILABLE, token="", parent_token="")
    wait_for(lambda: csms.statuses(1)[-1] == "Available", "Available again")
    assert csms.call("CancelReservation", reservationId=7) == "Rejected"
    assert csms.ask("list")["violations"] == []


def test_reservations_end_by_cancellation_and_by_time(bench: LocalBench, csms: LocalCsms) -> None:
    assert [reserve(csms, 1, 1), reserve(csms, 1, 2), reserve(csms, 3, 3), reserve(csms, 2, 4, 2.0)] == [
        "Accepted",
        "Occupied",
        "Rejected",
        "Accepted",
    ]
    wait_for(lambda: csms.statuses(2)[-1] == "Reserved", "Reserved")
    assert csms.call("CancelReservation", reservationId=1) == "Accepted"
    for connector in (1, 2):
        wait_for(lambda connector=connector: csms.statuses(connector)[-2:] == ["Reserved", "Available"], "Available")
    assert json.loads((bench.directory / "data" / "ocpp16_reservations.json").read_text()) == []
    assert reserve(csms, 1, 1, -5.0) == "Rejected"
    assert csms.call("ReserveNow", connectorId=1, reservationId=1, idTag="A", expiryDate="soon") == "PropertyConstraintViolation"
