"""The transitions of the charging sequence, as data. The rule takes the first row whose state and guard fit; docs/states.md is drawn from the same rows."""

from collections.abc import Callable
from dataclasses import dataclass

from evse_core import charge_sequencer_facts as f
from evse_core import charge_sequencer_guards as g
from evse_core.charge_sequencer_guards import Guard
from evse_core.charge_sequencer_session import Ending, Malfunction
from evse_core.charge_sequencer_view import View
from evse_core.types import ChargeState as S
from evse_core.types import StopCause as C

States = frozenset[S]

# No session; the driver's actions may come in any order.
IDLE: States = frozenset({S.AVAILABLE, S.PREPARING, S.AUTHORIZING, S.AUTHORIZED})
# Sequence signal 1 is on, nothing is energised.
STARTING: States = frozenset({S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION, S.LOCKING})
# The output contactor is closed, the vehicle's is open.
TESTING: States = frozenset({S.CABLE_CHECK, S.LOWERING_OUTPUT})
# Sequence signal 2 is on.
CONNECTED: States = frozenset({S.WAITING_FOR_CONTACTOR, S.WAITING_FOR_REQUEST, S.CHARGING})
RUNNING: States = TESTING | CONNECTED
ENERGISED: States = RUNNING | {S.RAMPING_DOWN}
GROUPS = {"IDLE": IDLE, "STARTING": STARTING, "TESTING": TESTING, "CONNECTED": CONNECTED}

