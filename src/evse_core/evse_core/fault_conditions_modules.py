"""Conditions of the fault table on single power modules, where the description says that they tell of themselves. See fault_conditions.py for what a condition
returns.

A bank of modules sends config/can/module_bank.dbc beside the generic EVSE protocol. `module_count` of the description says how many modules there are; 0 stands
for a bank that does not tell. From one that does, silence is the worst case: none works.
"""

from math import isfinite

from evse_core.safety_inputs import POWERED_STATES
from evse_core.safety_view import View
from evse_core.types import ChargeState, PowerReport


def _told(view: View) -> PowerReport | None:
    """Return what the modules say while they are awake and watched, or when they tell at any other time."""
    return view.power if view.power is not None and view.config.module_count > 0 else None


def module_failed(view: View) -> str | None:
    """Fewer modules work than the description names."""
    power = _told(view)
    if power is None or power.module_count == 0:
        return None if view.config.module_count and view.state in POWERED_STATES else ""
    fitted = max(view.config.module_count, power.module_count)
    return f"{power.modules_working} of {fitted} modules work" if 0 < power.modules_working < fitted else ""


def no_module_left(view: View) -> str | None:
    """No module works, or nobody tells how many do."""
    if not view.config.module_count:
        return ""
    power, watched = _told(view), view.state in POWERED_STATES
    if power is None:
        return None if watched else ""
    if power.module_count == 0:
        return f"nobody tells how many of {view.config.module_count} modules work" if watched else ""
    return f"none of {power.module_count} modules works" if power.modules_working == 0 else ""


def modules_disagree(view: View) -> str | None:
    """Modules in parallel do not share the current."""
    if view.state is not ChargeState.CHARGING or not view.config.module_count:
        return ""
    power = _told(view)
    if power is None or power.module_count == 0:
        return None
    low, high = power.module_current_min, power.module_current_max
    share = view.config.max_current / max(view.config.module_count, power.module_count)
    allowed = max(view.config.module_spread, share * view.config.module_spread_percent / 100.0)
    return "" if high - low <= allowed else f"modules give {low:.1f} to {high:.1f} A, at most {allowed:.1f} A apart"


def current_spread(view: View) -> str | None:
    """Two measurements of the output current disagree: the bank's against the meter's, or against the sum of its own modules."""
    if view.state is not ChargeState.CHARGING:
        return ""
    if view.power is None:
        return None
    current = view.power.current
    allowed = max(view.config.current_tolerance, abs(current) * view.config.current_tolerance_percent / 100.0)
    low, high = _explained(view.power)
    if isfinite(low) and isfinite(high) and not low - allowed <= current <= high + allowed:
        return f"bank {current:.1f} A, its modules together {low:.1f} to {high:.1f} A"
    if view.meter is None or not isfinite(view.meter.current):
        return None
    return f"bank {current:.1f} A, meter {view.meter.current:.1f} A" if abs(view.meter.current - current) > allowed else ""


def _explained(power: PowerReport) -> tuple[float, float]:
    """Return the least and the most current [A] that the working modules can give together, by their own sensors."""
    return power.modules_working * power.module_current_min, power.modules_working * power.module_current_max
