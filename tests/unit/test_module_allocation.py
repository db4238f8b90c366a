"""Which module serves which EVSE: against a search of all placements, and what must hold whatever the figures are."""

from itertools import product
from math import inf
from random import Random

import pytest

from evse_core.module_allocation import (
    APART,
    EFFICIENCY,
    Module,
    Need,
    Prices,
    Problem,
    capacity,
    cost,
    efficiency_at,
    operations,
    running,
    simple,
    standing,
)
from evse_core.module_optimizer import GAP, optimise

ALL = frozenset({1, 2, 3})
# Long enough that only the limit of nodes ends a search: the tests' figures must not depend on the machine. [s]
PATIENT = 60.0


def module(number: int, at: int = APART, hours: float = 0.0, outlets: frozenset[int] = ALL, **rating: float) -> Module:
    return Module(
        number, **({"max_current": 100.0, "max_power": 30e3, "max_voltage": 1000.0} | rating), outlets=outlets, at=at, hours=hours
    )


def charging(outlet: int, current: float, least: float = 10.0, voltage: float = 300.0, settled: bool = True) -> Need:
    return Need(outlet, current, least, voltage, charging=True, settled=settled)


def random_problem(random: Random) -> Problem:
    outlets = range(1, random.randint(2, 3) + 1)
    modules = tuple(
        Module(
            number,
            random.choice((60.0, 100.0)),
            random.choice((20e3, 30e3)),
            random.choice((500.0, 1000.0)),
            allowed := frozenset(random.sample(list(outlets), random.randint(1, len(outlets)))),
            random.choice((APART, *allowed)),
            random.uniform(0.0, 2000.0),
        )
        for number in range(1, random.randint(2, 5) + 1)
    )
    needs = tuple(
        Need(
            outlet,
            random.choice((0.0, random.uniform(5.0, 400.0))),
            10.0,
            random.uniform(200.0, 900.0),
            charging=random.random() < 0.7,
            settled=random.random() < 0.8,
        )
        for outlet in outlets
    )
    return Problem(modules, needs)


def cheapest(problem: Problem) -> float:
    """Return the cost of the best of all placements."""
    numbers = [module.number for module in problem.modules]
    outlets = (APART, *(need.outlet for need in problem.needs))
    return min(cost(problem, dict(zip(numbers, chosen, strict=True))) for chosen in product(outlets, repeat=len(numbers)))


@pytest.mark.parametrize("seed", range(60))
def test_no_placement_is_cheaper_than_the_one_that_is_found(seed: int) -> None:
    problem = random_problem(Random(seed))
    plan = optimise(problem, PATIENT)
    assert cost(problem, plan.placement) == pytest.approx(plan.cost)
    assert plan.cost <= cheapest(problem) + GAP + 1e-6


@pytest.mark.parametrize("seed", range(60))
def test_the_simple_placement_is_allowed_and_no_worse_than_standing_still(seed: int) -> None:
    problem = random_problem(Random(seed))
    still = cost(problem, standing(problem))
    assert cost(problem, simple(problem)) <= still < inf


def test_without_time_the_simple_placement_is_taken() -> None:
    problem = Problem(tuple(module(number) for number in range(1, 13)), (charging(1, 500.0), charging(2, 400.0), charging(3, 700.0)))
    plan = optimise(problem, 0.0, 0)
    assert cost(problem, plan.placement) <= cost(problem, simple(problem))


def test_the_solver_finds_what_the_simple_way_does_not() -> None:
    """Else a library would be for nothing."""
    problems = (random_problem(Random(seed)) for seed in range(300))
    assert any(optimise(problem, PATIENT).cost < cost(problem, simple(problem)) - 100.0 for problem in problems)


def test_what_is_short_is_shared_in_proportion() -> None:
    problem = Problem(tuple(module(number) for number in range(1, 7)), (charging(1, 600.0), charging(2, 600.0), charging(3, 0.0)))
    placement = optimise(problem, PATIENT).placement
    assert [capacity(problem, placement, need) for need in problem.needs[:2]] == [300.0, 300.0]


def test_nobody_who_charges_falls_below_his_least_current_where_it_can_be_avoided() -> None:
    held = tuple(module(number, at=1) for number in range(1, 4))
    problem = Problem(held, (charging(1, 300.0), charging(2, 20.0), charging(3, 10.0)))
    placement = optimise(problem, PATIENT).placement
    assert all(capacity(problem, placement, need) >= need.least for need in problem.needs)


def test_who_charges_keeps_his_least_current_before_somebody_begins() -> None:
    problem = Problem((module(1, at=1),), (charging(1, 100.0), Need(2, 500.0, 10.0, 300.0)))
    assert optimise(problem, PATIENT).placement == {1: 1}


