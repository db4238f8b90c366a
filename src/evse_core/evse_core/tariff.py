"""What charging costs: the tariff of a station, its unit prices at a moment, and the text that is kept with a record.

Theory of operation. A tariff has unit prices (energy, charging time, idle time, energy given back), what counts once per session (fee, minimum, maximum, tax)
and windows by weekday and time of day in the station's zone, each with the unit prices that differ there. What holds at a moment is a Phase. Windows are read
by the clock on the wall, so a window of a night in which the clocks change is an hour shorter or longer, as the night is. Prices are decimal texts,
computed exactly (pricing.py), never as binary floating point.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from evse_core.parameter import check, parameter

T = TypeVar("T")
# ISO 4217: number of decimals of the currencies that do not have two.
_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENT = {code: exponent for exponent, codes in _EXPONENTS.items() for code in codes.split()}
_CURRENCY = re.compile(r"[A-Z]{3}")
# Plain digits only: no sign, exponent, group separators or NaN. A tenth of a cent per kWh is the finest price in use; six decimals leave room.
_PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_PERCENT = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3})?")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
END_OF_DAY = "24:00"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Energy from the vehicle is credited nothing.
NO_CREDIT = "0"
SECONDS_PER_MINUTE = 60
# Longest name: it stands beside the prices in the tariff text of a signed record, which has 250 characters (can.md 7.1). [characters]
NAME_LENGTH = 60
# More windows than a week has hours are no tariff. Own choice. [1]
MOST_WINDOWS = 168


@dataclass(frozen=True, slots=True)
class Phase:
    """The unit prices that hold from a moment on, with the name of their tariff."""

    tariff: str = ""
    price_per_kwh: str = "0"
    price_per_minute: str = "0"
    idle_price_per_minute: str = "0"
    export_price_per_kwh: str = NO_CREDIT
    # Idle time of the session that is free. [min]
    idle_grace: int = 0

    def text(self) -> str:
        """Return the canonical text."""
        return _canonical(asdict(self))

    def words(self, currency: str) -> str:
        """Return the prices in words, such as "night: 0.39 EUR/kWh, 0.05 EUR/min"; what is free is left out, but for energy."""
        found = [f"{self.price_per_kwh} {currency}/kWh"]
        found += [f"{self.price_per_minute} {currency}/min"] if Decimal(self.price_per_minute) else []
        idle = f"{self.idle_price_per_minute} {currency}/min idle after {self.idle_grace} min"
        found += [idle] if Decimal(self.idle_price_per_minute) else []
        found += [f"{self.export_price_per_kwh} {currency}/kWh given back"] if Decimal(self.export_price_per_kwh) else []
        return (f"{self.tariff}: " if self.tariff else "") + ", ".join(found)

    @staticmethod
    @lru_cache(maxsize=256)
    def parse(text: str) -> "Phase":
        """Return the phase of a text(); ValueError where it is none."""
        return _made(Phase, _object(text, "phase"), "phase")


UNIT_PRICES = ("price_per_kwh", "price_per_minute", "idle_price_per_minute", "export_price_per_kwh")


@dataclass(frozen=True, slots=True)
class Window:
    """Days and times of day with unit prices of their own; ValueError names what is wrong."""

    begin: str = parameter("00:00", "", "begin, hh:mm by the station's clock on the wall", "own: the whole day")
    end: str = parameter(
        END_OF_DAY, "", "end, hh:mm; before the begin: on the next day, which then belongs to the day of the begin", "own: the whole day"
    )
    days: tuple[str, ...] = parameter((), "", "days, mon to sun; none: every day", "own: every day")
    price_per_kwh: str = parameter("", "", "price of one kWh in the window; empty: that of the tariff", "own: no difference")
    price_per_minute: str = parameter(
        "", "", "price of one minute of charging in the window; empty: that of the tariff", "own: no difference"
    )
    idle_price_per_minute: str = parameter(
        "", "", "price of one idle minute in the window; empty: that of the tariff", "own: no difference"
    )
    export_price_per_kwh: str = parameter(
        "", "", "credit for one kWh given back in the window; empty: that of the tariff", "own: no difference"
    )

    def __post_init__(self) -> None:
        """Refuse what is no window."""
        object.__setattr__(self, "days", tuple(self.days))
        if not isinstance(self.begin, str) or not _TIME.fullmatch(self.begin):
            raise ValueError(f"begin: {self.begin!r} is no time from '00:00' to '23:59' in quotes")
        if not isinstance(self.end, str) or not (_TIME.fullmatch(self.end) or self.end == END_OF_DAY):
            raise ValueError(f"end: {self.end!r} is no time from '00:00' to '24:00' in quotes")
        if self.begin == self.end:
            raise ValueError(f"end: {self.end!r} is the begin, too; the whole day is '00:00' to '24:00'")
        for day in self.days:
            if day not in DAYS:
                raise ValueError(f"days: {day!r} is none of {', '.join(DAYS)}")
        if not any(self._own().values()):
            raise ValueError("names no price: " + ", ".join(UNIT_PRICES))
        for name, price in self._own().items():
            if price != "":
                _check_price(name, price)

    def _own(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in UNIT_PRICES}

    def prices(self) -> dict[str, str]:
        """Return the unit prices that it changes."""
        return {name: price for name, price in self._own().items() if price}

    def holds(self, wall: datetime) -> bool:
        """Return whether it holds at a time of the clock on the wall."""
        time = f"{wall:%H:%M}"
        if self.begin < self.end:
            return self.begin <= time < self.end and self._has(wall)
        return (time >= self.begin and self._has(wall)) or (time < self.end and self._has(wall - timedelta(days=1)))

    def _has(self, wall: datetime) -> bool:
        return not self.days or DAYS[wall.weekday()] in self.days


@dataclass(frozen=True, slots=True)
class Tariff:
    """What charging costs; ValueError names what cannot be part of one. Prices are in the currency, with or without tax as tax_included says."""

    currency: str = parameter("EUR", "", "Currency, three capital letters", "ISO 4217")
    price_per_kwh: str = parameter(
        "0.49", "", "Price of one kWh in the currency, decimal number in quotes", "own: an example; no price suits everybody"
    )
    export_price_per_kwh: str = parameter(
        NO_CREDIT, "", "Credit for one kWh that the vehicle gives back, decimal number in quotes; 0: none", "own: only by a contract"
    )
    name: str = parameter("", "", f"Name of the tariff, at most {NAME_LENGTH} characters", "own: a tariff with one price needs none")
    price_per_minute: str = parameter(
        "0", "", "Price of one minute in which energy flows to the vehicle, decimal number in quotes", "own: none"
    )
    price_per_session: str = parameter("0", "", "Fee of a session in which energy has flowed, decimal number in quotes", "own: none")
    idle_price_per_minute: str = parameter(
        "0",
        "",
        "Price of one minute in which the vehicle takes nothing though it could, after idle_grace, decimal number in quotes",
        "own: none",
    )
    idle_grace: int = parameter(15, "min", "Idle time of a session that is free", "own: time to come back", 0, 1440)
    minimum: str = parameter("0", "", "Least price of a session in which energy has flowed, decimal number in quotes", "own: none")
    maximum: str = parameter("", "", "Highest price of a session before credits, decimal number in quotes; empty: none", "own: none")
    tax_percent: str = parameter("0", "", "Tax, percent in quotes", "own: 0 says nothing of taxes on receipts")
    tax_included: bool = parameter(True, "", "prices, minimum and maximum include the tax", "own: prices for consumers do")
    windows: str = parameter(
        "", "", "JSON list of the windows, the first that holds counts; empty: none", "own: the same price at all times"
    )

    def __post_init__(self) -> None:
        """Refuse what is no tariff."""
        if not isinstance(self.currency, str) or not _CURRENCY.fullmatch(self.currency):
            raise ValueError(f"currency: {self.currency!r} is no currency code of three capital letters (ISO 4217)")
        for name in (*UNIT_PRICES, "price_per_session", "minimum"):
            _check_price(name, getattr(self, name))
        if self.maximum != "":
            _check_price("maximum", self.maximum)
            if Decimal(self.maximum) < Decimal(self.minimum):
                raise ValueError(f"maximum: {self.maximum} is below the minimum, {self.minimum}")
        if not isinstance(self.name, str) or len(self.name) > NAME_LENGTH or not self.name.isprintable():
            raise ValueError(f"name: {self.name!r} is no text of at most {NAME_LENGTH} characters")
        if not isinstance(self.tax_percent, str) or not _PERCENT.fullmatch(self.tax_percent):
            raise ValueError(f"tax_percent: {self.tax_percent!r} is no decimal number in quotes from '0' to '99.999'")
        if not isinstance(self.tax_included, bool):
            raise ValueError(f"tax_included: {self.tax_included!r} is neither true nor false")
        if isinstance(self.idle_grace, bool) or not isinstance(self.idle_grace, int):
            raise ValueError(f"idle_grace: {self.idle_grace!r} is no whole number of minutes")
        if errors := check(self):
            raise ValueError(errors[0])
        if not isinstance(self.windows, str):
            raise ValueError(f"windows: {self.windows!r} is no list")
        windows(self.windows)

    @property
    def exponent(self) -> int:
        """Number of decimals of the currency."""
        return exponent(self.currency)

    def phase(self, stamp: float, zone: tzinfo) -> Phase:
        """Return the unit prices that hold at a ROS time [s] in the station's zone; of several windows the first counts."""
        found = {name: getattr(self, name) for name in UNIT_PRICES}
        wall = datetime.fromtimestamp(stamp, zone)
        window = next((item for item in windows(self.windows) if item.holds(wall)), None)
        return Phase(tariff=self.name, idle_grace=self.idle_grace, **(found | (window.prices() if window else {})))

    def can_follow(self, other: "Tariff") -> bool:
        """Return whether this tariff can take over in a session that began with the other one: it is priced in one currency with one tax."""
        return (self.currency, self.tax_percent, self.tax_included) == (other.currency, other.tax_percent, other.tax_included)

    def text(self) -> str:
        """Return the canonical text: a JSON object with all keys in alphabetical order, `windows` as a list."""
        return _canonical(asdict(self) | {"windows": [asdict(window) for window in windows(self.windows)]})

    @staticmethod
    @lru_cache(maxsize=64)
    def parse(text: str) -> "Tariff":
        """Return the tariff of a text(), or of a JSON object with some of its keys; ValueError names the key that is wrong."""
        found = _object(text, "tariff")
        if isinstance(rows := found.get("windows", ""), list):
            found["windows"] = _canonical(rows) if rows else ""
        return _made(Tariff, found, "tariff")

    def amount_text(self, minor_units: int) -> str:
        """Return an amount as people write it, such as "12.30 EUR"."""
        return f"{amount(minor_units, self.exponent)} {self.currency}"


