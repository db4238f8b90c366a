"""The price of a session: from its readings to lines, net, tax and total. Price so far, final price, receipt and what the CSMS is told come from here.

Theory of operation. Between two readings the unit prices of the first one hold. Quantities are whole: differences of registers in whole Wh and of times
in whole seconds, so a reading more in between changes nothing. Quantities of one kind at one unit price are one line; its exact product (a Fraction, for
1/60 of a price is no decimal number) is rounded once, half a minor unit away from zero. The total is the sum of the rounded lines, so whoever adds up a
receipt gets its total. Rounded the same way: tax. Order: lines, minimum, maximum, credit for energy from the vehicle, tax.

- Fee and minimum are due once 1 Wh has flowed to the vehicle: a session that failed costs nothing.
- Idle time counts over the whole session; its first `idle_grace` minutes are free.
- Fee, minimum, maximum and tax are those of the tariff at the begin; a change during the session changes unit prices only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from evse_core.energy_meter import billed_wh
from evse_core.session_readings import SessionReading, whole_seconds
from evse_core.tariff import SECONDS_PER_MINUTE, Phase, Tariff

WH_PER_KWH = 1000


class What(StrEnum):
    """What a line is for."""

    ENERGY = "energy"
    CHARGING_TIME = "charging time"
    IDLE_TIME = "idle time"
    SESSION = "session fee"
    MINIMUM = "up to the minimum"
    MAXIMUM = "down to the maximum"
    EXPORT = "energy given back"


# Unit of a quantity, quantities in one priced unit, and what a unit price is per.
_UNITS = {
    What.ENERGY: ("Wh", WH_PER_KWH, "kWh"),
    What.EXPORT: ("Wh", WH_PER_KWH, "kWh"),
    What.CHARGING_TIME: ("s", SECONDS_PER_MINUTE, "min"),
    What.IDLE_TIME: ("s", SECONDS_PER_MINUTE, "min"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """Part of a price: quantity in whole Wh or s (1 for what counts once), unit price as decimal text in the currency, amount in minor units."""

    what: What
    quantity: int
    unit_price: str
    amount: int

    @property
    def unit(self) -> str:
        """Unit of the quantity: Wh, s, or "" for what counts once."""
        return _UNITS[self.what][0] if self.what in _UNITS else ""

    @property
    def quantity_text(self) -> str:
        """The quantity for people, exactly: "12.346 kWh", "14:05 min"; "" for what counts once."""
        if self.what not in _UNITS:
            return ""
        if self.unit == "Wh":
            return f"{kwh(self.quantity)} kWh"
        return f"{self.quantity // SECONDS_PER_MINUTE}:{self.quantity % SECONDS_PER_MINUTE:02} min"

    def unit_price_text(self, currency: str) -> str:
        """Return the unit price for people, such as "0.49 EUR/kWh"; "" for what counts once."""
        return f"{self.unit_price} {currency}/{_UNITS[self.what][2]}" if self.what in _UNITS else ""


@dataclass(frozen=True, slots=True)
class Price:
    """What a session costs, in minor units: total = sum of the lines (and tax where prices exclude it) = net + tax."""

    lines: tuple[Line, ...]
    net: int
    tax: int

    @property
    def total(self) -> int:
        """What is to be paid; negative where more is credited than charged."""
        return self.net + self.tax


def price(tariff: Tariff, readings: Sequence[SessionReading]) -> Price:
    """Return the price of a session by its readings in their order, the last one being its end or the present; tariff is that of its begin."""
    quantities = _quantities(readings)
    lines = [_line(what, quantity, unit_price, tariff.exponent) for (what, unit_price), quantity in quantities.items()]
    energy = sum(line.quantity for line in lines if line.what is What.ENERGY)
    charges = [line for line in lines if line.what is not What.EXPORT]
    charges += [_once(What.SESSION, tariff.price_per_session, tariff)] if energy and Fraction(tariff.price_per_session) else []
    charges += _bound(sum(line.amount for line in charges), tariff, energy > 0)
    found = (*charges, *(line for line in lines if line.what is What.EXPORT))
    return _taxed(found, sum(line.amount for line in found), tariff)


def _quantities(readings: Sequence[SessionReading]) -> dict[tuple[What, str], int]:
    """Return what was used at which unit price, in the order in which it was used first; what is free is left out, but for energy."""
    found: dict[tuple[What, str], int] = {}
    for begin, end in pairwise(readings):
        for what, unit_price, quantity in _used(begin, end):
            if quantity and (what is What.ENERGY or Fraction(unit_price)):
                found[what, unit_price] = found.get((what, unit_price), 0) + quantity
    return dict(sorted(found.items(), key=lambda item: list(What).index(item[0][0])))


def _used(begin: SessionReading, end: SessionReading) -> Iterator[tuple[What, str, int]]:
    phase = Phase.parse(begin.phase)
    yield What.ENERGY, phase.price_per_kwh, billed_wh(begin.register_wh, end.register_wh)
    yield What.CHARGING_TIME, phase.price_per_minute, _seconds(begin.charging_time, end.charging_time, 0)
    yield What.IDLE_TIME, phase.idle_price_per_minute, _seconds(begin.idle_time, end.idle_time, phase.idle_grace * SECONDS_PER_MINUTE)
    yield What.EXPORT, phase.export_price_per_kwh, billed_wh(begin.export_register_wh, end.export_register_wh)


def _seconds(begin: float, end: float, free: int) -> int:
    """Return the whole seconds between two times of the session, those beyond the first `free` ones."""
    return max(max(whole_seconds(end), free) - max(whole_seconds(begin), free), 0)


def _line(what: What, quantity: int, unit_price: str, exponent: int) -> Line:
    amount = rounded(Fraction(quantity, _UNITS[what][1]) * Fraction(unit_price) * 10**exponent)
    return Line(what, quantity, unit_price, -amount if what is What.EXPORT else amount)


def _once(what: What, text: str, tariff: Tariff) -> Line:
    return Line(what, 1, text, rounded(Fraction(text) * 10**tariff.exponent))


def _bound(charged: int, tariff: Tariff, used: bool) -> list[Line]:
    """Return the line that takes what was charged to the minimum or the maximum; none where it lies between."""
    least = _once(What.MINIMUM, tariff.minimum, tariff)
    if used and charged < least.amount:
        return [Line(What.MINIMUM, 1, tariff.minimum, least.amount - charged)]
    if tariff.maximum and charged > (most := _once(What.MAXIMUM, tariff.maximum, tariff).amount):
        return [Line(What.MAXIMUM, 1, tariff.maximum, most - charged)]
    return []


def _taxed(lines: tuple[Line, ...], charged: int, tariff: Tariff) -> Price:
    percent = Fraction(tariff.tax_percent)
    if tariff.tax_included:
        tax = rounded(charged * percent / (100 + percent))
        return Price(lines, charged - tax, tax)
    return Price(lines, charged, rounded(charged * percent / 100))


def kwh(energy_wh: int) -> str:
    """Return whole Wh as kWh with three decimals, exactly (can.md 7.4: 0.001 kWh)."""
    return f"{energy_wh // WH_PER_KWH}.{energy_wh % WH_PER_KWH:03}"


def rounded(exact: Fraction) -> int:
    """Return the nearest whole number, half away from zero: the one rounding rule of every amount."""
    whole = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return whole if exact >= 0 else -whole
