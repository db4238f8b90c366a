"""Signed records of sessions (can.md 7.5): what a begin and an end become as OCMF, and the chain that shows whether one was taken out.

A begin record has the begin reading, the record of the end both. Each is one more page of the EVSE's transaction counter, and is chained to the one before:
link = SHA-256(link before, bytes of the record), beginning with 32 zero bytes.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from evse_core.energy_meter import whole_wh
from evse_core.ocmf import EXPORT_REGISTER, IMPORT_REGISTER, Clock, Gateway, Mark, Reading, User, payload
from evse_core.ocmf_signature import PrivateKey, public_text, signed
from evse_core.types import ChargeRecord, RecordStatus, StopCause

# Link before the first record. [byte]
GENESIS = bytes(32)
# Extension of the payload that says what the format has no word for: the energy is integrated from readings of the power electronics (can.md 7.5).
NOT_LEGAL = {"XN": "not legal for billing: no certified meter"}
# Lengths of a UID of ISO/IEC 14443-3. [hexadecimal digits]
_UIDS = (8, 14, 20)
_MARKS = {
    StopCause.LOCAL: Mark.LOCAL_STOP,
    StopCause.REMOTE: Mark.REMOTE_STOP,
    StopCause.UNLOCK: Mark.REMOTE_STOP,
    StopCause.DEAUTHORIZED: Mark.REMOTE_STOP,
    StopCause.UNAVAILABLE: Mark.REMOTE_STOP,
    StopCause.VEHICLE: Mark.END,
    StopCause.TIME_LIMIT: Mark.END,
    StopCause.ENERGY_LIMIT: Mark.END,
    StopCause.UNPLUGGED: Mark.END,
    StopCause.SHUTDOWN: Mark.END,
    StopCause.RESTART: Mark.POWER_FAILURE,
}


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

    def begin(self, record: ChargeRecord, page: int) -> str:
        """Return the signed record of a begin."""
        return self._made(record, page, self._readings(record, Mark.BEGIN))

    def end(self, record: ChargeRecord, page: int) -> str:
        """Return the signed record of a session that has ended, with both readings."""
        return self._made(record, page, (*self._readings(record, Mark.BEGIN), *self._readings(record, mark_of(record))))

    def _made(self, record: ChargeRecord, page: int, readings: tuple[Reading, ...]) -> str:
        extensions = {**self.extensions(), **({} if record.legal else NOT_LEGAL)}
        return signed(payload(self.gateway, f"T{page}", _user(record), readings, extensions), self.key)

    def _readings(self, record: ChargeRecord, mark: Mark) -> tuple[Reading, ...]:
        """Return the reading of a moment; that of energy from the vehicle only where there was some."""
        begins = mark is Mark.BEGIN
        when = datetime.fromtimestamp(record.begin if begins else record.end, self.zone)
        registers = {IMPORT_REGISTER: record.begin_register_wh if begins else record.end_register_wh}
        if whole_wh(record.end_export_register_wh) > whole_wh(record.begin_export_register_wh):
            registers[EXPORT_REGISTER] = record.begin_export_register_wh if begins else record.end_export_register_wh
        return tuple(
            Reading(when, mark, float(whole_wh(value)), Clock.INFORMATIVE, register=register, current_type=self.current_type)
            for register, value in registers.items()
        )


def mark_of(record: ChargeRecord) -> Mark:
    """Return why the end reading was taken; what nobody ended in order is an abort."""
    if record.status is RecordStatus.INTERRUPTED:
        return Mark.POWER_FAILURE
    return _MARKS.get(record.stop_cause, Mark.ABORT)


def _user(record: ChargeRecord) -> User:
    token = record.token
    by_reader = len(token) in _UIDS and all(digit in "0123456789ABCDEFabcdef" for digit in token)
    tariff = f"{record.price_per_kwh} {record.currency}/kWh"
    if not token:
        return User(tariff=tariff)
    if by_reader:
        return User(True, "TRUSTED", ("RFID_PLAIN", "OCPP_AUTH"), "ISO14443", token, tariff)
    return User(True, "TRUSTED", ("RFID_NONE", "OCPP_RS"), "CENTRAL", token, tariff)


def link(before: bytes, record: str) -> bytes:
    """Return the link of a record in the chain."""
    return hashlib.sha256(before + record.encode()).digest()
