"""The station's side of the CHAdeMO vehicle bus: frames of the vehicle to a VehicleReport, a VehicleCommand to frames.

Layouts and quirks: ../shared/reference/can.md 2.1 and 2.7, names as in config/can/chademo.dbc.
"""

import math
from collections.abc import Mapping
from math import nan as NAN
from typing import Any

from evse_core.codecs.signals import Decoded, SignalDatabase, demand
from evse_core.frame import Frame
from evse_core.types import CutCause, Lamp, PowerReport, VehicleCommand, VehicleLink, VehicleReport

# Node name of the station in the database: frames that it sends come back on some buses and are nobody's news.
OWN_NODE = "Station"
# Frames that every vehicle sends every 100 ms (../shared/reference/can.md 2.3 S1).
REQUIRED = ("EV_ChargingLimits", "EV_ChargingTime", "EV_Status")
# The last of them, which closes a period of the vehicle.
PULSE = "EV_Status"
# Signals without which a frame says nothing; a truncated one is malformed and does not count as a sign of life.
_NEEDED = {
    "EV_ChargingLimits": frozenset(
        (
            "min_charge_current",
            "max_charge_current",
            "min_battery_voltage",
            "max_battery_voltage",
            "charged_rate_reference",
        )
    ),
    "EV_ChargingTime": frozenset(("max_charging_time_10s", "max_charging_time_min", "estimated_charging_time", "total_battery_capacity")),
    "EV_Status": frozenset(
        (
            "control_protocol_number",
            "target_battery_voltage",
            "charging_current_request",
            "status_charging_enabled",
            "charged_rate",
        )
    ),
    "EV_ExtendedFunction": frozenset(("dynamic_control",)),
    "EV_DischargeLimits": frozenset(("max_discharge_current", "min_discharge_voltage", "min_battery_discharge_level")),
    "EV_DischargeEstimate": frozenset(("v2h_sequence_number",)),
}
# Frame loss ends a session after 1 s on either side (../shared/reference/can.md 2.3, 2.4); twice that, and the frames belong to a new one. [s]
SESSION_GAP = 2.0
# 102.6 means kWh or nothing with these references: 0, and what vehicles send before they settle or to a 0.9 charger (../shared/reference/can.md 2.1). [%]
UNSETTLED_REFERENCES = (0.0, 240.0, 255.0)
# Raw 0xFF in the 10 s byte hands over to the minutes byte, in both directions. [s]
USE_MINUTES = 2550.0
# Raw 0xFF in a minutes byte: not known. [min]
UNKNOWN_MINUTES = 255.0
# Vehicles of this generation know the extended function frame 0x118 even where they have not sent 0x110 yet (../shared/reference/can.md 2.1, 0x118).
EXTENDED_GENERATION = 3


