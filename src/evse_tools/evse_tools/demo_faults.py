"""What a station must do about each fault that a simulator can show, and whether it did.

Which fault the station has to raise stands here; what that fault then demands stands in the fault table (evse_core/fault_table.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import Any

from evse_core import vehicle_link
from evse_core.fault_table import BY_NAME
from evse_core.types import ChargeState, FaultEvent, Reaction, StopCause
from evse_simulators.faults import AC_VEHICLE, FAULTS, MODULES, SECC, VEHICLE
from evse_tools.demo_track import NO_CURRENT, Track

# Longest time from the fault to less than 5 A after an emergency (../shared/reference/can.md 4). [s]
EMERGENCY_TIME = 1.0
# Longest time in which a stop is followed (docs/design.md, The permit 5), and the emergency after it. [s]
STOP_TIME = 5.0 + EMERGENCY_TIME
# Longest time from a fault's event to the permit's fall: two safety_state messages of 50 ms. [s]
PERMIT_TIME = 0.1
# Charging time that even a slow fault (heating) needs at most, and that a fault gets that shows only when the station stops. [s]
LONG, SHORT = 150.0, 10.0

ALL, _CHADEMO, _SECC = frozenset(vehicle_link.NAMES), frozenset({vehicle_link.CHADEMO}), frozenset({vehicle_link.SECC})
_AT_PILOT = frozenset({vehicle_link.PILOT})
_VEHICLE = (StopCause.VEHICLE, StopCause.VEHICLE_FAULT)


@dataclass(frozen=True)
class Expected:
    """One row: faults of which at least one must be raised (none: any end will do), causes of which one must end the session.

    `stays_locked`: something dangerous stays at the connector, which therefore must not come out. `early`: must be broken before
    plugging in to matter. `seconds`: when the driver presses stop if the session has not ended by then. `rating`: what the EVSE must be made of.
    `links`: vehicle links of stations that can. `cabinet`: only a station whose EVSEs share a cabinet of modules can.
    `meter`: only one with a simulated meter can.
    """

    faults: tuple[str, ...] = ()
    causes: tuple[StopCause, ...] = ()
    early: bool = False
    stays_locked: bool = False
    seconds: float = 60.0
    rating: Mapping[str, Any] = field(default_factory=dict)
    links: frozenset[str] = ALL
    cabinet: bool = False
    meter: bool = False


# Modules that tell of themselves, and a control pilot.
_BANK, _PILOT = {"module_count": 4}, {"has_control_pilot": True}
# A cable that carries less without coolant.
_COOLED = {"uncooled_current": 60.0}

_ROWS = {
    "vehicle_silent": Expected(("vehicle_silent",)),
    "vehicle_fault": Expected(("vehicle_fault",), _VEHICLE),
    "vehicle_fault_overvoltage": Expected(("vehicle_battery_over_voltage",), _VEHICLE),
    "vehicle_fault_undervoltage": Expected(("vehicle_battery_under_voltage",), _VEHICLE),
    "vehicle_fault_current_deviation": Expected(("vehicle_current_deviation",), _VEHICLE),
    "vehicle_fault_temperature": Expected(("vehicle_battery_temperature",), _VEHICLE),
    "vehicle_fault_voltage_deviation": Expected(("vehicle_voltage_deviation",), _VEHICLE),
    "vehicle_shift": Expected(("vehicle_not_parked",), _VEHICLE),
    "vehicle_stops_permission": Expected((), _VEHICLE),
    "vehicle_contactor_opens": Expected((), _VEHICLE),
    "vehicle_contactor_welded": Expected(("vehicle_contactor_welded",), stays_locked=True, seconds=SHORT),
    "vehicle_no_request": Expected((), _VEHICLE),
    "vehicle_incompatible": Expected((), (StopCause.INCOMPATIBLE,), early=True),
    "vehicle_stops_discharge": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "vehicle_lies_about_charge": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "plug_lost": Expected(("plug_lost",)),
    "emergency_stop": Expected(("emergency_stop",)),
    "door_open": Expected(("door_open",)),
    "tilted": Expected(("tilted",)),
    "impact": Expected(("impact",)),
    "pilot_short": Expected(("pilot_fault",), rating=_PILOT),
    "pilot_diode": Expected(("pilot_fault",), rating=_PILOT),
    "ac_over_current": Expected(("ac_over_current", "ac_over_current_high"), (StopCause.VEHICLE_FAULT,)),
    "ac_current_lost": Expected(("ac_current_unknown",)),
    "pilot_broken": Expected((), (StopCause.UNPLUGGED,)),
    "pilot_noise": Expected(("pilot_fault",)),
    "latch_pressed": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "cable_coding_wrong": Expected((), (StopCause.INCOMPATIBLE,)),
    "residual_test_fails": Expected(("residual_current_test_failed",), early=True),
    "mains_lost": Expected(("mains_low",)),
    "mains_low": Expected(("mains_low",)),
    "pole_welded": Expected(("output_live",), seconds=SHORT, stays_locked=True),
    "output_sensor_live": Expected(("output_live",), seconds=SHORT, stays_locked=True),
    "earth_lost": Expected(("earth_lost",)),
    "residual_current": Expected(("residual_current",)),
    "proximity_fault": Expected(("proximity_fault",)),
    "lock_stuck": Expected(("lock_failed",), (StopCause.TIMEOUT, StopCause.CHARGER_FAULT), early=True),
    "lock_lost": Expected(("lock_lost",)),
    "contactor_stuck_open": Expected((), (StopCause.TIMEOUT, StopCause.CHARGER_FAULT, StopCause.EMERGENCY), early=True),
    "contactor_welded": Expected(("contactor_welded",), seconds=SHORT),
    "connector_hot": Expected(("connector_over_temperature",), seconds=LONG),
    "connector_worn": Expected(("connector_derated",), (StopCause.LOCAL,), seconds=LONG),
    "io_board_silent": Expected(("io_board_silent",), (StopCause.CHARGER_FAULT, StopCause.EMERGENCY)),
    "module_hot": Expected(("module_over_temperature",), seconds=LONG),
    "module_failed": Expected(("module_failed",), (StopCause.LOCAL,), seconds=SHORT, rating=_BANK),
    "modules_failed": Expected(("no_module_left",), (StopCause.CHARGER_FAULT,), rating=_BANK),
    "modules_disagree": Expected(("modules_disagree",), (StopCause.CHARGER_FAULT,), rating=_BANK),
    "module_bank_silent": Expected(("no_module_left",), (StopCause.CHARGER_FAULT,), rating=_BANK),
    "modules_offer_nothing": Expected((), (StopCause.CHARGER_FAULT, *_VEHICLE)),
    "modules_silent": Expected(("power_modules_silent",)),
    "module_refuses": Expected(("module_refused",)),
    "module_runaway": Expected(
        (
            "over_current",
            "reverse_current",
            "stop_not_followed",
            "vehicle_stop_not_followed",
            "current_without_session",
            "contactor_welded",
            "voltage_not_falling",
        ),
        seconds=SHORT,
    ),
    "over_voltage": Expected(("over_voltage", "over_voltage_emergency", "vehicle_battery_over_voltage")),
    "over_current": Expected(("over_current", "vehicle_current_deviation")),
    "insulation_low": Expected(("insulation_fault",)),
    "coolant_pump_fails": Expected(("coolant_failed",), (StopCause.LOCAL,), seconds=SHORT, rating=_COOLED),
    "coolant_unknown": Expected(("coolant_failed",), (StopCause.LOCAL,), seconds=SHORT, rating=_COOLED),
    "cabinet_module_dies": Expected(("module_lost",), (StopCause.LOCAL,), seconds=SHORT, cabinet=True),
    "cabinet_switch_welded": Expected((), (StopCause.LOCAL,), seconds=SHORT, cabinet=True),
    "cabinet_switch_stuck_open": Expected((), (StopCause.LOCAL,), seconds=SHORT, cabinet=True),
    "cabinet_status_frozen": Expected(("module_lost",), (StopCause.LOCAL,), seconds=SHORT, cabinet=True),
    "cabinet_silent": Expected(("cabinet_silent",), (StopCause.CHARGER_FAULT,), cabinet=True),
    "meter_silent": Expected(("meter_silent",), (StopCause.CHARGER_FAULT,), meter=True),
    "meter_stuck": Expected(("meter_silent", "meter_disagrees"), (StopCause.CHARGER_FAULT,), seconds=180.0, meter=True),
    "meter_backwards": Expected(("meter_runs_backwards",), (StopCause.CHARGER_FAULT,), meter=True),
    "meter_exchanged": Expected(("meter_silent",), (StopCause.CHARGER_FAULT,), meter=True),
    "meter_wrong_scale": Expected(("meter_disagrees", "meter_silent"), (StopCause.CHARGER_FAULT,), meter=True),
    "meter_counts_too_little": Expected(("meter_disagrees",), (StopCause.CHARGER_FAULT,), meter=True),
    "meter_disturbed": Expected((), (StopCause.CHARGER_FAULT, StopCause.LOCAL), seconds=SHORT, meter=True),
    "controller_silent": Expected(("controller_silent",)),
    "controller_emergency": Expected(("controller_emergency",), (StopCause.EMERGENCY,)),
    "controller_restarts": Expected((), _VEHICLE),
    "controller_skips_test": Expected((), (StopCause.CHARGER_FAULT,), early=True),
    "controller_ignores_stop": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "controller_keeps_asking": Expected((), (StopCause.LOCAL,), seconds=SHORT, stays_locked=True),
    "ccs_vehicle_emergency": Expected(("controller_emergency",), (StopCause.VEHICLE_FAULT, StopCause.EMERGENCY)),
    "ccs_no_request": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "ccs_stops_discharge": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "ccs_lies_about_charge": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "ccs_contactor_welded": Expected(("vehicle_contactor_welded",), seconds=SHORT),
    "ccs_contactor_opens": Expected((), (StopCause.VEHICLE_FAULT, StopCause.EMERGENCY)),
    "ccs_plug_lost": Expected((), (StopCause.VEHICLE_FAULT, StopCause.EMERGENCY, StopCause.UNPLUGGED)),
    "ac_ignores_limit": Expected(("ac_over_current", "ac_over_current_high"), (StopCause.VEHICLE_FAULT,)),
    "ac_ignores_stop": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "ac_stays_in_c": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "ac_drops_out": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "ac_current_in_b": Expected((), (StopCause.LOCAL,), seconds=SHORT),
    "ac_diode_missing": Expected(("pilot_fault",)),
    "ac_sleeps": Expected((), (StopCause.LOCAL,), early=True, seconds=SHORT),
    "ac_plug_lost": Expected((), (StopCause.UNPLUGGED,)),
}
# What an AC output does differently: a contact that does not open leaves mains voltage in the connector, and contacts hardly warm at its currents.
_PILOT_ROWS = {
    "contactor_welded": Expected(("contactor_welded",), seconds=SHORT, stays_locked=True),
    "connector_worn": Expected((), (StopCause.LOCAL,), seconds=SHORT),
}
# What not every link has: who plays the vehicle, power modules, the station's own lock and proximity, a current that a control pilot offers.
_OF_SIMULATOR = {VEHICLE: _CHADEMO, SECC: _SECC, AC_VEHICLE: _AT_PILOT, MODULES: _CHADEMO | _SECC}
_LOCK = ("lock_stuck", "lock_lost", "proximity_fault")
_OFFER = ("ac_over_current", "ac_current_lost")


def _links(name: str) -> frozenset[str]:
    if _ROWS[name].rating is _COOLED:
        return _CHADEMO | _SECC
    if name in _LOCK:
        return _CHADEMO | _AT_PILOT
    return _AT_PILOT if FAULTS[name].link or name in _OFFER else _OF_SIMULATOR.get(FAULTS[name].simulator, ALL)


EXPECTED = {name: replace(row, links=_links(name)) for name, row in _ROWS.items()}


def expected(name: str, link: str) -> Expected:
    """Return what is expected of a fault with a vehicle link."""
    return _PILOT_ROWS.get(name, EXPECTED[name]) if link == vehicle_link.PILOT else EXPECTED[name]


@dataclass(frozen=True)
class Outcome:
    """What happened after a fault was injected. Times in seconds after the injection; NaN where it did not happen."""

    fault: str
    injected: float
    raised: tuple[FaultEvent, ...]
    permit_after: float
    power_off_after: float
    reaction: Reaction
    stop_cause: StopCause
    end_state: ChargeState
    locked_in: str
    problems: tuple[str, ...]


def judge(name: str, track: Track, injected: float, locked_in: str = "") -> Outcome:
    """Compare what was seen with the fault table.

    injected: when [s of the ROS clock], NaN where it never came about. locked_in: why the connector could not be pulled, "" where it could.
    """
    raised = tuple(event for event in track.faults if event.active and event.stamp >= injected)
    reaction = max((event.reaction for event in raised), default=Reaction.NONE)
    permit = next((time for permit, time in track.permits if not permit and time >= injected), nan)
    off = track.power_off_after(injected)
    problems = (
        _ending(expected(name, track.link), track, locked_in)
        + _raising(expected(name, track.link), raised, track)
        + _table(raised)
        + _times(raised, reaction, track, off)
    )
    if not isfinite(injected):
        problems = [f"{name} was never injected: the session did not get that far"]
    return Outcome(
        fault=name,
        injected=injected,
        raised=raised,
        permit_after=permit - injected,
        power_off_after=off,
        reaction=reaction,
        stop_cause=track.session.stop_cause,
        end_state=track.end_state,
        locked_in=locked_in,
        problems=tuple(dict.fromkeys(problems)),
    )


def _ending(row: Expected, track: Track, locked_in: str) -> list[str]:
    """Check what holds after every fault: the session is over and no power flows."""
    over = track.has_ended if row.stays_locked else track.is_over
    problems = [] if over else [f"the session did not end; it is in {track.session.state.name}"]
    if row.stays_locked and not locked_in:
        problems.append("the connector could be pulled although it is live")
    if track.currents and abs(track.currents[-1][0]) > NO_CURRENT:
        problems.append(f"{track.currents[-1][0]:.0f} A still flow")
    if track.safety.permit:
        problems.append("the permit is still there")
    if track.has_ended and track.record is None and isfinite(track.entered(ChargeState.CHARGING)):
        problems.append("the billing record was not closed")
    return problems


def _raising(row: Expected, raised: tuple[FaultEvent, ...], track: Track) -> list[str]:
    names = {event.fault for event in raised}
    problems = []
    if row.faults and names.isdisjoint(row.faults):
        problems.append(f"none of {', '.join(row.faults)} was raised, but {', '.join(sorted(names)) or 'nothing'}")
    if row.causes and track.session.stop_cause not in row.causes:
        wanted = " or ".join(cause.name for cause in row.causes)
        problems.append(f"the session ended by {track.session.stop_cause.name}, not by {wanted}")
    return problems


def _table(raised: tuple[FaultEvent, ...]) -> list[str]:
    """Check that each fault was raised with a reaction that its row knows."""
    problems = []
    for event in raised:
        row = BY_NAME.get(event.fault)
        known = {effect.reaction for effect in (row.energised, row.idle) if effect} if row else set()
        if event.reaction not in known:
            problems.append(f"{event.fault} was raised as {event.reaction.name}, which its row does not know")
    return problems


def _times(raised: tuple[FaultEvent, ...], reaction: Reaction, track: Track, off: float) -> list[str]:
    """Check that the permit fell and the power was off in time, counted from the first event of the strongest reaction."""
    first = next((event.stamp for event in raised if event.reaction is reaction), nan)
    problems = []
    # A stale input takes the permit away before its silence becomes a fault, so the permit may have fallen already.
    if reaction is Reaction.EMERGENCY and track.permit_at(first + PERMIT_TIME):
        problems.append(f"the permit was still there {PERMIT_TIME * 1e3:.0f} ms after the fault")
    limit = {Reaction.EMERGENCY: EMERGENCY_TIME, Reaction.STOP: STOP_TIME}.get(reaction)
    if limit is not None and not track.power_off_after(first) <= limit:
        problems.append(f"power was off {track.power_off_after(first):.2f} s after {reaction.name}, not within {limit:.1f} s")
    if not isfinite(off):
        problems.append("power did not go off")
    return problems
