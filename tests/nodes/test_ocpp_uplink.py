"""ocpp_uplink against the CSMS simulator as a process: what is told, what is billed, and what survives."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import evse_msgs.srv
from ocpp_bench import Bench, wait_for

from evse_core.types import ChargeState, FaultEvent, Reaction, StopCause, Verdict, VerdictSource


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.end()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, evses=2)
    yield made
    made.end()


def statuses(csms: Any, connector: int) -> list[str]:
    return [item["status"] for item in csms.ask("list")["stations"]["EVSE-1"]["statuses"] if item["connector"] == connector]


def test_a_session_online_is_told_from_boot_to_bill(bench: Bench) -> None:
    csms, evse = bench.csms("--token", "ABC", "--price", "0.40"), bench.station[1]
    bench.uplink(csms.url, meter_value_sample_interval=1, vendor="Maker", model="Box", serial_number="S1", firmware_version="1.2")
    bench.until_registered()
    evse.go(ChargeState.PREPARING, plugged=True)
    evse.go(ChargeState.AUTHORIZING, token="ABC")
    verdict = wait_for(lambda: evse.heard["authorization"], "a verdict")[0]
    assert (verdict.token, verdict.verdict, verdict.source) == ("ABC", Verdict.ACCEPTED, VerdictSource.CSMS)
    record = evse.begin("session-1")
    number = wait_for(lambda: [t.transaction_id for t in evse.heard["transaction"] if t.transaction_id], "a transaction id")[0]
    wait_for(lambda: csms.transactions()[0]["meter_values"], "a sample")
    evse.finish(record, 1234.567, StopCause.REMOTE)
    bill = wait_for(csms.stopped, "a bill")[0]
    assert (bill["transaction_id"], bill["id_tag"], bill["reason"], bill["connector"]) == (number, "ABC", "Remote", 1)
    assert bill["energy_wh"] == pytest.approx(1234.567, abs=0.0011)
    assert bill["cost"] == 49
    assert (bill["meter_start"], bill["meter_stop"]) == (1000, 2235)
    told = wait_for(lambda: [t for t in evse.heard["transaction"] if t.stop_confirmed], "the confirmation")[0]
    assert told.energy_wh == pytest.approx(bill["energy_wh"], abs=1e-6)
    sample = {value["measurand"]: float(value["value"]) for value in bill["meter_values"][0]["sampledValue"]}
    assert sample == {"Energy.Active.Import.Register": 1000.25, "Power.Active.Import": 40000.0, "Voltage": 400.0, "Current.Import": 100.0}
    seen = csms.ask("list")
    assert seen["stations"]["EVSE-1"]["identity"]["charge_point_vendor"] == "Maker"
    assert seen["arrivals"][0] == "EVSE-1 BootNotification"
    assert seen["violations"] == []
    wait_for(lambda: statuses(csms, 1)[-3:] == ["Preparing", "Charging", "Finishing"], "the statuses")
    assert statuses(csms, 0)[-1] == "Available"


def test_a_session_charged_while_the_csms_is_away_is_billed_once_and_in_order(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    bench.uplink(csms.url, meter_value_sample_interval=1, allow_offline_tx_for_unknown_id=True)
    bench.until_registered()
    csms.ask("away", seconds=6.0)
    wait_for(lambda: not bench.station.states[-1].connected, "the loss of the connection")
    evse.go(ChargeState.AUTHORIZING, token="OFFLINE")
    asked = time.monotonic()
    verdict = wait_for(lambda: evse.heard["authorization"], "a verdict")[0]
    assert (verdict.verdict, verdict.source) == (Verdict.ACCEPTED, VerdictSource.OFFLINE)
    assert time.monotonic() - asked < 1.0
    record = evse.begin("away-1", "OFFLINE")
    time.sleep(1.3)
    evse.finish(record, 500.5)
    second = evse.begin("away-2", "OFFLINE", 1500.75)
    evse.finish(second, 100.0)
    wait_for(lambda: bench.station.states[-1].queued >= 5, "the messages in the queue")
    bills = wait_for(lambda: len(csms.stopped()) == 2 and csms.stopped(), "both bills")
    bench.until_drained()
    assert [bill["energy_wh"] for bill in bills] == pytest.approx([500.5, 100.0], abs=0.0011)
    assert [len(bill["meter_values"]) >= 1 for bill in bills] == [True, False]
    assert [bill["duplicate_starts"] + bill["duplicate_stops"] for bill in bills] == [0, 0]
    sent = [name for name in csms.arrivals() if name in ("StartTransaction", "MeterValues", "StopTransaction")]
    assert sent[0] == "StartTransaction"
    assert sent[-3:] == ["StopTransaction", "StartTransaction", "StopTransaction"]
    assert csms.arrivals().count("BootNotification") == 1
    assert csms.ask("list")["violations"] == []


def test_offline_without_policy_an_unknown_token_is_refused_at_once(bench: Bench) -> None:
    evse = bench.station[1]
    bench.uplink("ws://127.0.0.1:9")
    wait_for(lambda: bench.station.states, "the uplink")
    evse.go(ChargeState.AUTHORIZING, token="ABC")
    verdict = wait_for(lambda: evse.heard["authorization"], "a verdict", 3.0)[0]
    assert (verdict.verdict, verdict.source) == (Verdict.INVALID, VerdictSource.OFFLINE)


def test_without_csms_charging_is_free_and_never_billed_later(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    first = bench.uplink("")
    wait_for(lambda: bench.station.states, "the uplink")
    evse.go(ChargeState.AUTHORIZING, token="ABC")
    verdict = wait_for(lambda: evse.heard["authorization"], "a verdict")[0]
    assert (verdict.verdict, verdict.source) == (Verdict.ACCEPTED, VerdictSource.FREE)
    record = evse.begin("free-1")
    time.sleep(0.5)
    evse.finish(record, 900.0)
    time.sleep(0.5)
    first.send_signal(signal.SIGINT)
    assert first.wait(15) == 0
    bench.uplink(csms.url)
    wait_for(csms.connected, "the connection")
    paid = evse.begin("paid-1", register=5000.0)
    evse.finish(paid, 10.0)
    wait_for(csms.stopped, "the bill of the second session")
    assert [item["meter_start"] for item in csms.transactions()] == [5000]


def test_a_killed_uplink_bills_the_running_session_once(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    first = bench.uplink(csms.url)
    bench.until_registered()
    record = evse.begin("killed-1")
    wait_for(lambda: [t for t in evse.heard["transaction"] if t.transaction_id], "a transaction id")
    first.kill()
    first.wait()
    evse.heard["transaction"].clear()
    evse.finish(record, 777.0)
    bench.uplink(csms.url)
    bills = wait_for(csms.stopped, "the bill")
    bench.until_drained()
    assert [(bill["energy_wh"], bill["duplicate_starts"], bill["duplicate_stops"]) for bill in bills] == [
        (pytest.approx(777.0, abs=0.0011), 0, 0)
    ]
    assert len(csms.transactions()) == 1
    third = bench.uplink(csms.url, data_dir=str(bench.directory / "other"))
    wait_for(lambda: csms.transactions()[0]["duplicate_starts"], "the repetition from an empty queue, which the CSMS knows")
    assert len(csms.transactions()) == 1
    third.kill()


@pytest.mark.parametrize("action", ["StartTransaction", "StopTransaction"])
def test_an_answer_that_is_lost_with_the_connection_leads_to_a_recognisable_repetition(bench: Bench, action: str) -> None:
    csms, evse = bench.csms(), bench.station[1]
    bench.uplink(csms.url)
    bench.until_registered()
    csms.ask("misbehave", kind="lose_answer", action=action)
    record = evse.begin("lost-1")
    evse.finish(record, 321.0)
    counter = "duplicate_starts" if action == "StartTransaction" else "duplicate_stops"
    wait_for(lambda: csms.stopped() and csms.stopped()[0][counter], "the repetition")
    bench.until_drained()
    bills = csms.transactions()
    assert [(bill["duplicate_starts"] + bill["duplicate_stops"], bill[counter]) for bill in bills] == [(1, 1)]
    assert bills[0]["energy_wh"] == pytest.approx(321.0, abs=0.0011)
    assert csms.ask("list")["violations"] == []


def test_a_refused_message_is_tried_again_and_given_up_after_its_attempts(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    bench.uplink(csms.url, transaction_message_attempts=2)
    bench.until_registered()
    csms.ask("misbehave", kind="error", action="StartTransaction", count=3)
    record = evse.begin("refused-1")
    evse.finish(record, 50.0)
    wait_for(lambda: "stop of the unknown transaction -1" in str(csms.ask("list")["violations"]), "the stop with transaction -1")
    assert csms.arrivals().count("StartTransaction") == 0  # Scripted errors are answered before they are noted.
    second = evse.begin("fine-2", register=2000.0)
    evse.finish(second, 60.0)
    bill = wait_for(csms.stopped, "the bill of the next session")[0]
    assert bill["energy_wh"] == pytest.approx(60.0, abs=0.0011)


def test_a_token_that_start_transaction_refuses_is_reported_while_the_session_runs(bench: Bench) -> None:
    csms, evse = bench.csms("--token", "BAD=Blocked"), bench.station[1]
    bench.uplink(csms.url)
    bench.until_registered()
    evse.begin("refused-2", "BAD")
    verdict = wait_for(lambda: evse.heard["authorization"], "the verdict")[0]
    assert (verdict.token, verdict.verdict) == ("BAD", Verdict.BLOCKED)


def test_power_is_taken_from_a_refused_session_that_is_not_to_be_stopped(bench: Bench) -> None:
    csms, evse = bench.csms("--token", "BAD=Invalid"), bench.station[1]
    bench.uplink(csms.url, stop_transaction_on_invalid_id=False)
    bench.until_registered()
    record = evse.begin("refused-3", "BAD")
    wait_for(lambda: evse.heard["charging_limit"][-1].power == 0.0, "the limit")
    evse.finish(record, 1.0)
    wait_for(lambda: evse.heard["charging_limit"][-1].power != 0.0, "the end of the limit")
    assert evse.heard["authorization"] == []


def test_remote_start_and_stop_reach_the_evse(two: Bench) -> None:
    csms, evse = two.csms(), two.station[2]
    two.uplink(csms.url)
    two.until_registered()
    evse.go(ChargeState.PREPARING, plugged=True)
    wait_for(lambda: statuses(csms, 2)[-1:] == ["Preparing"], "the status")
    assert csms.ask("remote_start", charge_point="EVSE-1", token="REMOTE")["status"] == "Accepted"
    assert [(item.token, item.authorized) for item in evse.requests] == [("REMOTE", True)]
    assert csms.ask("remote_start", charge_point="EVSE-1", connector=7, token="REMOTE")["status"] == "Rejected"
    evse.begin("remote-1", "REMOTE")
    number = wait_for(csms.transactions, "the transaction")[0]["transaction_id"]
    wait_for(lambda: [t for t in evse.heard["transaction"] if t.transaction_id], "the transaction id")
    assert csms.ask("remote_stop", transaction_id=number)["status"] == "Accepted"
    assert (evse.requests[-1].session_id, evse.requests[-1].stop_cause) == ("remote-1", StopCause.REMOTE)
    evse.willing = False
    assert csms.ask("remote_stop", transaction_id=number)["status"] == "Rejected"
    assert two.station[1].requests == []


def test_a_remote_started_token_is_asked_for_only_where_configured(bench: Bench) -> None:
    csms, evse = bench.csms("--token", "OTHER"), bench.station[1]
    bench.uplink(csms.url)
    bench.until_registered()
    evse.go(ChargeState.AUTHORIZING, token="REMOTE", remote_start=True)
    assert wait_for(lambda: evse.heard["authorization"], "a verdict")[-1].verdict == Verdict.ACCEPTED
    answer = csms.ask(
        "call", charge_point="EVSE-1", action="ChangeConfiguration", payload={"key": "authorizeremotetxrequests", "value": "true"}
    )
    assert answer == {"payload": {"status": "Accepted"}}
    evse.go(ChargeState.AVAILABLE, token="", remote_start=False)
    time.sleep(0.3)
    evse.go(ChargeState.AUTHORIZING, token="REMOTE", remote_start=True)
    assert (
        wait_for(lambda: len(evse.heard["authorization"]) == 2 and evse.heard["authorization"], "a verdict")[-1].verdict == Verdict.INVALID
    )


def test_the_authorize_service_asks_the_csms(bench: Bench) -> None:
    csms = bench.csms("--token", "GOOD=Accepted:GROUP", "--token", "OLD=Expired")
    bench.uplink(csms.url)
    bench.until_registered()
    service = evse_msgs.srv.Authorize
    answers = {token: bench.station.call(service, "/authorize", service.Request(token=token)) for token in ("GOOD", "OLD", "X" * 21)}
    assert (answers["GOOD"].verdict, answers["GOOD"].parent_token) == (Verdict.ACCEPTED, "GROUP")
    assert answers["OLD"].verdict == Verdict.EXPIRED
    assert answers["X" * 21].verdict == Verdict.INVALID


def test_garbage_and_misbehaviour_do_not_stop_the_uplink(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    uplink = bench.uplink(csms.url)
    bench.until_registered()
    for kind in ("garbage", "broken", "error", "slow", "close", "silent"):
        csms.ask("misbehave", kind=kind, action="Authorize")
        evse.heard["authorization"].clear()
        evse.go(ChargeState.AUTHORIZING, token=f"T{kind}")
        expected = Verdict.ACCEPTED if kind in ("garbage", "slow") else Verdict.INVALID
        if kind == "slow":  # 2 s on both sides: either verdict is right, but there must be one.
            expected = wait_for(lambda: evse.heard["authorization"], "a verdict")[-1].verdict
        assert wait_for(lambda: evse.heard["authorization"], f"a verdict after {kind}")[-1].verdict == expected, kind
        evse.go(ChargeState.AVAILABLE)
        wait_for(lambda: csms.connected() and bench.station.states[-1].connected, "the connection")
    for kind in ("garbage", "garbage", "broken", "silent"):
        csms.ask("misbehave", kind=kind, action="StopTransaction")
    record = evse.begin("hard-1")
    evse.finish(record, 42.0)
    wait_for(csms.stopped, "the bill")
    assert uplink.poll() is None


def test_calls_of_the_csms_get_the_answers_of_the_protocol(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    bench.uplink(csms.url)
    bench.until_registered()
    wait_for(lambda: statuses(csms, 1)[-1:] == ["Available"], "the status")

    def call(action: str, **payload: Any) -> Any:
        answer = csms.ask("call", charge_point="EVSE-1", action=action, payload=payload)
        return answer.get("code") or answer["payload"].get("status", answer["payload"])

    assert call("SetChargingProfile", connectorId=1, csChargingProfiles={}) in ("NotSupported", "ProtocolError")
    assert call("ClearChargingProfile") == "NotSupported"
    assert call("Dance") == "NotImplemented"
    assert call("Reset", type="Medium") == "PropertyConstraintViolation"
    assert call("Reset") == "ProtocolError"
    assert call("Reset", type="Soft", more=1) == "FormationViolation"
    assert call("RemoteStopTransaction", transactionId="1") == "TypeConstraintViolation"
    assert call("RemoteStopTransaction", transactionId=99) == "Rejected"
    assert call("ClearCache") == "Rejected"
    assert call("DataTransfer", vendorId="x") == "UnknownVendorId"
    assert call("UnlockConnector", connectorId=1) == "Unlocked"
    assert call("UnlockConnector", connectorId=9) == "NotSupported"
    assert call("ChangeAvailability", connectorId=0, type="Inoperative") == "Accepted"
    assert evse.requests[-1].data is False
    assert call("TriggerMessage", requestedMessage="BootNotification") == "Rejected"
    assert call("TriggerMessage", requestedMessage="FirmwareStatusNotification") == "NotImplemented"
    for message, name in (("Heartbeat", "Heartbeat"), ("StatusNotification", "StatusNotification"), ("MeterValues", "MeterValues")):
        before = csms.arrivals().count(name)
        assert call("TriggerMessage", requestedMessage=message) == "Accepted"
        wait_for(lambda name=name, before=before: csms.arrivals().count(name) > before, name)
    keys = {item["key"]: item["value"] for item in call("GetConfiguration")["configurationKey"]}
    assert keys["NumberOfConnectors"] == "1"
    assert call("GetConfiguration", key=["Nonsense"]) == {"configurationKey": [], "unknownKey": ["Nonsense"]}
    assert csms.ask("list")["violations"] == []


def test_a_changed_key_survives_a_restart(bench: Bench) -> None:
    csms = bench.csms()
    first = bench.uplink(csms.url)
    bench.until_registered()
    change = {"key": "MeterValueSampleInterval", "value": "17"}
    assert csms.ask("call", charge_point="EVSE-1", action="ChangeConfiguration", payload=change)["payload"]["status"] == "Accepted"
    first.kill()
    first.wait()
    bench.uplink(csms.url)
    wait_for(lambda: csms.arrivals().count("BootNotification") == 2 and csms.connected(), "the second boot")
    answer = csms.ask("call", charge_point="EVSE-1", action="GetConfiguration", payload={"key": ["MeterValueSampleInterval"]})
    assert answer["payload"]["configurationKey"][0]["value"] == "17"


def test_nothing_is_told_before_the_boot_is_accepted(bench: Bench) -> None:
    csms, evse = bench.csms("--heartbeat", "1"), bench.station[1]
    csms.ask("boot_status", status="Rejected")
    bench.uplink(csms.url)
    record = evse.begin("early-1")
    evse.finish(record, 5.0)
    wait_for(lambda: csms.arrivals().count("BootNotification") >= 2, "a second try")
    with pytest.raises(RuntimeError, match="Timeout"):
        csms.ask("call", charge_point="EVSE-1", action="ClearCache", payload={})
    csms.ask("boot_status", status="Pending")
    wait_for(lambda: bench.station.states[-1].registration == 2, "pending")
    assert csms.ask("call", charge_point="EVSE-1", action="ClearCache", payload={}) == {"payload": {"status": "Rejected"}}
    assert csms.ask("remote_start", charge_point="EVSE-1", connector=1, token="A")["status"] == "Rejected"
    assert set(csms.arrivals()) == {"BootNotification"}
    csms.ask("boot_status", status="Accepted")
    wait_for(csms.stopped, "the bill")


def test_faults_become_error_codes(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    bench.uplink(csms.url)
    bench.until_registered()
    wait_for(lambda: statuses(csms, 1)[-1:] == ["Available"], "the status")
    fault = FaultEvent(
        fault="hot", active=True, reaction=Reaction.EMERGENCY, detail="95 °C", mrec_code="CX012", ocpp16_error="HighTemperature"
    )
    evse.raise_fault(fault)
    wait_for(lambda: statuses(csms, 1)[-1] == "Faulted", "the fault")
    item = [one for one in csms.ask("list")["stations"]["EVSE-1"]["statuses"] if one["connector"] == 1][-1]
    assert (item["error_code"], item["vendor_error_code"], item["info"]) == ("HighTemperature", "CX012", "hot: 95 °C")
    wait_for(lambda: statuses(csms, 0)[-1] == "Faulted", "the station's fault")


def test_a_soft_reset_ends_the_session_and_boots_again(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    bench.uplink(csms.url)
    bench.until_registered()
    record = evse.begin("reset-1")
    wait_for(lambda: [t for t in evse.heard["transaction"] if t.transaction_id], "the transaction id")
    assert csms.ask("call", charge_point="EVSE-1", action="Reset", payload={"type": "Soft"}) == {"payload": {"status": "Accepted"}}
    wait_for(lambda: evse.requests, "the stop")
    evse.finish(record, 8.0, StopCause.REMOTE)
    wait_for(lambda: csms.arrivals().count("BootNotification") == 2, "the second boot")
    assert [item["reason"] for item in csms.stopped()] == ["SoftReset"]


def test_the_end_waits_for_the_running_session_and_its_bill(bench: Bench) -> None:
    csms, evse = bench.csms(), bench.station[1]
    uplink = bench.uplink(csms.url)
    bench.until_registered()
    record = evse.begin("last-1")
    wait_for(lambda: [t for t in evse.heard["transaction"] if t.transaction_id], "the transaction id")
    uplink.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert uplink.poll() is None
    evse.finish(record, 9.0, StopCause.SHUTDOWN)
    assert uplink.wait(5) == 0
    assert [item["reason"] for item in csms.stopped()] == ["Reboot"]


def test_a_wrong_setting_ends_with_exit_code_2(bench: Bench) -> None:
    assert bench.uplink("", message_timeout=0.1).wait(20) == 2
    assert bench.uplink("", meter_values_sampled_data="Temperature").wait(20) == 2
