"""What every bench prints: rows of figures (how often measured, median, 99th percentile, highest), as JSON with the machine, or as a table."""

import json
import os
import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from evse_tools.machine import machine


def figure(name: str, values: Sequence[float], unit: str, digits: int = 2) -> dict[str, Any]:
    """Return the row of at least one value."""
    ordered = sorted(values)
    rank = max(0, -(-99 * len(ordered) // 100) - 1)
    return {
        "name": name,
        "n": len(ordered),
        "median": round(statistics.median(ordered), digits),
        "p99": round(ordered[rank], digits),
        "max": round(ordered[-1], digits),
        "unit": unit,
    }


def print_json(bench: str, figures: Sequence[dict[str, Any]], **more: Any) -> None:
    """Print the result of a bench for machines."""
    print(json.dumps({"bench": bench, "machine": machine(), "load": os.getloadavg()[0], "figures": figures, **more}, indent=2))


def print_table(title: str, heads: tuple[str, str, str], figures: Sequence[dict[str, Any]]) -> None:
    """Print it for people. `heads` are the headings of a row's name, of how often it was measured, and of the highest value."""
    table = Table(title=title, caption=machine())
    for number, column in enumerate((*heads[:2], "median", "99 %", heads[2], "unit")):
        table.add_column(column, justify="left" if number in {0, 5} else "right")
    for row in figures:
        table.add_row(row["name"], str(row["n"]), *(f"{row[key]:.1f}" for key in ("median", "p99", "max")), row["unit"])
    Console().print(table)
