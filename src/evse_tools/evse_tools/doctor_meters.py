"""Doctor: reads each Modbus meter of a description once and shows what it says."""

from collections.abc import Iterator
from math import isfinite

from evse_core.meter_link import MODBUS, MeterLinkConfig
from evse_core.types import MeterReport
from evse_nodes import meter_maps
from evse_nodes.meter_files import meter_files
from evse_nodes.metrology_sources import metrology_checksum
from evse_nodes.modbus_meter import MeterError, ModbusSession
from evse_tools.description import Description, Evse
from evse_tools.description_schema import EVSE_SECTIONS, METER, METER_SIMULATOR


def checks(description: Description) -> Iterator[tuple[str, str, str]]:
    """Yield topic, level and text of each meter."""
    for evse in description.evses:
        link = _link(evse)
        if files := meter_files(link).contents:
            yield METER, "ok", f"{evse.namespace}: checksum of the metrology part with {', '.join(files)}: {metrology_checksum(files)}"
        if METER_SIMULATOR in evse.sections:
            yield METER, "note", f"{evse.namespace}: {link.kind}, simulated: not legal for billing; it is there while the station runs"
        elif link.kind == MODBUS:
            yield _read(evse.namespace, link)
        elif not link.legal:
            yield METER, "note", f"{evse.namespace}: {link.kind}: not legal for billing"


def _link(evse: Evse) -> MeterLinkConfig:
    known = EVSE_SECTIONS[METER].load().__dataclass_fields__
    shared = {key: value for key, value in evse.rating.items() if key in known}
    return MeterLinkConfig(**shared, **evse.sections[METER])


def _read(namespace: str, link: MeterLinkConfig) -> tuple[str, str, str]:
    session = ModbusSession(link, meter_maps.load(link.map))
    try:
        report = session.read()
    except MeterError as error:
        return METER, "warning", f"{namespace}: {error.status.name.lower().replace('_', ' ')}: {error.detail}"
    finally:
        session.close()
    wrong = f"it says: {report.fault}" if report.fault else ""
    if link.serial and report.serial and report.serial != link.serial:
        wrong = f"has the serial number {report.serial}, the description says {link.serial}"
    legal = f"legal for billing ({link.certificate})" if link.legal else "not legal for billing: no certificate in the description"
    return METER, "warning" if wrong else "ok", f"{namespace}: {link.address}: {', '.join(filter(None, (_words(report), wrong, legal)))}"


def _words(report: MeterReport) -> str:
    """Return what a meter says, in a line."""
    values = [
        " ".join(filter(None, (report.vendor, report.model, f"no. {report.serial}" if report.serial else "without serial number"))),
        f"{report.import_wh / 1000.0:.3f} kWh to vehicles",
        f"{report.export_wh / 1000.0:.3f} kWh from them" if isfinite(report.export_wh) else "",
        f"{report.voltage:.1f} V" if isfinite(report.voltage) else "",
        f"{report.current:.2f} A" if isfinite(report.current) else "",
        f"{report.power:.0f} W",
        f"{report.frequency:.2f} Hz" if isfinite(report.frequency) else "",
    ]
    return ", ".join(filter(None, values))
