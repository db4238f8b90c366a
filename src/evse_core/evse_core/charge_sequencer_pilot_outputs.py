"""What the charging sequence puts out for an AC output: the contactor, what the control pilot shows, and the power that it stands for."""

from dataclasses import replace
from math import isfinite

from evse_core.charge_sequencer_outputs import LinkOutputs, Outputs, SetPoints, contactor_command
from evse_core.charge_sequencer_pilot_current import power_wanted, shows_f, signalled
from evse_core.charge_sequencer_pilot_view import pilot
from evse_core.charge_sequencer_view import View
from evse_core.types import ChargeState, IoCommand, PowerFunction, VehicleCommand

_S, _F = ChargeState, PowerFunction
# The contactor is closed; in RAMPING_DOWN only where it was.
_CONNECTED = frozenset({_S.CHARGING, _S.RAMPING_DOWN})
_TESTED_IN = frozenset({_S.LOCKING, _S.WAITING_FOR_REQUEST})
# A fault shows as state F until nobody can be at the output any more; in FAULTED until the fault is gone, so that the vehicle can be seen to leave.
_SHOWS_FAULT = frozenset({_S.CLOSING, _S.UNLOCKING})


def _set_points(view: View, _: Outputs) -> SetPoints:
    """Return power transfer with what is offered while the contactor is to be closed, else off."""
    if view.state is not _S.CHARGING:
        return _F.OFF, 0.0, 0.0
    offered = signalled(view)
    return _F.POWER_TRANSFER, view.config.phase_voltage, offered * view.session.offer.phases if isfinite(offered) else 0.0


def _io_command(view: View, locked: bool) -> IoCommand:
    """Return what the I/O board is to do."""
    base, session = contactor_command(view, locked), view.session
    tested = not view.config.residual_current_test or pilot(view).residual_current_tested
    return replace(
        base,
        close_contactor=base.close_contactor and view.state in _CONNECTED and (view.state is _S.CHARGING or session.contactor_seen),
        phases=session.offer.phases or view.config.ac_phases,
        pilot_current=signalled(view),
        pilot_unavailable=_is_unavailable(view),
        residual_current_test=view.state in _TESTED_IN and not tested,
    )


def _is_unavailable(view: View) -> bool:
    """Return whether the control pilot shows state F."""
    if view.state in _SHOWS_FAULT:
        return view.session.faulted
    if view.state is _S.FAULTED:
        return not view.clear
    return view.state in {_S.EMERGENCY, _S.UNAVAILABLE} or shows_f(view)


def _vehicle_command(_: View) -> VehicleCommand:
    """Return that nothing is said on a bus."""
    return VehicleCommand()


PILOT = LinkOutputs(_set_points, lambda _view, _row: False, _vehicle_command, _io_command, power_wanted)
