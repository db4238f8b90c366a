"""Figures of the reaction bench, and what its devices take for a cut."""

import pytest

pytest.importorskip("rclpy")

from evse_core.frame import Frame
from evse_core.types import BusLink
from evse_nodes.can_bus import Received
from evse_nodes.databases import load
from evse_tools.bench_figures import figure
from evse_tools.reaction_devices import TRANSFER, Devices

MODULES, BOARD = load("evse_v3"), load("io_board")


class Port:
    """A bus that gives what a test puts there."""

    def __init__(self) -> None:
        self.waiting: list[Received] = []
        self.sent: list[Frame] = []

    def drain(self) -> list[Received]:
        found, self.waiting = self.waiting, []
        return found

    def send(self, frame: Frame) -> bool:
        self.sent.append(frame)
        return True


@pytest.fixture
def devices() -> Devices:
    return Devices({link: Port() for link in (BusLink.VEHICLE, BusLink.POWER, BusLink.IO)})  # type: ignore[misc]


def say(devices: Devices, link: BusLink, frame: Frame, at: float) -> None:
    devices.ports[link].waiting.append(Received(frame, at))  # type: ignore[attr-defined]
    devices.turn()


def control(function: float) -> Frame:
    return MODULES.encode("DC_Power_Control", {"Power_Function": function}, pistol=1)


def outputs(closed: int) -> Frame:
    return BOARD.encode("IO_Outputs", {"Close_Contactor": closed})


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (BusLink.POWER, control(0)),
        (BusLink.POWER, MODULES.encode("Emergency_Stop", {"Origin": 1}, pistol=1)),
        (BusLink.IO, outputs(0)),
    ],
    ids=["function off", "emergency stop", "contactor open"],
)
def test_either_frame_is_the_cut(devices: Devices, link: BusLink, frame: Frame) -> None:
    say(devices, BusLink.POWER, control(TRANSFER), 1.0)
    assert not devices.powered
    say(devices, BusLink.IO, outputs(1), 1.1)
    assert devices.powered
    say(devices, link, frame, 1.2)
    assert (devices.powered, devices.cut_at) == (False, 1.2)


def test_a_second_cutting_frame_does_not_count(devices: Devices) -> None:
    say(devices, BusLink.POWER, control(TRANSFER), 1.0)
    say(devices, BusLink.IO, outputs(1), 1.1)
    say(devices, BusLink.POWER, control(0), 1.2)
    say(devices, BusLink.IO, outputs(0), 1.3)
    assert devices.cut_at == 1.2


def test_a_silent_vehicle_says_nothing_and_its_last_word_is_kept(devices: Devices) -> None:
    devices.speak(BusLink.VEHICLE)
    last = devices.vehicle_at
    devices.vehicle_speaks = False
    devices.speak(BusLink.VEHICLE)
    assert last > 0.0
    assert devices.vehicle_at == last
    assert len(devices.ports[BusLink.VEHICLE].sent) == 3  # type: ignore[attr-defined]


def test_percentiles_are_by_nearest_rank() -> None:
    row = figure("x", range(1, 201), "ms")
    assert row == {"name": "x", "n": 200, "median": 100.5, "p99": 198.0, "max": 200.0, "unit": "ms"}
