"""What charge_sequencer notes about its session on an AC output with a control pilot, by state. Decides nothing."""

from evse_core.charge_sequencer_pilot_view import asks, pilot
from evse_core.charge_sequencer_table import IDLE
from evse_core.charge_sequencer_view import View
from evse_core.charge_sequencer_watch import ENDING_RULES, Rules, count_cuts
from evse_core.types import ChargeState, PilotState, Reaction

# A vehicle stops within this time once the pilot stands steady (can.md 3.3); a fault's stop must be over within 5 s (docs/design.md, The permit 5). [s]
VEHICLE_STOPS = 3.0


def _waited(view: View) -> None:
    """Note that the vehicle has shown state B since it was plugged in."""
    state = pilot(view).pilot_state
    view.driver.waited = state is PilotState.B or (view.driver.waited and state is not PilotState.A)


def _locking(view: View) -> None:
    """Lock a detachable cable; from here on energy may be billable."""
    session, has_lock = view.session, view.config.socket_outlet
    if has_lock and session.lock_commanded is None and view.may_unlock:
        session.lock_commanded = view.now
    if not has_lock or (session.lock_commanded is not None and view.io is not None and view.io.locked):
        session.locked = True
    session.recorded = session.recorded or view.recorded
    count_cuts(view)


def _waiting(view: View) -> None:
    """The contactor is open: the next time counts anew."""
    _waited(view)
    view.session.contactor_seen = False


def _charging(view: View) -> None:
    view.session.contactor_seen = view.session.contactor_seen or view.contactor_closed


def _ramping_down(view: View) -> None:
    """Open the contactor once the vehicle has left state C, or after a while, which is shorter where a fault ends the session."""
    session = view.session
    session.stopped = session.stopped or view.current_gone
    patience = min(view.config.ac_stop_timeout, VEHICLE_STOPS) if view.reaction >= Reaction.STOP else view.config.ac_stop_timeout
    if session.opening is None and (not asks(view) or view.elapsed >= patience):
        session.opening = view.now


PILOT: Rules = {
    **dict.fromkeys((*IDLE, ChargeState.UNAVAILABLE, ChargeState.FINISHED, ChargeState.FAULTED), _waited),
    ChargeState.WAITING_FOR_VEHICLE: _waited,
    ChargeState.LOCKING: _locking,
    ChargeState.WAITING_FOR_REQUEST: _waiting,
    ChargeState.CHARGING: _charging,
    ChargeState.RAMPING_DOWN: _ramping_down,
    **ENDING_RULES,
}
