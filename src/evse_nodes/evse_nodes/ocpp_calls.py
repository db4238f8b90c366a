"""Calls of the CSMS: the answer first, then what follows from it. Which room of the uplink answers a call, `handlers` says; the rest are decided by
evse_core/ocpp16_requests.py."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from evse_core import ocpp16_messages as messages
from evse_core import ocpp16_requests as requests
from evse_core.ocpp16_security_events import SecurityEvent
from evse_core.types import StopCause
from evse_nodes.ocpp_socket import Unanswered

if TYPE_CHECKING:
    from evse_nodes.ocpp_uplink import OcppUplink

LOG = logging.getLogger("ocpp_uplink")

# Longest wait for an EVSE's answer to a request of the CSMS; its services answer within milliseconds. [s]
_SERVICE_TIMEOUT = 3.0
# Longest wait for sessions to end before a reset, and how often that is looked at. [s]
_RESET_TIMEOUT = 30.0
_LOOK = 0.25


class Calls:
    """Answers the calls that come to an uplink."""

    def __init__(self, uplink: "OcppUplink", handlers: requests.Handlers) -> None:
        self._uplink = uplink
        self._handlers = handlers

    async def answer(self, action: str, payload: messages.Payload) -> tuple[messages.Payload, Callable[[], None]]:
        """Answer a call; what follows from it is done after the answer has been sent."""
        if not self._uplink.registration.may_answer:
            raise Unanswered(action)  # A rejected station is silent (1.6 section 4.2).
        if (handler := self._handlers.get(action)) is not None:
            return handler(payload, int(time.time())), self._uplink.look
        decision = requests.decide(action, payload, self._station(payload.get("idTag", "")))
        if not all(self._prepare(effect) for effect in decision.effects):
            return decision.refused, _nothing
        for request in decision.requests:
            success, text = await self.ask(request)
            if not success:
                LOG.warning("%s refused by the EVSE: %s", action, text)
                self._take_back(decision.effects)
                return decision.refused, _nothing
        return decision.answer, lambda: self._follow(decision.effects)

    def _station(self, token: str) -> requests.Station:
        """Return what a decision needs to know; token is that of a remote start."""
        uplink = self._uplink
        known = uplink.rooms.local_tokens.known(token, int(time.time())) if token else None
        parent = known.parent_token if known is not None else ""
        barred = frozenset(number for number in uplink.evses if token and uplink.rooms.reservations.bars(number, token, parent))
        connectors = {number: item.connector() for number, item in uplink.evses.items()}
        installed = uplink.rooms.certificates.installed(time.time())
        return requests.Station(
            uplink.config, uplink.registration.state, connectors, uplink.transactions.running(), barred, uplink.facts, installed
        )

    async def ask(self, request: requests.EvseRequest) -> tuple[bool, str]:
        """Put a request to an EVSE and return its answer; none in time is a refusal."""
        future: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()

        def settle(success: bool, text: str) -> None:
            if not future.done():
                future.set_result((success, text))

        self._uplink.put(request, lambda success, text: self._uplink.post(settle, success, text))
        try:
            async with asyncio.timeout(_SERVICE_TIMEOUT):
                return await future
        except TimeoutError:
            return False, "no answer"

    def _prepare(self, effect: requests.Effect) -> bool:
        """Do what must hold before an answer says so; returns whether it does."""
        match effect:
            case requests.Configure(config, name, value):  # "Accepted" says that it holds now, and after a restart.
                return self._uplink.configure(config, name, value)
            case requests.KeepProfile(evse, token, profile):
                return self._uplink.rooms.smart_charging.remote_start(evse, token, profile, int(time.time()))
        return True

    def _take_back(self, effects: tuple[requests.Effect, ...]) -> None:
        """Take back what was prepared for an answer that is not given."""
        for effect in effects:
            if isinstance(effect, requests.KeepProfile):
                self._uplink.rooms.smart_charging.remote_start_refused(effect.evse, effect.token)

    def _follow(self, effects: tuple[requests.Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case requests.Send(message, connectors):
                    self._send(message, connectors)
                case requests.Reset(kind):
                    self._uplink.spawn(self._reset(kind))
        self._uplink.link.wake()

    def _send(self, message: str, connectors: tuple[int, ...]) -> None:
        """Send what a TriggerMessage asked for."""
        uplink = self._uplink
        match message:
            case "StatusNotification":
                uplink.statuses.repeat(connectors, triggered=True)
            case "Heartbeat":
                uplink.live.send(messages.heartbeat())
            case "BootNotification":
                uplink.registration.restart(time.monotonic())
            case "MeterValues":
                for number in connectors:
                    if number in uplink.evses and (meter := uplink.evses[number].meter) is not None:
                        uplink.live.send(uplink.transactions.triggered(number, meter.value, uplink.evses[number].soc))
            case "FirmwareStatusNotification" | "SignedFirmwareStatusNotification":
                uplink.rooms.firmware.tell_stage(signed=message.startswith("Signed"))
            case "DiagnosticsStatusNotification" | "LogStatusNotification":
                uplink.rooms.logs.tell_status(log=message.startswith("Log"))
            case requests.SIGN_CERTIFICATE:
                uplink.sign_certificate()

    async def _reset(self, kind: str) -> None:
        """End the sessions, have them told, then begin anew as after a restart: a charging vehicle is never cut off by a reset."""
        uplink = self._uplink
        queue = uplink.transactions.queue
        uplink.security_events.note(SecurityEvent.RESET, f"{kind} reset by the CSMS")
        uplink.transactions.stop_reason = f"{kind}Reset"
        for _ in range(1 + uplink.config.reset_retries):
            active = {number for number, item in uplink.evses.items() if item.session_active}
            for number in sorted(active | {row.evse for row in queue.open_sessions()}):
                await self.ask(requests.StopSession(number, StopCause.REMOTE))
            deadline = time.monotonic() + _RESET_TIMEOUT
            while time.monotonic() < deadline and (queue.open_sessions() or len(queue)):
                await asyncio.sleep(_LOOK)
            if not queue.open_sessions():
                break
        uplink.transactions.stop_reason = ""
        uplink.registration.restart(time.monotonic())
        await uplink.link.drop()


def _nothing() -> None:
    """Do nothing."""
