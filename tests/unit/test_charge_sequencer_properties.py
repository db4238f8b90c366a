"""What must hold for the charging sequence whatever happens: random disturbances of a running station, and inputs that make no sense at all."""

import os
from dataclasses import replace
from math import inf, isfinite, nan
from typing import Any

from charge_sequencer_contract import ENERGISED, Watch
from charge_sequencer_rig import AT_REST, STEP, Rig, S
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from evse_core.charge_sequencer import ChargeSequencer, SequencerConfig, SequencerInputs, SequencerOutputs
from evse_core.sample import Sample
from evse_core.types import (
    Authorization,
    CanStatus,
    ChargeRecord,
    IoReport,
    PowerBudget,
    PowerFunction,
    PowerReport,
    Reaction,
    RecordStatus,
    RequestKind,
    SafetyState,
    SessionRequest,
    StopCause,
    VehicleReport,
    Verdict,
)

# Few in an ordinary run, which is to take seconds; EVSE_EXAMPLES=1000 searches longer. Shrinking a whole session takes minutes and tells little.
EXAMPLES = int(os.environ.get("EVSE_EXAMPLES", "15"))
PHASES_OF_SEARCH = (Phase.explicit, Phase.reuse, Phase.generate)
# Disturbances of a running station: (part, field, value), a silence, or something that the driver or the back end does.
PATCHES: list[tuple[str, dict[str, Any]]] = [
    ("vehicle", {"current_request": nan}),
    ("vehicle", {"current_request": 500.0}),
    ("vehicle", {"current_request": 0.0}),
    ("vehicle", {"charging_enabled": False}),
    ("vehicle", {"contactor_open": True}),
    ("vehicle", {"contactor_reported": False}),
    ("vehicle", {"system_fault": True}),
    ("vehicle", {"age": 0.6}),
    ("vehicle", {"max_voltage": nan, "target_voltage": 700.0}),
    ("vehicle", {"normal_stop_request": True}),
    ("vehicle", {"max_charging_time": 3.0}),
    ("power", {"voltage": nan}),
    ("power", {"current": nan}),
    ("power", {"current": 80.0}),
    ("power", {"enabled": False}),
    ("power", {"insulation_resistance": 1000.0}),
    ("power", {"max_current": 5.0, "max_voltage": 300.0}),
    ("io", {"permission": False}),
    ("io", {"locked": False}),
    ("io", {"locked": True}),
    ("io", {"contactor_closed": True}),
    ("io", {"contactor_closed": False}),
    ("io", {"connector_voltage": nan}),
    ("io", {"connector_voltage": 300.0}),
    ("io", {"connector_voltage": 0.0}),
    ("io", {"plugged": False}),
    ("io", {"emergency_stop": True}),
    ("io", {"earth_ok": False}),
    ("io", {"connector_temperature": 88.0}),
    ("safety", {"permit": False}),
    ("safety", {"reaction": Reaction.STOP}),
    ("safety", {"reaction": Reaction.BLOCK}),
    ("safety", {"reaction": Reaction.EMERGENCY}),
    ("can", {"cut_count": 3}),
]
SILENCES = ["vehicle", "power", "io", "safety", "record", "budget", "authorization"]
DEEDS = [
    "plug",
    "unplug",
    "start",
    "stop",
    "token",
    "other_token",
    "remote_start",
    "remote_stop",
    "unlock",
    "disable",
    "enable",
    "no_budget",
]
PHASES = [
    S.PREPARING,
    S.WAITING_FOR_VEHICLE,
    S.LOCKING,
    S.CABLE_CHECK,
    S.LOWERING_OUTPUT,
    S.WAITING_FOR_CONTACTOR,
    S.WAITING_FOR_REQUEST,
    S.CHARGING,
]
disturbance = st.tuples(
    st.sampled_from(
        [("patch", index) for index in range(len(PATCHES))] + [("silence", name) for name in SILENCES] + [("deed", name) for name in DEEDS]
    ),
    st.floats(0.05, 12.0),
    st.booleans(),
)


def do(rig: Rig, name: str) -> None:
    deeds: dict[str, Any] = {
        "plug": rig.plug,
        "unplug": lambda: rig.plug(False),
        "start": rig.start,
        "stop": rig.stop,
        "token": rig.token,
        "other_token": lambda: rig.token("04000000"),
        "remote_start": lambda: rig.ask(RequestKind.START, "TAG", authorized=True),
        "remote_stop": lambda: rig.ask(RequestKind.STOP),
        "unlock": lambda: rig.ask(RequestKind.UNLOCK),
        "disable": lambda: rig.ask(RequestKind.DISABLE),
        "enable": lambda: rig.ask(RequestKind.ENABLE),
        "no_budget": lambda: setattr(rig, "budget", 0.0),
    }
    deeds[name]()


def disturb(rig: Rig, what: tuple[str, Any], lasts: float, heals: bool) -> None:
    kind, detail = what
    if kind == "patch":
        part, fields = PATCHES[detail]
        rig.patch[part] |= fields
    elif kind == "silence":
        rig.silent.add(detail)
    else:
        do(rig, detail)
    rig.run(lasts)
    if heals:
        rig.silent.clear()
        for fields in rig.patch.values():
            fields.clear()


@settings(max_examples=EXAMPLES, deadline=None, phases=PHASES_OF_SEARCH)
@given(phase=st.sampled_from(PHASES), disturbances=st.lists(disturbance, min_size=1, max_size=6))
def test_no_disturbance_breaks_what_must_hold(phase: Any, disturbances: list[Any]) -> None:
    rig = Rig()
    watch = Watch(rig.config)
    rig.watchers.append(lambda rig: watch.check(rig.inputs, rig.out, rig.now))
    rig.to(phase)
    for what, lasts, heals in disturbances:
        disturb(rig, what, lasts, heals)
    rig.silent.clear()
    rig.patch = {name: {} for name in rig.patch}
    rig.stop()
    rig.settle(*AT_REST, limit=40.0)
    rig.plug(False)
    rig.ask(RequestKind.ENABLE)
    rig.settle(S.AVAILABLE, limit=40.0)
    assert rig.state is S.AVAILABLE, rig.path


