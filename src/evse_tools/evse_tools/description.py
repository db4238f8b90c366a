"""The description of a station: one YAML file, validated as a whole before anything starts.

`load` returns a Description or raises DescriptionError with every problem that was found, each with file, line, key, value and bound.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from evse_core.module_allocator import Cabinet
from evse_core.parameter import check
from evse_core.tariff import windows_text
from evse_core.vehicle_link import PILOT
from evse_tools import yaml_source
from evse_tools.description_cabinet import SIMULATOR, layout
from evse_tools.description_checks import semantic_problems
from evse_tools.description_errors import explain
from evse_tools.description_schema import (
    AC_RATINGS,
    BRIDGE,
    BUSES,
    BUSES_OF,
    EVSE_SECTIONS,
    HANDED_ON,
    SIMULATOR_BUSES,
    STATION_SECTIONS,
    Bus,
    Source,
    station_model,
)
from evse_tools.yaml_source import KeyPath, Problem, YamlSource

Values = Mapping[str, Any]
NOTHING: Values = MappingProxyType({})


class DescriptionError(ValueError):
    """A description cannot be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.key)))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Evse:
    """One EVSE. `rating` has what several nodes are told, the vehicle link included; `sections` the values that the file gives, by node.

    A simulator that is not there is not simulated.
    """

    number: int
    rating: Values
    buses: Mapping[str, Bus]
    sections: Mapping[str, Values]

    @property
    def namespace(self) -> str:
        """The ROS namespace."""
        return f"/evse_{self.number}"


@dataclass(frozen=True, slots=True)
class Description:
    """A whole station. `sections` has the values that the file gives, by node; a recorder or csms_simulator that is not in it does not run.

    `digest` is the file's SHA-256 in hexadecimal, "" where the description comes from no file or was changed since.
    """

    file: str
    station: Values
    data_dir: Path
    composition: str
    sections: Mapping[str, Values]
    evses: tuple[Evse, ...] = field(default=())
    cabinet: Cabinet | None = None
    cabinet_bus: Bus | None = None
    digest: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the EVSEs."""
        return tuple(evse.number for evse in self.evses)

    @property
    def csms_url(self) -> str:
        """Address of the CSMS without the station's name; "" where there is none."""
        if "csms_simulator" in self.sections:
            return f"ws://127.0.0.1:{self.sections['csms_simulator']['port']}"
        return str(self.sections["ocpp_uplink"].get("url", ""))

    @property
    def is_simulated(self) -> bool:
        """Whether any part is simulated."""
        station = "csms_simulator" in self.sections or SIMULATOR in self.sections
        return station or any(name in evse.sections for evse in self.evses for name in SIMULATOR_BUSES)


def load(path: str | Path) -> Description:
    """Read and validate a file; DescriptionError names everything that is wrong."""
    source, problems = yaml_source.read(Path(path))
    if problems:
        raise DescriptionError(problems)
    return validate(source)


def from_data(data: Any, file: str = "description") -> Description:
    """Validate a description that is already data, such as a changed copy of a file's."""
    return validate(YamlSource(file, data))


def validate(source: YamlSource) -> Description:
    """Return the description, or raise DescriptionError."""
    if not isinstance(source.data, dict):
        raise DescriptionError(
            [source.problem((), "is not a station description: a mapping with the keys station, data_dir, evses, ... is")]
        )
    try:
        model = station_model().model_validate(source.data)
    except ValidationError as error:
        # What else is wrong can still be said where the shapes are right, so that nobody has to correct one value at a time.
        problems = explain(source, error)
        known = {problem.key for problem in problems}
        raise DescriptionError(problems + [extra for extra in semantic_problems(source) if extra.key not in known]) from None
    description = _description(source, model)
    if problems := [*semantic_problems(source), *_rule_problems(source, description)]:
        raise DescriptionError(problems)
    return description


