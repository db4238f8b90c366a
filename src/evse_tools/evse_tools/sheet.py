"""The sheet of a session: one page, PNG or PDF, on which a person sees in ten seconds how it went and what went wrong. Readable in greyscale."""

import textwrap
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evse_core.session_report import GOOD, report
from evse_core.session_story import Curve, Story
from evse_core.types import FaultEvent, Reaction, SessionReport
from evse_core.vehicle_link import PILOT
from evse_core.words import in_words
from evse_tools.chart import Band, draw_bands
from evse_tools.session_source import when_of

# A4 across. [inch], [1/inch]
SIZE, DPI = (11.69, 8.27), 130
# Ending of the file and what matplotlib is told about it; without a date the same session gives the same file.
FORMATS = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
BLACK, GREY, ACCENT = "#111111", "#8a8a8a", "#a02020"
# Curves of a panel: name, label, colour, dashes.
_VOLTAGES = (("voltage", "output", BLACK, "-"), ("target_voltage", "target of the vehicle", GREY, (0, (4, 2))))
_CURRENTS = (
    ("current", "output", BLACK, "-"),
    ("current_request", "asked by the vehicle", "#30608c", (0, (5, 2))),
    ("current_command", "commanded", GREY, (0, (1, 1.5))),
    ("offered_current", "offered per phase", "#c8641e", (0, (3, 1, 1, 1))),
)
# With a control pilot output and command are those of all phases together.
_PHASES = tuple(
    (name, f"{label}{', all phases' if name in ('current', 'current_command') else ''}", *look) for name, label, *look in _CURRENTS
)
_SLOW = (
    ("soc_percent", "state of charge [%]", BLACK, "-"),
    ("connector_temperature", "connector [°C]", "#a02020", (0, (5, 2))),
    ("module_temperature", "modules [°C]", GREY, (0, (1, 1.5))),
)


