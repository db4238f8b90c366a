"""Plays one plan of the campaign in a world: the driver, what goes wrong, then the mechanic who mends it, and the next driver. Looks at the invariants after
every tick.

Theory of operation. First the plan runs until its session is over and nothing of it is left to come; a driver who waits too long presses stop. Then everything
is mended, an operator resets the faults and unlocks, and the connector has to come out. Last, another vehicle charges: whatever happened must leave no trace.
"""

import heapq
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any

from evse_core.charge_sequencer_outputs import ACTIVE
from evse_core.codecs.signals import SignalDatabase
from evse_core.fault_table import BY_NAME, Reset
from evse_core.types import ChargeState, CutCause, Reaction, RecordStatus, StopCause
from evse_simulators import campaign_plan as plans
from evse_simulators.campaign_invariants import Broken, Checker, Excuses, Observation
from evse_simulators.campaign_plan import Action, Disturbance, Plan
from evse_simulators.campaign_world import BOOT, CampaignWorld
from evse_simulators.faults import FAULTS
from evse_simulators.world_config import QUICK_MODULES

# A driver whose session does not end presses stop after this time, and again and again. Own choice. [s]
PATIENCE, AGAIN = 20.0, 5.0
# From the first of these to the end: ramp 2.5 s, welding detection 10 s, closing 5 s, unlocking 5 s, recovery after a restart 10 s
# (evse_core/charge_sequencer_config.py), and as much again for what restarts or falls silent meanwhile. [s]
END_TIME = 40.0
# States in which nothing is energised and nobody is waited for.
QUIET = frozenset(ChargeState) - ACTIVE - {ChargeState.RECOVERING, ChargeState.UNKNOWN}
# How long it must stay quiet: an authorisation is answered within 0.5 s, a restarted board is known after 1.5 s. [s]
SETTLED = 1.0
# From a session's end to a free connector: unlocking, with its second try (SequencerConfig.unlock_timeout). [s]
FREE_TIME = 6.0
# From a mended station to a free connector, and from there to the next driver: recovery 10 s, recovery_time of a fault 5 s, and a margin. [s]
MENDED_TIME, BACK_TIME = 20.0, 20.0
# Time for a mended station to notice, and between two tries of the operator. [s]
NOTICE, TRY_AGAIN = 0.5, 2.0
# Until the lock's motor has moved and the vehicle feels it: three hand-overs and two steps of a board at 20 Hz. [s]
UNLOCKED = 0.25
# The next session: start as can.md 2.3 S0 to S12 with a quick vehicle, and the end. [s]
CHARGE_TIME, FINISH_TIME = 40.0, 30.0
# Energy in the register that no record holds: rounding and the tail of a ramp. [Wh]
UNBILLED = 0.5
# Bill and vehicle agree where the meter saw everything, or was away and asked what it had missed: relative (../shared/reference/can.md 7.3: DC meters 1 %)
# and absolute for short sessions. [1], [Wh]
METER_ERROR, METER_OFFSET = 0.02, 0.5
# Where something breaks the current between two readings: half a period of 100 ms at 50 kW more. [Wh]
BREAK_OFFSET = 0.7
# From a current to the register on disk, besides sync_period: a frame (0.1 s), its report, the next reading, hand-overs. [s]
TO_THE_DISK = 0.5
# Hand-overs from what breaks to what must react: board, bridge, monitor, sequencer, bridge, board, vehicle. [1]
HOPS = 6
_CUT_FAULTS = frozenset(
    {
        "emergency_stop",
        "contactor_stuck_open",
        "plug_lost",
        "vehicle_contactor_opens",
        "ccs_plug_lost",
        "ccs_contactor_opens",
        "ccs_vehicle_emergency",
        "controller_emergency",
        "controller_restarts",
        "controller_silent",
    }
)


