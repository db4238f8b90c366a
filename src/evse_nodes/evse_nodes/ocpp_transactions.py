"""Records and readings to transaction messages, through the queue on disk to the CSMS, and what it answers back to the graph."""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Any

from evse_core import ocpp16_messages as messages
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_authorization import from_id_tag_info
from evse_core.ocpp16_delivery import Delivery, Kind, Outcome, QueuedMessage, filled
from evse_core.ocpp16_sampling import ClockSampler, Sampler
from evse_core.types import Authorization, ChargeRecord, MeterReading, RecordStatus, Transaction
from evse_nodes.message_queue import MessageQueue, SessionRow
from evse_nodes.ocpp_link import Job

LOG = logging.getLogger("ocpp_uplink")

# transaction_id is an int32 in the message; JSON knows no such bound. [1]
_INT32 = 2**31
_INT64 = 2**63


@dataclass(frozen=True)
class Samples:
    """One kind of samples: its context, what MeterValues tell of it, and what StopTransaction does (1.6 section 9.1)."""

    context: str
    measurands: tuple[str, ...]
    at_stop: tuple[str, ...]


@dataclass(frozen=True)
class Listeners:
    """Who hears of what the CSMS answers, and who knows the reservation that a begin ends."""

    publish: Callable[[int, Transaction], None]
    refused: Callable[[SessionRow, Authorization], None]
    id_tag_info: Callable[[str, object], None] = lambda token, info: None
    reservation: Callable[[int, ChargeRecord], int | None] = lambda evse, record: None


