"""Verdicts on tokens: what is known of them here, what the CSMS says, and who decides where it says nothing."""

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from evse_core import ocpp16_messages as messages
from evse_core.ocpp16_authorization import Question, decide, from_id_tag_info, offline
from evse_core.types import Authorization, Verdict, VerdictSource
from evse_nodes.ocpp_socket import CallFailed

if TYPE_CHECKING:
    from evse_nodes.ocpp_uplink import OcppUplink

LOG = logging.getLogger("ocpp_uplink")


class Verdicts:
    """Decides on tokens for an uplink."""

    def __init__(self, uplink: "OcppUplink") -> None:
        self._uplink = uplink

    async def on(self, question: Question, evse: int = 0) -> Authorization:
        """Return a verdict within authorize_timeout; where an EVSE is named, others' reservations of it count, too."""
        uplink = self._uplink
        asked = replace(question, known=uplink.rooms.local_tokens.known(question.token, int(time.time())))
        online = uplink.link.connected and uplink.registration.may_call
        verdict = decide(asked, uplink.config, online) or await self._of_csms(asked)
        reserved = evse and uplink.config.url and uplink.rooms.reservations.bars(evse, question.token, verdict.parent_token)
        if reserved and verdict.verdict is Verdict.ACCEPTED:
            LOG.warning("a token is refused at EVSE %d: others have reserved it", evse)
            return replace(verdict, verdict=Verdict.INVALID, source=VerdictSource.RESERVATION)
        return verdict

    async def _of_csms(self, question: Question) -> Authorization:
        """Return what the CSMS says where it answers, else what the offline policy says."""
        uplink = self._uplink
        try:
            async with asyncio.timeout(uplink.config.authorize_timeout):
                payload = await uplink.live.call(messages.authorize(question.token), uplink.link.wake)
        except (CallFailed, TimeoutError) as error:
            LOG.warning("no verdict of the CSMS on a token (%s): the offline policy decides", error or "timeout")
            return offline(question, uplink.config)
        uplink.on_id_tag_info(question.token, payload.get("idTagInfo"))
        return from_id_tag_info(question.token, payload.get("idTagInfo")) or offline(question, uplink.config)
