"""`./station demo`: a station with its simulated world charges one car or several, from plug-in to receipt, and says how it went.

The processes are started before the libraries are loaded that only the observer needs: both cores of a small machine are busy from the first second on.
"""

import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from evse_tools import json_target
from evse_tools.demo_faults import EXPECTED
from evse_tools.demo_options import Options
from evse_tools.demo_station import default_description, own_domain, write_station
from evse_tools.description import Description, load
from evse_tools.description_schema import METER_SIMULATOR
from evse_tools.machine import processors
from evse_tools.node_specs import node_specs
from evse_tools.supervisor import Supervisor

if TYPE_CHECKING:
    from evse_tools.demo_report import Report


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
    link: str | None = None,
    discharge: bool = False,
) -> int:
    """Run a demo. Returns the exit code: 0, 1 where it failed, 2 for wrong input.

    began: when the command was given [s since the epoch], by default when this process began.
    """
    options = Options(
        evses,
        seconds,
        energy_wh,
        fault or "",
        csms or "",
        str(json or ""),
        str(description or ""),
        str(output or ""),
        link or "",
        discharge,
    )
    if errors := list(options.errors()):
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    try:
        folder, station = _station(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with own_domain() as domain:
            report = _demo(options, station, folder, domain, began)
    except (OSError, RuntimeError) as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted before anything was charged", file=sys.stderr)
        return 1
    json_target.write(options.json, report.as_dict())
    return 1 if report.all_problems else 0


def _demo(options: Options, station: Description, folder: Path, domain: int, began: float | None) -> "Report":
    """Run the station, show how it went, and return it."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    said: list[tuple[str, str]] = []
    supervisor = Supervisor(node_specs(station), folder / "log", lambda name, text: said.append((name, text)))
    try:
        supervisor.start()
        from evse_tools import demo_end, demo_print, demo_run  # noqa: PLC0415  (see the top: the processes start meanwhile)

        console = demo_print.console(options.json == "-")
        if station.composition == "evse":
            console.print(
                f"{len(station.evses)} EVSEs on {processors()} processors: the nodes of an EVSE share processes (composition: evse)"
            )
        found = demo_run.DemoRun(options, station, supervisor, said, console, began).run(domain)
        report = demo_end.report(options, station, folder, found)
        demo_print.show(report, console)
        return report
    finally:
        supervisor.stop()
        signal.signal(signal.SIGTERM, before)


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


def _station(options: Options) -> tuple[Path, Description]:
    """Make this demo's folder with its description, which `./station up` can start again, and return both."""
    usual = "cabinet" if options.needs_cabinet and not options.link else options.default_link
    original = Path(options.description) if options.description else default_description(usual, options.discharge)
    station = load(original)
    # The fault hits the first EVSE, and those of a cabinet are not all alike.
    evses = station.evses[:1] if station.cabinet is not None else station.evses
    links = {str(evse.rating["vehicle_link"]) for evse in evses}
    if problem := options.fault_problem(links, station.cabinet is not None, METER_SIMULATOR in station.evses[0].sections):
        raise ValueError(problem)
    if options.discharge and not evses[0].rating["max_discharge_power"] > 0.0:
        raise ValueError(f"--discharge: {original}: evses[0].rating.max_discharge_power is 0 W: this station takes no power")
    folder = _folder(Path(options.output or "station_data"))
    rating = EXPECTED[options.fault].rating if options.fault else {}
    return folder, write_station(original, options.evses, options.csms, folder, rating)
