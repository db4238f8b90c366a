"""Prices: exact, rounded half up, in the currency's own minor units."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core.tariff import Tariff, amount


@pytest.mark.parametrize(
    ("currency", "price", "energy", "cost", "text"),
    [
        ("EUR", "0.49", 1000, 49, "0.49 EUR"),
        ("EUR", "0.49", 12345, 605, "6.05 EUR"),  # 604.905
        ("EUR", "0.50", 10, 1, "0.01 EUR"),  # 0.5 cent
        ("EUR", "0.50", 9, 0, "0.00 EUR"),  # 0.45 cent
        ("EUR", "0.285", 1000, 29, "0.29 EUR"),  # 28.5: the nearest float of 0.285 lies below it
        ("EUR", "1.005", 1000, 101, "1.01 EUR"),  # 100.5: so does that of 1.005
        ("EUR", "0", 99999, 0, "0.00 EUR"),
        ("JPY", "30", 1017, 31, "31 JPY"),  # 30.51
        ("KWD", "0.02", 1000, 20, "0.020 KWD"),
        ("CLF", "0.01", 1000, 100, "0.0100 CLF"),
        ("USD", "999999999.999999", 1_000_000, 100_000_000_000_000 - 0, "1000000000000.00 USD"),
        ("EUR", "0.49", -5, 0, "0.00 EUR"),
    ],
)
def test_costs(currency: str, price: str, energy: int, cost: int, text: str) -> None:
    tariff = Tariff(currency, price)
    assert tariff.cost(energy) == cost
    assert tariff.text(cost) == text


@given(st.integers(0, 10**9), st.decimals(0, 1000, places=4, allow_nan=False))
def test_the_cost_is_the_exact_product_rounded_half_up(energy: int, price: Decimal) -> None:
    exact = Fraction(energy, 1000) * Fraction(price) * 100
    below = exact.numerator // exact.denominator
    assert Tariff("EUR", str(price)).cost(energy) == below + (1 if exact - below >= Fraction(1, 2) else 0)


@given(st.integers(0, 10**12), st.integers(0, 4))
def test_an_amount_is_written_with_all_its_decimals(units: int, exponent: int) -> None:
    text = amount(units, exponent)
    assert Decimal(text).scaleb(exponent).quantize(Decimal(1), ROUND_HALF_UP) == units
    assert len(text.partition(".")[2]) == exponent


@pytest.mark.parametrize("price", ["", "-0.49", "abc", "nan", "inf", "1e3", "0,49", "1.2345678", "0x1", ".5", 0.49, None, "٣"])
def test_a_wrong_price_is_refused_by_name(price: str) -> None:
    with pytest.raises(ValueError, match="price_per_kwh: "):
        Tariff("EUR", price)


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "E R", "€", None])
def test_a_wrong_currency_is_refused_by_name(currency: str) -> None:
    with pytest.raises(ValueError, match="currency: "):
        Tariff(currency, "0.49")
