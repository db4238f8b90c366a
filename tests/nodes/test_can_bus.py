"""CanPort on python-can's udp_multicast: what gets through, what must not, and what happens to a bus that breaks."""

import random
import socket
import time
from collections.abc import Callable, Iterator

import can
import pytest
from nodes.can_rig import FRAME, MESSAGE, Attempts, Device, group, wait

from evse_core.frame import Frame
from evse_core.types import BusHealth
from evse_nodes import can_bus
from evse_nodes.can_bus import MOST_ECHOES, CanPort, Echoes, Received
from evse_nodes.can_interfaces import bus_arguments

pytest.importorskip("msgpack")
EXTENDED = Frame(0x01063000, bytes(8), extended=True)
# python-can's port of udp_multicast.
PORT = 43113


@pytest.fixture
def port() -> Iterator[Callable[..., CanPort]]:
    """Yield a function that opens a port on a channel."""
    opened: list[CanPort] = []

    def open_port(channel: str, *, ready: bool = True, interface: str = "udp_multicast", **arguments: object) -> CanPort:
        found = CanPort("test", interface, channel, **arguments)  # type: ignore[arg-type]
        opened.append(found)
        if ready:
            assert found.wait_open(5.0)
        return found

    yield open_port
    for item in opened:
        item.close()


def receive(receiver: CanPort, count: int = 1, limit: float = 5.0) -> list[Received]:
    found: list[Received] = []
    wait(lambda: found.extend(receiver.drain()) or len(found) >= count, limit)
    return found


@pytest.mark.parametrize("frame", [FRAME, EXTENDED, Frame(0x7FF, b"")])
def test_frame_arrives_as_it_was_sent(port: Callable[..., CanPort], frame: Frame) -> None:
    channel = group()
    sender, receiver = port(channel), port(channel)
    before = time.monotonic()
    assert sender.send(frame)
    (found,) = receive(receiver)
    assert (found.frame, found.is_error) == (frame, False)
    assert before <= found.at <= time.monotonic()
    assert (sender.sent, receiver.received, receiver.health, receiver.detail) == (1, 1, BusHealth.OK, "")


def test_sender_does_not_read_its_own_frames_back(port: Callable[..., CanPort]) -> None:
    """The back end does that, socketcan does not: a port is the same on both. The same frame of another sender is no echo."""
    channel = group()
    sender, other = port(channel), port(channel)
    assert sender.send(FRAME)
    assert receive(sender, limit=0.3) == []
    other.send(FRAME)
    assert [item.frame for item in receive(sender)] == [FRAME]
    assert (sender.sent, sender.received) == (1, 1)


def test_echo_that_never_came_costs_one_frame_at_most() -> None:
    echoes = Echoes()
    echoes.expect(FRAME)
    assert [echoes.take(FRAME), echoes.take(FRAME)] == [True, False]
    for number in range(2 * MOST_ECHOES):
        echoes.expect(Frame(number, b""))
    assert [number for number in range(2 * MOST_ECHOES) if echoes.take(Frame(number, b""))] == list(range(MOST_ECHOES, 2 * MOST_ECHOES))


def test_groups_on_one_port_do_not_leak_into_each_other(port: Callable[..., CanPort]) -> None:
    channels = [group() for _ in range(3)]
    ports = [port(channel) for channel in channels]
    for index, sender in enumerate(ports):
        sender.send(Frame(0x100 + index, b""))
    for index, channel in enumerate(channels):
        port(channel).send(Frame(0x200 + index, b""))
    seen = [[item.frame.id for item in receive(receiver, count=2, limit=0.3)] for receiver in ports]
    assert seen == [[0x200], [0x201], [0x202]]


def test_back_end_alone_does_leak_between_groups() -> None:
    """Why CanPort does something about it; when this fails, python-can has been repaired."""
    with (
        can.Bus(**bus_arguments("udp_multicast", group(), 500_000, {})) as one,
        can.Bus(**bus_arguments("udp_multicast", group(), 500_000, {})) as other,
    ):
        one.send(can.Message(arbitration_id=1, is_extended_id=False))
        assert other.recv(0.5) is not None


def test_garbage_datagrams_are_counted_and_cost_nothing_else(port: Callable[..., CanPort]) -> None:
    channel = group()
    sender, receiver = port(channel), port(channel)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as stranger:
        for size in range(50):
            stranger.sendto(bytes(random.randrange(256) for _ in range(size)), (channel, PORT))
            sender.send(FRAME)
    assert len(receive(receiver, count=50)) == 50
    assert wait(lambda: receiver.errors > 0)
    assert receiver.health is BusHealth.ERROR
    assert receiver.detail


def test_can_fd_frames_do_not_get_in(port: Callable[..., CanPort]) -> None:
    channel = group()
    receiver = port(channel)
    with can.Bus(**(bus_arguments("udp_multicast", channel, 500_000, {}) | {"fd": True})) as stranger:
        stranger.send(can.Message(arbitration_id=1, data=bytes(64), is_fd=True, is_extended_id=False))
        stranger.send(can.Message(arbitration_id=2, data=b"", is_extended_id=False))
    assert [item.frame.id for item in receive(receiver)] == [2]


def test_remote_frame_is_a_frame_without_data(port: Callable[..., CanPort]) -> None:
    channel = group()
    receiver = port(channel)
    with can.Bus(**bus_arguments("udp_multicast", channel, 500_000, {})) as stranger:
        stranger.send(can.Message(arbitration_id=0x102, dlc=8, is_remote_frame=True, is_extended_id=False))
    assert [item.frame for item in receive(receiver)] == [Frame(0x102, b"")]


