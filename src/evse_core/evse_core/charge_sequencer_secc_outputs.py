"""What the charging sequence puts out where a charge controller (SECC) leads: what it asks for as far as it fits, and the answers to it."""

from math import nan as NAN

from evse_core.charge_sequencer_chademo_outputs import set_points
from evse_core.charge_sequencer_current import available_voltage, power_wanted, voltage_ceiling
from evse_core.charge_sequencer_discharge import capability, takes_power
from evse_core.charge_sequencer_facts import started
from evse_core.charge_sequencer_outputs import LinkOutputs, Outputs, SetPoints, contactor_command
from evse_core.charge_sequencer_secc_facts import missing_before_test
from evse_core.charge_sequencer_view import View
from evse_core.types import ChargeState, ControllerCommand, ControllerPhase, PowerFunction, VehicleCommand

_S, _P, _F = ChargeState, ControllerPhase, PowerFunction
# States in which the charge controller may use the modules, once they are ready.
_USABLE = frozenset(
    {
        _S.CABLE_CHECK,
        _S.LOWERING_OUTPUT,
        _S.PRECHARGE,
        _S.WAITING_FOR_CONTACTOR,
        _S.WAITING_FOR_REQUEST,
        _S.CHARGING,
        _S.RAMPING_DOWN,
    }
)
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


def _set_points(view: View, row: Outputs) -> SetPoints:
    """Return function, voltage [V] and current [A] where a charge controller leads: what it asks for, as far as this state and the limits go."""
    controller, config = view.controller, view.config
    if view.state is _S.PRECHARGE and controller.function is _F.PRECHARGE and controller.voltage > 0.0:
        wanted = controller.current_max if controller.current_max > 0.0 else config.precharge_current
        return _F.PRECHARGE, min(controller.voltage, voltage_ceiling(view)), min(wanted, config.precharge_current)
    if view.state is _S.CABLE_CHECK and controller.function is not _F.INSULATION_TEST:
        return _F.STANDBY, 0.0, 0.0
    return set_points(view, row)


def _presses_start(view: View) -> bool:
    """Return whether the controller's start button is pressed: with the driver's, and for an authorised driver who has started until the controller begins.

    A CHAdeMO vehicle is not looked for before that (can.md 1.4 row 3); a controller of CCS or MCS does not look at it.
    """
    waits = view.state is _S.AUTHORIZED and started(view) and not view.plugged
    return waits or view.now - view.driver.started <= _TOLD_FOR


def _lowers(view: View, row: Outputs) -> bool:
    """Return whether the modules may discharge the output: on the controller's word before the precharge, behind an open contactor, never a battery."""
    if view.state is _S.LOWERING_OUTPUT:
        return view.controller.lower_output_voltage
    if view.state is _S.FAULTED:
        return view.contactor_open and view.output_voltage > view.config.unlock_voltage
    return row.lower and view.contactor_open


def _vehicle_command(view: View) -> VehicleCommand:
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
            start_button=_presses_start(view),
            authorisation_done=begun or refused,
            authorisation_valid=begun,
            parameters_done=state in _PARAMETERS_DONE,
            stop_button=state in _STOPPING and view.controller.phase in _GOES_ON,
            max_voltage=available_voltage(view),
            max_current=session.control.announced if begun else config.max_current,
            max_discharge_current=capability(view) if takes_power(view) else NAN,
        ),
    )


# The controller has its own lines to the vehicle.
SECC = LinkOutputs(_set_points, _lowers, _vehicle_command, contactor_command, power_wanted)
