"""Registration, verdicts, configuration keys and the answers to calls of the CSMS."""

from dataclasses import replace
from typing import Any

import pytest

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_actions import FROM_CSMS
from evse_core.ocpp16_authorization import Question, decide, from_id_tag_info, offline
from evse_core.ocpp16_configuration import BOOLEAN, INTEGER, KEYS, StationFacts, change, get, problems, refusal, restored
from evse_core.ocpp16_registration import RegistrationRule, clock_error
from evse_core.ocpp16_requests import (
    SUPPORTED,
    Connector,
    Decision,
    KeepProfile,
    Refused,
    Reset,
    Send,
    SetAvailability,
    StartSession,
    Station,
    StopSession,
    Unlock,
)
from evse_core.ocpp16_requests import decide as decide_call
from evse_core.ocpp16_status import Status
from evse_core.types import Authorization, Registration, StopCause, Verdict, VerdictSource

CONFIG = OcppConfig(url="ws://127.0.0.1:1")


# Registration


def test_accepted_means_heartbeats_at_the_interval_of_the_csms() -> None:
    rule = RegistrationRule(300.0, 30.0)
    assert rule.boot_due(0.0)
    assert not rule.may_call
    assert rule.on_boot_answer("Accepted", 10, 100.0)
    assert (rule.state, rule.may_call, rule.boot_due(1e9)) == (Registration.ACCEPTED, True, False)
    rule.on_sent(100.0)
    assert [rule.heartbeat_due(now) for now in (109.9, 110.0)] == [False, True]
    rule.on_sent(105.0)  # Any call counts as a sign of life.
    assert not rule.heartbeat_due(110.0)
    rule.probe()
    assert rule.heartbeat_due(105.1)


@pytest.mark.parametrize("interval", [0, -5, None, "10", True])
def test_without_a_usable_interval_the_station_chooses(interval: object) -> None:
    rule = RegistrationRule(300.0, 30.0)
    rule.on_boot_answer("Accepted", interval, 0.0)
    assert rule.heartbeat_interval == 300.0


@pytest.mark.parametrize(("word", "answers"), [("Pending", True), ("Rejected", False)])
def test_a_station_that_is_not_accepted_waits_and_asks_again(word: str, answers: bool) -> None:
    rule = RegistrationRule(300.0, 30.0)
    rule.on_boot_answer(word, 60, 100.0)
    assert (rule.may_call, rule.may_answer) == (False, answers)
    assert [rule.boot_due(now) for now in (159.9, 160.0)] == [False, True]
    assert not rule.heartbeat_due(1e9)


@pytest.mark.parametrize("word", [None, 7, "accepted", "Welcome", ["Accepted"]])
def test_a_boot_answer_that_says_nothing_is_asked_again(word: object) -> None:
    rule = RegistrationRule(300.0, 30.0)
    assert not rule.on_boot_answer(word, 60, 100.0)
    assert (rule.state, rule.boot_due(129.9), rule.boot_due(130.0)) == (Registration.UNKNOWN, False, True)


