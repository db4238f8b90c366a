"""Register maps of Modbus meters from config/meters/*.yaml: found by name or path, validated as a whole (evse_core/meter_map.py says what they mean)."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evse_core import meter_map, meter_sunspec
from evse_core.meter_map import MOST_REGISTERS, QUANTITIES, TEXT, TEXTS, TYPES, UNITS, MeterMap, Quantity
from evse_nodes import databases

FIXED, SUNSPEC = "fixed", "sunspec"
# A map is a page; what is larger is none. [byte]
LARGEST = 100_000
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Quantity(BaseModel):
    """One quantity as the file has it."""

    model_config = _STRICT
    address: int | None = Field(default=None, ge=0, le=meter_map.HIGHEST_ADDRESS)
    models: list[int] = Field(default_factory=list)
    offset: int | None = Field(default=None, ge=2, le=meter_map.HIGHEST_ADDRESS)
    function: Literal[3, 4] = 3
    type: str
    words: int = Field(default=1, ge=1, le=64)
    unit: str = ""
    scale: float = Field(default=1.0, gt=0.0, le=1e9)
    scale_register: int | None = Field(default=None, ge=0, le=meter_map.HIGHEST_ADDRESS)
    sign: Literal[1, -1] = 1
    word_order: Literal["big", "little"] = "big"
    optional: bool = False


class _Map(BaseModel):
    """A file."""

    model_config = _STRICT
    name: str = Field(min_length=1)
    vendor: str = ""
    model: str = ""
    current_type: Literal["AC", "DC"]
    layout: Literal["fixed", "sunspec"] = "fixed"
    bases: list[int] = Field(default_factory=lambda: list(meter_sunspec.BASES))
    most_registers: int = Field(default=MOST_REGISTERS, ge=4, le=MOST_REGISTERS)
    quantities: dict[str, _Quantity] = Field(min_length=1)
    faults: dict[int, str] = Field(default_factory=dict)


def load(name: str) -> MeterMap:
    """Return the map of a name in config/meters, or of a path; ValueError has a line for each thing that is wrong, with file, key, value and bound."""
    return loaded(name)[0]


def loaded(name: str) -> tuple[MeterMap, bytes]:
    """Return a map as load() does, and the content of the file that it was made of."""
    path = find(name)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path}: has more than {LARGEST} bytes")
        content = path.read_bytes()
        data = yaml.safe_load(content.decode("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    return parse(data, str(path)), content


def find(name: str) -> Path:
    """Return the file of a map; ValueError names the maps that there are."""
    if "/" in name or name.endswith(".yaml"):
        return Path(name).expanduser()
    known: set[str] = set()
    for folder in databases.folders():
        path = folder / "meters" / f"{name}.yaml"
        if path.is_file():
            return path
        known |= {found.stem for found in (folder / "meters").glob("*.yaml")}
    raise ValueError(f"map: there is no register map {name!r}; there are {', '.join(sorted(known)) or 'none'}, or a path")


def parse(data: Any, file: str = "map") -> MeterMap:
    """Return the map of data that is already read; ValueError as load()."""
    try:
        model = _Map.model_validate(data)
    except ValidationError as error:
        raise ValueError("\n".join(f"{file}: {_dotted(item['loc'])}: {_words(item)}" for item in error.errors())) from None
    wrong = [f"{file}: quantities.{name}{text}" for name, item in model.quantities.items() for text in _wrong(name, item, model.layout)]
    wrong += [f"{file}: faults.{bit}: is no bit of 64" for bit in model.faults if not 0 <= bit < 64]
    if wrong:
        raise ValueError("\n".join(wrong))
    made = _made(model)
    if problems := meter_map.problems(made):
        raise ValueError("\n".join(f"{file}: quantities.{name}: {text}" for name, text in problems))
    return made


def _dotted(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place)) or "file"


def _words(error: Any) -> str:
    value = error.get("input")
    shown = f"{value!r}: " if isinstance(value, (int, float, str)) else ""
    return f"{shown}{error['msg'][0].lower()}{error['msg'][1:]}"


def _wrong(name: str, item: _Quantity, layout: str) -> list[str]:
    """Return what is wrong with a quantity by itself."""
    if name not in QUANTITIES:
        return [f": is no quantity of a meter; known: {', '.join(QUANTITIES)}"]
    found = []
    if item.type not in (*TYPES, TEXT):
        found.append(f".type: {item.type!r} is none of {', '.join((*TYPES, TEXT))}")
    if (item.type == TEXT) and name not in TEXTS:
        found.append(".type: only names are texts")
    if name not in TEXTS and item.unit not in UNITS[QUANTITIES[name]]:
        found.append(f".unit: {item.unit!r} is none of {', '.join(UNITS[QUANTITIES[name]])}")
    if layout == FIXED and (item.address is None or item.models or item.offset is not None):
        found.append(".address: a fixed map has an address, and neither models nor offset")
    if layout == SUNSPEC and (item.address is not None or not item.models or item.offset is None):
        found.append(".offset: a SunSpec map has models and offset, and no address")
    return found


def _made(model: _Map) -> MeterMap:
    quantities = tuple(_quantity(name, item) for name, item in model.quantities.items())
    return MeterMap(
        model.name,
        model.vendor,
        model.model,
        quantities,
        model.current_type,
        model.layout == SUNSPEC,
        tuple(model.bases),
        model.most_registers,
        model.faults,
    )


def _quantity(name: str, item: _Quantity) -> Quantity:
    unit = UNITS[QUANTITIES[name]].get(item.unit, 1.0)
    address = item.address if item.address is not None else item.offset
    assert address is not None
    return Quantity(
        name,
        address,
        item.type,
        item.function,
        item.words,
        unit * item.scale * item.sign,
        -1 if item.scale_register is None else item.scale_register,
        item.word_order == "little",
        item.optional,
        tuple(item.models),
    )
