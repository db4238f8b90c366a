"""The metrology part: which sources count energy, price it, keep the records and sign them, and their common checksum (can.md 7.2, 7.5).

The checksum of an EVSE with a meter that is read has the content of its register map or CAN database in it, too.

A test holds the table against the imports: what a module of the table imports belongs into it, too. The border is energy_meter_node, which hands in reports and
session states as they come and publishes what is in the book. The reports' own registers are checked where they come in (energy_meter.py).
"""

import hashlib
from collections.abc import Mapping

# From where the rest is reached.
ROOTS = ("evse_nodes.meter_book", "evse_nodes.modbus_meter", "evse_nodes.meter_files", "evse_core.meter_answer", "evse_core.codecs.meter")
# Module: what it does.
MODULES: Mapping[str, str] = {
    "evse_core.audit": "what the audit trail watches and says",
    "evse_core.charge_records": "when a record begins and ends",
    "evse_core.codecs.meter": "frames of a meter on the I/O bus",
    "evse_core.codecs.signals": "frames to values",
    "evse_core.energy_meter": "energy from readings; whole Wh",
    "evse_core.energy_meter_read": "which readings of a meter count",
    "evse_core.evidence": "readings become signed records, chained",
    "evse_core.frame": "a frame as a value",
    "evse_core.held_tariff": "which tariff holds",
    "evse_core.meter_answer": "answers of a meter as text",
    "evse_core.meter_evidence": "what a record says of the meter",
    "evse_core.meter_link": "which meter, and its cable",
    "evse_core.meter_loss": "losses of the cable",
    "evse_core.meter_map": "registers to values",
    "evse_core.meter_sunspec": "where the registers of a SunSpec meter are",
    "evse_core.metrology": "this table",
    "evse_core.ocmf": "form of signed records",
    "evse_core.ocmf_signature": "signatures",
    "evse_core.open_session": "readings of the session that is open",
    "evse_core.parameter": "bounds of parameters",
    "evse_core.pricing": "price of periods between readings",
    "evse_core.rating": "the highest power that a meter may be set for",
    "evse_core.receipt": "what the driver gets to see",
    "evse_core.record_keeper": "records over the life of the meter",
    "evse_core.record_store": "what a store has to keep",
    "evse_core.session_readings": "readings of a session and their marks",
    "evse_core.signed_readings": "readings and the records that vouch for them",
    "evse_core.tariff": "prices",
    "evse_core.types": "records and readings as values",
    "evse_core.vehicle_link": "AC or DC",
    "evse_nodes.audit_trail": "audit trail on disk",
    "evse_nodes.clock_state": "what the clock is worth",
    "evse_nodes.databases": "where databases and register maps are found",
    "evse_nodes.ledger": "register, records and evidence on disk",
    "evse_nodes.meter_audit": "what the trail is told",
    "evse_nodes.meter_book": "the meter with its folder",
    "evse_nodes.meter_files": "what a meter is read by, as it is on disk",
    "evse_nodes.meter_key": "the key",
    "evse_nodes.meter_maps": "register maps as they are on disk",
    "evse_nodes.metrology_sources": "the sources of this table, as they are on disk",
    "evse_nodes.modbus_meter": "reading a meter on Modbus",
    "evse_nodes.read_only": "files for those who only read",
    "evse_nodes.receipt_files": "receipts as files",
    "evse_nodes.sqlite_file": "files that evidence is in, opened and written",
    "evse_nodes.whole_file": "files that are replaced as a whole",
}


def checksum(sources: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of the sources by module as hexadecimal digits: of each name and content with their lengths, in the order of the names."""
    digest = hashlib.sha256()
    for name, content in sorted(sources.items()):
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()
