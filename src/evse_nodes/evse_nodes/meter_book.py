"""What energy_meter keeps: register and records in the ledger, receipts as files. No ROS here. The rule is evse_core/record_keeper.py."""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from evse_core.audit import facts
from evse_core.energy_meter import MeterConfig
from evse_core.meter_link import MeterLinkConfig
from evse_core.receipt import Receipt
from evse_core.record_keeper import RecordKeeper
from evse_core.signed_readings import SignedReading, signed_readings
from evse_core.tariff import Tariff, TariffChange
from evse_core.types import ChargeRecord, RecordStatus, Transaction
from evse_nodes.ledger import Ledger
from evse_nodes.meter_audit import MeterAudit
from evse_nodes.meter_key import notary
from evse_nodes.metrology_sources import NO_FILES
from evse_nodes.receipt_files import ReceiptFiles

LOG = logging.getLogger("energy_meter")


class MeterBook(RecordKeeper):
    """The keeper of one EVSE with its folder. `tell` hears of each record once it is on disk; ValueError where the folder cannot be used.

    files: what the meter is read by, contents by parameter (meter_files.py).
    """

    def __init__(
        self,
        config: MeterConfig,
        tariff: Tariff,
        evse: int,
        folder: Path,
        tell: Callable[[ChargeRecord], None],
        description: str = "",
        link: MeterLinkConfig | None = None,
        files: Mapping[str, bytes] = NO_FILES,
    ) -> None:
        self._tell = tell
        self._receipts = ReceiptFiles(folder / "receipts")
        link = link or MeterLinkConfig()
        with ExitStack() as undo:
            self.audit = MeterAudit(folder, evse, description, files)
            undo.callback(self.audit.close)
            signer = notary(folder, evse, config, self.audit.extensions)
            self._ledger = Ledger(folder / f"energy_meter_{evse}.sqlite", signer)
            undo.callback(self._ledger.close)
            super().__init__(config, tariff, evse, self._ledger, self._print_and_tell, _log, link)
            ledger, pages = self._ledger.audited()
            given = facts("energy_meter", config) | facts("energy_meter.meter", link) | facts("tariff", self.tariff)
            self.audit.start(given | ledger, signer.public_key, pages)
            undo.pop_all()

    def recover(self, now: float) -> Sequence[ChargeRecord]:
        """Go on as RecordKeeper does and tell the last records again; ValueError where an older one that was left open cannot be ended."""
        try:
            records = super().recover(now)
        except sqlite3.Error as error:
            raise ValueError(f"{self._ledger.path}: cannot be written: {error}") from error
        for record in records:
            self._tell(record)
            if self._receipts.missing(record.session_id):
                self._print(record)
        return records

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

    def tick(self, now: float, stamp: float) -> None:
        """Do what time asks of the keeper and of the audit trail."""
        super().tick(now, stamp)
        self.audit.tick(stamp, now)

    @property
    def failed_writes(self) -> int:
        """How many writes of ledger and audit trail have failed since the last ones of their kind that worked."""
        return super().failed_writes + self.audit.failed_writes

    def _changed(self, change: TariffChange) -> None:
        self.audit.changed("tariff.", facts("tariff", self.tariff), change.who)

    def signed_readings(self, record: ChargeRecord) -> tuple[SignedReading, ...]:
        """Return the readings of a record with the signed records that were made for them; sqlite3.Error, ValueError for evidence that does not fit."""
        return signed_readings(self._ledger.readings(record), self._ledger.proofs(record.session_id))

    def _print_and_tell(self, record: ChargeRecord) -> None:
        self.audit.on_page(self._ledger.audited()[1])
        self._print(record)
        self._tell(record)

    def _print(self, record: ChargeRecord) -> None:
        """Write the receipt of a record that has ended; one that cannot be written now is written at the next start."""
        if record.status is RecordStatus.OPEN:
            return
        try:
            number, proofs = self._ledger.transaction_id(record.session_id), self._ledger.proofs(record.session_id)
            newest = proofs[-1] if proofs else None
            self._receipts.write(Receipt(record, number, self._config, self._zone, self._ledger.readings(record), newest))
        except (OSError, sqlite3.Error):
            LOG.exception("no receipt for session %s", record.session_id)

    def close(self) -> None:
        """Release the file; the next start goes on with an open record."""
        self._ledger.close()
        self.audit.close()


def _log(level: str, words: str) -> None:
    LOG.log(logging.getLevelNamesMapping()[level], "%s", words)
