"""What charge_sequencer notes about its session in each step, by state: timers, readings, and what was reached. Decides nothing."""

from collections.abc import Callable, Mapping
from math import inf

from evse_core.charge_sequencer_session import known
from evse_core.charge_sequencer_view import View, unfit
from evse_core.types import ChargeState, Reaction

ENDING = frozenset({ChargeState.WELDING_DETECTION, ChargeState.CLOSING, ChargeState.UNLOCKING, ChargeState.EMERGENCY})


Rules = Mapping[ChargeState, Callable[[View], None]]


def watch(view: View, rules: Rules) -> None:
    """Note what this step shows, by the rules of the link."""
    view.session.heard = view.session.heard or (view.vehicle is not None and view.state is not ChargeState.FINISHED)
    if (rule := rules.get(view.state)) is not None:
        rule(view)
    if view.state in ENDING and view.reaction is Reaction.EMERGENCY:
        view.session.faulted = True


def _before_locking(view: View) -> None:
    view.session.unfit.update(view.vehicle is not None and bool(unfit(view)), view.now)


def _locking(view: View) -> None:
    """Lock once the connector is known to be dead; then look for the lock's and the meter's answers."""
    session = view.session
    if session.lock_commanded is None:
        session.voltage_before.update(view.output_voltage > view.config.voltage_before, view.now)
        session.lock_commanded = view.now if view.output_voltage <= view.config.voltage_before else None
    elif view.io is not None and view.io.locked:
        session.locked = True
    session.recorded = session.recorded or view.recorded


def cable_check(view: View) -> None:
    session = view.session
    session.contactor_seen = session.contactor_seen or view.contactor_closed
    count_cuts(view)
    session.at_test_voltage.update(_at_test_voltage(view), view.now)
    if view.inputs.power is None or view.inputs.power.received <= session.last_reading:
        return
    session.last_reading = view.inputs.power.received
    good = session.at_test_voltage.since is not None and view.insulation_resistance >= view.insulation_limit
    session.good_readings = session.good_readings + 1 if good else 0


def _at_test_voltage(view: View) -> bool:
    """The test voltage is at the connector, by both sensors."""
    wanted = view.config.insulation_voltage_share * view.test_voltage
    return view.session.contactor_seen and view.power is not None and view.power.voltage >= wanted and view.output_voltage >= wanted


def count_cuts(view: View) -> None:
    """Keep the number of cuts that can_bridge had made before this session."""
    if view.session.cuts is None and view.inputs.can_status is not None:
        view.session.cuts = view.inputs.can_status.value.cut_count


def _connected(view: View) -> None:
    view.session.battery_missing.update(view.output_voltage < view.config.connected_voltage, view.now)


def _charging(view: View) -> None:
    _connected(view)
    view.session.remaining = max(view.session.deadline - view.now, 0.0)


def time_allowed(view: View) -> float:
    """Return the longest charging time [s]: the vehicle's where it has said one, and never more than the station's."""
    said = view.vehicle.max_charging_time if view.vehicle is not None else inf
    return min(known(said, inf), view.config.max_charging_time) if known(said, inf) > 0.0 else view.config.max_charging_time


def _ramping_down(view: View) -> None:
    """Note when the current is down, and when the contactor may open."""
    session = view.session
    session.stopped = session.stopped or abs(view.current) <= view.config.stopped_current
    if session.opening is None and view.current_gone and _discharged(view) and had_time_to_fall(view):
        session.opening = view.now


def had_time_to_fall(view: View) -> bool:
    """After charging, a reading of 0 A counts only when the ramp's time is over: modules whose status stands still report 0 A at once."""
    return not view.session.charged or view.elapsed >= view.config.stop_time


def _discharged(view: View) -> bool:
    """After an aborted test the cable is discharged through the modules first; with the vehicle connected there is nothing to discharge."""
    return view.session.ready or view.may_unlock or view.elapsed >= view.config.discharge_time


def _emergency(view: View) -> None:
    """Sequence signal 2 goes once the current is gone, so that the vehicle's contactor opens without it (can.md 2.3, note on order)."""
    gone = abs(view.current) <= view.config.stopped_current or view.elapsed >= view.config.stop_time
    view.session.stopped = view.session.stopped or gone
    if view.session.ready_withdrawn is None and (gone or not view.session.ready):
        view.session.ready_withdrawn = view.now


def _closing(view: View) -> None:
    _note_dead_output(view)


def _unlocking(view: View) -> None:
    _note_dead_output(view)
    view.session.unlocked.update(view.io is not None and not view.io.locked, view.now)


def _note_dead_output(view: View) -> None:
    view.session.over = view.session.over or (view.contactor_open and view.may_unlock)


# Rules that all links share.
ENDING_RULES: Rules = {
    ChargeState.EMERGENCY: _emergency,
    ChargeState.CLOSING: _closing,
    ChargeState.UNLOCKING: _unlocking,
}
CHADEMO: Rules = {
    ChargeState.WAITING_FOR_VEHICLE: _before_locking,
    ChargeState.WAITING_FOR_PERMISSION: _before_locking,
    ChargeState.LOCKING: _locking,
    ChargeState.CABLE_CHECK: cable_check,
    ChargeState.WAITING_FOR_REQUEST: _connected,
    ChargeState.CHARGING: _charging,
    ChargeState.RAMPING_DOWN: _ramping_down,
    **ENDING_RULES,
}