def test_full_queue_drops_the_oldest_and_counts(port: Callable[..., CanPort], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_bus, "QUEUE", 10)
    channel = group()
    sender, receiver = port(channel), port(channel)
    for index in range(25):
        sender.send(Frame(index, b""))
    assert wait(lambda: receiver.received == 25)
    assert [item.frame.id for item in receiver.drain()] == list(range(15, 25))
    assert receiver.dropped == 15


def test_each_frame_and_each_change_of_health_wakes(port: Callable[..., CanPort]) -> None:
    calls: list[float] = []
    channel = group()
    receiver = port(channel, wake=lambda: calls.append(time.monotonic()))
    assert len(calls) == 1
    port(channel).send(FRAME)
    assert wait(lambda: len(calls) == 2)
    receiver.close()
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("interface", "channel"), [("socketcan", "can_absent"), ("no_such_interface", "x"), ("udp_multicast", "not a group")]
)
def test_bus_that_cannot_be_opened_is_closed_with_a_reason(port: Callable[..., CanPort], interface: str, channel: str) -> None:
    found = port(channel, interface=interface, ready=False)
    assert wait(lambda: "not open yet" not in found.detail)
    assert found.health is BusHealth.CLOSED
    assert found.detail
    assert not found.send(FRAME)
    assert found.drain() == []


def test_bus_that_appears_later_is_opened(port: Callable[..., CanPort], monkeypatch: pytest.MonkeyPatch) -> None:
    real, missing = can.Bus, [True]

    def bus(**arguments: object) -> can.BusABC:
        if missing[0]:
            raise OSError(19, "No such device")
        return real(**arguments)

    monkeypatch.setattr(can, "Bus", bus)
    found = port(group(), ready=False)
    assert wait(lambda: "No such device" in found.detail)
    missing[0] = False
    assert found.wait_open(5.0)
    assert (found.health, found.detail) == (BusHealth.OK, "")


def scripted(port: Callable[..., CanPort], monkeypatch: pytest.MonkeyPatch, *devices: Device) -> CanPort:
    """Return a port whose back end is the first of devices, after it has failed the next, the last for ever."""
    monkeypatch.setattr(can, "Bus", Attempts(*devices))
    found: CanPort = port("scripted", interface="scripted")
    return found


def test_bus_whose_reads_only_fail_is_closed_and_opened_again(port: Callable[..., CanPort], monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = Device(can.CanOperationError("network is down")), Device(MESSAGE)
    found = scripted(port, monkeypatch, broken, whole)
    assert wait(lambda: found.detail == "CanOperationError: network is down")
    assert [item.frame.id for item in receive(found)] == [5]
    assert broken.closed
    assert found.errors > 1


@pytest.mark.parametrize("error", [can.CanOperationError("Transmit buffer full"), OSError(105, "No buffer space"), ValueError("closed")])
def test_frame_that_the_bus_refuses_is_a_counted_error(
    port: Callable[..., CanPort], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bus = Device()
    found = scripted(port, monkeypatch, bus)
    assert found.send(FRAME)
    bus.refuses = error
    assert not found.send(FRAME)
    assert (found.sent, found.errors, found.health) == (1, 1, BusHealth.ERROR)
    assert str(error) in found.detail


def error_frame(kind: int, controller: int = 0) -> can.Message:
    return can.Message(arbitration_id=kind, data=bytes([0, controller, 0, 0, 0, 0, 0, 0]), is_error_frame=True)


@pytest.mark.parametrize(
    ("messages", "health", "errors"),
    [
        ([error_frame(0x040)], BusHealth.BUS_OFF, 1),
        ([error_frame(0x040), error_frame(0x100)], BusHealth.ERROR, 1),
        ([error_frame(0x040), can.Message(arbitration_id=1)], BusHealth.ERROR, 1),
        ([error_frame(0x004, 0x20)], BusHealth.ERROR, 1),
        ([error_frame(0x004, 0x40)], BusHealth.OK, 0),
        ([error_frame(0x008)], BusHealth.ERROR, 1),
    ],
    ids=["bus-off", "restarted", "frames again", "error passive", "active again", "protocol error"],
)
def test_error_frames_of_the_controller_become_health(
    port: Callable[..., CanPort], monkeypatch: pytest.MonkeyPatch, messages: list[can.Message], health: BusHealth, errors: int
) -> None:
    found = scripted(port, monkeypatch, Device(*messages))
    seen = receive(found, count=len(messages))
    assert [item.is_error for item in seen] == [message.is_error_frame for message in messages]
    assert (found.health, found.errors) == (health, errors)


def test_reader_that_hangs_makes_the_bus_unusable(port: Callable[..., CanPort], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not hear must not speak: the bridge sends nothing on a closed link."""
    monkeypatch.setattr(can_bus, "READER_PATIENCE", 0.1)
    monkeypatch.setattr(can_bus, "POLL", 0.05)
    bus = Device()
    found = scripted(port, monkeypatch, bus)
    assert found.health is BusHealth.OK
    bus.recv = lambda timeout: time.sleep(0.5)  # type: ignore[method-assign]
    assert wait(lambda: found.health is BusHealth.CLOSED)
    assert found.detail == "reader stands still"
