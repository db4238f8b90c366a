"""What the uplink wants to tell the CSMS besides transactions: boot, live messages, statuses, heartbeats."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evse_core import ocpp16_messages as messages
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_registration import CLOCK_TOLERANCE, RegistrationRule, clock_error
from evse_core.ocpp16_status import ConnectorStatus, Status, path, status_notification
from evse_core.types import Registration
from evse_nodes.ocpp_link import Job, Source
from evse_nodes.ocpp_socket import CallRefused, CallSilent, ConnectionLost

LOG = logging.getLogger("ocpp_uplink")

# Triggered messages that may wait: the CSMS asks for them one by one. [1]
_WAITING = 100


def _compare_clocks(payload: dict[str, Any]) -> None:
    """Say where the clocks differ; the station's is set by its operating system, not from here."""
    error = clock_error(payload.get("currentTime"), time.time())
    if error is not None and abs(error) > CLOCK_TOLERANCE:
        LOG.warning("the clock of the CSMS is %.0f s ahead of this one", error)


class BootSource:
    """BootNotification until it is accepted."""

    def __init__(self, config: OcppConfig, registration: RegistrationRule, accepted: Callable[[], None]) -> None:
        self._config = config
        self._registration = registration
        self._accepted = accepted

    def next(self, now: float) -> Job | None:
        """Return BootNotification where it is due."""
        if not self._registration.boot_due(now):
            return None
        failed = self._failed
        return Job(messages.boot_notification(self._config), self._answered, lambda reason: failed(), failed)

    def wake_at(self, now: float) -> float | None:
        """Return when the next one is due."""
        return None if self._registration.state == Registration.ACCEPTED else self._registration.next_change()

    def _answered(self, payload: dict[str, Any]) -> None:
        _compare_clocks(payload)
        self._registration.on_boot_answer(payload.get("status"), payload.get("interval"), time.monotonic())
        if self._registration.may_call:
            self._accepted()

    def _failed(self) -> None:
        self._registration.on_boot_failed(time.monotonic())


class HeartbeatSource:
    """Heartbeat when nothing else was said for its interval."""

    def __init__(self, registration: RegistrationRule) -> None:
        self._registration = registration

    def next(self, now: float) -> Job | None:
        """Return Heartbeat where it is due."""
        return Job(messages.heartbeat(), _compare_clocks) if self._registration.heartbeat_due(now) else None

    def wake_at(self, now: float) -> float | None:
        """Return when it is due."""
        return self._registration.next_change() if self._registration.may_call else None


class LiveSource:
    """Calls that somebody waits for, or that the CSMS has triggered; worth nothing once the connection is gone."""

    def __init__(self, registration: RegistrationRule) -> None:
        self._registration = registration
        self._asked: deque[tuple[messages.Request, asyncio.Future[dict[str, Any]]]] = deque()
        self._triggered: deque[messages.Request] = deque(maxlen=_WAITING)
        self._running: asyncio.Future[dict[str, Any]] | None = None

    async def call(self, request: messages.Request, wake: Callable[[], None]) -> dict[str, Any]:
        """Make a call and return the payload of its answer; CallFailed where there is none. May be cancelled."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked.append((request, future))
        wake()
        return await future

    def send(self, request: messages.Request | None) -> None:
        """Send a triggered message, also while the registration is pending."""
        if request is not None:
            self._triggered.append(request)

    def next(self, now: float) -> Job | None:
        """Return the oldest call; those that nobody waits for any more are left out."""
        while self._registration.may_call and self._asked:
            request, future = self._asked.popleft()
            if not future.done():
                return self._job(request, future)
        if self._triggered and self._registration.may_answer:
            return Job(self._triggered.popleft(), lambda payload: None)
        return None

    def wake_at(self, now: float) -> float | None:
        """Return None: call() wakes the sender."""
        return None

    def on_disconnected(self) -> None:
        """Let all who wait know that there is no connection."""
        waiting = [future for _, future in self._asked] + ([self._running] if self._running else [])
        self._asked.clear()
        self._triggered.clear()
        for future in waiting:
            _fail(future, ConnectionLost("the connection was lost"))

    def _job(self, request: messages.Request, future: asyncio.Future[dict[str, Any]]) -> Job:
        self._running = future

        def answered(payload: dict[str, Any]) -> None:
            if not future.done():
                future.set_result(payload)

        return Job(
            request,
            answered,
            lambda reason: _fail(future, CallRefused(reason)),
            lambda: _fail(future, CallSilent(f"{request.action} was not answered")),
        )


class NoticeSource:
    """Messages about files in their order, kept while there is no connection; one that is refused or not answered is not told again."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._waiting: deque[messages.Request] = deque(maxlen=_WAITING)
        self._wake = wake

    def tell(self, request: messages.Request) -> None:
        """Have a message sent."""
        self._waiting.append(request)
        self._wake()

    def next(self, now: float) -> Job | None:
        """Return the oldest one."""
        if not self._waiting:
            return None
        request = self._waiting[0]
        gone = lambda *_: self._told(request)  # noqa: E731
        return Job(request, gone, gone, gone)

    def wake_at(self, now: float) -> float | None:
        """Return None: tell() wakes the sender."""
        return None

    def _told(self, request: messages.Request) -> None:
        if self._waiting and self._waiting[0] is request:
            self._waiting.popleft()


