"""A log of the generic EVSE interface v3 told as the topics of an EVSE would tell it: the vehicle link `secc`, or a power link.

Both sides are heard by can_bridge's own codecs. The states follow the controller's heartbeat; the reasons are only those that the controller itself gives:
Charge_Session_Finished (clean or rushed), Emergency_Stop, or silence. The interface has no word for who wanted a stop, so a clean end names nobody.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, nan

from evse_core.codecs.evse_v3 import ModulesReceiver
from evse_core.codecs.secc import OWN_NODE, SeccStation
from evse_core.codecs.signals import PISTOL_SHIFT, Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_core.session_story import GAP, Judgement, Story, Storyteller
from evse_core.types import (
    ChargeState,
    ControllerPhase,
    ControllerReport,
    EmergencyOrigin,
    Party,
    PowerCommand,
    PowerFunction,
    SessionOutcome,
    SessionState,
    StopCause,
    VehicleReport,
)

# Silence of the controller after which power must go: ../shared/reference/can.md 1.7. [s]
TIMEOUT = 0.2
# Pace of what is told; reports are at most so old in a sound log. [s]
TICK = 0.1
# Silence of the controller after which its session is over for whoever listens: the observer's limit on a CHAdeMO bus, too. [s]
LOST = 1.0
# Readings further apart are not integrated over. [s]
LONGEST_STEP = 1.0

P, S = ControllerPhase, ChargeState
# Our state by the controller's word; a phase without a session has none.
STATES = {
    P.NEGOTIATING: S.WAITING_FOR_VEHICLE,
    P.AUTHORISING: S.AUTHORIZING,
    P.CONNECTED: S.WAITING_FOR_PERMISSION,
    P.INSULATION_TEST: S.CABLE_CHECK,
    P.PRECHARGE: S.PRECHARGE,
    P.WAITING_FOR_CHARGE: S.WAITING_FOR_REQUEST,
    P.CHARGING: S.CHARGING,
    P.PAUSED: S.WAITING_FOR_REQUEST,
    P.ENDING: S.RAMPING_DOWN,
    P.WELDING_DETECTION: S.WELDING_DETECTION,
    P.CLOSING: S.CLOSING,
}
_IDLE = frozenset({P.UNKNOWN, P.INITIALISING, P.WAITING_FOR_VEHICLE, P.NOT_AVAILABLE})


def pistols(frames: Iterable[Frame], database: SignalDatabase) -> tuple[int, ...]:
    """Return the pistols whose controller speaks in a log; empty where nobody speaks the interface."""
    found = set()
    for frame in frames:
        try:
            if frame.extended and database.sender(frame) != OWN_NODE:
                found.add(frame.id >> PISTOL_SHIFT)
        except UnknownId:
            continue
    return tuple(sorted(found))


def stories(frames: Sequence[tuple[float, Frame]], database: SignalDatabase, pistol: int, name: str, *, epoch: float = 0.0) -> list[Story]:
    """Return the sessions of one pistol. name: how their session_id begins; epoch: the log's time 0 by the ROS clock [s]."""
    telling = _Telling(database, pistol, name, epoch)
    return telling.stories(frames)


@dataclass(slots=True)
class _End:
    """What the controller has said of the end of the present session."""

    charged: bool = False
    finished: bool = False
    rushed: bool = False
    emergency: EmergencyOrigin = EmergencyOrigin.NONE
    silent: bool = False

    def note(self, controller: ControllerReport, state: ChargeState) -> None:
        self.charged |= state is S.CHARGING
        self.finished |= controller.session_finished
        self.rushed |= controller.session_finished and controller.rushed_stop
        if controller.emergency is not EmergencyOrigin.NONE:
            self.emergency = controller.emergency


