"""What energy_meter keeps: register and records in the ledger, receipts as files. No ROS here; nothing is told that is not on disk before."""

import logging
import sqlite3
from collections.abc import Callable
from math import nan
from pathlib import Path

from evse_core.charge_records import RecordAction, Register, actions, begun, ended
from evse_core.energy_meter import LEGAL, EnergyMeter, MeterConfig, billed_wh
from evse_core.receipt import Receipt, zone
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, MeterReading, PowerReport, RecordStatus, SessionState, StopCause, Transaction
from evse_nodes.ledger import Ledger
from evse_nodes.receipt_files import ReceiptFiles

LOG = logging.getLogger("energy_meter")


class MeterBook:
    """The meter of one EVSE with its memory. `tell` hears of each record once it is stored; ValueError where the folder cannot be used."""

    def __init__(self, config: MeterConfig, tariff: Tariff, evse: int, folder: Path, tell: Callable[[ChargeRecord], None]) -> None:
        self._config, self._tariff, self._evse, self._tell = config, tariff, evse, tell
        self._zone = zone(config.time_zone)
        self._receipts = ReceiptFiles(folder / "receipts")
        self._ledger = Ledger(folder / f"energy_meter_{evse}.sqlite")
        self.meter = EnergyMeter(config, self._ledger.register_wh, self._ledger.max_power, self._ledger.counter_wh)
        self.open: ChargeRecord | None = None
        # Until when the session of a record that an earlier run left open is waited for, and for what flowed meanwhile; None where there is none.
        self._resuming: float | None = None
        self._heard = False
        self.stored = True
        self._failing: dict[str, int] = {}
        self._synced = float("-inf")

    @property
    def register_wh(self) -> float:
        """The register as it is on disk [Wh]."""
        return self._ledger.register_wh

    def reading(self, now: float) -> MeterReading:
        """Return the register as it is on disk, with the present values; the stamp is left to whoever publishes it."""
        reading, record, register = self.meter.fresh(now), self.open, self.register_wh
        return MeterReading(
            register_wh=register,
            voltage=reading.voltage if reading else nan,
            current=reading.current if reading else nan,
            power=reading.power if reading else nan,
            session_id=record.session_id if record else "",
            session_energy_wh=register - record.begin_register_wh if record else nan,
            session_cost=self._tariff.cost(billed_wh(record.begin_register_wh, register)) if record else 0,
            currency=self._tariff.currency,
            healthy=reading is not None and self.stored,
            legal=LEGAL,
        )

    @property
    def failed_writes(self) -> int:
        """How many writes of the ledger have failed since the last ones of their kind that worked."""
        return sum(self._failing.values())

    def recover(self, now: float) -> None:
        """Go on with the record that an earlier run left open: the next session_state tells whether its session still runs. Tell the last records again.

        now in monotonic seconds. ValueError where an older one that was left open cannot be ended.
        """
        try:
            left = self._ledger.open_records()
            self.open = left[-1] if left else None
            self._interrupt(left[:-1])
            records = self._ledger.last()
        except sqlite3.Error as error:
            raise ValueError(f"{self._ledger.path}: cannot be written: {error}") from error
        self._resuming = now + self._config.resume_time if self.open is not None else None
        for record in records:
            self._tell(record)
            if self._receipts.missing(record.session_id):
                self._print(record)

    def _interrupt(self, records: list[ChargeRecord]) -> None:
        """End records with what was stored last: nobody saw their sessions end."""
        for record in records:
            LOG.warning("session %s was interrupted at %.3f Wh", record.session_id, self._stored_last.register_wh)
            self._ledger.end(ended(record, RecordStatus.INTERRUPTED, StopCause.RESTART, self._stored_last))

    @property
    def _stored_last(self) -> Register:
        return Register(self._ledger.register_wh, self._ledger.max_power, self._ledger.stamp)

    def on_power(self, report: PowerReport, now: float, stamp: float) -> None:
        """Count a report received at now [s] and store what it adds; stamp is the ROS time [s]."""
        before = self.meter.register_wh
        if self.meter.on_report(report, now) and self.meter.register_wh > before:
            self.save(now, stamp, durable=now - self._synced >= self._config.sync_period)

    def save(self, now: float, stamp: float, durable: bool) -> None:
        """Store the register; a failure is kept in `stored` and tried again with the next reading."""
        try:
            self._ledger.save(self.meter.register_wh, self.meter.max_power, stamp, durable, self.meter.counter_wh)
        except sqlite3.Error as error:
            self._fail("register", error)
        else:
            self.stored = True
            self._failing.pop("register", None)
            self._synced = now if durable else self._synced

    def on_session(self, session: SessionState, stamp: float) -> None:
        """Do what the session asks of the records; what fails is asked again by the next session_state."""
        self._heard = True
        if self._resuming is not None and self.meter.last is None:
            # What flowed while this process was away comes with the first power_report, and belongs to the open record.
            return
        try:
            known = session.transaction_active and self._ledger.find(session.session_id) is not None
            for action in actions(self.open.session_id if self.open else "", session, known):
                self._act(action, session, stamp)
            if self._resuming is not None and self.open is not None:
                LOG.info("session %s goes on after a restart", self.open.session_id)
            self._resuming = None
        except sqlite3.Error as error:
            self._fail("records", error)
        else:
            self._failing.pop("records", None)

    def stop_waiting(self, now: float) -> None:
        """End the record of an earlier run whose session nobody knows in time, or go on without what the modules would say; now in monotonic seconds."""
        if self._resuming is None or now < self._resuming:
            return
        if self._heard:
            self._resuming = None
            return
        try:
            self._end(RecordStatus.INTERRUPTED, StopCause.RESTART, self._stored_last)
        except sqlite3.Error as error:
            self._fail("records", error)
        else:
            self._failing.pop("records", None)
            self._resuming = None

    def _act(self, action: RecordAction, session: SessionState, stamp: float) -> None:
        present = Register(self.meter.register_wh, self.meter.max_power, stamp)
        if action is RecordAction.BEGIN:
            self._begin(session, stamp)
        elif action is RecordAction.CLOSE:
            self._end(RecordStatus.CLOSED, session.stop_cause, present)
        else:
            # A session that was lost while this process was away, too, ended when energy was counted last, as far as is known.
            self._end(RecordStatus.INTERRUPTED, StopCause.RESTART, present if self._resuming is None else self._stored_last)

    def _begin(self, session: SessionState, stamp: float) -> None:
        self.meter.reset_peak()
        register = Register(self.meter.register_wh, 0.0, stamp)
        record = begun(session, self._evse, self._ledger.next_number(), self._tariff, register)
        self._ledger.begin(record)
        self.open = record
        self._tell(record)

    def _end(self, status: RecordStatus, cause: StopCause, register: Register) -> None:
        assert self.open is not None
        record = ended(self.open, status, cause, register)
        self._ledger.end(record)
        self.open = None
        self._print(record)
        self._tell(record)

    def on_transaction(self, transaction: Transaction) -> None:
        """Put the number that the CSMS gave on the receipt, also when it comes long after the session."""
        try:
            news = transaction.transaction_id != 0 and self._ledger.set_transaction(transaction.session_id, transaction.transaction_id)
            record = self._ledger.find(transaction.session_id) if news else None
        except sqlite3.Error as error:
            # Not billed by: the next answer of the CSMS, or the receipt of the next start, has it again.
            LOG.error("the number of transaction %s cannot be stored: %s", transaction.session_id, error)
            self.stored = False
        else:
            if record is not None:
                self._print(record)

    def _print(self, record: ChargeRecord) -> None:
        """Write the receipt of a record that has ended; one that cannot be written now is written at the next start."""
        if record.status is RecordStatus.OPEN:
            return
        try:
            self._receipts.write(Receipt(record, self._ledger.transaction_id(record.session_id), self._config, self._zone))
        except (OSError, sqlite3.Error):
            LOG.exception("no receipt for session %s", record.session_id)

    def _fail(self, kind: str, error: Exception) -> None:
        if self.stored:
            LOG.error("the ledger cannot be written: %s", error)
        self.stored = False
        self._failing[kind] = self._failing.get(kind, 0) + 1

    def close(self) -> None:
        """Release the file; the next start goes on with an open record."""
        self._ledger.close()