def test_a_restart_boots_again() -> None:
    rule = RegistrationRule(300.0, 30.0)
    rule.on_boot_answer("Accepted", 60, 0.0)
    rule.restart(5.0)
    assert (rule.state, rule.boot_due(5.0)) == (Registration.UNKNOWN, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:01:40Z", 40.0),
        ("1970-01-01T00:01:40", 40.0),
        ("1970-01-01T02:01:40+02:00", 40.0),
        ("soon", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_the_clock_of_the_csms_is_compared(text: object, expected: float | None) -> None:
    assert clock_error(text, 60.0) == expected


# Verdicts

ASK = None
WELCOME = Authorization(token="A", verdict=Verdict.ACCEPTED, source=VerdictSource.CACHE)
UNWELCOME = replace(WELCOME, verdict=Verdict.EXPIRED)


@pytest.mark.parametrize(
    ("question", "config", "online", "expected"),
    [
        (Question("A"), CONFIG, True, ASK),
        (Question("A"), CONFIG, False, (Verdict.INVALID, VerdictSource.OFFLINE)),
        (Question("A"), replace(CONFIG, allow_offline_tx_for_unknown_id=True), False, (Verdict.ACCEPTED, VerdictSource.OFFLINE)),
        (Question("A"), replace(CONFIG, allow_offline_tx_for_unknown_id=True), True, ASK),
        (
            Question("A", known=Authorization(token="A", verdict=Verdict.BLOCKED, source=VerdictSource.LIST)),
            replace(CONFIG, allow_offline_tx_for_unknown_id=True, local_authorize_offline=False),
            False,
            (Verdict.BLOCKED, VerdictSource.LIST),
        ),
        (Question("A", known=WELCOME), CONFIG, False, (Verdict.ACCEPTED, VerdictSource.CACHE)),
        (Question("A", known=WELCOME), replace(CONFIG, local_authorize_offline=False), False, (Verdict.INVALID, VerdictSource.OFFLINE)),
        (Question("A", known=WELCOME), CONFIG, True, ASK),
        (Question("A", known=WELCOME), replace(CONFIG, local_pre_authorize=True), True, (Verdict.ACCEPTED, VerdictSource.CACHE)),
        (Question("A", known=UNWELCOME), replace(CONFIG, local_pre_authorize=True), True, ASK),
        (Question("A", remote=True), CONFIG, True, (Verdict.ACCEPTED, VerdictSource.CSMS)),
        (Question("A", remote=True), CONFIG, False, (Verdict.ACCEPTED, VerdictSource.CSMS)),
        (Question("A", remote=True), replace(CONFIG, authorize_remote_tx_requests=True), True, ASK),
        (Question("A"), OcppConfig(url=""), False, (Verdict.ACCEPTED, VerdictSource.FREE)),
        (Question(""), CONFIG, True, (Verdict.INVALID, VerdictSource.OFFLINE)),
        (Question("X" * 20), CONFIG, True, ASK),
        (Question("X" * 21), CONFIG, True, (Verdict.INVALID, VerdictSource.OFFLINE)),
    ],
)
def test_who_decides_on_a_token(question: Question, config: OcppConfig, online: bool, expected: Any) -> None:
    found = decide(question, config, online)
    assert (found and (found.verdict, found.source)) == expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"status": "Accepted", "parentIdTag": "P"}, (Verdict.ACCEPTED, "P")),
        ({"status": "Blocked"}, (Verdict.BLOCKED, "")),
        ({"status": "Expired"}, (Verdict.EXPIRED, "")),
        ({"status": "Invalid"}, (Verdict.INVALID, "")),
        ({"status": "ConcurrentTx"}, (Verdict.CONCURRENT, "")),
        ({"status": "Nonsense"}, (Verdict.INVALID, "")),
        ({"status": "Accepted", "parentIdTag": 7}, (Verdict.ACCEPTED, "")),
        ({"status": 7}, None),
        ({}, None),
        (None, None),
        ("Accepted", None),
    ],
)
def test_an_id_tag_info_that_is_not_understood_never_accepts(info: object, expected: Any) -> None:
    found = from_id_tag_info("A", info)
    assert (found and (found.verdict, found.parent_token)) == expected


def test_the_offline_verdict_names_its_token() -> None:
    assert offline(Question("A"), CONFIG).token == "A"


