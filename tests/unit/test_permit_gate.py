"""Whether power may pass: docs/design.md, "The permit" 2 and 3, as tables."""

from dataclasses import replace

import pytest
from can_bench import CHARGING, CONTACTOR, LINES_OFF, NO_PERMIT, PERMIT, POWER_OFF, TO_VEHICLE

from evse_core.permit_gate import Inputs, PermitGate
from evse_core.sample import Sample
from evse_core.types import CutCause, IoCommand, PowerCommand, PowerFunction

NOW = 10.0
STANDBY = replace(POWER_OFF, function=PowerFunction.STANDBY)


def inputs(power: PowerCommand | None = CHARGING, io: IoCommand | None = CONTACTOR, **changes: object) -> Inputs:
    """Return inputs that came just now; a keyword `..._age` makes one of them old [s], `safety` replaces the permit."""
    values = {"safety": changes.get("safety", PERMIT), "power": power, "io": io, "vehicle": changes.get("vehicle", TO_VEHICLE)}
    return Inputs(
        **{
            name: None if value is None else Sample(value, NOW - float(changes.get(f"{name}_age", 0.0)))  # type: ignore[arg-type]
            for name, value in values.items()
        }
    )


def armed() -> PermitGate:
    """Return a gate that has seen Off and an open contactor, and lets power through."""
    gate = PermitGate(0.2, 0.2)
    gate.decide(inputs(POWER_OFF, LINES_OFF), NOW)
    assert gate.decide(inputs(), NOW) is CutCause.NONE
    return gate


CAUSES = [
    ({}, CutCause.NONE),
    ({"safety": None}, CutCause.PERMIT_ABSENT),
    ({"safety": NO_PERMIT}, CutCause.PERMIT_REVOKED),
    ({"safety_age": 0.199}, CutCause.NONE),
    ({"safety_age": 0.201}, CutCause.PERMIT_STALE),
    ({"safety": NO_PERMIT, "safety_age": 0.201}, CutCause.PERMIT_STALE),
    ({"power_age": 0.199}, CutCause.NONE),
    ({"power_age": 0.201}, CutCause.COMMAND_STALE),
    ({"io_age": 0.199}, CutCause.NONE),
    ({"io_age": 0.201}, CutCause.COMMAND_STALE),
    ({"vehicle_age": 0.199}, CutCause.NONE),
    ({"vehicle_age": 0.201}, CutCause.COMMAND_STALE),
    ({"vehicle": None}, CutCause.NONE),
    ({"power": None}, CutCause.COMMAND_STALE),
    ({"io": None}, CutCause.COMMAND_STALE),
    ({"safety_age": 0.201, "power_age": 5.0}, CutCause.PERMIT_STALE),
]


@pytest.mark.parametrize(("changes", "cause"), CAUSES)
def test_power_passes_only_under_a_fresh_permit_and_fresh_commands(changes: dict[str, object], cause: CutCause) -> None:
    gate = armed()
    assert gate.decide(inputs(**changes), NOW) is cause  # type: ignore[arg-type]
    assert gate.tripped is (cause is not CutCause.NONE)
    assert gate.cut_count == (cause is not CutCause.NONE)


@pytest.mark.parametrize(("changes", "cause"), [case for case in CAUSES if case[1] is not CutCause.NONE])
def test_cut_stays_when_its_cause_is_gone(changes: dict[str, object], cause: CutCause) -> None:
    gate = armed()
    gate.decide(inputs(**changes), NOW)  # type: ignore[arg-type]
    for _ in range(3):
        assert gate.decide(inputs(), NOW) is cause
    assert gate.cut_count == 1


@pytest.mark.parametrize(
    ("power", "io", "changes", "unlatched"),
    [
        (POWER_OFF, LINES_OFF, {}, True),
        (POWER_OFF, CONTACTOR, {}, False),
        (CHARGING, LINES_OFF, {}, False),
        (STANDBY, LINES_OFF, {}, False),
        (replace(POWER_OFF, function=PowerFunction.UNKNOWN), LINES_OFF, {}, False),
        (POWER_OFF, LINES_OFF, {"power_age": 0.201}, False),
        (POWER_OFF, LINES_OFF, {"io_age": 0.201}, False),
        (POWER_OFF, LINES_OFF, {"safety": NO_PERMIT}, True),
    ],
    ids=["off and open", "contactor", "power", "standby", "unknown function", "stale off", "stale open", "without a permit"],
)
def test_only_off_and_open_together_lift_the_latch(power: PowerCommand, io: IoCommand, changes: dict[str, object], unlatched: bool) -> None:
    gate = armed()
    gate.decide(inputs(safety=NO_PERMIT), NOW)
    gate.decide(inputs(power, io, **changes), NOW)
    assert gate.tripped is not unlatched
    assert (gate.decide(inputs(), NOW) is CutCause.NONE) is unlatched


def test_off_and_open_one_after_the_other_do_not_lift_the_latch() -> None:
    gate = armed()
    gate.decide(inputs(safety=NO_PERMIT), NOW)
    gate.decide(inputs(POWER_OFF, CONTACTOR), NOW)
    gate.decide(inputs(CHARGING, LINES_OFF), NOW)
    assert gate.decide(inputs(), NOW) is CutCause.PERMIT_REVOKED


@pytest.mark.parametrize(("power", "io"), [(CHARGING, CONTACTOR), (CHARGING, LINES_OFF), (POWER_OFF, CONTACTOR)])
def test_gate_of_a_restarted_bridge_is_shut_although_permit_and_commands_are_there(power: PowerCommand, io: IoCommand) -> None:
    gate = PermitGate(0.2, 0.2)
    assert gate.decide(inputs(power, io), NOW) is CutCause.PERMIT_ABSENT
    assert gate.tripped
    assert gate.cut_count == 1


def test_power_that_was_commanded_without_a_permit_does_not_come_with_it_later() -> None:
    gate = PermitGate(0.2, 0.2)
    gate.decide(inputs(POWER_OFF, LINES_OFF), NOW)
    assert gate.decide(inputs(safety=NO_PERMIT), NOW) is CutCause.PERMIT_ABSENT
    assert gate.decide(inputs(), NOW) is CutCause.PERMIT_ABSENT


@pytest.mark.parametrize("changes", [{"safety": NO_PERMIT}, {"safety": None}, {"power_age": 9.0}])
def test_nothing_is_cut_where_nothing_was_commanded(changes: dict[str, object]) -> None:
    gate = PermitGate(0.2, 0.2)
    gate.decide(inputs(POWER_OFF, LINES_OFF), NOW)
    assert gate.decide(inputs(STANDBY, LINES_OFF, **changes), NOW) is not CutCause.NONE
    assert not gate.tripped
    assert gate.cut_count == 0


def test_every_cut_is_counted() -> None:
    gate = armed()
    for count in (1, 2, 3):
        gate.decide(inputs(safety=NO_PERMIT), NOW)
        assert gate.cut_count == count
        gate.decide(inputs(POWER_OFF, LINES_OFF), NOW)
        gate.decide(inputs(), NOW)
