"""The node charge_sequencer and a probe that plays its surroundings: a whole session, rates, latency, services, orderly end."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

import charge_sequencer_rig
from charge_sequencer_rig import Rig, S
from diagnostic_msgs.msg import DiagnosticArray
from evse_msgs.srv import StartSession, StopSession
from probe import Probe
from std_srvs.srv import SetBool, Trigger

from evse_core.charge_sequencer import SequencerOutputs
from evse_core.types import ChargeState, PowerFunction, RequestKind, StopCause

# Fields of SequencerInputs by topic, as the surroundings write them at 20 Hz.
WRITTEN = {"vehicle": "vehicle_report", "power": "power_report", "io": "io_report", "safety": "safety_state", "can_status": "can_status"}
COMMANDS = ("power_command", "vehicle_command", "io_command")
# The longest ages that are allowed: a busy machine stalls this process, which is not what is tested here.
PATIENT = {"safety_age": 2.0, "io_age": 2.0, "power_age": 2.0, "vehicle_loss_age": 2.0, "vehicle_control_age": 1.0}


class Surroundings(Probe):
    """The rig's parts around the real node: reports follow what the node has published last."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.rig = Rig()
        self.rig.now = time.monotonic()
        self.read("session_state")
        self.read("session_request")
        for name in COMMANDS:
            self.read(name)
        self.told: set[str] = set()
        self.every(charge_sequencer_rig.STEP, self.go_on)
        self.process = self.start("charge_sequencer", PATIENT)

    def go_on(self) -> None:
        """Write what the parts report."""
        rig = self.rig
        rig.now = time.monotonic()
        if all(self.got[name] for name in (*COMMANDS, "session_state")):
            last = {name: self.got[name][-1][1] for name in (*COMMANDS, "session_state")}
            rig.out = SequencerOutputs(last["session_state"], last["power_command"], last["vehicle_command"], last["io_command"])
        before = dict(rig.samples)
        reports = rig.reports()
        rig.back_end()
        for name, value in reports.items():
            if name not in rig.silent:
                self.write(WRITTEN.get(name, "power_budget"), value)
        for name, topic in (("authorization", "authorization"), ("record", "charge_record")):
            if name in rig.samples and rig.samples[name] != before.get(name):
                self.write(topic, rig.samples[name].value)

    @property
    def state(self) -> ChargeState:
        """The state that was published last."""
        states = self.got["session_state"]
        return states[-1][1].state if states else ChargeState.UNKNOWN

    @property
    def path(self) -> list[ChargeState]:
        """The states in their order."""
        return list(dict.fromkeys(value.state for _, value in self.got["session_state"]))

    def to(self, *states: ChargeState, limit: float = 30.0) -> None:
        """Go on to one of some states."""
        try:
            self.until(lambda: self.state in states, limit, str(states))
        except AssertionError as error:
            raise AssertionError(f"after {self.path}") from error

    def ask(self, service: type[Any], name: str, **fields: Any) -> Any:
        """Call a service and return its answer."""
        client = self.node.create_client(service, name)
        self.until(client.service_is_ready, what=f"service {name}")
        future = client.call_async(service.Request(**fields))
        self.until(future.done, what=f"answer of {name}")
        return future.result()


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    for name, value in (("THINKING", 0.5), ("CLOSING", 0.3), ("REQUESTING", 0.3), ("OPENING", 0.5)):
        monkeypatch.setattr(charge_sequencer_rig, name, value)
    station = Surroundings(tmp_path)
    try:
        yield station
    finally:
        station.close()


def charge(station: Surroundings) -> None:
    """Start a session by the service and go on to CHARGING."""
    station.to(S.AVAILABLE)
    station.rig.plug()
    station.to(S.PREPARING)
    assert station.ask(StartSession, "start_session", token="TAG1", authorized=False).success
    station.to(S.CHARGING)


def test_whole_session_runs_and_is_told(station: Surroundings) -> None:
    charge(station)
    session = station.got["session_state"][-1][1]
    assert (session.token, session.remote_start, session.transaction_active) == ("TAG1", True, True)
    assert session.session_id
    refused = station.ask(StopSession, "stop_session", stop_cause=int(StopCause.REMOTE), session_id="another")
    assert not refused.success
    assert session.session_id in refused.message
    assert station.ask(StopSession, "stop_session", stop_cause=200, session_id=session.session_id).success
    station.to(S.FINISHED)
    station.rig.plug(False)
    station.to(S.AVAILABLE)
    passed = station.path
    assert passed[passed.index(S.PREPARING) :] == [
        S.PREPARING,
        S.AUTHORIZING,
        S.AUTHORIZED,
        S.WAITING_FOR_VEHICLE,
        S.WAITING_FOR_PERMISSION,
        S.LOCKING,
        S.CABLE_CHECK,
        S.LOWERING_OUTPUT,
        S.WAITING_FOR_CONTACTOR,
        S.WAITING_FOR_REQUEST,
        S.CHARGING,
        S.RAMPING_DOWN,
        S.WELDING_DETECTION,
        S.CLOSING,
        S.UNLOCKING,
        S.FINISHED,
    ]
    states = [value for _, value in station.got["session_state"]]
    assert list(dict.fromkeys(value.step for value in states if value.session_active)) == list(range(1, 13))
    assert {value.session_id for value in states if value.session_active} == {session.session_id}
    assert states[-1].stop_cause is StopCause.REMOTE
    asked = [(value.kind, value.token, value.stop_cause) for _, value in station.got["session_request"]]
    assert asked == [(RequestKind.START, "TAG1", StopCause.UNKNOWN), (RequestKind.STOP, "", StopCause.REMOTE)]


