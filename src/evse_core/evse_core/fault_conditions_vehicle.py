"""Conditions of the fault table on what the vehicle says. See fault_conditions.py for what a condition returns."""

from operator import attrgetter

from evse_core.fault_conditions import Condition, silence
from evse_core.safety_inputs import CONNECTED_STATES, Input
from evse_core.safety_view import View, may_discharge
from evse_core.types import OLD_INTERFACE, ChargeState, EmergencyOrigin, IoReport, PowerFunction, VehicleLink, VehicleReport

# Flags with which the vehicle stops at once, and what they say (can.md 2.1: 102.4 and 102.5; 2.4).
VEHICLE_FAULTS = {
    "fault_battery_overvoltage": "battery over-voltage (102.4.0)",
    "fault_battery_undervoltage": "battery under-voltage (102.4.1)",
    "fault_current_deviation": "the current deviates from the request (102.4.2)",
    "fault_battery_temperature": "battery temperature (102.4.3)",
    "fault_voltage_deviation": "the charger's voltage deviates from the vehicle's (102.4.4)",
    "shift_not_parked": "the shifter is not in park (102.5.1)",
    "system_fault": "fault in the charging system (102.5.2)",
}


def _flag(name: str) -> Condition:
    """Return a condition on one flag. The sequence ends by itself; the row tells the operator why."""

    raised, text = attrgetter(name), VEHICLE_FAULTS[name]

    def condition(view: View) -> str | None:
        if view.vehicle is not None and not raised(view.vehicle):
            return ""
        if not view.energised:
            return ""
        return None if view.vehicle is None else text

    return condition


vehicle_battery_over_voltage = _flag("fault_battery_overvoltage")
vehicle_battery_under_voltage = _flag("fault_battery_undervoltage")
vehicle_current_deviation = _flag("fault_current_deviation")
vehicle_battery_temperature = _flag("fault_battery_temperature")
vehicle_voltage_deviation = _flag("fault_voltage_deviation")
vehicle_not_parked = _flag("shift_not_parked")
vehicle_fault = _flag("system_fault")


def battery_incompatible(view: View) -> str | None:
    """The vehicle's battery does not fit the rating. A vehicle takes its target back when it ends, so while charging only too much counts."""
    if not view.energised or view.state is ChargeState.RAMPING_DOWN:
        return ""
    if view.vehicle is None:
        return None
    target, low, high = view.vehicle.target_voltage, view.config.min_voltage, view.config.max_voltage
    # A charge controller names a target only while it asks for power.
    only_high = view.state is ChargeState.CHARGING or view.vehicle.link is VehicleLink.SECC
    fits = not target > high if only_high else low <= target <= high
    return "" if fits else f"the vehicle's target {target:.0f} V is outside {low:.0f} to {high:.0f} V"


def vehicle_request_excess(view: View) -> str | None:
    """The vehicle asks for more than this EVSE ever offers."""
    if view.state is not ChargeState.CHARGING:
        return ""
    if view.vehicle is None:
        return None
    request, limit = view.vehicle.current_request, view.config.max_current
    return f"{request:.0f} A asked for, {limit:.0f} A is the most" if request > limit + view.config.request_excess else ""


def vehicle_stop_not_followed(view: View) -> str | None:
    """Current flows on although the vehicle withdrew its permission by CAN or by line: either is enough (can.md 2.2)."""
    if view.state not in CONNECTED_STATES:
        return ""
    if view.vehicle is None or view.io is None or view.power is None:
        return None
    reasons = _reasons_to_stop(view.vehicle, view.io)
    flowing = abs(view.power.current) > view.config.current_tolerance
    if view.power.current < 0.0 and not may_discharge(view.vehicle):
        reasons.append("the vehicle permits no discharge")
    return f"{view.power.current:.1f} A with {', '.join(reasons)}" if reasons and flowing else ""


def _reasons_to_stop(vehicle: VehicleReport, io: IoReport) -> list[str]:
    """Return why no current may flow, by what the vehicle or its charge controller says, in words."""
    if vehicle.link is VehicleLink.SECC:
        asked = vehicle.controller.function
        return [] if asked is PowerFunction.POWER_TRANSFER else [f"the charge controller asks for {asked.name}"]
    reasons = [text for name, text in VEHICLE_FAULTS.items() if getattr(vehicle, name)]
    reasons += [] if vehicle.charging_enabled else ["charging_enabled is off"]
    return reasons + ([] if io.permission else ["permission line is open"])


def controller_silent(view: View) -> str | None:
    """The charge controller's heartbeat stopped; can_bridge has cut the power by then (can.md 1.7)."""
    return silence(view, Input.VEHICLE, view.config.controller_timeout)


def controller_emergency(view: View) -> str | None:
    """The charge controller repeats Emergency_Stop while one is in force."""
    if view.vehicle is None:
        return None
    origin = view.vehicle.controller.emergency
    return "" if origin is EmergencyOrigin.NONE else f"emergency stop, origin {origin.name}"


def controller_outdated(view: View) -> str | None:
    """The charge controller has identifiers of v3.0 or older (can.md 1.2)."""
    if view.vehicle is None:
        return None
    return "the charge controller speaks v3.0 or older" if view.vehicle.controller.interface_version == OLD_INTERFACE else ""
