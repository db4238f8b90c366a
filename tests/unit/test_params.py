"""Parameters of a node: what has another type than its default is refused by name, never taken."""

from array import array
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from evse_core.parameter import parameter

pytest.importorskip("rclpy", reason="evse_nodes.params needs ROS")
from evse_nodes.params import declare, value


@dataclass(frozen=True)
class Config:
    """One field of each type."""

    ratio: float = parameter(1.5, "V", "a number", "test", 0.0, 500.0)
    count: int = parameter(3, "", "a whole number", "test", 0, 10)
    enabled: bool = parameter(True, "", "a switch", "test")
    label: str = parameter("a", "", "a text", "test")
    evses: tuple[int, ...] = parameter((1,), "", "a list", "test")


class FakeNode:
    """Gives what a file says, else the default, as rclpy does with dynamic typing."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    def declare_parameter(self, name: str, default: Any, descriptor: Any) -> Any:
        assert descriptor.dynamic_typing
        return SimpleNamespace(value=self.given.get(name, default))

    def get_fully_qualified_name(self) -> str:
        return "/evse_1/some_node"


def configured(**given: Any) -> Config:
    return declare(FakeNode(**given), Config)  # type: ignore[arg-type]


def test_defaults_come_back_in_their_own_types() -> None:
    assert configured() == Config()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("ratio", 400, 400.0),
        ("ratio", 2.5, 2.5),
        ("count", 0, 0),
        ("enabled", False, False),
        ("label", "", ""),
        ("evses", [1, 2], (1, 2)),
        ("evses", array("q", [4, 5]), (4, 5)),
        ("evses", [], ()),
    ],
)
def test_a_value_of_the_right_type_is_taken_and_a_whole_number_is_a_number(name: str, given: Any, expected: Any) -> None:
    found = getattr(configured(**{name: given}), name)
    assert (found, type(found)) == (expected, type(expected))


WRONG = [
    ("ratio", "400", "a number"),
    ("ratio", True, "a number"),
    ("ratio", [400.0], "a number"),
    ("ratio", None, "a number"),
    ("count", 3.0, "a whole number"),
    ("count", True, "a whole number"),
    ("count", "3", "a whole number"),
    ("enabled", 1, "a boolean (true or false)"),
    ("enabled", "false", "a boolean (true or false)"),
    ("label", 7, "a text"),
    ("label", False, "a text"),
    ("evses", ["1", "2"], "a list, each a whole number"),
    ("evses", [1, True], "a list, each a whole number"),
    ("evses", [1.0], "a list, each a whole number"),
    ("evses", 1, "a list, each a whole number"),
    ("evses", "12", "a list, each a whole number"),
]


@pytest.mark.parametrize(("name", "given", "expected"), WRONG)
def test_a_value_of_another_type_is_refused_with_node_name_value_and_type(name: str, given: Any, expected: str) -> None:
    with pytest.raises(ValueError, match="parameter") as error:
        configured(**{name: given})
    assert str(error.value) == f"/evse_1/some_node: parameter {name}: {given!r} is not {expected}"


def test_an_array_is_told_like_a_list() -> None:
    with pytest.raises(ValueError, match=r"parameter evses: \[1\.5\] is not a list, each a whole number"):
        configured(evses=array("d", [1.5]))


@pytest.mark.parametrize(("name", "given", "expected"), WRONG)
def test_a_single_parameter_is_refused_alike(name: str, given: Any, expected: str) -> None:
    with pytest.raises(ValueError, match="parameter") as error:
        value(FakeNode(**{name: given}), name, getattr(Config(), name), "text")  # type: ignore[arg-type]
    assert str(error.value) == f"/evse_1/some_node: parameter {name}: {given!r} is not {expected}"


def test_a_prefix_is_part_of_the_name_that_is_told() -> None:
    node = FakeNode(**{"bus.count": 1.5})
    with pytest.raises(ValueError, match=r"parameter bus\.count: 1\.5 is not a whole number"):
        declare(node, Config, "bus.")  # type: ignore[arg-type]


def test_a_value_out_of_bounds_is_still_refused() -> None:
    with pytest.raises(ValueError, match=r"ratio: 501\.0 V is above"):
        configured(ratio=501)
