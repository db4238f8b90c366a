"""What guards look up in one step of the charging sequence: answers, words and endings. Nothing here changes anything."""

from math import isfinite

from evse_core.charge_sequencer_session import Ending, Malfunction, same_token
from evse_core.charge_sequencer_view import View
from evse_core.types import CutCause, RequestKind, StopCause, Verdict

# Verdicts that end a session which they reach late; a value that this build does not know ends none.
REFUSALS = frozenset({Verdict.BLOCKED, Verdict.EXPIRED, Verdict.INVALID, Verdict.CONCURRENT})
# Faults of safety_monitor that are what the vehicle says: those of a CHAdeMO vehicle's frames, and all.
CHADEMO_VEHICLE_FAULTS = (
    "vehicle_fault",
    "vehicle_battery_over_voltage",
    "vehicle_battery_under_voltage",
    "vehicle_current_deviation",
    "vehicle_battery_temperature",
    "vehicle_voltage_deviation",
    "vehicle_not_parked",
    "vehicle_request_excess",
)
VEHICLE_FAULTS = (*CHADEMO_VEHICLE_FAULTS, "battery_incompatible", "ac_over_current", "ac_over_current_high")
# Faults of safety_monitor that lie in vehicle, cable or communication (109.5.4); all others are the charger's own (109.5.1): can.md 2.4.
SYSTEM_FAULTS = frozenset(
    {
        "insulation_fault",
        "residual_current",
        "proximity_fault",
        "pilot_fault",
        "plug_lost",
        "vehicle_contactor_welded",
        "vehicle_silent",
        "controller_silent",
        "controller_emergency",
        "voltage_before_connection",
        *VEHICLE_FAULTS,
        "vehicle_stop_not_followed",
        "bus_off",
    }
)
# Causes that a fault of safety_monitor stands for, where it is not the charger's.
FAULT_CAUSES = {
    "emergency_stop": StopCause.EMERGENCY,
    "plug_lost": StopCause.UNPLUGGED,
    "vehicle_contactor_welded": StopCause.VEHICLE_FAULT,
    "vehicle_silent": StopCause.VEHICLE_FAULT,
    "controller_silent": StopCause.VEHICLE_FAULT,
    "controller_emergency": StopCause.EMERGENCY,
    "vehicle_stop_not_followed": StopCause.VEHICLE_FAULT,
    "voltage_before_connection": StopCause.VEHICLE_FAULT,
    **dict.fromkeys(VEHICLE_FAULTS, StopCause.VEHICLE_FAULT),
    "battery_incompatible": StopCause.INCOMPATIBLE,
}


def asked_authorized_start(view: View) -> bool:
    """Return whether a start was asked for with a token that the caller has authorised."""
    request = view.actions.asked(RequestKind.START)
    return request is not None and request.authorized


def asked_same_start(view: View) -> bool:
    """Return whether a start was asked for with the token that is authorised already."""
    request = view.actions.asked(RequestKind.START)
    return request is not None and same_token(request.token, view.driver.token)


def verdict(view: View) -> Verdict | None:
    """Return the verdict on the pending token that came after it was asked for."""
    sample = view.inputs.authorization
    if sample is None or sample.received < view.entered or not same_token(sample.value.token, view.driver.token):
        return None
    return sample.value.verdict


def started(view: View) -> bool:
    """Return whether the start button was pressed recently, or is not needed."""
    return not view.config.start_button_required or view.now - view.driver.started <= view.authorization_validity


def was_cut(view: View) -> bool:
    """Return whether can_bridge has cut power, or was restarted, since the contactor was told to close."""
    sample = view.inputs.can_status
    return view.session.cuts is not None and sample is not None and sample.value.cut_count != view.session.cuts


def cut_words(view: View) -> str:
    """Return that can_bridge has cut the power, and why, where it says so: one that was restarted, or passes power again, does not know any more."""
    sample = view.inputs.can_status
    cause = sample.value.cut_cause if sample is not None else CutCause.UNKNOWN
    why = f": {cause.name.lower().replace('_', ' ')}" if cause not in (CutCause.UNKNOWN, CutCause.NONE) else ""
    return f"can_bridge has cut the power{why}"


def asked_stop(view: View) -> StopCause | None:
    """Return the cause for which somebody wants the session to end, the driver first; None where nobody does."""
    cause = None
    if view.actions.stop or presented_own_token(view):
        cause = StopCause.LOCAL
    elif (request := view.actions.asked(RequestKind.STOP)) is not None:
        cause = request.stop_cause if request.stop_cause not in {StopCause.UNKNOWN, StopCause.NONE} else StopCause.REMOTE
    elif view.actions.asked(RequestKind.UNLOCK) is not None:
        cause = StopCause.UNLOCK
    elif deauthorized(view):
        cause = StopCause.DEAUTHORIZED
    elif view.shutting_down:
        cause = StopCause.SHUTDOWN
    elif not view.in_service and (view.config.stop_when_disabled or not view.session.locked):
        cause = StopCause.UNAVAILABLE
    return cause


