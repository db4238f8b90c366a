"""The node energy_meter and a probe: rates, records, what a kill in a session leaves, orderly end."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from evse_msgs.srv import SetTariff
from probe import Probe

from evse_core.types import PowerReport, RecordStatus, SessionState, StopCause, Transaction


class Charger(Probe):
    """Writes 36 kW at 10 Hz and a session_state at 10 Hz."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.folder = tmp_path / "data"
        self.current, self.session = 0.0, SessionState()
        self._counted_at = time.monotonic()
        self.readings, self.records, self.prices = self.read("meter_reading"), self.read("charge_record"), self.read("session_price")
        self.counted_wh = 0.0
        self.every(0.1, self.report)
        self.every(0.1, lambda: self.write("session_state", self.session))
        self.begin()

    def report(self) -> None:
        """Say what flows, and how much has."""
        now = time.monotonic()
        self.counted_wh += 400.0 * self.current / 3600.0 * (now - self._counted_at)
        self._counted_at = now
        self.write("power_report", PowerReport(complete=True, age=0.01, voltage=400.0, current=self.current, energy_wh=self.counted_wh))

    def begin(self) -> None:
        """Start the meter."""
        parameters = {"data_dir": str(self.folder), "price_per_kwh": "0.50", "station_name": "test"}
        self.meter = self.start("energy_meter", parameters)

    def charge(self, session_id: str) -> None:
        """Begin a session with power."""
        self.session = SessionState(session_id=session_id, session_active=True, transaction_active=True, token="04A2B3C4D5E680")
        self.until(lambda: self.record(session_id, RecordStatus.OPEN), what="the open record")
        self.current = 90.0

    def finish(self, session_id: str) -> None:
        """End a session."""
        self.current = 0.0
        self.spin(0.3)
        self.session = SessionState(session_id=session_id, stop_cause=StopCause.LOCAL)

    def record(self, session_id: str, status: RecordStatus) -> Any:
        """Return the record of a session with a status, if it was told."""
        return next((record for _, record in self.records if (record.session_id, record.status) == (session_id, status)), None)


@pytest.fixture
def charger(tmp_path: Path) -> Iterator[Charger]:
    charger = Charger(tmp_path)
    try:
        yield charger
    finally:
        charger.close()


def rate(charger: Charger, seconds: float) -> float:
    begin = len(charger.readings)
    charger.spin(seconds)
    return (len(charger.readings) - begin) / seconds


def test_a_session_is_metered_recorded_and_printed(charger: Charger) -> None:
    charger.until(lambda: any(reading.healthy for _, reading in charger.readings), what="a reading")
    assert 0.3 <= rate(charger, 3.0) <= 1.4
    charger.charge("a")
    began = time.monotonic()
    charger.spin(0.5)
    assert 1.9 <= rate(charger, 3.0) <= 4.7
    last = charger.readings[-1][1]
    assert (last.session_id, last.currency, last.legal, last.healthy) == ("a", "EUR", False, True)
    assert last.power == pytest.approx(36_000.0)
    assert last.session_energy_wh == pytest.approx((charger.readings[-1][0] - began) * 10.0, rel=0.25)
    assert last.session_cost == round(last.session_energy_wh * 0.05)
    dearer = '{"price_per_kwh":"0.50","price_per_minute":"6","name":"dear"}'
    assert charger.call("set_tariff", SetTariff, tariff=dearer, who="test").success
    assert not charger.call("set_tariff", SetTariff, tariff="{}[").success
    so_far = charger.until(
        lambda: next((price for _, price in charger.prices if len(price.lines) == 2), None), what="the time in the price"
    )
    assert (so_far.session_id, so_far.final, so_far.currency, so_far.tariff) == ("a", False, "EUR", "dear")
    assert so_far.total == sum(line.amount for line in so_far.lines)
    charger.write("transaction", Transaction(session_id="a", transaction_id=77))
    charger.finish("a")
    closed = charger.until(lambda: charger.record("a", RecordStatus.CLOSED), 20.0, "the closed record")
    assert (closed.stop_cause, closed.evse_id, closed.record_number, closed.price_per_kwh) == (StopCause.LOCAL, 1, 1, "0.50")
    assert closed.end_register_wh - closed.begin_register_wh == pytest.approx(10.0 * (time.monotonic() - began), rel=0.25)
    receipt = json.loads((charger.folder / "receipts" / "a.json").read_text())
    final = charger.until(lambda: next((price for _, price in charger.prices if price.final), None), what="the final price")
    assert (final.session_id, final.total) == ("a", closed.cost)
    assert [reading["mark"] for reading in receipt["readings"]] == ["B", "T", "L"]
    assert (receipt["total_minor_units"], receipt["transaction_id"], receipt["station"]) == (closed.cost, 77, "test")
    registers = [reading.register_wh for _, reading in charger.readings]
    assert registers == sorted(registers)


