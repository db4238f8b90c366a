"""The rules of the audit trail: what is watched, what an entry says, what is found in a trail that somebody has touched."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from evse_core.audit import (
    AUDITED,
    EXEMPT,
    ClockWatch,
    Entry,
    Row,
    by_csms,
    facts,
    head_problem,
    head_text,
    is_audited,
    news,
    parse,
    problems,
    value_text,
)
from evse_core.energy_meter import MeterConfig
from evse_core.evidence import GENESIS, link
from evse_core.ocmf import Clock
from evse_core.ocpp16 import OcppConfig
from evse_core.tariff import Tariff

FIRST = Entry(1, 1.8e9, Clock.INFORMATIVE, "description 12, started by root", "tariff.price_per_kwh", 1, "", "0.49")


def trail(count: int = 4) -> list[Row]:
    """A price that changes, chained."""
    rows, before = list[Row](), GENESIS
    for number in range(1, count + 1):
        old = "" if number == 1 else f"0.{number - 1}"
        text = replace(FIRST, counter=number, at=1.8e9 + number, old=old, new=f"0.{number}").text()
        before = link(before, text)
        rows.append(Row(number, text, before))
    return rows


def chained(rows: list[Row]) -> list[Row]:
    """Return rows with links that fit: the work of somebody who knows how the chain is made."""
    before, made = GENESIS, list[Row]()
    for row in rows:
        before = link(before, row.text)
        made.append(replace(row, chained=before))
    return made


def test_an_entry_comes_back_from_its_line() -> None:
    entry = replace(FIRST, counter=1234, old='"|\n', new="€", evse=2, changes=7)
    assert parse(entry.text()) == entry
    assert (entry.three_digits, entry.time) == ("234", "2027-01-15T08:00:00.000Z")
    assert "\n" not in entry.text()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", FIRST.text().replace("clock", "clok"), FIRST.text().replace('"I"', '"?"'), "[" * 9999]
)
def test_a_line_that_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse(text)


def test_a_whole_trail_has_no_problems() -> None:
    assert list(problems(trail())) == list(problems([])) == []


TOUCHED: list[tuple[Callable[[list[Row]], list[Row]], str]] = [
    (lambda rows: [*rows[:2], replace(rows[2], text=rows[2].text.replace("0.3", "0.1")), rows[3]], "entry 3: does not follow"),
    (lambda rows: [*rows[:1], *rows[2:]], "entry 3: entry 2 is missing before it"),
    (lambda rows: rows[1:], "entry 2: entry 1 is missing before it"),
    (lambda rows: chained([*rows[:1], *rows[2:]]), "entry 3: says that tariff.price_per_kwh was '0.2', the entry before says '0.1'"),
    (lambda rows: chained([*rows[:3], replace(rows[3], text="rubbish")]), "entry 4: "),
    (lambda rows: chained([*rows[:3], replace(rows[3], counter=5)]), "entry 5: calls itself 4"),
    (lambda rows: [*rows[:3], replace(rows[3], chained=b"")], "entry 4: does not follow"),
]


@pytest.mark.parametrize(("touch", "words"), TOUCHED)
def test_what_was_done_to_a_trail_is_said_with_the_entry(touch: Callable[[list[Row]], list[Row]], words: str) -> None:
    found = list(problems(touch(trail())))
    assert any(words in problem for problem in found), found


def test_events_have_no_old_value() -> None:
    step = replace(FIRST, parameter="clock.step", old="", new="+5 s")
    rows = chained([Row(number, replace(step, counter=number).text(), b"") for number in (1, 2)])
    assert list(problems(rows)) == []


# What is watched


def test_every_row_of_the_table_has_a_reason() -> None:
    assert all(row.reason for row in (*AUDITED, *EXEMPT))
    assert len({row.name for row in (*AUDITED, *EXEMPT)}) == len(AUDITED) + len(EXEMPT)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("tariff.anything", True),
        ("energy_meter.serial", True),
        ("energy_meter.a_key_of_tomorrow", True),
        ("energy_meter.idle_period", False),
        ("ocpp_uplink.url", True),
        ("ocpp_uplink.heartbeat_interval", False),
        ("charge_sequencer.anything", False),
        ("clock.step", True),
        ("clock.steps", False),
    ],
)
def test_the_table_says_what_belongs_into_the_trail(name: str, wanted: bool) -> None:
    assert is_audited(name) is wanted


def test_the_facts_of_a_section_are_its_audited_keys_as_text() -> None:
    assert facts("tariff", Tariff("EUR", "0.50")) == {
        f"tariff.{name}": value_text(getattr(Tariff("EUR", "0.50"), name)) for name in Tariff.__dataclass_fields__
    }
    meter = facts("energy_meter", MeterConfig(serial="77"))
    assert (meter["energy_meter.serial"], meter["energy_meter.time_zone"]) == ("77", "UTC")
    assert "energy_meter.idle_period" not in meter


def test_no_password_gets_into_the_trail() -> None:
    secret = OcppConfig(url="wss://user:hush@host:9/ocpp", authorization_key="hush2")
    assert "hush2" not in str(facts("ocpp_uplink", secret))
    assert "hush" not in str(facts("ocpp_uplink", secret))
    assert by_csms(secret.url, "EVSE-1") == "CSMS wss://host:9/ocpp as EVSE-1"


def test_values_have_one_text() -> None:
    @dataclass(frozen=True)
    class Window:
        begin: str
        price: str

    assert value_text((Window("22:00", "0.29"),)) == '[{"begin": "22:00", "price": "0.29"}]'
    assert (value_text(1.0), value_text(True), value_text("x")) == ("1.0", "true", "x")


def test_news_are_what_changed_came_and_went() -> None:
    assert news({"a": "1", "b": "2", "gone": "3", "long_gone": ""}, {"a": "1", "b": "3", "c": "4"}) == {"b": "3", "c": "4", "gone": ""}


# Anchors in signed records


def test_a_record_names_the_end_of_the_trail_that_it_was_signed_under() -> None:
    links = {row.counter: row.chained for row in trail()}
    named = head_text(4, links[4])
    assert head_problem(named, links.get) == ""
    assert head_problem(head_text(0, GENESIS), {}.get) == ""
    assert "not there any more" in head_problem(named, {number: links[number] for number in (1, 2, 3)}.get)
    assert "made anew" in head_problem(named, {4: bytes(32)}.get)
    assert "names no entry" in head_problem("rubbish", links.get)


# Clock


def test_a_step_of_the_clock_is_seen_once_and_drift_is_none() -> None:
    watch = ClockWatch()
    assert watch.step(1.8e9, 100.0) == ""
    assert watch.step(1.8e9 + 0.25, 100.25) == ""
    assert watch.step(1.8e9 + 3600.5, 100.5) == "+3600 s"
    assert watch.step(1.8e9 + 3600.75, 100.75) == ""
    assert watch.step(1.8e9 + 1.0, 101.0) == "-3600 s"
    for second in range(100):
        assert watch.step(1.8e9 + 1.0 + 1.5 * second, 101.0 + second) == ""
