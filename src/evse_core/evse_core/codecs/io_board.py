"""The station's side of the I/O board: frames of the board to an IoReport, an IoCommand to a frame. Protocol: config/can/io_board.dbc."""

import math
from collections.abc import Mapping
from enum import IntEnum
from math import nan as NAN
from typing import Any

from evse_core.codecs.signals import Decoded, Malformed, SignalDatabase, demand
from evse_core.frame import Frame
from evse_core.types import IoCommand, IoReport, PilotFault

# Node name of the station in the database.
OWN_NODE = "Station"
# Values that mean "not fitted": raw 0xFFFF, 0xFF, 0xFFFF, 0xFFFF in units of the database. [V], [degC], [kOhm], [A]
NO_VOLTAGE, NO_TEMPERATURE, NO_RESISTANCE, NO_CURRENT = 6553.5, 215.0, 65535.0, 6553.5
# UID lengths of ISO/IEC 14443-3; 0 before the first token. [byte]
UID_LENGTHS = (0, 4, 7, 10)
# Bytes of a UID in part 0 of IO_Token; the rest is in part 1. [byte]
PART_0_BYTES = 6
# The board repeats IO_Token every 1 s; a board without a reader is complete without it after so long. Else a station program that restarts would take
# the count that it first sees for a new token. [s]
TOKEN_WAIT = 1.5
# AC currents older than this are not known any more. Own choice: five frames of 100 ms, as the board's other frames (safety_monitor.io_timeout). [s]
CURRENTS_LIMIT = 0.5
# In place of a counter that a frame does not have.
NO_COUNTER = -1.0
# The frame that closes a period of the board.
PULSE = "IO_Measurements"
# The frame with the AC currents, which drift and go with the next measurement.
CURRENTS = "IO_Currents"
# Fields of IoReport that are a bit of IO_Inputs.
_INPUTS = {
    "plugged": "Plugged",
    "proximity_fault": "Proximity_Fault",
    "permission": "Permission_K",
    "locked": "Locked",
    "contactor_closed": "Contactor_Closed",
    "emergency_stop": "Emergency_Stop",
    "door_open": "Door_Open",
    "earth_ok": "Earth_Ok",
    "residual_current_trip": "Residual_Current_Trip",
    "tilted": "Tilted",
    "impact": "Impact",
}
_NEEDED = {
    "IO_Inputs": frozenset((*_INPUTS.values(), "Pilot_Fault", "Start_Count", "Stop_Count", "Alive")),
    "IO_Measurements": frozenset(("Connector_Voltage", "Connector_Temperature", "Insulation_Resistance")),
    "IO_Token": frozenset(("Part", "Sequence", "Length")),
    CURRENTS: frozenset(("AC_Current_L1", "AC_Current_L2", "AC_Current_L3", "Alive")),
}
_PILOT_FAULTS = {int(value): value for value in PilotFault}


class LockCommand(IntEnum):
    """Values of Lock_Command."""

    HOLD = 0
    LOCK = 1
    UNLOCK = 2


