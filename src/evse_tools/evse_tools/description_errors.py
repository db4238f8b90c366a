"""What pydantic says about a description, in the words of the person who wrote it: file, line, key, value, bound."""

from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from evse_tools.description_schema import RATINGS, station_model
from evse_tools.yaml_source import KeyPath, Problem, YamlSource

KINDS = {
    "float_type": "is not a number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "bool_type": "is neither true nor false",
    "string_type": "is not a text; put it between quotes",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "dict_type": "is not a mapping of keys to values",
    "model_type": "is not a section: a mapping of keys to values",
    "finite_number": "is not a finite number",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "has other characters than letters, digits, . _ -, or too many",
    "too_short": "has no entry; at least one is needed",
}
# Keys of a section that are said somewhere else.
ELSEWHERE = {key: f"belongs into the EVSE's rating.{key}" for key in RATINGS} | {
    "vehicle_link": "belongs into the EVSE itself",
    "has_cabinet": "follows from power_cabinet",
    "serial_number": "belongs into station.serial",
    "vendor": "belongs into station.vendor",
    "model": "belongs into station.model",
    "directory": "follows from data_dir",
    "station_name": "is station.name",
    "place": "belongs into station.place",
    "time_zone": "belongs into station.time_zone",
    "serial": "belongs into station.serial",
    "pistol": "follows from can_bridge.controller_pistol",
}
# Longest value that is repeated in a message. [characters]
LONGEST = 60


def explain(source: YamlSource, error: ValidationError) -> list[Problem]:
    """Return a problem for each error."""
    return [source.problem(path, text) for path, text in (_explain(dict(item)) for item in error.errors())]


def _explain(item: dict[str, Any]) -> tuple[KeyPath, str]:
    path: KeyPath = item["loc"]
    kind, value = item["type"], item["input"]
    if kind == "extra_forbidden":
        return path, _unknown(path)
    if kind == "missing":
        return path, "is missing"
    if kind == "value_error":
        return path, str(item["ctx"]["error"])
    if kind in {"string_too_long", "too_long"}:
        return path, f"{shown(value)} has {len(value)} characters; at most {item['ctx']['max_length']} are allowed"
    if kind == "literal_error":
        return path, f"{shown(value)} is none of {item['ctx']['expected']}"
    return path, f"{shown(value)} {KINDS[kind]}" if kind in KINDS else f"{shown(value)}: {item['msg']}"


def shown(value: Any) -> str:
    """Return a value as a file would have it, short."""
    text = {True: "true", False: "false", None: "nothing"}.get(value, repr(value)) if isinstance(value, (bool, type(None))) else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _unknown(path: KeyPath) -> str:
    name, known = str(path[-1]), keys_at(path[:-1])
    if name in ELSEWHERE and len(path) > 1:
        return f"does not belong here: it {ELSEWHERE[name]}"
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"is an unknown key; did you mean {close[0]}?" if close else f"is an unknown key; known here: {', '.join(known)}"


def keys_at(path: KeyPath) -> list[str]:
    """Return the known keys of the section at path."""
    model: Any = station_model()
    for part in path:
        if isinstance(part, str):
            model = section_of(model.model_fields[part].annotation) if model and part in model.model_fields else None
    return list(model.model_fields) if model else []


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside of an annotation such as list[Evse] or Recorder | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if not get_args(annotation):
        return None
    found = (section_of(argument) for argument in get_args(annotation) if argument is not type(None))
    return next((model for model in found if model), None)
