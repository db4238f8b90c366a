"""`station bench ocpp`: how fast ocpp_uplink empties its queue beside the bare `ocpp` library, how long live messages wait meanwhile, and what a hostile CSMS
does to its memory. The uplink runs in this process without ROS, each CSMS in one of its own."""

import asyncio
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import websockets.asyncio.client
from ocpp.v16 import ChargePoint, call

from evse_core import ocpp16_messages as messages
from evse_core.ocpp16 import SUBPROTOCOL, OcppConfig
from evse_core.types import Authorization, ChargeRecord, MeterReading, RecordStatus
from evse_nodes.message_queue import MessageQueue
from evse_nodes.ocpp_settings import Settings
from evse_nodes.ocpp_uplink import Event, OcppUplink
from evse_tools.bench_figures import figure, print_json, print_table

# Target of issue 6: part of the bare library's rate at which the queue is emptied. [1]
TARGET = 0.8
# Growth of resident memory over a hostile hour that counts as flat. Own: fragmentation of the allocator. [MB]
FLAT = 20.0
# Names of the figures that are judged.
SHARE, GROWTH = "share of the bare library's rate", "growth of memory"
# Frames of a hostile hour: what a CSMS that sends one a second has sent by then. [1]
HOUR = 3600
Figures = dict[str, tuple[list[float], str]]
# Length of a turn of the uplink, and of the bare library. [s]
_TURN = 1.0
# Messages of a session in the queue, start and stop included, and longest wait for anything. [1], [s]
_SESSION = 100
_LIMIT = 600.0
_QUICK = OcppConfig(
    charge_point_id="BENCH", back_off_wait_minimum=0.1, back_off_random_range=0.1, back_off_repeat_times=0, message_timeout=2.0
)


def run(count: int, frames: int, as_json: bool) -> int:
    """Measure both; 1 where a target is missed."""
    logging.getLogger("ocpp_uplink").setLevel(logging.CRITICAL)
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="station_bench_") as folder:
        if count:
            figures |= _drain(Path(folder), count)
        if frames:
            figures |= _hostile(Path(folder), frames)
    rows = [figure(name, values, unit) for name, (values, unit) in figures.items()]
    if as_json:
        print_json("ocpp", rows, target=TARGET, flat_mb=FLAT)
    else:
        print_table("station bench ocpp", ("figure", "n", "highest"), rows)
    return 0 if _good(figures) else 1


def _good(figures: Figures) -> bool:
    """Return whether what was measured is what was promised."""
    share, growth = figures.get(SHARE, ([TARGET], "")), figures.get(GROWTH, ([0.0], ""))
    return min(share[0]) >= TARGET and max(growth[0]) <= FLAT


# The queue


