"""Rows of our own fault table that a CHAdeMO bus can show, judged by our own safety monitor as if the observed charger were ours.

What the bus does not show is taken as healthy and as the course of the session implies it: connector plugged, lock and contactors as the state demands,
switch k as 0x102 byte 5.0 says. Rows that need more than that are left out, so silence here says nothing about insulation, earth or temperatures. The
charger's own words, 0x109 byte 5, are told besides, under names that our table does not have: which of its faults it was is not on the bus.
"""

from collections.abc import Iterator
from math import inf, isfinite

from evse_core.charge_sequencer_facts import CHADEMO_VEHICLE_FAULTS
from evse_core.fault_table import BY_NAME
from evse_core.parameter import parameters
from evse_core.safety_config import SafetyConfig
from evse_core.safety_inputs import POWERED_STATES
from evse_core.safety_monitor import SafetyInputs, SafetyMonitor
from evse_core.sample import Sample
from evse_core.types import (
    ChargeState,
    FaultEvent,
    IoCommand,
    IoReport,
    PowerCommand,
    PowerFunction,
    PowerReport,
    Reaction,
    SessionState,
    VehicleCommand,
    VehicleReport,
)

VISIBLE = (
    "vehicle_silent",
    *CHADEMO_VEHICLE_FAULTS,
    "vehicle_stop_not_followed",
    "battery_incompatible",
    "over_voltage",
    "over_current",
    "reverse_current",
)
# The charger's own words: field of VehicleCommand, name of the event, where it stands.
OWN_WORDS = (
    ("battery_incompatible", "battery_incompatible", "0x109 byte 5.3 = 1"),
    ("charger_malfunction", "charger_malfunction", "0x109 byte 5.1 = 1: the charger's own fault; which one is not on the bus"),
    ("system_malfunction", "system_malfunction", "0x109 byte 5.4 = 1: the charger blames vehicle, cable or bus"),
)
# States in which our output contactor is closed and the vehicle's may be.
_CLOSED = frozenset(POWERED_STATES)


class VisibleFaults:
    """Feeds a SafetyMonitor of the visible rows with what was observed. `voltage`, `current`: the most that the charger said to have [V, A]."""

    def __init__(self, voltage: float, current: float) -> None:
        config = SafetyConfig(max_voltage=_within("max_voltage", voltage), max_current=_within("max_current", current))
        self._monitor = SafetyMonitor(config, tuple(BY_NAME[name] for name in VISIBLE))
        self._told: set[str] = set()

    def step(
        self, session: SessionState, vehicle: VehicleReport, power: PowerReport, command: PowerCommand, now: float, stamp: float
    ) -> tuple[FaultEvent, ...]:
        """Return the faults raised and cleared. now: seconds of the log; stamp: the same moment by the ROS clock [s]."""
        closed = session.state in _CLOSED
        board = IoReport(
            complete=True, age=0.0, plugged=True, permission=vehicle.charging_enabled, locked=True, contactor_closed=closed, earth_ok=True
        )
        inputs = SafetyInputs(
            vehicle=Sample(vehicle, now),
            power=Sample(power, now),
            io=Sample(board, now),
            session=Sample(session, now),
            power_command=Sample(command, now),
            io_command=Sample(IoCommand(close_contactor=closed), now),
            stamp=stamp,
        )
        return self._monitor.step(inputs, now).events

    def own_words(self, said: VehicleCommand, stamp: float) -> Iterator[FaultEvent]:
        """Yield what the charger says anew of faults; each word once, for it stays to the end."""
        for field, name, words in OWN_WORDS:
            if getattr(said, field) and name not in self._told:
                self._told.add(name)
                yield FaultEvent(stamp=stamp, fault=name, active=True, reaction=Reaction.STOP, detail=words)


def command_of(state: ChargeState, vehicle: VehicleReport, said: VehicleCommand) -> PowerCommand:
    """Return what a charger must have commanded its modules, inferred: in no log it stands."""
    if state is ChargeState.CHARGING:
        wanted = [value for value in (vehicle.current_request, said.available_current) if isfinite(value)]
        return PowerCommand(function=PowerFunction.POWER_TRANSFER, voltage=vehicle.target_voltage, current=min(wanted, default=0.0))
    if state is ChargeState.CABLE_CHECK:
        return PowerCommand(function=PowerFunction.INSULATION_TEST, voltage=said.present_voltage, current=0.0)
    return PowerCommand(function=PowerFunction.STANDBY, voltage=0.0, current=0.0)


def _within(name: str, value: float) -> float:
    """Return a rating within the bounds of its parameter; its default where the charger never said one."""
    bounds = next(bounds for field, bounds in parameters(SafetyConfig) if field.name == name)
    if not (isfinite(value) and value > 0.0):
        return float(getattr(SafetyConfig(), name))
    return min(max(value, bounds.minimum or 0.0), bounds.maximum or inf)
