"""OCPP 1.6 requests as plain values, and their builders: what the station says, in the words of the protocol."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Any, Final

from evse_core.energy_meter import billed_wh
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_time import timestamp
from evse_core.session_readings import whole_seconds
from evse_core.tariff import Tariff, amount, exponent
from evse_core.types import ChargeRecord, MeterReading, RecordStatus, StopCause

Payload = Mapping[str, Any]

# Longest idToken (1.6 section 7.28), status info and vendorErrorCode (section 6.47). [characters]
ID_TOKEN_LENGTH: Final = 20
INFO_LENGTH: Final = 50

# DataTransfer of this project (docs/tariffs.md): no public extension carries a whole tariff. [-]
VENDOR_ID: Final = "ros2_evse"
SET_TARIFF: Final = "SetTariff"
SESSION_COST: Final = "SessionCost"

REGISTER: Final = "Energy.Active.Import.Register"
EXPORT_REGISTER: Final = "Energy.Active.Export.Register"


@dataclass(frozen=True, slots=True)
class Request:
    """One call to the CSMS: action and payload with the protocol's own names."""

    action: str
    payload: Payload


# Why a session ended, as StopTransaction says it (1.6 section 7.36). "Other" stands for all that the protocol has no word for.
STOP_REASONS: Final[Mapping[StopCause, str]] = {
    StopCause.UNKNOWN: "Other",
    StopCause.NONE: "Other",
    StopCause.LOCAL: "Local",
    StopCause.REMOTE: "Remote",
    StopCause.VEHICLE: "Other",
    StopCause.VEHICLE_FAULT: "Other",
    StopCause.TIME_LIMIT: "Other",
    StopCause.ENERGY_LIMIT: "Other",
    StopCause.DEAUTHORIZED: "DeAuthorized",
    StopCause.INCOMPATIBLE: "Other",
    StopCause.TIMEOUT: "Other",
    StopCause.CHARGER_FAULT: "Other",
    StopCause.EMERGENCY: "EmergencyStop",
    StopCause.UNLOCK: "UnlockCommand",
    StopCause.SHUTDOWN: "Reboot",
    StopCause.UNPLUGGED: "EVDisconnected",
    StopCause.RESTART: "Reboot",
    StopCause.UNAVAILABLE: "Other",
}

_UNITS: Final[Mapping[str, str]] = {
    REGISTER: "Wh",
    EXPORT_REGISTER: "Wh",
    "Power.Active.Import": "W",
    "Power.Active.Export": "W",
    "Voltage": "V",
    "Current.Import": "A",
    "Current.Export": "A",
    "SoC": "Percent",
    # The protocol has no unit of its own for hertz: any Frequency is in Hz (1.6 section 7.31).
    "Frequency": "",
}
# Told only where there is something: a station that never discharges says nothing of it.
_EXPORTED: Final = frozenset({EXPORT_REGISTER, "Power.Active.Export", "Current.Export"})
SUPPORTED_MEASURANDS: Final = tuple(_UNITS)
# Where a value is measured: the state of charge in the vehicle, all else at the outlet, the protocol's default (1.6 section 7.24).
_LOCATIONS: Final[Mapping[str, str]] = {"SoC": "EV"}
# Decimals: the meter resolves 1 mWh, its currents and voltages 0.1. [1]
_DECIMALS: Final[Mapping[str, int]] = {REGISTER: 3, EXPORT_REGISTER: 3, "SoC": 0, "Frequency": 2}
# Told of each phase where a meter measures them: field of MeterReading, what the protocol calls a phase of it (1.6 section 7.30), whether the sum is told, too.
_OF_PHASES: Final[Mapping[str, tuple[str, str, bool]]] = {
    "Voltage": ("voltage", "-N", False),
    "Current.Import": ("current", "", False),
    "Power.Active.Import": ("power", "", True),
}