class Transactions:
    """The source of transaction messages."""

    def __init__(self, config: OcppConfig, queue: MessageQueue, listeners: Listeners) -> None:
        self.queue = queue
        self.stop_reason = ""
        self.failed_writes = 0
        self._listeners = listeners
        self._publish = listeners.publish
        self._samplers: dict[int, Sampler] = {}
        self._clocks: dict[int, ClockSampler] = {}
        self._unstored: deque[tuple[int, ChargeRecord]] = deque()
        self.set_config(config)
        for row in queue.open_sessions():
            self._samplers[row.evse] = Sampler(row.session_id, row.begin)

    def set_config(self, config: OcppConfig) -> None:
        """Take new settings."""
        self.config = config
        self._periodic = Samples(
            "Sample.Periodic", messages.measurands(config.meter_values_sampled_data), messages.measurands(config.stop_txn_sampled_data)
        )
        self._aligned = Samples(
            "Sample.Clock", messages.measurands(config.meter_values_aligned_data), messages.measurands(config.stop_txn_aligned_data)
        )
        self._delivery = Delivery(config.transaction_message_attempts, config.transaction_message_retry_interval)

    def announce(self, evses: tuple[int, ...]) -> None:
        """Publish the last transaction of each EVSE again: the topic is latched, its writer was restarted."""
        for evse in evses:
            if (row := self.queue.latest(evse)) is not None:
                self._publish_row(row)

    # From the graph

    def on_record(self, evse: int, record: ChargeRecord) -> None:
        """Queue what a record means; one that cannot be stored now is kept and tried again by retry()."""
        self._unstored.append((evse, record))
        self.retry()

    def retry(self) -> None:
        """Store the records that could not be stored so far."""
        while self._unstored:
            try:
                self._store(*self._unstored[0])
            except sqlite3.OperationalError:
                self.failed_writes += 1
                LOG.exception("a charge record could not be stored; it is tried again")
                return
            except Exception:
                LOG.exception("a charge record cannot be told to the CSMS: %s", self._unstored[0])
            else:
                self.failed_writes = 0
            self._unstored.popleft()

    def _store(self, evse: int, record: ChargeRecord) -> None:
        record = replace(record, evse_id=evse)
        over = record.status in (RecordStatus.CLOSED, RecordStatus.INTERRUPTED)
        if not record.session_id or not (over or record.status == RecordStatus.OPEN):
            LOG.error("a charge record without session or status: %s", record)
        elif not self.config.url:
            self.queue.skip(evse, record.session_id, record.token, record.begin, over)
        elif over:
            self._end(evse, record)
        elif isfinite(record.begin_register_wh):
            self._begin(evse, record)

    def _begin(self, evse: int, record: ChargeRecord) -> None:
        if self.queue.session(evse, record.session_id) is not None:
            return
        start = messages.start_transaction(record, self._listeners.reservation(evse, record))
        if self.queue.begin(evse, record.session_id, record.token, record.begin, start):
            self._samplers[evse] = Sampler(record.session_id, record.begin)
            self._publish(evse, Transaction(session_id=record.session_id))

    def _end(self, evse: int, record: ChargeRecord) -> None:
        record = messages.billable(record)
        with_data = bool(self._periodic.at_stop or self._aligned.at_stop)
        collected = self.queue.collected(evse, record.session_id) if with_data else ()
        start, stop = messages.start_transaction(record), messages.stop_transaction(record, self.stop_reason, collected, with_data)
        energy = messages.told_energy(record.begin_register_wh, record.end_register_wh)
        cost = messages.session_cost(record) if self.config.tell_cost else None
        if not self.queue.end(evse, record.session_id, record.token, record.begin, start, record.end, stop, energy, cost):
            return
        if (sampler := self._samplers.get(evse)) is not None and sampler.session_id == record.session_id:
            del self._samplers[evse]

    def on_reading(self, evse: int, reading: MeterReading, soc_percent: float) -> tuple[bool, messages.Request | None]:
        """Take the samples that are due of a reading; returns whether one was queued, and the clock-aligned one of no transaction, to be sent now."""
        if not reading.healthy:
            return False, None
        queued = False
        sampler = self._samplers.get(evse)
        planned = sampler.due(reading, self.config.meter_value_sample_interval) if sampler is not None else None
        aligned = self._clocks.setdefault(evse, ClockSampler()).take(reading, self.config.clock_aligned_data_interval)
        # Twice the planned time and 1: neither takes the other's place in the queue.
        if sampler is not None and planned is not None:
            queued = self._sample(evse, 2 * planned, reading, soc_percent, self._periodic)
        if aligned is None:
            return queued, None
        if sampler is None:
            return queued, messages.meter_values(evse, aligned, soc_percent, self._aligned.measurands, self._aligned.context)
        also = self._sample(evse, 2 * round(aligned.stamp * 1000) + 1, aligned, soc_percent, self._aligned)
        return queued or also, None

    def _sample(self, evse: int, number: int, reading: MeterReading, soc_percent: float, kind: Samples) -> bool:
        """Queue a MeterValues of a running transaction, and keep what its StopTransaction is to tell; returns whether something was queued."""
        session = self._samplers[evse].session_id
        request = messages.meter_values(evse, reading, soc_percent, kind.measurands, kind.context)
        item = messages.meter_value(reading, soc_percent, kind.at_stop, kind.context)
        try:
            queued = request is not None and self.queue.sample(evse, session, number, reading.stamp, request)
            if item is not None:  # Begin and end stand beside it.
                self.queue.collect(evse, session, item, self.config.stop_transaction_max_meter_values - 2)
            self.failed_writes = 0 if not self._unstored else self.failed_writes
        except sqlite3.Error:
            self.failed_writes += 1
            LOG.exception("a sample could not be stored")
            return False
        return queued

    def triggered(self, evse: int, reading: MeterReading, soc_percent: float) -> messages.Request | None:
        """Return the MeterValues that a TriggerMessage asks for."""
        request = messages.meter_values(evse, reading, soc_percent, self._periodic.measurands, "Trigger")
        row = self.queue.session(evse, reading.session_id) if reading.session_id else None
        if request is None or row is None or row.ended or row.transaction_id is None:
            return request
        return messages.Request(request.action, {**request.payload, "transactionId": row.transaction_id})

    def running(self) -> dict[int, tuple[int, str]]:
        """Return the running transactions: (EVSE, session) by transaction id."""
        return {row.transaction_id: (row.evse, row.session_id) for row in self.queue.open_sessions() if row.transaction_id is not None}

    # To the CSMS

    def next(self, now: float) -> Job | None:
        """Return the message whose turn it is."""
        message = self._delivery.choose(self.queue.in_order(), now)
        if message is None:
            return None
        return Job(
            messages.Request(message.action, filled(message)),
            on_answer=lambda payload: self._answered(message, payload),
            on_refused=lambda reason: self._failed(message, reason),
            on_silent=lambda: self._silent(message),
            message_id=message.message_id,
        )

    def wake_at(self, now: float) -> float | None:
        """Return when a wait ends."""
        return self._delivery.next_change(now)

    def _answered(self, message: QueuedMessage, payload: dict[str, Any]) -> None:
        """Keep the answer and remove the message, in one database transaction; then tell the graph."""
        number = None
        if message.kind == Kind.START and (number := _transaction_id(payload)) is None:
            self._failed(message, f"StartTransaction.conf without a usable transactionId: {payload}"[:300])
            return
        self.queue.delivered(message, number)
        self._delivery.on_answer(message)
        row = self.queue.session(*message.session)
        if row is None or message.kind in (Kind.METER, Kind.COST):
            return
        self._publish_row(row)
        self._listeners.id_tag_info(row.token, payload.get("idTagInfo"))
        if message.kind == Kind.START:
            self._check_verdict(row, payload)

    def _check_verdict(self, row: SessionRow, payload: dict[str, Any]) -> None:
        """Tell of a token that the CSMS refuses in its answer to StartTransaction, while its session still runs."""
        verdict = from_id_tag_info(row.token, payload.get("idTagInfo"))
        if verdict is not None and verdict.verdict != verdict.verdict.ACCEPTED and not row.ended:
            self._listeners.refused(row, verdict)

    def _failed(self, message: QueuedMessage, reason: str) -> None:
        outcome = self._delivery.on_error(message, time.monotonic())
        if outcome == Outcome.DROP:
            LOG.error(
                "%s of session %s is given up after %d attempts: %s", message.action, message.session_id, message.attempts + 1, reason
            )
            self.queue.drop(message, reason)
        else:
            self.queue.failed(message, attempt=True)

    def _silent(self, message: QueuedMessage) -> None:
        self.queue.failed(message, attempt=False)
        self._delivery.on_silence(message, time.monotonic())

    def _publish_row(self, row: SessionRow) -> None:
        number = row.transaction_id or 0
        energy = row.energy_wh if row.stop_confirmed and row.energy_wh is not None else nan
        known = number if -_INT32 <= number < _INT32 else 0
        self._publish(
            row.evse, Transaction(session_id=row.session_id, transaction_id=known, stop_confirmed=row.stop_confirmed, energy_wh=energy)
        )


def _transaction_id(payload: dict[str, Any]) -> int | None:
    """Return the transaction id, None where there is none that can be kept."""
    value = payload.get("transactionId")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -_INT64 <= value < _INT64 else None
