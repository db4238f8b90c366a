"""The metrology part: which sources count energy, price it, keep the records and sign them, and their common checksum (can.md 7.2, 7.5).

A test holds the table against the imports: what a module of the table imports belongs into it, too. The border is energy_meter_node, which hands in reports and
session states as they come and publishes what is in the book. The reports' own registers are checked where they come in (energy_meter.py).
"""

import hashlib
from collections.abc import Mapping

# From where the rest is reached.
ROOTS = ("evse_nodes.meter_book",)
# Module: what it does.
MODULES: Mapping[str, str] = {
    "evse_core.audit": "what the audit trail watches and says",
    "evse_core.charge_records": "when a record begins and ends",
    "evse_core.energy_meter": "energy from readings; whole Wh",
    "evse_core.evidence": "readings become signed records, chained",
    "evse_core.metrology": "this table",
    "evse_core.ocmf": "form of signed records",
    "evse_core.ocmf_signature": "signatures",
    "evse_core.open_session": "readings of the session that is open",
    "evse_core.parameter": "bounds of parameters",
    "evse_core.pricing": "price of periods between readings",
    "evse_core.receipt": "what the driver gets to see",
    "evse_core.record_keeper": "records over the life of the meter",
    "evse_core.session_readings": "readings of a session and their marks",
    "evse_core.tariff": "prices",
    "evse_core.types": "records and readings as values",
    "evse_core.vehicle_link": "AC or DC",
    "evse_nodes.audit_trail": "audit trail on disk",
    "evse_nodes.clock_state": "what the clock is worth",
    "evse_nodes.ledger": "register, records and evidence on disk",
    "evse_nodes.meter_audit": "what the trail is told",
    "evse_nodes.meter_book": "the meter with its folder",
    "evse_nodes.meter_key": "the key",
    "evse_nodes.metrology_sources": "the sources of this table, as they are on disk",
    "evse_nodes.read_only": "files for those who only read",
    "evse_nodes.receipt_files": "receipts as files",
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
