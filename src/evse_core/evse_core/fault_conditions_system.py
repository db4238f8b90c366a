"""Conditions of the fault table on the computer and the graph of nodes. See fault_conditions.py for what a condition returns."""

from operator import attrgetter

from evse_core.fault_conditions import Condition


def _fact(name: str) -> Condition:
    """Return what node_watch.py says about one thing."""
    return attrgetter(f"nodes.{name}")


node_silent = _fact("silent")
node_restarting = _fact("restarting")
station_node_restarting = _fact("station_restarting")
disk_low = _fact("disk_low")
disk_full = _fact("disk_full")
ledger_failed = _fact("ledger_failed")
storage_failed = _fact("storage_failed")
description_changed = _fact("description")
latches_lost: Condition = attrgetter("latch_problem")
