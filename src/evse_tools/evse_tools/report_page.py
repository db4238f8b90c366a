"""`station report`: one static HTML page over many sessions of recordings and CAN logs. No script, nothing from elsewhere: it can be mailed."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track

from evse_core.session_report import GOOD, report
from evse_core.session_story import Story
from evse_core.types import SessionOutcome, SessionReport
from evse_core.words import in_words
from evse_tools.bag_reader import BagError
from evse_tools.can_log import is_log
from evse_tools.recorder_files import METADATA
from evse_tools.session_source import BUS_LOG, DATED, stories, when_of
from evse_tools.whole_page import page

DONE, FAILED, WRONG_INPUT = 0, 1, 2
# Endings of CAN logs that are looked into; which of these files are logs, their content says.
LOGS = frozenset({".csv", ".log", ".asc", ".blf", ".trc", ".mf4", ".txt", ".gz"})
# Rows of the tables of the slowest and the worst. [1]
MOST = 10


@dataclass(frozen=True)
class Seen:
    """A session with the recording that it is from, and the file of its sheet, where one was drawn."""

    story: Story
    report: SessionReport
    bag: Path
    sheet: Path | None = None


def run(folder: Path, output: Path | None, sheets: bool) -> int:
    """Write the page; 2 where there is no such folder, or neither recording nor CAN log in it, 1 where the page cannot be written.

    Recordings that cannot be read are named.
    """
    console = Console(stderr=True, highlight=False)
    bags = recordings(folder)
    if not bags:
        print(
            f"report: {folder}: {'holds neither a recording nor a CAN log' if folder.is_dir() else 'there is no such folder'}",
            file=sys.stderr,
        )
        return WRONG_INPUT
    target = output or folder / "report.html"
    seen, problems = [], []
    for bag in track(bags, description="reading", console=console, transient=True):
        try:
            seen += [Seen(story, report(story), bag) for story in stories(bag)]
        except BagError as error:
            problems.append(str(error))
    try:
        if sheets:
            seen = [_drawn(item, target) for item in track(seen, description="drawing", console=console, transient=True)]
        target.write_text(page(f"Sessions below {folder}", body(seen, problems)), encoding="utf-8")
    except OSError as error:
        print(f"report: {target}: cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED
    for problem in problems:
        console.print(problem, style="yellow", markup=False)
    console.print(f"{len(seen)} sessions of {len(bags) - len(problems)} recordings: {target}", markup=False)
    return DONE


def recordings(folder: Path) -> list[Path]:
    """Return the recordings and the CAN logs below a folder, by name; of a session that has both only the recording."""
    if not folder.is_dir():
        return []
    bags = {path.parent for path in folder.rglob(METADATA)}
    logs = (path for path in folder.rglob("*") if path.suffix.lower() in LOGS and is_log(path))
    return sorted(bags | {path for path in logs if path.name != BUS_LOG or not any(bag.is_relative_to(path.parent) for bag in bags)})


def _drawn(item: Seen, target: Path) -> Seen:
    """Draw the sheet of a session that went wrong, beside the page."""
    if item.report.outcome in GOOD:
        return item
    from evse_tools.sheet import draw  # noqa: PLC0415 - matplotlib takes a second to load

    begun = when_of(item.story, "%Y%m%dT%H%M%S") if item.story.begin > DATED else f"{item.bag.stem}_{item.story.begin:.0f}"
    path = target.with_name(f"{target.stem}_{begun}_evse_{item.story.evse}.png")
    draw(item.story, path, item.bag.name)
    return Seen(item.story, item.report, item.bag, path)


def body(seen: Sequence[Seen], problems: Sequence[str]) -> str:
    """Return the inside of the page."""
    begun = [item for item in seen if item.report.session_id]
    wrong = [item for item in begun if item.report.outcome not in GOOD]
    causes = Counter(item.report.first_fault or item.report.stop_cause.name.lower() for item in wrong)
    parts = [
        _tiles(begun, wrong),
        _table("Outcomes", ("outcome", "sessions", ""), _bars(Counter(item.report.outcome for item in seen))),
        _table("Causes of failure", ("first fault or cause", "sessions", ""), _bars(causes)),
        _table("Slowest steps", ("step", "median", "longest", "session"), _steps(begun)),
        _table("Worst silences on CAN", ("part", "longest", "session"), _silences(begun)),
        _table("Sessions", ("begin", "EVSE", "outcome", "ended by", "energy", "charging", "what happened", "recording"), _sessions(seen)),
    ]
    if problems:
        parts.append(_table("Recordings that could not be read", ("what is wrong",), ([escape(text)] for text in problems)))
    return "\n".join(filter(None, parts))


def _tiles(begun: Sequence[Seen], wrong: Sequence[Seen]) -> str:
    energy = sum(item.report.energy_wh for item in begun if isfinite(item.report.energy_wh)) / 1e3
    success = f"{100.0 * (len(begun) - len(wrong)) / len(begun):.1f} %" if begun else "-"
    charging = sum(item.report.charging_time for item in begun) / 3600.0
    figures = (("sessions", str(len(begun))), ("went well", success), ("energy", f"{energy:.3f} kWh"), ("charging", f"{charging:.2f} h"))
    return '<div class="tiles">' + "".join(f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in figures) + "</div>"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already; "" without a row."""
    found = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{found}</tbody></table>" if found else ""


