"""The ledger of the simulated world answers like the one on disk, and forgets in a loss of power what that may forget."""

from collections.abc import Iterator
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest
from notary_bench import NOTARY

from evse_core.energy_meter import EnergyMeter, MeterConfig
from evse_core.types import ChargeRecord, RecordStatus
from evse_nodes.ledger import Ledger
from evse_simulators.memory_ledger import MemoryLedger

OPEN = ChargeRecord(
    status=RecordStatus.OPEN, session_id="a", evse_id=1, record_number=1, stamp=20.0, begin=20.0, end=0.0, begin_register_wh=7.0, end_register_wh=7.0,
    max_power=0.0, begin_export_register_wh=3.0, end_export_register_wh=3.0, export_price_per_kwh="0",
)  # fmt: skip
CLOSED = replace(OPEN, status=RecordStatus.CLOSED, stamp=30.0, end_register_wh=9.0, max_power=5.0, end_export_register_wh=3.5)


@pytest.fixture(params=["disk", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Each test holds for both."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    made = Ledger(tmp_path / "ledger.sqlite", NOTARY)
    yield made
    made.close()


def test_a_new_ledger_is_empty(ledger: Any) -> None:
    assert (ledger.register_wh, ledger.max_power, ledger.stamp, isnan(ledger.counter_wh)) == (0.0, 0.0, 0.0, True)
    assert (ledger.next_number(), list(ledger.open_records()), list(ledger.last()), ledger.find("a")) == (1, [], [], None)


def meter(register: float, max_power: float, counter: float, export: float = 0.0, export_counter: float = nan) -> EnergyMeter:
    return EnergyMeter(MeterConfig(), register, max_power, counter, export, export_counter)


def test_a_register_never_decreases(ledger: Any) -> None:
    ledger.save(meter(8.0, 3.0, 4.0, 5.0, 2.0), 10.0, False)
    ledger.save(meter(7.0, 2.0, 1.0, 4.0, 0.5), 11.0, True)
    assert (ledger.register_wh, ledger.max_power, ledger.stamp, ledger.counter_wh) == (8.0, 2.0, 11.0, 1.0)
    assert (ledger.export_register_wh, ledger.export_counter_wh) == (5.0, 0.5)


def test_a_record_from_begin_to_end_takes_the_register_along_and_leaves_the_counter(ledger: Any) -> None:
    ledger.save(meter(6.0, 3.0, 4.0, 2.0, 9.0), 10.0, False)
    ledger.begin(OPEN)
    assert (ledger.register_wh, ledger.max_power, ledger.stamp, ledger.counter_wh) == (7.0, 0.0, 20.0, 4.0)
    assert (ledger.open_records(), ledger.last(), ledger.find("a"), ledger.next_number()) == ([OPEN], [OPEN], OPEN, 2)
    ledger.end(CLOSED)
    assert (ledger.register_wh, ledger.counter_wh) == (9.0, 4.0)
    assert (ledger.export_register_wh, ledger.export_counter_wh) == (3.5, 9.0)
    assert (ledger.open_records(), ledger.last(), ledger.find("a")) == ([], [CLOSED], CLOSED)


def test_a_record_that_has_ended_stays_as_it_is(ledger: Any) -> None:
    ledger.begin(OPEN)
    ledger.end(CLOSED)
    ledger.end(replace(CLOSED, status=RecordStatus.INTERRUPTED))
    assert ledger.last() == [CLOSED]


def test_only_what_is_durable_and_what_was_stored_before_survives_a_loss_of_power() -> None:
    ledger = MemoryLedger()
    ledger.save(meter(1.0, 0.0, 1.0, 0.1), 1.0, False)
    ledger.save(meter(2.0, 0.0, 2.0, 0.2), 2.0, True)
    ledger.save(meter(3.0, 0.0, 3.0, 0.3), 3.0, False)
    assert (ledger.register_wh, ledger.durable_register_wh) == (3.0, 2.0)
    ledger.lose_power()
    assert (ledger.register_wh, ledger.counter_wh, ledger.stamp) == (2.0, 2.0, 2.0)
    assert (ledger.export_register_wh, ledger.durable_export_register_wh) == (0.2, 0.2)
    ledger.save(meter(5.0, 0.0, 5.0), 5.0, False)
    ledger.begin(replace(OPEN, begin_register_wh=5.0))
    ledger.lose_power()
    assert (ledger.register_wh, ledger.counter_wh, ledger.last()[0].status) == (5.0, 5.0, RecordStatus.OPEN)
