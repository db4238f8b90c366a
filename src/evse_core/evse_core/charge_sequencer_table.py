"""The transitions of the charging sequence with a CHAdeMO vehicle, as data, and what other links share. docs/states.md is drawn from the same rows."""

from collections.abc import Callable, Mapping
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


def row(sources: States | S, guard: Guard, target: S, ending: Ending | Callable[[View], Ending] = NO_ENDING) -> Transition:
    """Return a row for one or several states."""
    return Transition(frozenset({sources}) if isinstance(sources, S) else sources, guard, target, ending)


def stop(sources: States, guard: Guard, ending: Ending | Callable[[View], Ending]) -> tuple[Transition, ...]:
    """Return the rows that end a session in an orderly way: what is energised is ramped down first."""
    starting, running = sources & STARTING, sources - STARTING
    rows = ((starting, S.CLOSING), (running, S.RAMPING_DOWN))
    return tuple(row(states, guard, target, ending) for states, target in rows if states)


def back(source: S, guard: Guard) -> tuple[Transition, ...]:
    """Return the rows that lead back to where the driver may begin anew."""
    there = Guard(f"{guard.text}, plugged in", lambda view: guard.test(view) and view.plugged, guard.detail)
    return row(source, there, S.PREPARING), row(source, guard, S.AVAILABLE)


BEGIN = (
    row(S.INITIALISING, g.connector_hot, S.RECOVERING, RESTART),
    *back(S.INITIALISING, g.inputs_known),
    row(S.RECOVERING, g.recovered, S.UNLOCKING),
    row(S.RECOVERING, g.not_recovered, S.FAULTED, BROKEN),
)


def driver(ready: Guard) -> tuple[Transition, ...]:
    """Return the rows from plug and token to the session, which begins with `ready`."""
    return (
        row(IDLE, g.blocked, S.FAULTED),
        row(IDLE, g.out_of_service, S.UNAVAILABLE),
        *back(S.UNAVAILABLE, g.in_service),
        row(frozenset({S.AVAILABLE, S.PREPARING}), g.authorized_start, S.AUTHORIZED),
        row(frozenset({S.AVAILABLE, S.PREPARING}), g.start_asked, S.AUTHORIZING),
        row(frozenset({S.AVAILABLE, S.PREPARING}), g.token_presented, S.AUTHORIZING),
        row(S.AVAILABLE, g.plugged, S.PREPARING),
        row(S.PREPARING, g.unplugged, S.AVAILABLE),
        *back(S.AUTHORIZING, g.cancelled),
        row(S.AUTHORIZING, g.accepted, S.AUTHORIZED),
        *back(S.AUTHORIZING, g.refused),
        row(S.AUTHORIZING, g.other_token, S.AUTHORIZING),
        *back(S.AUTHORIZING, g.authorization_silent),
        *back(S.AUTHORIZED, g.cancelled),
        row(S.AUTHORIZED, g.started_again, S.AUTHORIZED),
        row(S.AUTHORIZED, ready, S.WAITING_FOR_VEHICLE),
        *back(S.AUTHORIZED, g.authorization_expired),
    )


def emergencies(energised: States) -> tuple[Transition, ...]:
    """Return the rows that switch off at once, for the states in which something is energised."""
    return (
        row(STARTING | energised, g.emergency_button, S.EMERGENCY, EMERGENCY),
        row(STARTING | energised, g.emergency_asked, S.EMERGENCY, EMERGENCY),
        row(STARTING | energised, g.emergency_fault, S.EMERGENCY, f.emergency_by_fault),
        row(energised, g.unplugged, S.EMERGENCY, TORN_OUT),
        row(energised, g.permit_lost, S.EMERGENCY, BROKEN),
        row(energised, g.power_cut, S.EMERGENCY, BROKEN),
        row(energised, g.io_lost, S.EMERGENCY, BROKEN),
        row(energised, g.modules_lost, S.EMERGENCY, BROKEN),
        row(S.CHARGING, g.modules_refuse, S.EMERGENCY, BROKEN),
        row(energised, g.contactor_lost, S.EMERGENCY, BROKEN),
        row(S.WELDING_DETECTION, g.emergency_button, S.CLOSING, EMERGENCY),
        row(S.WELDING_DETECTION, g.emergency_fault, S.CLOSING, f.emergency_by_fault),
    )


def station_stops(running: States) -> tuple[Transition, ...]:
    """Return the rows that end a session because of the station's own parts."""
    return (
        *stop(STARTING, g.io_lost, OWN_FAULT),
        *stop(STARTING - {S.LOCKING}, g.monitor_missed, OWN_FAULT),
        *stop(frozenset({S.LOCKING}), g.monitor_lost, OWN_FAULT),
        *stop(STARTING | running, g.safety_stop, f.stopped_by_fault),
    )


