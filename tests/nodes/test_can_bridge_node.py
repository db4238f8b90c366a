"""can_bridge as a process between a probe on the topics and devices on simulated buses."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from probe import Probe
from unit.can_bench import (
    CHARGING,
    CONTACTOR,
    DATABASES,
    IO,
    LINES_OFF,
    NO_PERMIT,
    PERMIT,
    POWER_OFF,
    TO_VEHICLE,
    board_inputs,
    module_status,
    vehicle_frames,
)

from evse_core.types import BusHealth, BusLink, CutCause, IoCommand, VehicleCommand
from evse_nodes.can_bus import CanPort

PREFIXES = {BusLink.VEHICLE: "vehicle_bus", BusLink.POWER: "power_bus", BusLink.IO: "io_bus"}


class Setup:
    """The process, a sequencer and a monitor that repeat what a test sets, and devices that speak every 50 ms."""

    def __init__(self, probe: Probe, **parameters: Any) -> None:
        self.probe = probe
        net = random.randrange(0x10000)
        channels = {link: f"ff11::{net:x}:{int(link)}" for link in BusLink if link}
        self.ports = {link: CanPort(link.name, "udp_multicast", channel) for link, channel in channels.items()}
        assert all(port.wait_open(5.0) for port in self.ports.values())
        self.words: dict[str, Any] = {
            "safety_state": PERMIT,
            "power_command": POWER_OFF,
            "io_command": LINES_OFF,
            "vehicle_command": TO_VEHICLE,
        }
        self.inputs: dict[str, float] = {}
        self.seen: list[tuple[float, BusLink, str, dict[str, float]]] = []
        self.alive = 0
        for name in ("vehicle_report", "power_report", "io_report", "can_status"):
            probe.read(name)
        buses = {
            f"{prefix}.{key}": value
            for link, prefix in PREFIXES.items()
            for key, value in (("interface", "udp_multicast"), ("channel", channels[link]))
        }
        self.process = probe.start("can_bridge", buses | parameters)
        probe.every(0.05, self.speak)
        probe.every(0.005, self.listen)

    def speak(self) -> None:
        for name, value in self.words.items():
            self.say(name, value)
        self.alive += 1
        for frame in vehicle_frames():
            self.ports[BusLink.VEHICLE].send(frame)
        self.ports[BusLink.POWER].send(module_status())
        for frame in (board_inputs(self.alive, **self.inputs), IO.encode("IO_Measurements", {}), IO.encode("IO_Token", {})):
            self.ports[BusLink.IO].send(frame)

    def say(self, name: str, value: Any) -> None:
        """Publish a value; a permit is one of this moment."""
        self.probe.write(name, replace(value, given=time.monotonic()) if name == "safety_state" else value)

    def listen(self) -> None:
        for link, port in self.ports.items():
            for item in port.drain():
                decoded = DATABASES[link].decode(item.frame)
                self.seen.append((item.at, link, decoded.name, dict(decoded.signals)))

    def last(self, name: str) -> dict[str, float]:
        """Return the signals of the last frame with this name, nothing before the first."""
        return next((signals for _, _, found, signals in reversed(self.seen) if found == name), {})

    def newest(self, topic: str) -> Any:
        """Return the last value of a topic, None before the first."""
        values = self.probe.got[topic]
        return values[-1][1] if values else None

    @property
    def energised(self) -> bool:
        return self.last("DC_Power_Control").get("Power_Function") == 8 and self.last("IO_Outputs").get("Close_Contactor") == 1

    def off(self) -> bool:
        return self.last("DC_Power_Control").get("Power_Function") == 0 and self.last("IO_Outputs").get("Close_Contactor") == 0

    def charge(self) -> None:
        """Bring the bridge to power transfer; again from off where a stall of this process made it cut at once."""
        deadline = time.monotonic() + 60.0
        while not self.energised or self.words["power_command"] is not CHARGING:
            self.words |= {"power_command": POWER_OFF, "io_command": LINES_OFF, "safety_state": PERMIT}
            # Statuses from before these words do not count.
            self.probe.spin(0.2)
            seen = len(self.probe.got["can_status"])
            self.probe.until(
                lambda seen=seen: any(status.power_allowed for _, status in self.probe.got["can_status"][seen:]), what="permit"
            )
            self.words |= {"power_command": CHARGING, "io_command": CONTACTOR}
            self.probe.spin(0.3)
            assert time.monotonic() < deadline, "power never came to the bus"

    def close(self) -> None:
        for port in self.ports.values():
            port.close()


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    found = Probe(tmp_path)
    yield found
    found.close()


@pytest.fixture
def begin(probe: Probe) -> Iterator[Callable[..., Setup]]:
    """Yield a function that starts the process and everything around it."""
    started: list[Setup] = []

    def make(**parameters: Any) -> Setup:
        started.append(Setup(probe, **parameters))
        return started[-1]

    yield make
    for setup in started:
        setup.close()


def test_frames_become_reports_and_a_recording(begin: Callable[..., Setup], probe: Probe) -> None:
    frames = probe.read("can_frames")
    setup = begin()
    probe.until(lambda: setup.newest("io_report") is not None and setup.newest("io_report").complete, what="a complete io_report")
    probe.until(lambda: setup.newest("vehicle_report").complete and setup.newest("power_report").complete, what="all reports complete")
    probe.until(lambda: len(frames) >= 3, what="can_frames")
    vehicle, power, io = (setup.newest(name) for name in ("vehicle_report", "power_report", "io_report"))
    assert (vehicle.current_request, vehicle.soc_percent, power.voltage, io.plugged) == (50.0, 50.0, 400.0, True)
    assert max(vehicle.age, power.age, io.age) < 0.5
    recorded = [frame for _, message in frames for frame in message.frames]
    assert {(frame.link, frame.is_sent) for frame in recorded} == {(link, sent) for link in PREFIXES for sent in (True, False)}
    own = {0x108, 0x109, 0x210, 0x0106B000, 0x0106B003}
    assert own <= {frame.id for frame in recorded if frame.is_sent}
    assert not own & {frame.id for frame in recorded if not frame.is_sent}, "an echo was recorded as received"
    assert abs(recorded[-1].stamp - time.time()) < 30.0
    counters = {bus.link: bus for bus in setup.newest("can_status").buses}
    assert all(bus.received and bus.sent and not bus.unknown_id + bus.malformed + bus.unknown_value for bus in counters.values())


def test_recording_can_be_switched_off(begin: Callable[..., Setup], probe: Probe) -> None:
    frames = probe.read("can_frames")
    setup = begin(publish_frames=False)
    probe.until(lambda: setup.newest("io_report") is not None, what="io_report")
    probe.spin(0.5)
    assert not frames


def test_safety_input_reaches_its_topic_and_a_revoked_permit_the_bus(begin: Callable[..., Setup], probe: Probe, capsys: Any) -> None:
    """The times are printed, not asserted: other processes share the machine."""
    setup = begin()
    setup.charge()
    to_bus, to_topic = [], []
    for index in range(10):
        setup.charge()
        probe.spin(0.02 + random.random() * 0.05)
        setup.words["safety_state"] = NO_PERMIT
        start = time.monotonic()
        setup.say("safety_state", NO_PERMIT)
        probe.until(setup.off, what="power off on the bus")
        cut = next(at for at, _, name, signals in setup.seen if at > start and name == "DC_Power_Control" and not signals["Power_Function"])
        to_bus.append(cut - start)
        setup.inputs["Emergency_Stop"] = index % 2 == 0
        start = time.monotonic()
        setup.alive += 1
        setup.ports[BusLink.IO].send(board_inputs(setup.alive, **setup.inputs))
        probe.until(lambda wanted=index % 2 == 0: setup.newest("io_report").emergency_stop is wanted, what="io_report with the change")
        to_topic.append(next(at for at, value in probe.got["io_report"] if at > start and value.emergency_stop is (index % 2 == 0)) - start)
    with capsys.disabled():
        for what, times in (("permit to bus", to_bus), ("I/O frame to topic", to_topic)):
            print(f"\n{what}: median {1e3 * median(times):.1f} ms, worst {1e3 * max(times):.1f} ms of {len(times)}")
    assert setup.newest("can_status").cut_count >= 9


@pytest.mark.parametrize(
    ("silent", "cause"),
    [("safety_state", CutCause.PERMIT_STALE), ("power_command", CutCause.COMMAND_STALE), ("io_command", CutCause.COMMAND_STALE)],
)
def test_silence_cuts_power_and_the_cut_stays(begin: Callable[..., Setup], probe: Probe, silent: str, cause: CutCause) -> None:
    setup = begin()
    setup.charge()
    word = setup.words.pop(silent)
    probe.until(setup.off, 5.0, "power off on the bus")
    probe.until(lambda: setup.newest("can_status").cut_cause is cause, 5.0, f"{cause!r} in can_status")
    setup.words[silent] = word
    probe.spin(1.0)
    assert setup.off()
    assert setup.newest("can_status").cut_cause is cause


def test_bus_that_cannot_be_opened_is_reported_and_the_others_work(begin: Callable[..., Setup], probe: Probe) -> None:
    diagnostics: list[DiagnosticArray] = []
    probe.node.create_subscription(DiagnosticArray, "/diagnostics", diagnostics.append, 10)
    setup = begin(**{"power_bus.interface": "socketcan", "power_bus.channel": "can_absent"})

    def health() -> list[BusHealth]:
        status = setup.newest("can_status")
        return [] if status is None else [bus.health for bus in status.buses]

    probe.until(lambda: health() == [BusHealth.OK, BusHealth.CLOSED, BusHealth.OK], what="one closed bus")
    probe.until(lambda: "Error" in setup.newest("can_status").buses[1].detail, what="the reason")
    probe.until(lambda: setup.newest("io_report").complete, what="io_report")

    def levels() -> dict[str, tuple[bytes, str]]:
        return {item.name.split()[-1]: (item.level, item.message) for message in diagnostics[-1:] for item in message.status}

    reason = setup.newest("can_status").buses[1].detail
    probe.until(lambda: levels().get("power_bus") == (b"\x02", reason), what="diagnostics of the closed bus")
    assert levels()["io_bus"] == (b"\x00", "OK")
    assert setup.process.poll() is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"permit_timeout": 0.5}, "permit_timeout: 0.5 s is above 0.2 s"),
        ({"pistol": 0}, "pistol: 0"),
        ({"io_bus.channel": ""}, "io_bus.channel"),
        ({"io_bus.options": "[1]"}, "io_bus.options"),
        ({"io_bus.options": "{"}, "io_bus.options"),
    ],
)
def test_wrong_parameter_is_named_and_ends_with_2(begin: Callable[..., Setup], probe: Probe, wrong: dict[str, Any], named: str) -> None:
    setup = begin(**wrong)
    probe.until(lambda: setup.process.poll() is not None, what="the end of the process")
    assert setup.process.returncode == 2
    assert named in probe.log("can_bridge")


def test_interrupt_during_charging_waits_for_the_sequencer_to_end_the_session(begin: Callable[..., Setup], probe: Probe) -> None:
    setup = begin()
    setup.charge()
    setup.process.send_signal(2)
    probe.spin(1.0)
    assert setup.process.poll() is None
    assert setup.energised
    setup.words |= {
        "power_command": replace(POWER_OFF, session_announced=False),
        "io_command": IoCommand(),
        "vehicle_command": VehicleCommand(),
    }
    probe.until(lambda: setup.process.poll() is not None, 10.0, "the end of the process")
    probe.spin(0.1)
    assert setup.process.returncode == 0
    assert setup.off()
    assert setup.last("IO_Outputs")["Lock_Command"] == 0


def test_interrupt_without_a_sequencer_takes_the_lines_down_first(begin: Callable[..., Setup], probe: Probe) -> None:
    setup = begin()
    setup.charge()
    for name in ("power_command", "io_command", "vehicle_command"):
        del setup.words[name]
    assert probe.interrupt(setup.process) == 0
    probe.spin(0.1)
    assert setup.off()
    lines = [(signals["Sequence_1"], signals["Sequence_2"]) for _, _, name, signals in setup.seen if name == "IO_Outputs"]
    assert [pair for pair, _ in groupby(lines)][-3:] == [(1, 1), (1, 0), (0, 0)]
