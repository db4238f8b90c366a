"""The station's side of the I/O board: frames of the board to an IoReport, an IoCommand to a frame. Protocol: config/can/io_board.dbc."""

import math
from collections.abc import Mapping
from enum import IntEnum
from math import nan as NAN
from typing import Any

from evse_core.codecs.signals import Decoded, Malformed, SignalDatabase, demand
from evse_core.control_pilot import PilotFilter, cable_current
from evse_core.frame import Frame
from evse_core.types import AcReport, IoCommand, IoReport, PilotFault, PilotState

# Node name of the station in the database.
OWN_NODE = "Station"
# Values that mean "not fitted": raw 0xFFFF, 0xFF, 0xFFFF, 0xFFFF in units of the database. [V], [degC], [kOhm], [A]
NO_VOLTAGE, NO_TEMPERATURE, NO_RESISTANCE, NO_CURRENT = 6553.5, 215.0, 65535.0, 6553.5
# The same of the coolant's flow. [L/min]
NO_FLOW = 25.5
# The same of IO_Pilot, IO_Mains and IO_Powers: raw -128, 0xFFFF, 0xFFFF, 255, -32768. [V], [%], [ohm], [Hz], [W]
NO_LEVEL, NO_DUTY, NO_RESISTOR, NO_FREQUENCY, NO_POWER = -12.8, 655.35, 65535.0, 65.5, -32768.0
# UID lengths of ISO/IEC 14443-3; 0 before the first token. [byte]
UID_LENGTHS = (0, 4, 7, 10)
# Bytes of a UID in part 0 of IO_Token; the rest is in part 1. [byte]
PART_0_BYTES = 6
# The board repeats IO_Token every 1 s; a board without a reader is complete without it after so long. Else a station program that restarts would take
# the count that it first sees for a new token. [s]
TOKEN_WAIT = 1.5
# AC currents older than this are not known any more. Own choice: five frames of 100 ms, as the board's other frames (safety_monitor.io_timeout). [s]
CURRENTS_LIMIT = 0.5
# A control pilot that is older than this is not known: the board opens within 100 ms by itself, and stops when the station is silent for as long. [s]
PILOT_LIMIT = 0.2
# How long board and station may see different states: the station's debounce (control_pilot.TO_C) and two frames. [s]
DISAGREE_LIMIT = 0.7
# In place of a counter that a frame does not have.
NO_COUNTER = -1.0
# The frame that closes a period of the board.
PULSE = "IO_Measurements"
# The frame with the AC currents, which drift and go with the next measurement.
CURRENTS = "IO_Currents"
# Frames of boards with an AC output; powers and mains drift and go with the next measurement.
PILOT, MAINS, POWERS = "IO_Pilot", "IO_Mains", "IO_Powers"
DRIFTING = (CURRENTS, MAINS, POWERS)
_PHASES = ("L1", "L2", "L3")
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
    PILOT: frozenset(("Pilot_High", "Pilot_Low", "Pilot_Duty", "Pilot_State", "Proximity_Resistance", "Alive")),
    MAINS: frozenset(("Voltage_L1", "Voltage_L2", "Voltage_L3", "Frequency", "Alive")),
    POWERS: frozenset(("Power_L1", "Power_L2", "Power_L3", "Alive")),
}
# DISAGREES is the station's own finding.
_PILOT_FAULTS = {int(value): value for value in PilotFault if value is not PilotFault.DISAGREES}
_PILOT_STATES = {int(value): value for value in PilotState}


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
        self._pilot = PilotFilter()
        # Since when the board names another state than its levels show. [s]
        self._disagree = math.inf

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
        news = self._is_news(decoded.name, signals, now)
        self.changes += decoded.name == PULSE or (news and decoded.name not in DRIFTING)
        self._signals[decoded.name] = signals
        if news:
            self._words = None
            self.plugged = bool(self._signals.get("IO_Inputs", {}).get("Plugged"))

    def _is_news(self, name: str, signals: Mapping[str, float], now: float) -> bool:
        """Return whether a frame says something new; of the control pilot's levels only the state counts."""
        last = self._signals.get(name, {})
        if name != PILOT:
            return not signals.items() <= last.items()
        before = self._pilot.state, self._pilot.fault
        self._take_pilot(signals, now)
        flags = ("Latch_Pressed", "Output_Live", "Phases_2_3_Closed", "Residual_Current_Tested", "Proximity_Resistance")
        return before != (self._pilot.state, self._pilot.fault) or any(signals.get(flag) != last.get(flag) for flag in flags)

    def _take_pilot(self, signals: Mapping[str, float], now: float) -> None:
        high, low = (NAN if signals[name] <= NO_LEVEL else signals[name] for name in ("Pilot_High", "Pilot_Low"))
        state = self._pilot.step(high, low, _fitted(signals["Pilot_Duty"], NO_DUTY), now)
        agrees = _PILOT_STATES.get(int(signals["Pilot_State"]), PilotState.UNKNOWN) is state
        self._disagree = math.inf if agrees else min(self._disagree, now)

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
            ac_current_l1=self._drifting(CURRENTS, "AC_Current_L1", NO_CURRENT, now),
            ac_current_l2=self._drifting(CURRENTS, "AC_Current_L2", NO_CURRENT, now),
            ac_current_l3=self._drifting(CURRENTS, "AC_Current_L3", NO_CURRENT, now),
            ac=self.ac(now),
            **self._words | {"pilot_fault": self._pilot_fault(now)},
        )

    def _drifting(self, frame: str, signal: str, absent: float, now: float) -> float:
        """Return a value of the AC side, NaN where the frame that carries it is old or never came."""
        return _fitted(self._signals[frame][signal], absent) if self._is_fresh(frame, CURRENTS_LIMIT, now) else NAN

    def _is_fresh(self, frame: str, limit: float, now: float) -> bool:
        return now - self._received.get(frame, -math.inf) <= limit

    def received(self, frame: str) -> float:
        """Return when a frame came last that was not a repeated old one. [s]"""
        return self._received.get(frame, -math.inf)

    def ac(self, now: float) -> AcReport:
        """Return what is known of mains, control pilot and proximity pilot now."""
        if PILOT not in self._signals and MAINS not in self._signals:
            return _NO_AC
        pilot = self._signals[PILOT] if self._is_fresh(PILOT, PILOT_LIMIT, now) else {}
        power = {phase: self._power(phase, now) for phase in _PHASES}
        return AcReport(
            pilot_state=self._pilot.state if pilot else PilotState.UNKNOWN,
            pilot_high=_level(pilot.get("Pilot_High", NAN)),
            pilot_low=_level(pilot.get("Pilot_Low", NAN)),
            pilot_duty_percent=_fitted(pilot.get("Pilot_Duty", NAN), NO_DUTY),
            cable_current=cable_current(_fitted(pilot.get("Proximity_Resistance", NAN), NO_RESISTOR)),
            latch_pressed=bool(pilot.get("Latch_Pressed")),
            voltage_l1=self._drifting(MAINS, "Voltage_L1", NO_VOLTAGE, now),
            voltage_l2=self._drifting(MAINS, "Voltage_L2", NO_VOLTAGE, now),
            voltage_l3=self._drifting(MAINS, "Voltage_L3", NO_VOLTAGE, now),
            frequency=self._drifting(MAINS, "Frequency", NO_FREQUENCY, now),
            power_l1=power["L1"],
            power_l2=power["L2"],
            power_l3=power["L3"],
            output_live=bool(pilot.get("Output_Live")),
            phases_closed=self._phases_closed(pilot),
            residual_current_tested=bool(pilot.get("Residual_Current_Tested")),
        )

    def _power(self, phase: str, now: float) -> float:
        """Return the active power of a phase [W], NaN where it is not measured or old."""
        value = self._signals[POWERS][f"Power_{phase}"] if self._is_fresh(POWERS, CURRENTS_LIMIT, now) else NAN
        return value if value > NO_POWER else NAN

    def _phases_closed(self, pilot: Mapping[str, float]) -> int:
        if not pilot or not self._signals.get("IO_Inputs", {}).get("Contactor_Closed"):
            return 0
        return 3 if pilot.get("Phases_2_3_Closed") else 1

    def _pilot_fault(self, now: float) -> PilotFault:
        """Return what is wrong with the pilot by the board's word, and by its levels where it sends them: the word of the board alone is not believed."""
        told = _PILOT_FAULTS.get(int(self._signals.get("IO_Inputs", {}).get("Pilot_Fault", 0)), PilotFault.UNKNOWN)
        if told is not PilotFault.NONE or PILOT not in self._signals:
            return told
        if not self._is_fresh(PILOT, PILOT_LIMIT, now):
            return PilotFault.UNKNOWN
        if self._pilot.fault is not PilotFault.NONE:
            return self._pilot.fault
        return PilotFault.DISAGREES if now - self._disagree > DISAGREE_LIMIT else PilotFault.NONE

    def _said(self) -> dict[str, Any]:
        """Return the fields of the report but age, token and what comes from the AC side."""
        inputs, measured = self._signals.get("IO_Inputs", {}), self._signals.get("IO_Measurements", {})
        return {
            "start_count": int(inputs.get("Start_Count", 0)),
            "stop_count": int(inputs.get("Stop_Count", 0)),
            "connector_voltage": _fitted(measured.get("Connector_Voltage", NAN), NO_VOLTAGE),
            "connector_temperature": _fitted(measured.get("Connector_Temperature", NAN), NO_TEMPERATURE),
            "coolant_flow": _fitted(measured.get("Coolant_Flow", NAN), NO_FLOW),
            "coolant_temperature": _fitted(measured.get("Coolant_Temperature", NAN), NO_TEMPERATURE),
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
            "Pilot_Unavailable": command.pilot_unavailable,
            "Residual_Current_Test": command.residual_current_test,
            "Phases": command.phases,
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


# Shared, because a DC board says always the same of it.
_NO_AC = AcReport()


def _level(value: float) -> float:
    """Return a level of the control pilot [V], NaN where it is not measured."""
    return value if value > NO_LEVEL else NAN


def _fitted(value: float, absent: float) -> float:
    """Return the value, NaN where it says that nothing is fitted."""
    return NAN if value >= absent else value
