"""`station compare`: two sessions of recordings or CAN logs on one time axis, what differs between them as a table, and a picture."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evse_core.session_report import report
from evse_core.session_story import Story
from evse_core.words import in_words
from evse_tools.bag_reader import BagError
from evse_tools.session_source import stories
from evse_tools.session_text import choose

DONE, WRONG_INPUT = 0, 2
# Times that differ by less are the same to the eye of a table; other figures by this part. [s], [1]
SAME_TIME, SAME_SHARE = 0.1, 0.01
# What of a report is compared, and the unit behind it.
_FIGURES = {
    "outcome": "",
    "furthest": "",
    "ended_by": "",
    "stop_cause": "",
    "first_fault": "",
    "energy_wh": "Wh",
    "max_power": "W",
    "charging_time": "s",
    "soc_begin_percent": "%",
    "soc_end_percent": "%",
    "worst_gap_part": "",
    "worst_gap": "s",
    "faults": "",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that both sessions have: what, in A, in B, and whether it is the same."""

    what: str
    a: str
    b: str
    same: bool


def run(paths: tuple[Path, Path], numbers: tuple[int, int], plot: Path | None, as_json: bool) -> int:
    """Compare a session of each recording or CAN log (numbers from 1; 0: the last that went wrong, else the last); 2 where one cannot be read."""
    try:
        first, second = (choose(path, stories(path), number) for path, number in zip(paths, numbers, strict=True))
    except BagError as error:
        print(f"compare: {error}", file=sys.stderr)
        return WRONG_INPUT
    found = list(differences(first, second))
    if plot is not None:
        from evse_tools.compare_plot import draw  # noqa: PLC0415 - matplotlib takes a second to load

        try:
            draw(first, second, plot, (paths[0].name, paths[1].name))
        except (ValueError, OSError) as error:
            print(f"compare: --plot {plot}: {error}", file=sys.stderr)
            return WRONG_INPUT
    if as_json:
        print(json.dumps({"a": str(paths[0]), "b": str(paths[1]), "rows": [asdict(row) for row in found]}, indent=2))
    else:
        _show(found, paths)
    return DONE


def differences(first: Story, second: Story) -> Iterator[Difference]:
    """Yield a row for each figure, and for each state of the two sequences side by side, aligned by their order."""
    left, right = report(first), report(second)
    for name, unit in _FIGURES.items():
        a, b = getattr(left, name), getattr(right, name)
        yield Difference(name.replace("_", " "), _text(a, unit), _text(b, unit), _same(a, b))
    yield from _states(first, second)


def _states(first: Story, second: Story) -> Iterator[Difference]:
    """Yield when each state was entered; a state that only one session has stands alone."""
    mine, other = _entered(first), _entered(second)
    for name in sorted({*mine, *other}, key=lambda key: min(mine.get(key, (9e9, 0))[0], other.get(key, (9e9, 0))[0])):
        a, b = mine.get(name), other.get(name)
        same = a is not None and b is not None and abs(a[1] - b[1]) <= SAME_TIME
        yield Difference(f"{name[0]}{f' ({name[1] + 1})' if name[1] else ''}", _span(a), _span(b), same)


def _entered(story: Story) -> dict[tuple[str, int], tuple[float, float]]:
    """Return begin since plug-in and length [s] of each state, by name and how often it was entered before."""
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for state, begin, end in story.spans():
        name = in_words(state)
        found[(name, sum(key[0] == name for key in found))] = (begin - story.begin, end - begin)
    return found


def _span(value: tuple[float, float] | None) -> str:
    return "" if value is None else f"{value[0]:.1f} s, for {value[1]:.1f} s"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (not isfinite(a) and not isfinite(b)) or abs(a - b) <= SAME_SHARE * max(abs(a), abs(b))
    return bool(a == b)


def _text(value: Any, unit: str) -> str:
    if isinstance(value, float):
        return f"{value:.1f} {unit}" if isfinite(value) else ""
    if isinstance(value, tuple):
        return ", ".join(value)
    return in_words(value) if isinstance(value, Enum) else str(value)


def _show(found: list[Difference], paths: tuple[Path, Path]) -> None:
    table = Table(title="Two sessions", caption="states: seconds after plug-in, and how long")
    for name in ("", f"A: {paths[0].name}", f"B: {paths[1].name}"):
        table.add_column(name, overflow="fold")
    for row in found:
        style = "" if row.same else "bold yellow"
        table.add_row(*(Text(text, style=style) for text in (f"{'' if row.same else '≠ '}{row.what}", row.a, row.b)))
    Console(highlight=False).print(table)
