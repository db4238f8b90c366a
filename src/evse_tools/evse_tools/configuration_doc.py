"""docs/configuration.md: every key of a station description, drawn from the models that check it."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from evse_core.parameter import Parameter
from evse_tools.description_errors import section_of
from evse_tools.description_schema import station_model

HEAD = """# The station description

Generated from the models in `evse_tools/description_schema.py` and the parameters of the rules by `./station docs`.

One YAML file describes one station; `./station doctor FILE` checks it. Sections are named like the nodes that they configure. A section that is named but
empty has its defaults; a `..._simulator` section says that this part is simulated, and each goes away alone. The same keys are the ROS parameters of the nodes.
Examples: `config/single_evse.yaml`, `config/depot.yaml`, `config/real_hardware.yaml`.

`ocpp_uplink.charge_point_id` is `station.name` where it is not given.

A default without a source of its own comes from the section that the text names. "can.md" is the collection of protocol facts that the project was built from.
"""


def configuration_markdown() -> str:
    """Return the page."""
    parts = [f"{HEAD}\n## Top level\n\n{_table(station_model())}"]
    parts += [f"## {path}\n\n{model.__doc__ or ''}\n\n{_table(model)}" for path, model in _sections(station_model(), "")]
    return "\n\n".join(parts) + "\n"


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every section below model with its path; buses have the same keys, so one stands for all."""
    seen = set()
    for name, info in model.model_fields.items():
        below = section_of(info.annotation)
        if below is not None and (below not in seen or name.endswith("simulator")):
            seen.add(below)
            full = f"{path}{name}[]" if _is_list(info.annotation) else f"{path}{name}"
            yield full, below
            yield from _sections(below, f"{full}.")


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list or any(_is_list(argument) for argument in get_args(annotation))


def _table(model: type[BaseModel]) -> str:
    lines = ["| key | unit | default | range | what it is | where the default comes from |", "|---|---|---|---|---|---|"]
    return "\n".join(lines + [_row(name, info) for name, info in model.model_fields.items()])


def _row(name: str, info: FieldInfo) -> str:
    facts = next((item for item in info.metadata if isinstance(item, Parameter)), None)
    if facts is None:
        text = "list of sections, see below" if _is_list(info.annotation) else "section, see below"
        facts = Parameter("", text, "")
    cells = (f"`{name}`", facts.unit, _default(info), _range(facts), facts.text, facts.source)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "**required**" if info.default_factory is None else "empty"
    if info.default is None:
        return "absent"
    if isinstance(info.default, bool):
        return str(info.default).lower()
    if isinstance(info.default, tuple):
        return "[" + ", ".join(map(str, info.default)) + "]"
    return (
        f'"{info.default}"'
        if isinstance(info.default, str)
        else f"{info.default:g}"
        if isinstance(info.default, float)
        else str(info.default)
    )


def _range(facts: Parameter) -> str:
    if facts.minimum is None and facts.maximum is None:
        return ""
    low = "" if facts.minimum is None else f"{facts.minimum:g}"
    high = "" if facts.maximum is None else f"{facts.maximum:g}"
    return f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