def _fail(future: asyncio.Future[dict[str, Any]], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class StatusSource:
    """StatusNotifications: each change in order while there is a connection; after one was lost, only what is so now and was not told."""

    def __init__(self, registration: RegistrationRule) -> None:
        self._registration = registration
        self._current: dict[int, tuple[ConnectorStatus, float]] = {}
        self._told: dict[int, ConnectorStatus] = {}
        self._waiting: deque[tuple[int, ConnectorStatus, float]] = deque()
        self._triggered: deque[int] = deque(maxlen=_WAITING)
        # What was told last on this connection: the changes that follow are those of the protocol's table.
        self._last: dict[int, Status] = {}
        self._connected = False
        self._conflict = False

    def set(self, connector: int, status: ConnectorStatus, stamp: float) -> None:
        """Take the status of a connector since stamp, a time of the ROS clock [s]."""
        previous = self._current.get(connector)
        if previous is not None and status.same(previous[0]):
            return
        self._current[connector] = (status, stamp)
        if self._connected and self._registration.may_call and len(self._waiting) < _WAITING:
            self._waiting.append((connector, status, stamp))
        else:
            self._collapse()

    def repeat(self, connectors: tuple[int, ...] | None = None, *, triggered: bool = False) -> None:
        """Tell the status of connectors again, of all without a list; triggered: also while the registration is pending."""
        chosen = [number for number in sorted(self._current) if connectors is None or number in connectors]
        if triggered:
            self._triggered.extend(chosen)
            return
        for number in chosen:
            self._told.pop(number, None)
        self._collapse()

    def tell_conflict(self) -> None:
        """Tell once that the local list and the CSMS disagree about a token (1.6 section 3.5.3); the status of connector 0 stays what it is."""
        self._conflict = True

    def next(self, now: float) -> Job | None:
        """Return the next status to be told."""
        if self._conflict and self._registration.may_call and 0 in self._current:
            self._conflict = False
            status = replace(self._current[0][0], error_code="LocalListConflict", info="", vendor_error_code="")
            return Job(status_notification(0, status, time.time()), lambda payload: None)
        if self._triggered and self._registration.may_answer and not (self._registration.may_call and self._waits(self._triggered[0])):
            number = self._triggered.popleft()
            return Job(status_notification(number, *self._current[number]), lambda payload: None)
        if not self._registration.may_call or not self._waiting:
            return None
        number, status, stamp = self._waiting[0]
        previous = self._last.get(number)
        way = path(previous, status.status) if number and previous not in (None, status.status) else (status.status,)
        step = status if len(way) == 1 else ConnectorStatus(way[0])
        told = lambda *_: self._is_told(number, step)  # noqa: E731
        return Job(status_notification(number, step, stamp), told, told)

    def _waits(self, connector: int) -> bool:
        return any(number == connector for number, _, _ in self._waiting)

    def wake_at(self, now: float) -> float | None:
        """Return None: whoever sets a status wakes the sender."""
        return None

    def on_connected(self) -> None:
        """Report each change from now on; what is told first follows from nothing."""
        self._connected = True
        self._last.clear()

    def on_disconnected(self) -> None:
        """Keep only what is so now and was not told."""
        self._connected = False
        self._triggered.clear()
        self._collapse()

    def _is_told(self, number: int, status: ConnectorStatus) -> None:
        self._told[number] = status
        self._last[number] = status.status
        if self._waiting and self._waiting[0][:2] == (number, status):
            self._waiting.popleft()

    def _collapse(self) -> None:
        news = [(number, *item) for number, item in sorted(self._current.items()) if not item[0].same(self._told.get(number))]
        self._waiting = deque(news)


class WhenAccepted:
    """Lets a source speak only once the CSMS has accepted the station."""

    def __init__(self, registration: RegistrationRule, source: Source) -> None:
        self._registration = registration
        self._source = source

    def next(self, now: float) -> Job | None:
        """Return the call of the source."""
        return self._source.next(now) if self._registration.may_call else None

    def wake_at(self, now: float) -> float | None:
        """Return the time of the source."""
        return self._source.wake_at(now) if self._registration.may_call else None
