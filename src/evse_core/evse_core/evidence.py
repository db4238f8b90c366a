"""Signed records of sessions (can.md 7.5): what a begin and an end become as OCMF, and the chain that shows whether one was taken out.

A record has all readings of its session so far: one is made of the begin, one with each change of prices, one with the end. Each is one more page of the
EVSE's transaction counter, and is chained to the one before: link = SHA-256(link before, bytes of the record), beginning with 32 zero bytes.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from evse_core.energy_meter import whole_wh
from evse_core.ocmf import EXPORT_REGISTER, IMPORT_REGISTER, Clock, Gateway, Reading, User, parse, payload
from evse_core.ocmf_signature import PrivateKey, public_text, signed
from evse_core.session_readings import SessionReading, export_flowed
from evse_core.tariff import Phase
from evse_core.types import ChargeRecord

# Link before the first record. [byte]
GENESIS = bytes(32)
# Extension of the payload that says what the format has no word for: the energy is integrated from readings of the power electronics (can.md 7.5).
NOT_LEGAL = {"XN": "not legal for billing: no certified meter"}
# Lengths of a UID of ISO/IEC 14443-3. [hexadecimal digits]
_UIDS = (8, 14, 20)


@dataclass(frozen=True, slots=True)
class Proof:
    """A signed record as it is stored: its pagination, the text, and the key that checks it as hexadecimal digits of its DER form."""

    page: str
    text: str
    public_key: str

    @property
    def signature(self) -> str:
        """The signature in hexadecimal digits; "" where the text has none."""
        try:
            return str(parse(self.text).signature.get("SD", ""))
        except ValueError:
            return ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key's DER form, hexadecimal."""
        return hashlib.sha256(bytes.fromhex(self.public_key)).hexdigest()


@dataclass(frozen=True, slots=True)
class Notary:
    """Makes the records of one EVSE; `current_type` is AC or DC, times are in `zone`, `extensions` gives what else each record says at its time."""

    key: PrivateKey
    gateway: Gateway
    zone: tzinfo
    current_type: str = "DC"
    extensions: Callable[[], Mapping[str, str]] = dict

    @property
    def public_key(self) -> str:
        """The key that checks the records, as hexadecimal digits of its DER form."""
        return public_text(self.key.public_key())

    def made(self, record: ChargeRecord, readings: Sequence[SessionReading], page: int) -> str:
        """Return the signed record of a session with its readings so far."""
        user = _user(record, Phase.parse(readings[-1].phase))
        found = tuple(self._readings(readings))
        extensions = {**self.extensions(), **({} if record.legal else NOT_LEGAL)}
        return signed(payload(self.gateway, f"T{page}", user, found, extensions), self.key)

    def _readings(self, readings: Sequence[SessionReading]) -> Iterator[Reading]:
        """Yield the readings of each moment; that of energy from the vehicle only where there was some."""
        exported = export_flowed(readings)
        for reading in readings:
            when = datetime.fromtimestamp(reading.stamp, self.zone)
            registers = {IMPORT_REGISTER: reading.register_wh} | ({EXPORT_REGISTER: reading.export_register_wh} if exported else {})
            for register, value in registers.items():
                wh = float(whole_wh(value))
                yield Reading(when, reading.mark, wh, Clock.INFORMATIVE, register=register, current_type=self.current_type)


def _user(record: ChargeRecord, phase: Phase) -> User:
    token = record.token
    by_reader = len(token) in _UIDS and all(digit in "0123456789ABCDEFabcdef" for digit in token)
    tariff = phase.words(record.currency)
    if not token:
        return User(tariff=tariff)
    if by_reader:
        return User(True, "TRUSTED", ("RFID_PLAIN", "OCPP_AUTH"), "ISO14443", token, tariff)
    return User(True, "TRUSTED", ("RFID_NONE", "OCPP_RS"), "CENTRAL", token, tariff)


def link(before: bytes, record: str) -> bytes:
    """Return the link of a record in the chain."""
    return hashlib.sha256(before + record.encode()).digest()
