"""One CAN bus for one thread of rules: a reader thread fills a bounded queue, failures are counted and the bus is opened again.

Nothing here raises after construction, because a receiver that dies silently is the classic failure of CAN software (../shared/reference/can.md 5.3, 5.6).
"""

import contextlib
import json
import math
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import can

from evse_core.bus_load import BusLoad
from evse_core.frame import Frame
from evse_core.types import BusHealth

# Frames that wait for the rule. A loaded 500 kbit/s bus carries about 4,000 frames/s (../shared/reference/can.md 5.1), so this is 0.25 s.
QUEUE = 1024
# Own frames that are on their way back at most; one that was lost is forgotten with the next ones. [1]
MOST_ECHOES = 32
# Longest wait of the reader before it looks whether it is to end. [s]
POLL = 0.2
# A reader that has not looked for so long is dead or hangs in its back end, and nothing may be sent on trust. [s]
READER_PATIENCE = 1.0
# First and longest pause before a bus is opened again. [s]
BACK_OFF = (0.1, 5.0)
# A bus whose reads only fail for so long is opened again. One bad datagram on a simulated bus must not cost more than itself. [s]
PATIENCE = 0.5
# A bus counts as disturbed for so long after its last error. [s]
ERROR_HOLD = 1.0
# Bits of the identifier and of data[1] of a Linux error frame (linux/can/error.h).
ERR_CONTROLLER, ERR_BUS_OFF, ERR_RESTARTED = 0x004, 0x040, 0x100
CONTROLLER_ACTIVE_AGAIN = 0x40


@dataclass(frozen=True, slots=True)
class Received:
    """A frame with the monotonic time at which it was read [s]; is_error marks an error frame of the controller."""

    frame: Frame
    at: float
    is_error: bool = False


class Echoes:
    """Frames that were sent and will come back: a multicast group also hears who speaks. Sent by one thread, received by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected: deque[Frame] = deque(maxlen=MOST_ECHOES)

    def expect(self, frame: Frame) -> None:
        """Note a frame that is sent now."""
        with self._lock:
            self._expected.append(frame)

    def take(self, frame: Frame) -> bool:
        """Return whether this is an own frame, and expect it no more."""
        with self._lock:
            try:
                self._expected.remove(frame)
            except ValueError:
                return False
            return True


class CanPort:
    """A CAN bus that is always there: `drain` what came, `send`, look at `health`.

    `wake` is called from the reader thread after each frame and each change of health. Options are further arguments of python-can's back end.
    """

    def __init__(
        self,
        name: str,
        interface: str,
        channel: str,
        bitrate: int = 500_000,
        options: Mapping[str, Any] | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._reason = "not open yet"
        self.received = self.sent = self.errors = self.dropped = 0
        self._load = BusLoad(bitrate)
        self._arguments = bus_arguments(interface, channel, bitrate, options or {})
        self._wake = wake
        self._queue: deque[Received] = deque(maxlen=QUEUE)
        self._echoes = Echoes() if interface == "udp_multicast" else None
        self._bus: can.BusABC | None = None
        self._bus_off = False
        self._last_error = -math.inf
        self._beat = time.monotonic()
        self._closing = threading.Event()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"can {name}", daemon=True)
        self._thread.start()

    @property
    def health(self) -> BusHealth:
        """Whether the bus can be used now."""
        if self._bus is None or not self._reader_lives():
            return BusHealth.CLOSED
        if self._bus_off:
            return BusHealth.BUS_OFF
        return BusHealth.ERROR if time.monotonic() - self._last_error < ERROR_HOLD else BusHealth.OK

    @property
    def detail(self) -> str:
        """Why the bus cannot be used or is disturbed; "" when all is well."""
        if self._bus is not None and not self._reader_lives():
            return "reader stands still"
        return "" if self.health is BusHealth.OK else self._reason

    @property
    def load(self) -> float:
        """Share of the bus's time that frames took in the last second [1], NaN before the first is over."""
        return self._load.load(time.monotonic())

    def _reader_lives(self) -> bool:
        return time.monotonic() - self._beat < READER_PATIENCE

    def wait_open(self, timeout: float) -> bool:
        """Wait at most timeout [s] for the bus to be open."""
        return self._opened.wait(timeout)

    def drain(self) -> list[Received]:
        """Return and forget what has been received, the oldest first."""
        found: list[Received] = []
        with contextlib.suppress(IndexError):
            while len(found) < QUEUE:
                found.append(self._queue.popleft())
        return found

    def send(self, frame: Frame) -> bool:
        """Send a frame now; False where the bus did not take it."""
        bus = self._bus
        if bus is None:
            return False
        if self._echoes is not None:
            self._echoes.expect(frame)
        try:
            bus.send(can.Message(arbitration_id=frame.id, data=frame.data, is_extended_id=frame.extended, is_fd=False))
        except Exception as error:  # back ends raise CanError, OSError, ValueError: each is a frame that did not go out
            self._failed(error)
            return False
        self.sent += 1
        self._load.send(frame)
        return True

    def close(self) -> None:
        """End the reader and close the bus."""
        self._closing.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        pause = BACK_OFF[0]
        while not self._closing.is_set():
            bus = self._open()
            if bus is not None:
                pause = BACK_OFF[0]
                self._read(bus)
                self._shut(bus)
            self._closing.wait(pause)
            pause = min(2 * pause, BACK_OFF[1])

    def _open(self) -> can.BusABC | None:
        try:
            bus = can.Bus(**self._arguments)
        except Exception as error:  # a missing driver, device, permission or argument: each back end has its own
            self._reason = f"{type(error).__name__}: {error}"
            self._wake()
            return None
        _keep_groups_apart(bus)
        self._beat = time.monotonic()
        self._bus, self._bus_off, self._reason = bus, False, ""
        self._opened.set()
        self._wake()
        return bus

    def _shut(self, bus: can.BusABC) -> None:
        self._bus = None
        self._opened.clear()
        with contextlib.suppress(Exception):
            bus.shutdown()
        self._wake()

    def _read(self, bus: can.BusABC) -> None:
        """Read until the port closes or reading only fails."""
        failing_since = math.inf
        while not self._closing.is_set():
            self._beat = time.monotonic()
            try:
                message = bus.recv(POLL)
            except Exception as error:
                now = time.monotonic()
                self._failed(error)
                failing_since = min(failing_since, now)
                if now - failing_since > PATIENCE:
                    return
                self._closing.wait(0.001)
                continue
            failing_since = math.inf
            if message is not None:
                self._take(message)

    def _take(self, message: can.Message) -> None:
        now = time.monotonic()
        if message.is_fd or len(message.data) > 8:
            self._failed(ValueError("CAN FD frame on a classic bus"))
            return
        if message.is_error_frame:
            self._note_error_frame(message, now)
        else:
            self._bus_off = False
        # A remote frame carries no data: the rule counts it as malformed.
        data = b"" if message.is_remote_frame else bytes(message.data)
        frame = Frame(message.arbitration_id, data, message.is_extended_id)
        if self._echoes is not None and self._echoes.take(frame):
            return
        self.received += 1
        self._load.receive(frame)
        if len(self._queue) == QUEUE:  # the oldest goes: what is newest counts
            self.dropped += 1
        self._queue.append(Received(frame, now, message.is_error_frame))
        self._wake()

    def _note_error_frame(self, message: can.Message, now: float) -> None:
        kind = message.arbitration_id
        if kind & ERR_BUS_OFF:
            self._bus_off, self._reason = True, "bus-off"
        elif kind & ERR_RESTARTED:
            self._bus_off, self._reason = False, ""
        recovered = kind & ERR_CONTROLLER and len(message.data) > 1 and message.data[1] & CONTROLLER_ACTIVE_AGAIN
        if not recovered and not kind & ERR_RESTARTED:
            self.errors += 1
            self._last_error = now

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        self._last_error = time.monotonic()
        self._reason = f"{type(error).__name__}: {error}"