def rates(station: Surroundings, seconds: float) -> dict[str, float]:
    """Return how often each topic came in a window of time [1/s]."""
    names = (*COMMANDS, "session_state")
    before, begun = {name: len(station.got[name]) for name in names}, time.monotonic()
    station.spin(seconds)
    return {name: (len(station.got[name]) - before[name]) / (time.monotonic() - begun) for name in names}


def test_commands_come_at_20_hz_and_the_state_at_10_hz(station: Surroundings) -> None:
    """Never more often; as often in at least one window, since a busy machine starves some."""
    charge(station)
    station.spin(1.0)
    windows = []
    while len(windows) < 10 and not (windows and min(windows[-1]["power_command"], 2 * windows[-1]["session_state"]) >= 17.0):
        windows.append(rates(station, 3.0))
    for name, highest in (*((name, 26.0) for name in COMMANDS), ("session_state", 14.0)):
        assert max(window[name] for window in windows) <= highest
    assert min(windows[-1][name] for name in COMMANDS) >= 16.0
    assert windows[-1]["session_state"] >= 8.0


def test_state_is_shown_in_diagnostics(station: Surroundings) -> None:
    found: list[Any] = []
    station.node.create_subscription(DiagnosticArray, "/diagnostics", found.append, 10)
    station.to(S.AVAILABLE)
    status = station.until(lambda: next((item for message in found for item in message.status if item.message == "AVAILABLE"), None))
    assert status.name == "/evse_1/charge_sequencer"
    assert {item.key for item in status.values} >= {"reason", "step", "session", "stop_cause"}


def test_nothing_is_commanded_before_the_board_reports(station: Surroundings) -> None:
    station.rig.silent |= {"io"}
    station.to(S.INITIALISING)
    station.spin(1.5)
    assert not any(station.got[name] for name in COMMANDS)
    station.rig.silent.clear()
    station.to(S.AVAILABLE)
    station.until(lambda: all(station.got[name] for name in COMMANDS), 2.0)


def test_emergency_stop_cuts_contactor_and_function(station: Surroundings) -> None:
    charge(station)
    station.spin(0.5)
    station.rig.patch["io"] = {"emergency_stop": True}
    station.go_on()
    begun = time.monotonic()
    station.until(lambda: any(at > begun and not value.close_contactor for at, value in station.got["io_command"]), 2.0)
    off = next(at for at, value in station.got["power_command"] if at > begun and value.function is PowerFunction.OFF)
    print(f"function off {1e3 * (off - begun):.1f} ms after the report")
    station.to(S.FAULTED)


def test_changed_flag_is_followed_without_waiting_for_the_period(station: Surroundings) -> None:
    """Counts steps instead of milliseconds, which a busy machine stretches: each change brings one more than the period does."""
    station.to(S.AVAILABLE)
    station.spin(1.0)
    before, begun = len(station.got["io_command"]), time.monotonic()
    for change in range(40):
        station.rig.patch["io"] = {"door_open": change % 2 == 0}
        station.go_on()
        station.spin(0.04)
    passed = time.monotonic() - begun
    assert len(station.got["io_command"]) - before >= 20.0 * passed + 15


def test_services_answer_truthfully(station: Surroundings) -> None:
    station.to(S.AVAILABLE)
    assert not station.ask(StopSession, "stop_session").success
    assert not station.ask(StartSession, "start_session", token="").success
    assert station.ask(Trigger, "unlock_connector").success
    assert station.ask(SetBool, "set_availability", data=False).success
    station.to(S.UNAVAILABLE)
    refused = station.ask(StartSession, "start_session", token="TAG1", authorized=True)
    assert (refused.success, refused.message) == (False, "out of service")
    assert station.ask(SetBool, "set_availability", data=True).success
    station.to(S.AVAILABLE)


@pytest.mark.parametrize("charging", [True, False])
def test_interrupt_ends_the_session_and_exits_with_0(station: Surroundings, charging: bool) -> None:
    charge(station) if charging else station.to(S.AVAILABLE)
    assert station.interrupt(station.process) == 0
    last = {name: station.got[name][-1][1] for name in (*COMMANDS, "session_state")}
    assert last["session_state"].state is (S.FINISHED if charging else S.UNAVAILABLE)
    assert last["power_command"].function is PowerFunction.OFF
    assert (last["io_command"].close_contactor, last["io_command"].sequence_1, last["io_command"].lock) == (False, False, False)
    assert [value.kind for _, value in station.got["session_request"]][-1] is RequestKind.SHUTDOWN
    if charging:
        assert last["session_state"].stop_cause is StopCause.SHUTDOWN


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"unlock_voltage": 60.0}, ["unlock_voltage", "60.0", "10.0 V"]), ({"max_current": 0.0}, ["max_current", "1.0 A"])],
)
def test_parameter_out_of_bounds_exits_with_2(tmp_path: Path, parameters: dict[str, Any], words: list[str]) -> None:
    probe = Probe(tmp_path)
    try:
        process = probe.start("charge_sequencer", parameters)
        code: Callable[[], Any] = process.poll
        probe.until(lambda: code() is not None, what="the end of the process")
        assert process.returncode == 2
        assert all(word in probe.log("charge_sequencer") for word in words)
    finally:
        probe.close()
