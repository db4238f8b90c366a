"""What a random run of the cabinet campaign is, as plain data: vehicles that come and go at EVSEs which share a cabinet, and what breaks in it, from one seed.

A plan goes to JSON and back without loss, and has the shape that campaign_shrink.py shortens.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from random import Random
from typing import Any

from evse_simulators import faults
from evse_simulators.campaign_plan import FOR_EVER

# Modules and EVSEs of the campaign. [1]
MODULES, OUTLETS = 12, 4
# What goes wrong: a fault of the cabinet in one module, frames that are lost on its bus, an allocator that dies.
FAULT, LINK, RULE = "fault", "link", "rule"
FAULTS = faults.of(faults.CABINET)
LINKS = ("cabinet.rx", "cabinet.tx")
ALLOCATOR = "module_allocator"
# Times in which vehicles come and things break, and that a vehicle stays. Own choice: three or four sessions per EVSE would only repeat themselves. [s]
LAST_ARRIVAL, LAST_TROUBLE, SHORTEST, LONGEST = 50.0, 80.0, 25.0, 80.0
# Batteries that come: of 400 V and of 800 V.
BATTERIES: tuple[dict[str, Any], ...] = (
    {},
    {"min_voltage": 520.0, "max_voltage": 920.0, "target_voltage": 850.0, "cells_in_series": 200, "capacity_kwh": 100.0},
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A vehicle that wants `current` [A] comes to an EVSE after `delay` [s], with battery number `battery`, and is stopped `stays` [s] later."""

    outlet: int
    delay: float
    current: float
    stays: float
    battery: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something goes wrong for `duration` [s]; `share` is the part of the frames that are lost, `module` the one that is hit."""

    kind: str
    target: str
    delay: float
    module: int = 0
    duration: float = FOR_EVER
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class CabinetPlan:
    """One run. `station`: hours that the modules have run before, by number; `vehicle` is for campaign_shrink.py alone, vehicles are arrivals."""

    seed: int
    number: int = 1
    station: Mapping[str, float] = field(default_factory=dict)
    actions: tuple[Arrival, ...] = ()
    disturbances: tuple[Trouble, ...] = ()
    vehicle: Mapping[str, Any] = field(default_factory=dict)
    link: str = "cabinet"


def random_plan(seed: int, number: int) -> CabinetPlan:
    """Return run `number` of the campaign with this seed; each is made independently of the others."""
    random = Random(f"{seed}/{number}/cabinet")
    hours = {str(module): round(random.uniform(0.0, 0.05), 4) for module in range(1, MODULES + 1)}
    arrivals = tuple(found for outlet in range(1, OUTLETS + 1) for found in _arrivals(random, outlet))
    troubles = tuple(_trouble(random) for _ in range(random.choice((0, 0, 1, 1, 2, 3))))
    return CabinetPlan(random.randrange(1 << 30), number, hours, arrivals, troubles)


def _arrivals(random: Random, outlet: int) -> tuple[Arrival, ...]:
    """Return the vehicles of one EVSE: none, one, or two after each other."""
    found, free = [], 0.5
    for _ in range(random.choice((0, 1, 1, 1, 2))):
        delay = random.uniform(free, LAST_ARRIVAL) if free < LAST_ARRIVAL else free
        stays = random.uniform(SHORTEST, LONGEST)
        found.append(Arrival(outlet, round(delay, 2), float(random.randint(20, 400)), round(stays, 2), random.choice((0, 0, 1))))
        free = delay + stays + 15.0
    return tuple(found)


def _trouble(random: Random) -> Trouble:
    kind = random.choices((FAULT, LINK, RULE), weights=[6, 2, 1])[0]
    delay = round(random.uniform(1.0, LAST_TROUBLE), 2)
    short = round(random.choice((random.uniform(0.1, 1.0), random.uniform(1.0, 10.0))), 2)
    if kind == FAULT:
        return Trouble(kind, random.choice(FAULTS), delay, random.randint(1, MODULES), random.choice((FOR_EVER, short)))
    if kind == LINK:
        return Trouble(kind, random.choice(LINKS), delay, 0, short, round(random.uniform(0.1, 1.0), 2))
    return Trouble(kind, ALLOCATOR, delay, 0, short)


def to_json(plan: CabinetPlan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return asdict(plan) | {"station": dict(plan.station), "vehicle": dict(plan.vehicle)}


def from_json(value: Any) -> CabinetPlan:
    """Return the plan that to_json wrote; ValueError names what is wrong."""
    if not isinstance(value, dict) or not isinstance(value.get("seed"), int):
        raise ValueError("plan: seed: an integer is needed")
    _known(value, CabinetPlan, "plan")
    arrivals = tuple(_read(item, Arrival, "arrival") for item in value.get("actions", ()))
    troubles = tuple(_read(item, Trouble, "trouble") for item in value.get("disturbances", ()))
    for arrival in arrivals:
        _within("arrival: outlet", arrival.outlet, range(1, OUTLETS + 1))
        _within("arrival: battery", arrival.battery, range(len(BATTERIES)))
    for trouble in troubles:
        targets = {FAULT: FAULTS, LINK: LINKS, RULE: (ALLOCATOR,)}
        _within("trouble: kind", trouble.kind, tuple(targets))
        _within("trouble: target", trouble.target, targets[trouble.kind])
        _within("trouble: module", trouble.module, range(MODULES + 1))
    return CabinetPlan(value["seed"], value.get("number", 1), value.get("station", {}), arrivals, troubles)


def _read(value: Any, kind: Any, name: str) -> Any:
    _known(value, kind, name)
    try:
        return kind(**value)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error


def _known(value: Any, kind: Any, name: str) -> None:
    unknown = set(value) - {item.name for item in fields(kind)} if isinstance(value, dict) else {"(no object)"}
    if unknown:
        raise ValueError(f"{name}: unknown key {', '.join(sorted(unknown))}")


def _within(name: str, value: Any, known: Any) -> None:
    if value not in known:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(map(str, known))}")