# Configuration


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("MeterValueSampleInterval", "30", "Accepted"),
        ("metervaluesampleinterval", "0", "Accepted"),
        ("MeterValueSampleInterval", "-1", "Rejected"),
        ("MeterValueSampleInterval", "1.5", "Rejected"),
        ("MeterValueSampleInterval", "", "Rejected"),
        ("HeartbeatInterval", "60", "Accepted"),
        ("HeartbeatInterval", "0", "Rejected"),
        ("HeartbeatInterval", "nan", "Rejected"),
        ("StopTransactionOnInvalidId", "FALSE", "Accepted"),
        ("StopTransactionOnInvalidId", "maybe", "Rejected"),
        ("MeterValuesSampledData", "Voltage,SoC", "Accepted"),
        ("MeterValuesSampledData", "Voltage,RPM", "Rejected"),
        ("WebSocketPingInterval", "10", "RebootRequired"),
        ("NumberOfConnectors", "2", "Rejected"),
        ("LocalPreAuthorize", "true", "Accepted"),
        ("LocalAuthListMaxLength", "1", "Rejected"),
        ("ClockAlignedDataInterval", "900", "Accepted"),
        ("ClockAlignedDataInterval", "-1", "Rejected"),
        ("ClockAlignedDataInterval", "86401", "Rejected"),
        ("StopTxnSampledData", "", "Accepted"),
        ("StopTxnAlignedData", "Voltage, SoC", "Accepted"),
        ("MeterValuesAlignedData", "Voltage,Smell", "Rejected"),
        ("ConnectorPhaseRotation", "0.RST,1.NotApplicable", "Accepted"),
        ("ConnectorPhaseRotation", "0.RST,0.RTS", "Rejected"),
        ("ConnectorPhaseRotation", "1.ABC", "Rejected"),
        ("ResetRetries", "3", "Accepted"),
        ("Nonsense", "2", "NotSupported"),
        ("url", "ws://elsewhere", "NotSupported"),
    ],
)
def test_a_change_of_a_key_is_answered_and_nothing_changes_unless_accepted(name: str, value: str, status: str) -> None:
    result = change(CONFIG, name, value)
    assert result.status == status
    assert (result.config is not None and result.config != CONFIG) == (status in ("Accepted", "RebootRequired"))


def test_changes_are_restored_and_bad_ones_left_out() -> None:
    found = restored(CONFIG, {"MeterValueSampleInterval": "7", "HeartbeatInterval": "-3", "Gone": "1"})
    assert found == replace(CONFIG, meter_value_sample_interval=7)


# The keys that 1.6 section 9.1 requires of the core profile.
REQUIRED = (
    "AuthorizeRemoteTxRequests",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MeterValuesAlignedData",
    "MeterValuesSampledData",
    "MeterValueSampleInterval",
    "NumberOfConnectors",
    "ResetRetries",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnAlignedData",
    "StopTxnSampledData",
    "SupportedFeatureProfiles",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
)


def test_all_required_keys_are_there() -> None:
    found = {item["key"]: item for item in get(CONFIG, StationFacts(3))["configurationKey"]}
    assert set(REQUIRED) <= set(found)
    assert found["NumberOfConnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "3"}
    assert found["HeartbeatInterval"] == {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
    assert found["StopTransactionOnInvalidId"]["value"] == "true"
    assert len({key.name.lower() for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_has_a_value_of_its_type_and_a_writable_one_takes_its_own_value(key: Any) -> None:
    found = get(CONFIG, StationFacts(2, phase_switching=True), [key.name])["configurationKey"][0]
    assert found["readonly"] is not key.writable
    if key.kind == INTEGER:
        assert str(int(found["value"])) == found["value"]
    if key.kind == BOOLEAN:
        assert found["value"] in ("true", "false")
    assert ("value" in found) is key.readable
    assert change(CONFIG, key.name.upper(), found.get("value", "ab" * 16)).status == (
        "Rejected" if not key.writable else "RebootRequired" if key.reboot else "Accepted"
    )


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("MeterValueSampleInterval", 30, ""),
        ("LocalPreAuthorize", True, ""),
        ("NumberOfConnectors", 2, "no key that can be set"),
        ("Nonsense", 2, "no key that can be set"),
        ("MeterValueSampleInterval", -1, "-1 is no value"),
        ("MeterValueSampleInterval", True, "True is no value"),
    ],
)
def test_initial_values_are_held_against_the_same_table(name: str, value: object, word: str) -> None:
    assert (word in refusal(name, value)) if word else not refusal(name, value)


def test_named_keys_are_found_whatever_their_case_and_unknown_ones_are_named() -> None:
    found = get(CONFIG, StationFacts(1), ["heartbeatINTERVAL", "Nonsense"])
    assert [item["key"] for item in found["configurationKey"]] == ["HeartbeatInterval"]
    assert found["unknownKey"] == ["Nonsense"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"url": "http://x"}, "url"),
        ({"charge_point_id": ""}, "charge_point_id"),
        ({"meter_values_sampled_data": "Smell"}, "Smell"),
        ({"firmware_version": 1.2}, "firmware_version"),
        ({"stop_transaction_on_invalid_id": 1}, "stop_transaction_on_invalid_id"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], word: str) -> None:
    assert problems(CONFIG) == []
    assert word in problems(replace(CONFIG, **changes))[0]