NO_ENDING = Ending()
# Vehicle and driver, nothing wrong with the station.
BY_VEHICLE = Ending(C.VEHICLE)
VEHICLE_FAULT = Ending(C.VEHICLE_FAULT)
VEHICLE_MALFUNCTION = Ending(C.VEHICLE_FAULT, Malfunction.SYSTEM)
TOO_LATE = Ending(C.TIMEOUT, Malfunction.SYSTEM)
INCOMPATIBLE = Ending(C.INCOMPATIBLE, Malfunction.INCOMPATIBLE)
# The station; `faulted` where somebody has to look at it before the next session.
OWN_FAULT = Ending(C.CHARGER_FAULT, Malfunction.CHARGER)
SYSTEM_FAULT = Ending(C.CHARGER_FAULT, Malfunction.SYSTEM)
BROKEN = Ending(C.CHARGER_FAULT, Malfunction.CHARGER, faulted=True)
UNPLUGGED = Ending(C.UNPLUGGED, Malfunction.SYSTEM)
TORN_OUT = Ending(C.UNPLUGGED, Malfunction.SYSTEM, faulted=True)
EMERGENCY = Ending(C.EMERGENCY, Malfunction.CHARGER, faulted=True)
RESTART = Ending(C.RESTART, Malfunction.CHARGER)


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: in one of `sources`, if `guard`, to `target`; `ending` says why a session ends with it."""

    sources: States
    guard: Guard
    target: S
    ending: Ending | Callable[[View], Ending]

    def ending_of(self, view: View) -> Ending:
        """Return why the session ends, in this step."""
        return self.ending if isinstance(self.ending, Ending) else self.ending(view)


def _row(sources: States | S, guard: Guard, target: S, ending: Ending | Callable[[View], Ending] = NO_ENDING) -> Transition:
    return Transition(frozenset({sources}) if isinstance(sources, S) else sources, guard, target, ending)


def _stop(sources: States, guard: Guard, ending: Ending | Callable[[View], Ending]) -> tuple[Transition, ...]:
    """Return the rows that end a session in an orderly way: what is energised is ramped down first."""
    starting, running = sources & STARTING, sources & RUNNING
    rows = ((starting, S.CLOSING), (running, S.RAMPING_DOWN))
    return tuple(_row(states, guard, target, ending) for states, target in rows if states)


def _back(source: S, guard: Guard) -> tuple[Transition, ...]:
    """Return the rows that lead back to where the driver may begin anew."""
    there = Guard(f"{guard.text}, plugged in", lambda view: guard.test(view) and view.plugged, guard.detail)
    return _row(source, there, S.PREPARING), _row(source, guard, S.AVAILABLE)


_BEGIN = (
    _row(S.INITIALISING, g.connector_hot, S.RECOVERING, RESTART),
    *_back(S.INITIALISING, g.inputs_known),
    _row(S.RECOVERING, g.recovered, S.UNLOCKING),
    _row(S.RECOVERING, g.not_recovered, S.FAULTED, BROKEN),
)
_DRIVER = (
    _row(IDLE, g.blocked, S.FAULTED),
    _row(IDLE, g.out_of_service, S.UNAVAILABLE),
    *_back(S.UNAVAILABLE, g.in_service),
    _row(frozenset({S.AVAILABLE, S.PREPARING}), g.authorized_start, S.AUTHORIZED),
    _row(frozenset({S.AVAILABLE, S.PREPARING}), g.start_asked, S.AUTHORIZING),
    _row(frozenset({S.AVAILABLE, S.PREPARING}), g.token_presented, S.AUTHORIZING),
    _row(S.AVAILABLE, g.plugged, S.PREPARING),
    _row(S.PREPARING, g.unplugged, S.AVAILABLE),
    *_back(S.AUTHORIZING, g.cancelled),
    _row(S.AUTHORIZING, g.accepted, S.AUTHORIZED),
    *_back(S.AUTHORIZING, g.refused),
    _row(S.AUTHORIZING, g.other_token, S.AUTHORIZING),
    *_back(S.AUTHORIZING, g.authorization_silent),
    *_back(S.AUTHORIZED, g.cancelled),
    _row(S.AUTHORIZED, g.started_again, S.AUTHORIZED),
    _row(S.AUTHORIZED, g.ready_to_start, S.WAITING_FOR_VEHICLE),
    *_back(S.AUTHORIZED, g.authorization_expired),
)
_EMERGENCIES = (
    _row(STARTING | ENERGISED, g.emergency_button, S.EMERGENCY, EMERGENCY),
    _row(STARTING | ENERGISED, g.emergency_asked, S.EMERGENCY, EMERGENCY),
    _row(STARTING | ENERGISED, g.emergency_fault, S.EMERGENCY, f.emergency_by_fault),
    _row(ENERGISED, g.unplugged, S.EMERGENCY, TORN_OUT),
    _row(ENERGISED, g.permit_lost, S.EMERGENCY, BROKEN),
    _row(ENERGISED, g.power_cut, S.EMERGENCY, BROKEN),
    _row(ENERGISED, g.io_lost, S.EMERGENCY, BROKEN),
    _row(ENERGISED, g.modules_lost, S.EMERGENCY, BROKEN),
    _row(S.CHARGING, g.modules_refuse, S.EMERGENCY, BROKEN),
    _row(ENERGISED, g.contactor_lost, S.EMERGENCY, BROKEN),
    _row(S.WELDING_DETECTION, g.emergency_button, S.CLOSING, EMERGENCY),
    _row(S.WELDING_DETECTION, g.emergency_fault, S.CLOSING, f.emergency_by_fault),
)
_AFTER_FRAMES = (STARTING | RUNNING) - {S.WAITING_FOR_VEHICLE}
_AFTER_PERMISSION = RUNNING | {S.LOCKING}
_STOPS = (
    *_stop(STARTING, g.unplugged, UNPLUGGED),
    *_stop(STARTING, g.io_lost, OWN_FAULT),
    *_stop(STARTING - {S.LOCKING}, g.monitor_missed, OWN_FAULT),
    *_stop(frozenset({S.LOCKING}), g.monitor_lost, OWN_FAULT),
    *_stop(STARTING | RUNNING, g.safety_stop, f.stopped_by_fault),
    *_stop(RUNNING, g.lock_lost, BROKEN),
    *_stop(RUNNING - {S.CHARGING}, g.modules_refuse, OWN_FAULT),
    *_stop(_AFTER_PERMISSION, g.board_late, OWN_FAULT),
    *_stop(_AFTER_FRAMES, g.vehicle_fault, VEHICLE_FAULT),
    *_stop(_AFTER_FRAMES, g.vehicle_lost, VEHICLE_MALFUNCTION),
    *_stop(_AFTER_FRAMES, g.vehicle_declines, BY_VEHICLE),
    *_stop(_AFTER_PERMISSION, g.permission_removed, BY_VEHICLE),
    *_stop(STARTING | RUNNING, g.stop_asked, f.stopped_by),
)
_STARTING = (
    *_stop(frozenset({S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION}), g.is_unfit, INCOMPATIBLE),
    _row(S.WAITING_FOR_VEHICLE, g.is_fit, S.WAITING_FOR_PERMISSION),
    _row(S.WAITING_FOR_PERMISSION, g.permitted, S.LOCKING),
    *_stop(frozenset({S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION}), g.no_permission, TOO_LATE),
    *_stop(frozenset({S.LOCKING}), g.is_unfit_now, INCOMPATIBLE),
    *_stop(frozenset({S.LOCKING}), g.voltage_present, VEHICLE_MALFUNCTION),
    *_stop(frozenset({S.LOCKING}), g.lock_fails, BROKEN),
    _row(S.LOCKING, g.locked, S.CABLE_CHECK),
    *_stop(frozenset({S.LOCKING}), g.locking_too_long, OWN_FAULT),
    *_stop(TESTING | {S.LOCKING}, g.not_ready, OWN_FAULT),
    *_stop(frozenset({S.CABLE_CHECK}), g.contactor_fails, BROKEN),
    *_stop(frozenset({S.CABLE_CHECK}), g.ground_missing, SYSTEM_FAULT),
    *_stop(frozenset({S.CABLE_CHECK}), g.insulation_low, SYSTEM_FAULT),
    _row(S.CABLE_CHECK, g.test_passed, S.LOWERING_OUTPUT),
    *_stop(frozenset({S.CABLE_CHECK}), g.cable_check_too_long, SYSTEM_FAULT),
    _row(S.LOWERING_OUTPUT, g.lowered, S.WAITING_FOR_CONTACTOR),
    *_stop(frozenset({S.LOWERING_OUTPUT}), g.not_lowered, OWN_FAULT),
)
_CHARGING_STATES: States = frozenset({S.WAITING_FOR_REQUEST, S.CHARGING})
_CHARGING = (
    _row(S.WAITING_FOR_CONTACTOR, g.connected, S.WAITING_FOR_REQUEST),
    *_stop(frozenset({S.WAITING_FOR_CONTACTOR}), g.no_contactor, TOO_LATE),
    *_stop(_CHARGING_STATES, g.board_late_opened, OWN_FAULT),
    *_stop(_CHARGING_STATES, g.contactor_opened, BY_VEHICLE),
    *_stop(_CHARGING_STATES, g.battery_gone, BY_VEHICLE),
    *_stop(_CHARGING_STATES, g.over_threshold, SYSTEM_FAULT),
    *_stop(_CHARGING_STATES, g.too_hot, OWN_FAULT),
    _row(S.WAITING_FOR_REQUEST, g.requested, S.CHARGING),
    *_stop(frozenset({S.WAITING_FOR_REQUEST}), g.no_request, TOO_LATE),
    *_stop(frozenset({S.CHARGING}), g.zero_request, BY_VEHICLE),
    *_stop(frozenset({S.CHARGING}), g.request_excess, VEHICLE_MALFUNCTION),
    *_stop(frozenset({S.CHARGING}), g.time_over, Ending(C.TIME_LIMIT)),
)
_ENDING = (
    _row(S.RAMPING_DOWN, g.opened_connected, S.WELDING_DETECTION),
    _row(S.RAMPING_DOWN, g.opened, S.CLOSING),
    _row(S.RAMPING_DOWN, g.contactor_stuck, S.CLOSING, BROKEN),
    _row(S.RAMPING_DOWN, g.current_stays, S.EMERGENCY, BROKEN),
    _row(S.WELDING_DETECTION, g.vehicle_opened, S.CLOSING),
    _row(S.WELDING_DETECTION, g.vehicle_opened_unseen, S.CLOSING),
    _row(S.WELDING_DETECTION, g.vehicle_not_opened, S.CLOSING),
    _row(S.EMERGENCY, g.emergency_over, S.CLOSING),
    _row(S.EMERGENCY, g.emergency_too_long, S.CLOSING),
    _row(S.CLOSING, g.closed_down, S.UNLOCKING),
    _row(S.CLOSING, g.not_closed_down, S.FAULTED, BROKEN),
    _row(S.UNLOCKING, g.unlocked_faulted, S.FAULTED),
    _row(S.UNLOCKING, g.unlocked, S.FINISHED),
    _row(S.UNLOCKING, g.not_unlocked, S.FAULTED, BROKEN),
    _row(S.FINISHED, g.unplugged, S.AVAILABLE),
    _row(S.FAULTED, g.unlock_asked, S.UNLOCKING),
    _row(S.FAULTED, g.unlock_due, S.UNLOCKING),
    _row(S.FAULTED, g.fault_gone, S.AVAILABLE),
    _row(S.FAULTED, g.fault_gone_idle, S.PREPARING),
    _row(S.FAULTED, g.fault_reset, S.FINISHED),
)

TRANSITIONS: tuple[Transition, ...] = (*_BEGIN, *_DRIVER, *_EMERGENCIES, *_STOPS, *_STARTING, *_CHARGING, *_ENDING)
_ROWS = {state: tuple(row for row in TRANSITIONS if state in row.sources) for state in S}


def first_match(view: View) -> Transition | None:
    """Return the transition to take in this step, None where nothing is to change."""
    for row in _ROWS[view.state]:
        if row.guard.test(view):
            return row
    return None
