"""Every message that the station makes fits the schemas of OCPP 1.6, and its numbers are those of the record."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import ocpp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from evse_core import ocpp16_messages as messages
from evse_core.ocpp16 import MEASURANDS, OcppConfig
from evse_core.ocpp16_delivery import Kind, QueuedMessage, filled
from evse_core.ocpp16_status import ERROR_CODES, ConnectorStatus, Status, status_notification
from evse_core.ocpp16_time import timestamp
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, MeterReading, RecordStatus, StopCause

SCHEMAS = Path(ocpp.__file__).parent / "v16" / "schemas"
RECORD = ChargeRecord(
    status=RecordStatus.CLOSED,
    session_id="s",
    evse_id=2,
    token="ABC",
    begin=1700000000.25,
    end=1700003600.5,
    begin_register_wh=1000.4564,
    end_register_wh=3000.9876,
    stop_cause=StopCause.REMOTE,
)
READING = MeterReading(
    stamp=1700000060.0, register_wh=1234.5678, voltage=399.96, current=99.94, power=39970.0, session_id="s", healthy=True
)
ALL = messages.measurands(MEASURANDS)


def fits(request: messages.Request) -> None:
    Draft4Validator(json.loads((SCHEMAS / f"{request.action}.json").read_text(encoding="utf-8-sig"))).validate(
        json.loads(json.dumps(request.payload))
    )


def with_id(request: messages.Request, kind: Kind) -> messages.Request:
    return messages.Request(request.action, filled(QueuedMessage(1, 2, "s", kind, request.action, request.payload, "id", transaction_id=7)))


def requests() -> list[messages.Request]:
    sample = messages.meter_values(2, READING, 55.0, ALL)
    assert sample is not None
    long = OcppConfig(vendor="v" * 99, model="m" * 99, serial_number="s" * 99, firmware_version="f" * 99)
    return [
        messages.boot_notification(OcppConfig()),
        messages.boot_notification(long),
        messages.heartbeat(),
        messages.authorize("ABC"),
        messages.start_transaction(RECORD),
        with_id(messages.stop_transaction(RECORD), Kind.STOP),
        with_id(sample, Kind.METER),
        with_id(messages.session_cost(RECORD), Kind.COST),
        *(status_notification(0, ConnectorStatus(status), 0.0) for status in Status),
        *(status_notification(1, ConnectorStatus(Status.FAULTED, code, "x" * 50, "y" * 50), 0.0) for code in ERROR_CODES),
    ]


@pytest.mark.parametrize("request_", requests(), ids=lambda item: item.action)
def test_messages_fit_their_schemas(request_: messages.Request) -> None:
    fits(request_)


@pytest.mark.parametrize("cause", StopCause)
def test_every_stop_cause_has_a_reason_of_the_schema(cause: StopCause) -> None:
    record = messages.replace(RECORD, stop_cause=cause)
    fits(with_id(messages.stop_transaction(record), Kind.STOP))


@pytest.mark.parametrize(
    ("cause", "status", "reason"),
    [
        (StopCause.LOCAL, RecordStatus.CLOSED, "Local"),
        (StopCause.REMOTE, RecordStatus.CLOSED, "Remote"),
        (StopCause.DEAUTHORIZED, RecordStatus.CLOSED, "DeAuthorized"),
        (StopCause.EMERGENCY, RecordStatus.CLOSED, "EmergencyStop"),
        (StopCause.UNPLUGGED, RecordStatus.CLOSED, "EVDisconnected"),
        (StopCause.UNLOCK, RecordStatus.CLOSED, "UnlockCommand"),
        (StopCause.RESTART, RecordStatus.INTERRUPTED, "Reboot"),
        (StopCause.UNKNOWN, RecordStatus.INTERRUPTED, "PowerLoss"),
        (StopCause.NONE, RecordStatus.INTERRUPTED, "PowerLoss"),
        (StopCause.UNKNOWN, RecordStatus.CLOSED, "Other"),
        (StopCause.VEHICLE, RecordStatus.CLOSED, "Other"),
    ],
)
def test_the_reason_says_who_stopped(cause: StopCause, status: RecordStatus, reason: str) -> None:
    assert messages.stop_reason(messages.replace(RECORD, stop_cause=cause, status=status)) == reason


def test_a_stop_carries_both_registers_with_decimals() -> None:
    stop: Any = messages.stop_transaction(RECORD).payload
    assert (messages.start_transaction(RECORD).payload["meterStart"], stop["meterStop"]) == (1000, 3001)
    samples = [
        (item["timestamp"], item["sampledValue"][0]["context"], item["sampledValue"][0]["value"]) for item in stop["transactionData"]
    ]
    assert samples == [
        ("2023-11-14T22:13:20.250Z", "Transaction.Begin", "1000.456"),
        ("2023-11-14T23:13:20.500Z", "Transaction.End", "3000.988"),
    ]
    assert messages.told_energy(RECORD.begin_register_wh, RECORD.end_register_wh) == 2000.532


def test_the_cost_of_a_session_names_its_transaction_and_what_the_record_says() -> None:
    record = messages.replace(RECORD, cost=1234, tax=197, currency="KWD", idle_time=61.9)
    told = json.loads(with_id(messages.session_cost(record), Kind.COST).payload["data"])
    assert (told["transactionId"], told["cost"], told["costMinorUnits"], told["taxMinorUnits"]) == (7, "1.234", 1234, 197)
    assert (told["currency"], told["energyWh"], told["idleSeconds"], told["connectorId"]) == ("KWD", 2001, 61, RECORD.evse_id)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "data: "),
        ("", "data: is no JSON"),
        ("[]", "the object tariff"),
        ('{"tariff":7}', "the object tariff"),
        ('{"tariff":{},"connectorId":true}', "connectorId: True"),
        ('{"tariff":{},"connectorId":-1}', "connectorId: -1"),
        ('{"tariff":{"price_per_kwh":"-1"}}', "price_per_kwh: '-1'"),
        ('{"tariff":{"price":"1"}}', "'price' is no key"),
    ],
)
def test_a_tariff_of_the_csms_that_is_none_is_refused_with_the_reason(data: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        messages.wanted_tariff(data)


def test_a_tariff_of_the_csms_is_taken_with_what_it_leaves_out() -> None:
    connector, text = messages.wanted_tariff('{"connectorId":2,"tariff":{"price_per_kwh":"0.30"}}')
    assert (connector, Tariff.parse(text)) == (2, Tariff(price_per_kwh="0.30"))
    assert messages.wanted_tariff('{"tariff":{}}')[0] == 0


def test_a_sample_leaves_unknown_values_out() -> None:
    sample = messages.meter_values(1, messages.replace(READING, voltage=float("nan")), float("nan"), ALL)
    assert sample is not None
    assert [value["measurand"] for value in sample.payload["meterValue"][0]["sampledValue"]] == [
        "Energy.Active.Import.Register",
        "Power.Active.Import",
        "Current.Import",
    ]
    assert messages.meter_values(1, MeterReading(), float("nan"), ALL) is None


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (10.0, 30.0, (10.0, 30.0)),
        (float("nan"), 30.0, (30.0, 30.0)),
        (10.0, float("nan"), (10.0, 10.0)),
        (10.0, float("inf"), (10.0, 10.0)),
        (float("nan"), float("nan"), (0.0, 0.0)),
        (30.0, 10.0, (30.0, 30.0)),
    ],
)
def test_a_broken_register_bills_nothing_that_was_not_measured(begin: float, end: float, expected: tuple[float, float]) -> None:
    record = messages.billable(messages.replace(RECORD, begin_register_wh=begin, end_register_wh=end))
    assert (record.begin_register_wh, record.end_register_wh) == expected


@given(st.floats(0, 1e12), st.floats(0, 1e6))
def test_what_is_told_is_what_was_measured_within_a_milliwatthour(begin: float, energy: float) -> None:
    told = messages.told_energy(begin, begin + energy)
    assert abs(told - energy) <= 0.001 + (begin + energy) * 1e-15


@given(st.floats(0, 4e9))
def test_times_have_a_zone_and_a_millisecond(seconds: float) -> None:
    text = timestamp(seconds)
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text).timestamp() - seconds) <= 0.001


def test_an_unknown_measurand_is_named() -> None:
    with pytest.raises(ValueError, match="'Temperature'"):
        messages.measurands("Voltage,Temperature")
    assert messages.measurands(" Voltage , SoC,") == ("Voltage", "SoC")


def test_a_meter_of_three_phases_tells_each_of_them() -> None:
    phases = {
        f"{what}_l{number}": value + number
        for what, value in (("voltage", 230.0), ("current", 10.0), ("power", 2300.0))
        for number in (1, 2)
    }
    reading = MeterReading(stamp=1.0, voltage=231.5, current=20.0, power=4600.0, frequency=49.98, **phases)
    request = messages.meter_values(1, reading, 50.0, ["Voltage", "Current.Import", "Power.Active.Import", "Frequency"])
    assert request is not None
    (told,) = request.payload["meterValue"]
    rows = [(value["measurand"], value.get("phase"), value["value"], value.get("unit")) for value in told["sampledValue"]]
    assert rows == [
        ("Voltage", "L1-N", "231.0", "V"),
        ("Voltage", "L2-N", "232.0", "V"),
        ("Current.Import", "L1", "11.0", "A"),
        ("Current.Import", "L2", "12.0", "A"),
        ("Power.Active.Import", None, "4600.0", "W"),
        ("Power.Active.Import", "L1", "2301.0", "W"),
        ("Power.Active.Import", "L2", "2302.0", "W"),
        ("Frequency", None, "49.98", None),
    ]
