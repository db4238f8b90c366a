"""A row of figures as every bench prints it: how often it was measured, median, 99th percentile, highest."""

import statistics
from collections.abc import Sequence
from typing import Any


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
