"""Answers to service calls, given before the sequence acts on them: would it, and if not, why."""

from dataclasses import dataclass

from evse_core.charge_sequencer_outputs import ACTIVE
from evse_core.charge_sequencer_session import same_token
from evse_core.charge_sequencer_table import RUNNING, STARTING
from evse_core.charge_sequencer_view import View
from evse_core.types import ChargeState, RequestKind, SessionRequest

# Longest token that OCPP can carry (1.6 IdToken: CiString20).
TOKEN_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a request is followed; `message` says why not, or what follows."""

    accepted: bool
    message: str = ""


def answer(request: SessionRequest, view: View, session_id: str = "") -> Answer:
    """Return the answer to a request in the present situation; session_id is the session that a stop means, "" for any."""
    match request.kind:
        case RequestKind.START:
            return _start(request.token, view)
        case RequestKind.STOP:
            return _stop(session_id, view)
        case RequestKind.UNLOCK:
            return _unlock(view)
        case RequestKind.ENABLE | RequestKind.SHUTDOWN | RequestKind.EMERGENCY_STOP:
            return Answer(True)
        case RequestKind.DISABLE:
            return Answer(True, "after the session" if view.state in ACTIVE else "")
        case _:
            return Answer(False, "unknown request")


def _start(token: str, view: View) -> Answer:
    if not 0 < len(token) <= TOKEN_LENGTH:
        return Answer(False, f"a token has 1 to {TOKEN_LENGTH} characters, this one {len(token)}")
    if view.shutting_down or not view.in_service:
        return Answer(False, "out of service")
    if view.state is ChargeState.AUTHORIZED and same_token(token, view.driver.token):
        return Answer(True)
    if view.state not in {ChargeState.AVAILABLE, ChargeState.PREPARING}:
        return Answer(False, _busy(view))
    return Answer(not view.blocked, view.blocked)


def _busy(view: View) -> str:
    if view.state is ChargeState.FINISHED:
        return "the last session has ended, unplug first"
    return f"not possible in {view.state.name}"


def _stop(session_id: str, view: View) -> Answer:
    if view.state not in ACTIVE:
        return Answer(False, "no session is open")
    if session_id and session_id != view.session.id:
        return Answer(False, f"session {session_id} is not open, {view.session.id} is")
    return Answer(True, "" if view.state in STARTING | RUNNING else "the session is ending already")


def _unlock(view: View) -> Answer:
    if view.state in ACTIVE:
        return Answer(True, "after the session has been ended")
    if view.io is None:
        return Answer(False, "the I/O board is silent")
    if not view.io.locked:
        return Answer(True, "the connector is not locked")
    if not view.may_unlock:
        return Answer(False, f"the output is at {view.output_words}, unlocking needs at most {view.config.unlock_voltage:.0f} V")
    return Answer(True)
