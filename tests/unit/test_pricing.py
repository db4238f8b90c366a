"""The price of a session: exact, rounded once per line, the same however often it was read in between."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_core.ocmf import Mark
from evse_core.pricing import Price, What, price, rounded
from evse_core.session_readings import SessionReading
from evse_core.tariff import Phase, Tariff

EMPTY = Phase().text()


def reading(
    number: int, wh: float = 0.0, charging: float = 0.0, idle: float = 0.0, export: float = 0.0, phase: str = EMPTY
) -> SessionReading:
    return SessionReading(number, Mark.CHARGING, float(number), wh, export, charging, idle, phase)


def session(tariff: Tariff, wh: float = 0.0, charging: float = 0.0, idle: float = 0.0, export: float = 0.0) -> Price:
    """Return the price of a session with one set of unit prices."""
    phase = Phase(
        tariff.name,
        tariff.price_per_kwh,
        tariff.price_per_minute,
        tariff.idle_price_per_minute,
        tariff.export_price_per_kwh,
        tariff.idle_grace,
    )
    return price(tariff, (reading(0, phase=phase.text()), reading(1, wh, charging, idle, export, phase.text())))


@pytest.mark.parametrize(
    ("currency", "unit_price", "energy", "cost"),
    [
        ("EUR", "0.49", 1000, 49),
        ("EUR", "0.49", 12345, 605),  # 604.905
        ("EUR", "0.50", 10, 1),  # 0.5 cent
        ("EUR", "0.50", 9, 0),  # 0.45 cent
        ("EUR", "0.285", 1000, 29),  # 28.5: the nearest float of 0.285 lies below it
        ("EUR", "1.005", 1000, 101),  # 100.5: so does that of 1.005
        ("EUR", "0", 99999, 0),
        ("JPY", "30", 1017, 31),  # 30.51
        ("KWD", "0.02", 1000, 20),
        ("CLF", "0.01", 1000, 100),
        ("USD", "999999999.999999", 1_000_000, 100_000_000_000_000),
        ("EUR", "0.49", -5, 0),
    ],
)
def test_energy_costs_its_exact_product_rounded_half_up(currency: str, unit_price: str, energy: int, cost: int) -> None:
    assert session(Tariff(currency, unit_price), wh=energy).total == cost


# what was used, lines, net, tax, total
FULL = Tariff(
    "EUR", "0.50", "0.10", price_per_minute="0.05", price_per_session="0.35", idle_price_per_minute="0.20", idle_grace=10, tax_percent="19"
)


def test_all_parts_of_a_tariff_are_lines_that_add_up() -> None:
    found = session(FULL, wh=20_000, charging=1830.9, idle=899.0, export=1500)
    assert [(line.what, line.quantity, line.unit_price, line.amount) for line in found.lines] == [
        (What.ENERGY, 20_000, "0.50", 1000),
        (What.CHARGING_TIME, 1830, "0.05", 153),  # 152.5
        (What.IDLE_TIME, 299, "0.20", 100),  # 99.67: 14:59 less 10 min
        (What.SESSION, 1, "0.35", 35),
        (What.EXPORT, 1500, "0.10", -15),
    ]
    assert found.total == sum(line.amount for line in found.lines) == 1273
    assert (found.net, found.tax) == (1070, 203)  # 1273 * 19 / 119 = 203.25


@pytest.mark.parametrize(
    ("changes", "wh", "total", "last"),
    [
        ({"maximum": "8"}, 20_000, 800, What.MAXIMUM),
        ({"maximum": "10.35"}, 20_000, 1035, What.SESSION),
        ({"minimum": "12"}, 20_000, 1200, What.MINIMUM),
        ({"minimum": "12"}, 0, 0, What.ENERGY),
        ({}, 0, 0, What.ENERGY),
        ({"tax_included": False}, 20_000, 1232, What.SESSION),  # 1035 * 1.19 = 1231.65
        ({"tax_included": False, "maximum": "8"}, 20_000, 952, What.MAXIMUM),
    ],
)
def test_minimum_maximum_and_tax(changes: dict[str, object], wh: float, total: int, last: What) -> None:
    found = session(replace(FULL, **changes), wh=wh)  # type: ignore[arg-type]
    assert found.total == total
    assert [line.what for line in found.lines][-1:] == ([last] if wh else [])


def test_what_the_vehicle_gives_is_credited_after_the_maximum() -> None:
    found = session(replace(FULL, maximum="8"), wh=20_000, export=10_000)
    assert [line.what for line in found.lines][-2:] == [What.MAXIMUM, What.EXPORT]
    assert found.total == 700
    assert session(FULL, export=10_000).total == -100


def test_a_session_that_failed_costs_no_fee_but_its_idle_time() -> None:
    assert session(FULL, charging=5.0).total == 0 + 0  # 0.42 cent
    assert session(FULL, idle=660.0).total == 20


@pytest.mark.parametrize(("exact", "units"), [("1/2", 1), ("-1/2", -1), ("49/100", 0), ("-49/100", 0), ("3/2", 2), ("-7/3", -2)])
def test_half_a_unit_is_rounded_away_from_zero(exact: str, units: int) -> None:
    assert rounded(Fraction(exact)) == units


# The twin: a session second by second, each with its own prices; amounts per kind and unit price, rounded by decimal at the end.
PRICES = st.sampled_from(["0", "0.05", "0.333333", "0.49", "0.5", "1.005"])
PHASES = st.builds(
    Phase,
    price_per_kwh=PRICES,
    price_per_minute=PRICES,
    idle_price_per_minute=PRICES,
    export_price_per_kwh=PRICES,
    idle_grace=st.sampled_from([0, 1, 3]),
)
# Kind of a second (charging, idle, neither) and its energy [Wh], repeated.
STRETCHES = st.lists(
    st.tuples(st.sampled_from(["charging", "idle", "neither"]), st.integers(0, 90), st.integers(0, 3), st.integers(1, 120)),
    min_size=1,
    max_size=6,
)
TARIFFS = st.builds(
    Tariff,
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    price_per_session=PRICES,
    minimum=st.sampled_from(["0", "0.5", "2"]),
    maximum=st.sampled_from(["", "2.5", "9"]),
    tax_percent=st.sampled_from(["0", "7", "19", "8.875"]),
    tax_included=st.booleans(),
)


class Twin:
    """Adds up seconds."""

    def __init__(self, stretches: Sequence[tuple[str, int, int, int]], phases: Sequence[Phase]) -> None:
        self.used: dict[tuple[str, str], list[int]] = {}
        self.readings = [reading(0, phase=phases[0].text())]
        idle = charging = wh = export = 0
        for number, (kind, energy, back, seconds) in enumerate(stretches):
            phase = phases[number % len(phases)]
            for _ in range(seconds):
                self._use("energy", phase.price_per_kwh, energy)
                self._use("export", phase.export_price_per_kwh, back)
                charging, idle = charging + (kind == "charging"), idle + (kind == "idle")
                self._use("charging", phase.price_per_minute, int(kind == "charging"))
                self._use("idle", phase.idle_price_per_minute, int(kind == "idle" and idle > phase.idle_grace * 60))
                wh, export = wh + energy, export + back
                after = phases[(number + 1) % len(phases)]
                self.readings.append(reading(len(self.readings), wh + 0.25, charging + 0.75, idle + 0.5, export + 0.4, phase.text()))
            self.readings[-1] = replace(self.readings[-1], phase=after.text())
        self.readings[0] = replace(self.readings[0], register_wh=0.25, charging_time=0.75, idle_time=0.5, export_register_wh=0.4)
        self.energy = wh

    def _use(self, kind: str, unit_price: str, quantity: int) -> None:
        self.used.setdefault((kind, unit_price), []).append(quantity)

    def total(self, tariff: Tariff) -> int:
        charges = sum(self._amount(kind, text, sum(count), tariff) for (kind, text), count in self.used.items() if kind != "export")
        scale = Decimal(10) ** tariff.exponent
        whole = lambda value: int(value.to_integral_value(ROUND_HALF_UP))  # noqa: E731
        if self.energy:
            charges += whole(Decimal(tariff.price_per_session) * scale)
            charges = max(charges, whole(Decimal(tariff.minimum) * scale))
        if tariff.maximum:
            charges = min(charges, whole(Decimal(tariff.maximum) * scale))
        charges -= sum(self._amount(kind, text, sum(count), tariff) for (kind, text), count in self.used.items() if kind == "export")
        return charges if tariff.tax_included else charges + whole(charges * Decimal(tariff.tax_percent) / 100)

    def _amount(self, kind: str, unit_price: str, quantity: int, tariff: Tariff) -> int:
        per = 1000 if kind in {"energy", "export"} else 60
        micro = int(Decimal(unit_price) * 10**6) * quantity * 10**tariff.exponent
        return (2 * micro + per * 10**6) // (2 * per * 10**6)

    def at(self, keep: Sequence[int]) -> list[SessionReading]:
        """Return the readings that a keeper takes (begin, end, other prices) and those of `keep`."""
        last = len(self.readings) - 1
        wanted = {0, last, *(number for number in keep if number < last)}
        wanted |= {number for number in range(1, last) if self.readings[number].phase != self.readings[number - 1].phase}
        return [self.readings[number] for number in sorted(wanted)]


@settings(deadline=None)
@given(TARIFFS, st.lists(PHASES, min_size=1, max_size=3), STRETCHES, st.lists(st.integers(1, 600), max_size=8))
def test_the_price_is_that_of_adding_up_seconds_and_readings_in_between_change_nothing(
    tariff: Tariff, phases: list[Phase], stretches: list[tuple[str, int, int, int]], keep: list[int]
) -> None:
    twin = Twin(stretches, phases)
    found = price(tariff, twin.at(keep))
    assert found.total == twin.total(tariff)
    assert found == price(tariff, twin.at(()))
    assert found.net + found.tax == found.total
    assert sum(line.amount for line in found.lines) == (found.total if tariff.tax_included else found.net)


@settings(deadline=None)
@given(TARIFFS, st.lists(PHASES, min_size=1, max_size=3), STRETCHES)
def test_the_price_so_far_never_falls_where_nothing_is_given_back(
    tariff: Tariff, phases: list[Phase], stretches: list[tuple[str, int, int, int]]
) -> None:
    twin = Twin([(kind, energy, 0, seconds) for kind, energy, _, seconds in stretches], phases)
    marks = [row.number for row in twin.at(range(0, 1000, 31))]
    totals = [price(tariff, twin.readings[: number + 1]).total for number in marks]
    assert totals == sorted(totals)
