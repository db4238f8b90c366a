"""What must hold after every tick of a session with an AC output (vehicle link pilot), by the truth of board and vehicle. See campaign_invariants.py.

Numbers: ../shared/reference/can.md section 3.
"""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Any

from evse_core.control_pilot import LEAST, STEADY, cable_current, current_of
from evse_core.types import ChargeRecord, ChargeState, Reaction, SimVehicleLines
from evse_simulators.ac_board import AcSide
from evse_simulators.ac_vehicle import RESISTOR_C, RESISTOR_D
from evse_simulators.campaign_invariants import (
    BLIND_TIME,
    EMERGENCY_MEMORY,
    SECOND_FAULT_TIME,
    BilledOnce,
    PowerNeedsPermit,
    RegisterRises,
)
from evse_simulators.campaign_observation import Excuses, Lasting
from evse_simulators.campaign_world import CampaignWorld, Sent

# The board's own opening, from the change at its end of the wire (can.md 3.3: C to B, pilot lost). [s]
REACTION = 0.1
# Current at which a contactor may open: can.md 4, normal stop. [A]
OPENING_CURRENT = 1.0
# A vehicle that has left state C by itself is why the contactor opens so soon after. Own choice: the board's time, twice. [s]
LEFT_MEMORY = 0.2
# Voltage behind a contactor that was told to open, and at a connector that is free: contactor, board and own margin. [s]
LIVE_TIME = 1.0
# Excess over what is offered that a station may allow (can.md 3.3). [1], [A]
EXCESS, EXCESS_OFFSET = 1.1, 0.5
# What a vehicle has to follow a duty cycle, and its ramp (can.md 3.3: 5 s); the same for one that does not listen: soft over-current 7 s, stop 3 s, cut. [s]
FOLLOWING, DEAF = 5.0 + 1.5, 7.0 + 3.0 + 2.0
# A cable that is pulled or whose coding changes: the board tells within 0.05 s, the station takes its offer back, the board follows. [s]
CABLE_TIME = 0.5
# A budget comes every 1 s, holds for 5 s, and a new duty cycle waits for 5 s after the last (can.md 3.3). [s]
BUDGET_TIME = 1.0 + 5.0 + 5.0 + 0.5
# Least time between two duty cycles (can.md 3.3). [s]
OFFER_TIME = 5.0
# A current that is signalled although nobody is authorised: stale commands die after 0.2 s on the board, and hand-overs. [s]
UNAUTHORISED_TIME = 0.5
# Faults in which contacts do not open, and in which the vehicle does not do what the pilot says.
WELDED = frozenset({"contactor_welded", "pole_welded"})
DEAF_VEHICLE = frozenset({"ac_ignores_limit", "ac_ignores_stop"})
# Time from a simulated fault in a running charge to no current: the board's own reaction (0.1 s), or the debounce of the fault's row in
# evse_core/fault_table.py, plus hand-overs and contactor; a STOP lets the vehicle ramp down for 3 s. Others need not end the flow of power at once. [s]
REACTION_TIME = {
    "emergency_stop": 0.5,
    "door_open": 0.7,
    "tilted": 1.0,
    "impact": 0.5,
    "earth_lost": 0.6,
    "proximity_fault": 0.6,
    "residual_current": 0.2,
    "contactor_stuck_open": 0.2,
    "pilot_short": 0.2,
    "pilot_broken": 0.2,
    "pilot_noise": 0.5,
    "mains_lost": 0.2,
    "io_board_silent": 1.0,
    "ac_plug_lost": 0.25,
    "ac_drops_out": 0.25,
    "ac_current_in_b": 0.25,
    "mains_low": 1.0 + 3.0 + 1.0,
}


@dataclass(slots=True)
class AcObservation:
    """The truth after a tick: A, Wh, %; `ready` is the vehicle's state C (D where ventilated) on an intact pilot, `allowed` what cable, rating and site permit.

    `told_open`: no command that holds closes the contactor. `emergency` says that something is being cut, or has to stop because of a fault.
    """

    now: float = 0.0
    free: bool = False
    ready: bool = True
    simplified: bool = False
    contactor_closed: bool = True
    live: bool = True
    told_open: bool = False
    current: float = 0.0
    duty: float = STEADY
    allowed: float = 32.0
    rated: float = 32.0
    phases: int = 3
    authorised: bool = True
    emergency: bool = False
    sent: tuple[Sent, ...] = ()
    state: ChargeState = ChargeState.UNKNOWN
    register_wh: float = 0.0
    export_register_wh: float = 0.0
    records: tuple[ChargeRecord, ...] = ()
    faults: frozenset[str] = frozenset()

    @property
    def offered(self) -> float:
        """What the duty cycle stands for [A], 0 for nothing."""
        return current_of(self.duty) if 0.0 < self.duty < STEADY else 0.0

    @property
    def welded(self) -> bool:
        """A contact does not open, by a fault."""
        return not self.faults.isdisjoint(WELDED)


