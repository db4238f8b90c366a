"""The file that says what the numbers of an EVSE's meter mean: the register map of one on Modbus, the CAN database of one on the I/O bus.

It belongs to the metrology as the sources do: its content is in the checksum (metrology_sources.py), and its SHA-256 in the audit trail (meter_audit.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evse_core.codecs.meter import METER_DATABASE
from evse_core.meter_link import CAN, MODBUS, MeterLinkConfig
from evse_core.meter_map import MeterMap
from evse_nodes import databases, meter_maps

# Parameters that name such a file; the audit trail has the SHA-256 of its content beside them.
MAP, DATABASE = "energy_meter.meter.map", "energy_meter.meter.database"


@dataclass(frozen=True, slots=True)
class MeterFiles:
    """The register map of a meter on Modbus, and contents by parameter."""

    registers: MeterMap | None = None
    contents: Mapping[str, bytes] = field(default_factory=dict)


def meter_files(link: MeterLinkConfig) -> MeterFiles:
    """Return what a meter is read by; ValueError where it cannot be read. An integrated value has none."""
    if link.kind == MODBUS:
        registers, content = meter_maps.loaded(link.map)
        return MeterFiles(registers, {MAP: content})
    if link.kind == CAN:
        try:
            return MeterFiles(None, {DATABASE: databases.find(METER_DATABASE).read_bytes()})
        except OSError as error:
            raise ValueError(f"{METER_DATABASE}: cannot be read: {error}") from error
    return MeterFiles()
