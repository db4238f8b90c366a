"""The contract in msg/ and srv/: units on every float, enumerations from 0 = UNKNOWN, plain types that agree field by field."""

import re
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest

from evse_core import types

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = sorted((ROOT / "msg").glob("*.msg"))
INTERFACES = MESSAGES + sorted((ROOT / "srv").glob("*.srv"))
FIELD = re.compile(r"^([A-Za-z_]+[\w/]*(?:\[[<=\d]*\])?) ([a-z]\w*)$")
CONSTANT = re.compile(r"^uint8 ([A-Z][A-Z0-9_]*)=(\d+)$")

# Message fields without an enumeration of their own name: which enum class their number belongs to.
ENUM_OF_CONSTANTS = {
    ("VehicleReport", "LINK"): types.VehicleLink,
    ("ControllerReport", "PHASE"): types.ControllerPhase,
    ("ControllerReport", "PROTOCOL"): types.VehicleProtocol,
    ("ControllerReport", "PLUG"): types.Plug,
    ("ControllerReport", "EMERGENCY"): types.EmergencyOrigin,
    ("ControllerReport", "FUNCTION"): types.PowerFunction,
    ("PowerCommand", "FUNCTION"): types.PowerFunction,
    ("PowerCommand", "PHASE"): types.ControllerPhase,
    ("IoCommand", "LAMP"): types.Lamp,
    ("AcReport", "PILOT_STATE"): types.PilotState,
    ("IoReport", "PILOT_FAULT"): types.PilotFault,
    ("CanBusStatus", "LINK"): types.BusLink,
    ("CanBusStatus", "HEALTH"): types.BusHealth,
    ("CanStatus", "CUT"): types.CutCause,
    ("SafetyState", "REACTION"): types.Reaction,
    ("SessionReport", "OUTCOME"): types.SessionOutcome,
    ("SessionReport", "PARTY"): types.Party,
    ("SessionState", "STATE"): types.ChargeState,
    ("SessionState", "STOP"): types.StopCause,
    ("SessionRequest", "KIND"): types.RequestKind,
    ("Authorization", "VERDICT"): types.Verdict,
    ("Authorization", "SOURCE"): types.VerdictSource,
    ("ChargeRecord", "STATUS"): types.RecordStatus,
    ("UplinkState", "REGISTRATION"): types.Registration,
    ("MeterReading", "METER"): types.MeterStatus,
}


def blocks(path: Path) -> list[tuple[list[str], str]]:
    """Return (comment lines directly above, line) for each line that is neither blank nor a comment."""
    found: list[tuple[list[str], str]] = []
    comments: list[str] = []
    for line in (text.strip() for text in path.read_text().splitlines()):
        if line.startswith("#"):
            comments.append(line[1:].strip())
            continue
        if line and line != "---":
            found.append((comments, line))
        comments = []
    return found


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.stem)
def test_every_float_has_exactly_one_unit(path: Path) -> None:
    for comments, line in blocks(path):
        match = FIELD.match(line)
        if match and match[1].startswith("float"):
            units = re.findall(r"\[[^\]]+\]", " ".join(comments))
            assert len(units) == 1, f"{path.name}: {match[2]} has the units {units}"


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.stem)
def test_says_on_top_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_plain_type_agrees_field_by_field(path: Path) -> None:
    names = [match[2] for _, line in blocks(path) if (match := FIELD.match(line))]
    assert names == [item.name for item in fields(getattr(types, path.stem))]


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_constants_agree_with_the_enumerations(path: Path) -> None:
    found: dict[type[IntEnum], dict[str, int]] = {}
    for _, line in blocks(path):
        if match := CONSTANT.match(line):
            prefix = next(key for key in ENUM_OF_CONSTANTS if key[0] == path.stem and match[1].startswith(key[1] + "_"))
            found.setdefault(ENUM_OF_CONSTANTS[prefix], {})[match[1][len(prefix[1]) + 1 :]] = int(match[2])
    for enum, members in found.items():
        assert members == {member.name: member.value for member in enum}
        assert members["UNKNOWN"] == 0


def test_every_enumeration_is_used_by_a_message() -> None:
    defined = {value for value in vars(types).values() if isinstance(value, type) and issubclass(value, IntEnum) and value is not IntEnum}
    assert defined == set(ENUM_OF_CONSTANTS.values())


def test_the_build_lists_every_interface() -> None:
    listed = set(re.findall(r"contract}:((?:msg|srv)/\w+\.\w+)", (ROOT / "src/evse_msgs/CMakeLists.txt").read_text()))
    assert listed == {str(path.relative_to(ROOT)) for path in INTERFACES}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_values_survive_the_way_through_a_message(path: Path) -> None:
    convert = pytest.importorskip("evse_nodes.convert")
    import evse_msgs.msg  # noqa: PLC0415

    value = example(getattr(types, path.stem))
    message = convert.to_message(value, getattr(evse_msgs.msg, path.stem))
    assert convert.from_message(message, type(value)) == value


def example(kind: type) -> object:
    """Return an instance in which every field differs from its default and survives float32."""
    hints = get_type_hints(kind)
    return kind(**{item.name: _example(hints[item.name]) for item in fields(kind)})


def _example(hint: type) -> object:
    if get_origin(hint) is tuple:
        return (_example(get_args(hint)[0]),)
    if issubclass(hint, IntEnum):
        return list(hint)[-1]
    plain = {float: 12.5, int: 7, str: "text", bool: True, bytes: b"\x01\x02"}
    return plain[hint] if hint in plain else example(hint)
