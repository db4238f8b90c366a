"""energy_meter: readings, billing records and receipts of one EVSE. The rules are evse_core/energy_meter.py and record_keeper.py."""

import time
from pathlib import Path

from rclpy.node import Node

from evse_core.energy_meter import MeterConfig
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, PowerReport, SessionState, Transaction
from evse_nodes import topics
from evse_nodes.executor import every
from evse_nodes.meter_book import MeterBook
from evse_nodes.metrology_sources import metrology_checksum
from evse_nodes.node_health import Storage, description_digest
from evse_nodes.params import declare, evse_number, value
from evse_nodes.run import run

# Time for the last record to reach its readers before the node goes away: reliable delivery takes milliseconds (../shared/ros/README.md). [s]
FAREWELL = 0.5


class EnergyMeterNode(Node):
    """Feeds the book with reports, publishes what is in it."""

    def __init__(self) -> None:
        super().__init__("energy_meter")
        self._config = declare(self, MeterConfig)
        self._write_reading = topics.writer(self, "meter_reading")
        self._write_record = topics.writer(self, "charge_record")
        self._folder = Path(value(self, "data_dir", "data", "folder of ledger and receipts"))
        self._book = MeterBook(self._config, declare(self, Tariff), evse_number(self), self._folder, self._tell, description_digest(self))
        self._published = self._told = 0.0
        self.get_logger().info(f"metrology part {metrology_checksum()}")
        self._book.recover(time.monotonic())
        topics.reader(self, "power_report", self._on_power)
        topics.reader(self, "session_state", self._on_session)
        topics.reader(self, "transaction", self._on_transaction)
        every(self, self._config.charging_period, self._tick)

    def storage(self) -> Storage:
        """Return how the ledger stands."""
        return Storage(self._folder, self._book.failed_writes)

    def shutdown_done(self) -> bool:
        """Return whether no record is open and the last one has been told."""
        return self._book.open is None and time.monotonic() - self._told > FAREWELL

    def close(self) -> None:
        """Keep what was counted."""
        self._book.save(time.monotonic(), self._stamp(), durable=True)
        self._book.close()

    def _tell(self, record: ChargeRecord) -> None:
        self._write_record(record)
        self._told = time.monotonic()

    def _on_power(self, report: PowerReport) -> None:
        self._book.on_power(report, time.monotonic(), self._stamp())

    def _on_session(self, session: SessionState) -> None:
        before = self._book.open
        self._book.on_session(session, time.monotonic(), self._stamp())
        if self._book.open is not before:
            self._publish()

    def _on_transaction(self, transaction: Transaction) -> None:
        self._book.on_transaction(transaction)

    def _tick(self) -> None:
        """Publish where it is due; try again to store what could not be stored."""
        now = time.monotonic()
        self._book.tick(now, self._stamp())
        period = self._config.charging_period if self._book.open else self._config.idle_period
        if now - self._published >= period - self._config.charging_period / 2.0:
            self._publish()

    def _publish(self) -> None:
        """Publish the register as it is on disk, with the present values."""
        self._published = time.monotonic()
        self._write_reading(self._book.reading(self._published))

    def _stamp(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)


def make() -> EnergyMeterNode:
    """Make the node."""
    return EnergyMeterNode()


def main() -> int:
    """Run the node alone."""
    return run(make)
