"""The stage of a session of the campaign: a world in which the moments of a plan come, disturbances begin and end, and the invariants are looked at."""

import heapq
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import Any

from evse_core.codecs.signals import SignalDatabase
from evse_core.types import ChargeState, CutCause
from evse_core.vehicle_link import PILOT
from evse_simulators import campaign_plan as plans
from evse_simulators.ac_vehicle import AcVehicleModel
from evse_simulators.campaign_ac import AC_INVARIANTS, AcObservation
from evse_simulators.campaign_ac import observe as observe_ac
from evse_simulators.campaign_invariants import INVARIANTS, Checker
from evse_simulators.campaign_observation import Excuses, Observation
from evse_simulators.campaign_plan import Action, Disturbance, Plan
from evse_simulators.campaign_world import BOOT, CampaignWorld
from evse_simulators.secc import SeccConfig
from evse_simulators.vehicle import VehicleConfig

# From a current to the register on disk, besides sync_period: a frame (0.1 s), its report, the next reading, hand-overs. [s]
TO_THE_DISK = 0.5
# Hand-overs from what breaks to what must react: board, bridge, monitor, sequencer, bridge, board, vehicle. [1]
HOPS = 6
_CUT_FAULTS = frozenset(
    {
        "emergency_stop",
        "contactor_stuck_open",
        "plug_lost",
        "ac_plug_lost",
        "residual_current",
        "vehicle_contactor_opens",
        "ccs_plug_lost",
        "ccs_contactor_opens",
        "ccs_vehicle_emergency",
        "controller_emergency",
        "controller_restarts",
        "controller_silent",
    }
)


class Stage:
    """One plan in one world, tick by tick."""

    world_type: type[CampaignWorld] = CampaignWorld

    def __init__(self, plan: Plan, databases: Mapping[str, SignalDatabase]) -> None:
        self.plan = plan
        self.world = self.world_type(databases, plans.config(plan), plan.seed)
        is_ac = plan.link == PILOT
        self._look: Callable[[], Any] = self._observe_ac if is_ac else self._observe
        self.kinds = AC_INVARIANTS if is_ac else INVARIANTS
        self.checker = Checker(_excuses(plan, self.world), kinds=self.kinds)
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
        # What had flowed to and from the vehicle after each tick, where the mains fail, and what of it no disk can hold. [Wh]
        self._taken: list[float] = []
        self._not_on_disk = 0.0
        self._schedule("")

    # Time

    def _tick(self) -> None:
        while self._due and self._due[0][0] <= self.world.now:
            heapq.heappop(self._due)[2]()
        self.world.tick()
        if self.world.session.state is not self._state:
            self._state = self.world.session.state
            self._schedule(self._state.name)
        if self._powered_off:
            self._taken.append(self.world.vehicle.energy_wh + self.world.vehicle.given_wh)
        self.checker.look(self._look())

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
        """Return what flowed to and from the vehicle in the last seconds [Wh]."""
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

    def _observe_ac(self) -> AcObservation:
        world = self.world
        return observe_ac(world, self._emergency(frozenset((*world.vehicle.faults.active, *world.board.faults.active))), self._powered_off)

    def _observe(self) -> Observation:
        world = self.world
        power, board, vehicle = world.power, world.board, world.vehicle
        assert not isinstance(vehicle, AcVehicleModel)
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
            self._permitted_discharge(),
            vehicle.battery.soc_percent,
            world.config.sequencer.min_soc_percent,
            world.ledger.durable_export_register_wh if self._powered_off else world.ledger.export_register_wh,
        )

    def _permitted_discharge(self) -> float:
        """Return the current from the vehicle [A] that the site asks for and vehicle and station permit, by their truth."""
        world, vehicle = self.world, self.world.vehicle
        if not isinstance(vehicle.config, (VehicleConfig, SeccConfig)) or not vehicle.faults.isdisjoint(plans.WITHDRAWN):
            return 0.0
        if isinstance(vehicle.config, SeccConfig) and not vehicle.config.range_mode:
            return 0.0
        asked = world.site.asked(world.now) / max(world.power.module_voltage, world.config.sequencer.min_voltage)
        return min(asked, vehicle.config.max_discharge_current, world.config.sequencer.max_discharge_current)

    def _emergency(self, faults: frozenset[str]) -> bool:
        """Return whether something is being cut, by a rule, by the board itself, or because a rule is not there."""
        world = self.world
        cut = world.cut_cause is not CutCause.NONE or world.session.state is ChargeState.EMERGENCY or world.vehicle.emergency
        return cut or bool(world.down) or not world.powered or world.board.holds_open(world.now) or not faults.isdisjoint(_CUT_FAULTS)


# Where what flows is measured.
_METERED = {name: ("IO.rx",) if name == PILOT else ("POWER.rx",) for name in plans.KINDS_OF}


def _nothing(_: Any) -> None:
    """Drop an answer."""


def _excuses(plan: Plan, world: CampaignWorld) -> Excuses:
    """Return what no rule can mend in this plan."""
    kinds = {item.kind for item in plan.disturbances}
    links = {(item.target, item.mode) for item in plan.disturbances if item.kind == plans.LINK}
    blind = any(target.endswith(".rx") for target, _ in links)
    return Excuses(
        blind=blind,
        disturbed=len(plan.disturbances) > 1 or bool(kinds - {plans.FAULT}),
        forged_vehicle=("VEHICLE.rx", "corrupted") in links,
        false_readings=any((link, mode) in links for link in _METERED[plan.link] for mode in ("corrupted", "stuck", "frozen")),
        other_budget=any(item.target == "power_budget" for item in plan.disturbances),
        forged_commands=any(item.target in {"IO.tx", "io_command", "can_bridge", "charge_sequencer"} for item in plan.disturbances),
        vehicle_ramp=_own_ramp(world) if any(action.name == "stop_vehicle" for action in plan.actions) else 0.0,
        slow=HOPS * (world.config.hand_over - 1) * world.config.tick,
    )


def _own_ramp(world: CampaignWorld) -> float:
    """Return how long a vehicle takes to end charging by itself, in which it judges no sensors [s]."""
    return world.config.vehicle.max_current / world.config.sequencer.ramp_up
