"""Calls about profiles, lists and reservations with random payloads that fit their schemas: answers fit theirs, and what was accepted outlives a restart."""

import asyncio
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import ocpp.messages
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ocpp.messages import CallResult, validate_payload

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_composite import Outlet, Site
from evse_core.ocpp16_profile_store import Running
from evse_core.ocpp16_requests import Refused
from evse_core.ocpp16_status import Status
from evse_core.types import ChargingLimit
from evse_nodes.ocpp_file import KeptFile
from evse_nodes.ocpp_local_tokens import LocalTokens
from evse_nodes.ocpp_reservations import Reservations
from evse_nodes.ocpp_smart_charging import SmartCharging

ocpp.messages.ASYNC_VALIDATION = False
NOW = 1_800_000_000
CONFIG = OcppConfig(max_charging_profiles_installed=4, local_auth_list_max_length=6, authorization_cache_size=3)
RUNS = {1: Running("s-1", NOW - 100, 5, "A")}

numbers = st.sampled_from((-1, 0, 1, 2, 3, 2**31, 10**30))
tokens = st.sampled_from(("A", "B", "C", "D", "", "x" * 20))
times = st.sampled_from(("2027-01-15T08:00:00Z", "2026-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "now", "", "9999-12-31T23:59:59Z"))
limits = st.sampled_from((0.0, 0.1, 6.0, 32.0, 1e300, -1.0, float("inf")))
periods = st.fixed_dictionaries({"startPeriod": numbers, "limit": limits}, optional={"numberPhases": numbers})
schedules = st.fixed_dictionaries(
    {"chargingRateUnit": st.sampled_from(("A", "W")), "chargingSchedulePeriod": st.lists(periods, max_size=3)},
    optional={"duration": numbers, "startSchedule": times, "minChargingRate": limits},
)
PURPOSES = st.sampled_from(("ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"))
profiles = st.fixed_dictionaries(
    {
        "chargingProfileId": numbers,
        "stackLevel": numbers,
        "chargingProfilePurpose": PURPOSES,
        "chargingProfileKind": st.sampled_from(("Absolute", "Recurring", "Relative")),
        "chargingSchedule": schedules,
    },
    optional={"transactionId": numbers, "recurrencyKind": st.sampled_from(("Daily", "Weekly")), "validFrom": times, "validTo": times},
)
infos = st.fixed_dictionaries(
    {"status": st.sampled_from(("Accepted", "Blocked", "ConcurrentTx"))}, optional={"expiryDate": times, "parentIdTag": tokens}
)
entries = st.fixed_dictionaries({"idTag": tokens}, optional={"idTagInfo": infos})
CALLS = st.one_of(
    st.tuples(st.just("SetChargingProfile"), st.fixed_dictionaries({"connectorId": numbers, "csChargingProfiles": profiles})),
    st.tuples(
        st.just("ClearChargingProfile"),
        st.fixed_dictionaries(
            {}, optional={"id": numbers, "connectorId": numbers, "chargingProfilePurpose": PURPOSES, "stackLevel": numbers}
        ),
    ),
    st.tuples(
        st.just("GetCompositeSchedule"),
        st.fixed_dictionaries({"connectorId": numbers, "duration": numbers}, optional={"chargingRateUnit": st.sampled_from(("A", "W"))}),
    ),
    st.tuples(
        st.just("SendLocalList"),
        st.fixed_dictionaries(
            {"listVersion": numbers, "updateType": st.sampled_from(("Full", "Differential"))},
            optional={"localAuthorizationList": st.lists(entries, max_size=4)},
        ),
    ),
    st.tuples(st.sampled_from(("GetLocalListVersion", "ClearCache")), st.just({})),
    st.tuples(
        st.just("ReserveNow"),
        st.fixed_dictionaries(
            {"connectorId": numbers, "expiryDate": times, "idTag": tokens, "reservationId": numbers}, optional={"parentIdTag": tokens}
        ),
    ),
    st.tuples(st.just("CancelReservation"), st.fixed_dictionaries({"reservationId": numbers})),
)


class Rooms:
    """The three rooms on a folder, and the limits that they told."""

    def __init__(self, folder: Path) -> None:
        self.limits: dict[int, ChargingLimit] = {}
        site = Site({1: Outlet(22_000.0, 3), 2: Outlet(50_000.0)}, {})
        self.charging = SmartCharging(KeptFile(folder / "p.json"), CONFIG, site, self.limits.__setitem__)
        self.tokens = LocalTokens(KeptFile(folder / "l.json"), KeptFile(folder / "c.json"), lambda: CONFIG, lambda: None)
        self.reservations = Reservations(KeptFile(folder / "r.json"), lambda: {1: Status.CHARGING, 2: Status.AVAILABLE})
        self.handlers: Mapping[str, Any] = {**self.charging.handlers(), **self.tokens.handlers(), **self.reservations.handlers()}
        self.follow()

    def follow(self) -> None:
        self.charging.follow(RUNS, (), NOW)
        self.reservations.follow(NOW)

    def call(self, action: str, payload: Mapping[str, Any]) -> Any:
        try:
            return self.handlers[action](payload, NOW)
        except Refused as error:
            return error.code

    @property
    def known(self) -> Any:
        """What a driver or a CSMS could see of the state."""
        verdicts = [repr(self.tokens.known(token, NOW)) for token in ("A", "B", "C", "D")]
        barred = [self.reservations.bars(evse, token, "") for evse in (1, 2) for token in ("A", "B")]
        shown = {evse: repr(limit) for evse, limit in self.limits.items()}
        return (
            verdicts,
            barred,
            shown,
            self.call("GetLocalListVersion", {}),
            self.call("GetCompositeSchedule", {"connectorId": 0, "duration": 86400}),
        )


@given(st.lists(CALLS, min_size=1, max_size=8), st.lists(st.tuples(tokens, infos), max_size=3))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_fits_a_schema_is_answered_and_what_was_accepted_outlives_a_restart(
    tmp_path: Path, calls: list[tuple[str, Any]], heard: list[tuple[str, Any]]
) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    rooms = Rooms(tmp_path)
    for token, info in heard:
        rooms.tokens.heard(token, info, NOW)
    for action, payload in calls:
        before = rooms.known
        answer = rooms.call(action, payload)
        rooms.follow()
        assert isinstance(answer, Mapping) or answer == "PropertyConstraintViolation"
        if isinstance(answer, Mapping):
            asyncio.run(validate_payload(CallResult("1", answer, action), "1.6"))
        if answer == "PropertyConstraintViolation" or answer.get("status") not in (None, "Accepted"):
            assert rooms.known == before, f"{action} was answered {answer} and changed something"
        assert all(not max(limit.power, limit.current) >= 1e9 for limit in rooms.limits.values())
        assert all(limit.power != limit.power or (isfinite(limit.power) and limit.power >= 0.0) for limit in rooms.limits.values())
    assert Rooms(tmp_path).known == rooms.known


@pytest.mark.parametrize("name", ["p.json", "l.json", "c.json", "r.json"])
def test_files_of_others_are_put_aside_and_harm_nobody(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"version": "A"')
    assert Rooms(tmp_path).call("GetLocalListVersion", {}) == {"listVersion": 0}
    assert (tmp_path / f"{name}.damaged").exists()
