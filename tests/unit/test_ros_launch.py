"""Restarts under `ros2 launch`, with stand-ins for launch's actions, which no wheel brings: who dies comes back after growing pauses, nobody after the end."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from evse_tools.back_off import LONGEST_PAUSE, STABLE, BackOff
from evse_tools.node_specs import NodeSpec
from evse_tools.ros_launch import _node


@dataclass
class Action:
    """An action of launch: what it was made with."""

    arguments: dict[str, Any]


def make(**arguments: Any) -> Action:
    return Action(arguments)


@pytest.fixture(autouse=True)
def launch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, actions in {"launch": ("OpaqueFunction", "TimerAction"), "launch_ros": ("Node",)}.items():
        module = ModuleType(f"{name}.actions")
        for action in actions:
            setattr(module, action, make)
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, f"{name}.actions", module)


RUNNING, ENDING = SimpleNamespace(is_shutdown=False), SimpleNamespace(is_shutdown=True)


def die(node: Action) -> tuple[float, Action]:
    """Let a node's process end; return the pause and the node that then starts."""
    exited: Callable[[Any, Any], Action] = node.arguments["on_exit"]
    timer = exited(None, RUNNING)
    (start,) = timer.arguments["actions"]
    (again,) = start.arguments["function"](RUNNING)
    return timer.arguments["period"], again


def first() -> Action:
    return _node(NodeSpec("evse_nodes", "can_bridge", "can_bridge", "/evse_1"), Path("parameters.yaml"), BackOff())  # type: ignore[no-any-return]


def test_who_dies_is_started_again_as_before_after_growing_pauses() -> None:
    node, pauses = first(), []
    arguments = {name: value for name, value in node.arguments.items() if name != "on_exit"}
    for _ in range(7):
        pause, node = die(node)
        pauses.append(pause)
        assert {name: value for name, value in node.arguments.items() if name != "on_exit"} == arguments
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE]


def test_a_station_that_is_ending_starts_nobody() -> None:
    assert first().arguments["on_exit"](None, ENDING) is None


def test_launch_does_not_respawn_besides() -> None:
    assert "respawn" not in first().arguments


def test_pauses_begin_anew_after_a_minute() -> None:
    back_off = BackOff()
    assert [back_off.pause(ran) for ran in (0.0, 0.0, STABLE - 0.1, STABLE, 0.0)] == [1.0, 2.0, 4.0, 1.0, 2.0]
