"""What verify found, as tables for people and as JSON."""

import resource
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evse_tools.verify_run import Difference, Result

if TYPE_CHECKING:
    from evse_tools.verify import Verdict

# Differences that are shown; all that are kept are in the JSON. [1]
SHOWN = 12


def show(verdict: "Verdict", console: Console) -> None:
    """Print what was compared, what could not be, and the first difference with the inputs of that moment."""
    console.print(_compared(verdict))
    for result in verdict.results:
        _tell(result, console)
    if verdict.problem:
        console.print(Text(verdict.problem, style="yellow"), soft_wrap=True)
    first = _first(verdict)
    if first is None:
        number = sum(result.count for result in verdict.results)
        found = f"{number} accepted differences" if number else "no difference"
        pace = f"{verdict.recorded:.1f} s recorded, verified in {verdict.took:.2f} s, {verdict.realtime_factor:.0f} x real time"
        console.print(Text(f"{found}; {pace}", style="green"), soft_wrap=True)
        return
    console.print(_side_by_side(first))
    console.print(_moment(first))
    total = sum(result.count for result in verdict.results)
    console.print(Text(f"{total} differences, the first after {first.differences[0].t:.3f} s", style="bold red"), soft_wrap=True)


def _first(verdict: "Verdict") -> Result | None:
    found = (result for result in verdict.results if result.count and result.node not in verdict.accepted)
    return min(found, key=lambda result: result.differences[0].t, default=None)


def _compared(verdict: "Verdict") -> Table:
    table = Table(title=str(verdict.path), title_justify="left")
    for name in ("node", "from [s]", "to [s]", "inputs and calls", "messages", "not recorded", "differences"):
        table.add_column(name, justify="left" if name == "node" else "right")
    for item in verdict.results:
        style = "red" if item.count else ""
        row = (f"{item.begin:.2f}", f"{item.end:.2f}", str(item.events), str(item.messages), str(item.unrecorded), str(item.count))
        table.add_row(item.node, *row, style=style)
    return table


def _tell(result: Result, console: Console) -> None:
    for gap in result.gaps:
        words = f"{result.node}: not compared from {gap.begin:.3f} to {gap.end:.3f} s: {gap.why}"
        console.print(Text(words, style="yellow"), soft_wrap=True)
    if result.unread:
        console.print(Text(f"{result.node}: not read any more: {', '.join(sorted(result.unread))}", style="yellow"), soft_wrap=True)


def _side_by_side(result: Result) -> Table:
    table = Table(title=f"first differences of {result.node}", title_justify="left")
    for name in ("t [s]", "what", "recorded", "now"):
        table.add_column(name, justify="right" if name == "t [s]" else "left", overflow="fold")
    for item in result.differences[:SHOWN]:
        table.add_row(f"{item.t:.3f}", item.what, str(item.recorded), str(item.now))
    return table


def _moment(result: Result) -> Table:
    table = Table(title="its inputs at the first", title_justify="left")
    for name in ("topic", "age [s]", "what it said"):
        table.add_column(name, justify="right" if name == "age [s]" else "left", overflow="fold")
    for topic, age, said in result.moment:
        table.add_row(topic, f"{age:.3f}", ", ".join(f"{key}={_short(value)}" for key, value in said.items() if key != "stamp"))
    return table


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def as_json(verdict: "Verdict") -> dict[str, Any]:
    """Return everything as `--json` prints it: times in seconds from the begin of the recording."""
    found = [item for result in verdict.results if result.node not in verdict.accepted for item in result.differences]
    return {
        "bag": str(verdict.path),
        "realtime_factor": round(verdict.realtime_factor, 1),
        "seconds": {"recorded": round(verdict.recorded, 3), "took": round(verdict.took, 3)},
        "used": _used(),
        "problem": verdict.problem,
        "compared": {_key(result, verdict): _summary(result) for result in verdict.results},
        "accepted": sorted(verdict.accepted),
        "differences": [_difference(item) for item in sorted(found, key=lambda item: item.t)],
        "inputs": {result.node: [_input(*row) for row in result.moment] for result in verdict.results if result.moment},
    }


def _used() -> dict[str, float]:
    """Return the processor time of this process and of those that it started [s], and the most memory that one of them had [MB]."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds, kilobytes = sum(item.ru_utime + item.ru_stime for item in used), max(item.ru_maxrss for item in used)
    return {"processor_s": round(seconds, 3), "memory_mb": round(kilobytes * 1024 / 1e6, 1)}


def _key(result: Result, verdict: "Verdict") -> str:
    """Return the node's name, with a number where it started more than once."""
    same = [item for item in verdict.results if item.node == result.node]
    number = next(index for index, item in enumerate(same) if item is result)
    return result.node if len(same) == 1 else f"{result.node}#{number + 1}"


def _summary(result: Result) -> dict[str, Any]:
    return {
        "from": result.begin,
        "to": result.end,
        "events": result.events,
        "messages": result.messages,
        "not_recorded": result.unrecorded,
        "decisions": dict(result.decisions),
        "differences": result.count,
        "gaps": [{"from": gap.begin, "to": gap.end, "why": gap.why} for gap in result.gaps],
    }


def _difference(item: Difference) -> dict[str, Any]:
    return {"t": item.t, "node": item.node, "what": item.what, "recorded": _plain(item.recorded), "now": _plain(item.now)}


def _input(topic: str, age: float, said: Mapping[str, Any]) -> dict[str, Any]:
    return {"topic": topic, "age": age, "said": {key: _plain(value) for key, value in said.items()}}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: what is no finite number, and what has parts, in words."""
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return value if isinstance(value, (int, str, bool)) or value is None else str(value)
