"""What a signed record says of the meter (can.md 7.1): which one, how it stood, and its registers before and after compensation of the cable's losses.

Where losses are compensated a reading has two rows: that of the vehicle's end, by which is billed, with the losses since the begin (CL), and that of the meter,
as its display shows it. The gateway then names the cable's resistance (LC). Without compensation there is the meter's row alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

from evse_core.ocmf import EXPORT_REGISTER, IMPORT_REGISTER, Gateway, MeterState
from evse_core.session_readings import SessionReading
from evse_core.types import ChargeRecord, MeterStatus

# OBIS codes of the meter's own registers, before compensation.
MAINS_IMPORT, MAINS_EXPORT = "01-00:B0.08.00*FF", "01-00:C0.08.00*FF"
# Name of the compensation: by the resistance of the cable in the description.
LOSS_NAME = "cable"
# Letters of OCMF for what a meter can have. An integrated value has no state; what it is, the record says by itself.
STATES = {
    MeterStatus.UNKNOWN: MeterState.GOOD,
    MeterStatus.GOOD: MeterState.GOOD,
    MeterStatus.NOT_READ: MeterState.NOT_PRESENT,
    MeterStatus.TIMEOUT: MeterState.TIMEOUT,
    MeterStatus.FAILED: MeterState.FAILED_READING,
    MeterStatus.DISCONNECTED: MeterState.DISTURBED,
    MeterStatus.DISTURBED: MeterState.OTHER_ERROR,
    MeterStatus.MISSING_REGISTER: MeterState.MISSING_REGISTER,
    MeterStatus.OUT_OF_RANGE: MeterState.OUT_OF_RANGE,
    MeterStatus.BACKWARDS: MeterState.OTHER_ERROR,
    MeterStatus.STUCK: MeterState.OTHER_ERROR,
    MeterStatus.JUMPED: MeterState.OUT_OF_RANGE,
    MeterStatus.EXCHANGED: MeterState.EXCHANGED,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One register in a reading: its OBIS code, what it shows, and the losses since the begin (None: it is not compensated). [Wh]"""

    register: str
    wh: float
    loss_wh: float | None = None


def rows(record: ChargeRecord, begin: SessionReading, reading: SessionReading, exported: bool) -> Iterator[Row]:
    """Yield the registers of a reading of a record that began with `begin`; those of energy from the vehicle only where there was some."""
    losses = (reading.mains_wh - begin.mains_wh) - (reading.register_wh - begin.register_wh)
    export_losses = (reading.export_register_wh - begin.export_register_wh) - (reading.export_mains_wh - begin.export_mains_wh)
    directions = [
        (IMPORT_REGISTER, MAINS_IMPORT, reading.register_wh, reading.mains_wh, losses),
        (EXPORT_REGISTER, MAINS_EXPORT, reading.export_register_wh, reading.export_mains_wh, export_losses),
    ]
    for device, mains, wh, mains_wh, loss in directions if exported else directions[:1]:
        if record.cable_resistance > 0.0 and isfinite(loss):
            yield Row(device, wh, max(loss, 0.0))
            yield Row(mains, mains_wh)
        else:
            yield Row(mains if is_read(record) else device, wh)


def is_read(record: ChargeRecord) -> bool:
    """Return whether the energy comes from a meter, not from readings of the power electronics that were integrated."""
    return record.begin_meter_status is not MeterStatus.UNKNOWN


def state(status: MeterStatus) -> MeterState:
    """Return how the meter stood, by the letter of the format."""
    return STATES[status]


def gateway_of(gateway: Gateway, record: ChargeRecord) -> Gateway:
    """Return the gateway with the meter and the cable of a record."""
    if is_read(record):
        gateway = replace(
            gateway, meter_vendor=record.meter_vendor, meter_model=record.meter_model, meter_serial=record.meter_serial, meter_firmware=""
        )
    if record.cable_resistance > 0.0:
        gateway = replace(gateway, loss_name=LOSS_NAME, loss_milliohm=record.cable_resistance * 1000.0)
    return gateway
