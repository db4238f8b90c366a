"""The simulator nodes in processes, and a probe that plays the station on their buses: lines, frames, services, wrong parameters, orderly end."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from evse_msgs.srv import InjectFault, PresentToken, SetBattery
from probe import Probe
from std_srvs.srv import Trigger

from evse_nodes import databases
from evse_nodes.can_bus import CanPort
from evse_simulators.local_door import knock

DATABASES = {"vehicle_simulator": "chademo", "power_module_simulator": "evse_v3", "io_board_simulator": "io_board"}


class Simulators(Probe):
    """The simulators that are started, a port of the station on the bus of each, and all topics between them."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.ports: dict[str, CanPort] = {}
        self.frames: list[tuple[float, str, dict[str, float]]] = []
        self.commands: dict[str, list[tuple[str, dict[str, float]]]] = {}
        self._alive = 0
        self.station_lines = self.read("sim/station_lines")
        self.vehicle_lines = self.read("sim/vehicle_lines")
        self.power = self.read("sim/power")
        self.every(0.02, self._collect)
        self.every(0.05, self._command)

    def simulate(self, executable: str, **parameters: Any) -> subprocess.Popen[bytes]:
        """Start a simulator on a bus of its own and connect the station's end of it."""
        channel = f"ff11::{random.randrange(1, 0xFFFF):x}:{random.randrange(1, 0xFFFF):x}"
        given = {"bus.interface": "udp_multicast", "bus.channel": channel} | parameters
        arguments = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
        code = f"from evse_simulators.{executable}_node import main; raise SystemExit(main())"
        log = (self._tmp_path / f"{executable}.log").open("wb")
        environment = os.environ | {"ROS_DOMAIN_ID": str(self.domain)}
        command = [sys.executable, "-c", code, "--ros-args", "-r", "__ns:=/evse_1", *arguments]
        self.processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
        self.ports[executable] = CanPort(executable, "udp_multicast", channel)
        return self.processes[-1]

    def say(self, executable: str, *messages: tuple[str, dict[str, float]]) -> None:
        """Repeat these frames from now on, and send them at once."""
        self.commands[executable] = list(messages)
        self._command()

    def _command(self) -> None:
        for executable, messages in self.commands.items():
            for name, signals in messages:
                self._alive = (self._alive + 1) % 256
                counted = signals | ({"Alive": self._alive} if name == "IO_Outputs" else {})
                self.ports[executable].send(databases.load(DATABASES[executable]).encode(name, counted, pistol=0))

    def _collect(self) -> None:
        for executable, port in self.ports.items():
            own = {name for name, _ in self.commands.get(executable, [])}
            for received in port.drain():
                decoded = databases.load(DATABASES[executable]).decode(received.frame)
                if decoded.name not in own:
                    self.frames.append((received.at, decoded.name, dict(decoded.signals)))

    def named(self, name: str) -> list[dict[str, float]]:
        return [signals for _, found, signals in self.frames if found == name]

    def ask(self, name: str, kind: type[Any] = Trigger, **fields: Any) -> tuple[Any, float]:
        """Call a service; return the answer and how long it took [s]."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, what=f"service {name}")
        begin = time.monotonic()
        future = client.call_async(kind.Request(**fields))
        self.until(future.done, what=f"answer of {name}")
        return future.result(), time.monotonic() - begin

    def close(self) -> None:
        for port in self.ports.values():
            port.close()
        super().close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Simulators]:
    simulators = Simulators(tmp_path)
    yield simulators
    simulators.close()


def test_board_and_vehicle_hand_lines_and_frames_on_at_once(bench: Simulators):
    processes = [bench.simulate("io_board_simulator"), bench.simulate("vehicle_simulator", think_time=0.5, permission_delay=0.1)]
    bench.until(lambda: bench.station_lines and bench.vehicle_lines and bench.named("IO_Inputs"), what="lines and frames")
    answer, took = bench.ask("vehicle_simulator/plug_in")
    assert (answer.success, took < 0.5) == (True, True)
    bench.until(lambda: bench.named("IO_Inputs")[-1]["Plugged"], what="proximity")

    for name, kind, fields in (
        ("io_board_simulator/press_start", Trigger, {}),
        ("io_board_simulator/press_stop", Trigger, {}),
        ("io_board_simulator/present_token", PresentToken, {"token": "04A1B2C3"}),
        ("vehicle_simulator/set_battery", SetBattery, {"soc_percent": 55.0, "capacity_kwh": float("nan"), "temperature": float("nan")}),
    ):
        answer, took = bench.ask(name, kind, **fields)
        assert (answer.success, took < 0.5) == (True, True), name
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(bench.domain))
        assert knock("/evse_1/vehicle_simulator", "plug_in", {}) == (False, "is plugged in already")
        assert knock("/evse_1/io_board_simulator", "present_token", {"tocken": ""}) is not None
    bench.until(lambda: bench.named("IO_Inputs")[-1]["Start_Count"] == 1.0 == bench.named("IO_Inputs")[-1]["Stop_Count"], what="buttons")
    bench.until(lambda: any(frame["Sequence"] == 1.0 for frame in bench.named("IO_Token")), what="token")
    bench.until(lambda: abs(bench.vehicle_lines[-1][1].soc_percent - 55.0) < 0.1, what="new state of charge")

    bench.say(
        "vehicle_simulator",
        ("SE_Capability", {"available_output_voltage": 500, "threshold_voltage": 420}),
        ("SE_Status", {"control_protocol_number": 2}),
    )
    asked = time.monotonic()
    bench.say("io_board_simulator", ("IO_Outputs", {"Sequence_1": 1}))
    seen = bench.until(lambda: [at for at, lines in bench.station_lines if lines.sequence_1], what="d1")[0]
    assert seen - asked < 0.1
    bench.until(lambda: bench.named("EV_Status"), what="frames of the vehicle")
    closed = bench.until(lambda: [at for at, lines in bench.vehicle_lines if lines.permission], what="switch k")[0]
    bench.until(lambda: bench.named("IO_Inputs")[-1]["Permission_K"], what="k in a frame")
    k_frame = next(at for at, name, signals in bench.frames if name == "IO_Inputs" and signals["Permission_K"])
    assert abs(k_frame - closed) < 0.1

    bench.commands.clear()
    stopped = time.monotonic()
    bench.until(lambda: not bench.station_lines[-1][1].sequence_1, what="the board's watchdog")
    assert time.monotonic() - stopped < 0.5
    assert [bench.interrupt(process) for process in processes] == [0, 0]


def test_an_ac_vehicle_and_its_board_answer_each_other_and_the_board_opens_by_itself(bench: Simulators):
    processes = [
        bench.simulate("io_board_simulator", vehicle_link="pilot", ac_phases=3, socket_outlet="true"),
        bench.simulate("ac_vehicle_simulator", start_delay=0.1),
    ]
    bench.until(lambda: bench.station_lines and bench.vehicle_lines and bench.named("IO_Pilot"), what="lines and frames")
    assert bench.ask("vehicle_simulator/plug_in")[0].success
    bench.until(lambda: bench.named("IO_Pilot")[-1]["Pilot_State"] == 2.0, what="state B")
    test = {"Pilot_Current": 6553.5, "Residual_Current_Test": 1}
    bench.say("io_board_simulator", ("IO_Outputs", test))
    bench.until(lambda: bench.named("IO_Pilot")[-1]["Residual_Current_Tested"] == 1.0, what="the self test")
    bench.say("io_board_simulator", ("IO_Outputs", {"Pilot_Current": 16.0, "Phases": 3, "Close_Contactor": 1}))
    bench.until(lambda: bench.named("IO_Inputs")[-1]["Contactor_Closed"] == 1.0, what="the contactor")
    bench.until(lambda: bench.named("IO_Powers")[-1]["Power_L3"] > 3600.0, what="power")
    asked = time.monotonic()
    assert bench.ask("vehicle_simulator/inject_fault", InjectFault, fault="ac_drops_out", active=True)[0].success
    bench.until(lambda: not bench.station_lines[-1][1].contactor_closed, what="the board's own opening")
    left = next(at for at, lines in bench.vehicle_lines if lines.pilot_resistance > 2000.0 and at > asked)
    opened = next(at for at, lines in bench.station_lines if not lines.contactor_closed and at > asked)
    assert opened - left <= 0.15
    bench.commands.clear()
    assert [bench.interrupt(process) for process in processes] == [0, 0]


def test_modules_wake_and_solve_the_path_25_times_a_second(bench: Simulators):
    bench.simulate("power_module_simulator", wake_delay=0.2)
    bench.until(lambda: bench.power, what="sim/power")
    beat = ("Advantics_Controller_Status", {"State": 3})
    bench.say("power_module_simulator", beat, ("New_Charge_Session", {"Communication_Protocol": 4}))
    bench.until(
        lambda: bench.named("Power_Modules_Status") and bench.named("Power_Modules_Status")[-1]["System_Enable"], what="System_Enable"
    )
    test = {"Power_Function": 2, "Target_Voltage": 450.0, "Output_Contactors": 1}
    bench.say("power_module_simulator", beat, ("DC_Power_Control", test))
    bench.until(lambda: abs(bench.power[-1][1].module_voltage - 450.0) < 1.0, what="test voltage")
    bench.until(lambda: abs(bench.named("Power_Modules_Status")[-1]["Present_Voltage"] - 450.0) < 1.0, what="test voltage in the report")
    count = len(bench.power)
    bench.spin(2.0)
    assert 40 <= len(bench.power) - count <= 55
    answer, _ = bench.ask("power_module_simulator/inject_fault", InjectFault, fault="module_refuses", active=True)
    assert answer.success
    bench.until(lambda: not bench.named("Power_Modules_Status")[-1]["System_Enable"], what="the refusal")
    answer, _ = bench.ask("power_module_simulator/inject_fault", InjectFault, fault="nonsense", active=True)
    assert (answer.success, "module_hot" in answer.message) == (False, True)


@pytest.mark.parametrize(
    ("executable", "name", "value"),
    [("vehicle_simulator", "soc_percent", 120.0), ("power_module_simulator", "efficiency", 2.0), ("io_board_simulator", "lock_time", -1.0)],
)
def test_a_wrong_parameter_ends_with_2_and_names_it(bench: Simulators, tmp_path: Path, executable: str, name: str, value: float):
    process = bench.simulate(executable, **{name: value})
    bench.until(lambda: process.poll() is not None, what="the end")
    assert process.returncode == 2
    text = (tmp_path / f"{executable}.log").read_text()
    assert name in text
    assert str(value) in text
