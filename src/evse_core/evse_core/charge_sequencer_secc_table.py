"""The transitions of the charging sequence where a charge controller (SECC) leads, as data: ../shared/reference/can.md 1.4. docs/states.md is drawn from them.

The controller asks for power functions by DC_Power_Control; the station carries them out as far as its own order of steps, its own insulation test and its
limits allow. What it asks for out of order ends the session. A CHAdeMO vehicle is not precharged: its contactor closes at a dead output, and power waits until
its battery's voltage is there. Every other vehicle, also one whose protocol is not known, is precharged.
"""

from evse_core import charge_sequencer_guards as g
from evse_core import charge_sequencer_table as t
from evse_core.charge_sequencer_facts import stopped_by
from evse_core.charge_sequencer_guards import Guard, after
from evse_core.charge_sequencer_secc_facts import (
    connects_without_precharge,
    incompatible,
    missing_before_test,
    opened_by_controller,
    session_over,
)
from evse_core.charge_sequencer_session import Ending
from evse_core.charge_sequencer_table import STARTING, States, Transition, row, stop
from evse_core.charge_sequencer_view import View
from evse_core.types import ChargeState as S
from evse_core.types import EmergencyOrigin, StopCause
from evse_core.types import PowerFunction as F

# The output contactor is closed, the vehicle's is open.
TESTING: States = frozenset({S.CABLE_CHECK, S.LOWERING_OUTPUT, S.PRECHARGE, S.WAITING_FOR_CONTACTOR})
CONNECTED: States = frozenset({S.WAITING_FOR_REQUEST, S.CHARGING})
RUNNING: States = TESTING | CONNECTED
ENERGISED: States = RUNNING | {S.RAMPING_DOWN}
GROUPS = {"IDLE": t.IDLE, "STARTING": STARTING, "TESTING": TESTING, "CONNECTED": CONNECTED}


def _asks(function: F) -> Guard:
    return Guard(f"controller asks for {function.name}", lambda view: view.controller.function is function)


def _asks_out_of_order(*functions: F) -> Guard:
    names = ", ".join(function.name for function in functions)
    return Guard(
        f"controller asks for {names} out of order",
        lambda view: view.controller.function in functions,
        lambda view: f"the charge controller asked for {view.controller.function.name} in {view.state.name}",
    )


def _is_good(view: View) -> bool:
    return view.session.good_readings >= view.config.led_insulation_readings


def _lowers(view: View) -> bool:
    return view.controller.lower_output_voltage


