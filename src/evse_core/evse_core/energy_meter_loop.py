"""What energy_meter does with what comes: it feeds its keeper and says what is to be published. See trace.py."""

import json
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from evse_core.energy_meter import MeterConfig
from evse_core.record_keeper import RecordKeeper
from evse_core.tariff import Tariff
from evse_core.trace import FAILED, STEP, Outputs
from evse_core.types import ChargeRecord, RecordStatus

POWER, SESSION = "power_report", "session_state"
# A tariff that is to hold, as JSON object with `tariff` (text) and `who`; the answer has the same name: whether it holds, and words.
SET_TARIFF = "set_tariff()"
# What the keeper remembers besides its store and the session of the open record; the rest it was constructed with.
KEPT = ("meter", "_resuming", "_heard", "_heard_of", "_final", "_gone", "stored", "_failing", "_synced", "_unsynced")
# Period of session_price (msg/SessionPrice.msg: 1 Hz). [s]
PRICE_PERIOD = 1.0
# Records that the store is asked for: who asks for a session asks for one that was open a moment ago. [1]
RECENT = 5


class MeterLoop:
    """The meter of one EVSE. Make the keeper with `tell` as its teller, then call `begin`."""

    names = (STEP, FAILED, POWER, SESSION, SET_TARIFF)

    def __init__(self, config: MeterConfig) -> None:
        self._config = config
        self._told: list[ChargeRecord] = []
        self._published = self._priced = -inf
        self._keeper: RecordKeeper | None = None

    @property
    def keeper(self) -> RecordKeeper:
        """The records."""
        assert self._keeper is not None
        return self._keeper

    def tell(self, record: ChargeRecord) -> None:
        """Take a record that is in the store."""
        self._told.append(record)

    def begin(self, keeper: RecordKeeper) -> Outputs:
        """Take the keeper; return the records that it has told already, because an earlier run left them."""
        self._keeper = keeper
        return self._records()

    def on(self, name: str, given: Any, now: float, stamp: float) -> Outputs:
        """Take a message or a call; see trace.Loop."""
        keeper = self.keeper
        before, said = keeper.open, list[tuple[str, Any]]()
        if name == POWER:
            keeper.on_power(given, now, stamp)
        elif name == SESSION:
            keeper.on_session(given, now, stamp)
        elif name == SET_TARIFF:
            wanted = json.loads(given)
            said = [(SET_TARIFF, keeper.change_tariff(wanted["tariff"], wanted["who"], stamp))]
        else:
            keeper.tick(now, stamp)
        changed = name == SESSION and keeper.open is not before
        failed = ((FAILED, "the store did not take what was written"),) if keeper.failed_writes else ()
        return [*said, *self._records(), *(self._reading(now) if changed or (name == STEP and self._is_due(now)) else ()), *failed]

    def _records(self) -> Outputs:
        told, self._told = self._told, []
        final = self.keeper.session_price()
        found: list[tuple[str, Any]] = [("charge_record", record) for record in told]
        ended = {record.session_id for record in told if record.status is not RecordStatus.OPEN}
        return [*found, *([("session_price", final)] if final is not None and final.final and final.session_id in ended else ())]

    def _is_due(self, now: float) -> bool:
        period = self._config.charging_period if self.keeper.open else self._config.idle_period
        return now - self._published >= period - self._config.charging_period / 2.0

    def _reading(self, now: float) -> Outputs:
        """Put out the register as it is stored, with the present values, and now and then the price so far."""
        self._published = now
        reading = ("meter_reading", self.keeper.reading(now))
        if self.keeper.open is None or now - self._priced < PRICE_PERIOD - self._config.charging_period / 2.0:
            return (reading,)
        self._priced = now
        return (reading, ("session_price", self.keeper.session_price()))

    def to_snapshot(self) -> Mapping[str, Any]:
        """Return what is remembered here, in the keeper and in its store."""
        kept = {name: getattr(self.keeper, name) for name in KEPT}
        found = self.keeper.session
        session = None if found is None else {"times": found.clock, "watch": found.watch, "tariff": found.tariff.text()}
        told = {"published": self._published, "priced": self._priced, "tariff": self.keeper.tariff.text()}
        return told | {"keeper": kept, "store": self._facts(), "session": session}

    def _facts(self) -> Mapping[str, Any]:
        store = self.keeper.store
        try:
            records = {record.session_id: record for record in (*store.last()[-RECENT:], *store.open_records())}
            number = store.next_number()
        except store.Error:
            records, number = {}, 0
        return {
            "register_wh": store.register_wh,
            "export_register_wh": store.export_register_wh,
            "max_power": store.max_power,
            "stamp": store.stamp,
            "counter_wh": store.counter_wh,
            "export_counter_wh": store.export_counter_wh,
            "number": number,
            "records": list(records.values()),
            "times": store.times,
            "readings": list(self.keeper.session.readings) if self.keeper.session is not None else [],
        }

    def from_snapshot(self, read: Callable[..., Any], parts: Mapping[str, Any]) -> None:
        """Take back what to_snapshot returned, by way of `read`; the store is one that can be told what it holds."""
        self._published, self._priced = read(parts["published"]), read(parts["priced"])
        self.keeper.tariff = Tariff.parse(read(parts["tariff"]))
        for name, value in parts["keeper"]["map"]:
            if name in KEPT:
                setattr(self.keeper, name, read(value, getattr(self.keeper, name)))
        self.keeper.store.remember(read(parts["store"]))  # type: ignore[attr-defined]  # only a store of verify is read back
        if parts["session"] is not None:
            self._reopen(read, dict(parts["session"]["map"]))

    def _reopen(self, read: Callable[..., Any], parts: Mapping[str, Any]) -> None:
        session = self.keeper.reopen(self.keeper.store.open_records()[-1])
        session.clock, session.watch = read(parts["times"], session.clock), read(parts["watch"], session.watch)
        session.tariff = Tariff.parse(read(parts["tariff"]))