@settings(max_examples=EXAMPLES, deadline=None, phases=PHASES_OF_SEARCH)
@given(
    st.sampled_from(["target_voltage", "max_voltage", "protocol_number"]),
    st.sampled_from([nan, -1.0, 0.0, 49.0, 501.0, 1e9]),
    st.lists(disturbance, max_size=3),
)
def test_unfit_vehicle_is_never_energised(field: str, value: float, disturbances: list[Any]) -> None:
    if field == "protocol_number":
        value = 9
    if field == "max_voltage" and not value < 50.0:
        value = 10.0
    rig = Rig().begin()
    rig.watchers.append(lambda rig: _assert_off(rig.out))
    for what, lasts, _ in disturbances:
        rig.patch["vehicle"] |= {field: value}
        disturb(rig, what, lasts, False)
        rig.patch["vehicle"] |= {field: value}
    rig.patch["vehicle"] |= {field: value}
    rig.run(20.0)


def _assert_off(out: SequencerOutputs) -> None:
    assert out.power.function in {PowerFunction.OFF, PowerFunction.STANDBY}
    assert not out.io.close_contactor
    assert not out.io.sequence_2


# Inputs that make no sense: any value in any field, samples of any age, missing or not.

numbers = st.sampled_from([nan, inf, -inf, -1.0, 0.0, 0.04, 1.0, 9.0, 60.0, 390.0, 410.0, 510_000.0])
flags = st.booleans()


def reports(kind: type[Any], **fixed: Any) -> st.SearchStrategy[Any]:
    """Return any instance of a dataclass of types."""
    fields = {}
    for name in kind.__slots__:
        default = getattr(kind(), name)
        if name in fixed:
            fields[name] = fixed[name]
        elif isinstance(default, bool):
            fields[name] = flags
        elif isinstance(default, float):
            fields[name] = numbers
        elif type(default) is int:
            fields[name] = st.integers(0, 3)
    return st.builds(kind, **fields)


def samples(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.tuples(values, st.sampled_from([0.0, 0.0, 0.1, 0.3, 5.0, -1.0])))


tokens = st.sampled_from(["", "A", "B"])
some_inputs = st.fixed_dictionaries(
    {
        "vehicle": samples(reports(VehicleReport)),
        "power": samples(reports(PowerReport)),
        "io": samples(reports(IoReport, token=tokens, token_count=st.integers(0, 15))),
        "safety": samples(reports(SafetyState, reaction=st.sampled_from(Reaction))),
        "can_status": samples(reports(CanStatus)),
        "authorization": samples(reports(Authorization, token=tokens, verdict=st.sampled_from(Verdict))),
        "budget": samples(reports(PowerBudget)),
        "record": samples(reports(ChargeRecord, status=st.sampled_from(RecordStatus), session_id=st.sampled_from(["", "session"]))),
        "requests": st.lists(
            st.builds(
                SessionRequest, kind=st.sampled_from(RequestKind), token=tokens, stop_cause=st.sampled_from(StopCause), authorized=flags
            ),
            max_size=2,
        ).map(tuple),
    }
)


@settings(max_examples=3 * EXAMPLES, deadline=None, phases=PHASES_OF_SEARCH)
@given(st.lists(st.tuples(some_inputs, st.sampled_from([0.05, 0.05, 0.05, 1.0, 0.0, -3.0, nan])), min_size=1, max_size=25))
def test_nonsense_never_breaks_it(steps: list[Any]) -> None:
    config = SequencerConfig()
    sequencer, now = ChargeSequencer(config), 10.0
    for given_inputs, passed in steps:
        now = now + passed if isfinite(passed) else now
        inputs = SequencerInputs(**{name: _sample(value, now) for name, value in given_inputs.items()}, fresh_id="session", stamp=now)
        out = sequencer.step(inputs, nan if not isfinite(passed) else now)
        assert out.session.state is sequencer.state
        assert 0.0 <= out.power.current <= config.max_current
        assert 0.0 <= out.power.voltage <= config.max_voltage
        assert not out.io.close_contactor or out.session.state in ENERGISED
        for request in inputs.requests:
            sequencer.answer(request, inputs, now)


def _sample(value: Any, now: float) -> Any:
    return Sample(value[0], now - value[1]) if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], float) else value


def test_same_inputs_give_the_same_outputs() -> None:
    """A recording can be verified: nothing but inputs and time decides."""
    rig = Rig()
    recorded: list[tuple[SequencerInputs, float, SequencerOutputs]] = []
    rig.watchers.append(lambda rig: recorded.append((rig.inputs, rig.now, rig.out)))
    rig.to(S.CHARGING).run(3.0).stop()
    rig.until(S.FINISHED)
    again = ChargeSequencer(rig.config)
    again.step(SequencerInputs(), 100.0)
    for inputs, now, out in recorded:
        assert repr(again.step(inputs, now)) == repr(out)


def test_clock_that_stands_or_runs_backwards_is_no_progress() -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    inputs = replace(rig.inputs, requests=())
    before = rig.sequencer.step(inputs, rig.now)
    for now in (rig.now, rig.now - 100.0, nan):
        out = rig.sequencer.step(inputs, now)
        assert (out.session.state, out.power.current) == (S.CHARGING, before.power.current)
        assert out.session.time_in_state == before.session.time_in_state
    assert rig.run(STEP * 2).state is S.CHARGING
