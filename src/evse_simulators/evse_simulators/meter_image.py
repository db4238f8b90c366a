"""The registers of a simulated Modbus meter: a report written as its register map says, a SunSpec device with marker and models."""

from collections.abc import Mapping
from math import isfinite

from evse_core.meter_map import TEXTS, MeterMap, Place, Quantity, at, encode
from evse_core.meter_sunspec import BASES, END, HOLDING, MARKER
from evse_core.types import MeterReport

# The simulated SunSpec device: the common model and a meter of three phases, with their lengths (SunSpec information models 1 and 203). [registers]
COMMON, THREE_PHASES = (1, 66), (203, 105)
# Powers of ten in the scale registers, by the quantity that they are for: 0.01 A, 0.1 V, 0.01 Hz, 10 W, 0.1 Wh.
POWERS = {"current": -2, "voltage": -1, "frequency": -2, "power": 1, "import": -1, "export": -1}


def begins(meter: MeterMap) -> dict[int, int]:
    """Return where the models of the simulated SunSpec device begin."""
    base = (meter.bases or BASES)[0] + len(MARKER)
    return {COMMON[0]: base, THREE_PHASES[0]: base + 2 + COMMON[1]}


def image(meter: MeterMap, report: MeterReport) -> dict[Place, int]:
    """Return the words of all registers that the meter has; an optional quantity that the report does not have is absent."""
    placed = at(meter, begins(meter)) if meter.sunspec else meter
    words = _frame(meter) if meter.sunspec else {}
    for quantity in placed.quantities:
        power = POWERS.get(quantity.name.split("_")[0], 0) if quantity.scale_register >= 0 else 0
        if quantity.scale_register >= 0:
            words[(quantity.function, quantity.scale_register)] = power & 0xFFFF
        value = _value(quantity, report, meter.faults)
        if isinstance(value, float) and not isfinite(value):
            continue
        for index, word in enumerate(encode(quantity, value, power)):
            words[(quantity.function, quantity.address + index)] = word
    return words


def _value(quantity: Quantity, report: MeterReport, faults: Mapping[int, str]) -> float | str:
    if quantity.name == "status":
        return float(1 << min(faults)) if report.fault else 0.0
    found: float | str = getattr(report, quantity.name)
    return found if quantity.name not in TEXTS or quantity.kind == "text" else float(found)


def _frame(meter: MeterMap) -> dict[Place, int]:
    """Return marker, model headers and end of a SunSpec device, with zeros where the map reads nothing."""
    base = (meter.bases or BASES)[0]
    common, phases = begins(meter).values()
    end = phases + 2 + THREE_PHASES[1]
    words = dict.fromkeys(((HOLDING, address) for address in range(base, end + 2)), 0)
    heads = {base: MARKER, common: COMMON, phases: THREE_PHASES, end: (END, 0)}
    return words | {(HOLDING, address + index): word for address, pair in heads.items() for index, word in enumerate(pair)}
