"""What the charging sequence puts out: a row by state, refined with set points and with what the session has reached."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan as NAN

from evse_core.charge_sequencer_discharge import available_power, refusal
from evse_core.charge_sequencer_view import View
from evse_core.types import (
    ChargeState,
    ControllerPhase,
    IoCommand,
    Lamp,
    PowerCommand,
    PowerFunction,
    SessionState,
    VehicleCommand,
)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a state puts out. `transmit` and `lower` only where the session and the contactors permit it, see below."""

    phase: ControllerPhase
    lamp: Lamp
    function: PowerFunction = PowerFunction.OFF
    lower: bool = False
    announce: bool = False
    transmit: bool = False
    sequence_1: bool = False
    sequence_2: bool = False
    contactor: bool = False


_S, _P, _F, _L = ChargeState, ControllerPhase, PowerFunction, Lamp

# Function and contactor of the generic EVSE interface: can.md 1.4 rows 5 to 15. Signals and frames of the vehicle link: can.md 2.3.
OUTPUTS: dict[ChargeState, Outputs] = {
    _S.INITIALISING: Outputs(_P.INITIALISING, _L.BUSY),
    _S.AVAILABLE: Outputs(_P.WAITING_FOR_VEHICLE, _L.AVAILABLE),
    _S.UNAVAILABLE: Outputs(_P.NOT_AVAILABLE, _L.FAULT),
    _S.PREPARING: Outputs(_P.WAITING_FOR_VEHICLE, _L.BUSY),
    _S.AUTHORIZING: Outputs(_P.AUTHORISING, _L.BUSY),
    _S.AUTHORIZED: Outputs(_P.WAITING_FOR_VEHICLE, _L.BUSY),
    _S.WAITING_FOR_VEHICLE: Outputs(_P.NEGOTIATING, _L.BUSY, transmit=True, sequence_1=True),
    _S.WAITING_FOR_PERMISSION: Outputs(_P.CONNECTED, _L.BUSY, announce=True, transmit=True, sequence_1=True),
    _S.LOCKING: Outputs(_P.CONNECTED, _L.BUSY, _F.STANDBY, lower=True, announce=True, transmit=True, sequence_1=True),
    _S.CABLE_CHECK: Outputs(_P.INSULATION_TEST, _L.BUSY, _F.INSULATION_TEST, False, True, True, True, contactor=True),
    _S.LOWERING_OUTPUT: Outputs(_P.INSULATION_TEST, _L.BUSY, _F.STANDBY, True, True, True, True, contactor=True),
    _S.PRECHARGE: Outputs(_P.PRECHARGE, _L.BUSY, _F.PRECHARGE, False, True, True, True, contactor=True),
    _S.WAITING_FOR_CONTACTOR: Outputs(_P.WAITING_FOR_CHARGE, _L.BUSY, _F.STANDBY, False, True, True, True, True, True),
    _S.WAITING_FOR_REQUEST: Outputs(_P.WAITING_FOR_CHARGE, _L.BUSY, _F.STANDBY, False, True, True, True, True, True),
    _S.CHARGING: Outputs(_P.CHARGING, _L.CHARGING, _F.POWER_TRANSFER, False, True, True, True, True, True),
    _S.RAMPING_DOWN: Outputs(_P.ENDING, _L.BUSY, _F.STANDBY, True, True, True, True, True, True),
    _S.WELDING_DETECTION: Outputs(_P.WELDING_DETECTION, _L.BUSY, _F.STANDBY, True, True, True, True, True),
    _S.CLOSING: Outputs(_P.CLOSING, _L.BUSY, _F.STANDBY, True, True, True, True),
    _S.UNLOCKING: Outputs(_P.CLOSING, _L.BUSY, transmit=True),
    _S.FINISHED: Outputs(_P.WAITING_FOR_VEHICLE, _L.BUSY),
    _S.EMERGENCY: Outputs(_P.ENDING, _L.FAULT, announce=True, transmit=True, sequence_1=True, sequence_2=True),
    _S.FAULTED: Outputs(_P.NOT_AVAILABLE, _L.FAULT),
    _S.RECOVERING: Outputs(_P.CLOSING, _L.FAULT, _F.STANDBY, lower=True, announce=True, transmit=True),
}

