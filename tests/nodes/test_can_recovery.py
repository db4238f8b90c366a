"""CanPort where a bus breaks: switched off, unplugged, bus-off. It comes back by itself, with back-off, and nothing that was lost is left uncounted."""

import errno
import os
import pty
import random
import select
import socket
import time
from collections.abc import Callable, Iterator

import can
import pytest
from can.interfaces.udp_multicast.utils import pack_message
from nodes.can_rig import FRAME, MESSAGE, Attempts, Device, group, wait

from evse_core.frame import Frame
from evse_core.types import BusHealth
from evse_nodes import can_back_end, can_bus
from evse_nodes.can_bus import CanPort
from evse_nodes.can_pace import BURST, LOT, Pace

Start = Callable[..., CanPort]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Yield a function that starts a port whose opening gives what a test says."""
    started: list[CanPort] = []

    def make(attempts: Attempts, interface: str = "socketcan", channel: str = "can0") -> CanPort:
        monkeypatch.setattr(can, "Bus", attempts)
        started.append(CanPort("test", interface, channel))
        return started[-1]

    yield make
    for port in started:
        port.close()


def failed(number: int) -> can.CanOperationError:
    """Return what python-can's socketcan raises where the kernel says this."""
    return can.CanOperationError(f"Failed to receive: {os.strerror(number)}", number)


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENETDOWN], ids=["unplugged", "switched off"])
def test_a_device_that_goes_is_closed_at_once_and_opened_again_when_it_is_back(start: Start, number: int) -> None:
    """The kernel says it once and is silent then: a port that went on reading would wait for ever."""
    gone = Device(MESSAGE, failed(number), None)
    missing = OSError(errno.ENODEV, "No such device")
    back = Device(MESSAGE)
    attempts = Attempts(gone, missing, missing, back)
    port = start(attempts)
    assert wait(lambda: gone.closed)
    assert wait(lambda: port.health is BusHealth.CLOSED and "No such device" in port.detail)
    assert not port.send(FRAME)
    assert port.wait_open(10.0)
    assert wait(lambda: port.received == 2)
    assert wait(lambda: port.health is BusHealth.OK and port.detail == "")
    assert port.errors == 1


def test_an_interface_that_is_down_does_not_count_as_open(start: Start) -> None:
    """socketcan opens it all the same; only the first read tells."""
    down = [Device(failed(errno.ENETDOWN)) for _ in range(3)]
    port = start(Attempts(*down, Device(MESSAGE)))
    assert wait(lambda: down[0].closed)
    assert port.health is BusHealth.CLOSED
    assert "Network is down" in port.detail
    assert port.wait_open(10.0)
    assert all(device.closed for device in down)
    assert wait(lambda: port.health is BusHealth.OK)


def test_pauses_between_attempts_grow_to_the_longest(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_bus, "BACK_OFF", (0.05, 0.2))
    attempts = Attempts(can.CanInitializationError("no device"))
    port = start(attempts)
    assert wait(lambda: len(attempts.times) >= 6)
    pauses = [later - earlier for earlier, later in zip(attempts.times, attempts.times[1:], strict=False)]
    for pause, least in zip(pauses, (0.05, 0.1, 0.2, 0.2, 0.2), strict=False):
        assert pause >= least
    assert port.health is BusHealth.CLOSED


def test_a_device_that_fails_again_and_again_without_a_frame_is_tried_less_and_less(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_bus, "BACK_OFF", (0.05, 0.4))

    class Flapping(Attempts):
        def __call__(self, **arguments: object) -> object:
            super().__call__()
            return Device(None, failed(errno.ENODEV))

    attempts = Flapping(None)
    start(attempts)
    assert wait(lambda: len(attempts.times) >= 5)
    assert attempts.times[4] - attempts.times[3] >= 0.4


@pytest.mark.parametrize("error", [failed(errno.ENXIO), OSError(errno.ENETDOWN, "Network is down")], ids=["ENXIO", "ENETDOWN"])
def test_a_send_that_says_the_device_is_gone_opens_the_bus_again(start: Start, error: Exception) -> None:
    gone, back = Device(MESSAGE), Device(MESSAGE)
    port = start(Attempts(gone, back))
    assert port.wait_open(10.0)
    gone.refuses = error
    assert not port.send(FRAME)
    assert wait(lambda: gone.closed)
    assert port.wait_open(10.0)
    assert wait(lambda: port.health is BusHealth.OK)
    assert port.send(FRAME)