# Calls of the CSMS

FREE = Connector(Status.AVAILABLE)
PLUGGED = Connector(Status.PREPARING)
HELD = Connector(Status.RESERVED)
BUSY = Connector(Status.CHARGING, session_active=True)
BROKEN = Connector(Status.FAULTED)


def station(
    *connectors: Connector, registration: Registration = Registration.ACCEPTED, config: OcppConfig = CONFIG, **changes: Any
) -> Station:
    return Station(config, registration, dict(enumerate(connectors, 1)), **changes)


def answer(action: str, payload: dict[str, Any], at: Station) -> Decision:
    return decide_call(action, payload, at)


@pytest.mark.parametrize(
    ("connectors", "connector", "evse"),
    [
        ((FREE,), 1, 1),
        ((PLUGGED,), None, 1),
        ((FREE, PLUGGED), None, 2),
        ((BUSY, FREE), None, 2),
        ((BUSY, FREE), 1, None),
        ((BUSY,), None, None),
        ((BROKEN,), 1, None),
        ((FREE,), 2, None),
        ((FREE,), 0, None),
        ((HELD,), 1, 1),
        ((FREE, HELD), None, 2),
    ],
)
def test_a_remote_start_goes_to_a_connector_that_can(connectors: tuple[Connector, ...], connector: int | None, evse: int | None) -> None:
    payload: dict[str, Any] = {"idTag": "A"} | ({} if connector is None else {"connectorId": connector})
    found = answer("RemoteStartTransaction", payload, station(*connectors))
    if evse is None:
        assert found == Decision({"status": "Rejected"})
    else:
        assert found == Decision({"status": "Accepted"}, (StartSession(evse, "A", authorized=True),), {"status": "Rejected"})


def test_a_remote_start_keeps_away_from_what_others_have_reserved() -> None:
    assert answer("RemoteStartTransaction", {"idTag": "A", "connectorId": 1}, station(HELD, barred=frozenset({1}))).answer == {
        "status": "Rejected"
    }
    at = station(HELD, FREE, barred=frozenset({1}))
    assert answer("RemoteStartTransaction", {"idTag": "A"}, at).requests == (StartSession(2, "A", authorized=True),)


def test_a_profile_comes_with_its_remote_start() -> None:
    found = answer("RemoteStartTransaction", {"idTag": "A", "chargingProfile": {"x": 1}}, station(FREE))
    assert found.effects == (KeepProfile(1, "A", {"x": 1}),)


def test_a_remote_start_is_authorised_by_the_csms_where_configured() -> None:
    at = station(FREE, config=replace(CONFIG, authorize_remote_tx_requests=True))
    assert answer("RemoteStartTransaction", {"idTag": "A"}, at).requests == (StartSession(1, "A", authorized=False),)


def test_remote_commands_are_rejected_while_pending() -> None:
    at = station(FREE, registration=Registration.PENDING, transactions={5: (1, "s")})
    assert answer("RemoteStartTransaction", {"idTag": "A"}, at) == Decision({"status": "Rejected"})
    assert answer("RemoteStopTransaction", {"transactionId": 5}, at) == Decision({"status": "Rejected"})


def test_a_remote_stop_names_its_session() -> None:
    at = station(BUSY, BUSY, transactions={5: (2, "s")})
    assert answer("RemoteStopTransaction", {"transactionId": 5}, at).requests == (StopSession(2, StopCause.REMOTE, "s"),)
    assert answer("RemoteStopTransaction", {"transactionId": 6}, at) == Decision({"status": "Rejected"})


