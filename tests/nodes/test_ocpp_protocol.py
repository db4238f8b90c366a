"""The uplink against the CSMS simulator, without ROS: what the station says and answers, and what no CSMS can do to it."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.server
from fake_evse import wait_for
from ocpp_local import LocalBench
from websockets.exceptions import ConnectionClosed

from evse_core.ocpp16_requests import SetAvailability, SetTariff
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, ChargeState, FaultEvent, Reaction, RecordStatus, StopCause, Verdict, VerdictSource
from evse_nodes.audit_trail import entries, read


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    made = LocalBench(tmp_path)
    yield made
    made.end()


def test_offline_without_policy_an_unknown_token_is_refused_at_once(bench: LocalBench) -> None:
    evse = bench[1]
    bench.start("ws://127.0.0.1:9")
    wait_for(lambda: bench.states, "the uplink")
    evse.go(ChargeState.AUTHORIZING, token="ABC")
    verdict = wait_for(lambda: evse.heard["authorization"], "a verdict", 3.0)[0]
    assert (verdict.verdict, verdict.source) == (Verdict.INVALID, VerdictSource.OFFLINE)


def test_without_csms_charging_is_free_and_never_billed_later(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start("")
    wait_for(lambda: bench.states, "the uplink")
    evse.go(ChargeState.AUTHORIZING, token="ABC")
    verdict = wait_for(lambda: evse.heard["authorization"], "a verdict")[0]
    assert (verdict.verdict, verdict.source) == (Verdict.ACCEPTED, VerdictSource.FREE)
    record = evse.begin("free-1")
    time.sleep(0.5)
    evse.finish(record, 900.0)
    time.sleep(0.5)
    bench.start(csms.url)
    wait_for(csms.connected, "the connection")
    paid = evse.begin("paid-1", register=5000.0)
    evse.finish(paid, 10.0)
    wait_for(csms.stopped, "the bill of the second session")
    assert [item["meter_start"] for item in csms.transactions()] == [5000]


@pytest.mark.parametrize("action", ["StartTransaction", "StopTransaction"])
def test_an_answer_that_is_lost_with_the_connection_leads_to_a_recognisable_repetition(bench: LocalBench, action: str) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
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


def test_a_refused_message_is_tried_again_and_given_up_after_its_attempts(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url, transaction_message_attempts=2)
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


def test_a_token_that_start_transaction_refuses_is_reported_while_the_session_runs(bench: LocalBench) -> None:
    csms, evse = bench.csms("BAD=Blocked"), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    evse.begin("refused-2", "BAD")
    verdict = wait_for(lambda: evse.heard["authorization"], "the verdict")[0]
    assert (verdict.token, verdict.verdict) == ("BAD", Verdict.BLOCKED)


def test_power_is_taken_from_a_refused_session_that_is_not_to_be_stopped(bench: LocalBench) -> None:
    csms, evse = bench.csms("BAD=Invalid"), bench[1]
    bench.start(csms.url, stop_transaction_on_invalid_id=False)
    bench.until_registered()
    record = evse.begin("refused-3", "BAD")
    wait_for(lambda: evse.heard["charging_limit"][-1].power == 0.0, "the limit")
    evse.finish(record, 1.0)
    wait_for(lambda: evse.heard["charging_limit"][-1].power != 0.0, "the end of the limit")
    assert evse.heard["authorization"] == []


def test_a_refused_session_may_have_the_energy_that_is_configured(bench: LocalBench) -> None:
    csms, evse = bench.csms("BAD=Invalid"), bench[1]
    bench.start(csms.url, stop_transaction_on_invalid_id=False, max_energy_on_invalid_id=500)
    bench.until_registered()
    evse.begin("refused-4", "BAD", register=1000.0)
    wait_for(csms.transactions, "the start")
    for register in (1200.0, 1499.0):
        evse.meter = replace(evse.meter, register_wh=register)
        time.sleep(0.2)
        assert [limit.power for limit in evse.heard["charging_limit"] if limit.power == 0.0] == []
    evse.meter = replace(evse.meter, register_wh=1500.0)
    wait_for(lambda: evse.heard["charging_limit"][-1].power == 0.0, "the limit")


def test_a_remote_started_token_is_asked_for_only_where_configured(bench: LocalBench) -> None:
    csms, evse = bench.csms("OTHER"), bench[1]
    bench.start(csms.url)
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


def test_garbage_and_misbehaviour_do_not_stop_the_uplink(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
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
        wait_for(lambda: csms.connected() and bench.states[-1].connected, "the connection")
    for kind in ("garbage", "garbage", "broken", "silent"):
        csms.ask("misbehave", kind=kind, action="StopTransaction")
    record = evse.begin("hard-1")
    evse.finish(record, 42.0)
    wait_for(csms.stopped, "the bill")


def test_calls_of_the_csms_get_the_answers_of_the_protocol(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    wait_for(lambda: csms.statuses(1)[-1:] == ["Available"], "the status")

    call = csms.call
    assert call("GetDiagnostics", location="ftp://127.0.0.1/") == {}
    assert call("UpdateFirmware", location="ftp://127.0.0.1/x", retrieveDate="soon") == "PropertyConstraintViolation"
    assert call("Dance") == "NotImplemented"
    assert call("Reset", type="Medium") == "PropertyConstraintViolation"
    assert call("Reset") == "ProtocolError"
    assert call("Reset", type="Soft", more=1) == "FormationViolation"
    assert call("RemoteStopTransaction", transactionId="1") == "TypeConstraintViolation"
    assert call("RemoteStopTransaction", transactionId=99) == "Rejected"
    assert call("ClearCache") == "Accepted"
    assert call("DataTransfer", vendorId="x") == "UnknownVendorId"
    assert call("DataTransfer", vendorId="ros2_evse", messageId="x") == "UnknownMessageId"
    tariff = {"vendorId": "ros2_evse", "messageId": "SetTariff"}
    assert call("DataTransfer", **tariff, data='{"tariff":{"price_per_kwh":"cheap"}}') == "Rejected"
    assert call("DataTransfer", **tariff, data='{"connectorId":9,"tariff":{}}') == "Rejected"
    assert call("DataTransfer", **tariff, data='{"tariff":{"price_per_kwh":"0.30"}}') == "Accepted"
    assert evse.requests[-1] == SetTariff(1, Tariff(price_per_kwh="0.30").text(), f"CSMS {csms.url} as EVSE-1")
    assert call("UnlockConnector", connectorId=1) == "Unlocked"
    assert call("UnlockConnector", connectorId=9) == "NotSupported"
    assert call("ChangeAvailability", connectorId=0, type="Inoperative") == "Accepted"
    assert evse.requests[-1] == SetAvailability(1, False)
    assert call("TriggerMessage", requestedMessage="BootNotification") == "Rejected"
    assert call("TriggerMessage", requestedMessage="FirmwareStatusNotification") == "Accepted"
    for message, name in (("Heartbeat", "Heartbeat"), ("StatusNotification", "StatusNotification"), ("MeterValues", "MeterValues")):
        before = csms.arrivals().count(name)
        assert call("TriggerMessage", requestedMessage=message) == "Accepted"
        wait_for(lambda name=name, before=before: csms.arrivals().count(name) > before, name)
    keys = {item["key"]: item.get("value") for item in call("GetConfiguration")["configurationKey"]}
    assert keys["NumberOfConnectors"] == "1"
    assert call("GetConfiguration", key=["Nonsense"]) == {"configurationKey": [], "unknownKey": ["Nonsense"]}
    assert csms.ask("list")["violations"] == []


def test_a_changed_key_survives_a_restart(bench: LocalBench) -> None:
    csms = bench.csms()
    bench.start(csms.url)
    bench.until_registered()
    change = {"key": "MeterValueSampleInterval", "value": "17"}
    assert csms.ask("call", charge_point="EVSE-1", action="ChangeConfiguration", payload=change)["payload"]["status"] == "Accepted"
    (entry,) = entries(read(bench.directory / "data" / "audit.sqlite"))
    assert (entry.parameter, entry.new, entry.who) == ("ocpp_uplink.meter_value_sample_interval", "17", f"CSMS {csms.url} as EVSE-1")
    bench.start(csms.url)
    wait_for(lambda: csms.arrivals().count("BootNotification") == 2 and csms.connected(), "the second boot")
    answer = csms.ask("call", charge_point="EVSE-1", action="GetConfiguration", payload={"key": ["MeterValueSampleInterval"]})
    assert answer["payload"]["configurationKey"][0]["value"] == "17"


def test_a_connection_time_out_reaches_the_sequence_and_outlives_a_restart(bench: LocalBench) -> None:
    csms, heard = bench.csms(), bench[1].heard["driver_rules"]
    bench.start(csms.url, connection_time_out=90)
    bench.until_registered()
    change = {"key": "ConnectionTimeOut", "value": "4"}
    assert csms.call("ChangeConfiguration", **change) == "Rejected"
    assert csms.call("ChangeConfiguration", **change | {"value": "20"}) == "Accepted"
    bench.start(csms.url, connection_time_out=90)
    bench.until_registered()
    assert [item.connection_timeout for item in heard] == [90.0, 20.0, 20.0]


def test_nothing_is_told_before_the_boot_is_accepted(bench: LocalBench) -> None:
    csms, evse = bench.csms(heartbeat=1), bench[1]
    csms.ask("boot_status", status="Rejected")
    bench.start(csms.url)
    record = evse.begin("early-1")
    evse.finish(record, 5.0)
    wait_for(lambda: csms.arrivals().count("BootNotification") >= 2, "a second try")
    with pytest.raises(TimeoutError):
        csms.ask("call", charge_point="EVSE-1", action="ClearCache", payload={})
    csms.ask("boot_status", status="Pending")
    wait_for(lambda: bench.states[-1].registration == 2, "pending")
    assert csms.ask("call", charge_point="EVSE-1", action="ClearCache", payload={}) == {"payload": {"status": "Accepted"}}
    assert csms.ask("remote_start", charge_point="EVSE-1", connector=1, token="A")["status"] == "Rejected"
    assert set(csms.arrivals()) == {"BootNotification"}
    csms.ask("boot_status", status="Accepted")
    wait_for(csms.stopped, "the bill")


def test_faults_become_error_codes(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    wait_for(lambda: csms.statuses(1)[-1:] == ["Available"], "the status")
    fault = FaultEvent(
        fault="hot", active=True, reaction=Reaction.EMERGENCY, detail="95 °C", mrec_code="CX012", ocpp16_error="HighTemperature"
    )
    evse.raise_fault(fault)
    wait_for(lambda: csms.statuses(1)[-1] == "Faulted", "the fault")
    item = [one for one in csms.ask("list")["stations"]["EVSE-1"]["statuses"] if one["connector"] == 1][-1]
    assert (item["error_code"], item["vendor_error_code"], item["info"]) == ("HighTemperature", "CX012", "hot: 95 °C")
    wait_for(lambda: csms.statuses(0)[-1] == "Faulted", "the station's fault")


def test_a_soft_reset_ends_the_session_and_boots_again(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    record = evse.begin("reset-1")
    wait_for(lambda: [t for t in evse.heard["transaction"] if t.transaction_id], "the transaction id")
    assert csms.ask("call", charge_point="EVSE-1", action="Reset", payload={"type": "Soft"}) == {"payload": {"status": "Accepted"}}
    wait_for(lambda: evse.requests, "the stop")
    evse.finish(record, 8.0, StopCause.REMOTE)
    wait_for(lambda: csms.arrivals().count("BootNotification") == 2, "the second boot")
    assert [item["reason"] for item in csms.stopped()] == ["SoftReset"]


def test_a_message_that_is_never_answered_does_not_hold_up_the_bills_of_others(tmp_path: Path) -> None:
    bench = LocalBench(tmp_path, evses=2)
    try:
        csms = bench.csms()
        bench.start(csms.url, message_timeout=1.0, transaction_message_attempts=2, transaction_message_retry_interval=1)
        bench.until_registered()
        csms.ask("misbehave", kind="silent", action="StopTransaction", count=2)
        bench[1].finish(bench[1].begin("stuck"), 10.0)
        wait_for(csms.transactions, "the start")
        time.sleep(1.5)
        bench[2].finish(bench[2].begin("other", register=500.0), 20.0)
        bills = wait_for(lambda: len(csms.stopped()) == 2 and csms.stopped(), "both bills")
        assert [bill["energy_wh"] for bill in bills] == pytest.approx([10.0, 20.0], abs=0.0011)
        assert [bill["duplicate_stops"] for bill in bills] == [0, 0]
    finally:
        bench.end()


def test_after_a_reconnect_only_what_has_changed_is_told(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    wait_for(lambda: csms.statuses(1)[-1:] == ["Available"] and csms.statuses(0), "the statuses")
    told = len(csms.statuses(0)), len(csms.statuses(1))
    csms.ask("away", seconds=1.0)
    wait_for(lambda: not bench.states[-1].connected, "the loss of the connection")
    evse.go(ChargeState.PREPARING)
    time.sleep(0.2)
    evse.go(ChargeState.AVAILABLE)
    wait_for(csms.connected, "the connection")
    time.sleep(0.5)
    assert (len(csms.statuses(0)), len(csms.statuses(1))) == told
    csms.ask("away", seconds=1.0)
    evse.go(ChargeState.PREPARING)
    wait_for(lambda: csms.statuses(1)[told[1] :] == ["Preparing"], "the change")
    assert csms.arrivals().count("BootNotification") == 1


def test_a_csms_that_refuses_the_handshake_is_tried_again(bench: LocalBench) -> None:
    csms = bench.csms()
    csms.ask("refuse", seconds=1.5)
    bench.start(csms.url)
    wait_for(lambda: any("503" in state.detail for state in bench.states), "the reason")
    bench.until_registered()


def test_a_server_that_speaks_another_protocol_is_left(bench: LocalBench) -> None:
    async def serve(connection: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            said.append(await connection.recv())

    async def main() -> None:
        async with websockets.asyncio.server.serve(serve, "127.0.0.1", 0) as server:
            ready.put(next(iter(server.sockets)).getsockname()[1])
            while not over.is_set():
                await asyncio.sleep(0.02)

    said: list[Any] = []
    ready: queue.SimpleQueue[int] = queue.SimpleQueue()
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        bench.start(f"ws://127.0.0.1:{ready.get(timeout=5.0)}")
        wait_for(lambda: any("ocpp1.6" in state.detail for state in bench.states), "the reason")
        assert said == []
    finally:
        bench.stop()
        over.set()
        thread.join()


def test_a_start_answered_with_nonsense_is_asked_again(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    csms.ask("misbehave", kind="broken", action="StartTransaction")
    evse.finish(evse.begin("odd-1"), 30.0)
    bill = wait_for(csms.stopped, "the bill")[0]
    assert bill["energy_wh"] == pytest.approx(30.0, abs=0.0011)


def test_interrupted_and_unseen_sessions_are_billed_from_their_last_record(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    begun = ChargeRecord(session_id="i-1", evse_id=1, token="T", begin=time.time() - 60, begin_register_wh=10.5)
    lost = replace(begun, status=RecordStatus.INTERRUPTED, end=time.time(), end_register_wh=25.75, stop_cause=StopCause.UNKNOWN)
    evse.record(lost)
    evse.record(replace(lost, status=RecordStatus.OPEN))
    bill = wait_for(csms.stopped, "the bill")[0]
    assert (bill["energy_wh"], bill["reason"]) == (pytest.approx(15.25), "PowerLoss")
    bench.until_drained()
    assert csms.arrivals().count("StartTransaction") == csms.arrivals().count("StopTransaction") == 1


def test_a_record_that_cannot_be_told_does_not_hold_up_the_next_one(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url)
    bench.until_registered()
    broken = ChargeRecord(
        status=RecordStatus.CLOSED, session_id="b-1", evse_id=1, begin=1e300, end=1e300, begin_register_wh=1.0, end_register_wh=2.0
    )
    evse.record(broken)
    evse.record(replace(broken, session_id=""))
    evse.finish(evse.begin("fine-1"), 5.0)
    wait_for(csms.stopped, "the bill")
    assert len(csms.transactions()) == 1


def test_the_cost_of_a_session_is_told_once_after_its_stop_also_when_answers_are_lost(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(csms.url, tell_cost=True)
    bench.until_registered()
    csms.ask("misbehave", kind="lose_answer", action="DataTransfer")
    record = replace(evse.begin("priced-1"), cost=123, tax=20, currency="EUR")
    evse.finish(record, 300.0)
    bench.until_drained()
    (bill,) = csms.stopped()
    assert (bill["told_cost"]["costMinorUnits"], bill["told_cost"]["transactionId"]) == (123, bill["transaction_id"])
    assert bill["told_cost"]["energyWh"] == bill["meter_stop"] - bill["meter_start"] == 300
    assert csms.arrivals().count("DataTransfer") == 2
    assert csms.ask("list")["violations"] == []


def test_a_long_queue_drains_while_live_messages_pass(bench: LocalBench) -> None:
    csms, evse, count = bench.csms(), bench[1], 150
    bench.start("ws://127.0.0.1:9")
    for number in range(count):
        record = ChargeRecord(session_id=f"q-{number}", evse_id=1, token="T", begin=1e9 + number, end=1e9 + number + 0.5)
        evse.record(replace(record, status=RecordStatus.CLOSED, begin_register_wh=number * 10.0, end_register_wh=number * 10.0 + 7.0))
    wait_for(lambda: bench.states and bench.states[-1].queued == 2 * count, "the queue")
    bench.start(csms.url)
    bench.until_registered()
    evse.go(ChargeState.AUTHORIZING, token="LIVE")
    asked = time.monotonic()
    wait_for(lambda: evse.heard["authorization"], "a verdict")
    waited, left = time.monotonic() - asked, bench.states[-1].queued
    assert waited < 2.0
    assert left > 0, "the queue was empty before the live message was asked for"
    bench.until_drained()
    assert [bill["energy_wh"] for bill in csms.stopped()] == [7.0] * count
    assert [bill["meter_start"] for bill in csms.stopped()] == [number * 10 for number in range(count)]
