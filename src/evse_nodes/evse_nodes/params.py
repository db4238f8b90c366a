"""Dataclasses of parameters to ROS parameters: declared with text, unit, bounds; read back as an instance."""

import re
from dataclasses import fields
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from evse_core.parameter import Parameter, check

T = TypeVar("T")


def declare(node: Node, config: type[T], prefix: str = "") -> T:
    """Declare every field of config as a read-only parameter (named prefix + field) and return the values; ValueError names what is out of bounds."""
    values = {}
    for item in fields(config):  # type: ignore[arg-type]
        info = item.metadata.get("parameter", Parameter("", item.name, ""))
        default = item.default
        text = f"{info.text} [{info.unit or '1'}]"
        descriptor = ParameterDescriptor(description=text, read_only=True, dynamic_typing=True)
        value = node.declare_parameter(prefix + item.name, _plain(default), descriptor).value
        values[item.name] = _like(default, value)
    result = config(**values)
    if errors := check(result):
        raise ValueError(f"{node.get_fully_qualified_name()}: parameter {'; '.join(errors)}")
    return result


def value(node: Node, name: str, default: Any, text: str) -> Any:
    """Declare one parameter and return its value, in the type of its default."""
    found = node.declare_parameter(name, _plain(default), ParameterDescriptor(description=text, read_only=True, dynamic_typing=True)).value
    return _like(default, found)


def _like(default: Any, found: Any) -> Any:
    """Return found in the type of default: a YAML file says 400 where 400.0 is meant."""
    if isinstance(default, float) and isinstance(found, int):
        return float(found)
    return tuple(found) if isinstance(default, tuple) else found


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def evse_number(node: Node) -> int:
    """Return N of the namespace /evse_N; ValueError outside such a namespace."""
    match = re.fullmatch(r"/evse_(\d+)", node.get_namespace())
    if match is None:
        raise ValueError(f"{node.get_name()} belongs into a namespace /evse_N, not {node.get_namespace()}")
    return int(match[1])