def test_an_unplugged_gs_usb_is_known_by_its_cause(start: Start) -> None:
    """It reads nothing without an error, and its send hides the number of libusb's error in the cause."""
    error = can.CanOperationError("The message could not be sent")
    error.__cause__ = OSError(errno.ENODEV, "No such device (it may have been disconnected)")
    gone, back = Device(MESSAGE), Device(MESSAGE)
    port = start(Attempts(gone, back), "gs_usb", "0")
    assert port.wait_open(10.0)
    gone.refuses = error
    assert not port.send(FRAME)
    assert wait(lambda: gone.closed)
    assert port.wait_open(10.0)


def test_a_full_transmit_queue_does_not_cost_the_bus(start: Start) -> None:
    """Nobody acknowledges, the queue is full: opening again would not help, and what the bus says is still heard."""
    alone = Device(MESSAGE)
    attempts = Attempts(alone)
    port = start(attempts)
    assert port.wait_open(10.0)
    alone.refuses = failed(errno.ENOBUFS)
    assert not port.send(FRAME)
    time.sleep(3 * can_bus.POLL)
    assert port.health is BusHealth.ERROR
    assert not alone.closed
    assert len(attempts.times) == 1


@pytest.mark.parametrize("interface", ["pcan", "kvaser"])
def test_a_library_whose_reads_fail_is_opened_again(start: Start, monkeypatch: pytest.MonkeyPatch, interface: str) -> None:
    monkeypatch.setattr(can_bus, "PATIENCE", 0.1)
    text = {"pcan": "A PCAN-Channel has not been initialized yet", "kvaser": "Function canReadWait failed - Invalid handle"}[interface]
    broken, whole = Device(MESSAGE, can.CanOperationError(text, -10)), Device(MESSAGE)
    port = start(Attempts(broken, can.CanInitializationError(text), whole), interface, {"pcan": "PCAN_USBBUS1", "kvaser": "0"}[interface])
    assert wait(lambda: broken.closed)
    assert wait(lambda: port.received == 2)
    assert wait(lambda: port.health is BusHealth.OK)


def bus_off() -> can.Message:
    return can.Message(arbitration_id=0x040, data=bytes(8), is_error_frame=True)


def test_bus_off_of_the_kernel_waits_for_the_kernel(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_bus, "BUS_OFF_PATIENCE", 0.1)
    device = Device(bus_off())
    attempts = Attempts(device)
    port = start(attempts)
    assert wait(lambda: port.health is BusHealth.BUS_OFF)
    time.sleep(3 * can_bus.POLL)
    assert (port.health, port.detail) == (BusHealth.BUS_OFF, "bus-off")
    assert len(attempts.times) == 1
    device.script.append(can.Message(arbitration_id=0x100, data=bytes(8), is_error_frame=True))
    assert wait(lambda: port.health is BusHealth.OK)


def test_bus_off_of_an_adapter_is_mended_by_opening_it_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_bus, "BUS_OFF_PATIENCE", 0.1)
    off, on = Device(bus_off()), Device(MESSAGE)
    port = start(Attempts(off, on), "gs_usb", "0")
    assert wait(lambda: off.closed)
    assert wait(lambda: port.health is BusHealth.OK)


@pytest.mark.parametrize(("interface", "channel"), [("pcan", "PCAN_USBBUS1"), ("kvaser", "0")])
def test_error_frames_in_another_layout_are_errors_and_nothing_more(start: Start, interface: str, channel: str) -> None:
    port = start(Attempts(Device(bus_off())), interface, channel)
    assert wait(lambda: port.errors == 1)
    assert port.health is BusHealth.ERROR


@pytest.mark.parametrize(("interface", "channel"), [("slcan", "/dev/ttyACM7"), ("gs_usb", "0"), ("pcan", "PCAN_USBBUS1"), ("kvaser", "0")])
def test_a_driver_that_is_missing_is_named_as_the_reason(
    start: Start, monkeypatch: pytest.MonkeyPatch, interface: str, channel: str
) -> None:
    monkeypatch.setattr(can_bus, "missing_driver", lambda name: f"{name} needs something: docs/hardware.md")
    port = start(Attempts(can.CanInterfaceNotImplementedError("Cannot import")), interface, channel)
    assert wait(lambda: port.detail == f"{interface} needs something: docs/hardware.md")
    assert port.health is BusHealth.CLOSED


