"""Sessions of a recording or of a CAN log in words: the one that is meant, a table, and JSON."""

import sys
from dataclasses import asdict
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evse_core.session_report import GOOD, report
from evse_core.session_story import Story
from evse_core.types import SessionReport
from evse_core.words import in_words
from evse_tools.bag_reader import BagError

# Width of the table in a file. [1]
WIDTH = 160


def choose(path: Path, found: list[Story], number: int) -> Story:
    """Return the session of a number, counted from 1; for 0 the last one that went wrong, else the last. BagError where there is none."""
    if not found:
        raise BagError(f"{path}: holds no session")
    if number > len(found):
        raise BagError(f"{path}: --session {number}: it holds {len(found)}")
    wrong = [story for story in found if report(story).outcome not in GOOD]
    return found[number - 1] if number else (wrong or found)[-1]


def as_dict(story: Story) -> dict[str, Any]:
    """Return a session for programs: the fields of msg/SessionReport.msg with names for numbers, its states with times since its begin [s]."""
    values = {name: _plain(value) for name, value in asdict(report(story)).items()}
    states = [
        {"state": state.name.lower(), "t": round(begin - story.begin, 3), "seconds": round(end - begin, 3)}
        for state, begin, end in story.spans()
    ]
    gaps = [{"part": gap.part, "t": round(gap.begin - story.begin, 3), "seconds": round(gap.length, 3)} for gap in story.gaps]
    events = [
        {"t": round(item.time - story.begin, 3), "kind": item.kind, "words": item.words, "detail": item.detail} for item in story.happenings
    ]
    return values | {"link": story.link, "states": states, "gaps": gaps, "events": events}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name.lower()
    return None if isinstance(value, float) and not isfinite(value) else value


def show(path: Path, found: list[Story]) -> None:
    """Print a table of sessions, and what is to be said of each one that went wrong."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if not found:
        console.print(f"{path}: holds no session", markup=False)
        return
    table = Table(title=str(path), title_style="bold")
    for name in ("", "EVSE", "outcome", "came to", "ended by", "energy", "charging", "slowest step", "longest silence", "faults"):
        table.add_column(name, overflow="fold")
    reports = [report(story) for story in found]
    for number, one in enumerate(reports, 1):
        style = "green" if one.outcome in GOOD else "red"
        table.add_row(str(number), str(one.evse_id), Text(in_words(one.outcome), style=style), *_cells(one))
    console.print(table)
    for number, one in enumerate(reports, 1):
        if one.outcome not in GOOD:
            console.print(Text(f"{number}: {one.explanation}{' Look at: ' + one.check if one.check else ''}"))


def _cells(one: SessionReport) -> list[str]:
    return [
        in_words(one.furthest),
        f"{in_words(one.ended_by)} ({in_words(one.stop_cause)})",
        f"{one.energy_wh / 1e3:.3f} kWh" if isfinite(one.energy_wh) else "",
        f"{one.charging_time:.0f} s",
        f"{in_words(one.slowest_step)} {one.slowest_step_time:.1f} s" if isfinite(one.slowest_step_time) else "",
        f"{one.worst_gap_part} {one.worst_gap:.1f} s" if one.worst_gap_part else "",
        ", ".join(one.faults),
    ]
