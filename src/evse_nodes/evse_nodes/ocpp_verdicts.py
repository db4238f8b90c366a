"""Verdicts on tokens: what is known of them here, what the CSMS says, and who decides where it says nothing."""

import asyncio
import logging
from typing import TYPE_CHECKING

from evse_core import ocpp16_messages as messages
from evse_core.ocpp16_authorization import Question, decide, from_id_tag_info, offline
from evse_core.types import Authorization
from evse_nodes.ocpp_socket import CallFailed

if TYPE_CHECKING:
    from evse_nodes.ocpp_uplink import OcppUplink

LOG = logging.getLogger("ocpp_uplink")


class Verdicts:
    """Decides on tokens for an uplink."""

    def __init__(self, uplink: "OcppUplink") -> None:
        self._uplink = uplink

    async def on(self, question: Question) -> Authorization:
        """Return a verdict within authorize_timeout: of the CSMS where it answers, else by the offline policy."""
        uplink = self._uplink
        online = uplink.link.connected and uplink.registration.may_call
        if (decided := decide(question, uplink.config, online)) is not None:
            return decided
        try:
            async with asyncio.timeout(uplink.config.authorize_timeout):
                payload = await uplink.live.call(messages.authorize(question.token), uplink.link.wake)
        except (CallFailed, TimeoutError) as error:
            LOG.warning("no verdict of the CSMS on a token (%s): the offline policy decides", error or "timeout")
            return offline(question, uplink.config)
        return from_id_tag_info(question.token, payload.get("idTagInfo")) or offline(question, uplink.config)