begins = Guard("vehicle connected", lambda view: view.plugged)
announced = Guard(
    "session announced, vehicle's limits known, vehicle can be served",
    lambda view: view.controller.session_announced and not incompatible(view),
)
unfit = Guard(
    "vehicle cannot be served for `incompatible_hold`",
    lambda view: view.session.unfit.longer_than(view.config.incompatible_hold, view.now) and bool(incompatible(view)),
    incompatible,
)
told = Guard("limits told, safety monitor reports", lambda view: view.safety is not None and view.session.control.announced > 0.0)
not_announced = after("negotiation_timeout", "no session announced")
not_told = after("negotiation_timeout", "no current to offer")
ready = Guard(
    "controller asks for INSULATION_TEST; begin reading on disk, permit, modules ready below `closing_voltage`, connector dead",
    lambda view: view.controller.function is F.INSULATION_TEST and not missing_before_test(view),
)
not_asked_for_test = Guard(
    "controller does not ask for the cable check within `negotiation_timeout`",
    lambda view: not missing_before_test(view) and view.elapsed >= view.config.negotiation_timeout,
)
not_ready_yet = Guard(
    "not ready for the cable check within `ready_timeout`",
    lambda view: bool(missing_before_test(view)) and view.elapsed >= view.config.ready_timeout,
    lambda view: f"not ready for the cable check within {view.config.ready_timeout:g} s: {missing_before_test(view)}",
)
test_passed = Guard(
    "controller ends the test after `led_insulation_readings` successive good readings at test voltage",
    lambda view: _is_good(view) and view.controller.function is not F.INSULATION_TEST,
)
test_broken_off = Guard(
    "controller ends the test before it is passed",
    lambda view: not _is_good(view) and view.controller.function is not F.INSULATION_TEST,
    lambda view: "the charge controller ended the insulation test before it was passed",
)
precharges = Guard(
    "controller asks for PRECHARGE, output at most `lowered_voltage`",
    lambda view: view.controller.function is F.PRECHARGE and g.lowered.test(view),
)
no_precharge_needed = Guard(
    "controller of a CHAdeMO vehicle lowers no more, output at most `lowered_voltage`",
    lambda view: connects_without_precharge(view) and view.controller.function is F.STANDBY and not _lowers(view) and g.lowered.test(view),
)
connected = Guard("output above `connected_voltage`", lambda view: view.output_voltage > view.config.connected_voltage)
no_request_after_test = after("negotiation_timeout", "no request after the cable check")
precharged = Guard("controller ends the precharge", lambda view: view.controller.function is F.STANDBY)
not_precharged = after("precharge_timeout", "precharge not ended", detail=lambda view: f"output at {view.output_voltage:.0f} V")
charges = _asks(F.POWER_TRANSFER)
paused = Guard(
    "controller pauses: STANDBY with closed contactor and a vehicle that is ready",
    lambda view: (
        view.controller.function is F.STANDBY
        and view.controller.close_contactor
        and view.vehicle is not None
        and view.vehicle.charging_enabled
    ),
)
vehicle_stopped = Guard(
    "controller asks for no more power",
    lambda view: view.controller.function is not F.POWER_TRANSFER,
    lambda view: f"the charge controller asks for {view.controller.function.name}",
)
vehicle_not_ready = Guard(
    "vehicle no longer ready (Charge_Status_Change)",
    lambda view: view.session.charged and view.vehicle is not None and not view.vehicle.charging_enabled,
    lambda view: "the vehicle has stopped charging",
)
contactor_withdrawn = Guard(
    "controller opens the output contactor",
    lambda view: view.session.contactor_seen and view.vehicle is not None and not view.controller.close_contactor,
    lambda view: "the charge controller opened the output contactor",
)
ended = Guard("controller ends the session", lambda view: bool(session_over(view)), session_over)
emergency = Guard(
    "controller tells an emergency stop",
    lambda view: view.vehicle is not None and view.controller.emergency is not EmergencyOrigin.NONE,
    lambda view: f"emergency stop of the charge controller, origin {view.controller.emergency.name}",
)
given_up = Guard(
    "controller starts anew in the session",
    lambda view: view.session.announced and view.vehicle is not None and bool(session_over(view)) and not view.controller.session_finished,
    session_over,
)
controller_lost = Guard(
    "controller silent for `vehicle_loss_age`", lambda view: view.vehicle is None, lambda view: "the charge controller fell silent"
)
opened = Guard("current gone and output contactor open", lambda view: view.session.opening is not None and view.contactor_open)
welding_tested = Guard("controller closes the session", opened_by_controller)


def _by_origin(view: View) -> Ending:
    """Return the ending for an emergency that the controller tells."""
    if view.controller.emergency is EmergencyOrigin.VEHICLE:
        return Ending(StopCause.VEHICLE_FAULT)
    return Ending(StopCause.EMERGENCY)


