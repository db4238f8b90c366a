"""What the simulated CSMS keeps: stations, transactions and the bill, in one JSON file that is whole at any time."""

import json
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from evse_nodes import whole_file

REGISTER = "Energy.Active.Import.Register"


@dataclass
class Transaction:
    """One transaction as the station told it; times as text, energy in Wh, cost in minor units of the currency; told_cost: what the station says."""

    transaction_id: int
    charge_point: str
    connector: int
    id_tag: str
    start: str
    meter_start: int
    meter_stop: int | None = None
    stop: str | None = None
    reason: str | None = None
    energy_wh: float | None = None
    cost: int | None = None
    transaction_data: list[dict[str, Any]] = field(default_factory=list)
    meter_values: list[dict[str, Any]] = field(default_factory=list)
    reservation_id: int | None = None
    told_cost: dict[str, Any] | None = None
    duplicate_starts: int = 0
    duplicate_stops: int = 0


@dataclass
class Station:
    """What was seen of one charge point."""

    boots: int = 0
    connections: int = 0
    heartbeats: int = 0
    identity: dict[str, Any] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    # Security events, requests for certificates and progress of files: action and payload, in order.
    notices: list[dict[str, Any]] = field(default_factory=list)


class Ledger:
    """All that the CSMS knows. Duplicates of a start or stop (same connector, token, time and register) are counted and charged once."""

    def __init__(self, path: Path | None, price_per_kwh: Decimal, currency: str) -> None:
        self._path = path
        self.price_per_kwh = price_per_kwh
        self.currency = currency
        self.transactions: dict[int, Transaction] = {}
        self.stations: dict[str, Station] = {}
        self.violations: list[str] = []
        self.arrivals: list[str] = []
        self._load()

    def station(self, name: str) -> Station:
        """Return the station of this name."""
        return self.stations.setdefault(name, Station())

    def start(self, charge_point: str, connector: int, id_tag: str, meter_start: int, timestamp: str) -> Transaction:
        """Return the new transaction, or the old one where this start was seen before."""
        key = (charge_point, connector, id_tag, timestamp, meter_start)
        for known in self.transactions.values():
            if (known.charge_point, known.connector, known.id_tag, known.start, known.meter_start) == key:
                known.duplicate_starts += 1
                return known
        number = max(self.transactions, default=0) + 1
        self.transactions[number] = Transaction(number, charge_point, connector, id_tag, timestamp, meter_start)
        return self.transactions[number]

    def stop(
        self, charge_point: str, number: int, meter_stop: int, timestamp: str, reason: str, data: list[dict[str, Any]]
    ) -> Transaction | None:
        """End a transaction and write its bill; None for one that this station does not have."""
        known = self.transactions.get(number)
        if known is None or known.charge_point != charge_point:
            self.violations.append(f"{charge_point}: stop of the unknown transaction {number}")
            return None
        if known.stop is not None:
            known.duplicate_stops += 1
            if (known.stop, known.meter_stop) != (timestamp, meter_stop):
                self.violations.append(f"{charge_point}: transaction {number} was stopped twice, differently")
            return known
        known.stop, known.meter_stop, known.reason, known.transaction_data = timestamp, meter_stop, reason, data
        known.energy_wh = _energy(known)
        # Billed are whole Wh, as meterStart and meterStop have them and as the station's receipt does.
        whole = Decimal(known.meter_stop - known.meter_start)
        known.cost = int((whole / 1000 * self.price_per_kwh * 100).quantize(Decimal(1), ROUND_HALF_UP))
        return known

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as it is written to the file."""
        return {
            "currency": self.currency,
            "price_per_kwh": str(self.price_per_kwh),
            "transactions": [vars(item) for item in self.transactions.values()],
            "stations": {name: vars(item) for name, item in self.stations.items()},
            "violations": self.violations,
            "arrivals": self.arrivals,
        }

    def save(self) -> None:
        """Write the file aside and move it into place."""
        if self._path is None:
            return
        # Without indentation the encoder in C does it, ten times as fast.
        whole_file.replace(self._path, json.dumps(self.as_dict()))

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        found = json.loads(self._path.read_text())
        self.transactions = {item["transaction_id"]: Transaction(**item) for item in found["transactions"]}
        self.stations = {name: Station(**item) for name, item in found["stations"].items()}
        self.violations, self.arrivals = found["violations"], found["arrivals"]


def _energy(transaction: Transaction) -> float:
    """Return the energy [Wh] from the registers with decimals at begin and end where both are there, else from the whole ones."""
    registers: dict[str, Decimal] = {}
    for item in transaction.transaction_data:
        for sample in item.get("sampledValue", []):
            if sample.get("measurand", REGISTER) == REGISTER:
                factor = 1000 if sample.get("unit") == "kWh" else 1
                registers[sample.get("context", "")] = Decimal(sample["value"]) * factor
    if {"Transaction.Begin", "Transaction.End"} <= registers.keys():
        return float(registers["Transaction.End"] - registers["Transaction.Begin"])
    assert transaction.meter_stop is not None
    return float(transaction.meter_stop - transaction.meter_start)