def test_a_module_is_not_connected_above_its_voltage_nor_where_it_may_not_be() -> None:
    modules = (module(1, max_voltage=500.0), module(2, outlets=frozenset({2})))
    problem = Problem(modules, (charging(1, 50.0, voltage=800.0), charging(2, 0.0)))
    assert set(optimise(problem, PATIENT).placement.values()) == {APART}


def test_nothing_moves_where_nothing_is_gained() -> None:
    problem = Problem(
        tuple(module(number, at=1 + number % 2) for number in range(1, 7)), (charging(1, 250.0), charging(2, 290.0), charging(3, 0.0))
    )
    assert optimise(problem, PATIENT).placement == standing(problem)


def test_no_module_comes_or_goes_where_the_voltage_leaps() -> None:
    unsettled = charging(1, 0.0, settled=False)
    problem = Problem((module(1, at=1), module(2, at=2)), (unsettled, charging(2, 200.0), charging(3, 50.0)))
    assert optimise(problem, PATIENT).placement[1] == 1


def test_of_modules_that_are_free_the_one_that_ran_least_is_taken() -> None:
    modules = tuple(module(number, hours=hours) for number, hours in enumerate((900.0, 100.0, 500.0), 1))
    problem = Problem(modules, (charging(1, 60.0), charging(2, 0.0)), Prices(hours=1.0))
    assert optimise(problem, PATIENT).placement[2] == 1


def test_hours_that_differ_too_much_are_worth_a_move() -> None:
    def problem(hours: float) -> Problem:
        return Problem((module(1, at=1, hours=hours), module(2)), (charging(1, 80.0), charging(2, 0.0)))

    moves = 2 * Prices().switching / Prices().hours
    assert optimise(problem(moves - 100.0), PATIENT).placement == {1: 1, 2: APART}
    assert optimise(problem(moves + 100.0), PATIENT).placement[2] == 1


def test_running_hours_do_not_diverge() -> None:
    """Two hundred twenty-hour days: two vehicles that want any current of a cabinet of six, each module as worn as it was used."""
    random, hours, at = Random(1), dict.fromkeys(range(1, 7), 0.0), dict.fromkeys(range(1, 7), APART)
    for _ in range(200):
        modules = tuple(module(number, at=at[number], hours=hours[number], outlets=frozenset({1, 2})) for number in hours)
        problem = Problem(modules, (charging(1, random.uniform(10.0, 150.0)), charging(2, random.choice((0.0, 80.0)))))
        at = dict(optimise(problem, PATIENT).placement)
        for need in problem.needs:
            here = sorted((one for one in modules if at[one.number] == need.outlet), key=lambda one: one.hours)
            for one in here[: running(problem, need.current, 100.0, 300.0, len(here)) if need.current else 0]:
                hours[one.number] += 20.0
    spread = max(hours.values()) - min(hours.values())
    assert min(hours.values()) > 600.0
    assert spread <= 2 * Prices().switching / Prices().hours + 20.0


def test_as_many_modules_run_as_lose_least() -> None:
    problem = Problem(tuple(module(number, at=1) for number in range(1, 7)), (charging(1, 50.0),))
    assert running(problem, 50.0, 100.0, 300.0, 6) == 1
    assert running(problem, 200.0, 100.0, 300.0, 6) == 4
    assert running(problem, 900.0, 100.0, 300.0, 6) == 6


def test_a_move_from_outlet_to_outlet_is_two_operations() -> None:
    assert [operations(module(1, at=at), to) for at, to in ((1, 1), (1, 2), (APART, 2), (1, APART), (APART, APART))] == [0, 2, 1, 1, 0]


def test_the_efficiency_is_that_of_the_curve() -> None:
    assert efficiency_at(EFFICIENCY, 0.0) == EFFICIENCY[0][1]
    assert efficiency_at(EFFICIENCY, 0.5) == 0.96
    assert efficiency_at(EFFICIENCY, 0.35) == pytest.approx((0.945 + 0.96) / 2)
    assert efficiency_at(EFFICIENCY, 2.0) == EFFICIENCY[-1][1]


def test_twelve_modules_and_four_outlets_are_placed_in_time() -> None:
    random = Random(1)
    modules = tuple(module(number, hours=random.uniform(0, 500), outlets=frozenset({1, 2, 3, 4})) for number in range(1, 13))
    needs = tuple(charging(outlet, random.uniform(100.0, 600.0)) for outlet in (1, 2, 3, 4))
    assert optimise(Problem(modules, needs), 2.0).optimal
