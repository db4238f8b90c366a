"""Traces and snapshots: a loop that is put back goes on as the one that it was taken from, whatever it holds."""

import json
from dataclasses import replace
from math import isnan
from typing import Any

import pytest

from evse_core import types
from evse_core.charge_sequencer import ChargeSequencer, SequencerConfig
from evse_core.charge_sequencer_loop import ANSWER, ASK, FRESH_ID, SequencerLoop, asked
from evse_core.energy_manager import ManagerConfig
from evse_core.energy_manager_loop import SET_DISCHARGE, ManagerLoop
from evse_core.safety_config import SafetyConfig
from evse_core.safety_monitor import SafetyMonitor
from evse_core.safety_monitor_loop import EMERGENCY_STOP, RESET, SafetyLoop
from evse_core.snapshot import CLASSES, FIXED, MODULES, SnapshotError, capture, restore
from evse_core.trace import STEP, Loop, Trace, as_sent
from evse_core.types import RequestKind, SessionRequest

LOOPS = {
    "sequencer": lambda: SequencerLoop(ChargeSequencer(SequencerConfig())),
    "pilot": lambda: SequencerLoop(ChargeSequencer(SequencerConfig(vehicle_link="pilot"))),
    "safety": lambda: SafetyLoop(SafetyMonitor(SafetyConfig()), now=0.0),
    "manager": lambda: ManagerLoop(ManagerConfig(), (1, 2)),
}
# What each topic of a loop carries.
KINDS: dict[str, type[Any]] = {
    "vehicle_report": types.VehicleReport,
    "power_report": types.PowerReport,
    "io_report": types.IoReport,
    "safety_state": types.SafetyState,
    "can_status": types.CanStatus,
    "authorization": types.Authorization,
    "power_budget": types.PowerBudget,
    "charge_record": types.ChargeRecord,
    "session_state": types.SessionState,
    "cabinet_report": types.CabinetReport,
    "meter_reading": types.MeterReading,
    "power_command": types.PowerCommand,
    "io_command": types.IoCommand,
    "node_health": types.NodeHealth,
    "charging_limit": types.ChargingLimit,
    "driver_rules": types.DriverRules,
}


def given(name: str, number: int) -> Any:
    """Return something for a name: the number makes it another one each time."""
    calls = {
        FRESH_ID: f"id-{number}",
        ASK: asked(SessionRequest(kind=RequestKind.START, token=f"T{number}")),
        SET_DISCHARGE: "[1000.0, 60.0]",
    }
    if name.endswith("()"):
        return calls.get(name, "")
    value = KINDS[name.rpartition("/")[2]](stamp=float(number))
    changes: dict[str, Any] = {}
    for field, worth in (("complete", True), ("age", 0.01), ("plugged", number % 3 > 0), ("voltage", 100.0 + number), ("current", 5.0)):
        if hasattr(value, field):
            changes[field] = worth
    if isinstance(value, types.NodeHealth):
        changes |= {"node": f"/node_{number % 4}", "free_space": 1e6, "started": float(number % 5)}
    if isinstance(value, types.CanStatus):
        changes["buses"] = (types.CanBusStatus(link=types.BusLink.IO, received=number),)
    if isinstance(value, types.SessionState):
        changes |= {"session_active": number % 4 > 1, "state": types.ChargeState(number % 20 + 1)}
    return replace(value, **changes)


def played(loop: Loop, begin: int, end: int) -> list[str]:
    """Give a loop everything that it takes, again and again; return all that it says."""
    said = []
    for number in range(begin, end):
        names = [name for name in loop.names if name != "failed()"]
        name = names[number * 7 % len(names)] if number % 3 else STEP
        said.append(repr(loop.on(name, given(name, number), 10.0 + 0.04 * number, 1e9 + 0.04 * number)))
    return said


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_that_is_put_back_goes_on_as_the_one_that_it_was_taken_from(name: str) -> None:
    make = LOOPS[name]
    original = make()
    for begin in range(0, 300, 50):
        played(original, begin, begin + 50)
        text = capture(original)
        copy = make()
        restore(copy, text)
        assert capture(copy) == text
        ahead = make()
        restore(ahead, text)
        assert played(copy, begin + 50, begin + 90) == played(ahead, begin + 50, begin + 90)
    restored = make()
    restore(restored, capture(original))
    assert played(restored, 300, 400) == played(original, 300, 400)


