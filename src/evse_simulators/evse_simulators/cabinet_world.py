"""Several EVSEs on one cabinet of power modules, in one process on a virtual clock: a World each, the model of the cabinet, and the rule of
module_allocator.

Nothing here decides anything: frames go through the codec of config/can/cabinet.dbc, with the same hand-over as everything else in a World, and the plan is
made by the same optimiser as in the node. The same seed gives the same run.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from evse_core.can_bridge import CanBridgeConfig
from evse_core.charge_sequencer import SequencerConfig
from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.module_allocator import AllocatorConfig, Cabinet, ModuleAllocator, ModuleRating
from evse_core.module_demand import OutletFacts, OutletRating
from evse_core.module_optimizer import Plan, optimise
from evse_core.safety_monitor import SafetyConfig
from evse_core.sample import Sample
from evse_core.types import CabinetReport, ChargeState
from evse_simulators.cabinet_converter import PowerCabinetConfig
from evse_simulators.faults import CABINET, FAULTS, Answer
from evse_simulators.io_board import IoBoardConfig
from evse_simulators.pace import Periodic
from evse_simulators.power_cabinet import PowerCabinetModel
from evse_simulators.power_modules import PowerModulesModel
from evse_simulators.secc import SeccConfig
from evse_simulators.vehicle import VehicleConfig
from evse_simulators.virtual_evse import Reader
from evse_simulators.world import World
from evse_simulators.world_config import QUICK_CONTROLLER, WorldConfig

# Searches are ended by their number of nodes alone, so that no machine changes a run. [s]
PATIENT = 3600.0
# Rates of the cabinet and of the commands to it. [s]
CABINET_PERIOD = 0.025


def example(modules: int = 12, outlets: int = 4) -> Cabinet:
    """Return a cabinet of equal modules of 30 kW, each of which reaches all outlets but one where there are more than three."""
    numbers = range(1, outlets + 1)
    ratings = tuple(
        ModuleRating(
            number, 100.0, 30e3, 1000.0, frozenset(outlet for outlet in numbers if outlets <= 3 or outlet != (number - 1) % outlets + 1)
        )
        for number in range(1, modules + 1)
    )
    return Cabinet(ratings, tuple(OutletRating(outlet, 400.0, 200e3, 1000.0) for outlet in numbers))


@dataclass(frozen=True)
class CabinetWorldConfig:
    """What the world is made of; `vehicles` are those that stand at the outlets first."""

    cabinet: Cabinet = field(default_factory=example)
    modules: PowerCabinetConfig = field(default_factory=lambda: PowerCabinetConfig(wake_delay=0.3, max_voltage=1000.0))
    allocator: AllocatorConfig = field(default_factory=lambda: AllocatorConfig(plan_time=PATIENT))
    vehicles: Mapping[int, SeccConfig | VehicleConfig] = field(default_factory=dict)
    tick: float = 0.025
    site_power: float = 1e6
    ramp_up: float = 20.0


class OutletWorld(World):
    """One EVSE whose power modules are an outlet of the cabinet."""

    def __init__(self, databases: Mapping[str, SignalDatabase], config: WorldConfig, seed: int, outlet: PowerModulesModel) -> None:
        self._outlet = outlet
        self.heard: dict[str, Sample[Any]] = {}
        super().__init__(databases, config, seed)

    def _make_modules(self) -> PowerModulesModel:
        return self._outlet

    def _wiring(self) -> dict[Any, tuple[Reader, ...]]:
        """Let the allocator hear what its node reads, and the monitor the cabinet's report."""
        readers = super()._wiring()
        for name in ("session_state", "vehicle_report", "power_report", "power_budget"):
            readers[name] = (*readers[name], self._keep(name))
        readers["cabinet_report"] = (self._to_safety("cabinet"),)
        return readers

    def _break(self, name: str, active: bool) -> Answer:
        if name in FAULTS and FAULTS[name].simulator == CABINET:
            return self._act(f"{'inject' if active else 'heal'} {name}", self._outlet.inject(name, active))
        return super()._break(name, active)

    def _keep(self, name: str) -> Reader:
        def take(value: Any, now: float) -> None:
            self.heard[name] = Sample(value, now)

        return take

    @property
    def facts(self) -> OutletFacts:
        """What the allocator knows of this EVSE."""
        heard = self.heard
        return OutletFacts(heard.get("session_state"), heard.get("vehicle_report"), heard.get("power_report"), heard.get("power_budget"))


