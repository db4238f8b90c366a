"""One OCPP-J connection: frames in and out, one outstanding call, answers to the calls of the other side. No policy.

Frames are packed, unpacked and checked against the schemas by the `ocpp` library. Its router and its `call()` are not used: `start()` dies of malformed frames,
a handler that waits blocks the answers, a lost connection leaves `call()` waiting, late answers pile up, NotImplemented and NotSupported are swapped and keys
of vendors' data are rewritten (ocpp 2.1.0). Here every frame may be garbage, and the loop ends only with the connection.
"""

import asyncio
import json
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import ocpp.messages
from ocpp.exceptions import FormatViolationError, OCPPError
from ocpp.messages import Call, CallError, CallResult, unpack, validate_payload

from evse_core.ocpp16_actions import FROM_CSMS
from evse_core.ocpp16_messages import Payload, Request
from evse_core.ocpp16_requests import Refused

# Validation in a thread pool would change the order of messages and is slower for messages this small.
ocpp.messages.ASYNC_VALIDATION = False

LOG = logging.getLogger("ocpp_uplink")

VERSION = "1.6"
# Longest message id (OCPP-J 1.6 section 4.1.4). [characters]
_ID_LENGTH = 36
# Calls of the CSMS that may wait: it should wait for each answer, so more than a few are misbehaviour. [1]
_WAITING_CALLS = 20
# Ids of the CSMS's calls that are remembered to find a repeated one. [1]
_KNOWN_IDS = 200
# The library speaks with the words of OCPP 2; 1.6 spells two of them differently (OCPP-J 1.6 section 4.2.3).
_CODES = {"FormatViolation": "FormationViolation", "OccurrenceConstraintViolation": "OccurenceConstraintViolation"}

Answer = Callable[[str, Payload], Awaitable[tuple[Payload, Callable[[], None]]]]


class CallFailed(Exception):
    """The call had no good answer."""


class CallRefused(CallFailed):
    """It was answered by a CALLERROR, or by something that is no answer."""


class CallSilent(CallFailed):
    """It was not answered in time."""


class ConnectionLost(CallFailed):
    """The connection ended before the answer."""


class Unanswered(Exception):
    """A call of the CSMS that is to get no answer."""


