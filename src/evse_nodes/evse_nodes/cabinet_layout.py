"""What a cabinet of power modules is made of, as one text parameter of module_allocator and of the simulated cabinet.

Whoever starts the nodes writes it (evse_tools/node_specs.py).
"""

import json
from typing import Any

from rclpy.node import Node

from evse_core.module_allocator import Cabinet, ModuleRating
from evse_core.module_demand import OutletRating
from evse_nodes.params import value


def declare(node: Node) -> Cabinet:
    """Declare the parameter `cabinet` and return what it says; ValueError where it cannot be read."""
    text = value(node, "cabinet", "", "modules, outlets and efficiency of the cabinet, a JSON object")
    try:
        return from_json(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{node.get_fully_qualified_name()}: parameter cabinet: {text!r} is no cabinet: {error!r}") from error


def from_json(data: dict[str, Any]) -> Cabinet:
    """Return what to_json wrote."""
    modules = tuple(
        ModuleRating(
            item["module"], float(item["max_current"]), float(item["max_power"]), float(item["max_voltage"]), frozenset(item["connections"])
        )
        for item in data["modules"]
    )
    outlets = tuple(
        OutletRating(item["outlet"], float(item["max_current"]), float(item["max_power"]), float(item["max_voltage"]))
        for item in data["outlets"]
    )
    if not modules or not outlets:
        raise ValueError("without modules or outlets")
    curve = tuple((float(load), float(share)) for load, share in data["efficiency"])
    return Cabinet(modules, outlets, curve) if curve else Cabinet(modules, outlets)


def to_json(cabinet: Cabinet) -> dict[str, Any]:
    """Return a cabinet as JSON values."""
    return {
        "modules": [
            {
                "module": item.module,
                "max_current": item.max_current,
                "max_power": item.max_power,
                "max_voltage": item.max_voltage,
                "connections": sorted(item.outlets),
            }
            for item in cabinet.modules
        ],
        "outlets": [
            {"outlet": item.outlet, "max_current": item.max_current, "max_power": item.max_power, "max_voltage": item.max_voltage}
            for item in cabinet.outlets
        ],
        "efficiency": [list(point) for point in cabinet.efficiency],
    }
