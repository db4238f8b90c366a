"""Tariffs: what can be one, which unit prices hold when, and the text that is kept with a record."""

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core.tariff import Phase, Tariff, Window, amount, windows_text

BERLIN = ZoneInfo("Europe/Berlin")


def windowed(*rows: dict[str, object], **values: object) -> Tariff:
    return Tariff(price_per_kwh="0.50", windows=windows_text(list(rows)), **values)  # type: ignore[arg-type]


NIGHT = {"begin": "22:00", "end": "06:00", "price_per_kwh": "0.30"}


def per_kwh(tariff: Tariff, *when: int) -> str:
    return tariff.phase(datetime(*when, tzinfo=BERLIN).timestamp(), BERLIN).price_per_kwh  # type: ignore[misc, arg-type]


@given(st.integers(0, 10**12), st.integers(0, 4))
def test_an_amount_is_written_with_all_its_decimals(units: int, exponent: int) -> None:
    text = amount(units, exponent)
    assert Decimal(text).scaleb(exponent).quantize(Decimal(1), ROUND_HALF_UP) == units
    assert len(text.partition(".")[2]) == exponent


@pytest.mark.parametrize(("currency", "units", "text"), [("EUR", 5, "0.05 EUR"), ("JPY", 31, "31 JPY"), ("KWD", 20, "0.020 KWD")])
def test_an_amount_has_the_minor_units_of_its_currency(currency: str, units: int, text: str) -> None:
    assert Tariff(currency, "0").amount_text(units) == text


@pytest.mark.parametrize("price", ["", "-0.49", "abc", "nan", "inf", "1e3", "0,49", "1.2345678", "0x1", ".5", 0.49, None, "٣"])
@pytest.mark.parametrize("name", ["price_per_kwh", "price_per_minute", "idle_price_per_minute", "price_per_session", "minimum"])
def test_a_wrong_price_is_refused_by_name(name: str, price: object) -> None:
    with pytest.raises(ValueError, match=f"{name}: "):
        Tariff(**{name: price})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"currency": "eur"}, "currency: "),
        ({"currency": None}, "currency: "),
        ({"maximum": "1", "minimum": "2"}, "maximum: 1 is below the minimum, 2"),
        ({"maximum": "x"}, "maximum: "),
        ({"tax_percent": "100"}, "tax_percent: "),
        ({"tax_percent": 19.0}, "tax_percent: "),
        ({"tax_included": "yes"}, "tax_included: "),
        ({"idle_grace": -1}, "idle_grace: -1 min is below 0 min"),
        ({"idle_grace": 1.5}, "idle_grace: "),
        ({"name": "x" * 61}, "name: "),
        ({"name": "a\nb"}, "name: "),
        ({"windows": "{"}, "windows: is no JSON"),
        ({"windows": "{}"}, "windows: is no list"),
        ({"windows": windows_text([NIGHT] * 169)}, "windows: is no list of at most 168"),
        ({"windows": windows_text([NIGHT, {"begin": "24:00", "price_per_kwh": "1"}])}, r"windows\[1\]: begin: '24:00'"),
        ({"windows": windows_text([{"begin": "7:00", "price_per_kwh": "1"}])}, "begin: '7:00'"),
        ({"windows": windows_text([{"end": "24:01", "price_per_kwh": "1"}])}, "end: '24:01'"),
        ({"windows": windows_text([{"begin": "05:00", "end": "05:00", "price_per_kwh": "1"}])}, "end: '05:00' is the begin"),
        ({"windows": windows_text([{"days": ["monday"], "price_per_kwh": "1"}])}, "days: 'monday' is none of mon"),
        ({"windows": windows_text([{"days": "mon", "price_per_kwh": "1"}])}, "days: 'mon' is no list"),
        ({"windows": windows_text([{"begin": "05:00"}])}, "names no price"),
        ({"windows": windows_text([{"price_per_kwh": "-1"}])}, "price_per_kwh: '-1'"),
        ({"windows": windows_text([{"price": "1"}])}, "'price' is no key"),
    ],
)
def test_what_is_no_tariff_is_refused_by_key_and_value(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tariff(**values)  # type: ignore[arg-type]


def test_a_night_is_a_window_over_midnight() -> None:
    tariff = windowed(NIGHT)
    prices = [per_kwh(tariff, 2026, 6, 1, hour, minute) for hour, minute in ((21, 59), (22, 0), (23, 59), (0, 0), (5, 59), (6, 0))]
    assert prices == ["0.50", "0.30", "0.30", "0.30", "0.30", "0.50"]


def test_the_morning_of_a_night_belongs_to_the_day_on_which_it_began() -> None:
    tariff = windowed({**NIGHT, "days": ["fri"]})
    # 5 June 2026 is a Friday.
    assert [per_kwh(tariff, 2026, 6, day, hour) for day, hour in ((5, 5), (5, 22), (6, 5), (6, 22), (7, 5))] == [
        "0.50", "0.30", "0.30", "0.50", "0.50",
    ]  # fmt: skip


def test_of_several_windows_the_first_counts_and_leaves_what_it_does_not_name() -> None:
    sunday = {"days": ["sun"], "price_per_minute": "0.01"}
    tariff = windowed(sunday, NIGHT, price_per_minute="0.05")
    phase = tariff.phase(datetime(2026, 6, 7, 23, tzinfo=BERLIN).timestamp(), BERLIN)
    assert (phase.price_per_kwh, phase.price_per_minute) == ("0.50", "0.01")
    assert windowed(NIGHT, sunday, price_per_minute="0.05").phase(datetime(2026, 6, 7, 23, tzinfo=BERLIN).timestamp(), BERLIN) == Phase(
        price_per_kwh="0.30", price_per_minute="0.05", idle_grace=15
    )


# Nights of Europe/Berlin and their length: 29 March 2026 has 23 h, 25 October 2026 has 25 h.
@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 7), ((2026, 6, 1), 8), ((2026, 10, 24), 9)])
def test_a_night_in_which_the_clocks_change_is_as_long_as_it_is(day: tuple[int, int, int], hours: int) -> None:
    tariff, noon = windowed(NIGHT), datetime(*day, 12, tzinfo=BERLIN).timestamp()
    cheap = sum(tariff.phase(noon + 60.0 * minute, BERLIN).price_per_kwh == "0.30" for minute in range(24 * 60))
    assert cheap == hours * 60