def observe(world: CampaignWorld, emergency: bool, durable: bool) -> AcObservation:
    """Look at a world after a tick; `durable`: only what is on disk counts as register."""
    board, ac = world.board, _side(world)
    lines = board._vehicle.value if board._vehicle is not None else SimVehicleLines()
    sequencer = world.config.sequencer
    cable = cable_current(lines.cable_resistance) if sequencer.socket_outlet else inf
    rated = min(sequencer.max_current, cable if cable >= 0.0 else 0.0)
    return AcObservation(
        now=world.now,
        free=not lines.plugged or (sequencer.socket_outlet and not board.locked),
        ready=_is_ready(lines, ac, sequencer.ventilated),
        simplified=bool(getattr(world.vehicle.config, "simplified", False)),
        contactor_closed=board.contactor_closed,
        live=ac.connected_phases > 0 and ac.mains_voltage > 0.0,
        told_open=not board._effective(world.now).close,
        current=max(ac.currents),
        duty=ac.duty,
        allowed=min(rated, world.config.site_power / (ac.phases * sequencer.phase_voltage)),
        rated=rated,
        phases=ac.phases,
        authorised=world.session.session_active and world.session.token in world.config.tokens,
        emergency=emergency or world.safety_state.reaction >= Reaction.STOP,
        sent=tuple(world.sent),
        state=world.session.state,
        register_wh=world.ledger.durable_register_wh if durable else world.ledger.register_wh,
        records=tuple(world.records),
        faults=frozenset((*world.vehicle.faults.active, *board.faults.active)),
    )


def _side(world: CampaignWorld) -> AcSide:
    assert world.board.ac is not None
    return world.board.ac


def _is_ready(lines: SimVehicleLines, ac: AcSide, ventilated: bool) -> bool:
    """Return whether the vehicle is ready, by its resistor and the wire. A missing diode shows only while a duty cycle is on."""
    resistors = {RESISTOR_C, RESISTOR_D} if ventilated else {RESISTOR_C}
    intact = ac._faults.isdisjoint({"pilot_short", "pilot_broken"}) and ac.powered
    diode = lines.pilot_diode and "pilot_diode" not in ac._faults
    modulated = 0.0 < ac.duty < STEADY
    return lines.plugged and lines.pilot_resistance in resistors and intact and (diode or not modulated)


class SupplyWithoutVehicle:
    """The contactor is not closed for more than 100 ms in states A, B, E and F."""

    name = "supply_without_vehicle"

    def __init__(self, excuses: Excuses) -> None:
        self._closed = Lasting()

    def __call__(self, seen: AcObservation) -> str:
        held = self._closed.time(seen.contactor_closed and not seen.ready and "contactor_welded" not in seen.faults, seen.now)
        return f"contactor closed for {held:.3f} s without a vehicle that is ready" if held > REACTION + 1e-6 else ""


class LiveOutput:
    """No voltage behind a contactor that was told to open, nor at a free connector, for more than a second."""

    name = "live_output"

    def __init__(self, excuses: Excuses) -> None:
        self._open, self._free = Lasting(), Lasting()
        self._allowed = LIVE_TIME + excuses.slow

    def __call__(self, seen: AcObservation) -> str:
        live = seen.live and not seen.welded
        open_for, free_for = self._open.time(live and seen.told_open, seen.now), self._free.time(live and seen.free, seen.now)
        if max(open_for, free_for) <= self._allowed:
            return ""
        return f"live for {open_for:.2f} s with the contactor told open, {free_for:.2f} s at a free connector"


class OpensWithoutCurrent:
    """The contactor does not open above 1 A, except in a fault, where the vehicle left state C by itself, and where it does not read the pilot.

    A station or board that is kept from seeing the pilot has to open, whatever flows.
    """

    name = "contactor_opened_under_current"

    def __init__(self, excuses: Excuses) -> None:
        self._was, self._current = False, 0.0
        self._emergency = self._left = -inf
        self._blind = excuses.blind
        self._memory = EMERGENCY_MEMORY + excuses.slow

    def __call__(self, seen: AcObservation) -> str:
        opened, current = self._was and not seen.contactor_closed, self._current
        self._was, self._current = seen.contactor_closed, seen.current
        self._emergency = seen.now if seen.emergency else self._emergency
        self._left = seen.now if not seen.ready or "pilot_noise" in seen.faults else self._left
        if not opened or current <= OPENING_CURRENT or self._blind or seen.simplified or seen.faults & DEAF_VEHICLE:
            return ""
        excused = seen.now - self._emergency <= self._memory or seen.now - self._left <= LEFT_MEMORY
        return "" if excused else f"opened at {current:.1f} A in {seen.state.name}"


