"""Meter values against the CSMS simulator, without ROS: contexts, clock-aligned values, and the data of StopTransaction."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_evse import wait_for
from ocpp_local import LocalBench

REGISTER = "Energy.Active.Import.Register"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    made = LocalBench(tmp_path)
    yield made
    made.end()


def contexts(values: list[dict[str, Any]]) -> list[str]:
    return [item["sampledValue"][0]["context"] for item in values]


def told(values: list[dict[str, Any]], context: str) -> set[str]:
    return {sample["measurand"] for item in values for sample in item["sampledValue"] if sample["context"] == context}


def test_a_transaction_is_sampled_in_two_rhythms_and_its_stop_tells_what_was_asked_for(bench: LocalBench) -> None:
    csms, evse = bench.csms(), bench[1]
    bench.start(
        csms.url,
        meter_value_sample_interval=1,
        clock_aligned_data_interval=1,
        meter_values_sampled_data="Voltage",
        meter_values_aligned_data=f"{REGISTER},Power.Active.Import",
        stop_txn_sampled_data="Current.Import",
        stop_txn_aligned_data="SoC,Voltage",
    )
    bench.until_registered()
    wait_for(lambda: "MeterValues" in csms.arrivals(), "clock-aligned values outside of a transaction")
    record = evse.begin("s-1")
    wait_for(lambda: csms.transactions() and len(csms.transactions()[0]["meter_values"]) >= 4, "samples")
    bench.start(csms.url, stop_txn_sampled_data="Current.Import")  # What was collected outlives a restart.
    evse.finish(record, 5.0)
    bill = wait_for(csms.stopped, "the bill")[0]
    values, data = bill["meter_values"], bill["transaction_data"]
    assert told(values, "Sample.Periodic") == {"Voltage"}
    assert told(values, "Sample.Clock") == {REGISTER, "Power.Active.Import"}
    assert contexts(data)[0] == "Transaction.Begin"
    assert contexts(data)[-1] == "Transaction.End"
    assert told(data, "Sample.Periodic") == {"Current.Import"}
    assert told(data, "Sample.Clock") == {"Voltage"}
    assert [item["timestamp"] for item in values if "Sample.Clock" in contexts([item])] == sorted(
        item["timestamp"] for item in values if "Sample.Clock" in contexts([item])
    )
    assert bill["energy_wh"] == pytest.approx(5.0, abs=0.0011)
    assert csms.ask("list")["violations"] == []


def test_no_transaction_data_where_none_is_asked_for(bench: LocalBench) -> None:
    csms = bench.csms()
    bench.start(csms.url, stop_txn_sampled_data="", stop_txn_aligned_data="")
    bench.until_registered()
    bench[1].finish(bench[1].begin("s-1"), 7.0)
    bill = wait_for(csms.stopped, "the bill")[0]
    assert bill["transaction_data"] == []
    assert bill["meter_stop"] - bill["meter_start"] == 7
