"""energy_meter: register, readings, billing records and receipts of one EVSE. Rules: energy_meter, charge_records, tariff, receipt of evse_core."""

import sqlite3
import time
from math import nan
from pathlib import Path

from rclpy.node import Node

from evse_core.charge_records import RecordAction, Register, actions, begun, ended
from evse_core.energy_meter import LEGAL, EnergyMeter, MeterConfig, billed_wh
from evse_core.receipt import Receipt, zone
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, MeterReading, PowerReport, RecordStatus, SessionState, StopCause, Transaction
from evse_nodes import topics
from evse_nodes.ledger import Ledger
from evse_nodes.params import declare, evse_number, value
from evse_nodes.receipt_files import ReceiptFiles
from evse_nodes.run import run


class EnergyMeterNode(Node):
    """Nothing is published that is not on disk before."""

    def __init__(self) -> None:
        super().__init__("energy_meter")
        self._config, self._tariff = declare(self, MeterConfig), declare(self, Tariff)
        self._evse = evse_number(self)
        self._zone = zone(self._config.time_zone)
        folder = Path(value(self, "data_dir", "data", "folder of ledger and receipts"))
        self._receipts = ReceiptFiles(folder / "receipts")
        self._ledger = Ledger(folder / f"energy_meter_{self._evse}.sqlite")
        self._meter = EnergyMeter(self._config, self._ledger.register_wh)
        self._open: ChargeRecord | None = None
        self._stored = True
        self._synced = time.monotonic()
        self._published = 0.0
        self._write_reading = topics.writer(self, "meter_reading")
        self._write_record = topics.writer(self, "charge_record")
        self._recover()
        topics.reader(self, "power_report", self._on_power)
        topics.reader(self, "session_state", self._on_session)
        topics.reader(self, "transaction", self._on_transaction)
        self.create_timer(self._config.charging_period, self._tick)

    def begin_shutdown(self) -> None:
        """Count on until the sequencer has ended its session."""
        self._ending = time.monotonic()

    def shutdown_done(self) -> bool:
        """Return whether no record is open."""
        return self._open is None

    def close(self) -> None:
        """Keep what was counted; an open record is interrupted at the next start."""
        self._save(durable=True)
        self._ledger.close()

    def _recover(self) -> None:
        """End what an earlier run left open, with the register that it stored last; tell the last records again."""
        last = Register(self._ledger.register_wh, self._ledger.max_power, self._ledger.stamp)
        for record in self._ledger.open_records():
            self.get_logger().warning(f"session {record.session_id} was interrupted at {last.register_wh:.3f} Wh")
            self._ledger.end(ended(record, RecordStatus.INTERRUPTED, StopCause.RESTART, last))
        for record in self._ledger.last():
            self._write_record(record)
            if self._receipts.missing(record.session_id):
                self._print(record)

    def _on_power(self, report: PowerReport) -> None:
        before = self._meter.register_wh
        if self._meter.on_report(report, time.monotonic()) and self._meter.register_wh > before:
            self._save(durable=time.monotonic() - self._synced >= self._config.sync_period)

    def _save(self, durable: bool) -> None:
        try:
            self._ledger.save(self._meter.register_wh, self._meter.max_power, self._stamp(), durable)
        except sqlite3.Error as error:
            self._fail(error)
        else:
            self._stored = True
            self._synced = time.monotonic() if durable else self._synced

    def _on_session(self, session: SessionState) -> None:
        """Do what the session asks of the records; what fails is asked again by the next session_state."""
        try:
            known = session.transaction_active and self._ledger.find(session.session_id) is not None
            for action in actions(self._open.session_id if self._open else "", session, known):
                self._act(action, session)
        except sqlite3.Error as error:
            self._fail(error)

    def _act(self, action: RecordAction, session: SessionState) -> None:
        if action is RecordAction.BEGIN:
            self._begin(session)
        elif action is RecordAction.CLOSE:
            self._end(RecordStatus.CLOSED, session.stop_cause)
        else:
            self._end(RecordStatus.INTERRUPTED, StopCause.RESTART)

    def _begin(self, session: SessionState) -> None:
        self._meter.reset_peak()
        self._open = None
        register = Register(self._meter.register_wh, 0.0, self._stamp())
        record = begun(session, self._evse, self._ledger.next_number(), self._tariff, register)
        self._ledger.begin(record)
        self._open = record
        self._write_record(record)
        self._publish()

    def _end(self, status: RecordStatus, cause: StopCause) -> None:
        assert self._open is not None
        register = Register(self._meter.register_wh, self._meter.max_power, self._stamp())
        record = ended(self._open, status, cause, register)
        self._ledger.end(record)
        self._open = None
        self._print(record)
        self._write_record(record)
        self._publish()

    def _on_transaction(self, transaction: Transaction) -> None:
        """Put the number that the CSMS gave on the receipt, also when it comes long after the session."""
        try:
            news = transaction.transaction_id != 0 and self._ledger.set_transaction(transaction.session_id, transaction.transaction_id)
            record = self._ledger.find(transaction.session_id) if news else None
        except sqlite3.Error as error:
            self._fail(error)
        else:
            if record is not None:
                self._print(record)

    def _print(self, record: ChargeRecord) -> None:
        """Write the receipt of a record that has ended; without one it is written at the next start."""
        if record.status is RecordStatus.OPEN:
            return
        try:
            self._receipts.write(Receipt(record, self._ledger.transaction_id(record.session_id), self._config, self._zone))
        except (OSError, sqlite3.Error) as error:
            self.get_logger().error(f"no receipt for session {record.session_id}: {error}")

    def _tick(self) -> None:
        period = self._config.charging_period if self._open else self._config.idle_period
        if time.monotonic() - self._published >= period - self._config.charging_period / 2.0:
            self._publish()

    def _publish(self) -> None:
        """Publish what is on disk, with the present values."""
        now = self._published = time.monotonic()
        reading = self._meter.fresh(now)
        register, begin = self._ledger.register_wh, self._open.begin_register_wh if self._open else nan
        self._write_reading(
            MeterReading(
                register_wh=register,
                voltage=reading.voltage if reading else nan,
                current=reading.current if reading else nan,
                power=reading.power if reading else nan,
                session_id=self._open.session_id if self._open else "",
                session_energy_wh=register - begin,
                session_cost=self._tariff.cost(billed_wh(begin, register)) if self._open else 0,
                currency=self._tariff.currency,
                healthy=reading is not None and self._stored,
                legal=LEGAL,
            )
        )

    def _fail(self, error: Exception) -> None:
        self._stored = False
        self.get_logger().error(f"the ledger cannot be written: {error}", throttle_duration_sec=5.0)

    def _stamp(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)


def make() -> EnergyMeterNode:
    """Make the node."""
    return EnergyMeterNode()


def main() -> int:
    """Run the node alone."""
    return run(make)
