"""What charge_sequencer notes about its session where a charge controller (SECC) leads, by state. Decides nothing."""

from evse_core.charge_sequencer_secc_facts import OVER, incompatible
from evse_core.charge_sequencer_view import View
from evse_core.charge_sequencer_watch import ENDING_RULES, Rules, cable_check, had_time_to_fall
from evse_core.types import ChargeState, PowerFunction


def _begin(view: View) -> None:
    """Note how far the charge controller has come, and whether its vehicle can be served."""
    session, controller = view.session, view.controller
    session.negotiated = session.negotiated or (view.vehicle is not None and controller.phase not in OVER)
    session.announced = session.announced or controller.session_announced
    session.unfit.update(session.announced and bool(incompatible(view)), view.now)


def _locking(view: View) -> None:
    """From here on energy may be billable; the controller or the vehicle locks."""
    _begin(view)
    view.session.locked = True
    view.session.recorded = view.session.recorded or view.recorded


def _cable_check(view: View) -> None:
    """Count good readings while the controller asks for the test: what it ends is judged by what was seen until then."""
    if view.controller.function is PowerFunction.INSULATION_TEST:
        cable_check(view)


def _ramping_down(view: View) -> None:
    """Note when the current is down, and when the contactor may open: on the controller's word, or without it after a while."""
    session = view.session
    session.stopped = session.stopped or abs(view.current) <= view.config.stopped_current
    told = view.vehicle is None or not view.controller.close_contactor or view.elapsed >= view.config.contactor_wait
    if session.opening is None and view.current_gone and told and had_time_to_fall(view):
        session.opening = view.now


SECC: Rules = {
    ChargeState.WAITING_FOR_VEHICLE: _begin,
    ChargeState.WAITING_FOR_PERMISSION: _begin,
    ChargeState.LOCKING: _locking,
    ChargeState.CABLE_CHECK: _cable_check,
    ChargeState.RAMPING_DOWN: _ramping_down,
    **ENDING_RULES,
}
