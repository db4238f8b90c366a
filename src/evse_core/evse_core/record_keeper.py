"""Billing records over the life of the meter: when they are begun, gone on with after a restart, and ended, and what the register says meanwhile.

Theory of operation. Whatever is said is in the store before: a record is told when the store has taken it, and readings show the register as it is stored.
A keeper that starts and finds a record open waits for the first power_report, which says what flowed meanwhile, and for session_state, which says whether
the session still runs; where neither comes in time it goes on without. A record whose session is gone, because charge_sequencer began anew, stays open
until the current has gone, too: what flows during the ramp belongs to the vehicle that it was opened for. A meter that is read must have been read well after
a begin or an end was asked for: without it there is no begin and so no charging, and an end waits `end_wait` for it and then takes what was read last, with
the state of the meter beside it. What the store (record_store.py) does not take stays as it is and is asked again by the next session_state, power_report or
tick. Between begin and end the open session is asked which reading is due (open_session.py), and the store takes it before any price follows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, isfinite, nan

from evse_core.charge_records import RecordAction, Register, actions, begun, ended
from evse_core.energy_meter import EnergyMeter, MeterConfig
from evse_core.energy_meter_read import ReadMeter
from evse_core.held_tariff import HeldTariff
from evse_core.meter_link import POWER_LINK, MeterLinkConfig
from evse_core.meter_loss import Losses
from evse_core.open_session import OpenSession, session_price
from evse_core.pricing import price
from evse_core.receipt import zone
from evse_core.record_store import Meter, Store
from evse_core.session_readings import NO_CURRENT, NO_TIMES, Times, tariff_of
from evse_core.tariff import Tariff, TariffChange
from evse_core.types import (
    ChargeRecord,
    MeterReading,
    MeterReport,
    MeterStatus,
    PowerReport,
    RecordStatus,
    SessionPrice,
    SessionState,
    StopCause,
)


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
        link: MeterLinkConfig | None = None,
    ) -> None:
        self._config, self._evse, self._store = config, evse, store
        self._told, self._note = tell, note
        self._link = link or MeterLinkConfig()
        self._held, self._zone = HeldTariff(tariff, store, note), zone(config.time_zone)
        self.meter: Meter = _meter(config, self._link, store)
        self._session: OpenSession | None = None
        # session_state and when it came [s].
        self._heard_of: tuple[SessionState | None, float] = (None, -inf)
        self._final: SessionPrice | None = None
        # Until when the session of a record that an earlier run left open is waited for, and for what flowed meanwhile; None where there is none.
        self._resuming: float | None = None
        self._heard = False
        # Since when the session of the open record is gone; None while it is there.
        self._gone: float | None = None
        # What of the records waits for a reading of the meter, and since when.
        self._asked: tuple[RecordAction, float] | None = None
        self.stored = True
        self._failing: dict[str, int] = {}
        # When the register was last stored durably, and whether it has been stored otherwise since.
        self._synced, self._unsynced = float("-inf"), False

    @property
    def store(self) -> Store:
        """Where records and register are."""
        return self._store

    @property
    def open(self) -> ChargeRecord | None:
        """The open record."""
        return self._session.record if self._session is not None else None

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
        so_far = self._session.price(self._stored_last) if self._session else None
        return MeterReading(
            register_wh=register,
            voltage=reading.voltage if reading else nan,
            current=reading.current if reading else nan,
            power=reading.power if reading else nan,
            session_id=record.session_id if record else "",
            session_energy_wh=register - record.begin_register_wh if record else nan,
            session_cost=so_far.total if so_far else 0,
            currency=record.currency if record else self.tariff.currency,
            healthy=reading is not None and self.stored,
            legal=self.meter.facts.legal,
            export_register_wh=export,
            session_export_wh=export - record.begin_export_register_wh if record else nan,
            session_loss_wh=self._session_loss(record),
            **self.meter.details(now),
        )

    def _session_loss(self, record: ChargeRecord | None) -> float:
        """Return the losses in the cable in the session [Wh], as they are stored."""
        if record is None or not isfinite(record.begin_mains_wh):
            return nan
        return self._store.loss_wh - (record.begin_mains_wh - record.begin_register_wh)

    def session_price(self) -> SessionPrice | None:
        """Return the price so far of the open session by what is stored, else the final one of the last session that this run has ended."""
        if (session := self._session) is None:
            return self._final
        return session_price(session.record, session.price(self._stored_last), session.tariff, final=False)

    # Tariff

    @property
    def tariff(self) -> Tariff:
        """The tariff of new sessions."""
        return self._held.tariff

    @tariff.setter
    def tariff(self, tariff: Tariff) -> None:
        self._held.tariff = tariff

    def set_tariff(self, tariff: Tariff, who: str, stamp: float) -> tuple[TariffChange, bool]:
        """Have another tariff hold, over restarts, too; returns the change, and whether a running session takes it. Store.Error: nothing has changed."""
        change = self._held.take(tariff, who, stamp)
        return change, self._session is None or self._session.take_tariff(tariff)

    def change_tariff(self, text: str, who: str, stamp: float) -> tuple[bool, str]:
        """Take a tariff from its JSON text; returns whether it holds, and why not or from when on."""
        try:
            change, now = self.set_tariff(Tariff.parse(text), who, stamp)
        except (ValueError, self._store.Error) as error:
            self._note("WARNING", f"a tariff of {who} is refused: {error}")
            return False, str(error)
        self._note("WARNING", f"tariff changed by {who}: from {change.old} to {change.new}")
        self._changed(change)
        return True, "it holds" if now else "it holds from the next session on: the running one began with another currency or tax"

    def _changed(self, change: TariffChange) -> None:
        """Hear of a tariff that took the place of another one."""

    # After a restart

    def recover(self, now: float) -> Sequence[ChargeRecord]:
        """Go on with the record that an earlier run left open; return the last records, to be told again.

        now in monotonic seconds. Store.Error where an older one that was left open cannot be ended.
        """
        left = self._store.open_records()
        if left:
            self.reopen(left[-1])
        self.meter.in_session(self._session is not None)
        if self._session is not None and self._held.given_since(self._session.priced_since):
            self._session.take_tariff(self.tariff)
        self._interrupt(left[:-1])
        records = self._store.last()
        self._resuming = now + self._config.resume_time if self.open is not None else None
        return records

    def _interrupt(self, records: Sequence[ChargeRecord]) -> None:
        """End records with what was stored last: nobody saw their sessions end."""
        for record in records:
            self._note("WARNING", f"session {record.session_id} was interrupted at {self._stored_last.register_wh:.3f} Wh")
            readings = self._store.readings(record)
            last = replace(self._stored_last, times=Times(readings[-1].charging_time, readings[-1].idle_time))
            self._store.end(ended(record, RecordStatus.INTERRUPTED, StopCause.RESTART, last, readings))

    def reopen(self, record: ChargeRecord) -> OpenSession:
        """Go on with an open record by what the store has of it."""
        self._session = self._opened(record, self._store.times)
        return self._session

    @property
    def session(self) -> OpenSession | None:
        """The session of the open record."""
        return self._session

    def _opened(self, record: ChargeRecord, times: Times) -> OpenSession:
        return OpenSession(record, self._store.readings(record), times, self._config.max_gap)

    @property
    def _stored_last(self) -> Register:
        """What was stored last, when nobody was there to see the end."""
        store = self._store
        mains, export = store.register_wh + store.loss_wh, store.export_register_wh - store.export_loss_wh
        status = MeterStatus.UNKNOWN if self._link.kind == POWER_LINK else MeterStatus.NOT_READ
        return Register(store.register_wh, store.export_register_wh, store.max_power, store.stamp, store.times, status, mains, export)

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

    def on_meter(self, report: MeterReport, time: float, stamp: float) -> None:
        """Take an answer of the meter that came at time [s] and ROS time stamp [s], and store what it says."""
        if isinstance(self.meter, ReadMeter) and self.meter.on_sample(report, time, stamp):
            counted = (self.meter.register_wh, self.meter.export_register_wh, self.meter.identity)
            if counted != (self._store.register_wh, self._store.export_register_wh, self._store.meter):
                self.save(time, stamp, durable=time - self._synced >= self._config.sync_period)

    def on_meter_failure(self, status: MeterStatus, detail: str, time: float) -> None:
        """Take that the meter did not answer at time [s], or with what cannot be used."""
        if isinstance(self.meter, ReadMeter):
            self.meter.on_failure(status, detail, time)

    def _counter_is_news(self) -> bool:
        """Return whether a restart would take up the counter of power_report at a wrong place: can_bridge is new here, or began anew."""
        counters = ((self.meter.counter_wh, self._store.counter_wh), (self.meter.export_counter_wh, self._store.export_counter_wh))
        return any(isfinite(counted) and counted != stored for counted, stored in counters)

    def save(self, now: float, stamp: float, durable: bool) -> None:
        """Store the register; a failure is kept in `stored` and tried again with the next reading."""
        try:
            self._store.save(self.meter, stamp, durable, self._times)
        except self._store.Error as error:
            self._fail("register", error)
        else:
            self.stored = True
            self._failing.pop("register", None)
            self._synced, self._unsynced = (now, False) if durable else (self._synced, True)

    @property
    def _times(self) -> Times:
        return self._session.times if self._session is not None else self._store.times

    def tick(self, now: float, stamp: float) -> None:
        """Do what time asks for: stop to wait, take the reading that is due, store what could not be stored, or not durably.

        Nothing more may come once the current has gone.
        """
        self.stop_waiting(now)
        self._look(now, stamp)
        overdue = (self._unsynced or self._times != self._store.times) and now - self._synced >= self._config.sync_period
        if not self.stored or overdue:
            self.save(now, stamp, durable=True)

    def _look(self, now: float, stamp: float) -> None:
        """Count the time of the open session and take the reading that is due; one that cannot be stored is due again."""
        if (session := self._session) is None or self._resuming is not None:
            return
        present = (self._heard_of[0], now - self._heard_of[1], self.meter.fresh(now), now)
        session.step(*present)
        if (mark := session.due(*present, stamp, self._zone)) is None:
            return
        reading = session.reading(mark, self._present(now, stamp), self._zone)
        try:
            self._store.add(session.record, reading)
        except self._store.Error as error:
            self._fail("readings", error)
        else:
            self._failing.pop("readings", None)
            session.taken(reading, now)
            self._note(
                "INFO",
                f"session {session.record.session_id}: reading {mark.name.lower().replace('_', ' ')} at {reading.register_wh:.3f} Wh",
            )

    def _present(self, now: float, stamp: float) -> Register:
        meter = self.meter
        status = meter.status(now)
        if status is MeterStatus.GOOD and self._asked is not None and not meter.read_since(self._wanted_since(*self._asked)):
            status = MeterStatus.TIMEOUT
        mains = meter.mains_wh, meter.export_mains_wh
        return Register(meter.register_wh, meter.export_register_wh, meter.max_power, stamp, self._times, status, *mains)

    def _fail(self, kind: str, error: Exception) -> None:
        if self.stored:
            self._note("ERROR", f"the ledger cannot be written: {error}")
        self.stored = False
        self._failing[kind] = self._failing.get(kind, 0) + 1

    # Records

    def on_session(self, session: SessionState, now: float, stamp: float) -> None:
        """Do what the session asks of the records; what fails is asked again by the next session_state. now in monotonic seconds, stamp in ROS time [s]."""
        self._heard = True
        self._heard_of = (session, now)
        if self._resuming is not None and self.meter.last is None:
            # What flowed while this process was away comes with the first power_report, and belongs to the open record.
            return
        try:
            known = session.transaction_active and self._store.find(session.session_id) is not None
            wanted = actions(self.open.session_id if self.open else "", session, known)
            if self._settling(RecordAction.INTERRUPT in wanted, now):
                return
            if self._session is not None and self._resuming is None:
                self._session.step(session, 0.0, self.meter.fresh(now), now)
            for action in wanted:
                if self._waits_for_meter(action, now):
                    return
                self._act(action, session, now, stamp)
            self._asked = None
            if self._resuming is not None and self._session is not None:
                self._session.resumed()
                self._note("INFO", f"session {self._session.record.session_id} goes on after a restart")
            self._resuming = None
        except self._store.Error as error:
            self._fail("records", error)
        else:
            self._failing.pop("records", None)

    def _waits_for_meter(self, action: RecordAction, now: float) -> bool:
        """Return whether a begin or an end waits for a good reading that was made after it was asked for."""
        if self._asked is None or self._asked[0] is not action:
            self._asked = (action, now)
        since = self._asked[1]
        if self.meter.read_since(self._wanted_since(action, since)) and self.meter.status(now) in (MeterStatus.UNKNOWN, MeterStatus.GOOD):
            return False
        return action is RecordAction.BEGIN or now - since < self._link.end_wait

    def _wanted_since(self, action: RecordAction, asked: float) -> float:
        """Return when a reading must have been made at the earliest [s]: at the end what flowed last has yet to reach the register."""
        return asked if action is RecordAction.BEGIN else asked + self._link.register_delay

    def _settling(self, gone: bool, now: float) -> bool:
        """Return whether the open record waits for the end of the current of its session, which is gone."""
        if not gone:
            self._gone = None
            return False
        self._gone = now if self._gone is None else self._gone
        reading = self.meter.fresh(now)
        return (reading is None or abs(reading.current) >= NO_CURRENT) and now - self._gone < self._config.settle_time

    def _act(self, action: RecordAction, session: SessionState, now: float, stamp: float) -> None:
        if action is RecordAction.BEGIN:
            self._begin(session, now, stamp)
            return
        present = self._present(now, stamp)
        if action is RecordAction.CLOSE:
            self._end(RecordStatus.CLOSED, session.stop_cause, present)
        else:
            # A session that was lost while this process was away, too, ended when energy was counted last, as far as is known.
            self._end(RecordStatus.INTERRUPTED, StopCause.RESTART, present if self._resuming is None else self._stored_last)

    def _begin(self, session: SessionState, now: float, stamp: float) -> None:
        self.meter.begin()
        register = replace(self._present(now, stamp), times=NO_TIMES)
        store, losses = self._store, self.meter.losses
        if (store.meter, store.loss_wh, store.export_loss_wh) != (self.meter.identity, losses.import_wh, losses.export_wh):
            store.save(self.meter, stamp, durable=False)
        record = begun(session, self._evse, store.next_number(), self.tariff, register, self.meter.facts)
        store.begin(record, self.tariff.phase(stamp, self._zone).text())
        self._session = self._opened(record, NO_TIMES)
        self.meter.in_session(True)
        self._told(record)

    def _end(self, status: RecordStatus, cause: StopCause, register: Register) -> None:
        assert self._session is not None
        session = self._session
        record = ended(session.record, status, cause, register, session.readings)
        self._store.end(record)
        self._session = self._gone = None
        self.meter.in_session(False)
        cost = price(tariff_of(record), self._store.readings(record))
        self._final = session_price(record, cost, session.tariff, final=True)
        self._told(record)


def _meter(config: MeterConfig, link: MeterLinkConfig, store: Store) -> Meter:
    """Return the meter of a kind, from where the store left it."""
    if link.kind != POWER_LINK:
        return ReadMeter(config, link, store)
    losses = Losses(link.cable_resistance, store.loss_wh, store.export_loss_wh)
    return EnergyMeter(
        config, store.register_wh, store.max_power, store.counter_wh, store.export_register_wh, store.export_counter_wh, losses
    )
