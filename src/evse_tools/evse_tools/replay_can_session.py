"""One replay: starts a station without a vehicle simulator, plays vehicle and driver to it, ends it. The processes of the station are as ever."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf, isfinite
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from evse_core.types import ChargeState
from evse_simulators.local_door import knock
from evse_simulators.recorded_vehicle import Mark, Recording
from evse_tools.demo_station import TOKENS
from evse_tools.description import Description
from evse_tools.node_specs import node_specs
from evse_tools.parameter_file import write_parameters
from evse_tools.replay_can_node import RecordedVehicleNode
from evse_tools.replay_can_report import Played
from evse_tools.supervisor import Supervisor

VEHICLE = "vehicle_simulator"
# A station is up in 5 to 15 s on two cores. [s]
UP_TIME = 90.0
# Time for a driver's action to show; then it is done again. [s]
PATIENCE = 4.0
# Longest wait of the log for our charger: longer than any limit of its sequence before charging, 20 s from permission to d2 (can.md S5). [s]
STUCK = 30.0
# What a session takes beside its log: driver, waits, shut-down. [s]
EXTRA = 120.0
# After the session's end, for the last frames. [s]
AFTERMATH = 1.0
ROUND, LOOK = 0.05, 0.5
OVER = frozenset({ChargeState.FINISHED, ChargeState.FAULTED, ChargeState.UNAVAILABLE})


class Session:
    """Plays a recording to a station. `say` takes what the supervisor reports."""

    def __init__(self, station: Description, folder: Path, recording: Recording, in_step: bool, say: Callable[[str], None]) -> None:
        specs = node_specs(station)
        self._vehicle = next(spec for spec in specs if spec.name == VEHICLE)
        self._supervisor = Supervisor(
            [spec for spec in specs if spec is not self._vehicle], folder / "log", lambda name, text: say(f"{name}: {text}")
        )
        self._parameters = write_parameters([self._vehicle], folder / "vehicle.yaml")
        self._recording, self._in_step, self._folder = recording, in_step, folder
        self._acts = ThreadPoolExecutor(1)
        self._asked: dict[str, float] = {}

    def run(self, domain: int) -> Played:
        """Play, and return what came of it. RuntimeError where the station does not come up."""
        try:
            self._supervisor.start()
            arguments = ["--ros-args", "-r", f"__ns:={self._vehicle.namespace}", "--params-file", str(self._parameters)]
            rclpy.init(args=arguments, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
            node = RecordedVehicleNode(self._recording, self._in_step, time.monotonic)
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            try:
                return self._played(node, executor)
            finally:
                self._supervisor.stop(lambda: executor.spin_once(timeout_sec=0.0) or False)
                node.close()
        finally:
            self._supervisor.stop()
            self._acts.shutdown(wait=False, cancel_futures=True)
            rclpy.try_shutdown()

    def _played(self, node: RecordedVehicleNode, executor: SingleThreadedExecutor) -> Played:
        self._spin(executor, lambda: node.registered and node.session.state is ChargeState.AVAILABLE, UP_TIME)
        if node.session.state is not ChargeState.AVAILABLE:
            raise RuntimeError(
                f"it was not ready within {UP_TIME:.0f} s: state {node.session.state.name.lower()}, see {self._folder / 'log'}"
            )
        node.model.plug_in()
        length = self._recording.frames[-1][0] - self._recording.frames[0][0]
        self._spin(executor, lambda: self._is_over(node), length + EXTRA)
        if not node.states:
            raise RuntimeError(f"no session began: state {node.session.state.name.lower()}; faults: {', '.join(node.faults) or 'none'}")
        stuck = node.model.waits_for if node.model.waited(time.monotonic()) >= STUCK else None
        session = node.session
        self._spin(executor, lambda: False, AFTERMATH)
        return _result(node, self._in_step, stuck, f"{session.stop_cause.name.lower()}: {session.stop_detail}")

    def _spin(self, executor: SingleThreadedExecutor, until: Callable[[], bool], seconds: float) -> None:
        """Let the node work until something is so, for some seconds at most."""
        end, look = time.monotonic() + seconds, -inf
        while time.monotonic() < end and not until():
            executor.spin_once(timeout_sec=ROUND)
            if time.monotonic() - look >= LOOK:
                look = time.monotonic()
                self._supervisor.poll()

    def _is_over(self, node: RecordedVehicleNode) -> bool:
        """Play the driver; tell whether there is nothing more to come."""
        state = node.session.state
        if state is ChargeState.PREPARING and not node.states:
            self._act("present_token", {"token": TOKENS[0]})
        elif state is ChargeState.AUTHORIZED:
            self._act("press_start", {})
        elif node.model.wants_stop and state is ChargeState.CHARGING:
            self._act("press_stop", {})
        begun = isfinite(node.model.started)
        return begun and (state in OVER or node.model.waited(time.monotonic()) >= STUCK)

    def _act(self, service: str, request: dict[str, str]) -> None:
        """Let the driver do something at the station's board, again where it has not helped; not in this thread, whose frames must not wait."""
        now = time.monotonic()
        if now - self._asked.get(service, -inf) >= PATIENCE:
            self._asked[service] = now
            self._acts.submit(knock, f"{self._vehicle.namespace}/io_board_simulator", service, request)


def _result(node: RecordedVehicleNode, in_step: bool, stuck: Mark | None, end: str) -> Played:
    """Return what was played, with times since the vehicle woke up."""
    model = node.model
    zero = model.started if isfinite(model.started) else 0.0
    return Played(
        wire=[(at - zero, frame) for at, frame in sorted(model.wire, key=lambda item: item[0]) if at >= zero],
        passed=model.passed,
        states=[(name, at - zero) for name, at in node.states],
        faults=node.faults,
        in_step=in_step,
        stuck=stuck,
        end=end,
        repeated=model.repeated,
        skipped=model.skipped,
        began=time.time() - (time.monotonic() - zero),
    )
