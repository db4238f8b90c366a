"""The result of a replay as tables for people."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evse_tools.analyze_text import section
from evse_tools.replay_can_report import figure

# Width of the tables in a file. [1]
WIDTH = 140


def show(data: dict[str, Any], console: Console) -> None:
    """Print a report of replay_can_report.report."""
    good = data["charged"]
    head = "our charger charged" if good else f"our charger did not come to charging: {data['why_not']}"
    console.print(Text(f"{data['log']}, {data['mode']}: {head}", style="bold green" if good else "bold red"))
    console.print(Text(f"End: {data['ended']}" + (f"; faults: {', '.join(data['faults'])}" if data["faults"] else ""), style="dim"))
    for note in data["notes"]:
        console.print(Text(f"- {note}"))
    for table in (_limits(data), _phases(data), _current(data), _bits(data), _waits(data)):
        console.print(table)
    frames = data["vehicle_frames"]
    words = f"{frames['sent']} vehicle frames sent, {frames['repeated_while_waiting']} of them repeated, {frames['leapt_over']} of the log leapt over"
    console.print(Text(words, style="dim"))


def _limits(data: dict[str, Any]) -> Table:
    table = section("What the chargers offered", "limit", "recorded", "ours")
    for row in data["limits"]:
        table.add_row(row["what"].replace("_", " "), figure(row["recorded"]), figure(row["ours"]), style="" if row["same"] else "yellow")
    return table


def _phases(data: dict[str, Any]) -> Table:
    table = section("Times between events [s]", "between", "recorded", "ours", "limit")
    for row in data["phases"]:
        style = "red" if row["within"] is False else ""
        table.add_row(row["what"], figure(row["recorded_s"]), figure(row["ours_s"]), figure(row["limit_s"]), style=style)
    return table


def _current(data: dict[str, Any]) -> Table:
    table = section("The current that follows the request", "figure", "recorded", "ours")
    for name, words in (
        ("top_request_a", "highest request within the offer [A]"),
        ("top_a", "highest current [A]"),
        ("reached_s", "from that request to 90 % of it [s]"),
        ("deviation_a", "mean deviation from then on [A]"),
        ("energy_wh", "energy by the readings [Wh]"),
    ):
        table.add_row(words, figure(data["current"]["recorded"][name]), figure(data["current"]["ours"][name]))
    return table


def _bits(data: dict[str, Any]) -> Table:
    same = (
        "the same order"
        if data["bits"]["same_order"]
        else "the recorded order is part of ours"
        if data["bits"]["recorded_in_ours"]
        else "another order"
    )
    table = section(f"Status bits of 0x109 byte 5: {same}", "recorded [s]", "byte", "flags", "ours [s]", "byte", "flags")
    recorded, ours = data["bits"]["recorded"], data["bits"]["ours"]
    for index in range(max(len(recorded), len(ours))):
        cells: list[str] = []
        for rows in (recorded, ours):
            row = rows[index] if index < len(rows) else None
            cells += ["", "", ""] if row is None else [f"{row['t']:.2f}", row["byte"], ", ".join(row["flags"])]
        table.add_row(*cells)
    return table


def _waits(data: dict[str, Any]) -> Table:
    table = section("Where the vehicle waited for its charger", "for", "log [s]", "ours [s]", "log stood (+) or leapt (-) [s]")
    for row in data["waits"]:
        name = row["mark"] + (" (its driver or operator; here the stop button)" if row["driver"] else "")
        table.add_row(name, figure(row["log_t"]), figure(row["ours_t"]), figure(row["waited_s"]))
    return table
