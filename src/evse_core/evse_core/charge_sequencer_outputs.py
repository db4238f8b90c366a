"""What the charging sequence puts out: a row by state, refined with set points and with what the session has reached."""

from dataclasses import dataclass
from functools import cache
from math import isfinite
from math import nan as NAN

from evse_core.charge_sequencer_current import available_voltage, power_wanted, threshold_voltage, voltage_ceiling
from evse_core.charge_sequencer_facts import signals_off
from evse_core.charge_sequencer_secc_facts import missing_before_test
from evse_core.charge_sequencer_session import Malfunction
from evse_core.charge_sequencer_view import View
from evse_core.charge_sequencer_watch import time_allowed
from evse_core.types import (
    ChargeState,
    ControllerCommand,
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
# Current may flow.
_TRANSFERRING = frozenset({_S.CHARGING, _S.RAMPING_DOWN, _S.EMERGENCY})
_LOCKED = ACTIVE - {_S.UNLOCKING}
_HOLDS_LOCK = frozenset({_S.INITIALISING, _S.RECOVERING, _S.FAULTED})


def power_command(view: View) -> PowerCommand:
    """Return what the modules are to do."""
    row = OUTPUTS[view.state]
    function, voltage, current = _led_set_points(view, row) if view.is_led else _set_points(view, row)
    lower = (_led_lowers(view) if view.is_led else _lowers(view, row)) and function is PowerFunction.STANDBY
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


def _set_points(view: View, row: Outputs) -> tuple[PowerFunction, float, float]:
    """Return function, voltage [V] and current [A]."""
    session, config = view.session, view.config
    if view.state is _S.CABLE_CHECK and session.contactor_seen and isfinite(view.test_voltage):
        return _F.INSULATION_TEST, view.test_voltage, config.insulation_current
    if view.state is _S.CHARGING:
        return _F.POWER_TRANSFER, voltage_ceiling(view), session.control.set_point
    if view.state is _S.RAMPING_DOWN and session.charged and not session.stopped and view.elapsed < config.stop_time:
        return _F.POWER_TRANSFER, voltage_ceiling(view), 0.0
    if view.state is _S.FAULTED and view.output_voltage > config.unlock_voltage:
        return _F.STANDBY, 0.0, 0.0
    return (_F.STANDBY if row.function is not _F.OFF else _F.OFF), 0.0, 0.0


def _lowers(view: View, row: Outputs) -> bool:
    """Return whether the modules may discharge the output: never what the vehicle's battery feeds."""
    apart = view.contactor_open or view.vehicle_contactor_open
    if view.state is _S.FAULTED:
        return apart and view.output_voltage > view.config.unlock_voltage
    if view.state is _S.RAMPING_DOWN:
        return not view.session.ready
    return row.lower and (apart or view.state is _S.LOWERING_OUTPUT)


def _led_set_points(view: View, row: Outputs) -> tuple[PowerFunction, float, float]:
    """Return function, voltage [V] and current [A] where a charge controller leads: what it asks for, as far as this state and the limits go."""
    controller, config = view.controller, view.config
    if view.state is _S.PRECHARGE and controller.function is _F.PRECHARGE and controller.voltage > 0.0:
        wanted = controller.current_max if controller.current_max > 0.0 else config.precharge_current
        return _F.PRECHARGE, min(controller.voltage, voltage_ceiling(view)), min(wanted, config.precharge_current)
    if view.state is _S.CABLE_CHECK and controller.function is not _F.INSULATION_TEST:
        return _F.STANDBY, 0.0, 0.0
    return _set_points(view, row)


def _led_lowers(view: View) -> bool:
    """Return whether the modules may discharge the output: on the controller's word before the precharge, behind an open contactor, never a battery."""
    if view.state is _S.LOWERING_OUTPUT:
        return view.controller.lower_output_voltage
    if view.state is _S.FAULTED:
        return view.contactor_open and view.output_voltage > view.config.unlock_voltage
    return OUTPUTS[view.state].lower and view.contactor_open


def io_command(view: View, locked: bool) -> IoCommand:
    """Return what the I/O board is to do; locked is the lock command before. A charge controller has its own lines to the vehicle."""
    row, session = OUTPUTS[view.state], view.session
    return IoCommand(
        sequence_1=row.sequence_1 and not signals_off(view) and not view.is_led,
        sequence_2=row.sequence_2 and session.ready and session.ready_withdrawn is None,
        lock=lock_command(view, locked),
        close_contactor=row.contactor and session.opening is None,
        lamp=row.lamp,
    )


def lock_command(view: View, before: bool) -> bool:
    """Return whether the connector is to be locked.

    Whatever the state: a lock that may be closed stays so until the output is known to be dead. One that did not open is told to all along.
    """
    closed = before if view.io is None else view.io.locked
    if view.state in _HOLDS_LOCK:
        return closed and not (view.session.unlock_failed and view.may_unlock)
    wanted = view.state in _LOCKED and view.session.lock_commanded is not None
    return wanted or (closed and not view.may_unlock)


def vehicle_command(view: View) -> VehicleCommand:
    """Return what the vehicle is told."""
    session, config = view.session, view.config
    if view.is_led:
        return _answer(view)
    charging = session.charged and not session.stopped and view.state in _TRANSFERRING
    charger_malfunction, battery_incompatible, system_malfunction = _told(session.malfunction)
    return VehicleCommand(
        transmit=OUTPUTS[view.state].transmit and session.heard,
        protocol_number=config.protocol_number,
        available_voltage=available_voltage(view),
        available_current=session.control.announced,
        threshold_voltage=threshold_voltage(view),
        present_voltage=view.output_voltage,
        present_current=max(view.current, 0.0) if isfinite(view.current) else NAN,
        remaining_time=_remaining_time(view),
        welding_detection_supported=config.welding_detection,
        charging=charging,
        charger_malfunction=charger_malfunction,
        connector_locked=shows_locked(view),
        battery_incompatible=battery_incompatible,
        system_malfunction=system_malfunction,
        stop_control=view.state is not _S.CHARGING,
        dynamic_control=config.dynamic_control,
    )


# States in which the charge controller may use the modules, once they are ready.
_USABLE = frozenset({_S.CABLE_CHECK, _S.LOWERING_OUTPUT, _S.PRECHARGE, _S.WAITING_FOR_REQUEST, _S.CHARGING, _S.RAMPING_DOWN})
_BEFORE_TOKEN = frozenset({_S.AVAILABLE, _S.PREPARING, _S.AUTHORIZING})
_AUTHORISED = frozenset({_S.WAITING_FOR_VEHICLE, _S.WAITING_FOR_PERMISSION, _S.LOCKING}) | (_USABLE - {_S.RAMPING_DOWN})
_PARAMETERS_DONE = _AUTHORISED - {_S.WAITING_FOR_VEHICLE, _S.WAITING_FOR_PERMISSION}
# States in which the charge controller is to end what it goes on with, and the phases in which it goes on.
_STOPPING = frozenset(
    {_S.RAMPING_DOWN, _S.WELDING_DETECTION, _S.CLOSING, _S.UNLOCKING, _S.FINISHED, _S.EMERGENCY, _S.FAULTED, _S.UNAVAILABLE, _S.RECOVERING}
)
_GOES_ON = frozenset(
    {
        _P.NEGOTIATING,
        _P.AUTHORISING,
        _P.CONNECTED,
        _P.INSULATION_TEST,
        _P.PRECHARGE,
        _P.WAITING_FOR_CHARGE,
        _P.CHARGING,
        _P.PAUSED,
    }
)
# How long the driver's press of the start button, and the refusal of a token, are told to the charge controller. Own choice: ten of its frames. [s]
_TOLD_FOR = 1.0


def _answer(view: View) -> VehicleCommand:
    """Return what a charge controller is told: can.md 1.4 and 1.6."""
    session, config, state, driver = view.session, view.config, view.state, view.driver
    begun = state in _AUTHORISED
    early = config.authorise_in_session and state in _BEFORE_TOKEN and view.clear
    refused = view.now - driver.refused <= _TOLD_FOR
    enabled = state in _USABLE or (state is _S.LOCKING and not missing_before_test(view))
    return VehicleCommand(
        transmit=True,
        available_voltage=available_voltage(view),
        available_current=session.control.announced,
        present_voltage=view.output_voltage,
        present_current=view.current,
        controller=ControllerCommand(
            enabled=enabled and view.permit and view.power is not None and view.power.enabled,
            start_authorised=begun or state is _S.AUTHORIZED or early,
            start_button=view.now - driver.started <= _TOLD_FOR,
            authorisation_done=begun or refused,
            authorisation_valid=begun,
            parameters_done=state in _PARAMETERS_DONE,
            stop_button=state in _STOPPING and view.controller.phase in _GOES_ON,
            max_voltage=available_voltage(view),
            max_current=session.control.announced if begun else config.max_current,
        ),
    )


@cache
def _told(malfunction: Malfunction) -> tuple[bool, bool, bool]:
    """Return the three bits of 109.5 that tell why: charger malfunction, incompatible battery, system malfunction."""
    return Malfunction.CHARGER in malfunction, Malfunction.INCOMPATIBLE in malfunction, Malfunction.SYSTEM in malfunction


def shows_locked(view: View) -> bool:
    """Return 109.5.2: locked or energised, until the lock reports open with a dead output (can.md 2.1, E6)."""
    if view.state is _S.RECOVERING:
        return view.io is None or view.io.locked
    return view.session.locked and not (view.state is _S.UNLOCKING and view.session.unlocked.since is not None)


def _remaining_time(view: View) -> float:
    """Return the time left [s]: what the vehicle allows before charging, 0 after it."""
    if view.session.charged:
        return view.session.remaining if view.state is _S.CHARGING else 0.0
    said = view.vehicle is not None and isfinite(view.vehicle.max_charging_time)
    return time_allowed(view) if said else NAN


def session_state(view: View) -> SessionState:
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
        power_wanted=power_wanted(view, session.control.announced),
        soc_percent=view.vehicle.soc_percent if view.vehicle is not None else NAN,
        plugged=view.plugged,
        available=view.in_service and not view.shutting_down,
    )


def is_active(view: View) -> bool:
    """Return whether a session is open; one that ended in a fault is, as long as the vehicle cannot be unplugged."""
    return view.state in ACTIVE or (view.state is _S.FAULTED and view.io is not None and view.io.locked)
