"""From a rule's parameters to a section of the description."""

from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from evse_core.parameter import parameter
from evse_tools.config_models import section_model


@dataclass(frozen=True)
class Sample:
    """A rule's parameters."""

    voltage: float = parameter(400.0, "V", "a voltage", "own", 50.0, 500.0)
    count: int = parameter(3, "1", "a number", "own", 1, 9)
    on: bool = parameter(True, "", "a switch", "own")
    name: str = parameter("x", "", "a name", "own")
    numbers: tuple[int, ...] = parameter((1,), "", "numbers", "own")
    handed_on: float = parameter(1.0, "V", "given elsewhere", "own")


MODEL = section_model("sample", Sample, without=("handed_on",))


def test_defaults_are_those_of_the_rule() -> None:
    assert MODEL().model_dump() == {"voltage": 400.0, "count": 3, "on": True, "name": "x", "numbers": (1,)}


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("voltage", 50, 50.0),
        ("voltage", 500.0, 500.0),
        ("count", 9, 9),
        ("on", False, False),
        ("name", "", ""),
        ("numbers", [3, 2], (3, 2)),
    ],
)
def test_a_good_value_is_taken_in_the_type_of_the_rule(key: str, given: object, kept: object) -> None:
    value = getattr(MODEL(**{key: given}), key)
    assert (value, type(value)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("key", "given", "said"),
    [
        ("voltage", 49.9, "49.9 V is below 50.0 V"),
        ("voltage", 501, "501.0 V is above 500.0 V"),
        ("voltage", "400", "valid number"),
        ("voltage", True, "valid number"),
        ("voltage", float("nan"), "finite number"),
        ("voltage", float("inf"), "finite number"),
        ("count", 0, "0 1 is below 1 1"),
        ("count", 2.5, "valid integer"),
        ("count", True, "valid integer"),
        ("on", 1, "valid boolean"),
        ("on", "yes", "valid boolean"),
        ("name", 5, "valid string"),
        ("numbers", 1, "valid tuple"),
        ("numbers", ["1"], "valid integer"),
        ("handed_on", 1.0, "not permitted"),
        ("volts", 1.0, "not permitted"),
    ],
)
def test_a_bad_value_is_refused_with_its_bound(key: str, given: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MODEL(**{key: given})
