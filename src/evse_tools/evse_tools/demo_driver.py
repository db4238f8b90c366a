"""The driver of a demo: looks at what the station shows and says what to do next. No ROS, no clock."""

from dataclasses import dataclass
from enum import IntEnum
from math import inf

from evse_core.types import ChargeState
from evse_tools.demo_track import Track

PLUG_IN = "vehicle_simulator/plug_in"
UNPLUG = "vehicle_simulator/unplug"
PRESENT_TOKEN = "io_board_simulator/present_token"
PRESS_START = "io_board_simulator/press_start"
PRESS_STOP = "io_board_simulator/press_stop"
# The site's, by an absolute name; its argument is the power [W] and for how long [s].
SET_DISCHARGE = "/set_discharge"
# A driver whose token or button shows no effect tries again after this, and gives up after so many tries. [s], [1]
PATIENCE, TRIES = 6.0, 3
# A station behind a charge controller may learn of the plug only with the start button: the driver does not wait longer for it. [s]
UNSEEN_PLUG_TIME = 2.0
# A driver presents his token although there is no CSMS after this. [s]
OFFLINE_TIME = 30.0
# A call that failed is repeated after this. [s]
RETRY = 0.5
# Longest time to wait for: everything ready; charging after the start button; the end of the session; the CSMS's last answer. [s]
READY_TIME, START_TIME, END_TIME, BILLING_TIME = 90.0, 90.0, 45.0, 15.0


class Phase(IntEnum):
    """What the driver waits for."""

    BREAK = 0
    PLUG = 1
    TOKEN = 2
    START = 3
    CHARGE = 4
    END = 5
    BILL = 6
    UNPLUG = 7
    DONE = 8


@dataclass(frozen=True)
class Plan:
    """What a driver wants: charge for `seconds` or until `energy_wh`; `fault` breaks `fault_delay` seconds into charging, or before plugging in.

    In the second third of the time the site asks for `discharge` [W].
    """

    token: str
    seconds: float = inf
    energy_wh: float = inf
    fault: str = ""
    fault_simulator: str = ""
    fault_delay: float = 5.0
    fault_early: bool = False
    discharge: float = 0.0


@dataclass(frozen=True)
class Action:
    """A service call: its name in the EVSE's namespace, or one with a leading slash, and its argument."""

    service: str
    argument: str = ""