def _drain(folder: Path, count: int) -> Figures:
    with _process("evse_simulators.csms_simulator", "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(maxsplit=1)[1].strip()
        queue = MessageQueue(folder / "drain" / "queue.sqlite")
        _fill(queue, count)
        own, bare, waits = list[float](), list[float](), list[float]()
        with _running(replace(_QUICK, url=url, message_timeout=60.0), queue, folder / "drain") as uplink:
            _until(lambda: uplink.link.connected and uplink.registration.may_call)
            while _left(uplink):
                own.append(_turn(uplink, waits))
                with _held(uplink):
                    bare.append(asyncio.run(_bare(url)))
    return {
        "queued messages": ([count], "1"),
        "bare library": (bare, "1/s"),
        "queue on disk": (own, "1/s"),
        SHARE: ([statistics.median(one / other for one, other in zip(own, bare, strict=True))], "1"),
        "wait for a verdict meanwhile": ([1e3 * wait for wait in waits], "ms"),
    }


def _turn(uplink: OcppUplink, waits: list[float]) -> float:
    """Let the uplink send for a while, asking for verdicts meanwhile; returns its rate [1/s]."""
    left, began = _left(uplink), time.perf_counter()
    while (now := _left(uplink)) and time.perf_counter() - began < _TURN:
        waits.append(_authorized(uplink))
        time.sleep(0.02)
    return (left - now) / (time.perf_counter() - began)


@contextmanager
def _held(uplink: OcppUplink) -> Iterator[None]:
    """Hold the uplink's thread: two rates compare only where each has the machine for itself, and turns of both see the same load of others."""
    free = threading.Event()

    def hold() -> None:
        free.wait()

    uplink.post(hold)
    try:
        yield
    finally:
        free.set()


async def _bare(url: str) -> float:
    """Return the rate [1/s] of the library alone with MeterValues as those of the queue, in a turn."""
    request = _sample(1, 0)
    values = [_snake(item) for item in request.payload["meterValue"]]
    async with websockets.asyncio.client.connect(f"{url}/BARE", subprotocols=[SUBPROTOCOL], proxy=None) as connection:  # type: ignore[list-item]
        station = ChargePoint("BARE", connection)
        receiving = asyncio.create_task(station.start())
        count, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < _TURN:
            await station.call(call.MeterValues(connector_id=1, meter_value=values), suppress=False)
            count += 1
        receiving.cancel()
    return count / passed


def _snake(item: Any) -> dict[str, Any]:
    return {"timestamp": item["timestamp"], "sampled_value": item["sampledValue"]}


def _sample(session: int, number: int) -> messages.Request:
    reading = MeterReading(
        stamp=1.8e9 + number, session_id=f"s-{session}", register_wh=1000.0 + number, voltage=400.0, current=100.0, power=40e3
    )
    made = messages.meter_values(1, reading, 50.0, messages.measurands(OcppConfig().meter_values_sampled_data))
    assert made is not None
    return made


def _fill(queue: MessageQueue, count: int) -> None:
    """Queue sessions of MeterValues between their starts and stops. What is queued here need not outlive a loss of power."""
    queue._db.execute("PRAGMA synchronous = OFF")
    for session in range(count // _SESSION):
        name, begin = f"s-{session}", 1.8e9 + session * _SESSION
        record = ChargeRecord(
            status=RecordStatus.CLOSED,
            session_id=name,
            evse_id=1,
            token="BENCH",
            begin=begin,
            begin_register_wh=1000.0,
            end=begin + _SESSION - 1.0,
            end_register_wh=2000.0,
        )
        start = messages.start_transaction(record)
        queue.begin(1, name, "BENCH", begin, start)
        for number in range(1, _SESSION - 1):
            queue.sample(1, name, number, begin + number, _sample(session, number))
        queue.end(1, name, "BENCH", begin, start, record.end, messages.stop_transaction(record), 1000.0)
    queue._db.execute("PRAGMA synchronous = FULL")


def _left(uplink: OcppUplink) -> int:
    return _asked(uplink, lambda: len(uplink.transactions.queue))


# The hostile CSMS


def _hostile(folder: Path, frames: int) -> Figures:
    with _process("evse_simulators.csms_hostile") as process:
        assert process.stdout is not None
        assert process.stdin is not None

        def told(word: str) -> dict[str, Any]:
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            found: dict[str, Any] = json.loads(process.stdout.readline())
            return found

        url = f"ws://127.0.0.1:{int(process.stdout.readline())}"
        queue = MessageQueue(folder / "hostile" / "queue.sqlite")
        memory = psutil.Process().memory_info
        with _running(replace(_QUICK, url=url), queue, folder / "hostile") as uplink:
            began = time.perf_counter()
            _until(lambda: told("rage")["frames"] >= frames / 4)
            early = memory().rss
            _until(lambda: told("rage")["frames"] >= frames)
            late, seen, seconds = memory().rss, told("behave"), time.perf_counter() - began
            _until(lambda: uplink.link.connected and uplink.registration.may_call)
            wait = _authorized(uplink)
    return {
        "hostile frames": ([seen["frames"]], "1"),
        "as long as, at one frame a second": ([seen["frames"] / HOUR], "h"),
        "measured for": ([seconds], "s"),
        "connections that it broke": ([seen["connections"] - 1], "1"),
        "memory after a quarter": ([early / 1e6], "MB"),
        GROWTH: ([(late - early) / 1e6], "MB"),
        "verdict afterwards after": ([1e3 * wait], "ms"),
    }


# Both


@contextmanager
def _process(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _running(config: OcppConfig, queue: MessageQueue, folder: Path) -> Iterator[OcppUplink]:
    def ignore(event: Event) -> None:
        """Nobody listens."""

    uplink = OcppUplink(config, (1,), queue, Settings(folder / "settings.json"), ignore, lambda old, new: True)
    uplink.start()
    try:
        yield uplink
    finally:
        uplink.close()


def _authorized(uplink: OcppUplink) -> float:
    """Return how long a token waits for its verdict [s]."""
    done = threading.Event()

    def take(_: Authorization) -> None:
        done.set()

    began = time.perf_counter()
    uplink.post(uplink.authorize, "TOKEN", take)
    if not done.wait(_LIMIT):
        raise TimeoutError("no verdict")
    return time.perf_counter() - began


def _asked(uplink: OcppUplink, question: Callable[[], int]) -> int:
    """Return an answer of the uplink's own thread."""
    answers: list[int] = []
    done = threading.Event()

    def ask() -> None:
        answers.append(question())
        done.set()

    uplink.post(ask)
    if not done.wait(_LIMIT):
        raise TimeoutError("the uplink does not answer")
    return answers[0]


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the uplink does not come so far")
        time.sleep(0.1)
