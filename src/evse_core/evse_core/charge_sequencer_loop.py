"""What charge_sequencer does with what comes: it keeps the newest inputs, steps its rule, and says what is to be published. See trace.py."""

import json
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, get_type_hints

from evse_core.charge_sequencer import ChargeSequencer, SequencerInputs
from evse_core.sample import Sample
from evse_core.trace import NOTHING, STEP, Outputs
from evse_core.types import RequestKind, SessionRequest, SessionState, StopCause

# msg/SessionState.msg: 10 Hz, every second step.
STATE_EVERY = 2
# Fields of SequencerInputs by topic. Where a flag of the second set changes, the sequence steps at once.
SLOW_INPUTS = {
    "can_status": "can_status",
    "authorization": "authorization",
    "driver_rules": "rules",
    "power_budget": "budget",
    "charge_record": "record",
}
FAST_INPUTS = {"vehicle_report": "vehicle", "power_report": "power", "io_report": "io", "safety_state": "safety"}
INPUTS = SLOW_INPUTS | FAST_INPUTS
# Calls: a request of `asked`; the identifier that the next session is to have. What is for the node: an Answer, a Change.
ASK, FRESH_ID, ANSWER, CHANGE = "ask()", "fresh_id()", "answer()", "change()"


def asked(request: SessionRequest, session_id: str = "") -> str:
    """Return a request as the text of a call; session_id is the session that a stop means."""
    return json.dumps(
        {
            "kind": request.kind.name,
            "token": request.token,
            "stop_cause": request.stop_cause.name,
            "authorized": request.authorized,
            "session_id": session_id,
        }
    )


class SequencerLoop:
    """The sequence of one EVSE with its inputs."""

    names = (STEP, ASK, FRESH_ID, *INPUTS)

    def __init__(self, sequencer: ChargeSequencer) -> None:
        self._sequencer = sequencer
        self._samples: dict[str, Sample[Any]] = {}
        self._fresh_id = ""
        self._steps = 0
        self._last: SessionState | None = None

    @property
    def at_rest(self) -> bool:
        """The session is over and its outputs are off."""
        return self._sequencer.at_rest

    @property
    def needs_id(self) -> bool:
        """The identifier for the next session has been used."""
        return not self._fresh_id

    @property
    def last(self) -> SessionState | None:
        """The newest state."""
        return self._last

    def on(self, name: str, given: Any, now: float, stamp: float) -> Outputs:
        """Take a message or a call; see trace.Loop."""
        if name == STEP:
            return self._step((), now, stamp)
        if name == ASK:
            return self._ask(given, now, stamp)
        if name == FRESH_ID:
            self._fresh_id = given
            return NOTHING
        return self._take(name, given, now, stamp)

    def _take(self, name: str, value: Any, now: float, stamp: float) -> Outputs:
        field = INPUTS[name]
        before, self._samples[field] = self._samples.get(field), Sample(value, now)
        if name in FAST_INPUTS and (before is None or flags(before.value) != flags(value)):
            return self._step((), now, stamp)
        return NOTHING

    def _inputs(self, requests: tuple[SessionRequest, ...], stamp: float) -> SequencerInputs:
        return SequencerInputs(**self._samples, requests=requests, fresh_id=self._fresh_id, stamp=stamp)

    def _ask(self, text: str, now: float, stamp: float) -> Outputs:
        """Take a request if the sequence would follow it: say so on session_request, and step at once."""
        said = json.loads(text)
        request = SessionRequest(
            kind=RequestKind[said["kind"]],
            token=said["token"],
            stop_cause=StopCause[said["stop_cause"]],
            authorized=said["authorized"],
        )
        answer = self._sequencer.answer(request, self._inputs((), stamp), now, said["session_id"])
        if not answer.accepted:
            return ((ANSWER, answer),)
        return (ANSWER, answer), ("session_request", request), *self._step((request,), now, stamp)

    def _step(self, requests: tuple[SessionRequest, ...], now: float, stamp: float) -> Outputs:
        """Put out the commands before the state, so that the permit does not go before the contactor has been told to open."""
        outputs = self._sequencer.step(self._inputs(requests, stamp), now)
        self._steps += 1
        found: list[tuple[str, Any]] = []
        if outputs.publish_commands:
            found += [("power_command", outputs.power), ("vehicle_command", outputs.vehicle), ("io_command", outputs.io)]
        if self._steps % STATE_EVERY == 0 or self._last is None or essence(outputs.session) != essence(self._last):
            found.append(("session_state", outputs.session))
        self._last = outputs.session
        if outputs.session.session_id == self._fresh_id:
            self._fresh_id = ""
        if outputs.change is not None:
            found.append((CHANGE, outputs.change))
        return found


def flags(value: Any) -> tuple[Any, ...]:
    """Return what must not wait for the next period: flags, counters, and whether the vehicle asks for current at all."""
    return (*_flags_of(value.__class__)(value), getattr(value, "current_request", 0.0) > 0.0)


@cache
def _flags_of(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Return what takes the flags, counters and enumerations of a type."""
    names = [name for name, hint in get_type_hints(kind).items() if isinstance(hint, type) and issubclass(hint, int)]
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


def essence(state: SessionState) -> tuple[Any, ...]:
    """Return what others want to know at once."""
    return state.state, state.step, state.session_id, state.session_active, state.transaction_active, state.token, state.available
