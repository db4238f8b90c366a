"""When a transaction message may be sent, tried again or given up.

Theory of operation. StartTransaction, MeterValues and StopTransaction wait in a queue on disk and are sent one by one in the order in which they happened
(1.6 section 3.7). An answer removes a message. A CALLERROR is a failed attempt: the next one follows after TransactionMessageRetryInterval times the number
of earlier ones, and after TransactionMessageAttempts the message is given up, with all others waiting meanwhile. A lost connection is no attempt. No answer
on a live connection is not a refusal, so it never drops a message; but after as many of them as there are attempts the session is parked for a while
and other sessions go first, because one message that a CSMS never answers must not hold up every other bill.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

# transactionId of messages whose StartTransaction could never be delivered (1.6 section 5.11 and errata).
NO_TRANSACTION: Final = -1
# Longest wait before a parked session is tried again. [s]
LONGEST_PARKING: Final = 3600.0


class Kind(StrEnum):
    """What a message in the queue is."""

    START = "start"
    METER = "meter"
    STOP = "stop"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """One message of the queue; transaction_id is None until the CSMS has answered the StartTransaction of its session."""

    number: int
    evse: int
    session_id: str
    kind: Kind
    action: str
    payload: Mapping[str, Any]
    message_id: str
    attempts: int = 0
    transaction_id: int | None = None

    @property
    def session(self) -> tuple[int, str]:
        """The session that it belongs to."""
        return self.evse, self.session_id


class Outcome(Enum):
    """What becomes of a message that failed."""

    RETRY = "retry"
    DROP = "drop"


def filled(message: QueuedMessage) -> dict[str, Any]:
    """Return the payload as it is to be sent: with the transactionId of its session, -1 where the CSMS never gave one."""
    if message.kind == Kind.START:
        return dict(message.payload)
    number = NO_TRANSACTION if message.transaction_id is None else message.transaction_id
    if message.kind == Kind.COST:
        return {**message.payload, "data": json.dumps({"transactionId": number, **json.loads(message.payload["data"])})}
    return {**message.payload, "transactionId": number}


class Delivery:
    """Holds the waits of the queue; keeps nothing that must survive a restart."""

    def __init__(self, attempts: int, retry_interval: float) -> None:
        self.attempts = attempts
        self.retry_interval = retry_interval
        self._not_before = 0.0
        self._unanswered: dict[int, int] = {}
        self._parked: dict[tuple[int, str], float] = {}

    def parked(self, now: float) -> frozenset[tuple[int, str]]:
        """Return the sessions that are to be passed over now."""
        self._parked = {session: until for session, until in self._parked.items() if until > now}
        return frozenset(self._parked)

    def choose(self, messages: Iterable[QueuedMessage], now: float) -> QueuedMessage | None:
        """Return the message to be sent now out of all in order; None while a wait runs or nothing is left."""
        if now < self._not_before:
            return None
        parked = self.parked(now)
        return next((message for message in messages if message.session not in parked), None)

    def next_change(self, now: float) -> float | None:
        """Return when a wait ends, None where none runs."""
        waits = [until for until in (self._not_before, *self._parked.values()) if until > now]
        return min(waits, default=None)

    def on_answer(self, message: QueuedMessage) -> None:
        """Forget the failures of a delivered message."""
        self._unanswered.pop(message.number, None)
        self._parked.pop(message.session, None)

    def on_error(self, message: QueuedMessage, now: float) -> Outcome:
        """Return what becomes of a message that was answered by a CALLERROR; message.attempts counts the earlier ones."""
        failed = message.attempts + 1
        if failed >= self.attempts:
            self.on_answer(message)
            return Outcome.DROP
        self._not_before = now + self.retry_interval * failed
        return Outcome.RETRY

    def on_silence(self, message: QueuedMessage, now: float) -> None:
        """Note that a message was not answered in time on a connection that still holds."""
        failed = self._unanswered.get(message.number, 0) + 1
        self._unanswered[message.number] = failed
        wait = self.retry_interval * failed
        if failed < self.attempts:
            self._not_before = now + wait
        else:
            self._parked[message.session] = now + min(max(wait, 1.0), LONGEST_PARKING)
