"""Plays one plan of the cabinet campaign in a CabinetWorld, looks at the truth after every tick, and counts what is told at the end.

Theory of operation. The plan runs to its horizon. The invariants look at the model's contacts and currents, not at what the allocator believes. Whether
demands are met is judged when nothing has come, gone or broken for a while: what flows must then be worth as much as in the best placement of all modules
that are well, as an optimiser finds it that knows nothing of switches. At the end everything is mended, and every EVSE must be free again.
"""

import heapq
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.module_allocation import Module, Need, Prices, Problem, capacity, shortage_cost
from evse_core.module_allocator import AllocatorConfig
from evse_core.module_optimizer import optimise
from evse_core.module_switching import Stage
from evse_core.types import ChargeState, Reaction
from evse_simulators import campaign_cabinet_plan as plans
from evse_simulators.cabinet_converter import PowerCabinetConfig
from evse_simulators.cabinet_world import PATIENT, CabinetWorld, CabinetWorldConfig, example
from evse_simulators.campaign_cabinet_plan import Arrival, CabinetPlan, Trouble
from evse_simulators.campaign_invariants import Broken, Enough
from evse_simulators.campaign_plan import FOR_EVER
from evse_simulators.secc import SeccConfig, SeccModel
from evse_simulators.world_config import QUICK_CONTROLLER

