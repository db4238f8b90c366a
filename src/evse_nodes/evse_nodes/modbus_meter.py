"""A meter on Modbus, TCP or RTU: a thread reads it with pymodbus' synchronous client and fills a queue; who wakes takes it out. No ROS here.

A reading is stamped with the time at which it was asked for, so that none is taken for newer than it is. After whatever went wrong the connection is closed and
made anew after growing pauses: an answer that comes late would else be taken for that of the next request. Nothing is ever written to a meter.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException

from evse_core import meter_map
from evse_core.meter_link import MeterLinkConfig
from evse_core.meter_map import MeterMap, Place, Request
from evse_core.meter_sunspec import walk
from evse_core.types import MeterReport, MeterStatus

# Every such reading asks for serial number and names, too: a meter that was exchanged behind a gateway that went on answering. [readings]
READ_AGAIN = 20
# Longest pause before a meter is tried again; it doubles from poll_period. [s]
LONGEST_PAUSE = 5.0
# Readings that wait for somebody who takes them: 10 s at 20 readings a second. [answers]
QUEUE = 200
# Exception codes of the protocol (Modbus Application Protocol 1.1b3, section 7).
EXCEPTIONS = {1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "failure of the meter", 6: "busy", 10: "gateway without path",
              11: "gateway: the meter does not answer"}  # fmt: skip
# The address is not there, or not with this function: the meter does not have the quantity. What else it says is a failure.
ABSENT = (1, 2, 3)


class MeterError(Exception):
    """A meter did not answer, or with what cannot be used."""

    def __init__(self, status: MeterStatus, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a reading that was asked for at a monotonic time [s]: a report, or None and what went wrong."""

    time: float
    report: MeterReport | None
    status: MeterStatus = MeterStatus.GOOD
    detail: str = ""


class ModbusSession:
    """One connection to a meter. MeterError from any method; then close() and make another."""

    def __init__(self, link: MeterLinkConfig, meter: MeterMap) -> None:
        self._link, self._meter = link, meter
        self._placed: MeterMap | None = None
        self._names: dict[Place, int] = {}
        self._count = 0
        # What pymodbus would log of each failed attempt is told once, by the status of the meter.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        self._client = _client(link)

    def read(self) -> MeterReport:
        """Return what the meter says now; the first time where it is has to be found out."""
        if self._placed is None:
            if not self._client.connect():
                raise MeterError(MeterStatus.DISCONNECTED, f"{self._link.address}: cannot be reached")
            self._placed = self._place()
        names = self._count % READ_AGAIN == 0
        self._count += 1
        words = dict(self._names)
        for request in meter_map.plan(self._placed, names):
            words.update(self._words(request))
        if names:
            places = {
                (q.function, q.address + index) for q in self._placed.quantities if q.name in meter_map.NAMES for index in range(q.length)
            }
            self._names = {place: word for place, word in words.items() if place in places}
        return meter_map.decode(self._placed, words)

    def _place(self) -> MeterMap:
        """Return the map with addresses, those of a SunSpec device after a walk over its models."""
        if not self._meter.sunspec:
            return self._meter
        steps = walk(self._meter.bases)
        try:
            request = next(steps)
            while True:
                request = steps.send(self._registers(request))
        except StopIteration as end:
            begins: dict[int, int] = end.value
        except ValueError as error:
            raise MeterError(MeterStatus.FAILED, f"{self._link.address}: {error}") from error
        try:
            return meter_map.at(self._meter, begins)
        except ValueError as error:
            raise MeterError(MeterStatus.FAILED, f"{self._link.address}: {error}") from error

    def _words(self, request: Request) -> dict[Place, int]:
        registers = self._registers(request)
        return {(request.function, request.address + index): word for index, word in enumerate(registers or ())}

    def _registers(self, request: Request) -> Sequence[int] | None:
        """Return the words of a request, None where it is optional and the meter does not have them."""
        read = self._client.read_input_registers if request.function == 4 else self._client.read_holding_registers
        where = f"{self._link.address}: registers {request.address} to {request.address + request.count - 1}, function {request.function}"
        try:
            answer = read(request.address, count=request.count, device_id=self._link.unit_id)
        except ConnectionException as error:
            raise MeterError(MeterStatus.DISCONNECTED, f"{where}: the connection broke") from error
        except ModbusException as error:
            silent = "No response" in str(error) or "no response" in str(error)
            status, text = (MeterStatus.TIMEOUT, "no valid answer") if silent else (MeterStatus.FAILED, f"{error}")
            raise MeterError(status, f"{where}: {text}") from error
        except (OSError, ValueError, IndexError) as error:
            raise MeterError(MeterStatus.FAILED, f"{where}: {type(error).__name__}: {error}") from error
        if answer.isError():
            code = int(getattr(answer, "exception_code", 0))
            if request.optional and code in ABSENT:
                return None
            raise MeterError(MeterStatus.FAILED, f"{where}: exception {code}, {EXCEPTIONS.get(code, 'unknown')}")
        # The client takes an answer to another question, which only a meter or a line that is broken gives.
        if answer.function_code != request.function:
            raise MeterError(MeterStatus.FAILED, f"{where}: function {answer.function_code} came")
        if len(answer.registers) != request.count:
            raise MeterError(MeterStatus.FAILED, f"{where}: {len(answer.registers)} registers came, {request.count} were asked for")
        return list(answer.registers)

    def close(self) -> None:
        """Release the connection."""
        self._client.close()  # type: ignore[no-untyped-call]


