"""The OCPP 1.6 uplink without ROS: a thread with an event loop that holds the protocol's state and speaks with the CSMS.

Theory of operation. The node hands in values by post(); everything here runs in the thread of the event loop. What comes out goes through `emit`, which must
be safe to be called from another thread. The link asks four sources for calls, in this order: BootNotification, live messages (Authorize, triggered ones),
status, transaction messages, Heartbeat.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from evse_core import ocpp16_requests as requests
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_authorization import Question
from evse_core.ocpp16_composite import Outlet, Site
from evse_core.ocpp16_configuration import StationFacts, problems
from evse_core.ocpp16_registration import RegistrationRule
from evse_core.ocpp16_security_events import SecurityEvent
from evse_core.ocpp16_status import StatusRule, station_status
from evse_core.sample import Sample, fresh
from evse_core.types import (
    Authorization,
    ChargeRecord,
    ChargeState,
    DriverRules,
    FaultEvent,
    MeterReading,
    RecordStatus,
    SafetyState,
    SessionState,
    UplinkState,
)
from evse_nodes.loop_thread import LoopThread
from evse_nodes.message_queue import MessageQueue, SessionRow
from evse_nodes.ocpp_access import WAY_KEYS, Access
from evse_nodes.ocpp_access import Listeners as AccessListeners
from evse_nodes.ocpp_availability import Availability
from evse_nodes.ocpp_calls import Calls
from evse_nodes.ocpp_evse import EvseState
from evse_nodes.ocpp_link import OcppLink
from evse_nodes.ocpp_rooms import furnished
from evse_nodes.ocpp_security_events import SecurityEvents
from evse_nodes.ocpp_settings import Settings
from evse_nodes.ocpp_smart_charging import running_from
from evse_nodes.ocpp_socket import CallFailed
from evse_nodes.ocpp_sources import BootSource, HeartbeatSource, LiveSource, NoticeSource, StatusSource, WhenAccepted
from evse_nodes.ocpp_transactions import Listeners, Transactions
from evse_nodes.ocpp_verdicts import Verdicts
from evse_nodes.security_log import SecurityLog

LOG = logging.getLogger("ocpp_uplink")

# How often ages, held-back statuses and the uplink's own state are looked at. [s]
_TICK = 0.25
# Period of uplink_state. [s]
_STATE_PERIOD = 1.0
# Silence of a sequence after which its session is not waited for at the end, and the wait for its record and the queue. [s]
_SEQUENCE_OVER = 1.5
_LINGER = 5.0
# How often the station asks for a new certificate of its own accord, and looks whether it needs one. [s]
_SIGNING_PERIOD = 86400.0
# Longest wait for the thread's end: the closing handshake takes 1 s. [s]
_CLOSE_TIMEOUT = 3.0


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
        site: Site | None = None,
        facts: StationFacts | None = None,
    ) -> None:
        if errors := problems(config):
            raise ValueError(f"ocpp_uplink: parameter {'; '.join(errors)}")
        self.config = settings.restored(config)
        self._settings = settings
        self.facts = facts or StationFacts(len(evses))
        self.folder = settings.folder
        self._emit = emit
        self._may_change = may_change
        duration = self.config.minimum_status_duration
        self.evses = {number: EvseState(StatusRule(duration), Availability(number, settings)) for number in evses}
        self.transactions = Transactions(
            self.config,
            queue,
            Listeners(self.publish, self._on_refused_token, self.on_id_tag_info, self._reservation),
        )
        self.registration = RegistrationRule(self.config.heartbeat_interval, self.config.boot_retry_interval)
        self.live = LiveSource(self.registration)
        self.statuses = StatusSource(self.registration)
        self.security_events = SecurityEvents(SecurityLog(self.folder / "ocpp16_security.sqlite"), lambda: self.config)
        self.notices = NoticeSource(self.wake)
        sources = (
            BootSource(self.config, self.registration, self._on_boot_accepted),
            self.live,
            self.statuses,
            WhenAccepted(self.registration, self.security_events),
            WhenAccepted(self.registration, self.notices),
            WhenAccepted(self.registration, self.transactions),
            HeartbeatSource(self.registration),
        )
        self.rooms = furnished(self, site or Site(dict.fromkeys(evses, Outlet()), {}))
        self.verdicts = Verdicts(self)
        self.calls = Calls(self, self.rooms.handlers())
        self.access = Access(settings, self.rooms.certificates, lambda: self.config, AccessListeners(self.security_events.note, self._hold))
        self.link = OcppLink(self.config, sources, self.calls.answer, self, self.access.way)
        self._detail = "not connected yet" if self.config.url else "no CSMS configured"
        self._told: UplinkState | None = None
        self._told_at = 0.0
        self._thread = LoopThread("ocpp_uplink", self._live)
        self._closing_since: float | None = None
        self._renew = False
        self._signing: float | None = None
        self.drained = False
        self.dropped = 0

    # The thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a method of this object in its thread; from any thread."""
        self._thread.post(function, *arguments)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done beside; from this object's thread."""
        self._thread.spawn(work)

    def publish(self, evse: int, value: Any) -> None:
        """Publish a value on the topic of its type; evse 0 stands for the station."""
        self._emit(Publish(evse, value))

    def put(self, request: requests.EvseRequest, reply: Callable[[bool, str], None]) -> None:
        """Put a request to an EVSE; reply may be called from any thread."""
        self._emit(Ask(request, reply))

    async def ask(self, request: requests.EvseRequest) -> tuple[bool, str]:
        """Put a request to an EVSE and return its answer."""
        return await self.calls.ask(request)

    def wake(self) -> None:
        """Have the sources asked again."""
        self.link.wake()

    def close(self) -> None:
        """End the thread and close the queue."""
        self.post(self.rooms.close)
        self._thread.close(_CLOSE_TIMEOUT)
        self.transactions.queue.close()
        self.security_events.log.close()

    async def _live(self) -> None:
        self._limit()
        self._tell_rules()
        self.security_events.note(SecurityEvent.STARTUP)
        self.transactions.announce(tuple(self.evses))
        self.rooms.firmware.start()
        if self.config.url:
            self._thread.spawn(self.link.run())
        while True:
            self._tick()
            await asyncio.sleep(_TICK)

    # From the graph

    def on_session(self, evse: int, value: SessionState, received: float) -> None:
        """Take a session state: status, and a verdict for a token that asks."""
        item = self.evses[evse]
        item.session = Sample(value, received)
        if item.availability.on_session(value, received):
            self._emit(Ask(requests.SetAvailability(evse, False), self._told_out_of_service))
        if value.state != ChargeState.AUTHORIZING:
            item.asked = ""
        elif value.token != item.asked:
            item.asked = value.token
            self.spawn(self._give_verdict(evse, Question(value.token, value.remote_start)))
        if item.without_power and not (value.session_active and value.session_id == item.without_power):
            item.without_power = ""
        self._update_status(evse)

    @staticmethod
    def _told_out_of_service(success: bool, text: str) -> None:
        LOG.log(logging.INFO if success else logging.WARNING, "a restarted sequence is told that it is out of service: %s", text or success)

    def on_safety(self, evse: int, value: SafetyState, received: float) -> None:
        """Take a safety state."""
        self.evses[evse].safety = Sample(value, received)
        self._update_status(evse)

    def on_fault(self, evse: int, value: FaultEvent) -> None:
        """Take a fault event: its error code and words go into the status that follows."""
        if value.active:
            self.evses[evse].faults[value.fault] = value

    def on_meter(self, evse: int, value: MeterReading, received: float) -> None:
        """Take a meter reading: samples of the running transaction."""
        self.evses[evse].meter = Sample(value, received)
        self.evses[evse].look_at_energy(self.config.max_energy_on_invalid_id)
        queued, untied = self.transactions.on_reading(evse, value, self.evses[evse].soc)
        if untied is not None and self.link.connected and self.registration.may_call:
            self.live.send(untied)
        if queued or untied is not None:
            self.link.wake()

    def on_record(self, evse: int, value: ChargeRecord) -> None:
        """Take a charge record: start or end of a transaction."""
        if value.status is RecordStatus.OPEN:
            self.evses[evse].begin = (value.session_id, value.begin_register_wh)
        self.transactions.on_record(evse, value)
        self.link.wake()

    def authorize(self, token: str, reply: Callable[[Authorization], None]) -> None:
        """Give a verdict on a token to reply."""

        async def answer() -> None:
            reply(await self.verdicts.on(Question(token)))

        self.spawn(answer())

    def begin_shutdown(self) -> None:
        """Begin to look whether all is told that must be told."""
        self._closing_since = time.monotonic()

    async def _give_verdict(self, evse: int, question: Question) -> None:
        self.publish(evse, await self.verdicts.on(question, evse))

    def on_id_tag_info(self, token: str, info: object) -> None:
        """Take what an answer of the CSMS says of a token."""
        self.rooms.local_tokens.heard(token, info, int(time.time()))

    def _reservation(self, evse: int, record: ChargeRecord) -> int | None:
        """Return the reservation that the begin of a transaction ends."""
        session = self.evses[evse].session
        parent = session.value.parent_token if session is not None and session.value.token == record.token else ""
        return self.rooms.reservations.use(evse, record.token, parent)

    def _on_refused_token(self, row: SessionRow, verdict: Authorization) -> None:
        """Act on a token that was refused in the answer to StartTransaction."""
        LOG.warning("the CSMS refuses the token of session %s: %s", row.session_id, verdict.verdict.name)
        if self.config.stop_transaction_on_invalid_id:
            self.publish(row.evse, verdict)
        else:
            self.evses[row.evse].refuse(row.session_id, self.config.max_energy_on_invalid_id)
            self.look()

    # The connection

    def on_connected(self, connection: Any) -> None:
        """Note the connection."""
        LOG.info("connected to %s as %s", self.config.url, self.config.charge_point_id)
        self._detail = ""
        self.access.on_connected(connection)
        self.security_events.on_connected()
        self.statuses.on_connected()

    def on_failed(self, error: BaseException) -> None:
        """Note what a failure means for security."""
        self.access.on_failed(error)

    def on_malformed(self) -> None:
        """Note a frame that is none of the protocol."""
        self.security_events.note(SecurityEvent.INVALID_MESSAGES)

    def renew_connection(self) -> None:
        """Have the connection made anew once what is under way has been answered."""
        self._renew = True

    def sign_certificate(self) -> None:
        """Ask the CSMS for a certificate for a new key."""
        self.spawn(self._sign_certificate())

    async def _sign_certificate(self) -> None:
        self._signing = time.monotonic()
        try:
            answer = await self.live.call(self.rooms.certificates.request(), self.link.wake)
        except (CallFailed, OSError) as error:
            LOG.warning("no certificate could be asked for: %s", error)
        else:
            LOG.info("the CSMS answers the request for a certificate: %s", answer.get("status"))

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

    def configure(self, config: OcppConfig, name: str, value: str) -> bool:
        """Keep a key that the CSMS has changed, and take the settings that follow; returns whether that may be."""
        if not self._may_change(self.config, config):
            return False
        self._settings.keep_all({name: value} | self.access.proven_before(self.config, name))
        if name in WAY_KEYS:
            self._renew = True
            self.security_events.note(SecurityEvent.RECONFIGURATION, name)
        self._hold(config)
        return True

    def _hold(self, config: OcppConfig) -> None:
        """Have settings hold from now on."""
        self.config = self.link.config = config
        self.transactions.set_config(config)
        self.registration.heartbeat_interval = config.heartbeat_interval
        for item in self.evses.values():
            item.status.minimum_duration = config.minimum_status_duration
        self._tell_rules()

    def _tell_rules(self) -> None:
        """Tell the sequences what the CSMS wants of the driver's part; without a CSMS their own values hold."""
        if self.config.url:
            for number in self.evses:
                self.publish(number, DriverRules(connection_timeout=float(self.config.connection_time_out)))

    # Regularly

    def _tick(self) -> None:
        """Look at everything; whatever fails is logged, and looked at again a tick later."""
        try:
            self.look()
        except Exception:
            LOG.exception("the uplink stumbled")

    def look(self) -> None:
        """Look at everything that time or a call of the CSMS may have changed."""
        self.rooms.reservations.follow(int(time.time()))
        for number in self.evses:
            self._update_status(number)
        self.transactions.retry()
        self._limit()
        self._look_after_access()
        self.dropped = self.transactions.queue.dropped()
        self._tell_state()
        self.drained = self._closing_since is not None and self._nothing_left()

    def _look_after_access(self) -> None:
        """Make the connection anew where that is wanted, and have the station's certificate renewed in time."""
        if self._renew and self.link.connected:
            self._renew = False
            self.spawn(self.link.drop())
        now = time.monotonic()
        waits = self._signing is not None and now - self._signing < _SIGNING_PERIOD
        if waits or not (self.link.connected and self.registration.may_call):
            return
        self._signing = now
        if self.rooms.certificates.renewal_due(time.time()):
            self.sign_certificate()

    def _limit(self) -> None:
        """Have the limits follow the running transactions."""
        running = running_from(self.transactions.queue.open_sessions()) if self.config.url else {}
        self.rooms.smart_charging.follow(running, [number for number, item in self.evses.items() if item.without_power], int(time.time()))

    def _update_status(self, evse: int) -> None:
        """Offer a changed status of a connector, and of the station, to be reported."""
        now, item = time.monotonic(), self.evses[evse]
        item.reserved = self.rooms.reservations.is_reserved(evse)
        if (status := item.status.step(item.inputs(), now)) is None:
            return
        self.statuses.set(evse, status, time.time())
        self.statuses.set(0, station_status(other.status.reported for other in self.evses.values() if other.status.reported), time.time())
        self.link.wake()

    def _tell_state(self) -> None:
        state = UplinkState(
            connected=self.link.connected, registration=self.registration.state, queued=len(self.transactions.queue), detail=self._detail
        )
        now = time.monotonic()
        if state != self._told or now - self._told_at >= _STATE_PERIOD:
            self._told, self._told_at = state, now
            self.publish(0, state)

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
        item = self.evses.get(row.evse)
        session = fresh(item.session, now, _SEQUENCE_OVER) if item is not None else None
        return session is not None and session.session_id == row.session_id and session.transaction_active
