"""What the guards and outputs of a session that a charge controller leads look up in one step. Nothing here changes anything."""

from evse_core.charge_sequencer_view import View
from evse_core.types import ControllerPhase, Plug, VehicleProtocol

# Phases of a controller that has no session, or is done with it.
OVER = frozenset({ControllerPhase.INITIALISING, ControllerPhase.WAITING_FOR_VEHICLE, ControllerPhase.NOT_AVAILABLE})
_CLOSING = OVER | {ControllerPhase.CLOSING}
_CHADEMO = frozenset({VehicleProtocol.CHADEMO_0_9, VehicleProtocol.CHADEMO_1, VehicleProtocol.CHADEMO_2})


def incompatible(view: View) -> str:
    """Return why the vehicle cannot be served, in words; "" where it can. A vehicle whose limits are not known yet cannot."""
    vehicle, config = view.vehicle, view.config
    if vehicle is None:
        return "the charge controller is silent"
    if not vehicle.max_voltage > 0.0:
        return "the vehicle's voltages are not known"
    if vehicle.max_voltage < config.min_voltage:
        return f"the vehicle's maximum voltage {vehicle.max_voltage:.0f} V is below {config.min_voltage:.0f} V"
    if vehicle.min_voltage > config.max_voltage:
        return f"the vehicle's minimum voltage {vehicle.min_voltage:.0f} V is above {config.max_voltage:.0f} V"
    if vehicle.min_current > config.max_current:
        return f"the vehicle's minimum current {vehicle.min_current:.0f} A is above {config.max_current:.0f} A"
    return ""


def connects_without_precharge(view: View) -> bool:
    """Return whether the vehicle closes its contactor at a dead output (can.md 1.4 row 10a): CHAdeMO by both of the controller's words, nobody else."""
    return view.controller.protocol in _CHADEMO and view.controller.plug is Plug.CHADEMO


def missing_before_test(view: View) -> str:
    """Return what is missing before the contactor may close, in words; "" where nothing is."""
    power = view.power
    wants = {
        "a dead connector": view.output_voltage <= view.config.voltage_before,
        "the begin reading": view.session.recorded,
        "the permit": view.permit,
        "the power modules": power is not None and power.enabled and abs(power.voltage) <= view.config.closing_voltage,
    }
    return ", ".join(name for name, there in wants.items() if not there)


def session_over(view: View) -> str:
    """Return how the controller has ended the session, in words; "" while it goes on. Before it is announced only the phase tells."""
    controller = view.controller
    if view.vehicle is None:
        return ""
    if view.session.announced and not controller.session_announced:
        rushed = ", in a rush" if controller.rushed_stop else ""
        return (
            f"the charge controller finished the session{rushed}"
            if controller.session_finished
            else "the charge controller gave the session up"
        )
    if controller.phase in OVER and view.session.negotiated:
        return f"the charge controller is in {controller.phase.name}"
    return ""


def opened_by_controller(view: View) -> bool:
    """Return whether the controller is done with the vehicle's contactor."""
    controller = view.controller
    return view.vehicle is not None and (not controller.session_announced or controller.phase in _CLOSING)
