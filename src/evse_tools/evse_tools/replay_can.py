"""`station replay-can LOG --as vehicle`: our station charges the vehicle of a CAN log in real time; its answers beside the recorded charger's."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from evse_core import vehicle_link
from evse_core.frame import Frame
from evse_nodes.databases import load as load_database
from evse_simulators.recorded_vehicle import Recording
from evse_tools import json_target
from evse_tools.analyze_log import Judged, analyze, judged
from evse_tools.can_log import LogError, read
from evse_tools.demo_station import default_description, expand, own_domain
from evse_tools.description import Description, load
from evse_tools.replay_can_recording import recording
from evse_tools.replay_can_report import Played, is_good, report, stories
from evse_tools.replay_can_text import WIDTH, show
from evse_tools.session_source import BUS_LOG
from evse_tools.sheet import FORMATS

DONE, FAILED, WRONG_INPUT = 0, 1, 2
# Who can be played. A recorded charger could be, too, to try a vehicle with it; nobody has asked for that.
ROLES = ("vehicle",)


def run(
    log: Path,
    role: str,
    target: str = "",
    plot: Path | None = None,
    description: Path | None = None,
    open_loop: bool = False,
    output: Path | None = None,
) -> int:
    """Replay a log. Returns 0 where our charger came to charging as the recorded one did, 1 where not or where the station failed, 2 for wrong input.

    target: where the JSON goes, "-" for stdout; output: folder that keeps description, process logs and the bus as a candump log (default: none is kept).
    """
    try:
        if role not in ROLES:
            raise ValueError(f"--as {role}: unknown; known: {', '.join(ROLES)}")
        if plot is not None and plot.suffix.lower() not in FORMATS:
            raise ValueError(f"--plot {plot}: is neither a .png nor a .pdf")
        if problem := json_target.refusal(target):
            raise ValueError(problem)
        session, played = _session(log)
        with tempfile.TemporaryDirectory(prefix="ros2_evse_replay_") as temporary:
            folder = (output or Path(temporary)).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            station = write_station(description or default_description(), folder)
            return _replay(log, session, played, station, folder, not open_loop, target, plot)
    except (LogError, ValueError, OSError) as error:
        print(f"replay-can: {error}", file=sys.stderr)
        return WRONG_INPUT


def _session(log: Path) -> tuple[Judged, Recording]:
    """Return the session of a log that is played, and what its vehicle did."""
    database = load_database("chademo")
    analysis = analyze(read(log), database)
    if analysis.main is None:
        raise ValueError(f"{log}: {analysis.notes[-1]}")
    try:
        return analysis.main, recording(analysis.main, database)
    except ValueError as error:
        raise ValueError(f"{log}: {error}") from error


def write_station(original: Path, folder: Path) -> Description:
    """Write folder/station.yaml, the first EVSE of a description with simulated modules and board on buses of its own, and return it."""
    data = yaml.safe_load(original.read_text(encoding="utf-8"))
    load(original)
    if data.get("power_cabinet"):
        raise ValueError(f"--description {original}: power_cabinet: an EVSE of a cabinet cannot be tried alone")
    link = (data["evses"][0] or {}).get("vehicle_link", vehicle_link.CHADEMO)
    if link != vehicle_link.CHADEMO:
        raise ValueError(
            f"--description {original}: evses[0].vehicle_link is {link}: only {vehicle_link.CHADEMO} has a vehicle's frames on its bus"
        )
    made = expand(data, 1, "", folder) | {"recorder": {}}
    made.pop("composition", None)
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(made, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return load(path)


def _replay(
    log: Path, session: Judged, played: Recording, station: Description, folder: Path, in_step: bool, target: str, plot: Path | None
) -> int:
    console = Console(highlight=False, stderr=target == "-", width=None if sys.stdout.isatty() else WIDTH)
    try:
        with own_domain() as domain:
            from evse_tools.replay_can_session import Session  # noqa: PLC0415  (rclpy is loaded while processes start)

            found = Session(station, folder, played, in_step, lambda words: console.print(words, style="dim", markup=False)).run(domain)
    except KeyboardInterrupt:
        print("replay-can: interrupted", file=sys.stderr)
        return FAILED
    except (RuntimeError, OSError) as error:
        print(f"replay-can: the station failed: {error}", file=sys.stderr)
        return FAILED
    _write_bus(folder / BUS_LOG, found)
    ours = judged(found.wire, load_database("chademo"))
    data: dict[str, Any] = {"log": str(log), **report(session, ours, found, played.marks)}
    if plot is not None:
        from evse_tools.compare_plot import draw  # noqa: PLC0415 - matplotlib takes a second to load

        draw(*stories(session, ours), plot, (f"recorded: {log.name}", "our station"))
        data["plot"] = str(plot)
    show(data, console)
    json_target.write(target, data)
    return DONE if is_good(data) else FAILED


def _write_bus(path: Path, found: Played) -> None:
    """Write what was on the vehicle bus as a candump log, which `station analyze` reads."""
    path.write_text("".join(f"({found.began + t:.6f}) vehicle {_candump(frame)}\n" for t, frame in found.wire), encoding="ascii")


def _candump(frame: Frame) -> str:
    return f"{frame.id:0{8 if frame.extended else 3}X}#{frame.data.hex().upper()}"
