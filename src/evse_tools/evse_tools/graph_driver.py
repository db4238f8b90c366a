"""The driver of `station bench graph`: looks at the display and does the next sensible thing, whatever has happened before. No ROS, no clock."""

from dataclasses import dataclass, field
from math import inf

from evse_core.types import ChargeState, IoReport, SessionState
from evse_tools.demo_driver import PLUG_IN, PRESENT_TOKEN, PRESS_START, PRESS_STOP, UNPLUG, Action

# An action that shows no effect is tried again after this. [s]
AGAIN = 5.0
# States in which a driver who wants to go can take the plug.
AT_REST = (ChargeState.PREPARING, ChargeState.AUTHORIZING, ChargeState.AUTHORIZED, ChargeState.FINISHED, ChargeState.FAULTED)


@dataclass
class Person:
    """Comes, charges until `enough` is set, and goes once `leaving` is set."""

    token: str
    enough: bool = False
    leaving: bool = False
    _acted: dict[str, float] = field(default_factory=dict)

    def next(self, session: SessionState, io: IoReport, plugged: bool, welcome: bool, now: float) -> Action | None:
        """Return what to do now [s], None to wait; `welcome` says that a token can be judged."""
        action = self._wish(session.state, io, plugged, welcome)
        if action is None or now - self._acted.get(action.service, -inf) < AGAIN:
            return None
        self._acted[action.service] = now
        return action

    def _wish(self, state: ChargeState, io: IoReport, plugged: bool, welcome: bool) -> Action | None:
        if self.leaving:
            return Action(UNPLUG) if plugged and not io.locked and state in AT_REST else None
        if not plugged:
            return Action(PLUG_IN) if welcome and state is ChargeState.AVAILABLE else None
        if state is ChargeState.PREPARING and welcome:
            return Action(PRESENT_TOKEN, self.token)
        if state is ChargeState.AUTHORIZED:
            return Action(PRESS_START)
        return Action(PRESS_STOP) if self.enough and state is ChargeState.CHARGING else None