@dataclass(frozen=True, slots=True)
class Result:
    """How a plan ended: its outcome in a word, what was injected, what did not hold, and the virtual time [s]."""

    plan: Plan
    outcome: str
    injected: tuple[str, ...]
    broken: tuple[Broken, ...]
    virtual: float


class Play:
    """One plan in one world."""

    world_type: type[CampaignWorld] = CampaignWorld

    def __init__(self, plan: Plan, databases: Mapping[str, SignalDatabase]) -> None:
        self.plan = plan
        self.world = self.world_type(databases, plans.config(plan), plan.seed)
        self.checker = Checker(_excuses(plan, self.world))
        self.injected: list[str] = []
        self.outcome = "no session"
        self._random = Random(plan.seed)
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: list[Action | Disturbance] = [*plan.actions, *plan.disturbances]
        self._ends: list[Callable[[], None]] = []
        self._state: ChargeState | None = None
        self._unfit = False
        self._powered_off = any(item.kind == plans.POWER_FAILURE for item in plan.disturbances)
        # What the vehicle had after each tick, where the mains fail, and what of it no disk can hold. [Wh]
        self._taken: list[float] = []
        self._not_on_disk = 0.0
        self._schedule("")

    def run(self) -> Result:
        """Play to the end; an error raised by a rule is a broken invariant, too."""
        try:
            if self._session() and self._mend() and (self.plan.disturbances or self.plan.number % 10 == 0):
                self._next_session()
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            words = f"{type(error).__name__}: {error} in {place.name}, {place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
            self.checker.fail("rule_raises", self.world.now, words)
        return Result(self.plan, self.outcome, tuple(self.injected), tuple(self.checker.broken), self.world.now)

    # Time

    def _tick(self) -> None:
        while self._due and self._due[0][0] <= self.world.now:
            heapq.heappop(self._due)[2]()
        self.world.tick()
        if self.world.session.state is not self._state:
            self._state = self.world.session.state
            self._schedule(self._state.name)
        if self._powered_off:
            self._taken.append(self.world.vehicle.energy_wh)
        self.checker.look(self._observe())

    def _run(self, seconds: float) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            self._tick()

    def _until(self, condition: Callable[[CampaignWorld], bool], timeout: float) -> bool:
        end = self.world.now + timeout
        while self.world.now < end:
            if condition(self.world):
                return True
            self._tick()
        return condition(self.world)

    def _schedule(self, state: str) -> None:
        """Set the moments that hang on a state that is entered for the first time."""
        found = [item for item in self._waiting if item.when == state]
        self._waiting = [item for item in self._waiting if item.when != state]
        for item in found:
            self._at(item.delay, (lambda item=item: self._begin(item)))  # type: ignore[misc]

    def _at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.world.now + delay, next(self._order), action))

    # What happens

    def _begin(self, item: Action | Disturbance) -> None:
        if isinstance(item, Action):
            getattr(self.world, item.name)()
            return
        self.injected.append(" ".join(word for word in (item.kind, item.target, item.mode) if word))
        end = self._disturb(item)
        ends = self._ends

        def finish() -> None:
            if finish in ends:
                ends.remove(finish)
                end()

        ends.append(finish)
        if item.duration < plans.FOR_EVER:
            self._at(item.duration, finish)

    def _disturb(self, item: Disturbance) -> Callable[[], None]:
        """Begin a disturbance; return what ends it."""
        world = self.world
        if item.kind == plans.FAULT:
            world.inject(item.target)
            if item.share > 0.0:
                self._bounce(item, world.now + item.duration)
            return lambda: _nothing(world.heal(item.target))
        if item.kind in {plans.LINK, plans.TOPIC}:
            filtered = world.disturb(item, Random(self._random.getrandbits(32)))
            return lambda: world.leave_alone(filtered)
        if item.kind == plans.RULE:
            (world.kill if item.mode == "killed" else world.pause)(item.target)
            return lambda: world.bring_back(item.target)
        self._not_on_disk += self._taken_since(world.config.meter.sync_period + TO_THE_DISK)
        world.fail_power()
        return self._power_back

    def _taken_since(self, seconds: float) -> float:
        """Return what the vehicle got in the last seconds [Wh]."""
        ticks = round(seconds / self.world.config.tick)
        return self._taken[-1] - (self._taken[-ticks] if ticks <= len(self._taken) else 0.0) if self._taken else 0.0

    def _power_back(self) -> None:
        self.world.restore_power()
        for rule in plans.RULES:
            self._at(BOOT, (lambda rule=rule: self.world.bring_back(rule)))  # type: ignore[misc]

    def _bounce(self, item: Disturbance, until: float) -> None:
        """Open and close a contact or a line until its time is over; finish heals it."""

        def flip() -> None:
            if self.world.now < until:
                (self.world.heal if self._holds(item.target) else self.world.inject)(item.target)
                self._bounce(item, until)

        self._at(item.share, flip)

    def _holds(self, fault: str) -> bool:
        world = self.world
        return fault in world.vehicle.faults or fault in world.modules.faults or fault in world.board.faults

    # What is seen

    def _observe(self) -> Observation:
        world = self.world
        power, board, vehicle = world.power, world.board, world.vehicle
        faults = frozenset((*vehicle.faults.active, *board.faults.active, *world.modules.faults.active))
        named = "vehicle_incompatible" in faults
        if not vehicle.plugged:
            self._unfit = named or plans.incompatible(vehicle.config, world.config)
        elif self._unfit and not named:
            self._unfit = plans.incompatible(vehicle.config, world.config)
        return Observation(
            world.now,
            power.module_voltage,
            power.connector_voltage,
            power.current,
            vehicle.plugged,
            world.locked,
            board.contactor_closed,
            vehicle.contactor_closed,
            self._emergency(faults),
            tuple(world.sent),
            vehicle.config.max_voltage,
            vehicle.request,
            self._unfit,
            world.session.state,
            world.ledger.durable_register_wh if self._powered_off else world.ledger.register_wh,
            tuple(world.records),
            faults,
            world.asked_power,
        )

    def _emergency(self, faults: frozenset[str]) -> bool:
        """Return whether something is being cut, by a rule, by the board itself, or because a rule is not there."""
        world = self.world
        cut = world.cut_cause is not CutCause.NONE or world.session.state is ChargeState.EMERGENCY or world.vehicle.emergency
        return cut or bool(world.down) or not world.powered or world.board.holds_open(world.now) or not faults.isdisjoint(_CUT_FAULTS)

    # The session

    def _session(self) -> bool:
        """Let the plan happen; return whether it came to an end."""
        began = quiet = pressed = -1.0
        while True:
            self._tick()
            world = self.world
            now, state = world.now, world.session.state
            if state in ACTIVE and world.session.session_active:
                began = now if began < 0.0 else began
                self.outcome = "unfinished"
            if state in QUIET and not world.down and world.powered and not self._coming():
                quiet = now if quiet < 0.0 else quiet
                if now - quiet >= SETTLED and now > plans.READY:
                    break
            else:
                quiet = -1.0
            since = max(began, self._last_event()) + PATIENCE if began >= 0.0 else self._last_event() + PATIENCE
            if now > max(since, pressed + AGAIN):
                pressed = now
                world.stop()
            if now > since + END_TIME:
                self.checker.fail("session_ends", now, f"still in {state.name} {now - began:.0f} s after it began")
                return False
        self._note_outcome()
        return self._free_by_itself()

    def _coming(self) -> bool:
        """Return whether something of the plan is still to happen that does not hang on a state."""
        return bool(self._due)

    def _last_event(self) -> float:
        return max((due[0] for due in self._due), default=0.0)

    def _note_outcome(self) -> None:
        causes = [cause for cause in (record.stop_cause for record in self.world.records) if cause is not StopCause.NONE]
        session = self.world.session
        if session.stop_cause not in {StopCause.NONE, StopCause.UNKNOWN}:
            self.outcome = f"{session.stop_cause.name} {session.state.name}"
        elif causes:
            self.outcome = f"{causes[-1].name} {session.state.name}"
        elif self.outcome == "unfinished":
            self.outcome = f"RESTART {session.state.name}"

    def _free_by_itself(self) -> bool:
        """Where nothing is broken any more, the connector comes free without help, unless a fault waits for the operator."""
        if self._ends or self._operator_needed():
            return True
        free = self._until(lambda world: not world.locked or self._operator_needed(), FREE_TIME)
        if not free:
            self.checker.fail(
                "connector_free", self.world.now, f"locked in {self.world.session.state.name}, faults {self.world.safety_state.faults}"
            )
        return True

    def _operator_needed(self) -> bool:
        held = [BY_NAME[name] for name in self.world.safety_state.faults]
        return any(Reset.OPERATOR in {effect.reset for effect in (fault.energised, fault.idle) if effect} for fault in held)

    # The mechanic and the operator

    def _mend(self) -> bool:
        """Heal everything, reset, unlock, unplug; return whether the station is back in service."""
        self._due.clear()
        self._waiting.clear()
        for end in list(self._ends):
            end()
        for name in FAULTS:
            if self._holds(name):
                self.world.heal(name)
        self._until(lambda world: not world.down, BOOT + 1.0)
        self.world.cool_down()
        self._run(NOTICE)
        if not self._try(lambda world: not world.locked, MENDED_TIME):
            self.checker.fail("connector_free", self.world.now, f"locked after mending: {self._words()}")
            return False
        self._bill()
        self._run(UNLOCKED)
        if self.world.vehicle.plugged and not self.world.unplug().success:
            self.checker.fail("connector_free", self.world.now, f"cannot be unplugged after mending: {self._words()}")
            return False
        # Who seems to restart in a loop bars the next session for as long as restarts are counted.
        loop = "node_restarting" in self.world.safety_state.faults
        if not self._try(_in_service, BACK_TIME + (self.world.config.safety.restart_window if loop else 0.0)):
            self.checker.fail("back_in_service", self.world.now, self._words())
            return False
        return True

    def _try(self, condition: Callable[[CampaignWorld], bool], timeout: float) -> bool:
        """Let the operator reset, unlock and enable again and again until the condition holds."""
        end = self.world.now + timeout
        while self.world.now < end:
            if condition(self.world):
                return True
            self.world.reset_faults()
            self._until(condition, 0.5)
            if self.world.locked:
                self.world.remote_unlock()
            if not self.world.session.available:
                self.world.enable()
            if self.world.session.state in {ChargeState.AUTHORIZING, ChargeState.AUTHORIZED}:
                self.world.stop()
            self._until(condition, TRY_AGAIN)
        return condition(self.world)

    def _words(self) -> str:
        world = self.world
        return f"{world.session.state.name}, faults {', '.join(world.safety_state.faults) or 'none'}, {world.session.stop_detail}"

    def _bill(self) -> None:
        """Compare register, records and, where the meter saw or was told everything, the vehicle."""
        world = self.world
        if not self._until(lambda world: world.record is None, world.config.meter.resume_time + world.config.meter.settle_time):
            self.checker.fail("energy_billed", world.now, "a record is still open")
        billed = sum(max(record.end_register_wh - record.begin_register_wh, 0.0) for record in world.records)
        if abs(world.meter.register_wh - billed) > UNBILLED and not self.checker.excuses.false_readings:
            self.checker.fail("energy_billed", world.now, f"register {world.meter.register_wh:.2f} Wh, billed {billed:.2f} Wh")
        taken = world.vehicle.energy_wh
        tolerance = METER_OFFSET + METER_ERROR * taken + (BREAK_OFFSET if self.plan.disturbances else 0.0)
        if _measured(self.plan) and world.vehicle.plugged and not -tolerance <= taken - billed <= tolerance + self._not_on_disk:
            self.checker.fail("energy_billed", world.now, f"billed {billed:.2f} Wh, the vehicle got {taken:.2f} Wh")

    # The next driver

    def _next_session(self) -> None:
        world = self.world
        world.config = replace(world.config, site_power=QUICK_MODULES.max_power)
        world.next_vehicle(plans.quick_vehicle(self.plan.link))
        self._run(0.2)
        if world.session.state in {ChargeState.AUTHORIZING, ChargeState.AUTHORIZED}:
            # A token of the last driver that was held up on its way: this one sees it and cancels it.
            world.stop()
            self._run(1.0)
        for action in (world.plug_in, world.token, world.start):
            action()
            self._run(0.3)
        charges = self._until(lambda world: world.session.state is ChargeState.CHARGING and world.power.current > 5.0, CHARGE_TIME)
        if not charges:
            self.checker.fail("next_session", world.now, f"does not charge: {self._words()}")
            return
        self._run(0.3)
        world.stop()
        ends = self._until(lambda world: world.session.state in {ChargeState.FINISHED, ChargeState.FAULTED}, FINISH_TIME)
        well = ends and world.session.state is ChargeState.FINISHED and world.session.stop_cause is StopCause.LOCAL
        if not well or world.records[-1].status is not RecordStatus.CLOSED or not world.unplug().success:
            self.checker.fail("next_session", world.now, f"does not end well: {self._words()}")