_AFTER_FRAMES = (STARTING | RUNNING) - {S.WAITING_FOR_VEHICLE}
_AFTER_PERMISSION = RUNNING | {S.LOCKING}
_STOPS = (
    *stop(STARTING, g.unplugged, UNPLUGGED),
    *station_stops(RUNNING),
    *stop(RUNNING, g.lock_lost, BROKEN),
    *stop(RUNNING - {S.CHARGING}, g.modules_refuse, OWN_FAULT),
    *stop(_AFTER_PERMISSION, g.board_late, OWN_FAULT),
    *stop(_AFTER_FRAMES, g.vehicle_fault, VEHICLE_FAULT),
    *stop(_AFTER_FRAMES, g.vehicle_lost, VEHICLE_MALFUNCTION),
    *stop(_AFTER_FRAMES, g.vehicle_declines, BY_VEHICLE),
    *stop(_AFTER_PERMISSION, g.permission_removed, BY_VEHICLE),
    *stop(STARTING | RUNNING, g.stop_asked, f.stopped_by),
)
_STARTING = (
    *stop(frozenset({S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION}), g.is_unfit, INCOMPATIBLE),
    row(S.WAITING_FOR_VEHICLE, g.is_fit, S.WAITING_FOR_PERMISSION),
    row(S.WAITING_FOR_PERMISSION, g.permitted, S.LOCKING),
    *stop(frozenset({S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION}), g.no_permission, TOO_LATE),
    *stop(frozenset({S.LOCKING}), g.is_unfit_now, INCOMPATIBLE),
    *stop(frozenset({S.LOCKING}), g.voltage_present, VEHICLE_MALFUNCTION),
    *stop(frozenset({S.LOCKING}), g.lock_fails, BROKEN),
    row(S.LOCKING, g.locked, S.CABLE_CHECK),
    *stop(frozenset({S.LOCKING}), g.locking_too_long, OWN_FAULT),
    *stop(TESTING | {S.LOCKING}, g.not_ready, OWN_FAULT),
    *stop(frozenset({S.CABLE_CHECK}), g.contactor_fails, BROKEN),
    *stop(frozenset({S.CABLE_CHECK}), g.ground_missing, SYSTEM_FAULT),
    *stop(frozenset({S.CABLE_CHECK}), g.insulation_low, SYSTEM_FAULT),
    row(S.CABLE_CHECK, g.test_passed, S.LOWERING_OUTPUT),
    *stop(frozenset({S.CABLE_CHECK}), g.cable_check_too_long, SYSTEM_FAULT),
    row(S.LOWERING_OUTPUT, g.lowered, S.WAITING_FOR_CONTACTOR),
    *stop(frozenset({S.LOWERING_OUTPUT}), g.not_lowered, OWN_FAULT),
)
_CHARGING_STATES: States = frozenset({S.WAITING_FOR_REQUEST, S.CHARGING})
_CHARGING = (
    row(S.WAITING_FOR_CONTACTOR, g.connected, S.WAITING_FOR_REQUEST),
    *stop(frozenset({S.WAITING_FOR_CONTACTOR}), g.no_contactor, TOO_LATE),
    *stop(_CHARGING_STATES, g.board_late_opened, OWN_FAULT),
    *stop(_CHARGING_STATES, g.contactor_opened, BY_VEHICLE),
    *stop(_CHARGING_STATES, g.battery_gone, BY_VEHICLE),
    *stop(_CHARGING_STATES, g.over_threshold, SYSTEM_FAULT),
    *stop(_CHARGING_STATES, g.too_hot, OWN_FAULT),
    row(S.WAITING_FOR_REQUEST, g.requested, S.CHARGING),
    *stop(frozenset({S.WAITING_FOR_REQUEST}), g.no_request, TOO_LATE),
    *stop(frozenset({S.CHARGING}), g.zero_request, BY_VEHICLE),
    *stop(frozenset({S.CHARGING}), g.request_excess, VEHICLE_MALFUNCTION),
    *stop(frozenset({S.CHARGING}), g.time_over, Ending(C.TIME_LIMIT)),
)
_ENDING = (
    row(S.RAMPING_DOWN, g.opened_connected, S.WELDING_DETECTION),
    row(S.RAMPING_DOWN, g.opened, S.CLOSING),
    row(S.WELDING_DETECTION, g.lock_lost, S.CLOSING, BROKEN),
    row(S.WELDING_DETECTION, g.vehicle_opened, S.CLOSING),
    row(S.WELDING_DETECTION, g.vehicle_opened_unseen, S.CLOSING),
)
# How a ramp of direct current goes wrong.
RAMP = (
    row(S.RAMPING_DOWN, g.contactor_stuck, S.CLOSING, BROKEN),
    row(S.RAMPING_DOWN, g.current_stays, S.EMERGENCY, BROKEN),
    row(S.WELDING_DETECTION, g.vehicle_not_opened, S.CLOSING),
)
CLOSING = (
    row(S.EMERGENCY, g.emergency_over, S.CLOSING),
    row(S.EMERGENCY, g.emergency_too_long, S.CLOSING),
    row(S.CLOSING, g.closed_down, S.UNLOCKING),
    row(S.CLOSING, g.not_closed_down, S.FAULTED, BROKEN),
    row(S.UNLOCKING, g.unlocked_faulted, S.FAULTED),
    row(S.UNLOCKING, g.unlocked, S.FINISHED),
    row(S.UNLOCKING, g.not_unlocked, S.FAULTED, BROKEN),
    row(S.FINISHED, g.unplugged, S.AVAILABLE),
    row(S.FAULTED, g.unlock_asked, S.UNLOCKING),
    row(S.FAULTED, g.unlock_due, S.UNLOCKING),
    row(S.FAULTED, g.fault_gone, S.AVAILABLE),
    row(S.FAULTED, g.fault_gone_idle, S.PREPARING),
    row(S.FAULTED, g.fault_reset, S.FINISHED),
)

TRANSITIONS: tuple[Transition, ...] = (
    *BEGIN,
    *driver(g.ready_to_start),
    *emergencies(ENERGISED),
    *_STOPS,
    *_STARTING,
    *_CHARGING,
    *_ENDING,
    *RAMP,
    *CLOSING,
)


def by_state(transitions: tuple[Transition, ...]) -> dict[S, tuple[Transition, ...]]:
    """Return the rows of each state, in their order."""
    return {state: tuple(found for found in transitions if state in found.sources) for state in S}


def first_match(rows: Mapping[S, tuple[Transition, ...]], view: View) -> Transition | None:
    """Return the transition to take in this step, None where nothing is to change."""
    for found in rows[view.state]:
        if found.guard.test(view):
            return found
    return None