class OcppSocket:
    """Speaks OCPP-J over anything with `await recv()`, `await send(text)` and `await close()`.

    `answer(action, payload)` gives the payload of the answer and what is to be done after it has been sent; Refused makes it a CALLERROR,
    Unanswered nothing. `malformed` hears of each frame that is none of the protocol.
    """

    def __init__(self, connection: Any, answer: Answer, malformed: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self._answer = answer
        self._on_malformed = malformed
        self._pending: tuple[str, asyncio.Future[CallResult | CallError]] | None = None
        self._calls: asyncio.Queue[Call] = asyncio.Queue(_WAITING_CALLS)
        self._known: deque[str] = deque(maxlen=_KNOWN_IDS)
        self.malformed = 0

    async def run(self) -> None:
        """Receive until the connection ends; raises what ended it."""
        worker = asyncio.create_task(self._answer_calls())
        try:
            while True:
                await self._received(await self._connection.recv())
        finally:
            worker.cancel()
            if self._pending is not None and not self._pending[1].done():
                self._pending[1].set_exception(ConnectionLost("the connection was lost"))

    async def call(self, request: Request, timeout: float, message_id: str = "") -> dict[str, Any]:
        """Send a call and return the payload of its answer; CallFailed says why there is none. One at a time."""
        if self._pending is not None:
            raise RuntimeError("a call is outstanding")
        call = Call(message_id or str(uuid.uuid4()), request.action, request.payload)
        future: asyncio.Future[CallResult | CallError] = asyncio.get_running_loop().create_future()
        self._pending = (call.unique_id, future)
        try:
            async with asyncio.timeout(timeout):
                await self._send(call.to_json())
                return _payload(await future)
        except TimeoutError:
            raise CallSilent(f"{request.action} was not answered within {timeout:g} s") from None
        finally:
            self._pending = None
            future.cancel()

    async def _send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except Exception as error:
            raise ConnectionLost(str(error)) from error

    async def _received(self, frame: Any) -> None:
        try:
            message = unpack(frame)
        except (OCPPError, RecursionError, ValueError, TypeError) as error:
            self._note_malformed(frame, error)
            return
        if isinstance(message, Call):
            await self._take_call(message)
        elif self._pending is not None and message.unique_id == self._pending[0] and not self._pending[1].done():
            self._pending[1].set_result(message)
        else:
            LOG.debug("an answer that nobody waits for: %.200s", frame)

    def _note_malformed(self, frame: Any, error: object) -> None:
        """Count a malformed frame; log the 1st, 2nd, 4th, 8th, ... so that a flood of them does not flood the log."""
        self.malformed += 1
        self._on_malformed()
        if self.malformed & (self.malformed - 1) == 0:
            LOG.warning("malformed frame number %d (%s): %.200s", self.malformed, type(error).__name__, frame)

    async def _take_call(self, call: Call) -> None:
        """Queue a call of the CSMS, so that its answer may take time while other frames are received."""
        if not isinstance(call.unique_id, str) or not isinstance(call.action, str) or not isinstance(call.payload, dict):
            self._note_malformed(call, "")
            if isinstance(call.unique_id, str):
                await self._refuse(call, "FormationViolation", "action must be a string, payload an object")
        elif len(call.unique_id) > _ID_LENGTH:
            await self._refuse(call, "FormationViolation", "the message id is longer than 36 characters")
        elif call.unique_id in self._known:
            await self._refuse(call, "ProtocolError", "the message id was used before")
        elif self._calls.full():
            await self._refuse(call, "GenericError", "too many calls wait for their answers")
        else:
            self._known.append(call.unique_id)
            self._calls.put_nowait(call)

    async def _refuse(self, call: Call, code: str, text: str) -> None:
        await self._send(CallError(call.unique_id[:_ID_LENGTH], code, text[:255], {}).to_json())

    async def _answer_calls(self) -> None:
        while True:
            call = await self._calls.get()
            try:
                await self._answer_call(call)
            except ConnectionLost:
                return
            except Exception:
                LOG.exception("the call %.200s could not be answered", call)

    async def _answer_call(self, call: Call) -> None:
        """Check a call, have it answered, send the answer, then do what follows from it."""
        payload = call.payload  # validate_payload() may put Decimals into call.payload.
        try:
            await _check_call(call)
            answer, after = await self._answer(call.action, payload)
        except Unanswered:
            LOG.info("%s is not answered", call.action)
        except Refused as error:
            await self._refuse(call, error.code, str(error))
        except Exception as error:
            LOG.exception("answering %.200s failed", call)
            await self._refuse(call, "InternalError", type(error).__name__)
        else:
            await self._send(CallResult(call.unique_id, dict(answer)).to_json())
            after()


async def _check_call(call: Call) -> None:
    """Hold a call against its schema; Refused says what is wrong, in the words of 1.6. Unknown actions, from which the library would make a file name, are left
    to the rules."""
    if call.action not in FROM_CSMS:
        return
    try:
        await validate_payload(call, VERSION)
    except OCPPError as error:
        raise Refused(_code(error), _cause(error)) from error
    except (RecursionError, ArithmeticError, TypeError, ValueError) as error:
        raise Refused("FormationViolation", f"the payload cannot be checked: {type(error).__name__}") from error


def _code(error: OCPPError) -> str:
    """Return the error code: a value outside its enumeration violates a property, which the library calls a format (1.6 errata)."""
    rule = getattr(error.__context__, "validator", "")
    if isinstance(error, FormatViolationError) and rule not in ("additionalProperties", ""):
        return "PropertyConstraintViolation"
    return str(_CODES.get(error.code, error.code))


def _cause(error: OCPPError) -> str:
    found = getattr(error.__context__, "message", "") or error.description
    return str(found)


def _payload(message: CallResult | CallError) -> dict[str, Any]:
    if isinstance(message, CallError):
        raise CallRefused(f"{message.error_code}: {message.error_description}"[:300])
    if not isinstance(message.payload, dict):
        raise CallRefused(f"an answer that is no object: {json.dumps(message.payload)[:100]}")
    return dict(message.payload)
