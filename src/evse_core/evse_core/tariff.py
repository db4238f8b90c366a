"""Price of energy: decimal arithmetic from the price's own text to minor units of the currency, never binary floating point."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from evse_core.parameter import parameter

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
WH_PER_KWH = Decimal(1000)
# Energy from the vehicle is credited nothing.
NO_CREDIT = "0"


@dataclass(frozen=True, slots=True)
class Tariff:
    """What energy costs; ValueError names a currency or price that cannot be one."""

    currency: str = parameter("EUR", "", "Currency, three capital letters", "ISO 4217")
    price_per_kwh: str = parameter(
        "0.49", "", "Price of one kWh in the currency, decimal number in quotes", "own: an example; no price suits everybody"
    )

    export_price_per_kwh: str = parameter(
        NO_CREDIT, "", "Credit for one kWh that the vehicle gives back, decimal number in quotes; 0: none", "own: only by a contract"
    )

    def __post_init__(self) -> None:
        if not isinstance(self.currency, str) or not _CURRENCY.fullmatch(self.currency):
            raise ValueError(f"currency: {self.currency!r} is no currency code of three capital letters (ISO 4217)")
        for name, price in (("price_per_kwh", self.price_per_kwh), ("export_price_per_kwh", self.export_price_per_kwh)):
            if not isinstance(price, str) or not _PRICE.fullmatch(price):
                raise ValueError(
                    f"{name}: {price!r} is no decimal number in quotes of at most 9 digits and 6 decimals, 0 or more, as '0.49'"
                )

    @property
    def exponent(self) -> int:
        """Number of decimals of the currency."""
        return _EXPONENT.get(self.currency, 2)

    def cost(self, energy: int) -> int:
        """Return the price of energy [Wh] in minor units of the currency, half a unit rounded up; negative energy costs nothing."""
        return self._minor_units(energy, self.price_per_kwh)

    def credit(self, energy: int) -> int:
        """Return what energy from the vehicle [Wh] is worth, the same way."""
        return self._minor_units(energy, self.export_price_per_kwh)

    def _minor_units(self, energy: int, price_per_kwh: str) -> int:
        exact = Decimal(max(energy, 0)) / WH_PER_KWH * Decimal(price_per_kwh)
        return int(exact.scaleb(self.exponent).to_integral_value(ROUND_HALF_UP))

    def text(self, minor_units: int) -> str:
        """Return an amount as people write it, such as "12.30 EUR"."""
        return f"{amount(minor_units, self.exponent)} {self.currency}"


def amount(minor_units: int, exponent: int) -> str:
    """Return minor units as a decimal number with all its decimals."""
    return f"{Decimal(minor_units).scaleb(-exponent):.{exponent}f}"
