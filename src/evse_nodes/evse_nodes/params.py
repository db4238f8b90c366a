"""Dataclasses of parameters to ROS parameters: declared with text, unit, bounds; read back as an instance."""

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from evse_core.parameter import Parameter, check

T = TypeVar("T")


def declare(node: Node, config: type[T], prefix: str = "") -> T:
    """Declare every field of config as a read-only parameter (named prefix + field) and return the values.

    ValueError names what is out of bounds or of another type than the default.
    """
    values = {}
    for item in fields(config):  # type: ignore[arg-type]
        info = item.metadata.get("parameter", Parameter("", item.name, ""))
        default = item.default
        text = f"{info.text} [{info.unit or '1'}]"
        descriptor = ParameterDescriptor(description=text, read_only=True, dynamic_typing=True)
        values[item.name] = _declared(node, prefix + item.name, default, descriptor)
    result = config(**values)
    if errors := check(result):
        raise ValueError(f"{node.get_fully_qualified_name()}: parameter {'; '.join(errors)}")
    return result


def value(node: Node, name: str, default: Any, text: str) -> Any:
    """Declare one parameter and return its value, in the type of its default; ValueError names a value of another type."""
    return _declared(node, name, default, ParameterDescriptor(description=text, read_only=True, dynamic_typing=True))


def _declared(node: Node, name: str, default: Any, descriptor: ParameterDescriptor) -> Any:
    """Typing is dynamic for the sake of one case, 400 where 400.0 is meant; what else ROS lets through is refused here."""
    found = node.declare_parameter(name, _plain(default), descriptor).value
    try:
        return _like(default, found)
    except TypeError:
        said = list(found) if isinstance(found, Sequence) and not isinstance(found, (str, bytes)) else found
        raise ValueError(f"{node.get_fully_qualified_name()}: parameter {name}: {said!r} is not {_expected(default)}") from None


def _like(default: Any, found: Any) -> Any:
    """Return found in the type of default: a YAML file says 400 where 400.0 is meant. TypeError for any other type."""
    if isinstance(default, tuple):
        if not isinstance(found, Sequence) or isinstance(found, (str, bytes)):
            raise TypeError
        return tuple(_like(default[0], item) if default else item for item in found)
    if type(default) is float and type(found) is int:
        return float(found)
    if type(found) is not type(default):
        raise TypeError
    return found


# What a value of each type is called in an error.
_TYPES = {bool: "a boolean (true or false)", int: "a whole number", float: "a number", str: "a text"}


def _expected(default: Any) -> str:
    if not isinstance(default, tuple):
        return _TYPES[type(default)]
    return f"a list, each {_TYPES[type(default[0])]}" if default else "a list"


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def evse_number(node: Node) -> int:
    """Return N of the namespace /evse_N; ValueError outside such a namespace."""
    match = re.fullmatch(r"/evse_(\d+)", node.get_namespace())
    if match is None:
        raise ValueError(f"{node.get_name()} belongs into a namespace /evse_N, not {node.get_namespace()}")
    return int(match[1])
