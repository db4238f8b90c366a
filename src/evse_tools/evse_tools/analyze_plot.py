"""The analysis of a CAN log as one picture: what flowed, how far the session came, who said what, and where it ended. Readable without colour."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from evse_core import chademo_session as c
from evse_core.chademo_output import output
from evse_core.chademo_quirks import holes
from evse_core.chademo_session import PLACE, Observation, Track, state_of_charge
from evse_core.chademo_steps import NAMES
from evse_core.chademo_verdict import Verdict
from evse_tools.analyze_log import Analysis, Judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (13.0, 10.5)  # inches, at 110 dots per inch about 1430 x 1155
DPI = 110
# Vehicle and charger differ in brightness and hatch, so that a grey print tells them apart.
VEHICLE, CHARGER, END = "#1f4e79", "#e08a1e", "#b00020"
HATCH = {VEHICLE: "", CHARGER: "////"}
# Flags that every picture shows; others only where they were set.
ALWAYS = (c.ENABLED, c.CONTACTOR_OPEN, c.LOCKED, c.CHARGING, c.STOP)


def draw(analysis: Analysis, path: Path) -> None:
    """Write the picture of the reported session as PNG."""
    figure = plt.figure(figsize=SIZE, dpi=DPI)
    try:
        if analysis.main is None:
            figure.text(0.5, 0.5, "\n".join(textwrap.wrap(analysis.notes[-1], 80)), ha="center", va="center", fontsize=14)
        else:
            _fill(figure, analysis.main, path_name=analysis.log.path.name)
        figure.savefig(path, dpi=DPI, format="png")
    finally:
        plt.close(figure)


def _fill(figure: "Figure", judged: Judged, path_name: str) -> None:
    seen, verdict = judged.observation, judged.verdict
    flags = [name for name in c.FLAGS if name in ALWAYS or seen.spans(name)]
    lines = _head(figure, verdict, path_name)
    rows = (3.0, 2.2, 3.2, 0.26 * len(flags) + 0.2)
    grid = figure.add_gridspec(4, 1, height_ratios=rows, left=0.21, right=0.94, top=0.935 - 0.019 * lines, bottom=0.055, hspace=0.09)
    axes = [figure.add_subplot(grid[0])]
    axes += [figure.add_subplot(grid[row], sharex=axes[0]) for row in (1, 2, 3)]
    _voltage(axes[0], seen)
    _current(axes[1], seen)
    _steps(axes[2], seen, verdict)
    _flags(axes[3], seen, flags)
    for axis in axes:
        _marks(axis, seen, verdict)
    _end_label(axes[0], verdict, seen)
    for axis in axes[:-1]:
        axis.tick_params(labelbottom=False)
    span = max(seen.end - seen.start, 0.1)
    axes[0].set_xlim(seen.start - 0.01 * span, seen.end + 0.01 * span)
    axes[-1].set_xlabel("time since the first frame of the log [s]")


def _head(figure: "Figure", verdict: Verdict, path_name: str) -> int:
    """Write verdict and explanation on top; return the number of lines of the explanation."""
    when = f" at {verdict.t:.2f} s" if verdict.t is not None else ""
    who = f", ended by {verdict.ended_by}{when}" if verdict.t is not None else ""
    figure.text(0.02, 0.985, f"{verdict.outcome.upper()}{who}: {verdict.cause.replace('_', ' ')}", fontsize=17, fontweight="bold", va="top")
    figure.text(0.98, 0.985, path_name, fontsize=10, ha="right", va="top", color="0.35")
    lines = textwrap.wrap(verdict.explanation, 165)
    figure.text(0.02, 0.952, "\n".join(lines), fontsize=10, va="top", linespacing=1.35)
    return len(lines)


def _voltage(axis: "Axes", seen: Observation) -> None:
    times = [reading.t for reading in seen.readings]
    axis.plot(times, [reading.voltage for reading in seen.readings], color="black", linewidth=1.8, label="output")
    _level(axis, seen, c.TARGET, "vehicle's target", (0, (6, 2)), VEHICLE)
    _level(axis, seen, c.THRESHOLD, "threshold", (0, (1, 1.5)), CHARGER)
    top = max(
        [reading.voltage for reading in seen.readings] + [value for name in (c.TARGET, c.THRESHOLD) for value in seen.track(name).values],
        default=1.0,
    )
    axis.set_ylim(0, 1.4 * max(top, 50.0))
    axis.set_ylabel("V")
    _legend(axis)
    _phases(axis, seen)


def _legend(axis: "Axes") -> None:
    """Put the legend into the left margin, where no curve can be behind it."""
    axis.legend(loc="center right", bbox_to_anchor=(-0.075, 0.5), fontsize=8, frameon=False, handlelength=2.4)
    axis.grid(alpha=0.25)


def _phases(axis: "Axes", seen: Observation) -> None:
    """Name the voltages that stood at the output before charging."""
    charging = seen.track(c.CHARGING).set_at()
    found = output(seen, seen.end if charging is None else charging)
    labels = [(test.start, test.peak, f"insulation test {test.peak:g} V") for test in found.tests]
    if found.battery is not None and found.battery_at is not None:
        labels.append((found.battery_at, found.battery.voltage, f"battery {found.battery.voltage:g} V"))
    if found.unclear is not None:
        labels.append((found.unclear.start, found.unclear.peak, f"{found.unclear.peak:g} V without a test: whose?"))
    for t, volts, text in labels:
        left = t > seen.start + 0.2 * (seen.end - seen.start) and not text.startswith("battery")
        look: dict[str, Any] = {"ha": "right" if left else "left", "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0}}
        axis.annotate(text, (t, 0.55 * volts), xytext=(-4 if left else 8, 0), textcoords="offset points", fontsize=8.5, **look)


def _level(axis: "Axes", seen: Observation, name: str, label: str, style: object, colour: str) -> None:
    _stairs(axis, seen, seen.track(name), label=label, linestyle=style, color=colour, linewidth=1.3)


def _stairs(axis: "Axes", seen: Observation, track: Track, **look: object) -> None:
    if track.times:
        axis.step([*track.times, seen.end], [*track.values, track.values[-1]], where="post", **look)  # type: ignore[arg-type]


def _current(axis: "Axes", seen: Observation) -> None:
    _stairs(axis, seen, seen.track("request"), label="requested (0x102)", color=VEHICLE, linestyle=(0, (5, 1.5)), linewidth=1.6)
    axis.plot(
        [reading.t for reading in seen.readings],
        [reading.current for reading in seen.readings],
        color="black",
        linewidth=1.8,
        label="flowing (0x109)",
    )
    top = max([reading.current for reading in seen.readings] + seen.track("request").values, default=0.0)
    axis.set_ylim(-0.03 * max(top, 5.0), 1.3 * max(top, 5.0))
    axis.set_ylabel("A")
    _charge(axis, seen)
    _legend(axis)


def _charge(axis: "Axes", seen: Observation) -> None:
    times = sorted({*seen.track(c.CHARGED).times, *seen.track(c.REFERENCE).times})
    points = [(t, value) for t in times if (value := state_of_charge(seen, t)) is not None]
    if not points:
        return
    look: dict[str, Any] = {"color": "0.5", "linewidth": 1.2, "linestyle": "-."}
    right = axis.twinx()
    right.step([*(t for t, _ in points), seen.end], [*(value for _, value in points), points[-1][1]], where="post", **look)
    axis.plot([], [], label="state of charge", **look)
    right.set_ylim(0, 105)
    right.set_ylabel("state of charge [%]", color="0.4", fontsize=8)
    right.tick_params(colors="0.4", labelsize=8)


def _steps(axis: "Axes", seen: Observation, verdict: Verdict) -> None:
    """Draw a bar per step, from its time to the next one's; the last one to the end of the session, hatched where it was not finished."""
    reached = {step.step: step for step in verdict.steps}
    end = verdict.t if verdict.t is not None and verdict.outcome == "failed" else seen.end
    width = max(seen.end - seen.start, 0.1)
    for number, step in reached.items():
        later = [max(other.t, step.t) for other in verdict.steps if other.step > number]
        stop = max(min(later, default=end), step.t + 0.004 * width)
        look = {"color": "0.35"} if step.complete else {"color": "white", "hatch": "xxxx"}
        axis.barh(number, stop - step.t, left=step.t, height=0.74, edgecolor="black", **look)  # type: ignore[arg-type]
        text = f"{step.t:.2f} s" + (" or before" if step.from_first_frame else "")
        _beside(axis, seen, number, step.t, stop, text + ("" if step.complete else ", not finished"))
    axis.set_yticks(list(NAMES), [f"{name} {number:>2}" for number, name in NAMES.items()], fontsize=8)
    for number, label in zip(NAMES, axis.get_yticklabels(), strict=True):
        label.set_color("black" if number in reached else "0.65")
    axis.set_ylim(12.6, 0.4)
    axis.grid(axis="x", alpha=0.25)


