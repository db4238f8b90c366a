"""The receipt of a session: rows for people (text here, PDF in evse_tools/receipt_pdf.py), a JSON object for programs. Contents: can.md 7.4 and 7.5."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from evse_core.energy_meter import MeterConfig, billed_wh, whole_wh
from evse_core.evidence import Proof
from evse_core.pricing import Line, Price, kwh, price
from evse_core.session_readings import SessionReading, complete, tariff_of, whole_seconds
from evse_core.tariff import Phase, Tariff, amount
from evse_core.types import ChargeRecord, RecordStatus

METER = {"DC": "integrated from the power modules' readings", "AC": "integrated from the I/O board's readings"}
NOT_LEGAL = "not legal for billing"
HOW_TO_CHECK = "./station records verify <data_dir>, or transparency software with the record and the public key"
# Characters of a token that stay readable on paper: enough for its owner to know it, too few to copy it.
_VISIBLE = 4
_WIDTH = 62
# Hexadecimal digits of a signature, whose last ones differ from record to record, and of a fingerprint in a line: what 51 mm of paper have room for.
_SIGNATURE_DIGITS, _KEY_DIGITS = 24, 32
Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PricePhase:
    """Part of a session in which the same unit prices held: ROS times [s], energy to and from the vehicle [Wh]."""

    begin: float
    end: float
    prices: Phase
    energy_wh: int
    export_wh: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A closed record with its readings, what the CSMS calls it (0 where it has not said), its newest signed record, and how to print it."""

    record: ChargeRecord
    transaction_id: int
    config: MeterConfig
    zone: tzinfo
    readings: tuple[SessionReading, ...] = ()
    proof: Proof | None = None

    @property
    def energy_wh(self) -> int:
        """Billed energy [Wh]."""
        return billed_wh(self.record.begin_register_wh, self.record.end_register_wh)

    @property
    def export_wh(self) -> int:
        """Energy that the vehicle gave [Wh]."""
        return billed_wh(self.record.begin_export_register_wh, self.record.end_export_register_wh)

    @property
    def tariff(self) -> Tariff:
        """The tariff of the begin."""
        return tariff_of(self.record)

    @property
    def price(self) -> Price:
        """The price, from the readings again."""
        return price(self.tariff, self._readings)

    @property
    def _readings(self) -> tuple[SessionReading, ...]:
        return complete(self.record, self.readings)

    @property
    def phases(self) -> tuple[PricePhase, ...]:
        """The parts of the session with one set of unit prices each, in order."""
        found, readings = list[PricePhase](), self._readings
        for text, group in groupby(readings[:-1], key=lambda reading: reading.phase):
            rows = list(group)
            first, last = rows[0], readings[rows[-1].number - readings[0].number + 1]
            energy = billed_wh(first.register_wh, last.register_wh)
            found.append(
                PricePhase(first.stamp, last.stamp, Phase.parse(text), energy, billed_wh(first.export_register_wh, last.export_register_wh))
            )
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Return the receipt for programs: energies in Wh as integers and in kWh as text, amounts as decimal text and in minor units."""
        record, tariff, found = self.record, self.tariff, self.price
        return {
            "station": self.config.station_name,
            "place": self.config.place,
            "evse": record.evse_id,
            "session_id": record.session_id,
            "record_number": record.record_number,
            "transaction_id": self.transaction_id or None,
            "token": masked(record.token),
            "begin": self._time(record.begin),
            "end": self._time(record.end),
            "begin_register_kwh": kwh(whole_wh(record.begin_register_wh)),
            "end_register_kwh": kwh(whole_wh(record.end_register_wh)),
            "energy_wh": self.energy_wh,
            "energy_kwh": kwh(self.energy_wh),
            "price_per_kwh": record.price_per_kwh,
            "begin_export_register_kwh": kwh(whole_wh(record.begin_export_register_wh)),
            "end_export_register_kwh": kwh(whole_wh(record.end_export_register_wh)),
            "export_wh": self.export_wh,
            "export_kwh": kwh(self.export_wh),
            "export_price_per_kwh": tariff.export_price_per_kwh,
            "charging_time_s": whole_seconds(record.charging_time),
            "idle_time_s": whole_seconds(record.idle_time),
            "tariff": tariff.name,
            "currency": tariff.currency,
            "phases": [self._phase(phase) for phase in self.phases],
            "lines": [_line(line, tariff) for line in found.lines],
            "net": amount(found.net, tariff.exponent),
            "tax": amount(found.tax, tariff.exponent),
            "tax_percent": tariff.tax_percent,
            "tax_included": tariff.tax_included,
            "total": amount(record.cost, tariff.exponent),
            "total_minor_units": record.cost,
            "max_power_w": round(record.max_power),
            "current_type": self.config.current_type,
            "stop_cause": record.stop_cause.name.lower(),
            "interrupted": record.status is RecordStatus.INTERRUPTED,
            "readings": [
                {"mark": item.mark.value, "time": self._time(item.stamp), "register_kwh": kwh(whole_wh(item.register_wh))}
                for item in self._readings
            ],
            "meter": METER[self.config.current_type],
            "legal": record.legal,
            "signed_record": self._signed(),
            "rows": [[list(row) for row in block] for block in self.rows()],
        }

    def _phase(self, phase: PricePhase) -> dict[str, Any]:
        times = {"begin": self._time(phase.begin), "end": self._time(phase.end)}
        return times | {"energy_kwh": kwh(phase.energy_wh), "export_kwh": kwh(phase.export_wh)} | asdict(phase.prices)

    def _signed(self) -> dict[str, str] | None:
        if (proof := self.proof) is None:
            return None
        key = {"public_key": proof.public_key, "key_fingerprint_sha256": proof.fingerprint}
        return {"page": proof.page, "record": proof.text, "signature": proof.signature, **key, "how_to_check": HOW_TO_CHECK}

    def rows(self) -> tuple[tuple[Row, ...], ...]:
        """Return the receipt for people in blocks of rows, name and value; what has nothing to say is left out."""
        blocks = (self._head(), self._energy(), self._prices(), self._evidence())
        found = (tuple(row for row in block if row[1]) for block in blocks)
        return tuple(block for block in found if block)

    def text(self) -> str:
        """Return the receipt for people as text."""
        line = "-" * _WIDTH
        blocks = ["\n".join(f"{name:<20}{value}" for name, value in rows) for rows in self.rows()]
        return "\n".join(["RECEIPT", line, f"\n{line}\n".join(blocks), line, ""])

    def _head(self) -> tuple[Row, ...]:
        record = self.record
        interrupted = record.status is RecordStatus.INTERRUPTED
        return (
            ("Station", self.config.station_name),
            ("Place", self.config.place),
            ("EVSE", str(record.evse_id)),
            ("Session", record.session_id),
            ("Transaction", str(self.transaction_id or "")),
            ("Record", str(record.record_number)),
            ("Token", masked(record.token)),
            ("Begin", self._time(record.begin)),
            ("End", self._time(record.end)),
            ("Ended by", record.stop_cause.name.lower().replace("_", " ")),
            ("Note", "interrupted: the station stopped during the session" if interrupted else ""),
        )

    def _energy(self) -> tuple[Row, ...]:
        record, gave = self.record, self.export_wh > 0
        return (
            ("Begin register", f"{kwh(whole_wh(record.begin_register_wh))} kWh"),
            ("End register", f"{kwh(whole_wh(record.end_register_wh))} kWh"),
            ("Energy", f"{kwh(self.energy_wh)} kWh"),
            ("Begin exported", f"{kwh(whole_wh(record.begin_export_register_wh))} kWh" if gave else ""),
            ("End exported", f"{kwh(whole_wh(record.end_export_register_wh))} kWh" if gave else ""),
            ("Exported", f"{kwh(self.export_wh)} kWh, from the vehicle" if gave else ""),
            ("Highest power", f"{record.max_power / 1000.0:.1f} kW {self.config.current_type}"),
            ("Meter", METER[self.config.current_type] + ("" if record.legal else ",")),
            ("", "" if record.legal else NOT_LEGAL),
        )

    def _prices(self) -> tuple[Row, ...]:
        tariff, found = self.tariff, self.price
        rows = list[Row]()
        for phase in self.phases:
            rows += [("From", self._time(phase.begin)), ("To", self._time(phase.end)), ("Unit prices", phase.prices.words(tariff.currency))]
        for line in found.lines:
            how = f"{line.quantity_text} x {line.unit_price_text(tariff.currency)} = " if line.quantity_text else ""
            rows.append((line.what.value.capitalize(), f"{how}{tariff.amount_text(line.amount)}"))
        included = "in the lines" if tariff.tax_included else "added to the lines"
        if tariff.tax_percent.strip("0."):
            rows.append(("Net", tariff.amount_text(found.net)))
            rows.append((f"Tax {tariff.tax_percent} %", f"{tariff.amount_text(found.tax)}, {included}"))
        return (*rows, ("Total", tariff.amount_text(self.record.cost)))

    def _evidence(self) -> tuple[Row, ...]:
        if (proof := self.proof) is None:
            return ()
        return (
            ("Signed record", f"{proof.page}, ECDSA secp256r1"),
            ("Signature", f"...{proof.signature[-_SIGNATURE_DIGITS:]}"),
            ("Key SHA-256", proof.fingerprint[:_KEY_DIGITS]),
            ("", proof.fingerprint[_KEY_DIGITS:]),
            ("How to check", HOW_TO_CHECK),
        )

    def _time(self, stamp: float) -> str:
        """Return a ROS time in the zone of the station with its offset."""
        return datetime.fromtimestamp(stamp, self.zone).isoformat(timespec="seconds")


def _line(line: Line, tariff: Tariff) -> dict[str, Any]:
    return {
        "what": line.what.value,
        "quantity": line.quantity,
        "unit": line.unit,
        "unit_price": line.unit_price,
        "amount": amount(line.amount, tariff.exponent),
        "minor_units": line.amount,
    }


def masked(token: str) -> str:
    """Return a token with all but its last characters hidden; a short one is hidden as a whole."""
    visible = token[-_VISIBLE:] if len(token) >= 2 * _VISIBLE else ""
    return "*" * (len(token) - len(visible)) + visible


def zone(name: str) -> tzinfo:
    """Return a time zone by its name; ValueError where there is none of that name."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"time_zone: {name!r} is no time zone that this machine knows, such as Europe/Berlin or UTC") from None
