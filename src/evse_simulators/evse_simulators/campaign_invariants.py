"""What must hold after every tick of every session, whatever happens to it: each invariant looks at the ground truth of the models, not at what rules believe.

An invariant returns "" or what is wrong in words. Allowed times are constants with their sources; "can.md" is ../shared/reference/can.md. What no rule can
prevent is excused by name, in `Excuses` (campaign_observation.py): two broken parts that together bridge every contactor, for example.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Any

from evse_core.safety_config import SafetyConfig
from evse_core.safety_view import CurrentEnvelope
from evse_core.types import ChargeRecord
from evse_simulators.campaign_observation import Excuses, Lasting, Observation

# Voltage that may be touched, and how long a higher one may be at a free connector: can.md 4, touch voltage. [V], [s]
TOUCH_VOLTAGE, TOUCH_TIME = 60.0, 1.0
# Current at which a contactor may open: can.md 4, normal stop. [A]
OPENING_CURRENT = 5.0
# How long an emergency is an excuse for a contactor that opened under current: the slowest way from the cut to the contact, board timeout 0.2 s and
# LineRelease 0.5 s (docs/design.md, The permit 4 and 6). [s]
EMERGENCY_MEMORY = 1.0
# Age of a permit with which power may be sent: docs/design.md, The permit 2; one hand-over more where it was published. [s]
PERMIT_AGE = 0.2
# Excess over the vehicle's maximum: measuring error, time until it is a fault (can.md 4: > 400 ms), and frames, permit and contactor until it is gone. [V], [s]
VOLTAGE_TOLERANCE, OVER_VOLTAGE_TIME = 5.0, 0.4 + 0.4
# Time for which more current may flow than was asked for, ramps and tolerance taken off: can.md 2.3 E1 (0.5 s) and the reaction. [s]
OVER_CURRENT_TIME = 0.5 + 0.5
# The same where the plan broke the modules' control: ramp down 2.5 s (can.md 2.3 E1), then emergency and contactor. [s]
RUNAWAY_TIME = 2.5 + 1.5
# The same where the station cannot know the vehicle's wish, because the plan falsifies its frames: the vehicle itself complains after 5 s (can.md 2.4)
# and gives up 2.5 s later (can.md 2.3 E1). [s]
BLIND_TIME = 5.0 + 2.5 + 1.0
# Current that counts as flowing. [A]
SOME_CURRENT = 1.0
# A budget that was told before the site took its word back holds for so long (energy_manager.valid_for), where the new one is lost. [s]
BUDGET_AGE = 5.0
# Charge is told in whole percent. [%]
SOC_STEP = 1.0
# Current from the vehicle that is more than a sensor's offset or a leak (SafetyConfig.current_tolerance), and how long it may flow below the minimum:
# over_discharge_time and a ramp down. [A], [s]
DISCHARGING_CURRENT, EMPTY_TIME = 10.0, 5.0 + 2.5 + 0.5
# Numerical noise of a register that is a sum. [Wh]
REGISTER_NOISE = 1e-6
# Current below which a fault has been reacted to: can.md 4, emergency end. [A]
GONE_CURRENT = 5.0
# Time from a simulated fault in a running charge to a current below that: debounce of the fault's row in evse_core/fault_table.py (safety_config.py) or limit
# of can.md 2.3 and 2.4, plus 0.5 s for frames and contactor. Faults that are not here need not end the flow of power at once. [s]
REACTION_TIME = {
    "emergency_stop": 0.5,
    "door_open": 0.7,
    "tilted": 1.0,
    "impact": 0.5,
    "pilot_short": 0.6,
    "pilot_diode": 0.6,
    "modules_failed": 0.5,
    "modules_offer_nothing": 1.0,
    "earth_lost": 0.6,
    "residual_current": 0.5,
    "proximity_fault": 0.6,
    "lock_lost": 0.7,
    "plug_lost": 0.5,
    "contactor_stuck_open": 0.5,
    "io_board_silent": 1.0,
    "insulation_low": 1.6,
    "module_refuses": 0.6,
    "modules_silent": 1.1,
    "over_voltage": 1.2,
    "over_current": 1.5,
    "vehicle_silent": 1.6,
    "vehicle_fault": 1.0,
    "vehicle_fault_overvoltage": 1.3,
    "vehicle_fault_undervoltage": 1.3,
    "vehicle_fault_temperature": 1.0,
    "vehicle_shift": 1.0,
    "vehicle_stops_permission": 0.8,
    "vehicle_contactor_opens": 0.5,
    "controller_silent": 0.5,
    "controller_emergency": 0.5,
    "controller_restarts": 1.0,
    "ccs_vehicle_emergency": 0.5,
    "ccs_contactor_opens": 0.5,
    "ccs_plug_lost": 0.5,
    "vehicle_fault_current_deviation": 6.5,
    "vehicle_fault_voltage_deviation": 6.5,
}
# While the current rises at 20 A/s (SequencerConfig.ramp_up) a command is ahead of what flows, the more the later a word comes; the excess of the fault
# (faults.py) grows by 0.3 of that, so each second of lateness hides it for so many more. [1]
RAMP_LAG = 1.0 / 0.3 + 1.0
# Added where something else is disturbed, too: what hides a fault is itself found within its own time, the slowest a lost vehicle (1 s). [s]
SECOND_FAULT_TIME = 2.0


class FreeConnector:
    """No voltage above 60 V on an unlocked or unplugged connector after its allowed time."""

    name = "voltage_on_free_connector"

    def __init__(self, excuses: Excuses) -> None:
        self._allowed = TOUCH_TIME + excuses.slow
        self._live = Lasting()

    def __call__(self, seen: Observation) -> str:
        free = not (seen.locked and seen.plugged)
        live = self._live.time(free and seen.connector_voltage > TOUCH_VOLTAGE and not bridged(seen.faults), seen.now)
        if live <= self._allowed:
            return ""
        return f"{seen.connector_voltage:.0f} V for {live:.2f} s, {'un' * (not seen.plugged)}plugged, {'' if seen.locked else 'not '}locked"


def bridged(faults: frozenset[str]) -> bool:
    """Return whether broken parts alone keep a connector live whose lock is broken, too."""
    free = not faults.isdisjoint({"lock_lost", "lock_stuck", "plug_lost"})
    fed = "contactor_welded" in faults and not faults.isdisjoint({"module_runaway", "over_voltage", "over_current"})
    return free and ("vehicle_contactor_welded" in faults or fed)


class ContactorUnderCurrent:
    """No contactor opens above the allowed current, except in an emergency."""

    name = "contactor_opened_under_current"

    def __init__(self, excuses: Excuses) -> None:
        self._was = (False, False)
        self._current = 0.0
        self._emergency = -inf

    def __call__(self, seen: Observation) -> str:
        now = (seen.contactor_closed, seen.vehicle_contactor_closed)
        opened = [name for name, before, after in zip(("output", "vehicle's"), self._was, now, strict=True) if before and not after]
        current, self._was, self._current = self._current, now, abs(seen.current)
        if seen.emergency:
            self._emergency = seen.now
        if not opened or current <= OPENING_CURRENT or seen.now - self._emergency <= EMERGENCY_MEMORY:
            return ""
        return f"{' and '.join(opened)} contactor opened at {current:.1f} A in {seen.state.name}"


class PowerNeedsPermit:
    """No frame that lets power through leaves without a permit younger than 200 ms."""

    name = "power_without_permit"

    def __init__(self, excuses: Excuses) -> None:
        pass

    def __call__(self, seen: Observation) -> str:
        late = (sent for sent in seen.sent if sent.permit_age > PERMIT_AGE + 1e-9)
        return next((f"{sent.what} with a permit {sent.permit_age:.3f} s old" for sent in late), "")


class VoltageLimit:
    """No output above what the vehicle allows beyond the debounce, while it is connected."""

    name = "over_voltage"

    def __init__(self, excuses: Excuses) -> None:
        self._over = Lasting()
        self._time = OVER_VOLTAGE_TIME + (SECOND_FAULT_TIME if excuses.disturbed else 0.0)

    def __call__(self, seen: Observation) -> str:
        connected = seen.contactor_closed and seen.vehicle_contactor_closed
        over = self._over.time(connected and seen.connector_voltage > seen.max_voltage + VOLTAGE_TOLERANCE, seen.now)
        return f"{seen.connector_voltage:.0f} V for {over:.2f} s, the vehicle allows {seen.max_voltage:.0f} V" if over > self._time else ""


class CurrentLimit:
    """No output above what the vehicle asks for beyond tolerance and debounce."""

    name = "over_current"

    def __init__(self, excuses: Excuses) -> None:
        self._envelope = CurrentEnvelope(SafetyConfig(), SafetyConfig().max_current)
        self._over = Lasting()
        self._blind = excuses.blind
        self._runaway = False

    def __call__(self, seen: Observation) -> str:
        self._runaway |= not seen.faults.isdisjoint({"module_runaway", "over_current", "over_voltage"})
        allowed = self._envelope.step(seen.request, seen.now)
        over = self._over.time(seen.current > allowed, seen.now)
        limit = BLIND_TIME if self._blind else RUNAWAY_TIME if self._runaway else OVER_CURRENT_TIME
        return f"{seen.current:.1f} A for {over:.2f} s, allowed are {allowed:.1f} A" if over > limit else ""


class DischargeLimit:
    """No current flows from the vehicle that the site does not ask for, or that vehicle and station do not permit, beyond tolerance and debounce."""

    name = "discharge_not_permitted"

    def __init__(self, excuses: Excuses) -> None:
        self._envelope = CurrentEnvelope(SafetyConfig(), inf)
        self._over = Lasting()
        self._late = BUDGET_AGE + (BLIND_TIME if excuses.blind else 0.0) + (SECOND_FAULT_TIME if excuses.disturbed else 0.0) + excuses.slow
        self._runaway = False

    def __call__(self, seen: Observation) -> str:
        self._runaway |= not seen.faults.isdisjoint({"module_runaway", "over_current", "over_voltage"})
        allowed = self._envelope.step(seen.permitted_discharge, seen.now)
        over = self._over.time(seen.current < -allowed, seen.now)
        limit = self._late + (RUNAWAY_TIME if self._runaway else OVER_CURRENT_TIME)
        return f"{seen.current:.1f} A for {over:.2f} s, permitted are {-allowed:.1f} A" if over > limit else ""


class ChargeThatStays:
    """No vehicle is discharged below what must stay in it, unless it lies about its charge."""

    name = "discharged_too_far"

    def __init__(self, excuses: Excuses) -> None:
        self._flows = Lasting()
        self._forged = excuses.forged_vehicle
        self._lied = False
        self._time = EMPTY_TIME + (BLIND_TIME if excuses.blind else 0.0) + (SECOND_FAULT_TIME if excuses.disturbed else 0.0) + excuses.slow

    def __call__(self, seen: Observation) -> str:
        self._lied |= not seen.faults.isdisjoint({"vehicle_lies_about_charge", "ccs_lies_about_charge"})
        empty = seen.soc_percent < seen.min_soc_percent - SOC_STEP
        flows = self._flows.time(empty and seen.current < -DISCHARGING_CURRENT and not self._lied and not self._forged, seen.now)
        return f"{seen.current:.1f} A for {flows:.2f} s at {seen.soc_percent:.1f} %" if flows > self._time else ""


class Incompatible:
    """A vehicle that does not fit is never energised."""

    name = "incompatible_energised"

    def __init__(self, excuses: Excuses) -> None:
        self._skip = excuses.forged_vehicle

    def __call__(self, seen: Observation) -> str:
        if self._skip or not seen.incompatible or not seen.plugged:
            return ""
        if seen.contactor_closed:
            return f"output contactor closed in {seen.state.name}"
        return f"{seen.current:.1f} A" if abs(seen.current) > SOME_CURRENT else ""


class RegisterRises:
    """No register ever decreases."""

    name = "register_decreased"

    def __init__(self, excuses: Excuses) -> None:
        self._highest: tuple[float, ...] = (-inf, -inf)

    def __call__(self, seen: Observation) -> str:
        now = (seen.register_wh, seen.export_register_wh)
        before, self._highest = self._highest, tuple(map(max, self._highest, now))
        fell = [f"from {old:.3f} to {new:.3f} Wh" for old, new in zip(before, now, strict=True) if new < old - REGISTER_NOISE]
        return ", ".join(fell)


class BilledOnce:
    """No energy is in two records, and no record ends before it begins or above the register."""

    name = "billed_twice"

    def __init__(self, excuses: Excuses) -> None:
        self._known: tuple[ChargeRecord, ...] = ()

    def __call__(self, seen: Observation) -> str:
        if seen.records == self._known:
            return ""
        self._known = seen.records
        end, sessions = -inf, set()
        for record in seen.records:
            if record.begin_register_wh < end - REGISTER_NOISE:
                return f"record {record.record_number} begins at {record.begin_register_wh:.3f} Wh, the one before ended at {end:.3f} Wh"
            if record.session_id in sessions:
                return f"session {record.session_id} has two records"
            end = max(record.end_register_wh, record.begin_register_wh)
            sessions.add(record.session_id)
        return f"record ends at {end:.3f} Wh, register is {seen.register_wh:.3f} Wh" if end > seen.register_wh + REGISTER_NOISE else ""


class FaultReaction:
    """A fault that has to end the flow of power does so within its time."""

    name = "no_reaction"

    def __init__(self, excuses: Excuses) -> None:
        self._slow, self._ramp = excuses.slow, excuses.vehicle_ramp
        self._more = SECOND_FAULT_TIME if excuses.disturbed else 0.0
        self._blind = BLIND_TIME if excuses.blind else 0.0
        self._since: dict[str, float] = {}

    def __call__(self, seen: Observation) -> str:
        if not seen.faults:
            self._since.clear()
            return ""
        flows = abs(seen.current) > GONE_CURRENT
        held = {name for name in seen.faults if name in REACTION_TIME and flows}
        if "contactor_welded" in seen.faults:
            # What is welded does not drop out.
            held.discard("contactor_stuck_open")
        self._since = {name: self._since.get(name, seen.now) for name in held}
        more = max(self._more, self._blind) + (RUNAWAY_TIME if "module_runaway" in seen.faults else 0.0)
        for name, since in self._since.items():
            slow = self._slow * (RAMP_LAG if name == "over_current" else 1.0)
            ramp = self._ramp if name.endswith("_deviation") else 0.0
            if seen.now - since > REACTION_TIME[name] + max(more, slow, ramp):
                return f"{seen.current:.1f} A, {seen.now - since:.2f} s after {name}"
        return ""


INVARIANTS = (
    FreeConnector,
    ContactorUnderCurrent,
    PowerNeedsPermit,
    VoltageLimit,
    CurrentLimit,
    DischargeLimit,
    ChargeThatStays,
    Incompatible,
    RegisterRises,
    BilledOnce,
    FaultReaction,
)


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that does not hold: virtual time [s], its name, and what was seen."""

    at: float
    invariant: str
    detail: str


class Enough(Exception):
    """The invariant that a play was to go on until is broken."""


@dataclass
class Checker:
    """All invariants of one session; each is told once. `until`: the one whose break raises Enough."""

    excuses: Excuses
    broken: list[Broken] = field(default_factory=list)
    kinds: tuple[Any, ...] = INVARIANTS
    until: str = ""

    def __post_init__(self) -> None:
        self._checks = [kind(self.excuses) for kind in self.kinds]

    def keep_only(self, names: frozenset[str]) -> None:
        """Look at no others than these invariants."""
        self._checks = [check for check in self._checks if check.name in names]

    def look(self, seen: Any) -> None:
        """Check one observation."""
        for check in self._checks:
            detail = check(seen)
            if detail:
                self.fail(check.name, seen.now, detail)

    def fail(self, name: str, now: float, detail: str) -> None:
        """Keep that an invariant does not hold, the first time."""
        if all(item.invariant != name for item in self.broken):
            self.broken.append(Broken(round(now, 3), name, detail))
            if name == self.until:
                raise Enough