def test_a_virtual_bus_carries_frames_within_a_process() -> None:
    name = f"test {random.random()}"
    one, other = CanPort("one", "virtual", name), CanPort("other", "virtual", name)
    try:
        assert one.wait_open(10.0)
        assert other.wait_open(10.0)
        assert one.send(FRAME)
        assert wait(lambda: other.received == 1)
        assert [item.frame for item in other.drain()] == [FRAME]
        assert one.received == 0
    finally:
        one.close()
        other.close()


def read_until(descriptor: int, mark: bytes) -> bytes:
    """Read from a terminal until it has said mark."""
    said, end = b"", time.monotonic() + 10.0
    while mark not in said and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.1)[0]:
            said += os.read(descriptor, 1000)
    return said


def test_slcan_over_a_terminal_sets_its_bit_rate_and_carries_frames() -> None:
    pytest.importorskip("serial")
    adapter, terminal = pty.openpty()
    port = CanPort("test", "slcan", os.ttyname(terminal), options={"sleep_after_open": 0.0})
    try:
        said = read_until(adapter, b"O\r")
        assert b"S6\r" in said, "500 kbit/s"
        assert port.wait_open(10.0)
        os.write(adapter, b"t1028029A010000C84900\r" + b"T0106300081122334455667788\r")
        assert wait(lambda: port.received == 2)
        assert [item.frame for item in port.drain()] == [FRAME, Frame(0x01063000, bytes.fromhex("1122334455667788"), extended=True)]
        assert port.send(FRAME)
        assert b"t1028029A010000C84900\r" in read_until(adapter, b"4900\r")
        # Unplugged: the other end of the terminal is gone.
        os.close(adapter)
        adapter = -1
        assert wait(lambda: port.health is BusHealth.CLOSED)
        assert port.detail
    finally:
        port.close()
        os.close(terminal)
        if adapter >= 0:
            os.close(adapter)


def test_frames_that_the_kernel_throws_away_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_back_end, "RECEIVE_BUFFER", 4096)
    monkeypatch.setattr(can_bus, "LOST_PERIOD", 0.05)
    held = [True]
    real = CanPort._receive

    def slow(port: CanPort, *arguments: object) -> None:
        while held[0]:
            time.sleep(0.01)
        real(port, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(CanPort, "_receive", slow)
    monkeypatch.setattr(can_bus, "READER_PATIENCE", 60.0)
    channel, count = group(), 200
    port = CanPort("test", "udp_multicast", channel)
    try:
        assert port.wait_open(10.0)
        datagram = pack_message(can.Message(arbitration_id=0x102, data=bytes(8), is_extended_id=False))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            for _ in range(count):
                sender.sendto(datagram, (channel, 43113))
        held[0] = False
        assert wait(lambda: port.received + port.dropped == count)
        assert port.dropped > 0
    finally:
        held[0] = False
        port.close()


def test_a_socket_has_at_least_twice_the_room_that_it_comes_with() -> None:
    """212,992 bytes is what Linux gives; without privileges net.core.rmem_max, of the same size where nobody has raised it, is the limit, and counts twice."""
    bus = can_back_end.open_bus({"interface": "udp_multicast", "channel": "ff11::1:6:7", "ignore_config": True, "hop_limit": 0})
    try:
        assert bus._multicast._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 2 * 212_992
    finally:
        bus.shutdown()


def test_few_frames_wake_one_by_one_and_a_full_bus_in_lots() -> None:
    pace, now = Pace(0.0), 0.0
    # 30 frames/s in bursts of 5, as a vehicle speaks.
    assert all(pace.spend(1, burst / 6.0 + 0.0003 * frame) for burst in range(20) for frame in range(5))
    now = 10.0
    full = [pace.spend(1, now + 0.00025 * frame) for frame in range(4000)]
    assert all(full[: int(BURST)])
    assert sum(full) <= BURST + 1.0 / LOT
    assert pace.spend(1, now + 2.0), "the bus is quiet again"


def test_a_full_bus_wakes_once_for_many_frames_and_also_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    count, wakes, taken = 2000, [], []
    device = Device(*(can.Message(arbitration_id=number % 2048, is_extended_id=False) for number in range(count)))
    monkeypatch.setattr(can, "Bus", Attempts(device))

    def wake() -> None:
        wakes.append(time.monotonic())
        if begun:
            taken.extend(begun[0].drain())

    begun: list[CanPort] = []
    port = CanPort("test", "socketcan", "can0", wake=wake)
    begun.append(port)
    try:
        assert wait(lambda: len(taken) == count), "nobody was woken for the last frames"
        assert len(wakes) < count / 10
        assert port.dropped == 0
    finally:
        port.close()
