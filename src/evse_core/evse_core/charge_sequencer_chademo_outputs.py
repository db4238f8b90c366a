"""What the charging sequence puts out for a CHAdeMO vehicle: set points, lowering, and the frames' content."""

from dataclasses import replace
from functools import cache
from math import isfinite
from math import nan as NAN
from typing import Any

from evse_core.charge_sequencer_current import available_voltage, power_wanted, threshold_voltage, voltage_ceiling
from evse_core.charge_sequencer_discharge import capability, is_announced, lowest_voltage
from evse_core.charge_sequencer_facts import signals_off
from evse_core.charge_sequencer_outputs import OUTPUTS, LinkOutputs, Outputs, SetPoints, contactor_command
from evse_core.charge_sequencer_session import Malfunction
from evse_core.charge_sequencer_view import View
from evse_core.charge_sequencer_watch import time_allowed
from evse_core.types import ChargeState, IoCommand, PowerFunction, VehicleCommand

_S, _F = ChargeState, PowerFunction
# Current may flow.
_TRANSFERRING = frozenset({_S.CHARGING, _S.RAMPING_DOWN, _S.EMERGENCY})


def set_points(view: View, row: Outputs) -> SetPoints:
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


def _vehicle_command(view: View) -> VehicleCommand:
    """Return what the vehicle is told."""
    session, config = view.session, view.config
    charging = session.charged and not session.stopped and view.state in _TRANSFERRING
    charger_malfunction, battery_incompatible, system_malfunction = _told(session.malfunction)
    return VehicleCommand(
        transmit=OUTPUTS[view.state].transmit and session.heard,
        protocol_number=config.protocol_number,
        available_voltage=available_voltage(view),
        available_current=session.control.announced,
        threshold_voltage=threshold_voltage(view),
        present_voltage=view.output_voltage,
        present_current=view.current,
        remaining_time=_remaining_time(view),
        welding_detection_supported=config.welding_detection,
        charging=charging,
        charger_malfunction=charger_malfunction,
        connector_locked=shows_locked(view),
        battery_incompatible=battery_incompatible,
        system_malfunction=system_malfunction,
        stop_control=view.state is not _S.CHARGING,
        dynamic_control=config.dynamic_control,
        **_discharge_words(view),
    )


def _discharge_words(view: View) -> dict[str, Any]:
    """Return what a vehicle that can give power is told; the bit and both frames come and go together."""
    if not is_announced(view) or view.vehicle is None:
        return {}
    return {
        "discharge_compatible": True,
        "max_discharge_current": capability(view),
        "min_discharge_voltage": lowest_voltage(view),
        "discharge_sequence": min(view.vehicle.discharge_sequence, view.config.v2h_sequence_number),
    }


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


def _io_command(view: View, locked: bool) -> IoCommand:
    """Return what the I/O board is to do: the sequence signals, too."""
    row, session = OUTPUTS[view.state], view.session
    return replace(
        contactor_command(view, locked),
        sequence_1=row.sequence_1 and not signals_off(view),
        sequence_2=row.sequence_2 and session.ready and session.ready_withdrawn is None,
    )


CHADEMO = LinkOutputs(set_points, _lowers, _vehicle_command, _io_command, power_wanted)
