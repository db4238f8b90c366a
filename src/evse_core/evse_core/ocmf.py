"""Open Charge Metering Format 1.4.1: a signed record as text, made and taken apart (can.md 7.1).

A record is `OCMF|payload|signature`. The signature covers the bytes of the payload as they are, so a record is stored and handed on as the text that was
signed and never put together again from what it says; numbers are written once, with the decimals of the register's resolution.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

HEADER = "OCMF"
FORMAT_VERSION = "1.4"
# Decimals of a register in kWh: 1 Wh (can.md 7.4).
DECIMALS = 3
# Longest texts of the format (can.md 7.1). [characters]
TARIFF_LENGTH, FIRMWARE_LENGTH = 250, 25
# OBIS codes of the register that a session counts with: energy to and from the vehicle, of all sessions, after compensation of the cable's losses.
IMPORT_REGISTER, EXPORT_REGISTER = "01-00:B1.08.00*FF", "01-00:C1.08.00*FF"
# A time as the format writes it, before the letter of the clock. fromisoformat() takes more forms and a quarter of strptime()'s time.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{1,6}([+-]\d\d:?\d\d|Z)", re.ASCII)


class Mark(StrEnum):
    """Why a reading was taken (TX)."""

    BEGIN = "B"
    CHARGING = "C"
    ERROR = "X"
    END = "E"
    LOCAL_STOP = "L"
    REMOTE_STOP = "R"
    ABORT = "A"
    POWER_FAILURE = "P"
    SUSPENDED = "S"
    TARIFF_CHANGE = "T"


# Marks that end a transaction.
ENDS = frozenset({Mark.END, Mark.LOCAL_STOP, Mark.REMOTE_STOP, Mark.ABORT, Mark.POWER_FAILURE})


class Clock(StrEnum):
    """How far the time of a reading is to be trusted: the letter behind it."""

    UNKNOWN = "U"
    INFORMATIVE = "I"
    SYNCHRONISED = "S"
    RELATIVE = "R"


class MeterState(StrEnum):
    """State of the meter (ST)."""

    GOOD = "G"
    NOT_PRESENT = "N"
    TIMEOUT = "T"
    DISTURBED = "D"
    MISSING_REGISTER = "R"
    MANIPULATED = "M"
    EXCHANGED = "X"
    INCOMPATIBLE = "I"
    OUT_OF_RANGE = "O"
    SUBSTITUTE = "S"
    OTHER_ERROR = "E"
    FAILED_READING = "F"


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading. `when` has a zone; `energy_wh` is the register [Wh]; `unusable` names what may not be billed: E energy, t time."""

    when: datetime
    mark: Mark
    energy_wh: float
    clock: Clock = Clock.INFORMATIVE
    state: MeterState = MeterState.GOOD
    register: str = IMPORT_REGISTER
    current_type: str = "DC"
    unusable: str = ""
    # Energy lost in the cable since the begin [Wh]; None where losses are not compensated.
    loss_wh: float | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """Who makes the record (GI, GS, GV), which meter is behind it (MV, MM, MS, MF), and which EVSE (CT, CI, CF)."""

    model: str
    serial: str
    version: str
    meter_vendor: str
    meter_model: str
    meter_serial: str
    meter_firmware: str
    evse_id: str
    controller_firmware: str = ""
    # Compensation of cable losses: name of the method, its number, resistance [mOhm].
    loss_name: str = ""
    loss_milliohm: float | None = None


@dataclass(frozen=True, slots=True)
class User:
    """To whom the energy goes: assigned or not, how sure that is, by which way, and the identification."""

    is_assigned: bool = False
    level: str = "NONE"
    flags: tuple[str, ...] = ()
    kind: str = "NONE"
    identification: str = ""
    tariff: str = ""