class _Telling:
    """Goes through the frames once."""

    def __init__(self, database: SignalDatabase, pistol: int, name: str, epoch: float) -> None:
        self._name, self._epoch, self._pistol = name, epoch, pistol
        self._controller, self._modules = SeccStation(database, pistol, TIMEOUT), ModulesReceiver(database, pistol)
        self._teller = Storyteller(pistol, GAP)
        self._number, self._end, self._open = 0, _End(), False

    def stories(self, frames: Sequence[tuple[float, Frame]]) -> list[Story]:
        """Return the sessions in order."""
        found: list[Story] = []
        due = frames[0][0] if frames else 0.0
        for t, frame in frames:
            while due <= t:
                found += self._tick(due)
                due += TICK
            self._take(t, frame)
        found += self._tick(due)
        if (last := self._teller.finish()) is not None:
            found.append(self._judged(last))
        return found

    def _take(self, t: float, frame: Frame) -> None:
        for receiver in (self._controller, self._modules):
            try:
                receiver.receive(frame, t)
            except (UnknownId, Malformed):
                continue

    def _tick(self, now: float) -> Iterator[Story]:
        """Tell what is known now; yield the session that ended with it."""
        vehicle, power = self._controller.report(now), self._modules.report(now)
        state = self._state(vehicle)
        if state is not S.AVAILABLE:
            self._number += not self._open
            self._open = True
            self._end.note(vehicle.controller, state)
            self._end.silent = self._controller.silence(now) > LOST
        for value in (self._session(state, vehicle), vehicle, power, _command(vehicle)):
            if (ended := self._teller.feed(value, self._epoch + now)) is not None:
                yield self._judged(ended)
        if state is S.AVAILABLE and self._open:
            self._open, self._end = False, _End()

    def _state(self, vehicle: VehicleReport) -> ChargeState:
        controller = vehicle.controller
        if controller.phase in _IDLE:
            return S.AVAILABLE
        lowered = controller.lower_output_voltage and controller.function is PowerFunction.STANDBY
        if lowered and controller.phase in (P.INSULATION_TEST, P.PRECHARGE):
            return S.LOWERING_OUTPUT
        return STATES[controller.phase]

    def _session(self, state: ChargeState, vehicle: VehicleReport) -> SessionState:
        active = state is not S.AVAILABLE
        return SessionState(
            state=state,
            session_id=f"{self._name} {self._number}" if active else "",
            session_active=active,
            stop_cause=StopCause.NONE,
            soc_percent=vehicle.soc_percent,
            plugged=active,
        )

    def _judged(self, story: Story) -> Story:
        story.link = "secc"
        story.judgement = _judgement(story, self._end)
        story.inferred = ("states: by the controller's heartbeat; lock, output contactor and driver are not on this bus",)
        return story


def _command(vehicle: VehicleReport) -> PowerCommand:
    """Return what the controller asks of the modules."""
    controller = vehicle.controller
    return PowerCommand(function=controller.function, voltage=controller.voltage, current=controller.current_max)


def _judgement(story: Story, end: _End) -> Judgement:
    """Return how the session ended, by the controller's own words alone."""
    failed = SessionOutcome.BROKEN_OFF if end.charged else SessionOutcome.FAILED_TO_START
    energy, power = _integral(story)
    if end.emergency is not EmergencyOrigin.NONE:
        by = {EmergencyOrigin.STATION: Party.STATION, EmergencyOrigin.VEHICLE: Party.VEHICLE}.get(end.emergency, Party.UNKNOWN)
        words = f"The controller sent Emergency_Stop, origin {end.emergency.name.lower()}."
        return Judgement(
            failed, by, StopCause.EMERGENCY, "controller_emergency", words, "Read the controller's fault memory.", energy, power
        )
    if end.rushed:
        words = "The controller ended with Charge_Session_Finished, a rushed stop: why is not on this bus."
        return Judgement(
            failed, Party.UNKNOWN, StopCause.CHARGER_FAULT, "rushed_stop", words, "Read the controller's fault memory.", energy, power
        )
    if end.finished:
        outcome = SessionOutcome.COMPLETE if end.charged else SessionOutcome.GIVEN_UP
        words = "The controller ended with Charge_Session_Finished, a clean stop: who wanted it is not on this bus."
        return Judgement(outcome, Party.UNKNOWN, StopCause.UNKNOWN, "clean_stop", words, "", energy, power)
    if end.silent:
        words = f"The controller's heartbeat stopped for more than {LOST:g} s in the session."
        return Judgement(failed, Party.UNKNOWN, StopCause.UNKNOWN, "controller_silent", words, "Check its supply and bus.", energy, power)
    words = "The log ends, or the controller went back to idle, without a word of the session's end."
    return Judgement(SessionOutcome.UNFINISHED, Party.NOBODY, StopCause.NONE, "no_end_seen", words, "", energy, power)


def _integral(story: Story) -> tuple[float, float]:
    """Return energy towards the vehicle [Wh] and highest power [W] by the modules' readings, NaN without any. The controller's states lag its set points."""
    volts, amperes = story.curves["voltage"], story.curves["current"]
    points = [
        (time, voltage * current)
        for time, voltage, current in zip(volts.time, volts.value, amperes.value, strict=True)
        if isfinite(voltage * current)
    ]
    pairs = [(a, b) for a, b in pairwise(points) if b[0] - a[0] <= LONGEST_STEP]
    joules = sum((a[1] + b[1]) / 2.0 * (b[0] - a[0]) for a, b in pairs)
    return (joules / 3600.0, max(power for _, power in points)) if points else (nan, nan)
