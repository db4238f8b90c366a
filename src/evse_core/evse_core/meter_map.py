"""Register maps of Modbus meters: which quantity stands where, what to ask for, and what the answer means.

Theory of operation. A map has quantities. In a fixed map each has an address; in a SunSpec map it has a model and an offset, and where the models begin is
found out by walking them (meter_sunspec.py). `plan` joins neighbouring quantities into few requests, `decode` makes a MeterReport of the words that came
back. A word that did not come, that stands for "not implemented", or that is no finite number gives NaN: never a value in its place. Addresses are those of
the protocol, from 0 (40001 in a manual is 0 of function 3).
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import Any

from evse_core.types import MeterReport

# Most registers that one request may ask for (Modbus Application Protocol 1.1b3, 6.3 and 6.4), and the highest address. [registers]
MOST_REGISTERS, HIGHEST_ADDRESS = 125, 65535
# Registers of each type, and how struct reads them once the most significant word is first; a text has as many as the map says.
TYPES: Mapping[str, tuple[int, str]] = {
    "u16": (1, ">H"),
    "s16": (1, ">h"),
    "u32": (2, ">I"),
    "s32": (2, ">i"),
    "u64": (4, ">Q"),
    "s64": (4, ">q"),
    "float32": (2, ">f"),
    "float64": (4, ">d"),
}
TEXT = "text"
# What SunSpec devices send for what they do not measure (SunSpec Device Information Model Specification, not-implemented values).
NOT_IMPLEMENTED = {"u16": 0xFFFF, "s16": -0x8000, "u32": 0xFFFFFFFF, "s32": -0x80000000, "u64": 2**64 - 1, "s64": -(2**63)}
# Powers of ten beyond which a scale register is none (SunSpec: sunssf is -10 to 10).
SCALE_LIMIT = 10
# Units that a map may give, by the unit of MeterReport, with their size in it.
UNITS: Mapping[str, Mapping[str, float]] = {
    "Wh": {"Wh": 1.0, "kWh": 1e3, "MWh": 1e6, "mWh": 1e-3},
    "V": {"V": 1.0, "mV": 1e-3, "kV": 1e3},
    "A": {"A": 1.0, "mA": 1e-3},
    "W": {"W": 1.0, "kW": 1e3, "mW": 1e-3},
    "Hz": {"Hz": 1.0, "mHz": 1e-3},
    "s": {"s": 1.0, "ms": 1e-3},
    "": {"": 1.0},
}
# What a map can name, and the unit that MeterReport has it in.
QUANTITIES: Mapping[str, str] = {
    "import_wh": "Wh",
    "export_wh": "Wh",
    "voltage": "V",
    "current": "A",
    "power": "W",
    "frequency": "Hz",
    **{f"voltage_l{phase}": "V" for phase in (1, 2, 3)},
    **{f"current_l{phase}": "A" for phase in (1, 2, 3)},
    **{f"power_l{phase}": "W" for phase in (1, 2, 3)},
    "clock": "s",
    "status": "",
    "serial": "",
    "vendor": "",
    "model": "",
    "firmware": "",
}
STATUS = "status"
TEXTS = frozenset({"serial", "vendor", "model", "firmware"})
# What is read once after each connection and with every READ_AGAIN-th poll: it changes only where the meter is exchanged.
NAMES = TEXTS
# Function code and address of a register.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Quantity:
    """Where one value of a meter stands and what it means.

    `address` counts from the begin of the model in a SunSpec map. `scale` is its unit's size in the unit of MeterReport times the map's own factor;
    `scale_register` is where a power of ten stands, -1: nowhere. `words` is the length of a text.
    """

    name: str
    address: int
    kind: str
    function: int = 3
    words: int = 1
    scale: float = 1.0
    scale_register: int = -1
    little: bool = False
    optional: bool = False
    models: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """Registers that it takes."""
        return self.words if self.kind == TEXT else TYPES[self.kind][0]


@dataclass(frozen=True, slots=True)
class MeterMap:
    """A register map. `sunspec`: addresses are offsets into models. `faults`: bits of `status` that say that the meter does not measure right."""

    name: str
    vendor: str
    model: str
    quantities: tuple[Quantity, ...]
    current_type: str = "AC"
    sunspec: bool = False
    bases: tuple[int, ...] = ()
    most_registers: int = MOST_REGISTERS
    faults: Mapping[int, str] = field(default_factory=dict)

    @property
    def models(self) -> tuple[tuple[int, ...], ...]:
        """The groups of SunSpec models of which each must have one."""
        return tuple(dict.fromkeys(quantity.models for quantity in self.quantities if quantity.models))


@dataclass(frozen=True, slots=True)
class Request:
    """Registers to read in one go."""

    function: int
    address: int
    count: int
    optional: bool = False


def problems(meter: MeterMap) -> list[tuple[str, str]]:
    """Return what contradicts itself in a map: the quantity's name, and what is wrong."""
    found = [*_needed(meter), *(item for quantity in meter.quantities for item in _range(quantity))]
    return [*found, *_overlaps(meter)]


