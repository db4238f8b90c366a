"""The receipt of a session, for people as text and for programs as a JSON object. What it has to say: can.md 7.4 and 7.5."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from evse_core.energy_meter import MeterConfig, billed_wh, whole_wh
from evse_core.tariff import NO_CREDIT, Tariff, amount
from evse_core.types import ChargeRecord, RecordStatus

METER = {"DC": "integrated from the power modules' readings", "AC": "integrated from the I/O board's readings"}
NOT_LEGAL = "not legal for billing"
# Characters of a token that stay readable on paper: enough for its owner to know it, too few to copy it.
_VISIBLE = 4
_WIDTH = 62


@dataclass(frozen=True, slots=True)
class Receipt:
    """A closed record, what the CSMS calls it (0 where it has not said), and how to print it."""

    record: ChargeRecord
    transaction_id: int
    config: MeterConfig
    zone: tzinfo

    @property
    def energy_wh(self) -> int:
        """Billed energy [Wh]."""
        return billed_wh(self.record.begin_register_wh, self.record.end_register_wh)

    @property
    def export_wh(self) -> int:
        """Energy that the vehicle gave [Wh]."""
        return billed_wh(self.record.begin_export_register_wh, self.record.end_export_register_wh)

    @property
    def _tariff(self) -> Tariff:
        return Tariff(self.record.currency, self.record.price_per_kwh, self.record.export_price_per_kwh or NO_CREDIT)

    def as_dict(self) -> dict[str, Any]:
        """Return the receipt for programs: energies in Wh as integers and in kWh as text, amounts as decimal text and in minor units."""
        record, tariff = self.record, self._tariff
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
            "currency": record.currency,
            "total": amount(record.cost, tariff.exponent),
            "total_minor_units": record.cost,
            "max_power_w": round(record.max_power),
            "current_type": self.config.current_type,
            "stop_cause": record.stop_cause.name.lower(),
            "interrupted": record.status is RecordStatus.INTERRUPTED,
            "meter": METER[self.config.current_type],
            "legal": record.legal,
        }

    def text(self) -> str:
        """Return the receipt for people."""
        data, tariff = self.as_dict(), self._tariff
        rows = [
            ("Station", data["station"]),
            ("Place", data["place"]),
            ("EVSE", str(data["evse"])),
            ("Session", data["session_id"]),
            ("Transaction", str(data["transaction_id"] or "")),
            ("Record", str(data["record_number"])),
            ("Token", data["token"]),
            ("Begin", data["begin"]),
            ("End", data["end"]),
            ("Ended by", data["stop_cause"].replace("_", " ")),
            ("Begin register", f"{data['begin_register_kwh']} kWh"),
            ("End register", f"{data['end_register_kwh']} kWh"),
            ("Energy", f"{data['energy_kwh']} kWh"),
            ("Unit price", f"{data['price_per_kwh']} {data['currency']} per kWh"),
            *self._export_rows(data),
            ("Total", tariff.text(self.record.cost)),
            ("Highest power", f"{self.record.max_power / 1000.0:.1f} kW {self.config.current_type}"),
            ("Meter", METER[self.config.current_type] + ("" if self.record.legal else ",")),
            ("", "" if self.record.legal else NOT_LEGAL),
            ("Note", "interrupted: the station stopped during the session" if data["interrupted"] else ""),
        ]
        line = "-" * _WIDTH
        return "\n".join(["RECEIPT", line, *(f"{name:<16}{value}" for name, value in rows if value), line, ""])

    def _export_rows(self, data: dict[str, Any]) -> list[tuple[str, str]]:
        """Return what there is to say of energy from the vehicle; nothing where it gave none."""
        if not self.export_wh:
            return []
        credit = self._tariff.credit(self.export_wh)
        rows = [
            ("Begin exported", f"{data['begin_export_register_kwh']} kWh"),
            ("End exported", f"{data['end_export_register_kwh']} kWh"),
            ("Exported", f"{data['export_kwh']} kWh, from the vehicle"),
        ]
        if credit:
            rows.append(("Export price", f"{data['export_price_per_kwh']} {data['currency']} per kWh, credit {self._tariff.text(credit)}"))
        return rows

    def _time(self, stamp: float) -> str:
        """Return a ROS time in the zone of the station with its offset."""
        return datetime.fromtimestamp(stamp, self.zone).isoformat(timespec="seconds")


def kwh(energy_wh: int) -> str:
    """Return whole Wh as kWh with three decimals, exactly."""
    return f"{energy_wh // 1000}.{energy_wh % 1000:03}"


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
