"""ocpp_uplink against the CSMS simulator as a process: what is told, what is billed, and what survives."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import evse_msgs.srv
from fake_evse import wait_for
from ocpp_bench import Bench

from evse_core.types import ChargeState, StopCause, Verdict, VerdictSource


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


def test_an_uplink_that_is_killed_again_and_again_bills_every_session_once(bench: Bench) -> None:
    csms, evse, chosen = bench.csms(), bench.station[1], random.Random(2)
    process = bench.uplink(csms.url)
    energies = []
    for number in range(8):
        energies.append(100.0 + number)
        evse.go(ChargeState.PREPARING, plugged=True)
        record = evse.begin(f"again-{number}", register=1000.0 * number)
        time.sleep(chosen.uniform(0.0, 1.0))
        if number % 2:
            process.kill()
            process.wait()
            process = bench.uplink(csms.url)
        evse.finish(record, energies[-1])
        time.sleep(chosen.uniform(0.0, 1.0))
    wait_for(lambda: len(csms.stopped()) == len(energies), "all bills")
    bench.until_drained()
    assert [bill["energy_wh"] for bill in csms.transactions()] == pytest.approx(energies, abs=0.0011)
    assert csms.ask("list")["violations"] == []


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


def test_the_authorize_service_asks_the_csms(bench: Bench) -> None:
    csms = bench.csms("--token", "GOOD=Accepted:GROUP", "--token", "OLD=Expired")
    bench.uplink(csms.url)
    bench.until_registered()
    service = evse_msgs.srv.Authorize
    answers = {token: bench.station.call(service, "/authorize", service.Request(token=token)) for token in ("GOOD", "OLD", "X" * 21)}
    assert (answers["GOOD"].verdict, answers["GOOD"].parent_token) == (Verdict.ACCEPTED, "GROUP")
    assert answers["OLD"].verdict == Verdict.EXPIRED
    assert answers["X" * 21].verdict == Verdict.INVALID


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
