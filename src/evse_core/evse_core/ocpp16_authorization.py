"""Whether a token may charge: who is asked, what the CSMS's words mean, and what holds when it cannot be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_messages import ID_TOKEN_LENGTH
from evse_core.types import Authorization, Verdict, VerdictSource

# AuthorizationStatus (1.6 section 7.2).
_VERDICTS: Final[Mapping[str, Verdict]] = {
    "Accepted": Verdict.ACCEPTED,
    "Blocked": Verdict.BLOCKED,
    "Expired": Verdict.EXPIRED,
    "Invalid": Verdict.INVALID,
    "ConcurrentTx": Verdict.CONCURRENT,
}


@dataclass(frozen=True, slots=True)
class Question:
    """A token that asks for a verdict; known is what list or cache of the station say about it, None where they say nothing."""

    token: str
    remote: bool = False
    known: Authorization | None = None


def decide(question: Question, config: OcppConfig, online: bool) -> Authorization | None:
    """Return the verdict that can be given at once, None where the CSMS is to be asked."""
    token = question.token
    if not config.url:
        return Authorization(token=token, verdict=Verdict.ACCEPTED, source=VerdictSource.FREE)
    if not 0 < len(token) <= ID_TOKEN_LENGTH:
        return Authorization(token=token, verdict=Verdict.INVALID, source=VerdictSource.OFFLINE)
    if question.remote and not config.authorize_remote_tx_requests:
        return Authorization(token=token, verdict=Verdict.ACCEPTED, source=VerdictSource.CSMS)
    if not online:
        return offline(question, config)
    accepted = question.known is not None and question.known.verdict is Verdict.ACCEPTED
    return question.known if accepted and config.local_pre_authorize else None


def offline(question: Question, config: OcppConfig) -> Authorization:
    """Return the verdict without the CSMS (1.6 section 3.5): what is known of the token where LocalAuthorizeOffline, else AllowOfflineTxForUnknownId.

    A token that is known as not accepted is refused in any case.
    """
    known = question.known
    if known is not None and (config.local_authorize_offline or known.verdict is not Verdict.ACCEPTED):
        return known
    unknown = Verdict.ACCEPTED if config.allow_offline_tx_for_unknown_id else Verdict.INVALID
    return Authorization(token=question.token, verdict=unknown, source=VerdictSource.OFFLINE)


def from_id_tag_info(token: str, info: object) -> Authorization | None:
    """Return the verdict in an idTagInfo, None where there is none; a status that the protocol does not know refuses."""
    if not isinstance(info, Mapping) or not isinstance(info.get("status"), str):
        return None
    verdict = _VERDICTS.get(info["status"], Verdict.INVALID)
    return Authorization(token=token, verdict=verdict, parent_token=_text(info.get("parentIdTag")), source=VerdictSource.CSMS)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
