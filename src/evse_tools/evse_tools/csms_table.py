"""What a simulated CSMS shows of its stations: a small table, from what its control port lists. Pure: data in, table out."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

# Lines of what arrived last. [1]
LAST = 12
_TRANSACTIONS = 6


def page(listed: Mapping[str, Any], recent: Iterable[str]) -> Group:
    """Return stations, their last transactions, and the messages that arrived last."""
    return Group(stations(listed), transactions(listed), *list(recent)[-LAST:])


def stations(listed: Mapping[str, Any]) -> Table:
    """Return a row for each station: whether it is there, what its connectors say, and what it has told."""
    table = _table("stations", "station", "", "connectors", "boots", "security events", "violations")
    for name, station in listed["stations"].items():
        connectors = {item["connector"]: item["status"] for item in station["statuses"]}
        events = [item for item in station["notices"] if item["action"] == "SecurityEventNotification"]
        broken = sum(1 for text in listed["violations"] if text.startswith(f"{name}:"))
        words = ", ".join(f"{number} {word}" for number, word in sorted(connectors.items()) if number)
        there = "connected" if name in listed["connected"] else "away"
        table.add_row(name, there, words, str(station["boots"]), str(len(events)), str(broken))
    return table


def transactions(listed: Mapping[str, Any]) -> Table:
    """Return a row for each of the last transactions."""
    table = _table("transactions", "number", "station", "connector", "token", "Wh", f"cost [{listed['currency']}]", "ended by")
    for item in listed["transactions"][-_TRANSACTIONS:]:
        cost = "" if item["cost"] is None else f"{item['cost'] / 100:.2f}"
        energy = "" if item["energy_wh"] is None else f"{item['energy_wh']:.0f}"
        end = item["reason"] or ("" if item["stop"] else "runs")
        table.add_row(str(item["transaction_id"]), item["charge_point"], str(item["connector"]), item["id_tag"], energy, cost, end)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in table.columns:
        column.no_wrap = column.header not in {"connectors"}
    return table
