"""The charger's side of a CHAdeMO bus, listened to: its frames 0x108, 0x109, 0x118, 0x208, 0x209 back to a VehicleCommand and a PowerReport.

The reverse of what codecs/chademo.py sends; bits: ../shared/reference/can.md 2.1. For logs of other chargers, and of our own.
"""

from collections.abc import Mapping
from math import inf
from math import nan as NAN

from evse_core.codecs.chademo import OWN_NODE, UNKNOWN_MINUTES, USE_MINUTES
from evse_core.codecs.signals import SignalDatabase, demand
from evse_core.frame import Frame
from evse_core.types import PowerReport, VehicleCommand

# Frames that every charger sends every 100 ms (../shared/reference/can.md 2.3 S2).
REQUIRED = ("SE_Capability", "SE_Status")
# The last of them: it carries what the charger measures.
PULSE = "SE_Status"
_NEEDED = {
    "SE_Capability": frozenset(("available_output_voltage", "available_output_current", "threshold_voltage")),
    PULSE: frozenset(("present_output_voltage", "present_output_current", "status_charging", "status_stop_control")),
    "SE_DischargeCapability": frozenset(("present_discharge_current",)),
}


class ChademoCharger:
    """What the charger on a bus has said."""

    def __init__(self, database: SignalDatabase) -> None:
        self._database = database
        self._signals: dict[str, Mapping[str, float]] = {}
        self._received: dict[str, float] = {}

    def receive(self, frame: Frame, now: float) -> str:
        """Take a frame; return the name of its message, "" for one of the vehicle. UnknownId, Malformed."""
        if self._database.sender(frame) != OWN_NODE:
            return ""
        decoded = self._database.decode(frame)
        demand(decoded, _NEEDED)
        self._signals[decoded.name] = decoded.signals
        self._received[decoded.name] = now
        return decoded.name

    @property
    def complete(self) -> bool:
        """Both frames that every charger sends have come."""
        return all(name in self._received for name in REQUIRED)

    def age(self, now: float) -> float:
        """Return the age of the older one of them, NaN before both have come. [s]"""
        return now - min(self._received[name] for name in REQUIRED) if self.complete else NAN

    def silence(self, now: float) -> float:
        """Return how long the charger has sent none of them, infinite before the first. [s]"""
        return now - max((self._received[name] for name in REQUIRED if name in self._received), default=-inf)

    def said(self) -> VehicleCommand:
        """Return what the charger tells the vehicle; NaN and 0 for what it has not said."""
        offer, status = (self._signals.get(name, {}) for name in REQUIRED)
        limits = self._signals.get("SE_DischargeCapability", {})
        return VehicleCommand(
            transmit=self.complete,
            protocol_number=int(status.get("control_protocol_number", 0.0)),
            available_voltage=offer.get("available_output_voltage", NAN),
            available_current=offer.get("available_output_current", NAN),
            threshold_voltage=offer.get("threshold_voltage", NAN),
            present_voltage=status.get("present_output_voltage", NAN),
            present_current=self._current(),
            remaining_time=_remaining(status),
            welding_detection_supported=bool(offer.get("welding_detection_support")),
            charging=bool(status.get("status_charging")),
            charger_malfunction=bool(status.get("status_charger_malfunction")),
            connector_locked=bool(status.get("status_connector_locked")),
            battery_incompatible=bool(status.get("status_battery_incompatible")),
            system_malfunction=bool(status.get("status_charging_system_malfunction")),
            stop_control=bool(status.get("status_stop_control")),
            dynamic_control=bool(self._signals.get("SE_ExtendedFunction", {}).get("dynamic_control")),
            discharge_compatible=bool(status.get("discharge_compatible")),
            max_discharge_current=limits.get("available_input_current", NAN),
            min_discharge_voltage=limits.get("lower_threshold_voltage", NAN),
            discharge_sequence=int(self._signals.get("SE_DischargeEstimate", {}).get("v2h_sequence_number", 0.0)),
        )

    def power(self, now: float) -> PowerReport:
        """Return what the charger measures at its output, as a report of power modules; their temperatures and insulation are not on this bus."""
        said = self.said()
        return PowerReport(
            complete=self.complete,
            age=self.age(now),
            voltage=said.present_voltage,
            current=said.present_current,
            enabled=not (said.charger_malfunction or said.system_malfunction),
            max_voltage=said.available_voltage,
            max_current=said.available_current,
        )

    def _current(self) -> float:
        """Return the current at the output, positive towards the vehicle. [A]

        109.3 has no sign: what flows back is in 208.0 (../shared/reference/can.md 2.6).
        """
        taken = self._signals.get("SE_DischargeCapability", {}).get("present_discharge_current", 0.0)
        return -taken if taken > 0.0 else self._signals.get(PULSE, {}).get("present_output_current", NAN)


def _remaining(status: Mapping[str, float]) -> float:
    """Return the time that is left [s] by 109.6 and 109.7, NaN where both say that it is not known."""
    tens, minutes = status.get("remaining_charging_time_10s", USE_MINUTES), status.get("remaining_charging_time_min", UNKNOWN_MINUTES)
    if tens < USE_MINUTES:
        return tens
    return minutes * 60.0 if minutes < UNKNOWN_MINUTES else NAN