_TO_VEHICLE: States = frozenset({S.WAITING_FOR_VEHICLE})
_TO_PERMISSION: States = frozenset({S.WAITING_FOR_PERMISSION})
_LOCKING: States = frozenset({S.LOCKING})
_CABLE_CHECK: States = frozenset({S.CABLE_CHECK})
_LOWERING: States = frozenset({S.LOWERING_OUTPUT})
_PRECHARGE: States = frozenset({S.PRECHARGE})
_TO_CONTACTOR: States = frozenset({S.WAITING_FOR_CONTACTOR})
_WAITING: States = frozenset({S.WAITING_FOR_REQUEST})
_STOPS = (
    row(STARTING | ENERGISED, emergency, S.EMERGENCY, _by_origin),
    row(ENERGISED, given_up, S.EMERGENCY, t.VEHICLE_FAULT),
    *t.emergencies(ENERGISED),
    *stop(STARTING, g.unplugged, t.UNPLUGGED),
    *t.station_stops(RUNNING),
    *stop(RUNNING - {S.CHARGING}, g.modules_refuse, t.OWN_FAULT),
    *stop(STARTING | RUNNING, controller_lost, t.VEHICLE_FAULT),
    *stop(STARTING | RUNNING, ended, t.BY_VEHICLE),
    *stop(STARTING | RUNNING, g.stop_asked, stopped_by),
    *stop(RUNNING, contactor_withdrawn, t.BY_VEHICLE),
    *stop(CONNECTED, vehicle_not_ready, t.BY_VEHICLE),
)
_STARTING = (
    row(S.WAITING_FOR_VEHICLE, announced, S.WAITING_FOR_PERMISSION),
    *stop(_TO_VEHICLE | _TO_PERMISSION, unfit, t.INCOMPATIBLE),
    *stop(STARTING, _asks_out_of_order(F.PRECHARGE, F.POWER_TRANSFER), t.SYSTEM_FAULT),
    *stop(_TO_VEHICLE, not_announced, t.TOO_LATE),
    row(S.WAITING_FOR_PERMISSION, told, S.LOCKING),
    *stop(_TO_PERMISSION, not_told, t.OWN_FAULT),
    row(S.LOCKING, ready, S.CABLE_CHECK),
    *stop(_LOCKING, not_ready_yet, t.OWN_FAULT),
    *stop(_LOCKING, not_asked_for_test, t.TOO_LATE),
    *stop(_CABLE_CHECK, g.contactor_fails, t.BROKEN),
    *stop(_CABLE_CHECK, g.ground_missing, t.SYSTEM_FAULT),
    *stop(_CABLE_CHECK, g.insulation_low, t.SYSTEM_FAULT),
    row(S.CABLE_CHECK, test_passed, S.LOWERING_OUTPUT),
    *stop(_CABLE_CHECK, test_broken_off, t.SYSTEM_FAULT),
    *stop(_CABLE_CHECK, g.cable_check_too_long, t.SYSTEM_FAULT),
    *stop(_LOWERING, _asks_out_of_order(F.INSULATION_TEST, F.POWER_TRANSFER), t.SYSTEM_FAULT),
    row(S.LOWERING_OUTPUT, precharges, S.PRECHARGE),
    row(S.LOWERING_OUTPUT, no_precharge_needed, S.WAITING_FOR_CONTACTOR),
    *stop(_LOWERING, no_request_after_test, t.TOO_LATE),
)
_CHARGING = (
    *stop(_PRECHARGE, _asks_out_of_order(F.INSULATION_TEST), t.SYSTEM_FAULT),
    row(S.PRECHARGE, charges, S.CHARGING),
    row(S.PRECHARGE, precharged, S.WAITING_FOR_REQUEST),
    *stop(_PRECHARGE, not_precharged, t.TOO_LATE),
    *stop(_TO_CONTACTOR, _asks_out_of_order(F.INSULATION_TEST, F.PRECHARGE), t.SYSTEM_FAULT),
    row(S.WAITING_FOR_CONTACTOR, connected, S.WAITING_FOR_REQUEST),
    *stop(_TO_CONTACTOR, g.no_contactor, t.TOO_LATE),
    *stop(_WAITING, _asks_out_of_order(F.INSULATION_TEST), t.SYSTEM_FAULT),
    row(S.WAITING_FOR_REQUEST, charges, S.CHARGING),
    *stop(CONNECTED, g.over_threshold, t.SYSTEM_FAULT),
    *stop(CONNECTED, g.too_hot, t.OWN_FAULT),
    row(S.CHARGING, paused, S.WAITING_FOR_REQUEST),
    *stop(frozenset({S.CHARGING}), vehicle_stopped, t.BY_VEHICLE),
)
_ENDING = (
    row(S.RAMPING_DOWN, opened, S.WELDING_DETECTION),
    row(S.WELDING_DETECTION, welding_tested, S.CLOSING),
)

TRANSITIONS: tuple[Transition, ...] = (*t.BEGIN, *t.driver(begins), *_STOPS, *_STARTING, *_CHARGING, *_ENDING, *t.RAMP, *t.CLOSING)
