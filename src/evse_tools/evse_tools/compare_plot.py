"""The picture of two sessions on one time axis: their states as bands, voltage, current and state of charge over each other. Readable in greyscale."""

import textwrap
from math import isfinite
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evse_core.session_report import report
from evse_core.session_story import Story
from evse_core.words import in_words
from evse_tools.chart import Band, draw_bands
from evse_tools.sheet import DPI, FORMATS, SIZE, first_fault, mark

# A is a dark line, B a light one with dashes.
LOOKS = (("A", "#111111", "-", 1.6), ("B", "#c8641e", (0, (4, 1.5)), 1.6))
# [%]
SOC_MARGIN = 3.0
PANELS = (("voltage", "V"), ("current", "A"), ("current_request", "A asked"), ("soc_percent", "SoC %"))


def draw(first: Story, second: Story, path: Path, names: tuple[str, str]) -> None:
    """Write the picture. ValueError for an ending that is neither .png nor .pdf."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError("is neither a .png nor a .pdf")
    figure, both = Figure(figsize=SIZE, dpi=DPI), (first, second)
    for row, (story, name, look) in enumerate(zip(both, names, LOOKS, strict=True)):
        found = report(story)
        words = f"{look[0]}  {name}: {in_words(found.outcome)}. {found.explanation}"
        lines = textwrap.wrap(words, 140, subsequent_indent="     ", max_lines=2, placeholder=" ...")
        figure.text(0.02, 0.975 - 0.05 * row, "\n".join(lines), fontsize=9.5, color=look[1], fontweight="bold", va="top")
    heights = [0.45, 1.15, 0.45, *(2.0 for _ in PANELS)]
    grid = figure.add_gridspec(len(heights), 1, left=0.08, right=0.95, top=0.775, bottom=0.065, hspace=0.16, height_ratios=heights)
    width = max(*(story.end - story.begin for story in both), 1.0)
    top = figure.add_subplot(grid[0])
    top.set_xlim(0.0, width)
    _bands(top, first, width, "A")
    _bands(figure.add_subplot(grid[2], sharex=top), second, width, "B")
    axes = [figure.add_subplot(grid[row], sharex=top) for row in range(3, len(heights))]
    for axis, (name, unit) in zip(axes, PANELS, strict=True):
        _panel(axis, both, name, unit)
    for row, (story, look) in enumerate(zip(both, LOOKS, strict=True)):
        if (fault := first_fault(story)) is not None:
            mark(axes, fault.stamp - story.begin, f"{look[0]}: {fault.fault.replace('_', ' ')}", width, look[1], 0.88 - 0.24 * row)
    for axis in figure.axes[:-1]:
        axis.tick_params(labelbottom=False)
    axes[-1].set_xlabel("time since plug-in [s]")
    figure.savefig(path, metadata=FORMATS[path.suffix.lower()])


def _bands(axis: Axes, story: Story, width: float, name: str) -> None:
    draw_bands(
        axis, [Band(state.name, begin - story.begin, end - story.begin) for state, begin, end in story.spans() if end > begin], width
    )
    axis.set_ylabel(name, rotation=0, va="center", fontweight="bold")


def _panel(axis: Axes, both: tuple[Story, Story], name: str, unit: str) -> None:
    for story, (label, colour, dash, line) in zip(both, LOOKS, strict=True):
        curve = story.curves[name]
        if any(isfinite(value) for value in curve.value):
            times = [time - story.begin for time in curve.time]
            axis.plot(times, curve.value, color=colour, linestyle=dash, linewidth=line, label=label)
    axis.set_ylabel(unit)
    if name == "soc_percent":
        low, high = axis.get_ylim()
        axis.set_ylim(low - SOC_MARGIN, high + SOC_MARGIN)  # so that a step of 1 %, which vehicles take to and fro, looks like one
    axis.grid(color="#e2e2e2", linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="upper left", ncols=2, fontsize=8, frameon=False)
