"""Keeps one WebSocket to the CSMS: connects with back-off, sends what its sources offer, one call at a time, and receives.

A Source offers the next call that it wants to make, or says when it will have one. The sources are asked in the order of their priority, by one sender task, so
that calls go out in the order that the rules want.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from evse_core.ocpp16 import SUBPROTOCOL, OcppConfig
from evse_core.ocpp16_backoff import BackOff
from evse_core.ocpp16_messages import Request
from evse_nodes.ocpp_socket import Answer, CallRefused, CallSilent, ConnectionLost, OcppSocket

LOG = logging.getLogger("ocpp_uplink")


class NoAccess(Exception):
    """There is no way to connect as the security profile demands, and why."""


# Longest time to open a connection; the libraries' default. [s]
_OPEN_TIMEOUT = 10.0
# Longest time for the closing handshake: the CSMS may be gone, and nobody waits for it. [s]
_CLOSE_TIMEOUT = 1.0
# Calls in a row that are not answered before the connection counts as dead: the second one is a Heartbeat that every CSMS answers. [1]
_SILENT_CALLS = 2
# Longest wait before the sources are asked again, in case one of them forgot to wake the sender. [s]
_IDLE = 1.0


@dataclass
class Job:
    """A call, and what is done with its answer, its refusal or its silence. A lost connection calls none of them."""

    request: Request
    on_answer: Callable[[dict[str, Any]], None]
    on_refused: Callable[[str], None] = field(default=lambda reason: None)
    on_silent: Callable[[], None] = field(default=lambda: None)
    message_id: str = ""


class Source(Protocol):
    """Something that wants to call the CSMS. Times in monotonic s."""

    def next(self, now: float) -> Job | None:
        """Return the call to be made now."""

    def wake_at(self, now: float) -> float | None:
        """Return when there may be a call without further notice."""


class LinkObserver(Protocol):
    """Hears of the connection."""

    def on_connected(self, connection: Any) -> None:
        """Hear that a connection was opened."""

    def on_failed(self, error: BaseException) -> None:
        """Hear that a connection could not be opened, or broke."""

    def on_disconnected(self, reason: str) -> None:
        """Hear that there is no connection and why."""

    def on_sent(self) -> None:
        """Hear that a call went out."""

    def on_silent(self) -> None:
        """Hear that a call was not answered."""

    def on_malformed(self) -> None:
        """Hear that a frame came that is none of the protocol."""


# Address and options of websockets for the next try; the argument counts the connections that failed or ended since the last good one.
Way = Callable[[int], tuple[str, dict[str, Any]]]


class OcppLink:
    """The connection. `config` may be replaced while it runs; all methods belong to the event loop's thread."""

    def __init__(self, config: OcppConfig, sources: Sequence[Source], answer: Answer, observer: LinkObserver, way: Way) -> None:
        self.config = config
        self.connected = False
        self._sources = sources
        self._answer = answer
        self._observer = observer
        self._way = way
        self._wake = asyncio.Event()
        self._connection: Any = None
        self._failures = 0

    def wake(self) -> None:
        """Have the sources asked again."""
        self._wake.set()

    async def drop(self) -> None:
        """Close the connection; it is opened again after the back-off."""
        if self._connection is not None:
            await self._connection.close()

    async def run(self) -> None:
        """Connect, serve, wait, for ever."""
        while True:
            reason = await self._connect_once()
            self.connected = False
            self._connection = None
            self._observer.on_disconnected(reason)
            wait = BackOff(self.config.back_off_wait_minimum, self.config.back_off_random_range, self.config.back_off_repeat_times)
            seconds = wait.wait(self._failures, random.random())
            self._failures += 1
            LOG.info("not connected: %s; next try in %.1f s", reason, seconds)
            await asyncio.sleep(seconds)

    async def _connect_once(self) -> str:
        """Serve one connection to its end and return why it ended."""
        try:
            url, options = self._way(self._failures)
            async with websockets.asyncio.client.connect(url, **self._options(), **options) as connection:
                if connection.subprotocol != SUBPROTOCOL:
                    return f"the CSMS does not speak {SUBPROTOCOL}"
                return await self._serve(connection)
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, ConnectionLost, NoAccess) as error:
            self._observer.on_failed(error)
            return str(error) or type(error).__name__
        except Exception as error:
            LOG.exception("the connection failed unexpectedly")
            return f"{type(error).__name__}: {error}"

    def _options(self) -> dict[str, Any]:
        """Return the options of websockets: no proxy of the environment, pings as configured."""
        ping = self.config.websocket_ping_interval or None
        options: dict[str, Any] = {
            "subprotocols": [SUBPROTOCOL],
            "proxy": None,
            "open_timeout": _OPEN_TIMEOUT,
            "close_timeout": _CLOSE_TIMEOUT,
        }
        return options | {"ping_interval": ping, "ping_timeout": ping}

    async def _serve(self, connection: Any) -> str:
        self._connection, self.connected = connection, True
        socket = OcppSocket(connection, self._answer, self._observer.on_malformed)
        self._observer.on_connected(connection)
        tasks = [asyncio.create_task(socket.run()), asyncio.create_task(self._send(socket))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        ended = next((result for result, task in zip(results, tasks, strict=True) if task in done), None)
        if isinstance(ended, Exception) and not isinstance(ended, (ConnectionClosed, ConnectionLost)):
            LOG.error("the connection ended by an error of this program", exc_info=ended)
        return str(ended) or type(ended).__name__

    async def _send(self, socket: OcppSocket) -> None:
        """Make the calls, until the connection ends or answers no more."""
        silent = 0
        while silent < _SILENT_CALLS:
            self._wake.clear()
            job = self._next()
            if job is None:
                await self._idle()
                continue
            silent = 0 if await self._perform(socket, job) else silent + 1
        raise ConnectionLost(f"{silent} calls in a row were not answered")

    def _next(self) -> Job | None:
        now = time.monotonic()
        return next((job for source in self._sources if (job := source.next(now)) is not None), None)

    async def _perform(self, socket: OcppSocket, job: Job) -> bool:
        """Make one call; returns whether it was answered."""
        self._observer.on_sent()
        try:
            payload = await socket.call(job.request, self.config.message_timeout, job.message_id)
        except CallRefused as error:
            LOG.warning("%s was refused: %s", job.request.action, error)
            job.on_refused(str(error))
        except CallSilent as error:
            LOG.warning("%s", error)
            self._observer.on_silent()
            job.on_silent()
            return False
        else:
            job.on_answer(payload)
        self._failures = 0
        return True

    async def _idle(self) -> None:
        now = time.monotonic()
        times = [at for source in self._sources if (at := source.wake_at(now)) is not None]
        try:
            async with asyncio.timeout(max(0.0, min([_IDLE, *(at - now for at in times)]))):
                await self._wake.wait()
        except TimeoutError:
            return
