"""The cheapest placement of modules as a mixed integer linear program, solved by HiGHS (highspy); module_allocation.py says what it means.

Pure but for the solver's time limit: within it, and within its limit of nodes, which does not depend on the machine, the same problem gives the same placement.
Where neither finds anything better than the simple placement, that one is taken: an answer is always there.
"""

from dataclasses import dataclass
from math import inf
from typing import Any

import highspy
import numpy as np

from evse_core.module_allocation import (
    APART,
    LEAST_BEGINNING,
    LEAST_CHARGING,
    SHORT,
    Module,
    Need,
    Placement,
    Problem,
    cost,
    losses,
    simple,
    wear,
)

# Difference to the cheapest placement that is good enough. Own choice: a tenth of a switching operation. [W]
GAP = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A placement, what it costs [W], and whether the solver found it (else the simple way did)."""

    placement: Placement
    cost: float
    optimal: bool


class _Program:
    """Rows and columns as they are added."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.integer: list[bool] = []
        self.rows: list[tuple[float, float, dict[int, float]]] = []

    def column(self, price: float, upper: float, integer: bool = False) -> int:
        """Add a variable from 0 to upper; return its index."""
        self.cost.append(price)
        self.upper.append(upper)
        self.integer.append(integer)
        return len(self.cost) - 1

    def row(self, low: float, high: float, terms: dict[int, float]) -> None:
        """Demand low <= sum of terms <= high."""
        self.rows.append((low, high, terms))

    def solve(self, seconds: float, nodes: int) -> list[float] | None:
        """Return the values of the variables, None where nothing was found."""
        highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        options: dict[str, Any] = {
            "output_flag": False,
            "threads": 1,
            "time_limit": seconds,
            "mip_max_nodes": nodes,
            "mip_abs_gap": GAP,
            "mip_rel_gap": 0.0,
        }
        for name, value in options.items():
            highs.setOptionValue(name, value)
        highs.passModel(self._lp())
        highs.run()
        values = highs.getSolution().col_value
        feasible = highs.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        return list(values) if feasible and len(values) == len(self.cost) else None

    def _lp(self) -> Any:
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cost), len(self.rows)
        lp.col_cost_ = np.array(self.cost, dtype=np.double)
        lp.col_lower_ = np.zeros(len(self.cost))
        lp.col_upper_ = np.array(self.upper, dtype=np.double)
        lp.row_lower_ = np.array([low for low, _, _ in self.rows], dtype=np.double)
        lp.row_upper_ = np.array([high for _, high, _ in self.rows], dtype=np.double)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.cumsum([0, *(len(terms) for _, _, terms in self.rows)])
        lp.a_matrix_.index_ = np.array([index for _, _, terms in self.rows for index in terms])
        lp.a_matrix_.value_ = np.array([value for _, _, terms in self.rows for value in terms.values()], dtype=np.double)
        kinds = highspy.HighsVarType
        lp.integrality_ = [kinds.kInteger if integer else kinds.kContinuous for integer in self.integer]
        return lp


def optimise(problem: Problem, seconds: float = 0.1, nodes: int = 2000) -> Plan:
    """Return the cheapest placement that is found within a time [s] and so many nodes of the search; never a worse one than `simple`."""
    fallback = simple(problem)
    known = Plan(fallback, cost(problem, fallback), optimal=False)
    if not problem.modules or not problem.needs:
        return known
    found = _found(problem, seconds, nodes)
    price = cost(problem, found) if found is not None else inf
    return Plan(found, price, optimal=True) if found is not None and price <= known.cost + 1e-6 else known


def _found(problem: Problem, seconds: float, nodes: int) -> dict[int, int] | None:
    program = _Program()
    places = {
        (module.number, need.outlet): program.column(_price(problem, module, need), 1.0, integer=True)
        for module in problem.modules
        for need in problem.needs
        if problem.free(module, need)
    }
    for module in problem.modules:
        columns = {column: 1.0 for (number, _), column in places.items() if number == module.number}
        # A module that may not leave its outlet has one place only, and takes it.
        program.row(1.0 if problem.bound(module) and columns else 0.0, 1.0, columns)
    for need in problem.needs:
        _add_need(program, problem, need, places)
    values = program.solve(seconds, nodes)
    if values is None:
        return None
    return {module.number: _chosen(module, places, values) for module in problem.modules}


def _chosen(module: Module, places: dict[tuple[int, int], int], values: list[float]) -> int:
    return next((outlet for (number, outlet), column in places.items() if number == module.number and values[column] > 0.5), APART)


def _price(problem: Problem, module: Module, need: Need) -> float:
    """Return what this place costs more [W] than to be APART, which costs one operation where the module is connected now."""
    moved = 0 if module.at == need.outlet else 1 + (module.at != APART)
    return problem.prices.switching * (moved - (module.at != APART)) + wear(problem, module, need)


def _add_need(program: _Program, problem: Problem, need: Need, places: dict[tuple[int, int], int]) -> None:
    """Add what is missing at an outlet, in the parts of SHORT and below the least current, and its losses by the number of modules."""
    if need.current <= 0.0:
        return
    here = {
        column: module
        for module in problem.modules
        for (number, outlet), column in places.items()
        if (number, outlet) == (module.number, need.outlet)
    }
    given = {column: module.current(need.voltage) for column, module in here.items()}
    begin, parts = 0.0, {}
    for end, price in SHORT:
        parts[program.column(price * need.voltage, (end - begin) * need.current)] = 1.0
        begin = end
    program.row(need.current, inf, given | parts)
    least = min(need.least, need.current)
    missing = program.column((LEAST_CHARGING if need.charging else LEAST_BEGINNING) * need.voltage, inf)
    program.row(least, inf, given | {missing: 1.0})
    counts = {program.column(losses(problem, need, number), 1.0, integer=True): float(number) for number in range(len(here) + 1)}
    program.row(1.0, 1.0, dict.fromkeys(counts, 1.0))
    program.row(0.0, 0.0, dict.fromkeys(here, 1.0) | {column: -number for column, number in counts.items()})
