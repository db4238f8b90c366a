"""One CAN bus for one thread of rules: a reader thread fills a bounded queue, failures are counted and the bus is opened again.

What python-can is told to open stands in can_interfaces.py, how it is opened in can_back_end.py, when the reader wakes the rules in can_pace.py.
Nothing here raises after construction, because a receiver that dies silently is the classic failure of CAN software (../shared/reference/can.md 5.3, 5.6).
"""

import contextlib
import errno
import json
import math
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
from evse_nodes.can_back_end import lost_frames, open_bus
from evse_nodes.can_interfaces import OWN_ERROR_FRAMES, RESET_BY_OPENING, bus_arguments, missing_driver
from evse_nodes.can_pace import LOT, MOST, Pace

# Frames that wait for the rule. A loaded 500 kbit/s bus carries about 4,000 frames/s (../shared/reference/can.md 5.1), so this is 0.5 s;
# to take them all at once costs the rules some 50 ms.
QUEUE = 2048
# Own frames that are on their way back at most; one that was lost is forgotten with the next ones. [1]
MOST_ECHOES = 32
# Longest wait of the reader before it looks whether it is to end. [s]
POLL = 0.2
# A reader that has not looked for so long is dead or hangs in its back end, and nothing may be sent on trust. [s]
READER_PATIENCE = 1.0
# First and longest pause before a bus is opened again; it begins anew with a bus on which something was heard, or that was open for the longest. [s]
BACK_OFF = (0.1, 5.0)
# Errors of a device that is gone or switched off. Linux tells each once and is silent afterwards: such a bus is closed at once and opened again.
GONE = (errno.ENODEV, errno.ENXIO, errno.ENETDOWN, errno.EBADF)
# A bus whose reads only fail for so long is opened again. One bad datagram on a simulated bus must not cost more than itself. [s]
PATIENCE = 0.5
# A bus counts as disturbed for so long after its last error. [s]
ERROR_HOLD = 1.0
# A controller that has been bus-off for so long is reset where opening it again does that. The kernel's own restart takes 0.1 s (restart-ms 100). [s]
BUS_OFF_PATIENCE = 1.0
# How often the kernel is asked whether it has lost frames. [s]
LOST_PERIOD = 0.5
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
        # Expected before it is sent: where nothing is expected, nothing of ours can come.
        if not self._expected:
            return False
        with self._lock:
            try:
                self._expected.remove(frame)
            except ValueError:
                return False
            return True


