"""From the parameters of a rule to a section of the station description: dataclass in, pydantic model out, with the same names, units and bounds."""

from collections.abc import Callable, Collection
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from evse_core.parameter import Parameter

# Unknown keys are errors, "400" is no number, true is no number, and neither are .nan and .inf.
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Section(BaseModel):
    """Base of every section: strict about types and keys."""

    model_config = STRICT


def section_model(name: str, config: type[Any], without: Collection[str] = ()) -> type[Section]:
    """Return a model with a key for each field of the dataclass config but those of `without`."""
    hints = get_type_hints(config)
    keys: dict[str, Any] = {}
    for item in fields(config):
        if item.name not in without:
            info = item.metadata.get("parameter", Parameter("", item.name.replace("_", " "), ""))
            keys[item.name] = (checked(hints[item.name], info), Field(default=... if item.default is MISSING else item.default))
    return create_model(name, __base__=Section, __doc__=config.__doc__, **keys)


def checked(kind: Any, info: Parameter) -> Any:
    """Return the annotation of a key: its type, its bounds with the unit in the message, and the parameter's facts for the documentation."""
    # Lists become tuples; the items stay strict.
    lax = (Field(strict=False),) if get_origin(kind) is tuple else ()
    return Annotated[kind, *lax, AfterValidator(_bounds(info)), info]


def _bounds(info: Parameter) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if error := info.error(value):
            raise ValueError(" ".join(error.split()))
        return value

    return check
