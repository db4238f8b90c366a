"""Which module of a cabinet serves which EVSE: the problem as plain data, what a placement costs, and a simple placement that is always there.

Theory of operation. Everything is counted in watts. Power that an EVSE wants and does not get costs its watts, the more the larger the part that is missing
(SHORT), so that what is short is shared in proportion to what is wanted. An EVSE below its least current costs so much that nothing else outweighs it, and
one that charges already more than one that has not begun. A switch that moves, losses, and modules that have run for longer than the others cost a few
hundred watts at most: they decide only between placements that serve the vehicles equally well. module_optimizer.py finds the cheapest placement, and this
file's `simple` one without a library.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

# Part of the wanted power that is missing, up to which each watt of it costs so many times its own. Own choice: convex, so that sharing is cheapest. [1], [1]
SHORT = ((0.25, 1.0), (0.5, 1.5), (0.75, 2.0), (1.0, 3.0))
# Price of a watt that is missing below the least current, of a vehicle that charges and of one that has not begun. Own choice: far above SHORT. [1]
LEAST_CHARGING, LEAST_BEGINNING = 1000.0, 100.0
# Load of a module and its efficiency. Own choice, as makers of 30 kW modules draw it: best near half load, some 1 % less at full load. [1], [1]
EFFICIENCY = ((0.05, 0.86), (0.1, 0.915), (0.2, 0.945), (0.5, 0.96), (0.75, 0.957), (1.0, 0.95))
# Outlet of a module that is connected nowhere.
APART = 0


@dataclass(frozen=True, slots=True)
class Prices:
    """What besides the vehicles' wishes counts. switching [W] per operation, hours [W] per hour that a module has run longer than the least used one."""

    switching: float = 200.0
    hours: float = 0.5


@dataclass(frozen=True, slots=True)
class Module:
    """A module that can be used. `outlets` are those that it may be connected to, `at` the one that it is connected to or on its way to (APART: none)."""

    number: int
    max_current: float
    max_power: float
    max_voltage: float
    outlets: frozenset[int]
    at: int = APART
    hours: float = 0.0

    def current(self, voltage: float) -> float:
        """Return the current [A] that it can give at a voltage [V], 0 above its rating."""
        return min(self.max_current, self.max_power / max(voltage, 1.0)) if voltage <= self.max_voltage else 0.0


@dataclass(frozen=True, slots=True)
class Need:
    """What an outlet needs: current wanted and least current [A] at a voltage [V]. Where it is not `settled` no module comes or goes."""

    outlet: int
    current: float = 0.0
    least: float = 0.0
    voltage: float = 0.0
    charging: bool = False
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """All modules that can be used, and all outlets."""

    modules: tuple[Module, ...]
    needs: tuple[Need, ...]
    prices: Prices = field(default_factory=Prices)
    efficiency: tuple[tuple[float, float], ...] = EFFICIENCY

    def free(self, module: Module, need: Need) -> bool:
        """Return whether a module may be at an outlet in a placement: one that may not come or go stays as it is."""
        if module.at == need.outlet:
            return True
        leaving = next((other for other in self.needs if other.outlet == module.at), None)
        stays = leaving is not None and not leaving.settled
        return need.settled and not stays and need.outlet in module.outlets and module.current(need.voltage) > 0.0

    def bound(self, module: Module) -> bool:
        """Return whether a module must stay where it is, because its outlet is not settled."""
        return any(need.outlet == module.at and not need.settled for need in self.needs)


# Outlet of each module by number; a module that is not in it is APART.
Placement = Mapping[int, int]


def efficiency_at(curve: tuple[tuple[float, float], ...], load: float) -> float:
    """Return the efficiency [1] of a module at a load [1]: linear between the points of its curve, as at the ends beyond them."""
    if load <= curve[0][0]:
        return curve[0][1]
    for (low, first), (high, second) in pairwise(curve):
        if load <= high:
            return first + (second - first) * (load - low) / (high - low)
    return curve[-1][1]


