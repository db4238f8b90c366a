"""What energy_meter does with what comes: it feeds its keeper and says what is to be published. See trace.py."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from evse_core.energy_meter import MeterConfig
from evse_core.record_keeper import RecordKeeper
from evse_core.trace import FAILED, STEP, Outputs
from evse_core.types import ChargeRecord

POWER, SESSION = "power_report", "session_state"
# What the keeper remembers besides its store; the rest it was constructed with.
KEPT = ("meter", "open", "_resuming", "_heard", "_gone", "stored", "_failing", "_synced", "_unsynced")
# Records that the store is asked for: who asks for a session asks for one that was open a moment ago. [1]
RECENT = 5


class MeterLoop:
    """The meter of one EVSE. Make the keeper with `tell` as its teller, then call `begin`."""

    names = (STEP, FAILED, POWER, SESSION)

    def __init__(self, config: MeterConfig) -> None:
        self._config = config
        self._told: list[ChargeRecord] = []
        self._published = -inf
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
        before = keeper.open
        if name == POWER:
            keeper.on_power(given, now, stamp)
        elif name == SESSION:
            keeper.on_session(given, now, stamp)
        else:
            keeper.tick(now, stamp)
        changed = name == SESSION and keeper.open is not before
        failed = ((FAILED, "the store did not take what was written"),) if keeper.failed_writes else ()
        return [*self._records(), *(self._reading(now) if changed or (name == STEP and self._is_due(now)) else ()), *failed]

    def _records(self) -> Outputs:
        told, self._told = self._told, []
        return [("charge_record", record) for record in told]

    def _is_due(self, now: float) -> bool:
        period = self._config.charging_period if self.keeper.open else self._config.idle_period
        return now - self._published >= period - self._config.charging_period / 2.0

    def _reading(self, now: float) -> Outputs:
        """Put out the register as it is stored, with the present values."""
        self._published = now
        return (("meter_reading", self.keeper.reading(now)),)

    def to_snapshot(self) -> Mapping[str, Any]:
        """Return what is remembered here, in the keeper and in its store."""
        kept = {name: getattr(self.keeper, name) for name in KEPT}
        return {"published": self._published, "keeper": kept, "store": self._facts()}

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
        }

    def from_snapshot(self, read: Callable[..., Any], parts: Mapping[str, Any]) -> None:
        """Take back what to_snapshot returned, by way of `read`; the store is one that can be told what it holds."""
        self._published = read(parts["published"])
        for name, value in parts["keeper"]["map"]:
            if name in KEPT:
                setattr(self.keeper, name, read(value, getattr(self.keeper, name)))
        self.keeper.store.remember(read(parts["store"]))  # type: ignore[attr-defined]  # only a store of verify is read back
