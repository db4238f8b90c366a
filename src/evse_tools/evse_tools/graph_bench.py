"""`station bench graph`: one simulated station, one driver after the other, and in each session something dies, hangs, floods or goes away."""

import itertools
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evse_tools.bench_figures import figure, print_json
from evse_tools.graph_disturbances import Impossible
from evse_tools.graph_links import LINKS
from evse_tools.graph_run import Play, Row
from evse_tools.graph_scenarios import NODES, Kind, Rig, Scenario, chosen
from evse_tools.graph_station import GraphStation, station

# Width of the table in a file. [1]
WIDTH = 220
# Columns of the table: heading, and what a row shows there.
COLUMNS = (
    ("scenario", lambda row: row.scenario),
    ("power withdrawn", lambda row: _ms(row.withdrawn)),
    ("current gone", lambda row: _ms(row.off)),
    ("session ended as", lambda row: row.end),
    ("faults", lambda row: ", ".join(row.faults)),
    ("record / bill / vehicle", lambda row: " / ".join(_wh(value) for value in (row.record_wh, row.bill_wh, row.vehicle_wh))),
    ("back after", lambda row: f"{row.back:.1f} s" if isfinite(row.back) else ""),
    ("verdict", lambda row: row.verdict),
)


def run(patterns: Sequence[str], as_json: bool, only_list: bool = False, bench: str = "graph") -> int:
    """Play the scenarios that fit a pattern; returns 1 where one of them went wrong, 2 where a pattern fits none."""
    console = Console(stderr=True, highlight=False)
    try:
        scenarios = chosen(tuple(patterns))
    except ValueError as error:
        console.print(str(error), style="red", markup=False, emoji=False)
        return 2
    if only_list:
        print("\n".join(scenario.name for scenario in scenarios))
        return 0
    rows = []
    for row in play(scenarios):
        rows.append(row)
        style = "yellow" if row.skipped else "red" if row.problems else "green"
        console.print(Text(f"{len(rows)}/{len(scenarios)} {_line(row)}", style=style), soft_wrap=True)
    _show(rows, as_json, bench)
    return 1 if any(row.problems for row in rows) else 0


def node_death(nodes: Sequence[str], as_json: bool) -> int:
    """`station bench node-death`: the scenarios in which a node is killed while power flows."""
    return run([f"{Kind.KILL}:{node}:charging" for node in nodes or NODES], as_json, bench="node-death")


def play(scenarios: Sequence[Scenario]) -> Iterator[Row]:
    """Yield what happened in each scenario; those of one rig and vehicle link share a station, which is started anew where it did not recover."""
    for rig, link in itertools.product(Rig, LINKS):
        mine = [scenario for scenario in scenarios if (scenario.rig, scenario.link) == (rig, link)]
        try:
            yield from _on_one_rig(rig, link, mine)
        except Impossible as error:
            yield from (Row(scenario.name, skipped=str(error)) for scenario in mine)


def _on_one_rig(rig: Rig, link: str, scenarios: Iterable[Scenario]) -> Iterator[Row]:
    with ExitStack() as stack:
        made: GraphStation | None = None
        for scenario in scenarios:
            if made is None or made.unclean:
                stack.close()
                made = stack.enter_context(station(rig, link))
            first = Play(scenario, made)
            row = first.run()
            if first.too_early and not made.unclean:
                failed, row = row.verdict, Play(scenario, made).run()
                row.first_try = failed
            yield row


def _line(row: Row) -> str:
    times = ", ".join(f"{name} {_ms(value)}" for name, value in (("withdrawn", row.withdrawn), ("off", row.off)) if isfinite(value))
    back = f", back after {row.back:.1f} s" if isfinite(row.back) else ""
    return f"{row.scenario}: {row.verdict} [{row.end}{back}{', ' if times else ''}{times}; {', '.join(row.faults) or 'no faults'}]"


def _show(rows: list[Row], as_json: bool, bench: str) -> None:
    if as_json:
        print_json(bench, [item for row in rows for item in _figures(row)], at=time.time(), scenarios=[row.as_dict() for row in rows])
        return
    table = Table(title="The process graph under faults", caption="times from the disturbance, on the CAN bus of the output")
    for name, _ in COLUMNS:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(show(row)) for _, show in COLUMNS))
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(table)


def _figures(row: Row) -> Iterator[dict[str, Any]]:
    for name, seconds in (("power withdrawn", row.withdrawn), ("current gone", row.off), ("back", row.back)):
        if isfinite(seconds):
            yield figure(f"{row.scenario}: {name}", [1e3 * seconds], "ms", digits=1)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms" if isfinite(seconds) else ""


def _wh(energy: float) -> str:
    return f"{energy:.1f}" if isfinite(energy) else "-"
