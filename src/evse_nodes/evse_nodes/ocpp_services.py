"""Requests of the CSMS to the services of the EVSEs. Belongs to the executor's thread."""

from collections.abc import Callable
from typing import Any

import evse_msgs.srv
import std_srvs.srv
from rclpy.node import Node
from rclpy.task import Future

from evse_core import ocpp16_requests as requests

Reply = Callable[[bool, str], None]

_SERVICES: dict[type[Any], tuple[Any, str]] = {
    requests.StartSession: (evse_msgs.srv.StartSession, "start_session"),
    requests.StopSession: (evse_msgs.srv.StopSession, "stop_session"),
    requests.SetAvailability: (std_srvs.srv.SetBool, "set_availability"),
    requests.Unlock: (std_srvs.srv.Trigger, "unlock_connector"),
    requests.SetTariff: (evse_msgs.srv.SetTariff, "set_tariff"),
}


class EvseServices:
    """One client per EVSE and kind of request."""

    def __init__(self, node: Node, evses: tuple[int, ...]) -> None:
        self._made = {
            (number, request): node.create_client(service, f"/evse_{number}/{name}")
            for number in evses
            for request, (service, name) in _SERVICES.items()
        }

    def ask(self, request: requests.EvseRequest, reply: Reply) -> None:
        """Call the service behind a request and have its answer replied, also where nobody serves it."""
        client = self._made.get((request.evse, type(request)))
        if client is None or not client.service_is_ready():
            reply(False, f"evse_{request.evse} offers no such service")
            return
        client.call_async(_message(request)).add_done_callback(lambda future: _answer(future, reply))


def _message(request: requests.EvseRequest) -> Any:
    match request:
        case requests.StartSession(_, token, authorized):
            return evse_msgs.srv.StartSession.Request(token=token, authorized=authorized)
        case requests.StopSession(_, cause, session_id):
            return evse_msgs.srv.StopSession.Request(stop_cause=int(cause), session_id=session_id)
        case requests.SetAvailability(_, available):
            return std_srvs.srv.SetBool.Request(data=available)
        case requests.Unlock():
            return std_srvs.srv.Trigger.Request()
        case requests.SetTariff(_, tariff, who):
            return evse_msgs.srv.SetTariff.Request(tariff=tariff, who=who)


def _answer(future: Future, reply: Reply) -> None:
    answer = None if future.exception() else future.result()
    reply(*((answer.success, answer.message) if answer is not None else (False, "the service failed")))
