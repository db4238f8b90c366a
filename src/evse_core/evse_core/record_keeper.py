"""Billing records over the life of the meter: when they are begun, gone on with after a restart, and ended, and what the register says meanwhile.

Theory of operation. Whatever is said is in the store before: a record is told when the store has taken it, and readings show the register as it is stored.
A keeper that starts and finds a record open waits for the first power_report, which says what flowed meanwhile, and for session_state, which says whether
the session still runs; where neither comes in time it goes on without. A record whose session is gone, because charge_sequencer began anew, stays open
until the current has gone, too: what flows during the ramp belongs to the vehicle that it was opened for. What the store does not take stays as it is and
is asked again by the next session_state, power_report or tick. energy_meter stores on disk (evse_nodes/ledger.py), the simulated world in memory
(evse_simulators/memory_ledger.py).
"""

from collections.abc import Callable, Sequence
from math import isfinite, nan
from typing import Protocol

from evse_core.charge_records import RecordAction, Register, actions, begun, ended
from evse_core.energy_meter import LEGAL, EnergyMeter, MeterConfig, billed_wh
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, MeterReading, PowerReport, RecordStatus, SessionState, StopCause

# Below this no energy worth a name flows: 0.3 Wh a second at 1000 V. [A]
NO_CURRENT = 1.0


class Store(Protocol):
    """Register and records of one EVSE. A method that raises `Error` has stored nothing.

    Everything that was stored survives the end of the process; begin, end and a durable save also a loss of power, with all that was stored before them.
    """

    Error: type[Exception]

    @property
    def register_wh(self) -> float:
        """Register [Wh]; it never decreases."""

    @property
    def max_power(self) -> float:
        """Highest power since the begin of the record [W]."""

    @property
    def export_register_wh(self) -> float:
        """Register of energy from vehicles [Wh]; it never decreases."""

    @property
    def export_counter_wh(self) -> float:
        """Counter of power_report up to which that register has counted [Wh], NaN where unknown."""

    @property
    def stamp(self) -> float:
        """ROS time of the last save [s]."""

    @property
    def counter_wh(self) -> float:
        """Counter of power_report up to which the register has counted [Wh], NaN where unknown."""

    def save(self, meter: EnergyMeter, stamp: float, durable: bool) -> None:
        """Store the meter's registers, its highest power and its counters, with the ROS time [s]."""

    def next_number(self) -> int:
        """Return the number of the next record."""

    def begin(self, record: ChargeRecord) -> None:
        """Store an OPEN record with the register that it begins with."""

    def end(self, record: ChargeRecord) -> None:
        """Store the end of an OPEN record with the register that it ends with; one that has ended stays as it is."""

    def open_records(self) -> Sequence[ChargeRecord]:
        """Return the records without an end, oldest first."""

    def last(self) -> Sequence[ChargeRecord]:
        """Return the newest records, oldest first."""

    def find(self, session_id: str) -> ChargeRecord | None:
        """Return the record of a session."""