class IoBoard:
    """What the board has said, and the frame to answer with."""

    def __init__(self, database: SignalDatabase) -> None:
        self._database = database
        self._signals: dict[str, Mapping[str, float]] = {}
        self._alive: dict[str, float] = {}
        self._received: dict[str, float] = {}
        self._first = NAN
        # What a report says besides age and token, None where a frame has said something new since.
        self._words: dict[str, Any] | None = None
        self.plugged = False
        """The connector is in the inlet, as the board said last."""
        self.changes = 0
        self._token = _Token()

    def receive(self, frame: Frame, now: float) -> int | None:
        """Take a frame; return how many unknown enumeration values it held, None for a frame of the station itself. UnknownId, Malformed."""
        if self._database.sender(frame) == OWN_NODE:
            return None
        decoded = self._database.decode(frame)
        demand(decoded, _NEEDED)
        self._take(decoded, now)
        return decoded.unknown_values

    def _take(self, decoded: Decoded, now: float) -> None:
        if decoded.name == "IO_Token":
            self._token.take(decoded.signals)
        if not self._received:
            self._first = now
        signals = dict(decoded.signals)
        # A counter that stands is an old frame that something repeats: its content counts, but it is no sign of life.
        alive = signals.pop("Alive", NO_COUNTER)
        if alive == NO_COUNTER or alive != self._alive.get(decoded.name):
            self._received[decoded.name] = now
        self._alive[decoded.name] = alive
        news = not signals.items() <= self._signals.get(decoded.name, {}).items()
        self.changes += decoded.name == PULSE or (news and decoded.name != CURRENTS)
        self._signals[decoded.name] = signals
        if news:
            self._words = None
            self.plugged = bool(self._signals.get("IO_Inputs", {}).get("Plugged"))

    @property
    def pulse(self) -> float:
        """Time of the newest measurement. [s]"""
        return self._received.get(PULSE, -math.inf)

    def report(self, now: float) -> IoReport:
        """Return what is known of the board now."""
        if self._words is None:
            self._words = self._said()
        times = [self._received[name] for name in ("IO_Inputs", "IO_Measurements") if name in self._received]
        complete = len(times) == 2 and ("IO_Token" in self._received or now - self._first >= TOKEN_WAIT)
        return IoReport(
            complete=complete,
            age=now - min(times) if complete else NAN,
            token_count=self._token.count,
            token=self._token.text,
            ac_current_l1=self._ac_current("AC_Current_L1", now),
            ac_current_l2=self._ac_current("AC_Current_L2", now),
            ac_current_l3=self._ac_current("AC_Current_L3", now),
            **self._words,
        )

    def _ac_current(self, signal: str, now: float) -> float:
        """Return an AC current [A], NaN where the frame that carries it is old or never came."""
        fresh = now - self._received.get(CURRENTS, -math.inf) <= CURRENTS_LIMIT
        return _fitted(self._signals[CURRENTS][signal], NO_CURRENT) if fresh else NAN

    def _said(self) -> dict[str, Any]:
        """Return the fields of the report but age, token and AC currents."""
        inputs, measured = self._signals.get("IO_Inputs", {}), self._signals.get("IO_Measurements", {})
        return {
            "pilot_fault": _PILOT_FAULTS.get(int(inputs.get("Pilot_Fault", 0)), PilotFault.UNKNOWN),
            "start_count": int(inputs.get("Start_Count", 0)),
            "stop_count": int(inputs.get("Stop_Count", 0)),
            "connector_voltage": _fitted(measured.get("Connector_Voltage", NAN), NO_VOLTAGE),
            "connector_temperature": _fitted(measured.get("Connector_Temperature", NAN), NO_TEMPERATURE),
            "insulation_resistance": _fitted(measured.get("Insulation_Resistance", NAN), NO_RESISTANCE) * 1000.0,
            **{field: bool(inputs.get(signal)) for field, signal in _INPUTS.items()},
        }

    def frame(self, command: IoCommand, lock: LockCommand, alive: int) -> Frame:
        """Return IO_Outputs; alive is a counter of frames, taken modulo 256."""
        signals = {
            "Sequence_1": command.sequence_1,
            "Sequence_2": command.sequence_2,
            "Close_Contactor": command.close_contactor,
            "Lock_Command": lock,
            "Lamp": command.lamp,
            "Pilot_Current": command.pilot_current if command.pilot_current >= 0.0 else NO_CURRENT,
            "Alive": alive % 256,
        }
        return self._database.encode("IO_Outputs", signals)


class _Token:
    """Puts a UID together from its parts; count and text change together, when all bytes are there."""

    def __init__(self) -> None:
        self.count = 0
        self.text = ""
        self._key = (-1, -1)
        self._parts: dict[int, bytes] = {}

    def take(self, signals: Mapping[str, float]) -> None:
        part, sequence, length = int(signals["Part"]), int(signals["Sequence"]), int(signals["Length"])
        if length not in UID_LENGTHS:
            raise Malformed(f"IO_Token: UID of {length} bytes")
        if (sequence, length) != self._key:
            self._key, self._parts = (sequence, length), {}
        first = PART_0_BYTES * part
        wanted = range(first, min(length, PART_0_BYTES if part == 0 else length))
        names = [f"Byte{index}" for index in wanted]
        if any(name not in signals for name in names):
            raise Malformed("IO_Token: too short")
        self._parts[part] = bytes(int(signals[name]) for name in names)
        uid = self._parts.get(0, b"") + self._parts.get(1, b"")
        if 0 in self._parts and len(uid) == length:
            self.count, self.text = sequence, uid.hex().upper()


def _fitted(value: float, absent: float) -> float:
    """Return the value, NaN where it says that nothing is fitted."""
    return NAN if value >= absent else value