@dataclass(frozen=True, slots=True)
class TariffChange:
    """A tariff that took the place of another one: both as canonical texts, who did it, and the ROS time [s]."""

    old: str
    new: str
    who: str
    stamp: float = field(default=0.0)


@lru_cache(maxsize=64)
def windows(text: str) -> tuple[Window, ...]:
    """Return the windows of a JSON list; ValueError names the window and the key that is wrong."""
    if not text:
        return ()
    try:
        rows = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"windows: is no JSON: {error}") from None
    if not isinstance(rows, list) or len(rows) > MOST_WINDOWS or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"windows: is no list of at most {MOST_WINDOWS} objects")
    return tuple(_made(Window, row, f"windows[{number}]") for number, row in enumerate(rows))


def windows_text(rows: object) -> str:
    """Return the text of a list of windows as Tariff.windows takes it."""
    return _canonical(rows) if rows else ""


def _made(kind: type[T], values: Mapping[str, Any], name: str) -> T:
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := [key for key in values if key not in known]:
        raise ValueError(f"{name}: {unknown[0]!r} is no key of it; known: {', '.join(sorted(known))}")
    if not isinstance(values.get("days", []), (list, tuple)):
        raise ValueError(f"{name}: days: {values['days']!r} is no list")
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {error}") from None


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{name}: is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: is no JSON object")
    return found


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _check_price(name: str, price: object) -> None:
    if not isinstance(price, str) or not _PRICE.fullmatch(price):
        raise ValueError(f"{name}: {price!r} is no decimal number in quotes of at most 9 digits and 6 decimals, 0 or more, as '0.49'")


def simple(currency: str, price_per_kwh: str, export_price_per_kwh: str) -> Tariff:
    """Return the tariff of a record that keeps no tariff text: those before ledger version 5, which knew prices of energy only."""
    return Tariff(currency, price_per_kwh, export_price_per_kwh or NO_CREDIT, idle_grace=0)


def exponent(currency: str) -> int:
    """Return the number of decimals of a currency (ISO 4217)."""
    return _EXPONENT.get(currency, 2)


def amount(minor_units: int, exponent: int) -> str:
    """Return minor units as a decimal number with all its decimals."""
    return f"{Decimal(minor_units).scaleb(-exponent):.{exponent}f}"
