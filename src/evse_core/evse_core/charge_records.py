"""Billing records: when one is opened and how it ends, from session_state alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import isfinite, nan
from typing import Any

from evse_core.energy_meter import INTEGRATED, MeterFacts
from evse_core.pricing import price
from evse_core.session_readings import NO_TIMES, SessionReading, Times, begin_reading, end_reading, tariff_of
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, MeterStatus, RecordStatus, SessionState, StopCause


class RecordAction(Enum):
    """What is to be done with the record of this EVSE."""

    BEGIN = "begin"
    CLOSE = "close"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, slots=True)
class Register:
    """The meter at a moment: registers [Wh], highest power since the begin [W], ROS time [s], times of the session; how it stands, and what it shows [Wh]."""

    register_wh: float
    export_register_wh: float
    max_power: float
    stamp: float
    times: Times = NO_TIMES
    status: MeterStatus = MeterStatus.UNKNOWN
    mains_wh: float = nan
    export_mains_wh: float = nan


def actions(open_session: str, session: SessionState, known: bool) -> tuple[RecordAction, ...]:
    """Return what session_state asks for, in order; doing it makes the next answer empty.

    open_session is the session of the open record, "" where none is open; known says whether the session has a record of its own already, so that one
    whose record was closed after a restart is not billed twice.
    """
    found = []
    if open_session and session.session_id != open_session:
        found.append(RecordAction.INTERRUPT)
    elif open_session and not session.transaction_active:
        found.append(RecordAction.CLOSE)
    if session.transaction_active and session.session_id and session.session_id != open_session and not known:
        found.append(RecordAction.BEGIN)
    return tuple(found)


def begun(
    session: SessionState, evse_id: int, number: int, tariff: Tariff, register: Register, meter: MeterFacts = INTEGRATED
) -> ChargeRecord:
    """Return the OPEN record of a session."""
    return ChargeRecord(
        stamp=register.stamp,
        status=RecordStatus.OPEN,
        session_id=session.session_id,
        evse_id=evse_id,
        record_number=number,
        token=session.token,
        begin=register.stamp,
        max_power=0.0,
        stop_cause=StopCause.NONE,
        currency=tariff.currency,
        price_per_kwh=tariff.price_per_kwh,
        legal=meter.legal,
        export_price_per_kwh=tariff.export_price_per_kwh,
        tariff=tariff.text(),
        meter_vendor=meter.vendor,
        meter_model=meter.model,
        meter_serial=meter.serial,
        cable_resistance=meter.cable_resistance,
        **_side("begin", register),
        **_side("end", register),
    )


def _side(name: str, register: Register) -> dict[str, Any]:
    """Return the fields of a record that say what the meter showed at its begin or its end."""
    return {
        f"{name}_register_wh": register.register_wh,
        f"{name}_export_register_wh": register.export_register_wh,
        f"{name}_meter_status": register.status,
        f"{name}_mains_wh": register.mains_wh,
        f"{name}_export_mains_wh": register.export_mains_wh,
    }


def ended(
    record: ChargeRecord, status: RecordStatus, cause: StopCause, register: Register, readings: Sequence[SessionReading] = ()
) -> ChargeRecord:
    """Return the record with its end, priced by its readings so far; a clock that went back does not end it before it began, or before a reading."""
    found = tuple(readings) or (begin_reading(record),)
    last = found[-1]
    closing = replace(
        register,
        register_wh=max(register.register_wh, last.register_wh),
        export_register_wh=max(register.export_register_wh, last.export_register_wh),
        mains_wh=_at_least(register.mains_wh, record.begin_mains_wh),
        export_mains_wh=_at_least(register.export_mains_wh, record.begin_export_mains_wh),
    )
    closed = replace(
        record,
        **_side("end", closing),
        stamp=register.stamp,
        status=status,
        end=max(register.stamp, last.stamp),
        max_power=max(register.max_power, 0.0),
        stop_cause=cause,
        charging_time=max(register.times.charging, last.charging_time),
        idle_time=max(register.times.idle, last.idle_time),
    )
    cost = price(tariff_of(record), (*found, end_reading(closed, found)))
    return replace(closed, cost=cost.total, tax=cost.tax)


def _at_least(value: float, least: float) -> float:
    return max(value, least) if isfinite(value) and isfinite(least) else value