def _beside(axis: "Axes", seen: Observation, y: float, start: float, stop: float, text: str) -> None:
    """Write to the right of a bar, to its left where the right has no room, on it where neither has."""
    width = seen.end - seen.start
    look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7.5}
    if stop < seen.start + 0.8 * width:
        axis.annotate(text, (stop, y), xytext=(4, 0), **look)
    elif start > seen.start + 0.2 * width:
        axis.annotate(text, (start, y), xytext=(-4, 0), ha="right", **look)
    else:
        axis.annotate(text, (start, y), xytext=(5, 0), bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}, **look)


def _flags(axis: "Axes", seen: Observation, flags: list[str]) -> None:
    for row, name in enumerate(flags):
        colour = VEHICLE if name.startswith("EV_") else CHARGER
        for start, stop in seen.spans(name):
            axis.barh(
                row,
                max(stop - start, 0.003 * (seen.end - seen.start)),
                left=start,
                height=0.66,
                color=colour,
                hatch=HATCH[colour],
                edgecolor="black",
                linewidth=0.6,
            )
    axis.set_yticks(range(len(flags)), [_flag_label(name) for name in flags], fontsize=7.5)
    axis.set_ylim(len(flags) - 0.4, -0.6)
    axis.grid(axis="x", alpha=0.25)