@pytest.mark.parametrize(
    ("connector", "kind", "status", "evses"),
    [
        (1, "Inoperative", "Accepted", [1]),
        (2, "Inoperative", "Scheduled", [2]),
        (2, "Operative", "Accepted", [2]),
        (0, "Inoperative", "Scheduled", [1, 2]),
        (0, "Operative", "Accepted", [1, 2]),
        (3, "Inoperative", "Rejected", []),
    ],
)
def test_availability_waits_for_a_running_session(connector: int, kind: str, status: str, evses: list[int]) -> None:
    found = answer("ChangeAvailability", {"connectorId": connector, "type": kind}, station(FREE, BUSY))
    assert found.answer == {"status": status}
    assert found.requests == tuple(SetAvailability(evse, kind == "Operative") for evse in evses)


@pytest.mark.parametrize(
    ("message", "connector", "status", "effect"),
    [
        ("StatusNotification", None, "Accepted", Send("StatusNotification", (0, 1, 2))),
        ("StatusNotification", 0, "Accepted", Send("StatusNotification", (0,))),
        ("MeterValues", None, "Accepted", Send("MeterValues", (1, 2))),
        ("MeterValues", 2, "Accepted", Send("MeterValues", (2,))),
        ("Heartbeat", None, "Accepted", Send("Heartbeat", (1, 2))),
        ("MeterValues", 3, "Rejected", None),
        ("MeterValues", 0, "Rejected", None),
        ("BootNotification", None, "Rejected", None),
        ("DiagnosticsStatusNotification", None, "Accepted", Send("DiagnosticsStatusNotification", (1, 2))),
        ("Nonsense", None, "NotImplemented", None),
    ],
)
def test_triggers(message: str, connector: int | None, status: str, effect: Send | None) -> None:
    payload: dict[str, Any] = {"requestedMessage": message} | ({} if connector is None else {"connectorId": connector})
    found = answer("TriggerMessage", payload, station(FREE, FREE))
    assert found.answer == {"status": status}
    assert found.effects == (() if effect is None else (effect,))


@pytest.mark.parametrize(
    ("message", "cpo_name", "status", "effect"),
    [
        ("SignChargePointCertificate", "", "Rejected", None),
        ("SignChargePointCertificate", "operator", "Accepted", Send("SignChargePointCertificate")),
        ("FirmwareStatusNotification", "", "Accepted", Send("SignedFirmwareStatusNotification")),
        ("Heartbeat", "", "Accepted", Send("Heartbeat", (1,))),
    ],
)
def test_extended_triggers(message: str, cpo_name: str, status: str, effect: Send | None) -> None:
    at = replace(station(FREE), config=replace(CONFIG, cpo_name=cpo_name))
    found = answer("ExtendedTriggerMessage", {"requestedMessage": message}, at)
    assert (found.answer, found.effects) == ({"status": status}, () if effect is None else (effect,))


def test_other_calls() -> None:
    at = station(FREE)
    assert answer("UnlockConnector", {"connectorId": 1}, at) == Decision({"status": "Unlocked"}, (Unlock(1),), {"status": "UnlockFailed"})
    assert answer("UnlockConnector", {"connectorId": 2}, at) == Decision({"status": "NotSupported"})
    assert answer("Reset", {"type": "Hard"}, at).effects == (Reset("Hard"),)
    assert answer("DataTransfer", {"vendorId": "x"}, at).answer == {"status": "UnknownVendorId"}


@pytest.mark.parametrize("action", sorted(FROM_CSMS - set(SUPPORTED)))
def test_known_actions_without_support_are_not_supported(action: str) -> None:
    with pytest.raises(Refused) as caught:
        answer(action, {}, station(FREE))
    assert caught.value.code == "NotSupported"


def test_unknown_actions_are_not_implemented() -> None:
    with pytest.raises(Refused) as caught:
        answer("Dance", {}, station(FREE))
    assert caught.value.code == "NotImplemented"
