"""After a demo: what happened is put together from what was observed and from the files that the station left."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from evse_tools.demo_faults import EXPECTED, Outcome, judge
from evse_tools.demo_options import Options
from evse_tools.demo_report import Energies, Report, Session, completeness
from evse_tools.demo_run import Found, Place
from evse_tools.demo_track import Track
from evse_tools.description import Description
from evse_tools.recorder_files import recordings


@dataclass(frozen=True, slots=True)
class Bill:
    """What the simulated CSMS knows of a transaction that is over: its energy [Wh], and the price that the station told in minor units, where it did."""

    energy_wh: float
    told_cost: int | None


def report(options: Options, station: Description, folder: Path, found: Found) -> Report:
    """Return the report of a demo whose processes have ended; writes its chart."""
    first = found.places[0]
    outcome = judge(options.fault, first.track, first.injected, first.driver.locked_in) if options.fault else None
    bills = billed(station.data_dir / "csms_simulator.json") if not options.csms else None
    shared = EXPECTED[options.fault].faults if options.needs_cabinet else ()
    sessions = [
        _session(place, station.data_dir, bills, outcome if number == 0 else None, shared) for number, place in enumerate(found.places)
    ]
    recording = next((str(path) for path in recordings(station.data_dir / "recordings", station.station["name"])), "")
    chart = _chart(found, sessions, folder / "chart.png")
    usages = list(found.processes.usages.values())
    return Report(sessions, recording, chart, found.charging_after, found.duration, usages, outcome, found.problems)


def _session(place: Place, data_dir: Path, bills: dict[int, Bill] | None, outcome: Outcome | None, shared: Collection[str]) -> Session:
    """Put together what is known of one session, and what is wrong with it; `shared` are the faults that one of another EVSE explains."""
    track = place.track
    bill = bills.get(track.transaction.transaction_id) if bills is not None else None
    receipt = _receipt(data_dir / "receipts", track.session_id)
    record = track.record
    energies = Energies(
        meter=record.end_register_wh - record.begin_register_wh if record else None,
        csms=bill.energy_wh if bill is not None else None,
        vehicle=track.vehicle_energy_wh if isfinite(track.vehicle_energy_wh) else None,
        receipt=_number(receipt[1].get("energy_wh")),
    )
    exported = Energies(
        meter=record.end_export_register_wh - record.begin_export_register_wh if record else None,
        vehicle=track.vehicle_given_wh if isfinite(track.vehicle_given_wh) else None,
        receipt=_number(receipt[1].get("export_wh")),
    )
    problems = [place.driver.failure] if place.driver.failure else []
    if outcome is not None:
        problems += outcome.problems
    else:
        required = ("meter", "vehicle", "receipt", *(("csms",) if bills is not None else ()))
        problems += completeness(track, shared) + energies.problems(required) + exported.problems(("meter", "vehicle", "receipt"))
        problems += ["the vehicle gave nothing"] if place.driver.asks_for_power and not exported.meter else []
    prices = _prices(track, receipt[1], bill)
    if len(set(prices.values())) > 1:
        problems.append(
            "the price is not the same everywhere [minor units]: " + ", ".join(f"{name} {value}" for name, value in prices.items())
        )
    return Session(track, energies, str(receipt[0]) if receipt[0] else "", receipt[2], tuple(problems), exported, prices)


def _prices(track: Track, receipt: dict[str, Any], bill: Bill | None) -> dict[str, int]:
    """Return the final price of a session in minor units, as each one says it who says it."""
    final = track.price if track.price.final and track.price.session_id == track.session_id else None
    found = {
        "record": track.record.cost if track.record else None,
        "topic": final.total if final else None,
        "receipt": receipt.get("total_minor_units"),
        "csms": bill.told_cost if bill else None,
    }
    return {name: int(value) for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _receipt(folder: Path, session_id: str) -> tuple[Path | None, dict[str, Any], str]:
    """Return the receipt of a session: its text file, its data, its text; nothing where there is none."""
    for path in folder.glob("*.json") if session_id else ():
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("session_id") == session_id:
            text = path.with_suffix(".txt")
            return text, data, text.read_text(encoding="utf-8") if text.exists() else ""
    return None, {}, ""


def billed(path: Path) -> dict[int, Bill]:
    """Return the transactions that the simulated CSMS has closed."""
    try:
        transactions = json.loads(path.read_text(encoding="utf-8"))["transactions"]
    except (OSError, ValueError, KeyError):
        return {}
    return {
        item["transaction_id"]: Bill(item["energy_wh"], (item.get("told_cost") or {}).get("costMinorUnits"))
        for item in transactions
        if item.get("energy_wh") is not None
    }


def _chart(found: Found, sessions: list[Session], path: Path) -> str:
    """Draw what was seen; "" where nothing was."""
    if not any(session.track.curves.time for session in sessions):
        return ""
    from evse_tools import demo_chart  # noqa: PLC0415  (matplotlib takes half a second of a core that the starting nodes need)

    began = datetime.fromtimestamp(time.time() - found.duration, UTC)
    injected = [place.injected for place in found.places]
    demo_chart.draw(sessions, injected, path, f"charging demo, {began:%Y-%m-%d %H:%M} UTC")
    return str(path)