# A session is open: from sequence signal 1 to the unlocked connector.
ACTIVE = frozenset(
    {
        _S.WAITING_FOR_VEHICLE,
        _S.WAITING_FOR_PERMISSION,
        _S.LOCKING,
        _S.CABLE_CHECK,
        _S.LOWERING_OUTPUT,
        _S.PRECHARGE,
        _S.WAITING_FOR_CONTACTOR,
        _S.WAITING_FOR_REQUEST,
        _S.CHARGING,
        _S.RAMPING_DOWN,
        _S.WELDING_DETECTION,
        _S.CLOSING,
        _S.UNLOCKING,
        _S.EMERGENCY,
    }
)
_ENDED = frozenset({_S.FINISHED, _S.FAULTED})
# A session is over without a fault.
_CLEAN = frozenset({_S.UNLOCKING, _S.FINISHED})
_LOCKED = ACTIVE - {_S.UNLOCKING}
_HOLDS_LOCK = frozenset({_S.INITIALISING, _S.RECOVERING, _S.FAULTED})


# Function, voltage [V] and current [A] of the modules.
SetPoints = tuple[PowerFunction, float, float]


@dataclass(frozen=True, slots=True)
class LinkOutputs:
    """What a vehicle link puts out its own way. `lowers`: whether the modules may discharge the output; `io_command` takes the lock command before."""

    set_points: Callable[[View, Outputs], SetPoints]
    lowers: Callable[[View, Outputs], bool]
    vehicle_command: Callable[[View], VehicleCommand]
    io_command: Callable[[View, bool], IoCommand]
    power_wanted: Callable[[View], float]


def power_command(view: View, link: LinkOutputs) -> PowerCommand:
    """Return what the modules are to do."""
    row = OUTPUTS[view.state]
    function, voltage, current = link.set_points(view, row)
    lower = link.lowers(view, row) and function is PowerFunction.STANDBY
    soc = view.vehicle.soc_percent if view.vehicle is not None else NAN
    return PowerCommand(
        function=function,
        voltage=voltage,
        current=current,
        lower_output_voltage=lower,
        session_announced=row.announce or lower,
        clean_stop=view.state in _CLEAN and not view.session.faulted,
        phase=row.phase,
        soc_percent=soc,
    )


def contactor_command(view: View, locked: bool) -> IoCommand:
    """Return what the I/O board is to do by the state alone: lock, contactor and lamp."""
    row = OUTPUTS[view.state]
    return IoCommand(lock=lock_command(view, locked), close_contactor=row.contactor and view.session.opening is None, lamp=row.lamp)


def lock_command(view: View, before: bool) -> bool:
    """Return whether the connector is to be locked.

    Whatever the state: a lock that may be closed stays so until the output is known to be dead. One that did not open is told to all along.
    """
    closed = before if view.io is None else view.io.locked
    if view.state in _HOLDS_LOCK:
        return closed and not (view.session.unlock_failed and view.may_unlock)
    wanted = view.state in _LOCKED and view.session.lock_commanded is not None
    return wanted or (closed and not view.may_unlock)


def session_state(view: View, link: LinkOutputs) -> SessionState:
    """Return where the sequence stands."""
    session, driver, state = view.session, view.driver, view.state
    running = state in ACTIVE or state in _ENDED
    return SessionState(
        stamp=view.inputs.stamp,
        state=state,
        time_in_state=view.elapsed,
        step=session.step if state in ACTIVE and session.id else 0,
        session_id=session.id,
        session_active=bool(session.id) and is_active(view),
        transaction_active=bool(session.id) and session.locked and not session.over,
        token=session.token if running else driver.token,
        parent_token=session.parent_token if running else driver.parent_token,
        remote_start=session.remote if running else driver.remote,
        stop_cause=session.ending.cause,
        stop_detail=session.detail,
        limited=session.control.limited,
        power_wanted=link.power_wanted(view),
        soc_percent=view.vehicle.soc_percent if view.vehicle is not None else NAN,
        plugged=view.plugged,
        available=view.in_service and not view.shutting_down,
        discharge_available=available_power(view, session.control.possible),
        discharge_refusal=refusal(view) if state is _S.CHARGING else "",
    )


def is_active(view: View) -> bool:
    """Return whether a session is open; one that ended in a fault is, as long as the vehicle cannot be unplugged."""
    return view.state in ACTIVE or (view.state is _S.FAULTED and view.io is not None and view.io.locked)