def billable(record: ChargeRecord) -> ChargeRecord:
    """Return the record with registers that can be billed: one that is not a number counts as the other, an end below the begin as the begin.

    So a broken reading never bills energy that was not measured (negative meter differences are accepted by some CSMS, which then bill nonsense).
    """
    begin, end = record.begin_register_wh, record.end_register_wh
    begin = begin if isfinite(begin) else end if isfinite(end) else 0.0
    end = max(begin, end) if isfinite(end) else begin
    exported, until = record.begin_export_register_wh, record.end_export_register_wh
    exported = exported if isfinite(exported) else until if isfinite(until) else 0.0
    until = max(exported, until) if isfinite(until) else exported
    return replace(record, begin_register_wh=begin, end_register_wh=end, begin_export_register_wh=exported, end_export_register_wh=until)


def stop_reason(record: ChargeRecord) -> str:
    """Return the reason for StopTransaction; a record that was found open after a power cycle and says nothing else means PowerLoss."""
    if record.status == RecordStatus.INTERRUPTED and record.stop_cause in (StopCause.UNKNOWN, StopCause.NONE):
        return "PowerLoss"
    return STOP_REASONS[record.stop_cause]


def boot_notification(config: OcppConfig) -> Request:
    """Return the BootNotification of this station."""
    payload = {"chargePointVendor": config.vendor[:20], "chargePointModel": config.model[:20]}
    if config.serial_number:
        payload["chargePointSerialNumber"] = config.serial_number[:25]
    if config.firmware_version:
        payload["firmwareVersion"] = config.firmware_version[:50]
    return Request("BootNotification", payload)


def heartbeat() -> Request:
    """Return a Heartbeat."""
    return Request("Heartbeat", {})


def authorize(token: str) -> Request:
    """Return an Authorize for a token of at most 20 characters."""
    return Request("Authorize", {"idTag": token})


def start_transaction(record: ChargeRecord, reservation: int | None = None) -> Request:
    """Return the StartTransaction of an open or closed record whose begin register is a number, with the reservation that it ends."""
    payload = {
        "connectorId": record.evse_id,
        "idTag": record.token[:ID_TOKEN_LENGTH],
        "meterStart": whole_wh(record.begin_register_wh),
        "timestamp": timestamp(record.begin),
    }
    return Request("StartTransaction", payload if reservation is None else {**payload, "reservationId": reservation})


def stop_transaction(record: ChargeRecord, reason: str = "", collected: Iterable[Payload] = (), with_data: bool = True) -> Request:
    """Return the StopTransaction of a billable() record, still without its transactionId.

    With data the begin and end readings go along as transactionData with decimals, because meterStart and meterStop are whole Wh by the schema; where the
    vehicle gave energy, both registers do. Between them stands what was collected for StopTxnSampledData and StopTxnAlignedData.
    """
    payload: dict[str, Any] = {
        "meterStop": whole_wh(record.end_register_wh),
        "timestamp": timestamp(record.end),
        "reason": reason or stop_reason(record),
    }
    if with_data:
        begin = _registers(record, record.begin_register_wh, record.begin_export_register_wh, "Transaction.Begin")
        end = _registers(record, record.end_register_wh, record.end_export_register_wh, "Transaction.End")
        payload["transactionData"] = [_meter_value(record.begin, begin), *collected, _meter_value(record.end, end)]
    return Request("StopTransaction", payload)


def session_cost(record: ChargeRecord) -> Request:
    """Return the DataTransfer that tells what a session costs, still without its transactionId; amounts in minor units, energies in whole Wh."""
    said = {
        "connectorId": record.evse_id,
        "cost": amount(record.cost, exponent(record.currency)),
        "costMinorUnits": record.cost,
        "taxMinorUnits": record.tax,
        "currency": record.currency,
        "energyWh": billed_wh(record.begin_register_wh, record.end_register_wh),
        "exportWh": billed_wh(record.begin_export_register_wh, record.end_export_register_wh),
        "chargingSeconds": whole_seconds(record.charging_time),
        "idleSeconds": whole_seconds(record.idle_time),
    }
    return Request("DataTransfer", {"vendorId": VENDOR_ID, "messageId": SESSION_COST, "data": json.dumps(said)})


