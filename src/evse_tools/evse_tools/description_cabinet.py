"""A cabinet of power modules in a station description: its keys, what must fit together in it, and what the nodes are told of it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from evse_core.codecs.cabinet import MOST_MODULES, MOST_OUTLETS
from evse_core.module_allocator import Cabinet, ModuleRating
from evse_core.module_demand import OutletRating
from evse_core.parameter import Parameter
from evse_core.rating import MOST_CURRENT, MOST_POWER
from evse_core.vehicle_link import PILOT
from evse_tools.config_models import Section, checked
from evse_tools.yaml_source import KeyPath

Finding = tuple[KeyPath, str]
# Section of the cabinet, and the one that says that it is simulated.
CABINET, SIMULATOR = "power_cabinet", "power_cabinet_simulator"
# The node that says which module serves which EVSE.
ALLOCATOR = "module_allocator"


def _key(kind: Any, text: str, unit: str = "", minimum: float | None = None, maximum: float | None = None) -> Any:
    return checked(kind, Parameter(unit, text, "", minimum, maximum))


class CabinetModule(Section):
    """One module of the cabinet."""

    module: _key(int, "number: bits 28..24 of its frames (config/can/cabinet.dbc)", "", 1, MOST_MODULES)  # type: ignore[valid-type]
    max_current: _key(float, "highest output current", "A", 1.0, MOST_CURRENT)  # type: ignore[valid-type]
    max_power: _key(float, "highest output power", "W", 100.0, MOST_POWER)  # type: ignore[valid-type]
    max_voltage: _key(float, "highest output voltage", "V", 50.0, 1500.0)  # type: ignore[valid-type]
    connections: _key(tuple[int, ...], "EVSEs that its switches reach")  # type: ignore[valid-type]


class EfficiencyPoint(Section):
    """One point of the efficiency curve of the modules."""

    load: _key(float, "share of the current that a module can give at the present voltage", "", 0.0, 1.0)  # type: ignore[valid-type]
    efficiency: _key(float, "share of the input power that comes out", "", 0.5, 0.999)  # type: ignore[valid-type]


class CabinetContent(Section):
    """Power modules that several EVSEs share through a switch matrix, and the bus on which its switches are commanded."""

    modules: list[CabinetModule] = Field(min_length=1)
    efficiency: list[EfficiencyPoint] = Field(default_factory=list)


def layout(content: Any, evses: Any) -> Cabinet:
    """Return what module_allocator and the simulated cabinet are told. content: the model of the section; evses: those of the description."""
    modules = tuple(
        ModuleRating(item.module, item.max_current, item.max_power, item.max_voltage, frozenset(item.connections))
        for item in content.modules
    )
    served = frozenset().union(*(module.outlets for module in modules))
    outlets = tuple(
        OutletRating(evse.number, evse.rating["max_current"], evse.rating["max_power"], evse.rating["max_voltage"])
        for evse in evses
        if evse.number in served
    )
    curve = tuple((point.load, point.efficiency) for point in content.efficiency)
    return Cabinet(modules, outlets, curve) if curve else Cabinet(modules, outlets)


def served(data: dict[str, Any]) -> set[int]:
    """Return the EVSEs that modules of the cabinet reach, from raw data."""
    return {number for _, module in _modules(data) for number in _connections(module)}


def _modules(data: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    content = data.get(CABINET)
    entries = content.get("modules") if isinstance(content, dict) else None
    if isinstance(entries, list):
        yield from ((index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict))


def _connections(module: dict[str, Any]) -> list[int]:
    found = module.get("connections")
    return [number for number in found if isinstance(number, int)] if isinstance(found, list) else []


def _evses(data: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    entries = data.get("evses")
    return [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict)] if isinstance(entries, list) else []


def cabinet_problems(data: dict[str, Any]) -> Iterator[Finding]:
    """Yield what does not fit: sections without a cabinet, modules without an EVSE, EVSEs without a module."""
    if CABINET not in data:
        yield from (((name,), f"has no cabinet: the section {CABINET} is missing") for name in (SIMULATOR, ALLOCATOR) if name in data)
        return
    yield from _module_problems(data)
    yield from _evse_problems(data)
    yield from _curve_problems(data)


def _module_problems(data: dict[str, Any]) -> Iterator[Finding]:
    known = sorted(number for _, evse in _evses(data) if isinstance(number := evse.get("evse"), int))
    numbers = Counter(module.get("module") for _, module in _modules(data) if isinstance(module.get("module"), int))
    for index, module in _modules(data):
        path: KeyPath = (CABINET, "modules", index)
        number = module.get("module")
        if isinstance(number, int) and numbers[number] > 1:
            yield (*path, "module"), f"{number} is the number of more than one module"
        if module.get("connections") == []:
            yield (*path, "connections"), "is empty: this module could go nowhere; at least one EVSE is needed"
        for evse in _connections(module):
            if evse not in known:
                yield (*path, "connections"), f"{evse} is no EVSE of this station; it has {', '.join(map(str, known))}"
            elif evse > MOST_OUTLETS:
                yield (
                    (*path, "connections"),
                    f"{evse} is above {MOST_OUTLETS}: the frames of a cabinet know the outlets 1 to {MOST_OUTLETS}",
                )
        if len(set(_connections(module))) < len(_connections(module)):
            yield (*path, "connections"), "names an EVSE more than once"


def _evse_problems(data: dict[str, Any]) -> Iterator[Finding]:
    reached = served(data)
    for index, evse in _evses(data):
        path: KeyPath = ("evses", index)
        number = evse.get("evse")
        if not isinstance(number, int):
            continue
        if evse.get("vehicle_link") == PILOT:
            if number in reached:
                yield (*path, "vehicle_link"), f"{PILOT} is an AC output, which has no power modules: {CABINET} must not name EVSE {number}"
            continue
        if number not in reached:
            if "power_module_simulator" not in evse:
                yield (*path, "evse"), f"{number} has no module: no connections of {CABINET}.modules name it"
            continue
        if "power_module_simulator" in evse:
            yield (*path, "power_module_simulator"), f"is a second source of power: EVSE {number} is served by {CABINET}"
        rating = evse.get("rating")
        if isinstance(rating, dict):
            if "module_count" in rating:
                yield (*path, "rating", "module_count"), f"follows from {CABINET}: modules come and go"
            if isinstance(given := rating.get("max_discharge_current"), (int, float)) and given > 0.0:
                yield (*path, "rating", "max_discharge_current"), f"{given} A is above 0 A: the modules of {CABINET} take no current back"
            yield from _rating_problems(data, (*path, "rating"), rating, number)


def _rating_problems(data: dict[str, Any], path: KeyPath, rating: dict[str, Any], number: Any) -> Iterator[Finding]:
    """An EVSE must not promise a voltage that none of its modules has."""
    wanted = rating.get("max_voltage", 500.0)
    found = [module.get("max_voltage") for _, module in _modules(data) if number in _connections(module)]
    highest = max((float(value) for value in found if isinstance(value, (int, float))), default=None)
    if _is_number(wanted) and highest is not None and wanted > highest:
        yield (*path, "max_voltage"), f"{wanted} V is above {highest} V, the most that a module has which is connected to EVSE {number}"


def _curve_problems(data: dict[str, Any]) -> Iterator[Finding]:
    """The loads of the curve must rise."""
    content = data.get(CABINET)
    points = content.get("efficiency") if isinstance(content, dict) else None
    last = None
    for index, point in enumerate(points if isinstance(points, list) else []):
        load = point.get("load") if isinstance(point, dict) else None
        if not _is_number(load):
            continue
        if last is not None and load <= last:
            yield (CABINET, "efficiency", index, "load"), f"{load} is not above {last}, the load of the point before it"
        last = load


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
