"""The charging sequence of one EVSE: with a CHAdeMO vehicle from plug-in over the 12 steps to the unlocked connector, or led by a charge controller (SECC).

Theory of operation. The sequence is in one of the states of types.ChargeState. Each step looks at the inputs once (charge_sequencer_view), notes what
they show (charge_sequencer_watch), takes the first row of the table of transitions that fits (charge_sequencer_table, whose guards are in
charge_sequencer_guards), follows the vehicle's request (charge_sequencer_current) and looks the outputs up by state (charge_sequencer_outputs). Another vehicle
link has another table and notes other things (charge_sequencer_links); what follows is about CHAdeMO where it speaks of signals, frames and the lock. At most
one transition per step, so that every state which is passed is seen by the monitor, by the meter and in a recording. What is not in the table does not
happen: an event that no row of the present state names changes nothing.

To act, frame and line must agree; to stop, either is enough (can.md 2.2). An input that is stale, missing or not a number is never a permission and never a
dead output. A session has one cause of its end, the first. However it ends, it goes the same way: RAMPING_DOWN takes the current away and opens the output
contactor, WELDING_DETECTION waits for the vehicle's, CLOSING takes both sequence signals away and waits for a dead output, UNLOCKING unlocks. A session that
ends before something was energised begins this way further down. EMERGENCY is the short cut from any state with signal 1: everything off at once, then
CLOSING. FAULTED is where somebody has to look: it keeps a connector locked whose output is not known to be dead. One rule holds in every state, because the
outputs and not the states hold it: a closed lock is opened only with a known output of at most 10 V.

The driver's actions, plug, token and start, may come in any order; the third one closes sequence signal 1.
"""

from dataclasses import dataclass, replace
from math import inf, isfinite

from evse_core import vehicle_link
from evse_core.charge_sequencer_answers import Answer, answer
from evse_core.charge_sequencer_config import SequencerConfig
from evse_core.charge_sequencer_facts import verdict
from evse_core.charge_sequencer_links import LINKS
from evse_core.charge_sequencer_outputs import ACTIVE, power_command, session_state
from evse_core.charge_sequencer_session import Actions, Driver, Held, Session, VehicleLimits
from evse_core.charge_sequencer_table import IDLE, Transition, first_match
from evse_core.charge_sequencer_view import SequencerInputs, View, output_voltage, requested, usable
from evse_core.charge_sequencer_watch import time_allowed, watch
from evse_core.sample import fresh
from evse_core.types import (
    ChargeState,
    IoCommand,
    PowerCommand,
    Reaction,
    RequestKind,
    SessionRequest,
    SessionState,
    VehicleCommand,
    Verdict,
)

__all__ = ["Answer", "Change", "ChargeSequencer", "SequencerConfig", "SequencerInputs", "SequencerOutputs"]

# States that a driver may be in without having lost a start that was pressed before.
_KEEPS_START = frozenset({ChargeState.INITIALISING, ChargeState.AVAILABLE, ChargeState.PREPARING})
_OUTSIDE = frozenset({ChargeState.AVAILABLE, ChargeState.PREPARING, ChargeState.UNAVAILABLE, ChargeState.FAULTED, ChargeState.FINISHED})


@dataclass(frozen=True, slots=True)
class Change:
    """A transition that was taken, and why in words."""

    source: ChargeState
    target: ChargeState
    reason: str


@dataclass(frozen=True, slots=True)
class SequencerOutputs:
    """What goes out after a step. Without `publish_commands` nothing is known of the connector yet: can_bridge holds the lock when it has no command."""

    session: SessionState
    power: PowerCommand
    vehicle: VehicleCommand
    io: IoCommand
    publish_commands: bool = True
    change: Change | None = None


