"""The receipt says all that it must, with the numbers of the record."""

import json
from dataclasses import replace

import pytest

from evse_core.energy_meter import MeterConfig
from evse_core.pricing import kwh
from evse_core.receipt import Receipt, masked, zone
from evse_core.types import ChargeRecord, RecordStatus, StopCause

RECORD = ChargeRecord(
    status=RecordStatus.CLOSED,
    session_id="evse_1-20260921-141320",
    evse_id=1,
    record_number=3,
    token="04A2B3C4D5E680",
    begin=1_790_000_000.0,
    end=1_790_001_800.4,
    begin_register_wh=1000.4,
    end_register_wh=13345.6,
    max_power=48_123.0,
    stop_cause=StopCause.ENERGY_LIMIT,
    cost=605,
    currency="EUR",
    price_per_kwh="0.49",
)
CONFIG = MeterConfig(station_name="depot", place="Example GmbH, Kassel", time_zone="UTC")
RECEIPT = Receipt(RECORD, 77, CONFIG, zone("UTC"))


@pytest.mark.parametrize(
    "words",
    [
        "depot", "Example GmbH, Kassel", "evse_1-20260921-141320", "77", "**********E680", "2026-09-21T14:13:20+00:00", "2026-09-21T14:43:20+00:00",
        "1.000 kWh", "13.346 kWh", "12.346 kWh x 0.49 EUR/kWh = 6.05 EUR", "48.1 kW DC", "energy limit", "integrated", "not legal for billing",
    ],
)  # fmt: skip
def test_the_text_has_every_field_that_is_demanded(words: str) -> None:
    assert words in RECEIPT.text()


def test_the_text_shows_no_whole_token_and_no_line_without_a_value() -> None:
    assert "04A2" not in RECEIPT.text()
    text = Receipt(RECORD, 0, MeterConfig(), zone("UTC")).text()
    assert "Transaction" not in text
    assert "Station" not in text
    assert all(line.rstrip() == line for line in text.splitlines())


def test_the_object_and_the_text_agree() -> None:
    data = json.loads(json.dumps(RECEIPT.as_dict()))
    assert (data["energy_wh"], data["energy_kwh"], data["total"], data["total_minor_units"]) == (12346, "12.346", "6.05", 605)
    assert (data["begin"], data["transaction_id"], data["current_type"], data["legal"]) == ("2026-09-21T14:13:20+00:00", 77, "DC", False)
    for value in (data["energy_kwh"], data["total"], data["begin"], data["end"], data["session_id"], data["token"]):
        assert value in RECEIPT.text()


def test_begin_and_end_register_differ_by_the_energy() -> None:
    for end in (1000.4, 1000.6, 1234.5, 98765.4):
        data = Receipt(replace(RECORD, end_register_wh=end), 0, CONFIG, zone("UTC")).as_dict()
        assert round(float(data["end_register_kwh"]) * 1000) - round(float(data["begin_register_kwh"]) * 1000) == data["energy_wh"]


def test_an_interruption_is_on_the_receipt() -> None:
    receipt = Receipt(replace(RECORD, status=RecordStatus.INTERRUPTED), 0, CONFIG, zone("UTC"))
    assert "interrupted" in receipt.text()
    assert receipt.as_dict()["interrupted"]
    assert not RECEIPT.as_dict()["interrupted"]


@pytest.mark.parametrize(
    ("token", "shown"), [("", ""), ("1234567", "*******"), ("12345678", "****5678"), ("04A2B3C4D5E680", "**********E680")]
)
def test_a_token_is_masked(token: str, shown: str) -> None:
    assert masked(token) == shown


@pytest.mark.parametrize(("energy", "text"), [(0, "0.000"), (1, "0.001"), (999, "0.999"), (12345678, "12345.678")])
def test_kwh_have_three_decimals(energy: int, text: str) -> None:
    assert kwh(energy) == text


def test_a_zone_has_its_offset_and_summer_time() -> None:
    try:
        berlin = zone("Europe/Berlin")
    except ValueError:
        pytest.skip("this machine has no time zone data")
    assert Receipt(RECORD, 0, CONFIG, berlin).as_dict()["begin"] == "2026-09-21T16:13:20+02:00"


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "UTC+1"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match="time_zone: "):
        zone(name)
