"""Billing records: when one is opened and how it ends, from session_state alone."""

from dataclasses import dataclass, replace
from enum import Enum

from evse_core.energy_meter import LEGAL, billed_wh
from evse_core.tariff import NO_CREDIT, Tariff
from evse_core.types import ChargeRecord, RecordStatus, SessionState, StopCause


class RecordAction(Enum):
    """What is to be done with the record of this EVSE."""

    BEGIN = "begin"
    CLOSE = "close"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, slots=True)
class Register:
    """The meter at a moment: both registers [Wh], highest power since the begin [W], time of the ROS clock [s]."""

    register_wh: float
    export_register_wh: float
    max_power: float
    stamp: float


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


def begun(session: SessionState, evse_id: int, number: int, tariff: Tariff, register: Register) -> ChargeRecord:
    """Return the OPEN record of a session."""
    return ChargeRecord(
        stamp=register.stamp,
        status=RecordStatus.OPEN,
        session_id=session.session_id,
        evse_id=evse_id,
        record_number=number,
        token=session.token,
        begin=register.stamp,
        begin_register_wh=register.register_wh,
        end_register_wh=register.register_wh,
        max_power=0.0,
        stop_cause=StopCause.NONE,
        currency=tariff.currency,
        price_per_kwh=tariff.price_per_kwh,
        legal=LEGAL,
        begin_export_register_wh=register.export_register_wh,
        end_export_register_wh=register.export_register_wh,
        export_price_per_kwh=tariff.export_price_per_kwh,
    )


def ended(record: ChargeRecord, status: RecordStatus, cause: StopCause, register: Register) -> ChargeRecord:
    """Return the record with its end, priced by the tariff of its begin; a clock that went back does not end it before it began."""
    end = max(register.register_wh, record.begin_register_wh)
    export = max(register.export_register_wh, record.begin_export_register_wh)
    # A record of a version that knew no export has no price for it.
    tariff = Tariff(record.currency, record.price_per_kwh, record.export_price_per_kwh or NO_CREDIT)
    given = billed_wh(record.begin_export_register_wh, export)
    return replace(
        record,
        stamp=register.stamp,
        status=status,
        end=max(register.stamp, record.begin),
        end_register_wh=end,
        end_export_register_wh=export,
        max_power=max(register.max_power, 0.0),
        stop_cause=cause,
        cost=tariff.cost(billed_wh(record.begin_register_wh, end)) - tariff.credit(given),
    )