def draw(story: Story, path: Path, source: str = "") -> None:
    """Write the sheet; `source` says where the session comes from. ValueError for an ending that is neither .png nor .pdf."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: a sheet is a .png or a .pdf")
    figure = Figure(figsize=SIZE, dpi=DPI)
    found = report(story)
    top = _head(figure, story, found, source)
    rows = _rows(story)
    heights = [0.5, 2.4, 2.4, 1.7, 0.28 * len(rows) + 0.3]
    grid = figure.add_gridspec(5, 1, left=0.13, right=0.95, top=top, bottom=0.065, hspace=0.12, height_ratios=heights)
    axes = [figure.add_subplot(grid[0])]
    axes += [figure.add_subplot(grid[row], sharex=axes[0]) for row in range(1, 5)]
    width = max(story.end - story.begin, 1.0)
    axes[0].set_xlim(0.0, width)
    states = [Band(state.name, begin - story.begin, end - story.begin) for state, begin, end in story.spans() if end > begin]
    draw_bands(axes[0], states, width)
    currents = _PHASES if story.link == PILOT else _CURRENTS
    for axis, curves, label in ((axes[1], _VOLTAGES, "V"), (axes[2], currents, "A"), (axes[3], _SLOW, "% and °C")):
        _panel(axis, story, curves, label)
    _events(axes[4], story, rows, width)
    for axis in axes[1:]:
        for band in states[1:]:
            axis.axvline(band.begin, color="#cccccc", linewidth=0.5, zorder=0)
        _shade_gaps(axis, story)
    if (fault := first_fault(story)) is not None:
        mark(axes[1:], fault.stamp - story.begin, fault.fault.replace("_", " "), width)
    for axis in axes[:-1]:
        axis.tick_params(labelbottom=False)
    inferred = story.judgement is not None
    axes[-1].set_xlabel(
        "time since the first frame [s]; states and commands are inferred from frames" if inferred else "time since plug-in [s]"
    )
    figure.savefig(path, metadata=FORMATS[path.suffix.lower()])


def _head(figure: Figure, story: Story, found: SessionReport, source: str) -> float:
    """Write the verdict on top; return where the panels may begin [part of the height]."""
    colour = BLACK if found.outcome in GOOD else ACCENT
    figure.text(0.02, 0.975, found.outcome.name.replace("_", " "), fontsize=17, fontweight="bold", color=colour, va="top")
    when = when_of(story, "%Y-%m-%d %H:%M:%S %z")
    right = f"EVSE {story.evse} · {when}\n{story.session_id or 'no session'}\n{source}"
    figure.text(0.98, 0.975, right, fontsize=8, ha="right", va="top", color="#444444", linespacing=1.4)
    lines = [
        *textwrap.wrap(found.explanation, 145),
        *textwrap.wrap(f"Look at: {found.check}" if found.check else "", 145),
        _figures(found, story),
    ]
    figure.text(0.02, 0.908, "\n".join(lines), fontsize=9.5, va="top", linespacing=1.45)
    return 0.8 - 0.026 * len(lines)


def _figures(found: SessionReport, story: Story) -> str:
    """Return the figures of a session in a line."""
    parts = [
        f"{found.energy_wh / 1e3:.3f} kWh{'' if story.judgement is None else ' by the readings'}"
        if isfinite(found.energy_wh)
        else "no record",
        f"charging for {found.charging_time:.0f} s",
        f"highest power {found.max_power / 1e3:.1f} kW" if isfinite(found.max_power) else "",
        f"state of charge {found.soc_begin_percent:.0f} to {found.soc_end_percent:.0f} %" if isfinite(found.soc_end_percent) else "",
        f"slowest: {in_words(found.slowest_step)} {found.slowest_step_time:.1f} s" if isfinite(found.slowest_step_time) else "",
        f"{found.worst_gap_part} silent for {found.worst_gap:.1f} s" if found.worst_gap_part else "no silence on CAN",
    ]
    return "  ·  ".join(filter(None, parts))


def _panel(axis: Axes, story: Story, curves: Sequence[tuple[str, str, str, object]], unit: str) -> None:
    tops = []
    for name, label, colour, dash in curves:
        curve = story.curves[name]
        if isfinite(curve.top):
            axis.plot(*_points(curve, story.begin), color=colour, linestyle=dash, linewidth=1.5, label=label)
            tops.append(curve.top)
    axis.set_ylabel(unit)
    axis.grid(axis="y", color="#e2e2e2", linewidth=0.6)
    top = max(tops, default=1.0)
    axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]), top=1.4 * max(top, 1.0))
    if tops:
        axis.legend(loc="upper left", ncols=4, fontsize=7.5, frameon=True, framealpha=0.85, edgecolor="none")
    else:
        axis.text(0.5, 0.5, "nothing was measured", transform=axis.transAxes, ha="center", va="center", color=GREY, fontsize=9)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _points(curve: Curve, zero: float) -> tuple[list[float], list[float]]:
    return [time - zero for time in curve.time], curve.value


def _shade_gaps(axis: Axes, story: Story) -> None:
    for gap in story.gaps:
        axis.axvspan(
            gap.begin - story.begin, gap.end - story.begin, facecolor="none", edgecolor="#bbbbbb", hatch="////", linewidth=0, zorder=0
        )


def first_fault(story: Story) -> FaultEvent | None:
    """Return the fault that ended the session, None without such."""
    return next((event for event in story.faults if event.active and event.reaction in (Reaction.STOP, Reaction.EMERGENCY)), None)


def mark(axes: Sequence[Axes], time: float, words: str, width: float, colour: str = ACCENT, height: float = 0.9) -> None:
    """Draw a line through axes that are `width` wide [s], with words beside it in the first of them. height: of the words, part of the axes."""
    for axis in axes:
        axis.axvline(time, color=colour, linewidth=1.3, linestyle=(0, (4, 2)))
    left = time > 0.5 * width
    axes[0].annotate(
        words,
        (time, height),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if left else 5, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=9,
        fontweight="bold",
        color=colour,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour, "linewidth": 0.8},
    )


Row = tuple[str, list[tuple[float, float]], list[tuple[float, str]], str]


def _rows(story: Story) -> list[Row]:
    """Return the rows of what happened: name, spans, moments with words, hatch."""
    rows: list[Row] = []
    worst = {event.fault: event.reaction for event in sorted(story.faults, key=lambda event: event.reaction)}
    for name in dict.fromkeys(event.fault for event in story.faults if event.active):
        spans = [(event.stamp, end) for event, end in story.fault_spans() if event.fault == name]
        kind = "warning" if worst[name] is Reaction.WARN else "fault"
        rows.append((f"{kind}: {name.replace('_', ' ')}", spans, [], "xxx"))
    rows += [
        (f"no frames: {part}", [(gap.begin, gap.end) for gap in story.gaps if gap.part == part], [], "////")
        for part in dict.fromkeys(gap.part for gap in story.gaps)
    ]
    for kind, label in (("permit", "permit"), ("back_end", "back end (OCPP)")):
        moments = [(item.time, item.words) for item in story.happenings if item.kind == kind]
        if moments:
            rows.append((label, [], moments, ""))
    return rows or [("nothing happened", [], [], "")]


def _events(axis: Axes, story: Story, rows: Sequence[Row], width: float) -> None:
    for number, (_, spans, moments, hatch) in enumerate(rows):
        for begin, end in spans:
            left, length = begin - story.begin, max(end - begin, 0.004 * width)
            axis.barh(number, length, left=left, height=0.62, facecolor="#d8d8d8", edgecolor="#555555", hatch=hatch, linewidth=0.7)
        _moments(axis, number, [(time - story.begin, words) for time, words in moments], width)
    axis.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=7.5)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _moments(axis: Axes, row: int, moments: Sequence[tuple[float, str]], width: float) -> None:
    """Draw ticks with words on the side that is free; words that have no room are left out, their ticks stay."""
    free = -1.0
    ends = [*(time for time, _ in moments[1:]), width][: len(moments)]
    for (time, words), end in zip(moments, ends, strict=True):
        axis.plot([time], [row], marker="|", markersize=9, color=BLACK, markeredgewidth=1.4)
        room = 0.0065 * width * len(words)
        left = time + room > end and time - room >= max(free, 0.0)
        begin = time - room if left else time
        if begin >= free:
            place: dict[str, Any] = {"xytext": (-4 if left else 4, 0), "ha": "right" if left else "left"}
            box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
            axis.annotate(words, (time, row), textcoords="offset points", fontsize=7, va="center", bbox=box, **place)
            free = begin + room