def test_a_snapshot_makes_nothing_but_objects_of_the_rules() -> None:
    loop = LOOPS["safety"]()
    for text in (
        '{"object": "Popen", "has": {}}',
        '{"enum": "Path", "is": "/"}',
        "[",
        "3",
        '{"object": "SafetyLoop", "has": {"_monitor": {"object": "os.system", "has": {}}}}',
    ):
        before = capture(loop)
        if text == "3":
            restore(loop, text)
        else:
            with pytest.raises(SnapshotError):
                restore(loop, text)
        assert capture(loop) == before


def test_what_a_class_gained_since_a_snapshot_keeps_what_its_constructor_gave_it() -> None:
    loop = LOOPS["manager"]()
    played(loop, 0, 60)
    data = json.loads(capture(loop))
    del data["has"]["_told"]
    data["has"]["_something_else"] = 5
    fresh = LOOPS["manager"]()
    restore(fresh, json.dumps(data))
    assert fresh.told == {}
    assert not hasattr(fresh, "_something_else")
    assert played(fresh, 60, 70)


def test_classes_of_a_snapshot_are_known_by_one_name_each() -> None:
    for module in MODULES:
        for name, kind in vars(module).items():
            if isinstance(kind, type) and kind.__module__.startswith("evse_core"):
                assert CLASSES[kind.__name__] is kind, name
    assert "SafetyMonitor" in FIXED


def test_a_thing_without_a_form_is_named() -> None:
    loop = LOOPS["manager"]()
    loop._told = {1: complex(1, 2)}  # type: ignore[attr-defined]
    with pytest.raises(SnapshotError, match="complex has no form"):
        capture(loop)


def test_a_trace_says_what_came_when_and_what_followed() -> None:
    trace = Trace("/evse_1/x", 3.0, (STEP, "power_report"))
    trace.note("power_report", types.PowerReport(stamp=7.0), 1.0, 100.0, 0)
    trace.note(STEP, "text", 1.5, 100.5, 4)
    found = trace.take("state")
    assert (found.node, found.started, found.number, found.snapshot) == ("/evse_1/x", 3.0, 0, "state")
    assert (found.kinds, found.times, found.stamps, found.published, found.texts) == ((1, 0), (1.0, 1.5), (100.0, 100.5), (0, 4), ("text",))
    assert found.refs[0] == 7.0
    assert isnan(found.refs[1])
    again = trace.take()
    assert (again.number, again.kinds, again.texts) == (1, (), ())


def test_a_stamp_as_sent_is_what_comes_out_of_a_message() -> None:
    convert = pytest.importorskip("evse_nodes.convert")
    for stamp in (0.0, 1.5, 1795301897.4268796, 1795301908.0815105, 1e9 + 1e-9, 1795283072.9999999):
        assert as_sent(stamp) == convert.from_time(convert.to_time(stamp))


def test_a_request_that_is_refused_changes_nothing_and_is_answered() -> None:
    loop = LOOPS["sequencer"]()
    loop.on(FRESH_ID, "id", 1.0, 1.0)
    loop.on(STEP, "", 1.0, 1.0)
    before = capture(loop)
    outputs = loop.on(ASK, asked(SessionRequest(kind=RequestKind.START, token="")), 1.1, 1.1)
    assert [name for name, _ in outputs] == [ANSWER]
    assert not outputs[0][1].accepted
    assert capture(loop) == before


def test_an_emergency_stop_is_put_out_at_once_and_a_reset_is_a_call() -> None:
    loop = LOOPS["safety"]()
    loop.on(STEP, "", 1.0, 1.0)
    names = [name for name, _ in loop.on(EMERGENCY_STOP, "", 1.01, 1.01)]
    assert "safety_state" in names
    assert "fault_event" in names
    assert loop.last.faults[0] == "emergency_stop"
    assert "emergency_stop" in loop.last.faults
    assert [name for name, _ in loop.on(RESET, "", 1.02, 1.02)] in ([], ["safety_state"])