def outlet_config(config: CabinetWorldConfig, rating: OutletRating) -> WorldConfig:
    """Return what the world of one EVSE is made of."""
    vehicle = config.vehicles.get(rating.outlet) or SeccConfig(**(QUICK_CONTROLLER | {"max_current": rating.max_current}))
    link = "secc" if isinstance(vehicle, SeccConfig) else "chademo"
    limits: dict[str, Any] = {"max_voltage": rating.max_voltage, "max_current": rating.max_current}
    return WorldConfig(
        vehicle=vehicle,
        board=IoBoardConfig(),
        bridge=CanBridgeConfig(vehicle_link=link),
        sequencer=SequencerConfig(vehicle_link=link, max_power=rating.max_power, ramp_up=config.ramp_up, **limits),
        safety=SafetyConfig(vehicle_link=link, module_count=1, has_cabinet=True, **limits),
        site_power=config.site_power,
        tick=config.tick,
    )


class CabinetWorld:
    """See above. `worlds` are the EVSEs by their number, `cabinet` the model, `allocator` the rule."""

    def __init__(self, databases: Mapping[str, SignalDatabase], config: CabinetWorldConfig | None = None, seed: int = 0) -> None:
        self.config = config = config or CabinetWorldConfig()
        self.now = 0.0
        self.random = Random(seed)
        self.databases = databases
        self.cabinet = PowerCabinetModel(config.modules, config.cabinet, databases["cabinet"], databases["evse_v3"])
        self.allocator: ModuleAllocator | None = self.new_allocator()
        self.worlds = {
            rating.outlet: OutletWorld(
                databases, outlet_config(config, rating), self.random.randrange(1 << 30), self.cabinet.outlets[rating.outlet]
            )
            for rating in config.cabinet.outlets
        }
        self.plans: list[Plan] = []
        self.reports: dict[int, CabinetReport] = {}
        self._ticks = 0
        self._bus: deque[tuple[list[Frame], list[Frame]]] = deque([([], [])])
        self._cabinet_rate, self._report_rate = Periodic(CABINET_PERIOD), Periodic(config.allocator.report_period)

    def new_allocator(self) -> ModuleAllocator:
        """Return an allocator that knows nothing yet, as after a start of its node."""
        return ModuleAllocator(self.config.allocator, self.config.cabinet, self.databases["cabinet"])

    def tick(self) -> None:
        """Go on by one tick."""
        self._ticks += 1
        self.now = self._ticks * self.config.tick
        to_station, to_cabinet = self._bus.popleft()
        for world in self.worlds.values():
            world.tick()
        for frame in to_cabinet:
            self.cabinet.on_frame(frame, self.now)
        from_cabinet = list(self.cabinet.step(self.now)) if self._cabinet_rate.due(self.now) else []
        self._bus.append((from_cabinet, self._allocate(to_station)))

    def _allocate(self, frames: list[Frame]) -> list[Frame]:
        """Let the allocator hear, plan and command, as its node does."""
        allocator = self.allocator
        if allocator is None:
            return []
        for frame in frames:
            allocator.on_frame(frame, self.now)
        allocator.on_facts({number: world.facts for number, world in self.worlds.items()})
        sent = allocator.step(self.now)
        problem = allocator.problem(self.now)
        if problem is not None:
            plan = optimise(problem, self.config.allocator.plan_time)
            self.plans.append(plan)
            allocator.take(plan.placement)
        if self._report_rate.due(self.now):
            for report in allocator.reports(self.now):
                self.reports[report.outlet] = report
                self.worlds[report.outlet].publish("cabinet_report", report)
        return sent

    def run(self, seconds: float) -> "CabinetWorld":
        """Go on for some seconds of virtual time."""
        for _ in range(round(seconds / self.config.tick)):
            self.tick()
        return self

    def run_until(self, condition: Any, timeout: float) -> bool:
        """Go on until condition(self) holds; return whether it did within timeout [s]."""
        end = self.now + timeout
        while self.now < end:
            if condition(self):
                return True
            self.tick()
        return bool(condition(self))

    def begin(self, outlet: int) -> None:
        """Let a driver plug in, present a token and press start at one EVSE."""
        world = self.worlds[outlet]
        for action in (world.plug_in, world.token, world.start):
            action()

    def charges(self, outlet: int) -> bool:
        """Return whether current flows in a session."""
        world = self.worlds[outlet]
        return world.session.state is ChargeState.CHARGING and world.power.current > 5.0

    def set_site_power(self, power: float) -> None:
        """Change what the site grants each EVSE [W]."""
        for world in self.worlds.values():
            world.config = replace(world.config, site_power=power)