def test_readings_are_not_healthy_without_reports(charger: Charger) -> None:
    charger.until(lambda: charger.readings and charger.readings[-1][1].healthy, what="a healthy reading")
    for timer in list(charger.node.timers):
        timer.cancel()
    charger.until(lambda: not charger.readings[-1][1].healthy, 20.0, "an unhealthy reading")
    assert charger.readings[-1][1].power != charger.readings[-1][1].power


def test_kill_9_in_a_session_costs_no_energy_and_no_record(charger: Charger) -> None:
    charger.charge("a")
    charger.spin(1.5)
    charger.meter.kill()
    charger.meter.wait()
    before = charger.readings[-1][1]
    charger.begin()
    count = len(charger.readings)
    charger.until(lambda: len(charger.readings) > count + 2, what="readings")
    assert {reading.session_id for _, reading in charger.readings[count:]} == {"a"}
    charger.finish("a")
    record = charger.until(lambda: charger.record("a", RecordStatus.CLOSED), 20.0, "the closed record")
    # What flowed while nobody metered: 36 kW, counted by who was there.
    assert record.end_register_wh - before.register_wh == pytest.approx(charger.counted_wh - before.register_wh, abs=10.0 * 0.5)
    assert record.end_register_wh > before.register_wh + 5.0
    assert not any(found.status is RecordStatus.INTERRUPTED for _, found in charger.records)
    charger.charge("b")
    assert charger.record("b", RecordStatus.OPEN).record_number == 2
    charger.finish("b")
    charger.until(lambda: charger.record("b", RecordStatus.CLOSED), 20.0, "the closed record")


def test_a_session_that_was_lost_while_the_meter_was_dead_is_interrupted(charger: Charger) -> None:
    charger.charge("a")
    charger.spin(1.5)
    charger.meter.kill()
    charger.meter.wait()
    charger.current, charger.session = 0.0, SessionState()
    charger.begin()
    charger.until(lambda: charger.record("a", RecordStatus.INTERRUPTED), what="the interrupted record")


def test_it_waits_for_the_end_of_the_session_before_it_ends(charger: Charger) -> None:
    charger.charge("a")
    charger.meter.send_signal(2)
    charger.spin(1.0)
    assert charger.meter.poll() is None
    charger.finish("a")
    charger.until(lambda: charger.meter.poll() is not None, 20.0, "the end of the node")
    assert charger.meter.returncode == 0
    assert charger.record("a", RecordStatus.CLOSED)


def test_a_full_disk_neither_ends_the_node_nor_loses_the_record_and_is_told(charger: Charger) -> None:
    """A file system of 1 MB below the meter's folder; the next commit after it is full fails."""
    charger.until(lambda: charger.readings, what="a reading")
    charger.meter.kill()
    charger.meter.wait()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(charger.folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        fill_up_in_a_session(charger)
    finally:
        subprocess.run(["umount", "--lazy", str(charger.folder)], check=True)


def fill_up_in_a_session(charger: Charger) -> None:
    told = charger.read("node_health")
    charger.readings.clear()
    charger.begin()
    charger.until(lambda: charger.readings, what="a reading of the new process")
    charger.charge("a")
    ballast = charger.folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1000))
    charger.until(lambda: told and told[-1][1].failed_writes > 0, 20.0, "the word of the failed writes")
    assert told[-1][1].free_space < 1e4
    assert not charger.readings[-1][1].healthy
    charger.finish("a")
    charger.spin(1.5)
    assert charger.meter.poll() is None
    assert charger.record("a", RecordStatus.CLOSED) is None
    ballast.unlink()
    charger.until(lambda: charger.record("a", RecordStatus.CLOSED), 20.0, "the closed record")
    charger.until(lambda: told[-1][1].failed_writes == 0, 20.0, "the end of the failed writes")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"price_per_kwh": "free"}, "price_per_kwh: 'free'"),
        ({"currency": "euro"}, "currency: 'euro'"),
        ({"time_zone": "Mars/Olympus"}, "time_zone: 'Mars/Olympus'"),
        ({"max_gap": 60.0}, "max_gap: 60.0 s is above 5.0 s"),
        ({"damaged": True}, "energy_meter_1.sqlite"),
    ],
)
def test_wrong_input_ends_it_with_code_2_and_a_name(tmp_path: Path, parameters: dict[str, Any], words: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    if parameters.pop("damaged", False):
        (folder / "energy_meter_1.sqlite").write_bytes(b"no database" * 1000)
    probe = Probe(tmp_path)
    try:
        process = probe.start("energy_meter", {**parameters, "data_dir": str(folder)})
        probe.until(lambda: process.poll() is not None, what="the end of the node")
        assert process.returncode == 2
        assert words in probe.log("energy_meter")
    finally:
        probe.close()
