"""Conditions of the fault table on a vehicle that gives power. See fault_conditions.py for what a condition returns.

Current that no discharge explains is reverse_current, a permission that was withdrawn is vehicle_stop_not_followed: rows that hold for both directions. The
sequencer ends a discharge by itself before any of these; what is seen here is one that did not.
"""

from math import isfinite

from evse_core.safety_view import View
from evse_core.types import ChargeState


def _discharging(view: View) -> bool | None:
    """Return whether current flows from the vehicle; None where nobody knows while it may."""
    if view.state is not ChargeState.CHARGING:
        return False
    if view.power is None or view.vehicle is None:
        return None
    return view.power.current < -view.config.current_tolerance


def over_discharge(view: View) -> str | None:
    """Current is taken from a vehicle whose charge is below what must stay in it, by the contract or by its own word."""
    if not (flows := _discharging(view)):
        return "" if flows is False else None
    assert view.vehicle is not None
    said, soc = view.vehicle.min_discharge_soc_percent, view.vehicle.soc_percent
    least = max(view.config.min_soc_percent, said) if isfinite(said) else view.config.min_soc_percent
    return f"state of charge {soc:.0f} %, {least:.0f} % must stay" if soc < least else ""


def discharge_under_voltage(view: View) -> str | None:
    """The voltage of a battery that gives power is below what the vehicle allows, or the station's lowest."""
    if not (flows := _discharging(view)):
        return "" if flows is False else None
    if view.io is None or not isfinite(view.connector_voltage):
        return None
    assert view.vehicle is not None
    said = view.vehicle.min_discharge_voltage
    limit = max(view.config.min_voltage, said) if isfinite(said) else view.config.min_voltage
    low = view.connector_voltage < limit - view.config.discharge_voltage_tolerance
    return f"output {view.connector_voltage:.1f} V, at least {limit:.0f} V must stay" if low else ""