def _client(link: MeterLinkConfig) -> ModbusTcpClient | ModbusSerialClient:
    if link.host:
        return ModbusTcpClient(link.host, port=link.port, timeout=link.answer_timeout, retries=0)
    return ModbusSerialClient(
        link.serial_port, baudrate=link.baud_rate, parity=link.parity, stopbits=link.stop_bits, timeout=link.answer_timeout, retries=0
    )


class ModbusMeter:
    """Reads a meter again and again in a thread of its own; `wake` is called from there whenever an answer waits."""

    def __init__(self, link: MeterLinkConfig, meter: MeterMap, wake: Callable[[], None] = lambda: None) -> None:
        self._link, self._meter, self._wake = link, meter, wake
        self._answers: deque[Answer] = deque(maxlen=QUEUE)
        self._closing = threading.Event()
        self._session: ModbusSession | None = None
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def drain(self) -> list[Answer]:
        """Return the answers since the last call, oldest first."""
        found = []
        while self._answers:
            found.append(self._answers.popleft())
        return found

    def close(self) -> None:
        """End the thread; what it waits for takes `answer_timeout` at most."""
        self._closing.set()
        self._thread.join(timeout=2.0 * self._link.answer_timeout + 1.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            answer = self._answer(began)
            self._answers.append(answer)
            self._wake()
            self._closing.wait(max(self._pause() - (time.monotonic() - began), 0.0))
        self._hang_up()

    def _answer(self, began: float) -> Answer:
        try:
            if self._session is None:
                self._session = ModbusSession(self._link, self._meter)
            report = self._session.read()
        except MeterError as error:
            self._failed()
            return Answer(began, None, error.status, error.detail)
        except Exception as error:
            # A thread that dies would be a meter that is silent without a reason.
            self._failed()
            return Answer(began, None, MeterStatus.FAILED, f"{self._link.address}: {type(error).__name__}: {error}")
        self._failures = 0
        return Answer(began, report)

    def _failed(self) -> None:
        self._failures += 1
        self._hang_up()

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _pause(self) -> float:
        """Return the time from one attempt to the next [s]."""
        doubled = self._link.poll_period * 2.0 ** min(max(self._failures - 1, 0), 10)
        return max(min(doubled, LONGEST_PAUSE), self._link.poll_period)