def _nothing(_: Any) -> None:
    """Drop an answer."""


def _measured(plan: Plan) -> bool:
    """Return whether the meter saw everything or was told of it: nothing between the modules and the register was disturbed, and one session took it all.

    A meter that is away asks can_bridge afterwards, unless the mains failed meanwhile: then nobody knows.
    """
    between = {"POWER.rx", "power_report", "session_state", "can_bridge", "modules_silent"}
    plugged_once = sum(action.name == "plug_in" for action in plan.actions) == 1
    away = any(item.target == "energy_meter" for item in plan.disturbances) and any(
        item.kind == plans.POWER_FAILURE for item in plan.disturbances
    )
    return plugged_once and not away and all(item.target not in between for item in plan.disturbances)


def _in_service(world: CampaignWorld) -> bool:
    """Return whether the next driver may come: a fault that bars a session shows in the state a step after it came."""
    return world.session.state is ChargeState.AVAILABLE and world.safety_state.reaction < Reaction.BLOCK


def _excuses(plan: Plan, world: CampaignWorld) -> Excuses:
    """Return what no rule can mend in this plan."""
    kinds = {item.kind for item in plan.disturbances}
    links = {(item.target, item.mode) for item in plan.disturbances if item.kind == plans.LINK}
    blind = any(target.endswith(".rx") for target, _ in links)
    return Excuses(
        blind=blind,
        disturbed=len(plan.disturbances) > 1 or bool(kinds - {plans.FAULT}),
        forged_vehicle=("VEHICLE.rx", "corrupted") in links,
        false_readings=any(("POWER.rx", mode) in links for mode in ("corrupted", "stuck", "frozen")),
        vehicle_ramp=_own_ramp(world) if any(action.name == "stop_vehicle" for action in plan.actions) else 0.0,
        slow=HOPS * (world.config.hand_over - 1) * world.config.tick,
    )


def _own_ramp(world: CampaignWorld) -> float:
    """Return how long a vehicle takes to end charging by itself, in which it judges no sensors [s]."""
    return world.config.vehicle.max_current / world.config.sequencer.ramp_up


def play(plan: Plan, databases: Mapping[str, SignalDatabase]) -> Result:
    """Play a plan; the same plan gives the same result."""
    return Play(plan, databases).run()