def _needed(meter: MeterMap) -> Iterator[tuple[str, str]]:
    names = [quantity.name for quantity in meter.quantities]
    if "import_wh" not in names:
        yield "import_wh", "is missing: a meter without a register of energy bills nothing"
    if "power" not in names:
        yield "power", "is missing: it is what the power modules are compared with"
    if "status" in names and not meter.faults:
        yield "status", "has no bits in `faults`: nobody would look at it"


def _range(quantity: Quantity) -> Iterator[tuple[str, str]]:
    last = quantity.address + quantity.length - 1
    if last > HIGHEST_ADDRESS:
        yield quantity.name, f"address {quantity.address} and {quantity.length} registers end at {last}, above {HIGHEST_ADDRESS}"
    if quantity.scale_register > HIGHEST_ADDRESS:
        yield quantity.name, f"scale_register {quantity.scale_register} is above {HIGHEST_ADDRESS}"


def _overlaps(meter: MeterMap) -> Iterator[tuple[str, str]]:
    """Two quantities never share a register: one of the two addresses is a mistake."""
    taken: dict[tuple[tuple[int, ...], int, int], str] = {}
    for quantity in meter.quantities:
        for address in range(quantity.address, quantity.address + quantity.length):
            other = taken.setdefault((quantity.models, quantity.function, address), quantity.name)
            if other != quantity.name:
                yield quantity.name, f"address {address} is that of {other} already"
                break


def at(meter: MeterMap, begins: Mapping[int, int]) -> MeterMap:
    """Return a SunSpec map with the addresses of a device; begins: where each model begins that the device has. ValueError where one is missing."""
    if not meter.sunspec:
        return meter
    return replace(meter, quantities=tuple(_placed(quantity, begins) for quantity in meter.quantities), sunspec=False, bases=())


def _placed(quantity: Quantity, begins: Mapping[int, int]) -> Quantity:
    begin = next((begins[model] for model in quantity.models if model in begins), None)
    if begin is None:
        raise ValueError(f"the device has none of the models {', '.join(map(str, quantity.models))}; it has {sorted(begins) or 'none'}")
    scale = begin + quantity.scale_register if quantity.scale_register >= 0 else -1
    return replace(quantity, address=begin + quantity.address, scale_register=scale)


def plan(meter: MeterMap, names: bool = True) -> tuple[Request, ...]:
    """Return the requests for a reading of a map with addresses, in order; without `names` those of serial number and the like are left out.

    Gaps are read along where one request then does for two quantities: a request costs some 20 ms at 9600 baud, a register 2 ms. What is optional has
    requests of its own, since a meter refuses a request as a whole.
    """
    requests: list[Request] = []
    for optional in (False, True):
        wanted = (q for q in meter.quantities if q.optional is optional and (names or q.name not in NAMES))
        requests += _joined(sorted({place for quantity in wanted for place in _spans(quantity)}), optional, meter.most_registers)
    return tuple(requests)


# Registers that nobody wants but that are read along: as long on the line as the frame of another request (own: 8 byte of request, 5 of answer, two pauses).
_GAP = 10


def _spans(quantity: Quantity) -> Iterator[tuple[int, int, int]]:
    yield quantity.function, quantity.address, quantity.length
    if quantity.scale_register >= 0:
        yield quantity.function, quantity.scale_register, 1


def _joined(spans: Iterable[tuple[int, int, int]], optional: bool, most: int) -> list[Request]:
    found: list[Request] = []
    for function, address, length in spans:
        last = found[-1] if found else None
        end = address + length
        near = last is not None and last.function == function and address <= last.address + last.count + (0 if optional else _GAP)
        if last is not None and near and max(end, last.address + last.count) - last.address <= most:
            found[-1] = Request(function, last.address, max(end, last.address + last.count) - last.address, optional)
        else:
            found.append(Request(function, address, length, optional))
    return found