# A run ends when its last vehicle was stopped so long ago: ramp, welding detection, closing, unlocking, and a stop by a fault (campaign_play.END_TIME). [s]
AFTER_THE_LAST = 25.0
# Demands must be met so long after the last change: a plan in 1 s, 10 s that a module waits to leave, moves one after the other (3 s each), a ramp with RISE,
# and demands that are held for 20 s (module_demand.DemandConfig). [s]
SETTLED = 35.0
# Rise of the current. [A/s]
RISE = 100.0
# What may be missing of the best placement: rounding of needs (5 A, 10 V), what four operations are worth, and current control. [W], [1]
MISSING, MISSING_SHARE = 4000.0, 0.08
# How often this is judged. [s]
JUDGE = 1.0
# Price of an hour: here modules run for minutes, so 72 s more than the least used one are worth a move. [W]
HOURS_PRICE = 20e3
# Modules that could all serve the same vehicles may differ by so much at the end: the price above, what had been run before (0.05 h), and what a vehicle takes
# that keeps its modules for as long as it stays. [h]
HOURS_SPREAD = 0.05 + 0.02 + plans.LONGEST / 3600.0
# Everything is mended: an operator needs so long until all EVSEs are free. [s]
MENDED_TIME = 60.0
# States in which no vehicle holds the EVSE.
_FREE = frozenset({ChargeState.AVAILABLE})


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told at the end: operations of switches, charge wanted and given [Ah], spread of hours [h], refusals by reason, and sessions that began."""

    operations: int = 0
    wanted: float = 0.0
    given: float = 0.0
    hours_spread: float = 0.0
    refused_outlets: int = 0
    refused_current: int = 0
    refused_voltage: int = 0
    sessions: int = 0
    charged: int = 0


@dataclass(frozen=True, slots=True)
class CabinetResult:
    """How a run ended; fields as in campaign_play.Result."""

    plan: CabinetPlan
    outcome: str
    injected: tuple[str, ...]
    broken: tuple[Broken, ...]
    virtual: float
    figures: Figures = field(default_factory=Figures)


class CampaignCabinetWorld(CabinetWorld):
    """A CabinetWorld whose cabinet bus loses frames, in the directions and with the shares of `losses`."""

    def __init__(self, databases: Mapping[str, SignalDatabase], config: CabinetWorldConfig, seed: int) -> None:
        super().__init__(databases, config, seed)
        self.losses: list[Trouble] = []
        self._dice = Random(seed)

    def _allocate(self, frames: list[Frame]) -> list[Frame]:
        return self._lost("cabinet.tx", super()._allocate(self._lost("cabinet.rx", frames)))

    def _lost(self, link: str, frames: list[Frame]) -> list[Frame]:
        for loss in self.losses:
            if loss.target == link:
                frames = [frame for frame in frames if self._dice.random() >= loss.share]
        return frames


def world_config(plan: CabinetPlan) -> CabinetWorldConfig:
    """Return what the world of a plan is made of."""
    return CabinetWorldConfig(
        cabinet=example(plans.MODULES, plans.OUTLETS),
        modules=PowerCabinetConfig(wake_delay=0.3, max_voltage=1000.0, current_rise=RISE),
        allocator=AllocatorConfig(plan_time=PATIENT, hours_price=HOURS_PRICE),
        ramp_up=RISE,
    )


class CabinetPlay:
    """One plan in one world."""

    def __init__(self, plan: CabinetPlan, databases: Mapping[str, SignalDatabase], until: str = "") -> None:
        self.plan, self._until = plan, until
        self.world = CampaignCabinetWorld(databases, world_config(plan), plan.seed)
        for number, hours in plan.station.items():
            self.world.cabinet.converters[int(number)].hours = hours
        self.broken: list[Broken] = []
        self.injected: list[str] = []
        self._told: set[str] = set()
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._changed, self._judge_at = 0.0, 0.0
        self._wants: dict[int, float] = {}
        self._served: dict[int, bool] = {}
        self._wanted = self._given = 0.0
        self._sessions = self._charged = 0
        self._seen: object = None
        for arrival in plan.actions:
            self._at(arrival.delay, lambda arrival=arrival: self._arrive(arrival))  # type: ignore[misc]
        for trouble in plan.disturbances:
            self._at(trouble.delay, lambda trouble=trouble: self._begin(trouble))  # type: ignore[misc]

    def run(self) -> CabinetResult:
        """Play to the end; an error raised by a rule is a broken invariant, too."""
        last = max((arrival.delay + arrival.stays for arrival in self.plan.actions), default=0.0)
        horizon = max(last, *(trouble.delay for trouble in self.plan.disturbances), 0.0) + AFTER_THE_LAST
        try:
            while self.world.now < horizon:
                self._tick()
            self._spread()
            self._mend()
        except Enough:
            pass
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            with suppress(Enough):
                self._fail(
                    "rule_raises", f"{type(error).__name__}: {error} in {place.name}, {place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
                )
        outcome = f"{self._charged} of {len(self.plan.actions)} charged"
        return CabinetResult(self.plan, outcome, tuple(self.injected), tuple(self.broken), self.world.now, self._figures())

    def _figures(self) -> Figures:
        cabinet = self.world.cabinet
        return Figures(
            sum(item.operations for item in cabinet.converters.values()),
            self._wanted / 3600.0,
            self._given / 3600.0,
            self._hours_spread,
            cabinet.refusals.outlets,
            cabinet.refusals.current,
            cabinet.refusals.voltage,
            self._sessions,
            self._charged,
        )

    # Time

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._order), action))

    def _tick(self) -> None:
        while self._due and self._due[0][0] <= self.world.now:
            heapq.heappop(self._due)[2]()
            self._changed = self.world.now
        self.world.tick()
        self._look()

    # What happens

    def _arrive(self, arrival: Arrival) -> None:
        """Let a vehicle come, if its place is free; its driver plugs in, shows a token and presses start."""
        world = self.world.worlds[arrival.outlet]
        if world.vehicle.plugged or world.session.session_active:
            return
        values: dict[str, Any] = QUICK_CONTROLLER | plans.BATTERIES[arrival.battery] | {"max_current": arrival.current}
        assert isinstance(world.vehicle, SeccModel)
        world.vehicle.change_vehicle(SeccConfig(**values))
        self._sessions += 1
        self._served[arrival.outlet] = False
        self._wants[arrival.outlet] = arrival.current
        self.world.begin(arrival.outlet)
        self._at(self.world.now + arrival.stays, lambda: self._leave(arrival.outlet))

    def _leave(self, outlet: int) -> None:
        """Let the driver press stop until the connector is free, and go."""
        world = self.world.worlds[outlet]
        if world.session.session_active:
            world.stop()
        elif world.vehicle.plugged and world.unplug().success:
            return
        if world.vehicle.plugged:
            self._at(self.world.now + 1.0, lambda: self._leave(outlet))

    def _begin(self, trouble: Trouble) -> None:
        self.injected.append(f"{trouble.kind} {trouble.target}")
        end = self._disturb(trouble)
        if trouble.duration < FOR_EVER:
            self._at(self.world.now + trouble.duration, end)

    def _disturb(self, trouble: Trouble) -> Callable[[], None]:
        world = self.world
        if trouble.kind == plans.FAULT:
            world.cabinet.inject(trouble.target, True, module=trouble.module)
            return lambda: _nothing(world.cabinet.inject(trouble.target, False, module=trouble.module))
        if trouble.kind == plans.LINK:
            world.losses.append(trouble)
            return lambda: world.losses.remove(trouble)
        world.allocator = None
        return self._restart

    def _restart(self) -> None:
        self.world.allocator = self.world.new_allocator()

    # What must hold

    def _fail(self, invariant: str, detail: str) -> None:
        if invariant not in self._told:
            self._told.add(invariant)
            self.broken.append(Broken(self.world.now, invariant, detail))
            if invariant == self._until:
                raise Enough

    def _look(self) -> None:
        """Look at the truth after a tick."""
        cabinet = self.world.cabinet
        truth = cabinet.truth
        if truth.bridged:
            self._fail("outlets_apart", f"connected: {sorted((module, sorted(closed)) for module, closed in truth.bridges)}")
        if truth.moved_under_current:
            self._fail("switches_without_current", f"{truth.moved_under_current} switches moved under current")
        if truth.above_rating:
            self._fail("modules_within_rating", "a module gave more than its rating")
        if cabinet.refusals.outlets:
            self._fail("never_asked_for_two", f"the interlock had to refuse {cabinet.refusals.outlets} commands")
        if cabinet.refusals.current:
            self._fail("never_asked_under_current", f"the interlock had to refuse {cabinet.refusals.current} commands")
        for number, world in self.world.worlds.items():
            self._look_at(number, world)
        self._count()
        if self.world.now >= self._judge_at:
            self._judge_at = self.world.now + JUDGE
            self._judge()

    def _look_at(self, number: int, world: Any) -> None:
        rating = self.world.cabinet.outlets[number].rating
        power = world.power
        if power.current > rating.max_current * 1.02 + 1.0 or power.module_voltage > rating.max_voltage * 1.02:
            self._fail("outlets_within_rating", f"EVSE {number}: {power.current:.1f} A at {power.module_voltage:.0f} V")
        if self.world.charges(number) and not self._served.get(number, True):
            self._served[number] = True
            self._charged += 1

    def _count(self) -> None:
        """Add up what vehicles in a running charge want and get."""
        for number, wanted in self._wants.items():
            world = self.world.worlds[number]
            if world.session.state is ChargeState.CHARGING:
                self._wanted += wanted * self.world.config.tick
                self._given += min(max(world.power.current, 0.0), wanted) * self.world.config.tick

    def _judge(self) -> None:
        """Compare what flows with the best placement, where nothing has changed for a while."""
        allocator = self.world.allocator
        stuck = [allocator.stage(number) is Stage.STUCK for number in self.world.cabinet.converters] if allocator is not None else []
        seen = [world.session.state for world in self.world.worlds.values()], stuck
        if seen != self._seen:
            self._seen, self._changed = seen, self.world.now
        if self.world.now - self._changed < SETTLED or allocator is None or self.world.losses:
            return
        if "cabinet_silent" in self.world.cabinet.faults:
            return
        problem = self._true_problem()
        if any(need.current for need in problem.needs):
            self._compare(problem)

    def _true_problem(self) -> Problem:
        """Return what the vehicles really want and the modules that are well, from a cabinet without switches."""
        allocator = self.world.allocator
        assert allocator is not None
        needs = tuple(
            Need(number, wants, min(10.0, wants), world.power.module_voltage, charging=True)
            if (wants := self._wants.get(number, 0.0)) and world.session.state is ChargeState.CHARGING
            else Need(number)
            for number, world in self.world.worlds.items()
        )
        modules = tuple(
            Module(number, item.rating.max_current, item.rating.max_power, item.rating.max_voltage, item.rating.outlets)
            for number, item in self.world.cabinet.converters.items()
            if item.working and not item.frozen and not item.stuck_open and not item.welded and allocator.stage(number) is not Stage.STUCK
        )
        return Problem(modules, needs, Prices(0.0, 0.0))

    def _compare(self, problem: Problem) -> None:
        best = optimise(problem, PATIENT).placement
        possible = sum(shortage_cost(need, capacity(problem, best, need)) for need in problem.needs)
        flowing = sum(shortage_cost(need, max(self.world.worlds[need.outlet].power.current, 0.0)) for need in problem.needs)
        wanted = sum(need.current * need.voltage for need in problem.needs)
        if flowing > possible + MISSING + MISSING_SHARE * wanted:
            words = ", ".join(
                f"EVSE {need.outlet} {self.world.worlds[need.outlet].power.current:.0f} of {need.current:.0f} A" for need in problem.needs
            )
            self._fail("demand_met", f"{words}: {(flowing - possible) / 1e3:.1f} kW worse than the best placement")

    # The end

    @property
    def _hours_spread(self) -> float:
        """How far the hours of modules that are well differ [h]."""
        hours = [item.hours for item in self.world.cabinet.converters.values() if item.working]
        return max(hours, default=0.0) - min(hours, default=0.0)

    def _spread(self) -> None:
        if not self.plan.disturbances and self._hours_spread > HOURS_SPREAD:
            self._fail("hours_even", f"modules differ by {self._hours_spread * 3600:.0f} s of running")

    def _mend(self) -> None:
        """Heal everything, reset, unlock: every EVSE must be free again."""
        self._due.clear()
        world = self.world
        world.cabinet.heal()
        world.losses.clear()
        if world.allocator is None:
            self._restart()
        end = world.now + MENDED_TIME
        while world.now < end and not all(self._is_free(one) for one in world.worlds.values()):
            assert world.allocator is not None
            world.allocator.reset()
            for number, one in world.worlds.items():
                one.reset_faults()
                self._leave(number)
            for _ in range(40):
                self._tick()
            self._due.clear()
        for number, one in world.worlds.items():
            if not self._is_free(one):
                self._fail("back_in_service", f"EVSE {number}: {one.session.state.name}, faults {one.safety_state.faults}")

    def _is_free(self, world: Any) -> bool:
        return world.session.state in _FREE and not world.vehicle.plugged and world.safety_state.reaction < Reaction.BLOCK


def _nothing(_: Any) -> None:
    """Drop an answer."""


def play(plan: CabinetPlan, databases: Mapping[str, SignalDatabase], until: str = "") -> CabinetResult:
    """Play a plan, or as much of it as breaks the invariant `until`; the same plan gives the same result."""
    return CabinetPlay(plan, databases, until).run()