def test_the_hour_that_comes_twice_has_its_price_twice() -> None:
    tariff = windowed({"begin": "02:00", "end": "03:00", "price_per_kwh": "0.10"})
    begin = datetime(2026, 10, 24, 23, tzinfo=UTC)
    found = [tariff.phase((begin + timedelta(minutes=minute)).timestamp(), BERLIN).price_per_kwh for minute in range(0, 240, 30)]
    assert found == ["0.50", "0.50", "0.10", "0.10", "0.10", "0.10", "0.50", "0.50"]


DAY = st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
CLOCK = st.integers(0, 24 * 60 - 1)


@given(CLOCK, CLOCK, st.lists(DAY, unique=True), st.integers(1_790_000_000, 1_800_000_000))
def test_a_window_holds_in_the_minutes_that_it_names(begin: int, end: int, days: list[str], stamp: int) -> None:
    """Against a twin that writes down all minutes of the week."""
    if begin == end:
        return
    text = [f"{minute // 60:02}:{minute % 60:02}" for minute in (begin, end)]
    window = Window(text[0], text[1], tuple(days), "1")
    week = set[int]()
    for day, name in enumerate(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]):
        if not days or name in days:
            length = (end - begin) % (24 * 60)
            week |= {(day * 24 * 60 + begin + minute) % (7 * 24 * 60) for minute in range(length)}
    wall = datetime.fromtimestamp(stamp, BERLIN)
    assert window.holds(wall) == (wall.weekday() * 24 * 60 + wall.hour * 60 + wall.minute in week)


def test_the_text_of_a_tariff_gives_it_back_and_is_the_same_for_the_same_tariff() -> None:
    tariff = windowed(NIGHT, {"days": ("sat", "sun"), "price_per_minute": "0.01"}, name="Nacht ü", tax_percent="19", maximum="40")
    assert Tariff.parse(tariff.text()) == Tariff.parse(json.dumps(json.loads(tariff.text()), indent=3))
    assert Tariff.parse(tariff.text()).text() == tariff.text()
    assert Tariff.parse('{"price_per_kwh":"0.3"}') == Tariff(price_per_kwh="0.3")
    phase = tariff.phase(0.0, UTC)
    assert Phase.parse(phase.text()) == phase


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "tariff: is no JSON"),
        ("[]", "tariff: is no JSON object"),
        ('{"price":"1"}', "'price' is no key"),
        ('{"price_per_kwh":0.3}', "price_per_kwh: 0.3"),
        ('{"windows":7}', "windows: "),
        ("[" * 100_000, "tariff: is no JSON"),
    ],
)
def test_a_text_that_is_no_tariff_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tariff.parse(text)


def test_only_one_with_the_same_currency_and_tax_follows_in_a_session() -> None:
    old = Tariff("EUR", "0.50", tax_percent="19")
    assert Tariff("EUR", "0.70", tax_percent="19", maximum="3").can_follow(old)
    assert not Tariff("USD", "0.70", tax_percent="19").can_follow(old)
    assert not Tariff("EUR", "0.70", tax_percent="7").can_follow(old)
    assert not Tariff("EUR", "0.70", tax_percent="19", tax_included=False).can_follow(old)
