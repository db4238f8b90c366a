"""What the simulated CSMS decides: tokens, registration, and the misbehaviour that a test has asked for."""

import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from evse_simulators.csms_billing import Ledger

STATUSES = ("Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx")
MISBEHAVIOURS = ("garbage", "error", "broken", "silent", "slow", "close", "lose_answer", "unknown")
# Meter values and statuses need not be on disk at once; starts and stops are, unless writing them would take more than this share of the time. [s], [1]
_SAVE_PERIOD = 0.5
_SAVE_SHARE = 0.2
# Names of messages that are kept in order of arrival, and lines about the last ones for a person; length of such a line. [1], [characters]
_ARRIVALS = 20000
_RECENT = 50
_LINE = 110


@dataclass(frozen=True)
class Token:
    """A token that the CSMS knows."""

    token: str
    status: str = "Accepted"
    parent: str = ""


def parse_token(text: str) -> Token:
    """Return the token of `ID`, `ID=Status` or `ID=Status:PARENT`; ValueError names what is wrong."""
    token, _, rest = text.partition("=")
    status, _, parent = rest.partition(":")
    if not 0 < len(token) <= 20:
        raise ValueError(f"--token {text}: an id has 1 to 20 characters, not {len(token)}")
    if status and status not in STATUSES:
        raise ValueError(f"--token {text}: status {status} is none of {', '.join(STATUSES)}")
    return Token(token, status or "Accepted", parent)


class Csms:
    """The shared state behind all connections."""

    def __init__(self, ledger: Ledger, tokens: list[Token], heartbeat: int) -> None:
        self.ledger = ledger
        self.tokens = {item.token: item for item in tokens}
        self.heartbeat = heartbeat
        self.boot_status = "Accepted"
        self.refusing_until = 0.0
        self._script: list[tuple[str, str]] = []
        self._saved = 0.0
        self._save_time = 0.0
        self.dirty = False
        # Lines about the calls that arrived last, and how many there were in all.
        self.recent: deque[str] = deque(maxlen=_RECENT)
        self.seen = 0

    def id_tag_info(self, token: str) -> dict[str, Any]:
        """Return the verdict on a token; where none was configured, every token is welcome."""
        known = self.tokens.get(token) or Token(token, "Invalid" if self.tokens else "Accepted")
        info = {"status": known.status}
        return {**info, "parent_id_tag": known.parent} if known.parent else info

    def misbehave(self, kind: str, action: str = "", count: int = 1) -> None:
        """Misbehave at the next `count` calls with this action, at any call where it is ""; ValueError for an unknown kind."""
        if kind not in MISBEHAVIOURS:
            raise ValueError(f"misbehaviour {kind!r} is none of {', '.join(MISBEHAVIOURS)}")
        self._script.extend([(kind, action)] * count)

    def behave(self) -> None:
        """Forget all misbehaviour that is still to come."""
        self._script.clear()
        self.refusing_until = 0.0

    def misbehaviour(self, action: str) -> str:
        """Return how to misbehave at a call with this action, "" for not at all."""
        for index, (kind, wanted) in enumerate(self._script):
            if wanted in ("", action):
                del self._script[index]
                return kind
        return ""

    def arrived(self, charge_point: str, action: str, payload: Any = None) -> None:
        """Note a call."""
        line = f"{time.strftime('%H:%M:%S')} {charge_point} {action} {json.dumps(payload or {})}"
        self.recent.append(line if len(line) <= _LINE else f"{line[: _LINE - 3]}...")
        self.seen += 1
        self.ledger.arrivals.append(f"{charge_point} {action}")
        del self.ledger.arrivals[:-_ARRIVALS]
        self.dirty = True

    def violation(self, text: str) -> None:
        """Note that a station broke a rule."""
        self.ledger.violations.append(text)
        self.dirty = True

    def changed(self, important: bool) -> None:
        """Have the file written: at once where money is concerned, else now and then."""
        self.dirty = True
        period = self._save_time / _SAVE_SHARE if important else _SAVE_PERIOD
        if time.monotonic() - self._saved >= period:
            self.save()

    def save(self) -> None:
        """Write the file."""
        began = time.monotonic()
        self.ledger.save()
        self._saved, self.dirty = time.monotonic(), False
        self._save_time = self._saved - began