def running(problem: Problem, current: float, unit: float, voltage: float, count: int) -> int:
    """Return how many of `count` modules of `unit` [A] each give a current [A] with the least losses; enough of them where there are."""
    least = next((number for number in range(1, count + 1) if number * unit >= current - 1e-6), count)
    return min(range(least, count + 1), key=lambda number: (_loss(problem, current, unit, voltage, number), number), default=0)


def _loss(problem: Problem, current: float, unit: float, voltage: float, count: int) -> float:
    """Return the losses [W] of `count` modules that share a current [A]."""
    given = min(current, count * unit)
    load = given / max(count * unit, 1e-9)
    return given * voltage * (1.0 / efficiency_at(problem.efficiency, load) - 1.0)


def losses(problem: Problem, need: Need, count: int) -> float:
    """Return the losses [W] at an outlet with `count` modules of mean size: those that are not needed rest."""
    if need.current <= 0.0 or count == 0:
        return 0.0
    unit = unit_current(problem, need)
    return _loss(problem, need.current, unit, need.voltage, running(problem, need.current, unit, need.voltage, count))


def unit_current(problem: Problem, need: Need) -> float:
    """Return the mean current [A] of the modules that may serve an outlet at its voltage."""
    currents = [module.current(need.voltage) for module in problem.modules if need.outlet in module.outlets]
    return sum(currents) / len(currents) if currents else 0.0


def shortage_cost(need: Need, given: float) -> float:
    """Return what it costs [W] that an outlet can get so much current [A]."""
    missing = max(need.current - given, 0.0)
    cost, begin = 0.0, 0.0
    for end, price in SHORT:
        cost += price * min(max(missing - begin * need.current, 0.0), (end - begin) * need.current)
        begin = end
    least = LEAST_CHARGING if need.charging else LEAST_BEGINNING
    return need.voltage * (cost + least * max(min(need.least, need.current) - given, 0.0))


def operations(module: Module, outlet: int) -> int:
    """Return how many switches move when a module goes from where it is to an outlet."""
    return (module.at != outlet) * ((module.at != APART) + (outlet != APART))


def wear(problem: Problem, module: Module, need: Need) -> float:
    """Return what it costs [W] that this module, and not the least used one, serves an outlet that wants current."""
    least = min(other.hours for other in problem.modules)
    return problem.prices.hours * (module.hours - least) if need.current > 0.0 else 0.0


def capacity(problem: Problem, placement: Placement, need: Need) -> float:
    """Return the current [A] that the modules placed at an outlet can give."""
    return sum(module.current(need.voltage) for module in problem.modules if placement.get(module.number, APART) == need.outlet)


def cost(problem: Problem, placement: Placement) -> float:
    """Return what a placement costs [W]; inf where a module is where it may not be."""
    total = 0.0
    for module in problem.modules:
        outlet = placement.get(module.number, APART)
        need = next((need for need in problem.needs if need.outlet == outlet), None)
        if need is None and (outlet != APART or problem.bound(module)):
            return inf
        if need is not None and not problem.free(module, need):
            return inf
        total += problem.prices.switching * operations(module, outlet) + (wear(problem, module, need) if need is not None else 0.0)
    for need in problem.needs:
        count = sum(placement.get(module.number, APART) == need.outlet for module in problem.modules)
        total += shortage_cost(need, capacity(problem, placement, need)) + losses(problem, need, count)
    return total


def standing(problem: Problem) -> dict[int, int]:
    """Return the placement in which nothing moves."""
    return {module.number: module.at for module in problem.modules}


def simple(problem: Problem) -> dict[int, int]:
    """Return a good placement without a library: from where everything stands, take the one move that gains most, until none gains."""
    placement = standing(problem)
    best = cost(problem, placement)
    for _ in range(2 * len(problem.modules)):
        found = min(_moves(problem, placement), key=lambda other: cost(problem, other), default=placement)
        if not cost(problem, found) < best - 1e-6:
            break
        placement, best = found, cost(problem, found)
    return placement


def _moves(problem: Problem, placement: Mapping[int, int]) -> Iterable[dict[int, int]]:
    """Yield each placement that differs in one module."""
    for module in problem.modules:
        for need in problem.needs:
            if placement[module.number] != need.outlet and problem.free(module, need):
                yield {**placement, module.number: need.outlet}