def payload(gateway: Gateway, pagination: str, user: User, readings: Sequence[Reading], extensions: Mapping[str, str] | None = None) -> str:
    """Return the payload of a record, the text that is to be signed; pagination is T or F and a number. Extensions have keys from U to Z.

    ValueError for an extension with another key, or a reading without zone.
    """
    wrong = [key for key in extensions or {} if not "U" <= key[:1] <= "Z"]
    if wrong:
        raise ValueError(f"extension {wrong[0]!r}: keys of extensions begin with U to Z")
    fields: list[tuple[str, str]] = [
        ("FV", _text(FORMAT_VERSION)),
        ("GI", _text(gateway.model)),
        ("GS", _text(gateway.serial)),
        ("GV", _text(gateway.version)),
        ("PG", _text(pagination)),
        ("MV", _text(gateway.meter_vendor)),
        ("MM", _text(gateway.meter_model)),
        ("MS", _text(gateway.meter_serial)),
        ("MF", _text(gateway.meter_firmware)),
        ("IS", "true" if user.is_assigned else "false"),
        ("IL", _text(user.level)),
        ("IF", json.dumps(list(user.flags), separators=(",", ":"))),
        ("IT", _text(user.kind)),
        ("ID", _text(user.identification)),
    ]
    if user.tariff:
        fields.append(("TT", _text(user.tariff[:TARIFF_LENGTH])))
    if gateway.controller_firmware:
        fields.append(("CF", _text(gateway.controller_firmware[:FIRMWARE_LENGTH])))
    if gateway.loss_milliohm is not None:
        loss = f'{{"LN":{_text(gateway.loss_name)},"LI":1,"LR":{_number(gateway.loss_milliohm)},"LU":"mOhm"}}'
        fields.append(("LC", loss))
    fields += [("CT", _text("EVSEID")), ("CI", _text(gateway.evse_id))]
    fields.append(("RD", "[" + ",".join(_reading(reading) for reading in readings) + "]"))
    fields += [(key, _text(value)) for key, value in (extensions or {}).items()]
    return _object(fields)


def _reading(reading: Reading) -> str:
    fields = [
        ("TM", _text(time_text(reading.when, reading.clock))),
        ("TX", _text(reading.mark)),
        ("RV", _number(reading.energy_wh / 1000.0)),
        ("RI", _text(reading.register)),
        ("RU", _text("kWh")),
        ("RT", _text(reading.current_type)),
    ]
    if reading.loss_wh is not None:
        fields.append(("CL", _number(reading.loss_wh / 1000.0)))
    return _object([*fields, ("EF", _text(reading.unusable)), ("ST", _text(reading.state))])


def _object(fields: Sequence[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{key}":{value}' for key, value in fields) + "}"


def _text(value: str) -> str:
    """Return a JSON string; a bar inside would end the payload."""
    return json.dumps(value, ensure_ascii=True).replace("|", "\\u007c")


def _number(value: float) -> str:
    return f"{Decimal(repr(value)):.{DECIMALS}f}"


def time_text(when: datetime, clock: Clock) -> str:
    """Return a time as the format wants it, such as `2026-11-20T10:00:00,000+0000 S`; ValueError without a zone."""
    if when.utcoffset() is None:
        raise ValueError(f"{when.isoformat()}: a time in a record needs a zone")
    return f"{when:%Y-%m-%dT%H:%M:%S},{when.microsecond // 1000:03d}{when:%z} {clock}"


def parse_time(text: str) -> tuple[datetime, Clock]:
    """Return time and state of the clock; ValueError where it is neither."""
    moment, _, letter = text.rpartition(" ")
    if not _MOMENT.fullmatch(moment):
        raise ValueError(f"{moment!r} is no time such as 2026-11-20T10:00:00,000+0000")
    return datetime.fromisoformat(moment), Clock(letter)


@dataclass(frozen=True, slots=True)
class Document:
    """A record taken apart. `signed` is the payload's text as it stood; numbers are Decimals as they were written."""

    signed: str
    fields: Mapping[str, Any]
    signature: Mapping[str, Any]
    readings: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def pagination(self) -> str:
        """Counter of the record: T or F and a number; "" where it has none."""
        return str(self.fields.get("PG", ""))


def parse(text: str) -> Document:
    """Take a record apart; ValueError says what is wrong with its form. Readings get what they leave out from the one before."""
    parts = text.strip().split("|")
    if len(parts) != 3 or parts[0] != HEADER:
        raise ValueError(f"is no record of the form OCMF|payload|signature, but {len(parts)} parts beginning with {parts[0][:20]!r}")
    fields, signature = _json(parts[1], "payload"), _json(parts[2], "signature")
    readings = fields.get("RD", [])
    if not isinstance(readings, list) or not all(isinstance(reading, dict) for reading in readings):
        raise ValueError("payload: RD is no list of readings")
    return Document(parts[1], fields, signature, tuple(_completed(readings)))


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{name}: is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{name}: is no JSON object")
    return found


def _completed(readings: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    last: Mapping[str, Any] = {}
    for reading in readings:
        last = {**last, **reading}
        yield last
