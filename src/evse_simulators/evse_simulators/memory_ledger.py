"""The memory of the simulated energy_meter: a store of evse_core/record_store.py that forgets in a loss of power what evse_nodes/ledger.py may forget."""

from math import nan

from evse_core.record_store import Meter
from evse_core.session_readings import NO_TIMES, SessionReading, Times, begin_reading, complete, end_reading
from evse_core.tariff import TariffChange
from evse_core.types import ChargeRecord, RecordStatus


class MemoryLedger:
    """Register and records. Every commit survives the end of a process, the durable ones, with all before them, also lose_power()."""

    # No method fails; this is what would be raised.
    Error: type[Exception] = OSError

    def __init__(self) -> None:
        self.records: list[ChargeRecord] = []
        # Registers [Wh], highest power since the begin of the record [W], time of the last save [s], counters of power_report then [Wh].
        self.register_wh, self.export_register_wh, self.max_power, self.stamp = 0.0, 0.0, 0.0, 0.0
        self.counter_wh = self.export_counter_wh = nan
        self.times = NO_TIMES
        # Losses in the cable that the registers are without [Wh], and the meter that they are those of.
        self.loss_wh, self.export_loss_wh, self.meter = 0.0, 0.0, ""
        self._readings: dict[str, tuple[SessionReading, ...]] = {}
        self._tariff: TariffChange | None = None
        self._durable = self._row()

    def _row(self) -> tuple[float, float, float, float, float, float, float, float, str, Times]:
        counted = self.register_wh, self.export_register_wh, self.max_power, self.stamp, self.counter_wh, self.export_counter_wh
        return *counted, self.loss_wh, self.export_loss_wh, self.meter, self.times

    @property
    def durable_register_wh(self) -> float:
        """What a loss of power leaves of the register [Wh]."""
        return self._durable[0]

    @property
    def durable_export_register_wh(self) -> float:
        """What it leaves of the register of energy from vehicles [Wh]."""
        return self._durable[1]

    def lose_power(self) -> None:
        """Forget what was stored since the last durable commit."""
        self.register_wh, self.export_register_wh, self.max_power, self.stamp, self.counter_wh, self.export_counter_wh = self._durable[:6]
        self.loss_wh, self.export_loss_wh, self.meter, self.times = self._durable[6:]

    def save(self, meter: Meter, stamp: float, durable: bool, times: Times = NO_TIMES) -> None:
        """Store the meter's registers, losses, highest power and counters, and the times of the session; another meter's take the place of the old ones."""
        if meter.identity != self.meter:
            self.register_wh, self.export_register_wh, self.meter = meter.register_wh, meter.export_register_wh, meter.identity
        self.loss_wh, self.export_loss_wh = meter.losses.import_wh, meter.losses.export_wh
        self.counter_wh, self.export_counter_wh = meter.counter_wh, meter.export_counter_wh
        self._store(meter.register_wh, meter.export_register_wh, meter.max_power, stamp, times, durable)

    def _store(self, register_wh: float, export_wh: float, max_power: float, stamp: float, times: Times, durable: bool = True) -> None:
        self.register_wh, self.export_register_wh = max(register_wh, self.register_wh), max(export_wh, self.export_register_wh)
        self.max_power, self.stamp, self.times = max_power, stamp, times
        if durable:
            self._durable = self._row()

    def next_number(self) -> int:
        """Return the number of the next record."""
        return len(self.records) + 1

    def begin(self, record: ChargeRecord, phase: str = "") -> None:
        """Store an OPEN record with its begin reading and the register that it begins with, together and durably."""
        self.records = [*self.records, record]
        self._readings[record.session_id] = (begin_reading(record, phase),)
        self._store(record.begin_register_wh, record.begin_export_register_wh, 0.0, record.stamp, NO_TIMES)

    def add(self, record: ChargeRecord, reading: SessionReading) -> None:
        """Store a reading of an OPEN record and its registers, together and durably."""
        self._readings[record.session_id] = (*self._readings[record.session_id], reading)
        times = Times(reading.charging_time, reading.idle_time)
        self._store(reading.register_wh, reading.export_register_wh, self.max_power, reading.stamp, times)

    def end(self, record: ChargeRecord) -> None:
        """Store the end of an OPEN record and the register that it ends with, together and durably; one that has ended stays as it is."""
        if any(_open(old) and old.session_id == record.session_id for old in self.records):
            found = self._readings[record.session_id]
            self._readings[record.session_id] = (*found, end_reading(record, found))
        self.records = [record if _open(old) and old.session_id == record.session_id else old for old in self.records]
        times = Times(record.charging_time, record.idle_time)
        self._store(record.end_register_wh, record.end_export_register_wh, record.max_power, record.stamp, times)

    def readings(self, record: ChargeRecord) -> tuple[SessionReading, ...]:
        """Return the readings of a record in their order, the end among them where it has ended."""
        return complete(record, self._readings.get(record.session_id, ()))

    def keep_tariff(self, change: TariffChange) -> None:
        """Store which tariff took the place of the description's."""
        self._tariff = change

    def kept_tariff(self) -> TariffChange | None:
        """Return what was stored by keep_tariff() last."""
        return self._tariff

    def open_records(self) -> list[ChargeRecord]:
        """Return the records without an end, oldest first."""
        return [record for record in self.records if _open(record)]

    def last(self) -> list[ChargeRecord]:
        """Return all records, oldest first: a world has few."""
        return self.records

    def find(self, session_id: str) -> ChargeRecord | None:
        """Return the record of a session."""
        return next((record for record in self.records if record.session_id == session_id), None)


def _open(record: ChargeRecord) -> bool:
    return record.status is RecordStatus.OPEN