def _bars(counted: Counter[SessionOutcome] | Counter[str]) -> Iterator[Sequence[str]]:
    most = max(counted.values(), default=1)
    for name, count in counted.most_common():
        good = isinstance(name, SessionOutcome) and name in GOOD
        words = in_words(name) if isinstance(name, SessionOutcome) else name
        bar = f'<span class="bar{" good" if good else ""}" style="width:{300 * count // most}px"></span>'
        yield escape(words.replace("_", " ")), str(count), bar


def _steps(begun: Sequence[Seen]) -> Iterator[Sequence[str]]:
    """Yield the states in which sessions waited, the slowest first, each with the session that waited longest."""
    spent: dict[str, list[tuple[float, Seen]]] = {}
    for item in begun:
        if isfinite(item.report.slowest_step_time):
            name = in_words(item.report.slowest_step)
            spent.setdefault(name, []).append((item.report.slowest_step_time, item))
    for name, found in sorted(spent.items(), key=lambda pair: -max(time for time, _ in pair[1]))[:MOST]:
        longest, item = max(found, key=lambda pair: pair[0])
        yield escape(name), f"{median(time for time, _ in found):.1f} s", f"{longest:.1f} s", _name(item)


def _silences(begun: Sequence[Seen]) -> Iterator[Sequence[str]]:
    found = sorted((item for item in begun if item.report.worst_gap_part), key=lambda item: -item.report.worst_gap)
    for item in found[:MOST]:
        yield escape(item.report.worst_gap_part), f"{item.report.worst_gap:.2f} s", _name(item)


def _sessions(seen: Sequence[Seen]) -> Iterator[Sequence[str]]:
    for item in sorted(seen, key=lambda one: one.story.begin):
        found = item.report
        words = escape(in_words(found.outcome))
        outcome = f'<span class="{"good" if found.outcome in GOOD else "wrong"}">{words}</span>'
        if item.sheet is not None:
            outcome = f'<a href="{escape(item.sheet.name)}">{outcome}</a>'
        yield (
            when_of(item.story),
            str(found.evse_id),
            outcome,
            escape(in_words(found.ended_by)),
            f"{found.energy_wh / 1e3:.3f} kWh" if isfinite(found.energy_wh) else "",
            f"{found.charging_time:.0f} s",
            escape(found.explanation),
            escape(item.bag.name),
        )


def _name(item: Seen) -> str:
    return f"{when_of(item.story)}, EVSE {item.story.evse}"
