"""Conditions of the fault table on the control pilot and on the AC output. See fault_conditions.py for what a condition returns.

An EVSE without a control pilot has none of these faults; where one is fitted, not knowing is the worst case.
"""

from math import isfinite, isnan

from evse_core.control_pilot import LEAST, READY, STEADY, duty_of
from evse_core.fault_conditions import Condition
from evse_core.safety_view import View
from evse_core.types import ChargeState, IoReport, PilotFault

# ../shared/reference/can.md 3.1.
_PILOT_WORDS = {
    PilotFault.UNKNOWN: "the I/O board says nothing about the control pilot",
    PilotFault.SHORT: "the control pilot is shorted to earth",
    PilotFault.DIODE_MISSING: "the low half of the control pilot is missing: no diode in the vehicle",
    PilotFault.OUT_OF_BAND: "the level of the control pilot is in none of the bands",
    PilotFault.DISAGREES: "the I/O board names another state of the control pilot than its levels show",
}


def pilot_fault(view: View) -> str | None:
    """The control pilot is faulty, or nobody tells how it is."""
    if not (view.config.has_control_pilot or view.link.has_pilot):
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


def supply_without_vehicle(view: View) -> str | None:
    """The contactor is closed although the vehicle is not ready: the board has to open it within 100 ms."""
    if view.io is None:
        return None
    state = view.io.ac.pilot_state
    return f"contactor closed in state {state.name} of the control pilot" if view.io.contactor_closed and state not in READY else ""


def output_live(view: View) -> str | None:
    """There is voltage behind a contactor that reports open: a contact is welded, or somebody feeds back."""
    if view.io is None:
        return None
    return "voltage behind the open contactor" if view.io.ac.output_live and not view.io.contactor_closed else ""


def phases_wrong(view: View) -> str | None:
    """Another number of phases is connected than was told."""
    if view.io is None or view.io_command is None:
        return None
    closed, wanted = view.io.ac.phases_closed, view.io_command.phases
    return f"{closed} phases connected, told {wanted}" if closed > 0 and view.contactor_commanded and closed != wanted else ""


def pilot_offer_wrong(view: View) -> str | None:
    """The control pilot offers more than the board was told to."""
    if view.io is None or view.io_command is None:
        return None
    duty, told = view.io.ac.pilot_duty_percent, view.io_command.pilot_current
    if isnan(duty) or duty >= STEADY or duty <= 0.0:
        return ""
    allowed = duty_of(told) if told >= LEAST else 0.0
    more = duty > allowed + view.config.duty_tolerance
    return f"duty cycle {duty:.1f} %, told {allowed:.1f} %" if more else ""


def residual_current_test_failed(view: View) -> str | None:
    """The residual current device does not pass its self test."""
    if view.io is None or view.io_command is None:
        return None
    waits = view.io_command.residual_current_test and not view.io.ac.residual_current_tested
    return "self test not passed" if waits else ""


def _voltages(view: View) -> dict[str, float] | None:
    """Return the voltage of each phase that the output has [V]; None while the board is silent."""
    if view.io is None:
        return None
    ac = view.io.ac
    return dict(list({"L1": ac.voltage_l1, "L2": ac.voltage_l2, "L3": ac.voltage_l3}.items())[: view.config.ac_phases])


def mains_low(view: View) -> str | None:
    """The mains are too low, or nobody measures them while a vehicle is supplied."""
    found = _voltages(view)
    if found is None:
        return None
    unknown = [name for name, voltage in found.items() if isnan(voltage)]
    if unknown:
        return f"{', '.join(unknown)} not measured" if view.state is ChargeState.CHARGING else None
    name, lowest = min(found.items(), key=lambda item: item[1])
    limit = view.config.phase_voltage * (1.0 - view.config.mains_low_percent / 100.0)
    return f"{name} at {lowest:.0f} V, at least {limit:.0f} V" if lowest < limit else ""


def mains_high(view: View) -> str | None:
    """The mains are too high."""
    found = _voltages(view)
    if found is None:
        return None
    limit = view.config.phase_voltage * (1.0 + view.config.mains_high_percent / 100.0)
    high = [f"{name} at {voltage:.0f} V, at most {limit:.0f} V" for name, voltage in found.items() if voltage > limit]
    return "; ".join(high) or (None if any(isnan(voltage) for voltage in found.values()) else "")
