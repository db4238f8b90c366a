"""What the station answers to a call of the CSMS, and what it does about it.

`decide` returns a Decision: the answer, or the question that must be put to an EVSE before it can be given, and what follows after the answer has gone out
(1.6: the answer comes first, then the messages that it causes). Payloads have been checked against the schemas before they come here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from evse_core import ocpp16_configuration as configuration
from evse_core import ocpp16_messages as messages
from evse_core.audit import by_csms
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_access import Installed, profile_refusal
from evse_core.ocpp16_actions import FROM_CSMS
from evse_core.ocpp16_configuration import StationFacts
from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_status import Status
from evse_core.types import Registration, StopCause

# Answers calls of one feature profile: each takes a payload and the time of receipt [s, UTC].
Handler = Callable[[Payload, int], Payload]
Handlers = Mapping[str, Handler]


class Refused(Exception):
    """A call that is answered by a CALLERROR with this code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class StartSession:
    """Start a session with a token."""

    evse: int
    token: str
    authorized: bool


@dataclass(frozen=True, slots=True)
class StopSession:
    """End a session."""

    evse: int
    cause: StopCause
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class SetAvailability:
    """Take an EVSE out of service or back into it."""

    evse: int
    available: bool


@dataclass(frozen=True, slots=True)
class Unlock:
    """Release the connector."""

    evse: int


@dataclass(frozen=True, slots=True)
class SetTariff:
    """Have another tariff hold: JSON text, and who wants it."""

    evse: int
    tariff: str
    who: str


EvseRequest = StartSession | StopSession | SetAvailability | Unlock | SetTariff


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message that was triggered: its name and the connectors that it is about."""

    message: str
    connectors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reset:
    """Restart; kind is Soft or Hard."""

    kind: str


@dataclass(frozen=True, slots=True)
class Configure:
    """Take new settings and keep the one that was changed."""

    config: OcppConfig
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class KeepProfile:
    """Keep the charging profile of a remote start for the session that it starts; the start is refused where that fails."""

    evse: int
    token: str
    profile: Payload


Effect = Send | Reset | Configure | KeepProfile


@dataclass(frozen=True, slots=True)
class Connector:
    """What a decision needs to know of a connector."""

    status: Status
    session_active: bool = False
    available: bool = True


@dataclass(frozen=True, slots=True)
class Station:
    """What a decision needs to know of the station: connectors by number, running transactions by their id as (EVSE, session), and the connectors that
    others than the token of a remote start have reserved."""

    config: OcppConfig
    registration: Registration
    connectors: Mapping[int, Connector]
    transactions: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    barred: frozenset[int] = frozenset()
    facts: StationFacts = field(default_factory=StationFacts)
    installed: Installed = field(default_factory=Installed)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; it counts when the effects that it promises hold and every EVSE agrees to the requests, else refused is the answer."""

    answer: Payload
    requests: tuple[EvseRequest, ...] = ()
    refused: Payload = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()


def decide(action: str, payload: Payload, station: Station) -> Decision:
    """Return the decision on a call; Refused where it is to be answered by a CALLERROR."""
    if action not in FROM_CSMS:
        raise Refused("NotImplemented", "the action is not known")
    if action not in _RULES:
        raise Refused("NotSupported", "the action is known and not supported here")
    return _RULES[action](payload, station)


def _status(word: str) -> Payload:
    return {"status": word}


def _start(payload: Payload, station: Station) -> Decision:
    evse = payload.get("connectorId", _free_connector(station))
    connector = station.connectors.get(evse)
    forbidden = station.registration != Registration.ACCEPTED or connector is None or connector.session_active or evse in station.barred
    if forbidden or (connector is not None and connector.status not in _STARTABLE):
        return Decision(_status("Rejected"))
    request = StartSession(evse, payload["idTag"], authorized=not station.config.authorize_remote_tx_requests)
    profile = (KeepProfile(evse, payload["idTag"], payload["chargingProfile"]),) if "chargingProfile" in payload else ()
    return Decision(_status("Accepted"), (request,), _status("Rejected"), profile)


# Where a remote start makes sense; the sequence itself decides whether it can start now.
_STARTABLE: Final = frozenset({Status.AVAILABLE, Status.RESERVED, Status.PREPARING, Status.FINISHING})


def _free_connector(station: Station) -> int:
    """Return the connector that a remote start without one means: a plugged one first, then a free one; 0 where there is none."""
    for status in (Status.PREPARING, Status.RESERVED, Status.AVAILABLE):
        for number, connector in sorted(station.connectors.items()):
            if connector.status == status and not connector.session_active and number not in station.barred:
                return number
    return 0