def bus_arguments(interface: str, channel: str, bitrate: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of can.Bus. No configuration file of the machine is read: what the description says is all."""
    arguments: dict[str, Any] = {"interface": interface, "channel": channel, "bitrate": bitrate, "ignore_config": True}
    if interface == "udp_multicast":
        # Hop limit 0 keeps the frames on this machine.
        arguments |= {"hop_limit": 0, "fd": False}
    return arguments | dict(options)


def _keep_groups_apart(bus: can.BusABC) -> None:
    """Let a udp_multicast bus hear only its own group.

    The back end binds to every address of the port, and Linux then delivers any group that any process of the machine has joined (IPV6_MULTICAST_ALL, ip(7)
    and ipv6(7); seen here: two groups on one port read each other's frames).
    """
    if type(bus).__name__ != "UdpMulticastBus":
        return
    ipv4_multicast_all, ipv6_multicast_all = 49, 29  # linux/in.h, linux/in6.h: not in Python's socket module
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(bus.fileno())) as twin:
        if twin.family == socket.AF_INET6:
            twin.setsockopt(socket.IPPROTO_IPV6, ipv6_multicast_all, 0)
        else:
            twin.setsockopt(socket.IPPROTO_IP, ipv4_multicast_all, 0)


def declare_port(node: Any, prefix: str, wake: Callable[[], None]) -> CanPort:
    """Declare `<prefix>.interface`, `.channel`, `.bitrate`, `.options` on a node and return the port; ValueError names a wrong one."""
    from evse_nodes.params import value  # noqa: PLC0415 rclpy comes only where a node asks for it

    interface = value(node, f"{prefix}.interface", "socketcan", "python-can interface")
    channel = value(node, f"{prefix}.channel", "", "channel of that interface, such as can0")
    bitrate = value(node, f"{prefix}.bitrate", 500_000, "bit rate, for interfaces that set it, and for the load of the bus [bit/s]")
    text = value(node, f"{prefix}.options", "{}", "further python-can arguments, a JSON object")
    name = f"{node.get_fully_qualified_name()}: parameter {prefix}"
    if not channel:
        raise ValueError(f"{name}.channel: is empty, a channel such as can0 is needed")
    return CanPort(prefix, interface, str(channel), bitrate, _options(text, name), wake)


def _options(text: str, name: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}.options: {text!r} is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise ValueError(f"{name}.options: {text!r} is not a JSON object")
    return options
