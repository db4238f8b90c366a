"""`station bench records`: how fast sessions are signed and put on disk, and how fast records are checked."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from evse_core.energy_meter import EnergyMeter, MeterConfig
from evse_core.ocmf import Mark
from evse_core.ocmf_signature import signed
from evse_core.session_readings import SessionReading, begin_reading
from evse_core.types import ChargeRecord, RecordStatus, StopCause
from evse_nodes.ledger import Ledger
from evse_nodes.meter_key import notary
from evse_tools.bench_figures import figure, print_json, print_table
from evse_tools.records_check import verdicts
from evse_tools.records_source import sources

# How many records are checked at least, the same ones again and again: fewer would measure the beginning of the processes. [1]
CHECKS = 10_000


def run(sessions: int, as_json: bool) -> int:
    """Sign and store so many sessions, then check them all."""
    console, times = Console(stderr=True, highlight=False), dict[str, list[float]]()

    def timed(name: str, began: float) -> None:
        times.setdefault(name, []).append(1e3 * (time.perf_counter() - began))

    with tempfile.TemporaryDirectory(prefix="station_bench_") as folder:
        place, config = Path(folder), MeterConfig(station_name="bench", serial="1")
        signer = notary(place, 1, config)
        ledger, meter = Ledger(place / "energy_meter_1.sqlite", signer), EnergyMeter(config, 0.0)
        for number in track(range(sessions), "sessions", console=console, transient=True):
            record = _record(number)
            began = time.perf_counter()
            signed("x" * 700, signer.key)
            timed("signature", began)
            began = time.perf_counter()
            ledger.begin(record)
            timed("begin on disk, signed and synced", began)
            meter.register_wh = record.begin_register_wh + 50.0
            began = time.perf_counter()
            ledger.save(meter, record.stamp + 1.0, durable=True)
            timed("register on disk, synced", began)
            began = time.perf_counter()
            ledger.add(record, _pause(record))
            timed("reading on disk, synced", began)
            began = time.perf_counter()
            ledger.end(_ended(record))
            timed("end on disk, signed and synced", began)
        ledger.close()
        (source,) = sources(place)
        rounds = max(1, CHECKS // len(source.records))
        many = source.records * rounds
        began = time.perf_counter()
        found = verdicts(many, None)
        rate = 60.0 * len(many) / (time.perf_counter() - began)
        good = sum(verdict.holds and not record.chain_problem for record, verdict in zip(source.records, found, strict=False))
    figures = [figure(name, values, "ms", 3) for name, values in times.items()]
    synced = [taken for name, values in times.items() if name.endswith("synced") for taken in values]
    writes = 1e3 * len(synced) / sum(synced)
    if as_json:
        print_json(
            "records",
            figures,
            synced_writes_per_second=round(writes),
            checked_per_minute=round(rate),
            hold=good,
            records=len(source.records),
        )
    else:
        print_table("Signed records", ("what", "times", "worst"), figures)
        console.print(f"{writes:,.0f} writes per second, each synced")
        console.print(f"{rate:,.0f} records checked per minute, {len(many):,} in a row; {good} of {len(source.records)} hold")
    return 0 if good == len(source.records) else 1


def _pause(record: ChargeRecord) -> SessionReading:
    """Return a reading between begin and end."""
    begin = begin_reading(record)
    return replace(begin, number=1, mark=Mark.SUSPENDED, stamp=record.begin + 30.0, register_wh=record.begin_register_wh + 50.0)


def _record(number: int) -> ChargeRecord:
    register = 1000.0 * number
    return ChargeRecord(
        stamp=1.8e9 + 100.0 * number,
        status=RecordStatus.OPEN,
        session_id=f"bench-{number}",
        evse_id=1,
        record_number=number + 1,
        token="DEADBEEF",
        begin=1.8e9 + 100.0 * number,
        begin_register_wh=register,
        end_register_wh=register,
        max_power=0.0,
        currency="EUR",
        price_per_kwh="0.49",
        export_price_per_kwh="0",
    )


def _ended(record: ChargeRecord) -> ChargeRecord:
    end_wh = record.begin_register_wh + 100.0
    return replace(record, status=RecordStatus.CLOSED, end=record.begin + 60.0, end_register_wh=end_wh, stop_cause=StopCause.LOCAL, cost=5)
