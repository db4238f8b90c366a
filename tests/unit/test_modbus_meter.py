"""A real Modbus server on this machine, TCP on 127.0.0.1 and RTU over a pseudo terminal, read as energy_meter reads it; and meters that answer wrongly."""

import itertools
import os
import socket
import struct
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from evse_core.meter_link import MODBUS, MeterLinkConfig
from evse_core.types import MeterReport, MeterStatus
from evse_nodes import meter_maps
from evse_nodes.modbus_meter import Answer, MeterError, ModbusMeter, ModbusSession
from evse_simulators.meter_image import image
from evse_simulators.meter_server import MeterServer

REPORT = MeterReport(
    import_wh=1234.0, export_wh=5.0, voltage=400.0, current=50.0, power=20_000.0, serial="900000001", vendor="x", model="y"
)
AC = replace(
    REPORT,
    frequency=50.0,
    **{f"{what}_l{n}": value for n in (1, 2, 3) for what, value in (("voltage", 230.0), ("current", 10.0), ("power", 2300.0))},
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tcp(name: str = "dcm230", **keys: Any) -> MeterLinkConfig:
    values = {"kind": MODBUS, "map": name, "host": "127.0.0.1", "port": free_port(), "poll_period": 0.05, "answer_timeout": 0.3}
    return MeterLinkConfig(**values | keys)


@contextmanager
def serving(link: MeterLinkConfig, report: MeterReport | None = REPORT) -> Iterator[MeterServer]:
    server = MeterServer(link)
    server.image = None if report is None else image(meter_maps.load(link.map), report)
    try:
        yield server
    finally:
        server.close()


def read(link: MeterLinkConfig) -> MeterReport:
    session = ModbusSession(link, meter_maps.load(link.map))
    try:
        return session.read()
    finally:
        session.close()


def error(link: MeterLinkConfig) -> MeterError:
    with pytest.raises(MeterError) as found:
        read(link)
    return found.value


def until(what: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.01)


@pytest.mark.parametrize(("name", "report"), [("dcm230", REPORT), ("sdm630", AC), ("sunspec_ac", AC)])
def test_a_server_is_read_with_each_map(name: str, report: MeterReport) -> None:
    link = tcp(name)
    with serving(link, report):
        found = read(link)
    assert (found.import_wh, found.export_wh, found.power) == pytest.approx((1234.0, 5.0, 20_000.0), abs=0.01)
    assert found.serial == "900000001"
    assert found.fault == ""
    if name != "dcm230":
        assert (found.voltage_l2, found.current_l3, found.frequency) == pytest.approx((230.0, 10.0, 50.0))


@contextmanager
def terminals() -> Iterator[tuple[str, str]]:
    """Yield two serial ports that are joined, by pseudo terminals and a thread that carries bytes."""
    pairs = [os.openpty() for _ in range(2)]
    for pair in pairs:
        for end in pair:
            tty.setraw(end)
    stopping = threading.Event()

    def carry(source: int, target: int) -> None:
        while not stopping.is_set():
            try:
                os.write(target, os.read(source, 256))
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:
                return

    for pair in pairs:
        os.set_blocking(pair[0], False)
    threads = [threading.Thread(target=carry, args=(pairs[a][0], pairs[b][0])) for a, b in ((0, 1), (1, 0))]
    for thread in threads:
        thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        stopping.set()
        for thread in threads:
            thread.join(5.0)
        for pair in pairs:
            for end in pair:
                os.close(end)


def test_a_meter_on_a_serial_port_is_read() -> None:
    with terminals() as (here, there):
        link = MeterLinkConfig(kind=MODBUS, map="sdm630", serial_port=here, unit_id=17, answer_timeout=1.0)
        with serving(replace(link, serial_port=there), AC):
            found = read(link)
            assert found.import_wh == pytest.approx(1234.0)
            assert error(replace(link, unit_id=18, answer_timeout=0.3)).status in (MeterStatus.TIMEOUT, MeterStatus.FAILED)


def test_nobody_there_is_a_meter_that_is_disconnected() -> None:
    found = error(tcp())
    assert found.status is MeterStatus.DISCONNECTED
    assert "127.0.0.1" in found.detail
    assert error(MeterLinkConfig(kind=MODBUS, map="dcm230", serial_port="/dev/none")).status is MeterStatus.DISCONNECTED


def test_a_meter_that_is_silent_is_told_within_the_timeout() -> None:
    link = tcp()
    with serving(link, None):
        began = time.monotonic()
        assert error(link).status is MeterStatus.TIMEOUT
        assert time.monotonic() - began < 1.5


def test_a_unit_that_is_not_there_is_no_reading() -> None:
    link = tcp()
    with serving(link):
        assert error(replace(link, unit_id=9)).status in (MeterStatus.FAILED, MeterStatus.TIMEOUT)


def test_a_meter_without_a_needed_register_is_refused_and_one_without_an_optional_one_is_not() -> None:
    link = tcp()
    with serving(link) as server:
        assert server.image is not None
        server.image = {place: word for place, word in server.image.items() if place[0] != 3}
        assert read(link).serial == ""
        server.image = {place: word for place, word in server.image.items() if place[1] not in (0x48, 0x49, 0x4A, 0x4B)}
        assert "exception 2, illegal address" in error(link).detail


def test_a_device_that_is_no_sunspec_is_refused_with_a_reason() -> None:
    link = tcp("dcm230")
    with serving(link):
        assert "no SunSpec marker" in error(replace(link, map="sunspec_ac")).detail


@contextmanager
def talking(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Serve what `answer` makes of each request, byte for byte; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(0.2)
                while not stopping.is_set():
                    try:
                        request = connection.recv(260)
                        if not request:
                            break
                        connection.sendall(answer(request))
                    except TimeoutError:
                        continue
                    except OSError:
                        break

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stopping.set()
        thread.join(5.0)
        listener.close()


def frame(request: bytes, pdu: bytes, transaction: int = 0, unit: int = 0) -> bytes:
    """Return an answer to a request, of another transaction or unit by so much."""
    number, _, _, address = struct.unpack(">HHHB", request[:7])
    return struct.pack(">HHHB", number + transaction, 0, len(pdu) + 1, address + unit) + pdu


def words(request: bytes, more: int = 0) -> bytes:
    """Return the data of an answer with as many registers as were asked for, and some more."""
    count = struct.unpack(">H", request[10:12])[0] + more
    return bytes([request[7], 2 * count]) + bytes(2 * count)


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "noise": lambda _: bytes(range(64)),
    "nothing": lambda _: b"",
    "half": lambda request: frame(request, words(request))[:9],
    "too few registers": lambda request: frame(request, words(request, -1)),
    "too many registers": lambda request: frame(request, words(request, 1)),
    "another transaction": lambda request: frame(request, words(request), transaction=1),
    "another unit": lambda request: frame(request, words(request), unit=1),
    "another function": lambda request: frame(request, bytes([3]) + words(request)[1:]),
    "failure": lambda request: frame(request, bytes([request[7] | 0x80, 4])),
    "busy": lambda request: frame(request, bytes([request[7] | 0x80, 6])),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_never_a_reading(name: str) -> None:
    with talking(WRONG[name]) as port:
        found = error(tcp(port=port))
    assert found.status in (MeterStatus.FAILED, MeterStatus.TIMEOUT, MeterStatus.DISCONNECTED)
    assert found.detail


def test_a_meter_that_goes_and_comes_back_is_read_again_after_growing_pauses() -> None:
    link = tcp()
    answers: list[Answer] = []
    meter = ModbusMeter(link, meter_maps.load(link.map))

    def statuses() -> list[MeterStatus]:
        answers.extend(meter.drain())
        return [answer.status for answer in answers]

    try:
        until(lambda: statuses().count(MeterStatus.DISCONNECTED) >= 4)
        times = [answer.time for answer in answers][:4]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert pauses == sorted(pauses)
        assert pauses[-1] >= 3.0 * link.poll_period
        with serving(link):
            until(lambda: statuses().count(MeterStatus.GOOD) >= 3)
            assert answers[-1].report is not None
        until(lambda: statuses()[-1] is not MeterStatus.GOOD)
        with serving(link):
            until(lambda: statuses()[-1] is MeterStatus.GOOD)
    finally:
        meter.close()


def test_a_reading_is_stamped_with_the_time_at_which_it_was_asked_for() -> None:
    link = tcp()
    with serving(link):
        meter = ModbusMeter(link, meter_maps.load(link.map))
        try:
            found: list[Answer] = []
            until(lambda: bool(found.extend(meter.drain()) or found))
            assert found[0].time <= time.monotonic()
            assert found[0].report is not None
        finally:
            meter.close()


def test_a_server_on_another_machine_or_a_port_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="stays on this machine"):
        MeterServer(tcp(host="192.0.2.1"))
    link = tcp()
    with serving(link), pytest.raises(ValueError, match="cannot be served"):
        MeterServer(link)
