"""The analysis of a CAN log as tables for people."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

STYLES = {"complete": "green", "charging": "green", "failed": "red", "unknown": "yellow"}
LIMIT_UNITS = {"voltage": "V", "current": "A", "min": "min", "kwh": "kWh"}


def show(data: dict[str, Any], console: Console | None = None) -> None:
    """Print a report of analyze_report.report."""
    out = console or Console(highlight=False)
    out.print(Panel(_verdict(data), title=_title(data), border_style=STYLES[data["outcome"]], title_align="left"))
    if data["protocol"] == "unknown":
        return
    out.print(_steps(data["steps"], data["last_step"]))
    if data.get("states"):
        out.print(_states(data["states"]))
    out.print(_limits(data["limits"]))
    if data["timings"]:
        out.print(_timings(data["timings"]))
    if data["warnings"]:
        out.print(Panel(Group(*(Text(f"- {warning}") for warning in data["warnings"])), title="Odd", title_align="left", box=box.ROUNDED))
    if len(data["sessions"]) > 1:
        out.print(_sessions(data["sessions"]))


def _title(data: dict[str, Any]) -> str:
    return f"{data['file']}: {data['format']}, {data['frames']} frames, {data['duration_s']:.1f} s"


def _verdict(data: dict[str, Any]) -> Group:
    if data["protocol"] == "unknown":
        return Group(Text("unknown protocol", style="bold yellow"), Text(data["explanation"]))
    when = f" at {data['ended_at']:.2f} s" if data["ended_at"] is not None else ""
    ended = "" if data["outcome"] == "charging" else f", ended by {data['ended_by']}{when}"
    head = Text(f"{data['outcome'].upper()} in step {data['last_step']}{ended}: {data['cause']}", style=f"bold {STYLES[data['outcome']]}")
    charge = data["state_of_charge_percent"]
    soc = f", {charge['first']:.0f} % to {charge['last']:.0f} %" if charge["first"] is not None else ""
    figures = Text(
        f"{_number(data['energy_wh'], 1)} Wh by the charger's readings, up to {_number(data['max_current'])} A and {_number(data['max_voltage'])} V{soc}",
        style="dim",
    )
    parts = [("Proven: ", data["proven"]), ("Likely: ", data["likely"]), ("Next:   ", data["check"])]
    return Group(head, figures, *(Text.assemble((label, "bold"), words) for label, words in parts if words))


def _number(value: float | None, digits: int = 0) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"


def section(title: str, *names: str) -> Table:
    """Return a table without a frame below a title."""
    return Table(*names, title=title, title_justify="left", box=box.SIMPLE_HEAD)


def _steps(steps: Iterable[dict[str, Any]], last: int) -> Table:
    table = section("Steps", "step", "t [s]", "reached", "evidence")
    for step in steps:
        mark = "then or before" if step["from_first_frame"] else "yes" if step["complete"] else "not finished"
        style = "bold" if step["step"] == last else ""
        table.add_row(f"{step['step']:>2} {step['name']}", f"{step['t']:.3f}", mark, step["evidence"], style=style)
    return table


def _states(states: Iterable[dict[str, Any]]) -> Table:
    table = section("As our own sequence would call it", "state", "from [s]", "the frames show", "inferred")
    for item in states:
        table.add_row(item["state"].replace("_", " "), f"{item['t']:.2f}", item["seen"], item["inferred"])
    return table


def _limits(limits: dict[str, dict[str, float | None]]) -> Table:
    table = section("Limits exchanged", "who", "limit", "value")
    for party, values in limits.items():
        for name, value in values.items():
            unit = next((unit for part, unit in LIMIT_UNITS.items() if part in name.split("_")), "")
            table.add_row(party, name.replace("_", " "), "not said" if value is None else f"{value:g} {unit}")
    return table


def _timings(timings: Iterable[dict[str, Any]]) -> Table:
    table = section("Times", "from [s]", "between", "took [s]", "limit [s]")
    for item in timings:
        limit = "" if item["limit_s"] is None else f"{item['limit_s']:g}{'' if item['within'] else '  exceeded'}"
        table.add_row(
            f"{item['t']:.2f}", item["name"], f"{item['duration_s']:.2f}", limit, style="" if item["within"] is not False else "yellow"
        )
    return table


def _sessions(sessions: Iterable[dict[str, Any]]) -> Table:
    table = section("Sessions of the log", "from [s]", "to [s]", "outcome", "last step", "ended by", "cause")
    for item in sessions:
        table.add_row(f"{item['from']:.1f}", f"{item['to']:.1f}", item["outcome"], str(item["last_step"]), item["ended_by"], item["cause"])
    return table
