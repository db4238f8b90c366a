"""Conditions of the fault table on the control pilot and on the AC current against what it signals. See fault_conditions.py for what a condition returns.

Both rest on what the station is made of: an EVSE without a control pilot has none of these faults; where one is fitted, not knowing is the worst case.
"""

from math import isfinite, isnan

from evse_core.fault_conditions import Condition
from evse_core.safety_view import View
from evse_core.types import IoReport, PilotFault

# ../shared/reference/can.md 3.1.
_PILOT_WORDS = {
    PilotFault.UNKNOWN: "the I/O board says nothing about the control pilot",
    PilotFault.SHORT: "the control pilot is shorted to earth",
    PilotFault.DIODE_MISSING: "the low half of the control pilot is missing: no diode in the vehicle",
    PilotFault.OUT_OF_BAND: "the level of the control pilot is in none of the bands",
}


def pilot_fault(view: View) -> str | None:
    """The control pilot is faulty, or nobody tells how it is."""
    if not view.config.has_control_pilot:
        return ""
    return None if view.io is None else _PILOT_WORDS.get(view.io.pilot_fault, "")


def _phases(io: IoReport, phases: int) -> tuple[float, ...]:
    return (io.ac_current_l1, io.ac_current_l2, io.ac_current_l3)[:phases]


def _is_signalled(limit: float) -> bool:
    """Return whether the pilot signals a current [A]; NaN says that it does not."""
    return not isnan(limit)


def _above(margin_name: str) -> Condition:
    """Return a condition on the highest phase current against what is signalled, the tolerance of both limits and a margin."""

    def condition(view: View) -> str | None:
        if not view.energised:
            return ""
        if view.io is None or view.io_command is None:
            return None
        limit = view.io_command.pilot_current
        if not _is_signalled(limit):
            return ""
        measured = [value for value in (view.io.ac_current_l1, view.io.ac_current_l2, view.io.ac_current_l3) if isfinite(value)]
        if not measured:
            return None
        allowed = max(limit, 0.0) * (1.0 + view.config.ac_tolerance_percent / 100.0) + getattr(view.config, margin_name)
        return f"{max(measured):.1f} A, {limit:.1f} A are signalled" if max(measured) > allowed else ""

    return condition


ac_over_current = _above("ac_tolerance")
ac_over_current_high = _above("ac_excess")


def ac_current_unknown(view: View) -> str | None:
    """A limit is signalled, but not every phase is measured: nobody knows whether the vehicle keeps it."""
    if not view.energised:
        return ""
    if view.io is None or view.io_command is None:
        return None
    if not _is_signalled(view.io_command.pilot_current):
        return ""
    missing = [f"L{number}" for number, value in enumerate(_phases(view.io, view.config.ac_phases), 1) if not isfinite(value)]
    return f"no current is measured in {', '.join(missing)}" if missing else ""
