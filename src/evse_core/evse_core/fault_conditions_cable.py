"""Conditions of the fault table on a liquid-cooled cable. See fault_conditions.py for what a condition returns."""

from math import isfinite

from evse_core.cooled_cable import coolant_works
from evse_core.safety_inputs import CONNECTED_STATES
from evse_core.safety_view import View


def coolant_failed(view: View) -> str | None:
    """The coolant does not flow, is too warm, or nobody measures it, while the cable may carry current; before, its pump may stand still."""
    if view.config.uncooled_current <= 0.0 or view.state not in CONNECTED_STATES:
        return ""
    if view.io is None:
        return None
    flow, temperature = view.io.coolant_flow, view.io.coolant_temperature
    if coolant_works(flow, temperature, view.config.coolant_flow_limit, view.config.coolant_temperature_limit):
        return ""
    words = (
        f"{flow:.1f} L/min" if isfinite(flow) else "flow not known",
        f"{temperature:.0f} degC" if isfinite(temperature) else "temperature not known",
    )
    return f"coolant: {', '.join(words)}; at least {view.config.coolant_flow_limit:.1f} L/min, at most {view.config.coolant_temperature_limit:.0f} degC"


def cable_overload(view: View) -> str | None:
    """More current flows than the cable carries without the coolant that is not there."""
    failed = coolant_failed(view)
    if not failed:
        return failed
    if view.power is None:
        return None
    limit = view.config.uncooled_current + view.config.current_tolerance
    current = abs(view.power.current)
    return f"{current:.0f} A, at most {limit:.0f} A; {failed}" if current > limit else ""