class ChademoStation:
    """What the vehicle has said in this session, and the frames to answer with."""

    # The station leads: with its plug or its words the session goes, too.
    LED_BY_STATION = True

    def __init__(self, database: SignalDatabase) -> None:
        self._database = database
        self.changes = 0
        self.reset()

    def reset(self) -> None:
        """Forget the vehicle."""
        self.changes += 1
        self._signals: dict[str, Mapping[str, float]] = {}
        self._received: dict[str, float] = {}
        self._contactor_reported = False
        # What a report says besides its age, and such a report without an age; None where a frame has said something new since.
        self._words: dict[str, Any] | None = None
        self._known: VehicleReport | None = None

    def receive(self, frame: Frame, now: float) -> int | None:
        """Take a frame; return how many unknown enumeration values it held, None for a frame of the station itself. UnknownId, Malformed."""
        if self._database.sender(frame) == OWN_NODE:
            return None
        decoded = self._database.decode(frame)
        demand(decoded, _NEEDED)
        if decoded.name in REQUIRED:
            self._note_sign_of_life(decoded.name, now)
        last = self._signals.get(decoded.name)
        if decoded.signals is not last and decoded.signals != last:
            self._take(decoded)
            self.changes += 1
        elif decoded.name == PULSE:
            self.changes += 1
        return decoded.unknown_values

    def _take(self, decoded: Decoded) -> None:
        self._signals[decoded.name] = decoded.signals
        self._contactor_reported |= bool(decoded.signals.get("status_contactor_open"))
        self._words = self._known = None

    def _note_sign_of_life(self, name: str, now: float) -> None:
        if self._received and now - max(self._received.values()) > SESSION_GAP:
            self.reset()
        self._received[name] = now

    @property
    def pulse(self) -> float:
        """Time of the newest status frame, the one that closes a period of the vehicle. [s]"""
        return self._received.get(PULSE, -math.inf)

    def silence(self, now: float) -> float:
        """Return how long the vehicle has sent none of its periodic frames, infinite before the first. [s]"""
        return now - max(self._received.values(), default=-math.inf)

    def report(self, now: float) -> VehicleReport:
        """Return what is known of the vehicle now."""
        complete = len(self._received) == len(REQUIRED)
        if self._words is None:
            self._words = self._said()
        return VehicleReport(complete=complete, age=now - min(self._received.values()) if complete else NAN, **self._words)

    def known(self) -> VehicleReport:
        """Return what the vehicle has said, for those to whom its age does not matter."""
        if self._known is None:
            self._known = self.report(math.inf)
        return self._known

    def _said(self) -> dict[str, Any]:
        """Return the fields of the report but its age."""
        limits, times, status = (self._signals.get(name, {}) for name in REQUIRED)
        return {
            "link": VehicleLink.CHADEMO,
            "protocol_number": int(status.get("control_protocol_number", 0)),
            "min_voltage": limits.get("min_battery_voltage", NAN),
            "max_voltage": limits.get("max_battery_voltage", NAN),
            "min_current": limits.get("min_charge_current", NAN),
            "max_current": limits.get("max_charge_current", NAN),
            "target_voltage": status.get("target_battery_voltage", NAN),
            # 255 is taken as it is: the extended request of 0x110 needs a station that announces high current control, this one does not.
            "current_request": status.get("charging_current_request", NAN),
            "soc_percent": _soc(status.get("charged_rate", NAN), limits.get("charged_rate_reference", NAN)),
            "battery_capacity_kwh": times.get("total_battery_capacity", 0.0) or NAN,
            "max_charging_time": _charging_time(times),
            "estimated_charging_time": _minutes(times.get("estimated_charging_time", 0.0)),
            "contactor_reported": self._contactor_reported,
            "extended_functions": "EV_ExtendedFunction" in self._signals,
            "dynamic_control": bool(self._signals.get("EV_ExtendedFunction", {}).get("dynamic_control")),
            **{field: bool(status.get(signal)) for field, signal in _FLAGS.items()},
            **self._discharge(),
        }

    def _discharge(self) -> dict[str, Any]:
        """Return what 0x200 and 0x201 say; trust levels of each signal: docs/bidirectional.md."""
        limits, estimate = self._signals.get("EV_DischargeLimits", {}), self._signals.get("EV_DischargeEstimate", {})
        return {
            "max_discharge_current": limits.get("max_discharge_current", NAN),
            "min_discharge_voltage": limits.get("min_discharge_voltage", NAN),
            "min_discharge_soc_percent": limits.get("min_battery_discharge_level", NAN),
            "discharge_sequence": int(estimate.get("v2h_sequence_number", 0)),
            "discharge_time": estimate.get("approx_discharge_completion_time", 0.0) * 60.0 or NAN,
            "available_energy_wh": estimate.get("available_vehicle_energy", 0.0) * 1e3 or NAN,
        }

    def cut_cause(self, now: float) -> CutCause:
        """Return why the vehicle link by itself leaves no power on: this one leaves that to charge_sequencer and safety_monitor."""
        return CutCause.NONE

    def times(self) -> tuple[float, ...]:
        """Return when something changes without news. [s]"""
        return ()

    def frames(
        self, command: VehicleCommand, modules: PowerReport | None = None, now: float = 0.0, lamp: Lamp = Lamp.UNKNOWN
    ) -> list[Frame]:
        """Return the frames of one period in the charger's order 0x108, 0x109, 0x118, 0x208, 0x209; modules, time and lamp are for other links."""
        frames = [self._database.encode("SE_Capability", _capability(command)), self._database.encode("SE_Status", _status(command))]
        if self._knows_extended_functions():
            frames.append(self._database.encode("SE_ExtendedFunction", {"dynamic_control": command.dynamic_control}))
        if command.discharge_compatible:
            # Never one without the others: 109.4.0 alone makes vehicles fault (../shared/reference/can.md 2.6).
            frames.append(self._database.encode("SE_DischargeCapability", _discharge_capability(command)))
            frames.append(self._database.encode("SE_DischargeEstimate", {"v2h_sequence_number": command.discharge_sequence}))
        return frames

    def _knows_extended_functions(self) -> bool:
        number = self._signals.get("EV_Status", {}).get("control_protocol_number", 0)
        return "EV_ExtendedFunction" in self._signals or number >= EXTENDED_GENERATION