def wanted_tariff(data: object) -> tuple[int, str]:
    """Return connector (0: all) and canonical text of a SetTariff's data, {"connectorId": 1, "tariff": {...}}; ValueError says what is wrong."""
    try:
        found = json.loads(data) if isinstance(data, str) else None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"data: is no JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("tariff"), dict):
        raise ValueError("data: is no JSON object with the object tariff")
    connector = found.get("connectorId", 0)
    if isinstance(connector, bool) or not isinstance(connector, int) or connector < 0:
        raise ValueError(f"connectorId: {connector!r} is no number of a connector, 0 or more")
    return connector, Tariff.parse(json.dumps(found["tariff"])).text()


def _registers(record: ChargeRecord, register: float, export: float, context: str) -> list[dict[str, str]]:
    found = [_sampled(REGISTER, register, context)]
    gave = record.end_export_register_wh > record.begin_export_register_wh
    return [*found, _sampled(EXPORT_REGISTER, export, context)] if gave else found


def meter_values(
    connector: int, reading: MeterReading, soc_percent: float, measurands: Iterable[str], context: str = "Sample.Periodic"
) -> Request | None:
    """Return a MeterValues with the measurands that are known now, None where none is; transactionId is filled in when it is sent."""
    value = meter_value(reading, soc_percent, measurands, context)
    return None if value is None else Request("MeterValues", {"connectorId": connector, "meterValue": [value]})


def meter_value(reading: MeterReading, soc_percent: float, measurands: Iterable[str], context: str) -> dict[str, Any] | None:
    """Return a meterValue with the measurands that are known now, None where none is."""
    known = {
        REGISTER: reading.register_wh,
        EXPORT_REGISTER: reading.export_register_wh,
        "Power.Active.Import": _one_way(reading.power),
        "Power.Active.Export": _one_way(-reading.power),
        "Voltage": reading.voltage,
        "Current.Import": _one_way(reading.current),
        "Current.Export": _one_way(-reading.current),
        "SoC": soc_percent,
        "Frequency": reading.frequency,
    }
    told = [name for name in measurands if isfinite(known[name]) and (name not in _EXPORTED or known[name] > 0.0)]
    values = [value for name in told for value in _samples(name, known[name], reading, context)]
    return _meter_value(reading.stamp, values) if values else None


def _samples(measurand: str, value: float, reading: MeterReading, context: str) -> list[dict[str, str]]:
    """Return the values of a measurand: of each phase where they are measured, as far as they flow to the vehicle."""
    total = [_sampled(measurand, value, context)]
    if measurand not in _OF_PHASES:
        return total
    field, suffix, with_total = _OF_PHASES[measurand]
    phases = [(f"L{number}{suffix}", _one_way(getattr(reading, f"{field}_l{number}"))) for number in (1, 2, 3)]
    found = [_sampled(measurand, phase_value, context) | {"phase": name} for name, phase_value in phases if isfinite(phase_value)]
    return [*(total if with_total or not found else ()), *found]


def _one_way(value: float) -> float:
    """Return what flows one way: 0 where it flows the other way, NaN where nobody knows."""
    return value if isnan(value) else max(value, 0.0)


def told_energy(begin_wh: float, end_wh: float) -> float:
    """Return the energy [Wh] that a StopTransaction tells: the difference of the registers as they are written into transactionData."""
    return round(float(_number(REGISTER, end_wh)) - float(_number(REGISTER, begin_wh)), _DECIMALS[REGISTER])


def whole_wh(register: float) -> int:
    """Return a register [Wh] in whole Wh."""
    return round(register)


def measurands(text: str) -> tuple[str, ...]:
    """Return the measurands of a comma-separated list; ValueError names one that this station does not measure."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in _UNITS:
            raise ValueError(f"measurand {name!r} is not measured here; known: {', '.join(SUPPORTED_MEASURANDS)}")
    return names


def _meter_value(stamp: float, values: list[dict[str, str]]) -> dict[str, Any]:
    return {"timestamp": timestamp(stamp), "sampledValue": values}


def _sampled(measurand: str, value: float, context: str) -> dict[str, str]:
    return {
        "value": _number(measurand, value),
        "context": context,
        "format": "Raw",
        "measurand": measurand,
        "location": _LOCATIONS.get(measurand, "Outlet"),
        **({"unit": _UNITS[measurand]} if _UNITS[measurand] else {}),
    }


def _number(measurand: str, value: float) -> str:
    return f"{value:.{_DECIMALS.get(measurand, 1)}f}"