class Driver:
    """One driver at one EVSE. Ask `next`, carry it out, tell `done`. `failure` says what went wrong, `locked_in` why the connector stayed in."""

    def __init__(self, plan: Plan, now: float) -> None:
        self.phase = Phase.BREAK if plan.fault_early else Phase.PLUG
        self.failure = ""
        self.locked_in = ""
        self.injected = False
        self._plan = plan
        self._tries = 0
        self._acted = -inf
        self._since = now
        self._charging_since = inf
        self._asked = 0.0

    @property
    def is_done(self) -> bool:
        """There is nothing left to do."""
        return self.phase is Phase.DONE

    @property
    def asks_for_power(self) -> bool:
        """The site asks this vehicle for power in its session."""
        return self._plan.discharge > 0.0

    @property
    def has_begun(self) -> bool:
        """The token has been taken, or there will be no session."""
        return self.phase not in {Phase.BREAK, Phase.PLUG, Phase.TOKEN}

    def next(self, track: Track, uplink_ready: bool, now: float) -> Action | None:
        """Return what to do now, None to wait. `now` in monotonic seconds."""
        self._observe(track, now)
        if self.phase is Phase.TOKEN:
            return self._present(track, uplink_ready, now)
        if self.phase is Phase.CHARGE:
            return self._charge(track, now)
        simple = {
            Phase.BREAK: Action(f"{self._plan.fault_simulator}/inject_fault", self._plan.fault),
            Phase.PLUG: Action(PLUG_IN),
            Phase.START: self._press_start(track, now),
            Phase.UNPLUG: Action(UNPLUG),
        }
        return simple.get(self.phase) if now - self._acted > RETRY else None

    def done(self, action: Action, success: bool, message: str, now: float) -> None:
        """Learn how an action went; what failed is tried again after a while, a few times."""
        self._acted = now
        if action.service == UNPLUG:
            self._unplugged(success, message)
            self._enter(Phase.DONE, now)
        elif not success:
            self._count(f"{action.service}: {message}", now)
        elif action.service == PLUG_IN:
            self._enter(Phase.TOKEN, now)
        elif action.service == PRESS_STOP:
            self._enter(Phase.END, now)
        elif action.service == SET_DISCHARGE:
            self._asked = float(action.argument.split()[0])
        elif action.service.endswith("/inject_fault"):
            self.injected = True
            if self.phase is Phase.BREAK:
                self._enter(Phase.PLUG, now)
        else:
            self._tries += 1

    def give_up(self, reason: str, now: float) -> None:
        """End the session early: the demo is ending or something has failed."""
        self.failure = self.failure or reason
        self._enter(Phase.DONE, now)

    def _observe(self, track: Track, now: float) -> None:
        """Go on to the phase that the station's state tells."""
        if self.phase is Phase.PLUG and track.vehicle.plugged:
            self._enter(Phase.TOKEN, now)
        if self.phase in {Phase.TOKEN, Phase.START} and track.session_id:
            self._enter(Phase.CHARGE, now)
        if self.phase is Phase.TOKEN and track.session.state is ChargeState.AUTHORIZED:
            self._enter(Phase.START, now)
        if track.is_charging:
            self._charging_since = min(self._charging_since, now)
        if self.phase in {Phase.CHARGE, Phase.END} and track.has_ended:
            self._enter(Phase.BILL, now)
        if self.phase is Phase.BILL and (track.is_billed or now - self._since > BILLING_TIME):
            self._enter(Phase.UNPLUG, now)
        self._look_at_the_clock(track, now)

    def _look_at_the_clock(self, track: Track, now: float) -> None:
        limits = {Phase.BREAK: READY_TIME, Phase.PLUG: READY_TIME, Phase.TOKEN: READY_TIME, Phase.START: READY_TIME, Phase.END: END_TIME}
        limit = START_TIME if self.phase is Phase.CHARGE and self._charging_since == inf else limits.get(self.phase, inf)
        if now - self._since > limit:
            words = f"{track.session.state.name}: {track.session.stop_detail or track.safety.detail or 'no reason given'}"
            self.give_up(f"no progress in {limit:.0f} s while waiting for {self.phase.name}; the station is in {words}", now)

    def _present(self, track: Track, uplink_ready: bool, now: float) -> Action | None:
        """Hold the token to the reader once the CSMS can answer; without a CSMS after a while all the same, for the offline rules."""
        waited = now - self._since
        unseen = track.session.state is ChargeState.AVAILABLE and waited > UNSEEN_PLUG_TIME
        ready = (track.session.state is ChargeState.PREPARING or unseen) and (uplink_ready or waited > OFFLINE_TIME)
        if not ready or now - self._acted < (PATIENCE if self._tries else 0.0):
            return None
        if self._tries >= TRIES:
            self.give_up(f"the token {self._plan.token} was not accepted {TRIES} times", now)
            return None
        return Action(PRESENT_TOKEN, self._plan.token)

    def _press_start(self, track: Track, now: float) -> Action | None:
        if self.phase is not Phase.START or track.session.state is not ChargeState.AUTHORIZED:
            return None
        if now - self._acted < (PATIENCE if self._tries else 0.0):
            return None
        if self._tries >= TRIES:
            self.give_up(f"the start button had no effect {TRIES} times", now)
        return None if self.is_done else Action(PRESS_START)

    def _charge(self, track: Track, now: float) -> Action | None:
        charged = now - self._charging_since
        if now - self._acted < RETRY:
            return None
        if self._plan.fault and not self.injected and charged >= self._plan.fault_delay:
            return Action(f"{self._plan.fault_simulator}/inject_fault", self._plan.fault)
        if self._discharge_at(charged) != self._asked:
            return Action(SET_DISCHARGE, f"{self._discharge_at(charged):g} {self._plan.seconds:g}")
        if charged >= self._plan.seconds or (track.is_charging and track.meter.session_energy_wh >= self._plan.energy_wh):
            return Action(PRESS_STOP)
        return None

    def _discharge_at(self, charged: float) -> float:
        """Return what the site asks for so long [s] after the charging began [W]."""
        third = self._plan.seconds / 3.0
        return self._plan.discharge if third <= charged < 2.0 * third else 0.0

    def _unplugged(self, success: bool, message: str) -> None:
        """Note a connector that cannot be pulled: after a fault it may have to stay locked, after a good session never."""
        self.locked_in = "" if success else message
        if self.locked_in and not self._plan.fault:
            self.failure = self.failure or f"cannot unplug: {message}"

    def _count(self, problem: str, now: float) -> None:
        self._tries += 1
        if self._tries >= TRIES:
            self.give_up(problem, now)

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._since, self._tries, self._acted = phase, now, 0, -inf
