"""The audit trail of the metrology part (can.md 7.4, 7.5): which parameters it watches and why, what an entry says, and whether a trail is whole.

Theory of operation. An entry is a line of JSON and chained to the one before as records are (evidence.link). Counters begin at 1 and have no gaps. What
a parameter was is what the entry before it said it became, so that an entry that was taken out shows twice. A change that comes again within a minute is not
a line of its own: such changes are counted, and one entry tells how many there were and where they ended. evse_nodes/audit_trail.py keeps the trail on disk.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from evse_core.evidence import GENESIS, link
from evse_core.ocmf import Clock
from evse_core.parameter import parameters

# An identical change within this time after its entry is counted, not written. [s]
REPEAT = 60.0
# Change of the system clock in one step that is an entry. Source: records and receipts count in seconds, as safety_config.clock_jump. [s]
CLOCK_STEP = 1.0
# NIST Handbook 44 3.40, S.3.3 category 3: the counter of an event logger has three digits, 000 to 999 (can.md 7.4).
ROLLS_AT = 1000
# What a parameter is before its first entry, and after its last one where it is gone.
NOTHING = ""
# What happens and is no value that lasts: an entry has no old one, and two alike are two.
EVENTS = frozenset({"clock.step", "ledger.lost"})
# User and password of an address (RFC 3986 section 3.2.1): the trail is there for everybody.
_PASSWORD = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True, slots=True)
class Audited:
    """A row of the table: parameters by name (* at its end stands for any end), and why they count."""

    name: str
    reason: str


# Names are keys of the description. A whole section is watched where a key that somebody adds later is likely to count: what is not exempt is audited.
AUDITED: tuple[Audited, ...] = (
    Audited("tariff.*", "what energy, time and a session cost, in which currency"),
    Audited(
        "energy_meter.*",
        "which meter counts, its map by name and content, serial number and certificate, compensation of losses, identity and time zone in records",
    ),
    Audited("meter.*", "what a meter tells of itself: its serial number"),
    Audited("key.fingerprint", "who signs the records: SHA-256 of the public key"),
    Audited("ledger.*", "the records themselves: a ledger that was migrated, replaced or has lost records"),
    Audited("clock.step", "times of records and of tariffs: somebody set the clock"),
    Audited("clock.source", "times of records and of tariffs: what the clock follows"),
    Audited("software.version", "which program counts, prices and signs"),
    Audited(
        "software.metrology", "checksum of the sources that count, price and sign (metrology.py), with the file that the meter is read by"
    ),
    Audited("software.python", "the interpreter that computes"),
    Audited("software.cryptography", "the library that signs"),
    Audited("ocpp_uplink.url", "whose system gets the readings, and who may change parameters from far"),
    Audited("ocpp_uplink.charge_point_id", "as which station it is billed"),
    Audited("ocpp_uplink.serial_number", "as which station it is billed"),
    Audited("ocpp_uplink.firmware_version", "which version the back end is told"),
    Audited("ocpp_uplink.meter_value_sample_interval", "MeterValueSampleInterval: which readings the back end gets"),
    Audited("ocpp_uplink.meter_values_sampled_data", "MeterValuesSampledData: which readings the back end gets"),
    Audited("ocpp_uplink.meter_values_aligned_data", "MeterValuesAlignedData: which readings the back end gets"),
    Audited("ocpp_uplink.clock_aligned*", "ClockAlignedDataInterval: when the back end gets readings"),
    Audited("ocpp_uplink.stop_txn*", "StopTxnSampledData, StopTxnAlignedData: which readings the back end gets"),
    Audited("ocpp_uplink.default_price*", "DefaultPrice: what a session costs"),
    Audited("ocpp_uplink.max_queued_meter_values", "how many readings wait for the back end"),
)
EXEMPT: tuple[Audited, ...] = (
    Audited("energy_meter.idle_period", "how often the reading is published; the reading is the same"),
    Audited("energy_meter.charging_period", "how often the reading is published; the reading is the same"),
)
# Keys that a CSMS may write and that change neither energy nor price nor what is told of them.
NOT_METROLOGICAL: Mapping[str, str] = {
    "allow_offline_tx_for_unknown_id": "who may charge",
    "authorization_cache_enabled": "who may charge",
    "connection_time_out": "who may charge",
    "connector_phase_rotation": "what the back end is told of the wiring",
    "local_auth_list_enabled": "who may charge",
    "local_authorize_offline": "who may charge",
    "local_pre_authorize": "who may charge",
    "reset_retries": "the connection",
    "authorization_key": "the connection; a secret has no place in a trail that everybody reads",
    "authorize_remote_tx_requests": "who may charge",
    "cpo_name": "the connection",
    "security_profile": "the connection; a security event tells it",
    "heartbeat_interval": "the connection",
    "max_energy_on_invalid_id": "who may charge",
    "message_timeout": "the connection",
    "minimum_status_duration": "status messages",
    "stop_transaction_on_invalid_id": "who may charge",
    "transaction_message_attempts": "the connection; what is given up stays in the queue's file for a person",
    "transaction_message_retry_interval": "the connection",
    "websocket_ping_interval": "the connection",
}


def is_audited(parameter: str) -> bool:
    """Return whether changes of a parameter belong into the trail."""
    return _matches(AUDITED, parameter) and not _matches(EXEMPT, parameter)


def _matches(rows: Iterable[Audited], parameter: str) -> bool:
    return any(parameter == row.name or (row.name.endswith("*") and parameter.startswith(row.name[:-1])) for row in rows)


def facts(section: str, config: Any) -> dict[str, str]:
    """Return the audited parameters of a section of the description, as text by name. config is a dataclass whose fields were declared with parameter()."""
    named = ((f"{section}.{item.name}", getattr(config, item.name)) for item, _ in parameters(config))
    return {name: value_text(value) for name, value in named if is_audited(name)}


def value_text(value: Any) -> str:
    """Return a value as the trail tells it: texts as they are, but for passwords in addresses, the rest as JSON."""
    return _PASSWORD.sub("", value) if isinstance(value, str) else json.dumps(value, default=_plain, sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def news(known: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Return what differs from what the trail knows; a parameter that is gone becomes NOTHING."""
    changed = {name: value for name, value in found.items() if value != known.get(name, NOTHING)}
    return changed | {name: NOTHING for name, value in known.items() if name not in found and value != NOTHING}


