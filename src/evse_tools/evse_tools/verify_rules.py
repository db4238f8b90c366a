"""Today's rules for the nodes of a recording, made with the parameters that its description gives them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from math import nan
from typing import Any

from evse_core.charge_sequencer import ChargeSequencer, SequencerConfig
from evse_core.charge_sequencer_loop import SequencerLoop
from evse_core.energy_manager import ManagerConfig
from evse_core.energy_manager_loop import ManagerLoop
from evse_core.energy_meter import MeterConfig
from evse_core.energy_meter_loop import MeterLoop
from evse_core.fault_table import FAULTS
from evse_core.meter_link import MeterLinkConfig
from evse_core.record_keeper import RecordKeeper
from evse_core.record_store import Meter
from evse_core.safety_monitor import SafetyConfig, SafetyMonitor
from evse_core.safety_monitor_loop import SafetyLoop
from evse_core.session_readings import NO_TIMES, SessionReading, Times, begin_reading, complete, end_reading
from evse_core.tariff import Tariff, TariffChange
from evse_core.trace import Loop
from evse_core.types import ChargeRecord, RecordStatus

Parameters = Mapping[str, Any]


def made(kind: type[Any], parameters: Parameters) -> Any:
    """Return a ...Config with the parameters of a node; what they do not say has its default."""
    known = {item.name for item in fields(kind)} & parameters.keys()
    return kind(**{name: tuple(parameters[name]) if isinstance(parameters[name], list) else parameters[name] for name in known})


def _sequencer(parameters: Parameters, evse: int) -> Loop:
    return SequencerLoop(ChargeSequencer(made(SequencerConfig, parameters)))


def _monitor(parameters: Parameters, evse: int) -> Loop:
    expected = tuple(parameters.get("expected_nodes", ()))
    monitor = SafetyMonitor(made(SafetyConfig, parameters), FAULTS, expected, parameters.get("description_digest", ""))
    return SafetyLoop(monitor, expected)


def _meter(parameters: Parameters, evse: int) -> Loop:
    config = made(MeterConfig, parameters)
    loop = MeterLoop(config)
    link = made(MeterLinkConfig, {key.removeprefix("meter."): value for key, value in parameters.items() if key.startswith("meter.")})
    loop.begin(RecordKeeper(config, made(Tariff, parameters), evse, Memory(), loop.tell, _unheard, link))
    return loop


def _manager(parameters: Parameters, evse: int) -> Loop:
    return ManagerLoop(made(ManagerConfig, parameters), tuple(parameters["evses"]))


MAKERS: Mapping[str, Callable[[Parameters, int], Loop]] = {
    "charge_sequencer": _sequencer,
    "safety_monitor": _monitor,
    "energy_meter": _meter,
    "energy_manager": _manager,
}


def loops(parameters: Mapping[str, Parameters]) -> dict[str, Callable[[], Loop]]:
    """Return what makes the loop of each node that decides, of the parameters by full name."""
    return {node: partial(_loop, node, values) for node, values in parameters.items() if node.rpartition("/")[2] in MAKERS}


def _loop(node: str, parameters: Parameters) -> Loop:
    namespace, _, name = node.rpartition("/")
    return MAKERS[name](parameters, int(namespace.removeprefix("/evse_") or 0))


def _unheard(level: str, words: str) -> None:
    """Take what a keeper notes for the log of its node."""


class Memory:
    """A store of evse_core/record_store.py that begins with what a snapshot says of the one on the disk. Nothing fails here."""

    Error: type[Exception] = OSError

    def __init__(self) -> None:
        self.register_wh = self.export_register_wh = self.max_power = self.stamp = 0.0
        self.counter_wh = self.export_counter_wh = nan
        self.times = NO_TIMES
        self.loss_wh, self.export_loss_wh, self.meter = 0.0, 0.0, ""
        self._records: dict[str, ChargeRecord] = {}
        self._readings: dict[str, tuple[SessionReading, ...]] = {}
        self._number = 1

    def remember(self, facts: Mapping[str, Any]) -> None:
        """Take registers, counters, newest records and next number from a snapshot (energy_meter_loop.py)."""
        for name in ("register_wh", "export_register_wh", "max_power", "stamp", "counter_wh", "export_counter_wh"):
            setattr(self, name, facts[name])
        # Recordings of versions that read no meters say nothing of these.
        for name in ("loss_wh", "export_loss_wh", "meter"):
            setattr(self, name, facts.get(name, getattr(self, name)))
        self._records = {record.session_id: record for record in facts["records"]}
        self._number = facts["number"]
        self.times = facts.get("times", NO_TIMES)
        for record in self.open_records():
            self._readings[record.session_id] = tuple(facts.get("readings", ()))

    def save(self, meter: Meter, stamp: float, durable: bool, times: Times = NO_TIMES) -> None:
        """Keep registers, losses, counters and times; registers of another meter take the place of the old ones."""
        if meter.identity != self.meter:
            self.register_wh, self.export_register_wh, self.meter = meter.register_wh, meter.export_register_wh, meter.identity
        self.loss_wh, self.export_loss_wh = meter.losses.import_wh, meter.losses.export_wh
        self.counter_wh, self.export_counter_wh = meter.counter_wh, meter.export_counter_wh
        self._keep(meter.register_wh, meter.export_register_wh, meter.max_power, stamp, times)

    def _keep(self, register_wh: float, export_wh: float, max_power: float, stamp: float, times: Times) -> None:
        self.register_wh, self.export_register_wh = max(register_wh, self.register_wh), max(export_wh, self.export_register_wh)
        self.max_power, self.stamp, self.times = max_power, stamp, times

    def next_number(self) -> int:
        """Return the number of the next record."""
        return self._number

    def begin(self, record: ChargeRecord, phase: str = "") -> None:
        """Keep an OPEN record and its begin reading."""
        self._records[record.session_id] = record
        self._number = record.record_number + 1
        self._readings[record.session_id] = (begin_reading(record, phase),)
        self._keep(record.begin_register_wh, record.begin_export_register_wh, 0.0, record.stamp, NO_TIMES)

    def add(self, record: ChargeRecord, reading: SessionReading) -> None:
        """Keep a reading of an OPEN record."""
        self._readings[record.session_id] = (*self.readings(record), reading)
        times = Times(reading.charging_time, reading.idle_time)
        self._keep(reading.register_wh, reading.export_register_wh, self.max_power, reading.stamp, times)

    def end(self, record: ChargeRecord) -> None:
        """Keep the end of an OPEN record."""
        if self._records[record.session_id].status is RecordStatus.OPEN:
            self._records[record.session_id] = record
            found = complete(replace(record, status=RecordStatus.OPEN), self._readings.get(record.session_id, ()))
            self._readings[record.session_id] = (*found, end_reading(record, found))
        times = Times(record.charging_time, record.idle_time)
        self._keep(record.end_register_wh, record.end_export_register_wh, record.max_power, record.stamp, times)

    def readings(self, record: ChargeRecord) -> tuple[SessionReading, ...]:
        """Return the readings of a record."""
        return complete(record, self._readings.get(record.session_id, ()))

    def keep_tariff(self, change: TariffChange) -> None:
        """Take a tariff that is to last; a verified run has no restart."""

    def kept_tariff(self) -> TariffChange | None:
        """Return None: which tariff holds comes with the snapshot."""
        return None

    def open_records(self) -> Sequence[ChargeRecord]:
        """Return the records without an end."""
        return [record for record in self._records.values() if record.status is RecordStatus.OPEN]

    def last(self) -> Sequence[ChargeRecord]:
        """Return the newest records."""
        return list(self._records.values())

    def find(self, session_id: str) -> ChargeRecord | None:
        """Return the record of a session."""
        return self._records.get(session_id)
