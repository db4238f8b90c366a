"""Numbers that a builder may change: each a dataclass field that carries its unit, bounds and source.

The same fields become ROS parameters (evse_nodes/params.py), keys of the station description and rows of docs/configuration.md.
"""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is to be known about a number besides its value."""

    unit: str
    text: str
    source: str
    minimum: float | None = None
    maximum: float | None = None

    def error(self, value: Any) -> str:
        """Return what is wrong with value, with the bound; "" where nothing is."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return ""
        if self.minimum is not None and not value >= self.minimum:
            return f"{value} {self.unit} is below {self.minimum} {self.unit}"
        if self.maximum is not None and not value <= self.maximum:
            return f"{value} {self.unit} is above {self.maximum} {self.unit}"
        return ""


def parameter(default: Any, unit: str, text: str, source: str, minimum: float | None = None, maximum: float | None = None) -> Any:
    """Declare a dataclass field with its default, its unit ("" for none), one line of text, the source of the default, and inclusive bounds."""
    return field(default=default, metadata={"parameter": Parameter(unit, text, source, minimum, maximum)})


def parameters(config: Any) -> Iterator[tuple[Field[Any], Parameter]]:
    """Yield each field of a dataclass (or an instance) that was declared with parameter()."""
    for item in fields(config):
        if "parameter" in item.metadata:
            yield item, item.metadata["parameter"]


def check(config: Any) -> list[str]:
    """Return one line per parameter of an instance that lies outside its bounds."""
    found = ((item.name, info.error(getattr(config, item.name))) for item, info in parameters(config))
    return [f"{name}: {error}" for name, error in found if error]