# Who


def by_csms(url: str, identity: str) -> str:
    """Name the CSMS, by its address and what the station is called there."""
    return f"CSMS {value_text(url)} as {identity}"


def by_description(digest: str, user: str) -> str:
    """Name the description of the station, by its SHA-256 as far as it is known, and who started the program with it."""
    return f"description {digest[:12] or 'unknown'}, started by {user}"


def by_program(name: str) -> str:
    """Name a part of this program that found something by itself."""
    return f"program {name}"


# Entries


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `at` [s since the epoch, UTC] with the state of the clock, evse 0 for the station; changes: how many changes it stands for."""

    counter: int
    at: float
    clock: Clock
    who: str
    parameter: str
    evse: int
    old: str
    new: str
    changes: int = 1

    @property
    def three_digits(self) -> str:
        """The counter as Handbook 44 wants it shown."""
        return f"{self.counter % ROLLS_AT:03d}"

    @property
    def time(self) -> str:
        """The time as ISO 8601 in UTC, to the millisecond."""
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def text(self) -> str:
        """Return the line that is stored and chained."""
        said = {item.name: getattr(self, item.name) for item in fields(self)} | {"at": self.time, "clock": self.clock.value}
        return json.dumps(said, ensure_ascii=True, separators=(",", ":"))


def parse(text: str) -> Entry:
    """Return the entry of a line; ValueError where it is none."""
    try:
        said = json.loads(text)
        said |= {"at": datetime.fromisoformat(said["at"]).timestamp(), "clock": Clock(said["clock"])}
        return Entry(**said)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"is no entry: {error}") from error


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is stored: its number, its line, and its link."""

    counter: int
    text: str
    chained: bytes


def problems(rows: Iterable[Row]) -> Iterator[str]:
    """Yield what is wrong with a trail, in words that name the entry; rows in the order of their numbers."""
    before, expected, values = GENESIS, 1, dict[tuple[int, str], str]()
    for row in rows:
        if row.counter != expected:
            yield f"entry {row.counter}: entry {expected} is missing before it"
        if link(before, row.text) != row.chained:
            yield f"entry {row.counter}: does not follow the one before it: one was changed, taken out or put in"
        yield from (f"entry {row.counter}: {words}" for words in _entry_problems(row, values))
        before, expected = row.chained, row.counter + 1


def _entry_problems(row: Row, values: dict[tuple[int, str], str]) -> Iterator[str]:
    try:
        entry = parse(row.text)
    except ValueError as error:
        yield str(error)
        return
    if entry.counter != row.counter:
        yield f"calls itself {entry.counter}"
    key = (entry.evse, entry.parameter)
    if entry.old != values.get(key, NOTHING):
        yield f"says that {entry.parameter} was {entry.old!r}, the entry before says {values.get(key, NOTHING)!r}"
    if entry.parameter not in EVENTS:
        values[key] = entry.new


def head_text(counter: int, chained: bytes) -> str:
    """Return the end of a trail as a signed record names it: the counter and the first 16 bytes of its link."""
    return f"{counter} {chained[:16].hex()}"


def head_problem(text: str, find: Callable[[int], bytes | None]) -> str:
    """Return why the end of the trail that a signed record names is not in the trail; "" where it is. find gives the link of an entry."""
    number = text.partition(" ")[0]
    if not number.isdecimal():
        return f"names no entry of an audit trail: {text!r}"
    if int(number) == 0:
        return ""
    chained = find(int(number))
    if chained is None:
        return f"names entry {number} of the audit trail, which is not there any more"
    return "" if head_text(int(number), chained) == text else f"names another entry {number} of the audit trail: the trail was made anew"


# Clock


class ClockWatch:
    """Compares the system clock with a steady one: steps, and what it follows."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def step(self, wall: float, steady: float) -> str:
        """Return the step that the system clock [s] has made against the steady one [s] since the last call, in whole seconds; "" without one."""
        offset = wall - steady
        jump, self._offset = offset - (offset if self._offset is None else self._offset), offset
        return f"{jump:+.0f} s" if abs(jump) > CLOCK_STEP else ""
