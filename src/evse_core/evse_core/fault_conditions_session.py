"""Conditions of the fault table that belong to one phase of a session. See fault_conditions.py for what a condition returns.

The sequencer has times of its own for most of these phases and ends them first; what is seen here is a sequencer that did not.
"""

from math import isfinite

from evse_core.safety_inputs import OPENING_STATES, POWERED_STATES
from evse_core.safety_view import View
from evse_core.types import ChargeState, PowerFunction


def under_voltage(view: View) -> str | None:
    """Less than any battery has is at the output while charging: a short circuit, or the battery is gone.

    Without a sensor at the connector the modules' reading says nothing while no current flows: their output diode is shut.
    """
    if view.state is not ChargeState.CHARGING:
        return ""
    if view.io is None or view.power is None:
        return None
    judged = view.io.contactor_closed and (isfinite(view.io.connector_voltage) or abs(view.power.current) > view.config.current_tolerance)
    voltage, limit = view.connector_voltage, view.config.min_voltage
    return f"output {voltage:.0f} V with {view.power.current:.0f} A, at least {limit:.0f} V" if judged and not voltage >= limit else ""


def voltage_before_connection(view: View) -> str | None:
    """A voltage is at the locked connector although both contactors have to be open."""
    if view.state is not ChargeState.LOCKING:
        return ""
    if view.io is None:
        return None
    live = view.io.locked and view.connector_voltage > view.config.connection_voltage
    return f"{view.connector_voltage:.0f} V at the connector before the cable check" if live else ""


def voltage_not_falling(view: View) -> str | None:
    """The modules' output stays charged after the cable check, or behind an open contactor after this station charged it or while it is told to discharge.

    Anything else is not for the station to judge: modules have tests of their own, may be shared, and sleep.
    """
    lowering = view.state is ChargeState.LOWERING_OUTPUT
    if (view.energised and not lowering) or view.state in OPENING_STATES:
        return ""
    if view.power is None:
        return None if view.state in POWERED_STATES else ""
    if view.io is None:
        return None
    must_fall = view.output_raised or (view.command is not None and view.command.lower_output_voltage)
    judged = lowering or (must_fall and not view.io.contactor_closed)
    return (
        f"modules at {view.power.voltage:.0f} V in {view.state.name}" if judged and view.power.voltage > view.config.touch_voltage else ""
    )


def cable_check_too_long(view: View) -> str | None:
    """The cable check goes on longer than any that is good."""
    if view.state is not ChargeState.CABLE_CHECK:
        return ""
    if view.session is None or not isfinite(view.session.time_in_state):
        return None
    time, limit = view.session.time_in_state, view.config.cable_check_time
    return f"the cable check takes {time:.1f} s, limit {limit:.0f} s" if time > limit else ""


def cable_check_voltage(view: View) -> str | None:
    """The test voltage is not the one that was asked for."""
    if view.state is not ChargeState.CABLE_CHECK:
        return ""
    return _off_target(view, PowerFunction.INSULATION_TEST, view.config.test_voltage_tolerance)


def precharge_failed(view: View) -> str | None:
    """The output does not come to the voltage of the vehicle's battery."""
    if view.state not in POWERED_STATES:
        return ""
    return _off_target(view, PowerFunction.PRECHARGE, view.config.precharge_tolerance)


def _off_target(view: View, function: PowerFunction, tolerance: float) -> str | None:
    """Say how far the modules are from the voltage that a function asks for."""
    if view.command is None or view.power is None:
        return None
    off = view.command.function is function and not abs(view.power.voltage - view.command.voltage) <= tolerance
    return f"modules {view.power.voltage:.0f} V, asked for {view.command.voltage:.0f} V" if off else ""


def lock_failed(view: View) -> str | None:
    """The lock does not follow: it does not close before the output is energised, or does not open after."""
    if view.state in POWERED_STATES:
        return ""
    if view.io is None or view.io_command is None:
        return None
    if view.state is ChargeState.LOCKING:
        return "told to lock, reports open" if view.io_command.lock and not view.io.locked else ""
    return "told to unlock, reports locked" if view.io.locked and not view.io_command.lock else ""