class ChargeSequencer:
    """Call step at 20 Hz and when a flag changes."""

    def __init__(self, config: SequencerConfig) -> None:
        vehicle_link.check(config.vehicle_link)
        self._config = config
        self._link = LINKS[config.vehicle_link]
        self._state = ChargeState.INITIALISING
        self._entered = self._now = -inf
        self._session = Session()
        self._driver = Driver()
        self._in_service = True
        self._shutting_down = False
        self._needs_replug = False
        self._lock = True

    @property
    def state(self) -> ChargeState:
        """Where the sequence stands."""
        return self._state

    @property
    def at_rest(self) -> bool:
        """No session is open and nothing is energised by this sequence: the program may end."""
        return self._state not in ACTIVE and self._state is not ChargeState.RECOVERING

    def answer(self, request: SessionRequest, inputs: SequencerInputs, now: float, session_id: str = "") -> Answer:
        """Return whether a request would be followed in the next step with these inputs, and if not why. Changes nothing."""
        return answer(request, self._look(inputs, self._time(now), Actions()), session_id)

    def step(self, inputs: SequencerInputs, now: float) -> SequencerOutputs:
        """Go on to now [s]; a clock that stands or runs backwards is no progress."""
        self._now = self._time(now)
        self._entered = self._now if self._entered == -inf else self._entered
        view = self._look(inputs, self._now, self._take_actions(inputs))
        watch(view, self._link.watch)
        row = first_match(self._link.rows, view)
        change = None
        if row is not None:
            change = self._follow(row, view)
            view = replace(view, state=self._state, entered=self._entered, session=self._session)
        self._link.control(view)
        self._session.step = self._link.next_step(view)
        return self._put_out(view, change)

    def _time(self, now: float) -> float:
        return max(now, self._now) if isfinite(now) else self._now

    def _look(self, inputs: SequencerInputs, now: float, actions: Actions) -> View:
        config = self._config
        vehicle = usable(inputs.vehicle, now, config.vehicle_loss_age)
        followed = usable(inputs.vehicle, now, config.vehicle_control_age)
        power, io = usable(inputs.power, now, config.power_age), usable(inputs.io, now, config.io_age)
        safety = fresh(inputs.safety, now, config.safety_age)
        return self._link.view(
            config=config,
            inputs=inputs,
            now=now,
            state=self._state,
            entered=self._entered,
            session=self._session,
            driver=self._driver,
            actions=actions,
            in_service=self._in_service,
            shutting_down=self._shutting_down,
            needs_replug=self._needs_replug,
            vehicle=vehicle,
            power=power,
            io=io,
            safety=safety,
            vehicle_followed=followed is not None,
            output_voltage=output_voltage(io, power),
            request=requested(followed if vehicle is not None else None),
            reaction=safety.reaction if safety is not None else Reaction.UNKNOWN,
        )

    def _take_actions(self, inputs: SequencerInputs) -> Actions:
        """Read the buttons, the reader and the requests."""
        io, vehicle = usable(inputs.io, self._now, self._config.idle_age), usable(inputs.vehicle, self._now, self._config.idle_age)
        actions = self._driver.take(io, inputs.requests)
        if actions.asked(RequestKind.ENABLE) or actions.asked(RequestKind.DISABLE):
            self._in_service = actions.asked(RequestKind.DISABLE) is None
        self._shutting_down = self._shutting_down or actions.asked(RequestKind.SHUTDOWN) is not None
        if actions.start and self._state in IDLE:
            self._driver.started = self._now
        if actions.stop and self._state in IDLE:
            self._driver.started = -inf
        if self._state in _OUTSIDE and self._link.view.is_out(vehicle, io):
            self._needs_replug = False
        return actions

    def _follow(self, row: Transition, view: View) -> Change:
        """Take a transition: keep why, then what the new state begins with."""
        source, reason = self._state, row.guard.says(view)
        self._session.end(row.ending_of(view), reason)
        self._state, self._entered = row.target, self._now
        self._enter(source, view)
        return Change(source, row.target, reason)

    def _enter(self, source: ChargeState, view: View) -> None:
        session, state = self._session, self._state
        match state:
            case ChargeState.AVAILABLE | ChargeState.PREPARING | ChargeState.UNAVAILABLE if source not in _KEEPS_START:
                refused = source is ChargeState.AUTHORIZING and verdict(view) not in {None, Verdict.ACCEPTED}
                self._driver.refused = self._now if refused else self._driver.refused
                self._driver.forget()
            case ChargeState.AUTHORIZING | ChargeState.AUTHORIZED:
                self._hold_token(source, view)
            case ChargeState.WAITING_FOR_VEHICLE:
                self._begin_session(view)
            case ChargeState.RECOVERING:
                self._needs_replug = True
            case ChargeState.LOCKING if view.vehicle is not None:
                session.permitted = self._now
                session.limits = VehicleLimits(view.vehicle.max_voltage, view.vehicle.target_voltage, view.vehicle.max_current)
            case ChargeState.WAITING_FOR_CONTACTOR:
                session.ready = True
            case ChargeState.CHARGING:
                session.charged, session.remaining = True, time_allowed(view)
                session.deadline = self._now + session.remaining
            case ChargeState.CLOSING:
                session.ready_withdrawn = self._now if session.ready_withdrawn is None else session.ready_withdrawn
            case ChargeState.UNLOCKING:
                session.unlocked, session.unlock_failed = Held(), False
            case ChargeState.FINISHED | ChargeState.FAULTED:
                session.over = True
                session.unlock_failed = source is ChargeState.UNLOCKING and view.io is not None and view.io.locked and view.may_unlock

    def _hold_token(self, source: ChargeState, view: View) -> None:
        """Keep the token that asks, who asks for it, and what the verdict says about its group."""
        request, driver = view.actions.asked(RequestKind.START), self._driver
        if source is ChargeState.AUTHORIZED:
            driver.started = self._now
        elif source is ChargeState.AUTHORIZING and self._state is ChargeState.AUTHORIZED:
            driver.parent_token = view.inputs.authorization.value.parent_token if view.inputs.authorization is not None else ""
        elif source is not ChargeState.AUTHORIZING and request is not None:
            driver.hold(request.token, remote=True)
            driver.started = self._now
        else:
            driver.hold(view.actions.token, remote=False)

    def _begin_session(self, view: View) -> None:
        """Start from nothing, with what the driver brought."""
        driver = self._driver
        self._session = Session(view.inputs.fresh_id, driver.token, driver.parent_token, driver.remote, self._now)
        driver.forget()
        self._needs_replug = True

    def _put_out(self, view: View, change: Change | None) -> SequencerOutputs:
        outputs = self._link.outputs
        io = outputs.io_command(view, self._lock)
        self._lock = io.lock
        known = self._state is not ChargeState.INITIALISING
        return SequencerOutputs(
            session_state(view, outputs), power_command(view, outputs), outputs.vehicle_command(view), io, known, change
        )