class CanPort:
    """A CAN bus that is always there: `drain` what came, `send`, look at `health`.

    `wake` is called from the reader thread after each frame, on a full bus after each lot of frames (can_pace.py), and after each change of health.
    Options are further arguments of python-can's back end. ValueError where the channel is none of the interface.
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
        self.received = self.sent = self.errors = 0
        self._load = BusLoad(bitrate)
        self._interface, self._arguments = interface, bus_arguments(interface, channel, bitrate, options or {})
        # Frames that found the queue full, that the kernel lost on buses that are closed again, and on this one.
        self._crowded = self._lost_before = self._lost = 0
        self._wake = wake
        self._queue: deque[Received] = deque(maxlen=QUEUE)
        self._echoes = Echoes() if interface == "udp_multicast" else None
        self._bus: can.BusABC | None = None
        self._bus_off_since = math.inf
        self._gone = False
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
        if self._bus_off_since < math.inf:
            return BusHealth.BUS_OFF
        return BusHealth.ERROR if time.monotonic() - self._last_error < ERROR_HOLD else BusHealth.OK

    @property
    def detail(self) -> str:
        """Why the bus cannot be used or is disturbed; "" when all is well."""
        if self._bus is not None and not self._reader_lives():
            return "reader stands still"
        return "" if self.health is BusHealth.OK else self._reason

    @property
    def dropped(self) -> int:
        """Frames that were on the bus and never came out of here, because a queue was full: this one or the kernel's. [1]"""
        return self._crowded + self._lost_before + self._lost

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
                began, before = time.monotonic(), self.received
                self._read(bus)
                self._shut(bus)
                if self.received > before or time.monotonic() - began > BACK_OFF[1]:
                    pause = BACK_OFF[0]
            self._closing.wait(pause)
            pause = min(2 * pause, BACK_OFF[1])

    def _open(self) -> can.BusABC | None:
        try:
            bus = open_bus(self._arguments)
        except Exception as error:  # a missing driver, device, permission or argument: each back end has its own
            self._reason = missing_driver(self._interface) or _text(error)
            self._wake()
            return None
        first, failure = _first(bus)
        if failure is not None and _is_gone(failure):
            self._reason = _text(failure)
            with contextlib.suppress(Exception):
                bus.shutdown()
            self._wake()
            return None
        self._beat = time.monotonic()
        self._bus, self._bus_off_since, self._gone, self._reason = bus, math.inf, False, ""
        self._opened.set()
        if failure is not None:
            self._failed(failure)
        elif first is not None:
            self._take(first)
        self._wake()
        return bus

    def _shut(self, bus: can.BusABC) -> None:
        self._bus = None
        self._opened.clear()
        self._lost_before, self._lost = self._lost_before + self._lost, 0
        with contextlib.suppress(Exception):
            bus.shutdown()
        self._wake()

    def _read(self, bus: can.BusABC) -> None:
        """Read until the port closes, reading only fails, the device is gone, or its controller has to be reset."""
        failing_since, looked = math.inf, -math.inf
        pace = Pace(time.monotonic())
        while not self._closing.is_set() and not self._gone and not self._wants_reset():
            self._beat = now = time.monotonic()
            if now - looked >= LOST_PERIOD:
                looked, self._lost = now, lost_frames(bus)
            try:
                self._receive(bus, pace)
            except Exception as error:
                now = time.monotonic()
                self._failed(error)
                failing_since = min(failing_since, now)
                if now - failing_since > PATIENCE:
                    return
                self._closing.wait(0.001)
                continue
            failing_since = math.inf

    def _wants_reset(self) -> bool:
        return self._interface in RESET_BY_OPENING and time.monotonic() - self._bus_off_since > BUS_OFF_PATIENCE

    def _receive(self, bus: can.BusABC, pace: Pace) -> None:
        """Wait for a frame, and for those that come with it on a full bus; wake the rules once for all."""
        message = bus.recv(POLL)
        if message is None:
            return
        is_news = self._take(message)
        try:
            if not pace.spend(1, time.monotonic()):
                is_news |= self._collect(bus, pace)
        finally:
            if is_news:
                self._wake()

    def _collect(self, bus: can.BusABC, pace: Pace) -> bool:
        """Let frames collect and take them; return whether one is news."""
        time.sleep(LOT)
        is_news, count = False, 0
        while count < MOST and (message := bus.recv(0.0)) is not None:
            is_news |= self._take(message)
            count += 1
        pace.spend(count, time.monotonic())
        return is_news

    def _take(self, message: can.Message) -> bool:
        """Queue a frame; False for one that is nobody's news."""
        now = time.monotonic()
        if message.is_fd or len(message.data) > 8:
            self._failed(ValueError("CAN FD frame on a classic bus"))
            return False
        if message.is_error_frame:
            self._note_error_frame(message, now)
        else:
            self._bus_off_since = math.inf
        # A remote frame carries no data: the rule counts it as malformed.
        data = b"" if message.is_remote_frame else bytes(message.data)
        frame = Frame(message.arbitration_id, data, message.is_extended_id)
        if self._echoes is not None and self._echoes.take(frame):
            return False
        self.received += 1
        self._load.receive(frame)
        if len(self._queue) == QUEUE:  # the oldest goes: what is newest counts
            self._crowded += 1
        self._queue.append(Received(frame, now, message.is_error_frame))
        return True

    def _note_error_frame(self, message: can.Message, now: float) -> None:
        kind = 0 if self._interface in OWN_ERROR_FRAMES else message.arbitration_id
        if kind & ERR_BUS_OFF:
            self._bus_off_since, self._reason = min(self._bus_off_since, now), "bus-off"
        elif kind & ERR_RESTARTED:
            self._bus_off_since, self._reason = math.inf, ""
        recovered = kind & ERR_CONTROLLER and len(message.data) > 1 and message.data[1] & CONTROLLER_ACTIVE_AGAIN
        if not recovered and not kind & ERR_RESTARTED:
            self.errors += 1
            self._last_error = now

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        self._last_error = time.monotonic()
        self._reason = _text(error)
        self._gone |= _is_gone(error)


def _first(bus: can.BusABC) -> tuple[can.Message | None, Exception | None]:
    """Read what is there already. A network interface that is down can be opened; it says so when it is read for the first time, and only then."""
    try:
        return bus.recv(0.0), None
    except Exception as error:
        return None, error


def _is_gone(error: BaseException) -> bool:
    """Return whether an error, or what caused it, says that the device is gone."""
    causes = (error, error.__cause__)
    return any(getattr(cause, name, None) in GONE for cause in causes for name in ("error_code", "errno"))


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


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
    options = _options(text, name)
    try:
        return CanPort(prefix, interface, str(channel), bitrate, options, wake)
    except ValueError as error:
        raise ValueError(f"{name}.channel: {error}") from error


def _options(text: str, name: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}.options: {text!r} is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise ValueError(f"{name}.options: {text!r} is not a JSON object")
    return options
