"""What a signed record says of the meter, and what the check finds in records whose registers and losses do not fit together."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from notary_bench import GATEWAY, NOTARY

from evse_core.meter_evidence import gateway_of, rows
from evse_core.ocmf import MeterState, parse
from evse_core.ocmf_check import check
from evse_core.ocmf_signature import signed
from evse_core.session_readings import complete
from evse_core.types import ChargeRecord, MeterStatus, RecordStatus, StopCause

RECORD = ChargeRecord(
    status=RecordStatus.CLOSED,
    session_id="s",
    evse_id=1,
    record_number=1,
    begin=1.7e9,
    end=1.7e9 + 3600.0,
    begin_register_wh=5000.0,
    end_register_wh=45_000.0,
    begin_export_register_wh=0.0,
    end_export_register_wh=0.0,
    stop_cause=StopCause.LOCAL,
    price_per_kwh="0.50",
    currency="EUR",
    legal=True,
    meter_vendor="Maker",
    meter_model="M-1",
    meter_serial="A1",
    begin_meter_status=MeterStatus.GOOD,
    end_meter_status=MeterStatus.GOOD,
    begin_mains_wh=5000.0,
    end_mains_wh=45_000.0,
    begin_export_mains_wh=0.0,
    end_export_mains_wh=0.0,
)
COMPENSATED = replace(RECORD, cable_resistance=0.004, begin_mains_wh=5010.0, end_mains_wh=45_050.4)
B0, B1, C0, C1 = (f"01-00:{code}.08.00*FF" for code in ("B0", "B1", "C0", "C1"))


def end(record: ChargeRecord) -> str:
    return NOTARY.made(record, complete(record, ()), 2)


def verdict(text: str) -> tuple[str, ...]:
    return check(text, NOTARY.key.public_key()).errors


def test_a_record_of_a_meter_names_it_and_its_register_and_is_legal_where_it_is() -> None:
    document = parse(end(RECORD))
    assert [document.fields[key] for key in ("MV", "MM", "MS")] == ["Maker", "M-1", "A1"]
    assert [reading["RI"] for reading in document.readings] == [B0, B0]
    assert "XN" not in document.fields
    assert "LC" not in document.fields
    assert verdict(end(RECORD)) == ()
    assert "XN" in parse(end(replace(RECORD, legal=False))).fields


def test_a_compensated_record_has_both_registers_the_losses_and_the_resistance() -> None:
    document = parse(end(COMPENSATED))
    assert [(reading["RI"], str(reading["RV"]), str(reading.get("CL"))) for reading in document.readings] == [
        (B1, "5.000", "0.000"),
        (B0, "5.010", "None"),
        (B1, "45.000", "0.040"),
        (B0, "45.050", "None"),
    ]
    assert document.fields["LC"] == {"LN": "cable", "LI": 1, "LR": 4, "LU": "mOhm"}
    assert verdict(end(COMPENSATED)) == ()
    assert check(end(COMPENSATED), NOTARY.key.public_key()).energy_wh == 40_000


def test_energy_from_the_vehicle_has_rows_of_its_own() -> None:
    record = replace(COMPENSATED, end_export_register_wh=1010.0, end_export_mains_wh=1000.0)
    begin, last = complete(record, ())
    assert [row.register for row in rows(record, begin, last, True)] == [B1, B0, C1, C0]
    assert verdict(end(record)) == ()


@pytest.mark.parametrize(
    ("status", "letter"),
    [
        (MeterStatus.TIMEOUT, MeterState.TIMEOUT),
        (MeterStatus.NOT_READ, MeterState.NOT_PRESENT),
        (MeterStatus.EXCHANGED, MeterState.EXCHANGED),
        (MeterStatus.JUMPED, MeterState.OUT_OF_RANGE),
    ],
)
def test_how_the_meter_stood_at_the_end_is_in_the_record_and_is_told_by_the_check(status: MeterStatus, letter: MeterState) -> None:
    text = end(replace(RECORD, end_meter_status=status))
    assert [reading["ST"] for reading in parse(text).readings] == ["G", letter]
    assert any("state of the meter" in note for note in check(text).notes)


def test_every_status_has_a_letter() -> None:
    for status in MeterStatus:
        assert parse(end(replace(RECORD, end_meter_status=status))).readings[-1]["ST"] in list(MeterState)


def test_an_integrated_value_keeps_the_gateway_and_its_register() -> None:
    record = replace(RECORD, legal=False, begin_meter_status=MeterStatus.UNKNOWN, end_meter_status=MeterStatus.UNKNOWN)
    assert gateway_of(GATEWAY, record) == GATEWAY
    assert [reading["RI"] for reading in parse(end(record)).readings] == [B1, B1]


def forged(change: dict[int, dict[str, Any]]) -> str:
    """Return a compensated record with other values in some readings, signed like a right one."""
    payload = json.loads(parse(end(COMPENSATED)).signed)
    for number, values in change.items():
        payload["RD"][number] |= values
    text = json.dumps(payload, separators=(",", ":"))
    return signed(re.sub(r'"(RV|CL)":(-?[\d.]+)', r'"\1":\2', text), NOTARY.key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({2: {"CL": 0.050}}, "they do not fit together"),
        ({3: {"RV": 45.100}}, "they do not fit together"),
        ({2: {"RV": 44.900}}, "they do not fit together"),
        ({0: {"CL": 0.001}}, "at the begin, where it is 0"),
        ({2: {"CL": -0.040}}, "is no loss"),
    ],
)
def test_registers_and_losses_that_do_not_fit_together_are_found(change: dict[int, dict[str, Any]], words: str) -> None:
    assert verdict(forged({})) == ()
    assert any(words in error for error in verdict(forged(change)))
