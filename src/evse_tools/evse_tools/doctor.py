"""`station doctor [FILE]`: what is installed, which ROS, which CAN interfaces, whether the graph stays on this machine, whether a description is valid."""

import json as json_module
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from evse_core import audit
from evse_nodes import audit_trail
from evse_tools import doctor_can, doctor_ros, doctor_software
from evse_tools.description import Description, DescriptionError, load


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. level: ok, note (nothing to do), warning (works, but), failure."""

    topic: str
    level: str
    text: str


MARKS = {"ok": " ok ", "note": "    ", "warning": "warn", "failure": "FAIL"}


def run(file: Path | None, as_json: bool) -> int:
    """Look at everything; 0 where a station can run, 1 where something is missing, 2 where the description is wrong."""
    findings = list(examine(file))
    if as_json:
        print(json_module.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        width = max(len(finding.topic) for finding in findings)
        print("\n".join(f"[{MARKS[finding.level]}] {finding.topic:{width}}  {finding.text}" for finding in findings))
    failed = {finding.topic for finding in findings if finding.level == "failure"}
    return 2 if failed == {"description"} else 1 if failed else 0


def examine(file: Path | None) -> Iterator[Finding]:
    """Yield what was found."""
    for check in (doctor_software.checks, doctor_ros.checks, doctor_can.checks):
        yield from _guarded(check)
    if file is not None:
        yield from _description(file)


def _guarded(check: Callable[[], Iterator[tuple[str, str, str]]]) -> Iterator[Finding]:
    """Go on with the other checks where one cannot be made: a doctor who dies helps nobody."""
    try:
        yield from (Finding(*found) for found in check())
    except Exception as error:
        yield Finding(check.__module__.rpartition("_")[2], "failure", f"cannot be examined: {type(error).__name__}: {error}")


def _description(file: Path) -> Iterator[Finding]:
    try:
        description = load(file)
    except DescriptionError as error:
        yield from (Finding("description", "failure", str(problem)) for problem in error.problems)
        return
    simulated = "with simulated parts" if description.is_simulated else "nothing simulated"
    yield Finding("description", "ok", f"{file}: {description.station['name']}, {len(description.evses)} EVSE, {simulated}")
    yield from _data_dir(description)
    yield from _audit_trail(description.data_dir)
    for evse in description.evses:
        for name, bus in evse.buses.items():
            if problem := doctor_can.bus_problem(bus.interface, bus.channel):
                yield Finding("buses", "warning", f"{evse.namespace} {name}: {problem}")


def _data_dir(description: Description) -> Iterator[Finding]:
    folder = next(path for path in (description.data_dir, *description.data_dir.parents) if path.exists())
    if not os.access(folder, os.W_OK):
        yield Finding("data_dir", "failure", f"{description.data_dir}: {folder} cannot be written to")
        return
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize / 1e9
    yield Finding("data_dir", "warning" if free < 1 else "ok", f"{description.data_dir}: {free:.1f} GB free")


def _audit_trail(folder: Path) -> Iterator[Finding]:
    """Without a trail that can be used energy_meter does not start; one that is not whole is for an inspector."""
    path = folder / audit_trail.FILE
    if not path.exists():
        return
    try:
        rows = audit_trail.read(path)
    except ValueError as error:
        yield Finding("audit trail", "failure", str(error))
        return
    found = list(audit.problems(rows))
    words = f"not whole: {found[0]} (./station audit {folder})" if found else "whole"
    yield Finding("audit trail", "warning" if found else "ok", f"{path}: {len(rows)} entries, {words}")