class CurrentWithinOffer:
    """No phase carries more than what was offered lately, by more than 10 % and 0.5 A."""

    name = "ac_over_current"

    def __init__(self, excuses: Excuses) -> None:
        self._offers: deque[tuple[float, float]] = deque()
        self._over = Lasting()
        self._more = (BLIND_TIME if excuses.blind else SECOND_FAULT_TIME if excuses.disturbed else 0.0) + excuses.slow

    def __call__(self, seen: AcObservation) -> str:
        if not self._offers or self._offers[-1][1] != seen.offered:
            self._offers.append((seen.now, seen.offered))
        while len(self._offers) > 1 and self._offers[1][0] < seen.now - FOLLOWING:
            self._offers.popleft()
        limit = max(offer for _, offer in self._offers) * EXCESS + EXCESS_OFFSET
        over = self._over.time(seen.current > limit, seen.now)
        deaf = seen.simplified or bool(seen.faults & DEAF_VEHICLE)
        return f"{seen.current:.1f} A for {over:.2f} s, {limit:.1f} A are allowed" if over > (DEAF if deaf else 0.0) + self._more else ""


class OfferAllowed:
    """Nothing is offered above rating and cable, nor above what the site has, for longer than it takes to tell."""

    name = "offer_too_high"

    def __init__(self, excuses: Excuses) -> None:
        self._rated, self._over = Lasting(), Lasting()
        self._cable_time = CABLE_TIME + (BLIND_TIME if excuses.blind else SECOND_FAULT_TIME if excuses.disturbed else 0.0) + excuses.slow
        self._allowed = BUDGET_TIME + excuses.slow
        self._skip = excuses.other_budget

    def __call__(self, seen: AcObservation) -> str:
        if self._rated.time(seen.offered > seen.rated + 0.1, seen.now) > self._cable_time:
            return f"{seen.offered:.1f} A offered, cable and rating bear {seen.rated:.1f} A"
        over = self._over.time(seen.offered > seen.allowed + 0.1 and not self._skip, seen.now)
        return f"{seen.offered:.1f} A offered for {over:.1f} s, the site has {seen.allowed:.1f} A" if over > self._allowed else ""


class OfferStands:
    """A duty cycle stands for 5 s before the same vehicle is offered another one."""

    name = "offer_changed_too_soon"

    def __init__(self, excuses: Excuses) -> None:
        self._last, self._since = 0.0, -inf
        self._skip = excuses.forged_commands

    def __call__(self, seen: AcObservation) -> str:
        if seen.free:
            self._last, self._since = 0.0, -inf
        if seen.offered < LEAST or seen.offered == self._last:
            return ""
        stood, before = seen.now - self._since, self._last
        self._last, self._since = seen.offered, seen.now
        return f"{before:.1f} A stood for {stood:.2f} s before {self._last:.1f} A" if stood < OFFER_TIME - 1e-6 and not self._skip else ""


class OfferNeedsToken:
    """No duty cycle without a session of somebody who is authorised."""

    name = "offer_without_token"

    def __init__(self, excuses: Excuses) -> None:
        self._offered = Lasting()
        self._allowed = UNAUTHORISED_TIME + excuses.slow

    def __call__(self, seen: AcObservation) -> str:
        held = self._offered.time(seen.offered > 0.0 and not seen.authorised, seen.now)
        return f"{seen.offered:.1f} A offered for {held:.2f} s to nobody" if held > self._allowed else ""


class PhasesWithoutCurrent:
    """The number of phases changes only with an open contactor and without current."""

    name = "phases_switched_under_current"

    def __init__(self, excuses: Excuses) -> None:
        self._was: AcObservation | None = None

    def __call__(self, seen: AcObservation) -> str:
        before, self._was = self._was, seen
        if before is None or before.phases == seen.phases:
            return ""
        safe = not before.contactor_closed and before.current == 0.0
        return "" if safe else f"{before.phases} to {seen.phases} phases at {before.current:.1f} A"


class FaultReaction:
    """A fault that has to end the flow of power does so within its time."""

    name = "no_reaction"

    def __init__(self, excuses: Excuses) -> None:
        self._more = (BLIND_TIME if excuses.blind else SECOND_FAULT_TIME if excuses.disturbed else 0.0) + excuses.slow
        self._since: dict[str, float] = {}

    def __call__(self, seen: AcObservation) -> str:
        flows = seen.current > OPENING_CURRENT and not seen.welded
        held = {name for name in seen.faults if name in REACTION_TIME and flows}
        self._since = {name: self._since.get(name, seen.now) for name in held}
        late = (name for name, since in self._since.items() if seen.now - since > REACTION_TIME[name] + self._more)
        return next((f"{seen.current:.1f} A, {seen.now - self._since[name]:.2f} s after {name}" for name in late), "")


AC_INVARIANTS: tuple[Any, ...] = (
    SupplyWithoutVehicle,
    LiveOutput,
    OpensWithoutCurrent,
    PowerNeedsPermit,
    CurrentWithinOffer,
    OfferAllowed,
    OfferStands,
    OfferNeedsToken,
    PhasesWithoutCurrent,
    RegisterRises,
    BilledOnce,
    FaultReaction,
)
