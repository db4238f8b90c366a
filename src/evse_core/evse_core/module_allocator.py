"""The modules of a cabinet among the EVSEs of a station: who wants how much, which module goes where, and each move one safe step after the other.

Theory of operation. `on_frame` keeps what the cabinet says. `problem` says once per `plan_period`, and at once when a module or an EVSE comes or goes, what
is to be decided; who solves it (module_optimizer.optimise, in a thread or not) hands the answer to `take`. `step` moves every module one step towards its
target (module_switching.py) and returns the commands, which expire at the cabinet after 200 ms. A module leaves an outlet in a session only when the others
can keep it above its least current. No command leaves that could connect two outlets, whatever the state machine says (`checked`). A restarted allocator
finds out from the cabinet what is connected and goes on from there.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from evse_core.codecs.cabinet import CabinetReceiver, CabinetState, Duty, ModuleCommand, ModuleStatus, OutletStatus, command_frame
from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_core.module_allocation import APART, EFFICIENCY, Module, Need, Placement, Prices, Problem, running
from evse_core.module_demand import DemandConfig, DemandTracker, OutletFacts, OutletRating
from evse_core.module_switching import Mover, Stage, SwitchingConfig, checked
from evse_core.parameter import parameter
from evse_core.sample import fresh
from evse_core.types import CabinetReport

# Steps of currents and voltages in a plan, so that it does not follow noise, and the part of a switching operation that a step of hours is worth. Own choice.
# [A], [V], [1]
CURRENT_STEP, VOLTAGE_STEP, HOURS_STEP = 5.0, 10.0, 0.25
# Stages of a module that can be sent somewhere.
_USABLE = frozenset({Stage.APART, Stage.MATCHING, Stage.CLOSING, Stage.CONNECTED, Stage.RELEASING, Stage.OPENING})


@dataclass(frozen=True)
class AllocatorConfig(DemandConfig, SwitchingConfig):
    """Times and prices of module_allocator."""

    status_timeout: float = parameter(
        0.35, "s", "a module or an outlet not heard of for longer is not known", "own: three frames of 100 ms", 0.15, 2.0
    )
    command_period: float = parameter(0.05, "s", "period of the commands", "config/can/cabinet.dbc: they expire after 200 ms", 0.02, 0.1)
    plan_period: float = parameter(1.0, "s", "time between two plans", "own: power_budget comes at 1 Hz", 0.2, 60.0)
    plan_time: float = parameter(0.1, "s", "longest search for a plan", "own: 12 modules and 4 EVSEs take 0.05 s", 0.01, 5.0)
    leave_time: float = parameter(
        10.0, "s", "how long a module waits to leave an EVSE that needs it before it stays", "own: others come within 3 s", 1.0, 600.0
    )
    report_period: float = parameter(0.2, "s", "period of cabinet_report", "msg/CabinetReport.msg: 5 Hz", 0.05, 0.5)
    switching_price: float = parameter(
        200.0, "W", "power that one switching operation is worth: less gain moves no module", "own: 30 Wh in ten minutes", 0.0, 1e5
    )
    hours_price: float = parameter(
        0.5,
        "W",
        "power that one hour is worth which a module has run longer than the least used one",
        "own: a move for each 800 h",
        0.0,
        1e4,
    )


@dataclass(frozen=True, slots=True)
class ModuleRating:
    """What a module can give, and the outlets that it can be connected to."""

    module: int
    max_current: float
    max_power: float
    max_voltage: float
    outlets: frozenset[int]


@dataclass(frozen=True, slots=True)
class Cabinet:
    """What the cabinet is made of."""

    modules: tuple[ModuleRating, ...]
    outlets: tuple[OutletRating, ...]
    efficiency: tuple[tuple[float, float], ...] = EFFICIENCY


@dataclass(slots=True)
class _Place:
    """A module on its way: its target, since when it wants to leave, and its last command."""

    rating: ModuleRating
    mover: Mover
    target: int | None = None
    leaving_since: float = math.inf
    duty: Duty = Duty.RUN
    command: ModuleCommand = field(default_factory=ModuleCommand)


class ModuleAllocator:
    """The rule of module_allocator. Feed frames and facts, call step every command_period or more often."""

    def __init__(self, config: AllocatorConfig, cabinet: Cabinet, database: SignalDatabase) -> None:
        self.config, self.cabinet = config, cabinet
        self.malformed = self.unknown = 0
        self._database = database
        self._receiver = CabinetReceiver(database)
        self._places = {rating.module: _Place(rating, Mover(config)) for rating in cabinet.modules}
        self._trackers = {rating.outlet: DemandTracker(config, rating) for rating in cabinet.outlets}
        self._facts: dict[int, OutletFacts] = {}
        self._needs: dict[int, Need] = {rating.outlet: Need(rating.outlet, settled=False) for rating in cabinet.outlets}
        self._planned = self._sent = -math.inf
        self._seen: object = None
        self._asked: Problem | None = None
        self._alive = 0

    # What comes in

    def on_frame(self, frame: Frame, now: float) -> None:
        """Take a frame of the cabinet; what cannot be read is counted and says nothing."""
        try:
            self._receiver.receive(frame, now)
        except UnknownId:
            self.unknown += 1
        except Malformed:
            self.malformed += 1

    def on_facts(self, facts: Mapping[int, OutletFacts]) -> None:
        """Take what the nodes of the EVSEs have said."""
        self._facts = dict(facts)

    def reset(self) -> tuple[int, ...]:
        """Let stuck modules be looked at anew, because somebody has mended them; return which they were."""
        return tuple(number for number, place in self._places.items() if place.mover.reset())

    # What is known

    @property
    def needs(self) -> Mapping[int, Need]:
        """What each outlet needs, as of the last step."""
        return self._needs

    @property
    def state(self) -> CabinetState:
        """What the cabinet says of itself."""
        return self._receiver.state

    def stage(self, module: int) -> Stage:
        """Return where a module stands."""
        return self._places[module].mover.stage

    def connected(self, outlet: int) -> list[int]:
        """Return the modules that serve an outlet."""
        return [number for number, place in self._places.items() if place.mover.stage is Stage.CONNECTED and place.mover.outlet == outlet]

    def capacity(self, outlet: int, voltage: float) -> float:
        """Return the current [A] that the modules which serve an outlet can give at a voltage [V]."""
        return sum(self._module(number).current(voltage) for number in self.connected(outlet))

    def _status(self, module: int, now: float) -> ModuleStatus | None:
        return fresh(self._receiver.modules.get(module), now, self.config.status_timeout)

    def _outlet(self, outlet: int, now: float) -> OutletStatus | None:
        return fresh(self._receiver.outlets.get(outlet), now, self.config.status_timeout)

    def _usable(self, place: _Place, now: float) -> bool:
        """Return whether a module can be counted on: it works, is known, and does not stick."""
        status = self._status(place.rating.module, now)
        return place.mover.stage in _USABLE and status is not None and status.working and now >= place.mover.unmatched_until

    # Planning

    def problem(self, now: float) -> Problem | None:
        """Return what is to be decided now, None where nothing has to be: nothing is due, or nothing that counts has changed."""
        usable = tuple(number for number, place in self._places.items() if self._usable(place, now) and place.target is not None)
        seen = usable, tuple((need.outlet, need.current > 0.0, need.settled) for need in self._needs.values())
        if seen == self._seen and now - self._planned < self.config.plan_period:
            return None
        self._seen, self._planned = seen, now
        prices = Prices(self.config.switching_price, self.config.hours_price)
        needs = tuple(map(_rounded, self._needs.values()))
        problem = Problem(tuple(map(self._worn, usable)), needs, prices, self.cabinet.efficiency)
        if problem == self._asked:
            return None
        self._asked = problem
        return problem

    def _worn(self, number: int) -> Module:
        """Return a module with its hours in steps that are worth a fraction of a switching operation: smaller differences decide nothing."""
        module = self._module(number)
        step = HOURS_STEP * self.config.switching_price / max(self.config.hours_price, 1e-9)
        return replace(module, hours=step * math.floor(module.hours / step)) if step > 0.0 else module

    def _module(self, number: int) -> Module:
        place = self._places[number]
        rating, counters = place.rating, self._receiver.counters.get(number)
        hours = counters.hours if counters is not None else 0.0
        return Module(number, rating.max_current, rating.max_power, rating.max_voltage, rating.outlets, place.target or APART, hours)

    def take(self, placement: Placement) -> None:
        """Take a placement for the modules that are in it; an outlet that the description does not allow is not taken."""
        for number, outlet in placement.items():
            place = self._places[number]
            if place.target is not None and outlet in (APART, *place.rating.outlets):
                place.target = outlet

    # Moving

    def step(self, now: float) -> list[Frame]:
        """Go on to now [s]; return the commands that are due, all of them at once when one has changed."""
        self._note_needs(now)
        self._share()
        changed = False
        for number, place in self._places.items():
            command = self._move(number, place, now)
            changed |= command != place.command
            place.command = command
        if not changed and now - self._sent < self.config.command_period - 1e-9:
            return []
        self._sent, self._alive = now, self._alive + 1
        return [command_frame(self._database, number, place.command, self._alive) for number, place in self._places.items()]

    def _note_needs(self, now: float) -> None:
        for outlet, tracker in self._trackers.items():
            seen = self._outlet(outlet, now)
            voltage = seen.voltage if seen is not None else math.nan
            offered = self.capacity(outlet, voltage) if math.isfinite(voltage) else 0.0
            self._needs[outlet] = tracker.step(self._facts.get(outlet, OutletFacts()), voltage, offered, now)

    def _share(self) -> None:
        """Let as many modules of each outlet run as lose least, those that have run least first; the others rest."""
        for outlet, need in self._needs.items():
            here = sorted(map(self._module, self.connected(outlet)), key=lambda module: (round(module.hours, 1), module.number))
            unit = sum(module.current(need.voltage) for module in here) / len(here) if here else 0.0
            curve = Problem((), (), efficiency=self.cabinet.efficiency)
            count = running(curve, need.current, unit, need.voltage, len(here)) if need.current > 0.0 and here else len(here)
            for rank, module in enumerate(here):
                self._places[module.number].duty = Duty.RUN if rank < count else Duty.REST

    def _move(self, number: int, place: _Place, now: float) -> ModuleCommand:
        status, mover = self._status(number, now), place.mover
        target = self._effective_target(place, now)
        need = self._needs.get(target)
        command = mover.step(status, target, self._outlet(target, now), need is not None and need.settled, now, place.duty)
        if mover.stage in _USABLE and place.target is None:
            place.target = mover.outlet
        elif mover.stage in (Stage.UNKNOWN, Stage.STUCK):
            place.target = None
        elif mover.stage is Stage.APART and not self._usable(place, now):
            place.target = APART
        return checked(command, status)

    def _effective_target(self, place: _Place, now: float) -> int:
        """Return the outlet that the module moves towards: the present one as long as it cannot be spared there."""
        mover = place.mover
        target = place.target if place.target is not None else mover.outlet
        if mover.stage is not Stage.CONNECTED or target == mover.outlet or not self._usable(place, now):
            place.leaving_since = math.inf
            return target
        place.leaving_since = min(place.leaving_since, now)
        if self._can_be_spared(place):
            return target
        if now - place.leaving_since > self.config.leave_time:
            place.target = mover.outlet
        return mover.outlet

    def _can_be_spared(self, place: _Place) -> bool:
        """Return whether an outlet stays above its least current, and is settled, when one of its modules leaves."""
        need = self._needs[place.mover.outlet]
        left = self.capacity(need.outlet, need.voltage) - self._module(place.rating.module).current(need.voltage)
        return need.settled and left >= min(need.least, need.current) - 1e-6

    # Reports

    def reports(self, now: float) -> Iterator[CabinetReport]:
        """Yield what is to be known of each outlet, in the order of the outlets."""
        for outlet, need in self._needs.items():
            seen = self._outlet(outlet, now)
            voltage = seen.voltage if seen is not None else need.voltage
            yield CabinetReport(
                outlet=outlet,
                age=self._age(now),
                modules_connected=len(self.connected(outlet)),
                modules_running=sum(self._places[number].duty is Duty.RUN for number in self.connected(outlet)),
                current_available=self.capacity(outlet, voltage),
                current_wanted=need.current,
                switch_operations=sum(counters.operations for counters in self._receiver.counters.values()),
                bridged=self._words(outlet, now, bridged=True),
                stuck=self._words(outlet, now, bridged=False),
                lost=self._lost(outlet, now),
            )

    def _age(self, now: float) -> float:
        """Return how old [s] the newest word of the cabinet is; NaN before the first."""
        return now - self._receiver.heard if math.isfinite(self._receiver.heard) else math.nan

    def _words(self, outlet: int, now: float, bridged: bool) -> str:
        """Return which modules stick that may be connected to an outlet; or those that connect it with another one."""
        found = []
        for number, place in self._places.items():
            if place.mover.stage is not Stage.STUCK:
                continue
            closed = self._last_closed(number)
            if bridged and outlet in closed and len(closed) > 1:
                found.append(f"module {number} connects the outlets {', '.join(map(str, sorted(closed)))}")
            elif not bridged and outlet in place.rating.outlets:
                found.append(f"module {number} {place.mover.words}")
        return "; ".join(found)

    def _last_closed(self, module: int) -> frozenset[int]:
        """Return the switches of a module that were seen closed last; what has fallen silent since is no better."""
        sample = self._receiver.modules.get(module)
        return sample.value.closed if sample is not None else frozenset()

    def _lost(self, outlet: int, now: float) -> str:
        """Return which modules that may be connected to an outlet are not known, or do not work."""
        found = []
        for number, place in self._places.items():
            status = self._status(number, now)
            if outlet in place.rating.outlets and (status is None or not status.working):
                found.append(f"module {number} {'is silent' if status is None else 'does not work'}")
        return "; ".join(found)


def _rounded(need: Need) -> Need:
    """Return a need in steps: the current up, the voltage to the nearest."""
    current = CURRENT_STEP * math.ceil(need.current / CURRENT_STEP - 1e-6)
    return replace(need, current=current, voltage=VOLTAGE_STEP * round(need.voltage / VOLTAGE_STEP))
