"""Picture of charging sessions: voltage, current, state of charge and the states, one block per EVSE; with a control pilot, what it offers and each phase.

Readable in greyscale: lines differ by dash, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

# Width and height of one EVSE's block, of the title above all, [pixel], and pixels per inch.
BLOCK = (1200, 680)
TITLE = 40
DPI = 120
# A state that takes less of the width than this gets no name: names would overlap. [1]
NAMED = 0.017
# Slanting names that begin closer than this part of the width are hard to read. [1]
CROWDED = 0.025
# A state that takes more of the width than this has room for its name inside its band. [1]
ROOMY = 0.12
# Light and dark in turn, so that neighbours differ; charging and what went wrong stand out. Luminance differs, for printing without colour.
PLAIN = ("#e4e4e4", "#c6c6c6")
STANDING_OUT = {"CHARGING": "#8fc49a", "EMERGENCY": "#8c2f2f", "FAULTED": "#b35c5c", "RECOVERING": "#b35c5c"}
WRONG = frozenset({"EMERGENCY", "FAULTED", "RECOVERING"})
# Dashes of the three phases, which mostly lie on each other.
PHASE_DASHES = ("-", (0, (5, 2)), (0, (2, 2)))
VOLTAGE, CURRENT, SOC = "#14386b", "#c8641e", "#3d3d3d"


@dataclass(frozen=True)
class AcSeries:
    """What is drawn of an AC output in place of voltage and current: offered current and that of each phase [A], and the states of the control pilot."""

    time: Sequence[float]
    offered: Sequence[float]
    drawn: Sequence[Sequence[float]]
    pilot: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class Series:
    """What is drawn for one EVSE. Times in seconds; NaN leaves a gap; `marks` are events such as a fault."""

    title: str
    time: Sequence[float]
    voltage: Sequence[float]
    current: Sequence[float]
    soc_percent: Sequence[float]
    states: Sequence[tuple[str, float]] = ()
    marks: Sequence[tuple[str, float]] = ()
    end: float = 0.0
    ac: AcSeries | None = None


@dataclass(frozen=True)
class Band:
    """A state and from when to when it lasted [s]."""

    name: str
    begin: float
    end: float


def size(count: int) -> tuple[int, int]:
    """Return width and height [pixel] of the chart of `count` EVSEs."""
    columns = min(2, count)
    return BLOCK[0] * columns, BLOCK[1] * ceil(count / columns) + TITLE


def draw(series: Sequence[Series], path: Path, title: str) -> None:
    """Write the chart as PNG. ValueError without a series."""
    if not series:
        raise ValueError("a chart needs at least one series")
    width, height = size(len(series))
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    columns = min(2, len(series))
    rows = ceil(len(series) / columns)
    grid = figure.add_gridspec(
        rows, columns, left=84 / width, right=1 - 84 / width, bottom=60 / height, top=1 - (TITLE + 128) / height, hspace=0.44, wspace=0.19
    )
    for number, one in enumerate(series):
        _block(figure, grid[number // columns, number % columns], one)
    figure.suptitle(title, x=0.5, y=1 - 14 / height, fontsize=12, fontweight="bold")
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")


def bands(states: Sequence[tuple[str, float]], end: float) -> list[Band]:
    """Return the states as bands, the last one up to end."""
    limits = [*(time for _, time in states[1:]), end][: len(states)]
    return [Band(name, begin, limit) for (name, begin), limit in zip(states, limits, strict=True) if limit > begin]


def span(series: Series) -> tuple[float, float]:
    """Return the first and the last time of a series, at least 1 s apart."""
    times = [time for time in (*series.time, *(time for _, time in series.states), series.end) if isfinite(time)]
    begin, end = min(times, default=0.0), max(times, default=0.0)
    return begin, max(end, begin + 1.0)


def _block(figure: Figure, place: SubplotSpec, series: Series) -> None:
    grid = place.subgridspec(3, 1, height_ratios=[0.45, 5.0, 1.8], hspace=0.09)
    state_axes = figure.add_subplot(grid[0])
    power_axes = figure.add_subplot(grid[1], sharex=state_axes)
    soc_axes = figure.add_subplot(grid[2], sharex=state_axes)
    begin, end = span(series)
    state_axes.set_xlim(begin, end)
    found = bands(series.states, end)
    draw_bands(state_axes, found, end - begin)
    if series.ac is None:
        _draw_power(power_axes, series)
    else:
        _draw_phases(power_axes, series.ac, end)
    _draw_soc(soc_axes, series)
    for axes in (power_axes, soc_axes):
        for band in found[1:]:
            axes.axvline(band.begin, color="#b8b8b8", linewidth=0.5, zorder=0)
    _draw_marks(power_axes, series.marks)
    state_axes.set_title(series.title, loc="left", fontsize=11, fontweight="bold", pad=64)
    for axes in (state_axes, power_axes):
        axes.tick_params(labelbottom=False)


def draw_bands(axes: Axes, found: Sequence[Band], width: float) -> None:
    """Draw states side by side on axes that are `width` wide [s], with their names: inside where there is room, slanting above where not.

    What went wrong is named however short it was, before its neighbours.
    """
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(bottom=False)
    named = [(band.begin + band.end) / 2 for band in found if band.name in WRONG]
    for number, band in enumerate(found):
        wrong = band.name in WRONG
        axes.axvspan(band.begin, band.end, color=STANDING_OUT.get(band.name, PLAIN[number % 2]), linewidth=0)
        share, middle = (band.end - band.begin) / width, (band.begin + band.end) / 2
        crowded = any(abs(middle - at) < CROWDED * width for at in named) and not wrong
        text, weight = band.name.replace("_", " ").lower(), "bold" if wrong else "normal"
        if share >= ROOMY:
            axes.text(middle, 0.46, text, ha="center", va="center", fontsize=8, color="white" if wrong else "black", fontweight=weight)
        elif (share >= NAMED and not crowded) or wrong:
            axes.text(
                middle,
                1.12,
                text,
                ha="left",
                va="bottom",
                fontsize=7,
                rotation=38,
                rotation_mode="anchor",
                clip_on=False,
                fontweight=weight,
            )


def _draw_power(axes: Axes, series: Series) -> None:
    """Draw voltage on the left and current on the right."""
    (voltage,) = axes.plot(series.time, series.voltage, color=VOLTAGE, linewidth=1.6, label="voltage")
    axes.set_ylabel("voltage [V]", color=VOLTAGE)
    axes.set_ylim(0, 1.15 * _top(series.voltage, 10.0))
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    right = axes.twinx()
    (current,) = right.plot(series.time, series.current, color=CURRENT, linewidth=1.6, linestyle=(0, (5, 1.5)), label="current")
    right.set_ylabel("current [A]", color=CURRENT)
    right.set_ylim(min(0.0, 1.1 * _bottom(series.current)), 1.35 * _top(series.current, 1.0))
    right.spines["top"].set_visible(False)
    axes.spines["top"].set_visible(False)
    axes.legend(handles=[voltage, current], loc="center", ncols=2, fontsize=8, framealpha=0.9)


def _draw_phases(axes: Axes, ac: AcSeries, end: float) -> None:
    """Draw the offered current as a step, the drawn ones as lines, and the letters of the control pilot's states on top."""
    (offered,) = axes.step(
        ac.time, ac.offered, where="post", color=VOLTAGE, linewidth=1.6, linestyle=(0, (1, 1)), label="offered per phase"
    )
    lines = [offered]
    for number, (drawn, dash) in enumerate(zip(ac.drawn, PHASE_DASHES, strict=True), 1):
        if any(isfinite(value) for value in drawn):
            lines += axes.plot(ac.time, drawn, color=CURRENT, linewidth=2.2 - 0.5 * number, linestyle=dash, label=f"drawn L{number}")
    top = 1.35 * _top([value for values in (ac.offered, *ac.drawn) for value in values], 1.0)
    axes.set_ylabel("current [A]")
    axes.set_ylim(0, top)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    begin, last = axes.get_xlim()
    for band in bands(ac.pilot, end):
        if (band.end - band.begin) / (last - begin) >= NAMED:
            axes.text((band.begin + band.end) / 2, 0.06 * top, band.name, ha="center", va="center", fontsize=8, color="#555555")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(handles=lines, loc="upper center", ncols=4, fontsize=8, framealpha=0.9)


def _draw_soc(axes: Axes, series: Series) -> None:
    axes.plot(series.time, series.soc_percent, color=SOC, linewidth=1.6, linestyle=(0, (8, 1.5, 1, 1.5)))
    known = [value for value in series.soc_percent if isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 100.0)
    axes.set_ylim(low - max(0.5, 0.15 * (high - low)), high + max(0.5, 0.15 * (high - low)))
    axes.set_ylabel("SoC [%]", color=SOC)
    axes.set_xlabel("time since the session's start [s]")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_marks(axes: Axes, marks: Sequence[tuple[str, float]]) -> None:
    for number, (text, time) in enumerate(marks):
        axes.axvline(time, color="black", linewidth=1.2, linestyle=":")
        place = (time, 0.97 - 0.075 * (number % 6))
        box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        axes.annotate(
            text, place, xycoords=("data", "axes fraction"), xytext=(4, 0), textcoords="offset points", fontsize=8, va="top", bbox=box
        )


def _top(values: Sequence[float], least: float) -> float:
    return max([value for value in values if isfinite(value)] + [least])


def _bottom(values: Sequence[float]) -> float:
    return min([value for value in values if isfinite(value)] + [0.0])