def presented_own_token(view: View) -> bool:
    """Return whether a token was presented that may end this session."""
    token = view.actions.token
    return bool(token) and (same_token(token, view.session.token) or same_token(token, view.session.parent_token))


def deauthorized(view: View) -> bool:
    """Return whether a refusal of this session's token came during the session."""
    sample = view.inputs.authorization
    since = sample is not None and sample.received >= view.session.started
    return since and sample is not None and same_token(sample.value.token, view.session.token) and sample.value.verdict in REFUSALS


def stop_words(view: View) -> str:
    """Return who wants the session to end."""
    if view.actions.stop:
        return "stop button"
    if presented_own_token(view):
        return f"token {view.actions.token} presented again"
    cause = asked_stop(view)
    return f"asked for: {cause.name if cause else ''}"


def line_k(view: View) -> bool:
    """Return whether switch k is known to be closed."""
    return view.io is not None and view.io.permission


def is_permitted(view: View) -> bool:
    """Return whether the vehicle permits by both its ways."""
    return view.vehicle_followed and view.vehicle is not None and view.vehicle.charging_enabled and line_k(view)


def connector_words(view: View) -> str:
    """Return the connector's temperature in words; a connector may have no sensor."""
    temperature = view.connector_temperature
    return f"connector at {temperature:.0f} degC" if isfinite(temperature) else "connector temperature not known"


def missing_permission(view: View) -> str:
    """Return which half of the permission is missing."""
    if view.vehicle is None:
        return "no frames from the vehicle"
    line = "line k is not known" if view.io is None else "" if line_k(view) else "line k is open"
    found = ("" if view.vehicle.charging_enabled else "102.5.0 is 0", line)
    return ", ".join(text for text in found if text)


def missing_before_test(view: View) -> str:
    """Return what is missing before the contactor may close, in words; "" where nothing is."""
    session, io, power = view.session, view.io, view.power
    wants = {
        "a dead connector": view.output_voltage <= view.config.voltage_before,
        "the lock": session.locked and io is not None and io.locked,
        "the begin reading": session.recorded,
        "the permit": view.permit,
        "the power modules": power is not None and power.enabled and abs(power.voltage) <= view.config.closing_voltage,
    }
    return ", ".join(name for name, there in wants.items() if not there)


def cable_check_words(view: View) -> str:
    """Return how far the cable check came."""
    return f"{view.output_voltage:.0f} of {view.test_voltage:.0f} V, insulation {view.insulation_resistance / 1e3:.0f} kOhm"


def contactor_in(view: View) -> bool:
    """A vehicle that never reported its contactor open is one of 0.9: it gets time, or asks for current, then the voltage tells (can.md S10)."""
    if view.vehicle is None or not view.output_voltage > view.config.connected_voltage:
        return False
    waited = view.elapsed >= view.config.unreported_contactor_wait or view.request > 0.0
    return view.vehicle_contactor_closed or (not view.vehicle.contactor_reported and waited)


def is_off(view: View) -> bool:
    """Return whether an emergency has done what it can: no current, contactor open, signal 2 off."""
    quiet = view.current_gone or not view.session.contactor_seen
    return quiet and view.contactor_open and view.session.ready_withdrawn is not None


def signals_off(view: View) -> bool:
    """Return whether sequence signal 1 may be off: signal 2 has been off long enough (can.md E5)."""
    withdrawn = view.session.ready_withdrawn
    return withdrawn is not None and view.now - withdrawn >= view.config.sequence_gap


def locked_dead(view: View) -> bool:
    """Return whether the connector is locked with an output that is known to be dead."""
    return view.io is not None and view.io.locked and view.may_unlock


def stopped_by(view: View) -> Ending:
    """Return the ending for whoever asked."""
    return Ending(asked_stop(view) or StopCause.REMOTE)


def stopped_by_fault(view: View) -> Ending:
    """Return the ending for the fault that safety_monitor saw first."""
    name = view.safety.first_fault or next(iter(view.safety.faults), "") if view.safety is not None else ""
    malfunction = Malfunction.SYSTEM if name in SYSTEM_FAULTS else Malfunction.CHARGER
    return Ending(FAULT_CAUSES.get(name, StopCause.CHARGER_FAULT), malfunction)


def emergency_by_fault(view: View) -> Ending:
    """Return the same for an emergency: somebody has to look at it."""
    ending = stopped_by_fault(view)
    return Ending(ending.cause, ending.malfunction, True)