def _flag_label(name: str) -> str:
    words = name.split(".")[1].removeprefix("status_").removeprefix("fault_").replace("_", " ")
    who = "vehicle" if name.startswith("EV_") else "charger"
    return f"{who}: {words}  {PLACE[name].replace(' byte ', '.')}"


def _marks(axis: "Axes", seen: Observation, verdict: Verdict) -> None:
    """Mark the end of the session, and spans without frames."""
    for start, stop in holes(seen):
        axis.axvspan(start, stop, facecolor="0.85", edgecolor="0.5", hatch="..", zorder=0)
    if verdict.t is not None:
        axis.axvline(verdict.t, color=END, linewidth=1.6, linestyle=(0, (3, 1)))


def _end_label(axis: "Axes", verdict: Verdict, seen: Observation) -> None:
    if verdict.t is None:
        return
    late = verdict.t > (seen.start + seen.end) / 2
    sign = verdict.signs[0]
    text = "\n".join([f"{sign.by}: {sign.kind.replace('_', ' ')}", *textwrap.wrap(sign.evidence, 44)])
    axis.annotate(
        text,
        (verdict.t, 0.95),
        xycoords=("data", "axes fraction"),
        xytext=(-8 if late else 8, 0),
        textcoords="offset points",
        ha="right" if late else "left",
        va="top",
        fontsize=9,
        fontweight="bold",
        color=END,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": END},
    )