def _description(source: YamlSource, model: Any) -> Description:
    sections = {name: _given(getattr(model, name)) for name in STATION_SECTIONS}
    if rows := sections["tariff"].get("windows"):
        sections["tariff"]["windows"] = windows_text(rows)
    else:
        sections["tariff"].pop("windows", None)
    if not sections["recorder"].pop("enabled", True):
        del sections["recorder"]
    if model.csms_simulator is not None:
        sections["csms_simulator"] = model.csms_simulator.model_dump()
    if model.power_cabinet_simulator is not None:
        sections[SIMULATOR] = _given(model.power_cabinet_simulator)
    evses = tuple(_evse(item) for item in model.evses)
    cabinet = layout(model.power_cabinet, evses) if model.power_cabinet is not None else None
    if cabinet is not None:
        evses = tuple(_on_cabinet(evse, cabinet) for evse in evses)
    return Description(
        file=source.file,
        digest=source.digest,
        station=model.station.model_dump(),
        data_dir=Path(model.data_dir).expanduser().absolute(),
        composition=model.composition,
        sections=sections,
        evses=evses,
        cabinet=cabinet,
        cabinet_bus=model.power_cabinet.bus if model.power_cabinet is not None else None,
    )


def _on_cabinet(evse: Evse, cabinet: Cabinet) -> Evse:
    """Tell an EVSE that its modules are those of a cabinet: at least one of them has to be there in a session."""
    if all(outlet.outlet != evse.number for outlet in cabinet.outlets):
        return evse
    return replace(evse, rating={**evse.rating, "has_cabinet": True, "module_count": 1})


def _evse(model: Any) -> Evse:
    bridge = _given(model.can_bridge)
    sections = {"can_bridge": {key: value for key, value in bridge.items() if key not in BUSES}}
    sections |= {name: _given(getattr(model, name)) for name in EVSE_SECTIONS if getattr(model, name) is not None}
    buses = {name: getattr(model.can_bridge, name) for name in BUSES_OF[model.vehicle_link]}
    return Evse(model.evse, _rating(model), buses, sections)


def _rating(model: Any) -> dict[str, Any]:
    """Return what several nodes are told; of an AC side only where there is one."""
    values = model.rating.model_dump() | {"vehicle_link": model.vehicle_link, "has_cabinet": False}
    if model.vehicle_link == PILOT:
        values["has_control_pilot"] = True
    return {key: value for key, value in values.items() if values["ac_phases"] or key not in AC_RATINGS}


def _given(model: BaseModel) -> dict[str, Any]:
    """Return what the file says; what it does not say stays with the node's own default."""
    return model.model_dump(exclude_unset=True)


def _rule_problems(source: YamlSource, description: Description) -> Iterable[Problem]:
    """Yield what the rules themselves refuse: a rating beyond a tighter bound of theirs, or a value that fits its type but not its meaning."""
    for name, values in description.sections.items():
        if name in STATION_SECTIONS:
            yield from _refused(source, (name,), STATION_SECTIONS[name], values, NOTHING)
    for index, evse in enumerate(description.evses):
        for name, section in ({"can_bridge": BRIDGE} | EVSE_SECTIONS).items():
            if name in evse.sections:
                yield from _refused(source, ("evses", index, name), section, evse.sections[name], evse.rating)


def _refused(source: YamlSource, path: KeyPath, section: Source, values: Values, rating: Values) -> Iterable[Problem]:
    config = section.load()
    shared = {key: rating[key] for key in HANDED_ON if key in section.without and key in config.__dataclass_fields__ and key in rating}
    try:
        lines = check(config(**shared, **{key: value for key, value in values.items() if key in config.__dataclass_fields__}))
    except ValueError as error:
        lines = [str(error)]
    for line in lines:
        key, separator, text = line.partition(": ")
        if key in shared:
            yield source.problem((*path[:-1], "rating", key), f"{text} ({path[-1]})")
        else:
            yield source.problem((*path, key), text) if separator and key in values else source.problem(path, line)
