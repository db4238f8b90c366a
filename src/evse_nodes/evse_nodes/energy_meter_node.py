"""energy_meter: readings, billing records and receipts of one EVSE. The rules are evse_core/energy_meter.py, energy_meter_read.py and record_keeper.py."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from evse_msgs.srv import SetTariff
from rclpy.node import Node

from evse_core.energy_meter import MeterConfig
from evse_core.energy_meter_loop import ANSWER, METER, POWER, SESSION, SET_TARIFF, MeterLoop
from evse_core.meter_answer import as_text
from evse_core.meter_link import CAN, MeterLinkConfig
from evse_core.tariff import Tariff
from evse_core.trace import STEP
from evse_core.types import ChargeRecord
from evse_nodes import topics
from evse_nodes.decision_trace import Decisions, said
from evse_nodes.executor import Waker, every
from evse_nodes.meter_book import MeterBook
from evse_nodes.meter_files import meter_files
from evse_nodes.modbus_meter import ModbusMeter
from evse_nodes.node_health import Storage, description_digest
from evse_nodes.params import declare, evse_number, value
from evse_nodes.run import run

# Time for the last record to reach its readers before the node goes away: reliable delivery takes milliseconds (../shared/ros/README.md). [s]
FAREWELL = 0.5


class EnergyMeterNode(Node):
    """Hands the loop what comes, publishes what it says; the book is on disk."""

    def __init__(self) -> None:
        super().__init__("energy_meter")
        self._config = declare(self, MeterConfig)
        self._loop = MeterLoop(self._config)
        self._folder = Path(value(self, "data_dir", "data", "folder of ledger and receipts"))
        tariff, link, digest = declare(self, Tariff), declare(self, MeterLinkConfig, "meter."), description_digest(self)
        read_by = meter_files(link)
        self._book = MeterBook(self._config, tariff, evse_number(self), self._folder, self._loop.tell, digest, link, read_by.contents)
        self._told = 0.0
        self.get_logger().info(f"metrology part {self._book.audit.checksum}")
        self._book.recover(time.monotonic())
        writers = {name: topics.writer(self, name) for name in ("meter_reading", "session_price")} | {"charge_record": self._teller()}
        for _, record in self._loop.begin(self._book):
            writers["charge_record"](record, self._stamp())
        self._decisions = Decisions(self, self._loop, writers)
        self._decisions.reader(POWER, "power_report")
        self._decisions.reader(SESSION, "session_state")
        if link.kind == CAN:
            self._decisions.reader(METER, "meter_report")
        registers = read_by.registers
        self._modbus = ModbusMeter(link, registers, Waker(self, self._on_answers).wake) if registers is not None else None
        topics.reader(self, "transaction", self._book.on_transaction)
        self.create_service(SetTariff, "set_tariff", self._set_tariff)
        every(self, self._config.charging_period, lambda: self._decisions.call(STEP))

    def storage(self) -> Storage:
        """Return how the ledger stands."""
        return Storage(self._folder, self._book.failed_writes)

    def shutdown_done(self) -> bool:
        """Return whether no record is open and the last one has been told."""
        return self._book.open is None and time.monotonic() - self._told > FAREWELL

    def close(self) -> None:
        """Keep what was counted."""
        if self._modbus is not None:
            self._modbus.close()
        self._book.save(time.monotonic(), self._stamp(), durable=True)
        self._book.close()

    def _teller(self) -> Callable[[ChargeRecord, float], None]:
        write = topics.writer(self, "charge_record")

        def tell(record: ChargeRecord, stamp: float) -> None:
            write(record, stamp)
            self._told = time.monotonic()

        return tell

    def _set_tariff(self, request: SetTariff.Request, response: SetTariff.Response) -> SetTariff.Response:
        wanted = json.dumps({"tariff": request.tariff, "who": request.who or "unknown"})
        response.success, response.message = said(self._decisions.on(SET_TARIFF, wanted), SET_TARIFF)
        return response

    def _on_answers(self) -> None:
        """Hand over what the reader of a Modbus meter has found."""
        for answer in self._modbus.drain() if self._modbus is not None else ():
            age = max(time.monotonic() - answer.time, 0.0)
            self._decisions.on(ANSWER, as_text(answer.report, age, answer.status, answer.detail))

    def _stamp(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)


def make() -> EnergyMeterNode:
    """Make the node."""
    return EnergyMeterNode()


def main() -> int:
    """Run the node alone."""
    return run(make)