# Fields of VehicleReport that are a bit of 0x102.
_FLAGS = {
    "charging_enabled": "status_charging_enabled",
    "contactor_open": "status_contactor_open",
    "shift_not_parked": "status_shift_not_parked",
    "system_fault": "status_charging_system_fault",
    "normal_stop_request": "status_normal_stop_request",
    "fault_battery_overvoltage": "fault_battery_overvoltage",
    "fault_battery_undervoltage": "fault_battery_undervoltage",
    "fault_current_deviation": "fault_current_deviation",
    "fault_battery_temperature": "fault_high_battery_temperature",
    "fault_voltage_deviation": "fault_voltage_deviation",
    "discharge_compatible": "status_discharge_compatible",
}


def _soc(rate: float, reference: float) -> float:
    """Return the state of charge [%], NaN where the pair does not make sense."""
    if math.isnan(rate) or math.isnan(reference) or reference in UNSETTLED_REFERENCES or rate > reference:
        return NAN
    return 100.0 * rate / reference


def _charging_time(times: Mapping[str, float]) -> float:
    """Return the longest charging time [s] by 101.1 and 101.2; both 0 is what vehicles send before they have calculated it."""
    tens = times.get("max_charging_time_10s", 0.0)
    return tens if 0 < tens < USE_MINUTES else _minutes(times.get("max_charging_time_min", 0.0))


def _minutes(minutes: float) -> float:
    return minutes * 60.0 if 0 < minutes < UNKNOWN_MINUTES else NAN


def _floor(value: float) -> float:
    """Round down: what is offered must be there."""
    return math.floor(value) if math.isfinite(value) else 0.0


def _capability(command: VehicleCommand) -> dict[str, float]:
    return {
        "welding_detection_support": command.welding_detection_supported,
        "available_output_voltage": _floor(command.available_voltage),
        "available_output_current": _floor(command.available_current),
        "threshold_voltage": _floor(command.threshold_voltage),
    }


def _status(command: VehicleCommand) -> dict[str, float]:
    tens, minutes = _remaining(command.remaining_time)
    return {
        "control_protocol_number": command.protocol_number,
        "present_output_voltage": command.present_voltage,
        # 109.3 is unsigned: what flows towards the station is told in 208.0.
        "present_output_current": max(command.present_current, 0.0),
        "discharge_compatible": command.discharge_compatible,
        "status_charging": command.charging,
        "status_charger_malfunction": command.charger_malfunction,
        "status_connector_locked": command.connector_locked,
        "status_battery_incompatible": command.battery_incompatible,
        "status_charging_system_malfunction": command.system_malfunction,
        "status_stop_control": command.stop_control,
        "remaining_charging_time_10s": tens,
        "remaining_charging_time_min": minutes,
    }


def _discharge_capability(command: VehicleCommand) -> dict[str, float]:
    """Return 0x208; what is offered is rounded down, the voltage at which the station stops up. 209.1-2 stays 0: unused."""
    lowest = command.min_discharge_voltage
    return {
        "present_discharge_current": max(-command.present_current, 0.0) if math.isfinite(command.present_current) else 0.0,
        "available_input_voltage": _floor(command.available_voltage),
        "available_input_current": _floor(command.max_discharge_current),
        "lower_threshold_voltage": math.ceil(lowest) if math.isfinite(lowest) else 0.0,
    }


def _remaining(time: float) -> tuple[float, float]:
    """Return 109.6 [s] and 109.7 [min]: steps of 10 s where they reach, else minutes, 0xFF in both before the time is known. 0 only when it is over."""
    if not math.isfinite(time):
        return USE_MINUTES, UNKNOWN_MINUTES
    tens = 10.0 * math.ceil(max(time, 0.0) / 10.0)
    minutes = min(math.ceil(max(time, 0.0) / 60.0), UNKNOWN_MINUTES - 1)
    return (tens if tens < USE_MINUTES else USE_MINUTES), minutes