def decode(meter: MeterMap, words: Mapping[Place, int]) -> MeterReport:
    """Return what a meter says; words by function and address, each 0 to 65535. What is not there or is no number is NaN, "" for a text."""
    values: dict[str, Any] = {"vendor": meter.vendor, "model": meter.model}
    status = 0.0
    for quantity in meter.quantities:
        if quantity.optional and _bytes(quantity, words) is None:
            continue
        if quantity.name in TEXTS:
            values[quantity.name] = _text(quantity, words) or values.get(quantity.name, "")
        elif quantity.name == STATUS:
            status = _value(quantity, words)
        else:
            values[quantity.name] = _value(quantity, words)
    return MeterReport(**_derived(values), fault=_fault(meter, status))


def _fault(meter: MeterMap, status: float) -> str:
    """Return what a meter says is wrong with itself, by the bits of its status; "" where nothing is."""
    if not isfinite(status):
        return "its status cannot be read"
    return ", ".join(word for bit, word in sorted(meter.faults.items()) if int(status) >> bit & 1)


def _derived(values: dict[str, Any]) -> dict[str, Any]:
    """Fill in what a meter of several phases does not say: the mean voltage, and the active current that makes its power with that voltage."""
    if "voltage" not in values:
        phases = [values[name] for name in ("voltage_l1", "voltage_l2", "voltage_l3") if values.get(name, 0.0) > 0.0]
        values["voltage"] = sum(phases) / len(phases) if phases else nan
    if "current" not in values:
        values["current"] = values.get("power", nan) / values["voltage"] if values["voltage"] > 0.0 else nan
    return values


def _bytes(quantity: Quantity, words: Mapping[Place, int]) -> bytes | None:
    found = [words.get((quantity.function, quantity.address + index)) for index in range(quantity.length)]
    known = [word for word in found if word is not None]
    if len(known) < len(found):
        return None
    return struct.pack(f">{len(known)}H", *(reversed(known) if quantity.little else known))


def _raw(quantity: Quantity, words: Mapping[Place, int]) -> float:
    """Return the number as it stands, NaN where it is none or stands for not implemented."""
    data = _bytes(quantity, words)
    if data is None:
        return nan
    number = struct.unpack(TYPES[quantity.kind][1], data)[0]
    if quantity.models or quantity.scale_register >= 0:
        number = nan if number == NOT_IMPLEMENTED.get(quantity.kind) else number
    return float(number) if isfinite(number) else nan


def _value(quantity: Quantity, words: Mapping[Place, int]) -> float:
    raw = _raw(quantity, words)
    if quantity.scale_register < 0:
        return raw * quantity.scale
    word = words.get((quantity.function, quantity.scale_register))
    if word is None:
        return nan
    power = word - 0x10000 if word >= 0x8000 else word
    # As a quotient, because 10.0**-1 is no number that a register of tenths gives: 2301 / 10 is 230.1, 2301 * 0.1 is not.
    return nan if abs(power) > SCALE_LIMIT else (raw * 10**power if power >= 0 else raw / 10**-power) * quantity.scale


def _text(quantity: Quantity, words: Mapping[Place, int]) -> str:
    """Return a text without what pads it; a number is written in digits."""
    data = _bytes(quantity, words)
    if data is None:
        return ""
    if quantity.kind != TEXT:
        return str(struct.unpack(TYPES[quantity.kind][1], data)[0])
    text = data.split(b"\0")[0].decode("ascii", "replace").strip()
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def encode(quantity: Quantity, value: float | str, power: int = 0) -> tuple[int, ...]:
    """Return the words of a value in the unit of MeterReport, for a simulated meter; power: what stands in its scale register. ValueError: it does not fit."""
    if quantity.kind == TEXT:
        data = str(value).encode("ascii", "replace")[: 2 * quantity.words].ljust(2 * quantity.words, b"\0")
    else:
        number = float(value) / quantity.scale / 10.0**power
        kind = TYPES[quantity.kind][1]
        try:
            data = struct.pack(kind, number if kind[1] in "fd" else round(number))
        except (struct.error, OverflowError) as error:
            raise ValueError(f"{quantity.name}: {value} does not fit into {quantity.kind}: {error}") from error
    words = struct.unpack(f">{len(data) // 2}H", data)
    return tuple(reversed(words)) if quantity.little else words