class RecordKeeper:
    """The meter of one EVSE with its memory. `tell` hears of each record once it is stored; `note` gets words for the log, after a level of logging's."""

    def __init__(
        self,
        config: MeterConfig,
        tariff: Tariff,
        evse: int,
        store: Store,
        tell: Callable[[ChargeRecord], None],
        note: Callable[[str, str], None],
    ) -> None:
        self._config, self._tariff, self._evse, self._store = config, tariff, evse, store
        self._told, self._note = tell, note
        self.meter = EnergyMeter(
            config, store.register_wh, store.max_power, store.counter_wh, store.export_register_wh, store.export_counter_wh
        )
        self.open: ChargeRecord | None = None
        # Until when the session of a record that an earlier run left open is waited for, and for what flowed meanwhile; None where there is none.
        self._resuming: float | None = None
        self._heard = False
        # Since when the session of the open record is gone; None while it is there.
        self._gone: float | None = None
        self.stored = True
        self._failing: dict[str, int] = {}
        # When the register was last stored durably, and whether it has been stored otherwise since.
        self._synced, self._unsynced = float("-inf"), False

    @property
    def store(self) -> Store:
        """Where records and register are."""
        return self._store

    @property
    def register_wh(self) -> float:
        """The register as it is stored [Wh]."""
        return self._store.register_wh

    @property
    def failed_writes(self) -> int:
        """How many writes of the store have failed since the last ones of their kind that worked."""
        return sum(self._failing.values())

    def reading(self, now: float) -> MeterReading:
        """Return the register as it is stored, with the present values; the stamp is left to whoever publishes it."""
        reading, record, register, export = self.meter.fresh(now), self.open, self.register_wh, self._store.export_register_wh
        energy = billed_wh(record.begin_register_wh, register) if record else 0
        given = billed_wh(record.begin_export_register_wh, export) if record else 0
        return MeterReading(
            register_wh=register,
            voltage=reading.voltage if reading else nan,
            current=reading.current if reading else nan,
            power=reading.power if reading else nan,
            session_id=record.session_id if record else "",
            session_energy_wh=register - record.begin_register_wh if record else nan,
            session_cost=self._tariff.cost(energy) - self._tariff.credit(given),
            currency=self._tariff.currency,
            healthy=reading is not None and self.stored,
            legal=LEGAL,
            export_register_wh=export,
            session_export_wh=export - record.begin_export_register_wh if record else nan,
        )

    # After a restart

    def recover(self, now: float) -> Sequence[ChargeRecord]:
        """Go on with the record that an earlier run left open; return the last records, to be told again.

        now in monotonic seconds. Store.Error where an older one that was left open cannot be ended.
        """
        left = self._store.open_records()
        self.open = left[-1] if left else None
        self._interrupt(left[:-1])
        records = self._store.last()
        self._resuming = now + self._config.resume_time if self.open is not None else None
        return records

    def _interrupt(self, records: Sequence[ChargeRecord]) -> None:
        """End records with what was stored last: nobody saw their sessions end."""
        for record in records:
            self._note("WARNING", f"session {record.session_id} was interrupted at {self._stored_last.register_wh:.3f} Wh")
            self._store.end(ended(record, RecordStatus.INTERRUPTED, StopCause.RESTART, self._stored_last))

    @property
    def _stored_last(self) -> Register:
        return Register(self._store.register_wh, self._store.export_register_wh, self._store.max_power, self._store.stamp)

    def stop_waiting(self, now: float) -> None:
        """End the record of an earlier run whose session nobody knows in time, or go on without what the modules would say; now in monotonic seconds."""
        if self._resuming is None or now < self._resuming:
            return
        if self._heard:
            self._resuming = None
            return
        try:
            self._end(RecordStatus.INTERRUPTED, StopCause.RESTART, self._stored_last)
        except self._store.Error as error:
            self._fail("records", error)
        else:
            self._failing.pop("records", None)
            self._resuming = None

    # Register

    def on_power(self, report: PowerReport, now: float, stamp: float) -> None:
        """Count a report received at now [s] and store what it adds; stamp is the ROS time [s]."""
        before = self.meter.register_wh + self.meter.export_register_wh
        if self.meter.on_report(report, now) and (
            self.meter.register_wh + self.meter.export_register_wh > before or self._counter_is_news()
        ):
            self.save(now, stamp, durable=now - self._synced >= self._config.sync_period)

    def _counter_is_news(self) -> bool:
        """Return whether a restart would take up the counter of power_report at a wrong place: can_bridge is new here, or began anew."""
        counters = ((self.meter.counter_wh, self._store.counter_wh), (self.meter.export_counter_wh, self._store.export_counter_wh))
        return any(isfinite(counted) and counted != stored for counted, stored in counters)

    def save(self, now: float, stamp: float, durable: bool) -> None:
        """Store the register; a failure is kept in `stored` and tried again with the next reading."""
        try:
            self._store.save(self.meter, stamp, durable)
        except self._store.Error as error:
            self._fail("register", error)
        else:
            self.stored = True
            self._failing.pop("register", None)
            self._synced, self._unsynced = (now, False) if durable else (self._synced, True)

    def tick(self, now: float, stamp: float) -> None:
        """Do what time asks for: stop to wait, store what could not be stored, or not durably: nothing more may come once the current has gone."""
        self.stop_waiting(now)
        overdue = self._unsynced and now - self._synced >= self._config.sync_period
        if not self.stored or overdue:
            self.save(now, stamp, durable=True)

    def _fail(self, kind: str, error: Exception) -> None:
        if self.stored:
            self._note("ERROR", f"the ledger cannot be written: {error}")
        self.stored = False
        self._failing[kind] = self._failing.get(kind, 0) + 1

    # Records

    def on_session(self, session: SessionState, now: float, stamp: float) -> None:
        """Do what the session asks of the records; what fails is asked again by the next session_state. now in monotonic seconds, stamp in ROS time [s]."""
        self._heard = True
        if self._resuming is not None and self.meter.last is None:
            # What flowed while this process was away comes with the first power_report, and belongs to the open record.
            return
        try:
            known = session.transaction_active and self._store.find(session.session_id) is not None
            wanted = actions(self.open.session_id if self.open else "", session, known)
            if self._settling(RecordAction.INTERRUPT in wanted, now):
                return
            for action in wanted:
                self._act(action, session, stamp)
            if self._resuming is not None and self.open is not None:
                self._note("INFO", f"session {self.open.session_id} goes on after a restart")
            self._resuming = None
        except self._store.Error as error:
            self._fail("records", error)
        else:
            self._failing.pop("records", None)

    def _settling(self, gone: bool, now: float) -> bool:
        """Return whether the open record waits for the end of the current of its session, which is gone."""
        if not gone:
            self._gone = None
            return False
        self._gone = now if self._gone is None else self._gone
        reading = self.meter.fresh(now)
        return (reading is None or abs(reading.current) >= NO_CURRENT) and now - self._gone < self._config.settle_time

    def _act(self, action: RecordAction, session: SessionState, stamp: float) -> None:
        present = Register(self.meter.register_wh, self.meter.export_register_wh, self.meter.max_power, stamp)
        if action is RecordAction.BEGIN:
            self._begin(session, stamp)
        elif action is RecordAction.CLOSE:
            self._end(RecordStatus.CLOSED, session.stop_cause, present)
        else:
            # A session that was lost while this process was away, too, ended when energy was counted last, as far as is known.
            self._end(RecordStatus.INTERRUPTED, StopCause.RESTART, present if self._resuming is None else self._stored_last)

    def _begin(self, session: SessionState, stamp: float) -> None:
        self.meter.reset_peak()
        register = Register(self.meter.register_wh, self.meter.export_register_wh, 0.0, stamp)
        record = begun(session, self._evse, self._store.next_number(), self._tariff, register)
        self._store.begin(record)
        self.open = record
        self._told(record)

    def _end(self, status: RecordStatus, cause: StopCause, register: Register) -> None:
        assert self.open is not None
        record = ended(self.open, status, cause, register)
        self._store.end(record)
        self.open = self._gone = None
        self._told(record)