def _stop(payload: Payload, station: Station) -> Decision:
    found = station.transactions.get(payload["transactionId"])
    if found is None or station.registration != Registration.ACCEPTED:
        return Decision(_status("Rejected"))
    return Decision(_status("Accepted"), (StopSession(found[0], StopCause.REMOTE, found[1]),), _status("Rejected"))


def _unlock(payload: Payload, station: Station) -> Decision:
    evse = payload["connectorId"]
    if evse not in station.connectors:
        return Decision(_status("NotSupported"))
    return Decision(_status("Unlocked"), (Unlock(evse),), _status("UnlockFailed"))


def _availability(payload: Payload, station: Station) -> Decision:
    wanted, number = payload["type"] == "Operative", payload["connectorId"]
    if number != 0 and number not in station.connectors:
        return Decision(_status("Rejected"))
    evses = sorted(station.connectors) if number == 0 else [number]
    busy = any(station.connectors[evse].session_active for evse in evses)
    word = "Scheduled" if busy and not wanted else "Accepted"
    return Decision(_status(word), tuple(SetAvailability(evse, wanted) for evse in evses), _status("Rejected"))


def _reset(payload: Payload, station: Station) -> Decision:
    return Decision(_status("Accepted"), effects=(Reset(payload["type"]),))


def _trigger(payload: Payload, station: Station) -> Decision:
    message, connector = payload["requestedMessage"], payload.get("connectorId")
    if message not in _TRIGGERED:
        return Decision(_status("NotImplemented"))
    if connector is not None and connector != 0 and connector not in station.connectors:
        return Decision(_status("Rejected"))
    if message == "MeterValues" and connector == 0:
        return Decision(_status("Rejected"))  # There is no main meter.
    if message == "BootNotification" and station.registration == Registration.ACCEPTED:
        return Decision(_status("Rejected"))
    everything = (0, *sorted(station.connectors)) if message == "StatusNotification" else tuple(sorted(station.connectors))
    return Decision(_status("Accepted"), effects=(Send(message, everything if connector is None else (connector,)),))


_TRIGGERED: Final = frozenset(
    {
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "StatusNotification",
    }
)


def _extended_trigger(payload: Payload, station: Station) -> Decision:
    """Return the decision on ExtendedTriggerMessage, which has messages of its own (security whitepaper section 5.7)."""
    if payload["requestedMessage"] == "FirmwareStatusNotification":  # The extension means its own message.
        return Decision(_status("Accepted"), effects=(Send("SignedFirmwareStatusNotification"),))
    if payload["requestedMessage"] != SIGN_CERTIFICATE:
        return _trigger(payload, station)
    if not station.config.cpo_name:
        return Decision(_status("Rejected"))  # A request without organisation gets no certificate.
    return Decision(_status("Accepted"), effects=(Send(SIGN_CERTIFICATE),))


SIGN_CERTIFICATE: Final = "SignChargePointCertificate"


def _get_configuration(payload: Payload, station: Station) -> Decision:
    return Decision(configuration.get(station.config, station.facts, payload.get("key", ())))


def _change_configuration(payload: Payload, station: Station) -> Decision:
    result = configuration.change(station.config, payload["key"], payload["value"])
    if result.config is None or result.stored is None:
        return Decision(_status(result.status))
    if result.stored[0] == "SecurityProfile" and profile_refusal(station.config, result.config.security_profile, station.installed):
        return Decision(_status("Rejected"))
    return Decision(_status(result.status), refused=_status("Rejected"), effects=(Configure(result.config, *result.stored),))


def _data_transfer(payload: Payload, station: Station) -> Decision:
    if payload["vendorId"] != messages.VENDOR_ID:
        return Decision(_status("UnknownVendorId"))
    if payload.get("messageId") != messages.SET_TARIFF:
        return Decision(_status("UnknownMessageId"))
    try:
        connector, text = messages.wanted_tariff(payload.get("data"))
    except ValueError as error:
        return Decision({"status": "Rejected", "data": str(error)})
    if station.registration != Registration.ACCEPTED or (connector and connector not in station.connectors):
        return Decision(_status("Rejected"))
    evses = (connector,) if connector else tuple(sorted(station.connectors))
    who = by_csms(station.config.url, station.config.charge_point_id)
    return Decision(_status("Accepted"), tuple(SetTariff(evse, text, who) for evse in evses), _status("Rejected"))


_RULES: Final[Mapping[str, Callable[[Any, Station], Decision]]] = {
    "ChangeAvailability": _availability,
    "ChangeConfiguration": _change_configuration,
    "DataTransfer": _data_transfer,
    "ExtendedTriggerMessage": _extended_trigger,
    "GetConfiguration": _get_configuration,
    "RemoteStartTransaction": _start,
    "RemoteStopTransaction": _stop,
    "Reset": _reset,
    "TriggerMessage": _trigger,
    "UnlockConnector": _unlock,
}
SUPPORTED: Final = tuple(_RULES)
