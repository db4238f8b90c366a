"""`./station demo`: a station with its simulated world charges one car or several, from plug-in to receipt, and says how it went."""

import json as json_module
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from math import isfinite
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from rich.console import Console

from evse_tools import demo_print
from evse_tools.demo_faults import Outcome, judge
from evse_tools.demo_options import Options
from evse_tools.demo_report import Energies, Report, Session, completeness
from evse_tools.demo_run import DemoRun, Found, Place
from evse_tools.demo_station import default_description, expand, own_domain
from evse_tools.description import Description, DescriptionError, load
from evse_tools.recorder_files import recordings

# Width of what is printed where there is no terminal. [characters]
PIPE_WIDTH = 160


def run(
    evses: int | None = None,
    seconds: float | None = None,
    energy_wh: float | None = None,
    fault: str | None = None,
    csms: str | None = None,
    json: str | None = None,
    description: str | Path | None = None,
    output: str | Path | None = None,
    began: float | None = None,
) -> int:
    """Run a demo; began is when the command was given [s since the epoch]. Returns the exit code: 0, 1 where it failed, 2 for wrong input."""
    options = Options(evses, seconds, energy_wh, fault or "", csms or "", str(json or ""), str(description or ""), str(output or ""))
    console = _console(options.json == "-")
    if errors := list(options.errors()):
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    try:
        folder = _folder(Path(options.output or "station_data"))
        station = _station(options, folder)
    except (DescriptionError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    with own_domain() as domain:
        report = _demo(options, station, folder, console, domain, began or time.time())
    demo_print.show(report, console)
    _write_json(report, options.json)
    return 1 if report.all_problems else 0


def _console(stderr: bool) -> Console:
    """Return where people read; files and pipes get lines that are long enough for every table."""
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def _demo(options: Options, station: Description, folder: Path, console: Console, domain: int, began: float) -> Report:
    """Run the station and put together what happened."""
    os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        found = DemoRun(options, station, folder, console, began).run(domain)
    finally:
        signal.signal(signal.SIGTERM, before)
    outcome = judge(options.fault, found.places[0].track, found.places[0].injected) if options.fault else None
    bills = _bills(station.data_dir / "csms_simulator.json") if not options.csms else None
    sessions = [_session(place, station.data_dir, bills, outcome if number == 0 else None) for number, place in enumerate(found.places)]
    recording = next((str(path) for path in recordings(station.data_dir / "recordings", station.station["name"])), "")
    chart = _chart(found, sessions, folder / "chart.png")
    return Report(
        sessions, recording, chart, found.charging_after, found.duration, list(found.processes.usages.values()), outcome, found.problems
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _folder(base: Path) -> Path:
    """Make and return a folder of this demo's own."""
    name = f"demo_{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in count(1):
        folder = base / (name if number == 1 else f"{name}_{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder.absolute()
    raise AssertionError("count() does not end")


def _station(options: Options, folder: Path) -> Description:
    """Write the description of this demo into its folder and return it; it can be started again with `./station up`."""
    original = Path(options.description) if options.description else default_description()
    load(original)
    data = expand(yaml.safe_load(original.read_text(encoding="utf-8")), options.evses, options.csms, folder)
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return load(path)


def _session(place: Place, data_dir: Path, bills: dict[int, float] | None, outcome: Outcome | None) -> Session:
    """Put together what is known of one session, and what is wrong with it."""
    track = place.track
    receipt = _receipt(data_dir / "receipts", track.session_id)
    record = track.record
    energies = Energies(
        meter=record.end_register_wh - record.begin_register_wh if record else None,
        csms=bills.get(track.transaction.transaction_id) if bills is not None else None,
        vehicle=track.vehicle_energy_wh if isfinite(track.vehicle_energy_wh) else None,
        receipt=_number(receipt[1].get("energy_wh")),
    )
    problems = [place.driver.failure] if place.driver.failure else []
    if outcome is not None:
        problems += outcome.problems
    else:
        required = ("meter", "vehicle", "receipt", *(("csms",) if bills is not None else ()))
        problems += completeness(track) + energies.problems(required)
    return Session(track, energies, str(receipt[0]) if receipt[0] else "", receipt[2], tuple(problems))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _receipt(folder: Path, session_id: str) -> tuple[Path | None, dict[str, Any], str]:
    """Return the receipt of a session: its text file, its data, its text; nothing where there is none."""
    for path in folder.glob("*.json") if session_id else ():
        data = json_module.loads(path.read_text(encoding="utf-8"))
        if data.get("session_id") == session_id:
            text = path.with_suffix(".txt")
            return text, data, text.read_text(encoding="utf-8") if text.exists() else ""
    return None, {}, ""


def _bills(path: Path) -> dict[int, float]:
    """Return the energy of each transaction that the simulated CSMS has closed [Wh]."""
    try:
        transactions = json_module.loads(path.read_text(encoding="utf-8"))["transactions"]
    except (OSError, ValueError, KeyError):
        return {}
    return {item["transaction_id"]: item["energy_wh"] for item in transactions if item.get("energy_wh") is not None}


def _chart(found: Found, sessions: list[Session], path: Path) -> str:
    """Draw what was seen; "" where nothing was."""
    if not any(session.track.curves.time for session in sessions):
        return ""
    from evse_tools import demo_chart  # noqa: PLC0415  (matplotlib takes half a second of a core that the starting nodes need)

    began = datetime.fromtimestamp(time.time() - found.duration, UTC)
    injected = [place.injected for place in found.places]
    demo_chart.draw(sessions, injected, path, f"charging demo, {began:%Y-%m-%d %H:%M} UTC")
    return str(path)


def _write_json(report: Report, target: str) -> None:
    if not target:
        return
    text = json_module.dumps(report.as_dict(), indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(target).write_text(text, encoding="utf-8")
