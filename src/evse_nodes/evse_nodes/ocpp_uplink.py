"""The OCPP 1.6 uplink without ROS: a thread with an event loop that holds the protocol's state and speaks with the CSMS.

Theory of operation. The node hands in values by post(); everything here runs in the thread of the event loop. What comes out goes through `emit`, which must
be safe to be called from another thread. The link asks four sources for calls, in this order: BootNotification, live messages (Authorize, triggered ones),
status, transaction messages, Heartbeat.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from evse_core import ocpp16_messages as messages
from evse_core import ocpp16_requests as requests
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_authorization import Question, decide, from_id_tag_info, offline
from evse_core.ocpp16_configuration import problems
from evse_core.ocpp16_registration import RegistrationRule
from evse_core.ocpp16_status import StatusInputs, StatusRule, station_status
from evse_core.sample import Sample, fresh
from evse_core.types import (
    Authorization,
    ChargeRecord,
    ChargeState,
    ChargingLimit,
    FaultEvent,
    MeterReading,
    SafetyState,
    SessionState,
    StopCause,
    UplinkState,
)
from evse_nodes.loop_thread import LoopThread
from evse_nodes.message_queue import MessageQueue, SessionRow
from evse_nodes.ocpp_availability import Availability
from evse_nodes.ocpp_link import OcppLink
from evse_nodes.ocpp_settings import Settings
from evse_nodes.ocpp_socket import CallFailed, Unanswered
from evse_nodes.ocpp_sources import BootSource, HeartbeatSource, LiveSource, StatusSource, WhenAccepted
from evse_nodes.ocpp_transactions import Transactions

LOG = logging.getLogger("ocpp_uplink")

# How often ages, held-back statuses and the uplink's own state are looked at. [s]
_TICK = 0.25
# Period of uplink_state. [s]
_STATE_PERIOD = 1.0
# Longest wait for an EVSE's answer to a request of the CSMS; its services answer within milliseconds. [s]
_SERVICE_TIMEOUT = 3.0
# Silence of a sequence after which its session is not waited for at the end, and the wait for its record and the queue. [s]
_SEQUENCE_OVER = 1.5
_LINGER = 5.0
# Longest wait for the thread's end: the closing handshake takes 1 s. [s]
_CLOSE_TIMEOUT = 3.0
# Longest wait for sessions to end before a reset. [s]
_RESET_TIMEOUT = 30.0


@dataclass(frozen=True)
class Publish:
    """Publish a value on the topic of its type; evse 0 stands for the station."""

    evse: int
    value: Any


@dataclass(frozen=True)
class Ask:
    """Put a request to an EVSE; reply(success, message) may be called from any thread."""

    request: requests.EvseRequest
    reply: Callable[[bool, str], None]


Event = Publish | Ask


@dataclass
class _Evse:
    """The newest values of one EVSE, the token for which a verdict was given, and the session whose power was taken away."""

    status: StatusRule
    availability: Availability
    session: Sample[SessionState] | None = None
    safety: Sample[SafetyState] | None = None
    meter: Sample[MeterReading] | None = None
    faults: dict[str, FaultEvent] = field(default_factory=dict)
    asked: str = ""
    without_power: str = ""

    def inputs(self) -> StatusInputs:
        return StatusInputs(self.session, self.safety, self.meter, self.faults)


class OcppUplink:
    """The uplink. start() it, post() into it, close() it."""

    def __init__(
        self,
        config: OcppConfig,
        evses: tuple[int, ...],
        queue: MessageQueue,
        settings: Settings,
        emit: Callable[[Event], None],
        may_change: Callable[[OcppConfig, OcppConfig], bool],
    ) -> None:
        if errors := problems(config):
            raise ValueError(f"ocpp_uplink: parameter {'; '.join(errors)}")
        self.config = settings.restored(config)
        self._settings = settings
        self._emit = emit
        self._may_change = may_change
        duration = self.config.minimum_status_duration
        self._evses = {number: _Evse(StatusRule(duration), Availability(number, settings)) for number in evses}
        self.transactions = Transactions(self.config, queue, lambda evse, value: emit(Publish(evse, value)), self._on_refused_token)
        self.registration = RegistrationRule(self.config.heartbeat_interval, self.config.boot_retry_interval)
        self.live = LiveSource(self.registration)
        self.statuses = StatusSource(self.registration)
        boot = BootSource(self.config, self.registration, self._on_boot_accepted)
        sources = (boot, self.live, self.statuses, WhenAccepted(self.registration, self.transactions), HeartbeatSource(self.registration))
        self.link = OcppLink(self.config, sources, self._on_call, self)
        self._detail = "not connected yet" if self.config.url else "no CSMS configured"
        self._told: UplinkState | None = None
        self._told_at = 0.0
        self._thread = LoopThread("ocpp_uplink", self._live)
        self._closing_since: float | None = None
        self.drained = False
        self.dropped = 0

    # The thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a method of this object in its thread; from any thread."""
        self._thread.post(function, *arguments)

    def close(self) -> None:
        """End the thread and close the queue."""
        self._thread.close(_CLOSE_TIMEOUT)
        self.transactions.queue.close()

    async def _live(self) -> None:
        for number in self._evses:
            self._emit(Publish(number, ChargingLimit()))
        self.transactions.announce(tuple(self._evses))
        if self.config.url:
            self._thread.spawn(self.link.run())
        while True:
            self._tick()
            await asyncio.sleep(_TICK)

    # From the graph

    def on_session(self, evse: int, value: SessionState, received: float) -> None:
        """Take a session state: status, and a verdict for a token that asks."""
        item = self._evses[evse]
        item.session = Sample(value, received)
        if item.availability.on_session(value, received):
            self._emit(Ask(requests.SetAvailability(evse, False), self._told_out_of_service))
        if value.state != ChargeState.AUTHORIZING:
            item.asked = ""
        elif value.token != item.asked:
            item.asked = value.token
            self._thread.spawn(self._give_verdict(evse, Question(value.token, value.remote_start)))
        if item.without_power and not (value.session_active and value.session_id == item.without_power):
            item.without_power = ""
            self._emit(Publish(evse, ChargingLimit()))
        self._update_status(evse)

    @staticmethod
    def _told_out_of_service(success: bool, text: str) -> None:
        LOG.log(logging.INFO if success else logging.WARNING, "a restarted sequence is told that it is out of service: %s", text or success)

    def on_safety(self, evse: int, value: SafetyState, received: float) -> None:
        """Take a safety state."""
        self._evses[evse].safety = Sample(value, received)
        self._update_status(evse)

    def on_fault(self, evse: int, value: FaultEvent) -> None:
        """Take a fault event: its error code and words go into the status that follows."""
        if value.active:
            self._evses[evse].faults[value.fault] = value

    def on_meter(self, evse: int, value: MeterReading, received: float) -> None:
        """Take a meter reading: samples of the running transaction."""
        self._evses[evse].meter = Sample(value, received)
        if self.transactions.on_reading(evse, value, self._soc(evse)):
            self.link.wake()

    def on_record(self, evse: int, value: ChargeRecord) -> None:
        """Take a charge record: start or end of a transaction."""
        self.transactions.on_record(evse, value)
        self.link.wake()

    def authorize(self, token: str, reply: Callable[[Authorization], None]) -> None:
        """Give a verdict on a token to reply."""

        async def answer() -> None:
            reply(await self._verdict(Question(token)))

        self._thread.spawn(answer())

    def begin_shutdown(self) -> None:
        """Begin to look whether all is told that must be told."""
        self._closing_since = time.monotonic()

    # Verdicts

    async def _give_verdict(self, evse: int, question: Question) -> None:
        self._emit(Publish(evse, await self._verdict(question)))

    async def _verdict(self, question: Question) -> Authorization:
        """Return a verdict within authorize_timeout: of the CSMS where it answers, else by the offline policy."""
        online = self.link.connected and self.registration.may_call
        if (decided := decide(question, self.config, online)) is not None:
            return decided
        try:
            async with asyncio.timeout(self.config.authorize_timeout):
                payload = await self.live.call(messages.authorize(question.token), self.link.wake)
        except (CallFailed, TimeoutError) as error:
            LOG.warning("no verdict of the CSMS on a token (%s): the offline policy decides", error or "timeout")
            return offline(question, self.config)
        return from_id_tag_info(question.token, payload.get("idTagInfo")) or offline(question, self.config)

    def _on_refused_token(self, row: SessionRow, verdict: Authorization) -> None:
        """Act on a token that was refused in the answer to StartTransaction."""
        LOG.warning("the CSMS refuses the token of session %s: %s", row.session_id, verdict.verdict.name)
        if self.config.stop_transaction_on_invalid_id:
            self._emit(Publish(row.evse, verdict))
        else:
            self._evses[row.evse].without_power = row.session_id
            self._emit(Publish(row.evse, ChargingLimit(power=0.0)))

    # The connection

    def on_connected(self) -> None:
        """Note the connection."""
        LOG.info("connected to %s as %s", self.config.url, self.config.charge_point_id)
        self._detail = ""
        self.statuses.on_connected()

    def on_disconnected(self, reason: str) -> None:
        """Note why there is no connection."""
        self._detail = reason or "the connection was lost"
        self.live.on_disconnected()
        self.statuses.on_disconnected()

    def on_sent(self) -> None:
        """Note that a call went out."""
        self.registration.on_sent(time.monotonic())

    def on_silent(self) -> None:
        """Have a Heartbeat sent next: its answer tells a slow CSMS from a dead connection."""
        self.registration.probe()

    def _on_boot_accepted(self) -> None:
        self.statuses.repeat()

    # Calls of the CSMS

    async def _on_call(self, action: str, payload: messages.Payload) -> tuple[messages.Payload, Callable[[], None]]:
        """Answer a call; what follows from it is done after the answer has been sent."""
        if not self.registration.may_answer:
            raise Unanswered(action)  # A rejected station is silent (1.6 section 4.2).
        decision = requests.decide(action, payload, self._station())
        for request in decision.requests:
            success, text = await self._ask(request)
            if not success:
                LOG.warning("%s refused by the EVSE: %s", action, text)
                return decision.refused, _nothing
        for effect in decision.effects:
            if isinstance(effect, requests.Configure):  # "Accepted" says that it holds now, and after a restart.
                if not self._may_change(self.config, effect.config):
                    return {"status": "Rejected"}, _nothing
                self._configure(effect.config, effect.name, effect.value)
        return decision.answer, lambda: self._follow(decision.effects)

    def _station(self) -> requests.Station:
        connectors = {number: self._connector(item) for number, item in self._evses.items()}
        return requests.Station(self.config, self.registration.state, connectors, self.transactions.running())

    def _connector(self, item: _Evse) -> requests.Connector:
        status = item.status.status(item.inputs(), time.monotonic())
        session = item.session.value if item.session is not None else SessionState()
        return requests.Connector(status.status, session.session_active, session.available)

    async def _ask(self, request: requests.EvseRequest) -> tuple[bool, str]:
        """Put a request to an EVSE and return its answer; none in time is a refusal."""
        future: asyncio.Future[tuple[bool, str]] = self._thread.loop.create_future()

        def settle(success: bool, text: str) -> None:
            if not future.done():
                future.set_result((success, text))

        self._emit(Ask(request, lambda success, text: self.post(settle, success, text)))
        try:
            async with asyncio.timeout(_SERVICE_TIMEOUT):
                return await future
        except TimeoutError:
            return False, "no answer"

    def _follow(self, effects: tuple[requests.Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case requests.Send(message, connectors):
                    self._send(message, connectors)
                case requests.Reset(kind):
                    self._thread.spawn(self._reset(kind))
        self.link.wake()

    def _configure(self, config: OcppConfig, name: str, value: str) -> None:
        self._settings.keep(name, value)
        self.config = self.link.config = config
        self.transactions.set_config(config)
        self.registration.heartbeat_interval = config.heartbeat_interval
        for item in self._evses.values():
            item.status.minimum_duration = config.minimum_status_duration

    def _send(self, message: str, connectors: tuple[int, ...]) -> None:
        """Send what a TriggerMessage asked for."""
        match message:
            case "StatusNotification":
                self.statuses.repeat(connectors, triggered=True)
            case "Heartbeat":
                self.live.send(messages.heartbeat())
            case "BootNotification":
                self.registration.restart(time.monotonic())
            case "MeterValues":
                for number in connectors:
                    if number in self._evses and (meter := self._evses[number].meter) is not None:
                        self.live.send(self.transactions.triggered(number, meter.value, self._soc(number)))

    async def _reset(self, kind: str) -> None:
        """End the sessions, have them told, then begin anew as after a restart: a charging vehicle is never cut off by a reset."""
        self.transactions.stop_reason = f"{kind}Reset"
        active = {number for number, item in self._evses.items() if item.session is not None and item.session.value.session_active}
        for number in sorted(active | {row.evse for row in self.transactions.queue.open_sessions()}):
            await self._ask(requests.StopSession(number, StopCause.REMOTE))
        deadline = time.monotonic() + _RESET_TIMEOUT
        while time.monotonic() < deadline and (self.transactions.queue.open_sessions() or len(self.transactions.queue)):
            await asyncio.sleep(_TICK)
        self.transactions.stop_reason = ""
        self.registration.restart(time.monotonic())
        await self.link.drop()

    # Regularly

    def _tick(self) -> None:
        """Look at everything; whatever fails is logged, and looked at again a tick later."""
        try:
            self._look()
        except Exception:
            LOG.exception("the uplink stumbled")

    def _look(self) -> None:
        for number in self._evses:
            self._update_status(number)
        self.transactions.retry()
        self.dropped = self.transactions.queue.dropped()
        self._tell_state()
        self.drained = self._closing_since is not None and self._nothing_left()

    def _update_status(self, evse: int) -> None:
        """Offer a changed status of a connector, and of the station, to be reported."""
        now, item = time.monotonic(), self._evses[evse]
        if (status := item.status.step(item.inputs(), now)) is None:
            return
        self.statuses.set(evse, status, time.time())
        self.statuses.set(0, station_status(other.status.reported for other in self._evses.values() if other.status.reported), time.time())
        self.link.wake()

    def _soc(self, evse: int) -> float:
        session = fresh(self._evses[evse].session, time.monotonic(), _LINGER)
        return session.soc_percent if session is not None else float("nan")

    def _tell_state(self) -> None:
        state = UplinkState(
            connected=self.link.connected, registration=self.registration.state, queued=len(self.transactions.queue), detail=self._detail
        )
        now = time.monotonic()
        if state != self._told or now - self._told_at >= _STATE_PERIOD:
            self._told, self._told_at = state, now
            self._emit(Publish(0, state))

    def _nothing_left(self) -> bool:
        """Return whether the process may end: no session runs, its end is told, or telling takes too long."""
        now = time.monotonic()
        rows = self.transactions.queue.open_sessions()
        if any(self._runs(row, now) for row in rows):
            self._closing_since = now
            return False
        told = not len(self.transactions.queue) or not self.link.connected
        return (not rows and told) or (self._closing_since is not None and now - self._closing_since > _LINGER)

    def _runs(self, row: SessionRow, now: float) -> bool:
        """Return whether the sequence still lives and holds this session."""
        item = self._evses.get(row.evse)
        session = fresh(item.session, now, _SEQUENCE_OVER) if item is not None else None
        return session is not None and session.session_id == row.session_id and session.transaction_active


def _nothing() -> None:
    """Do nothing."""
