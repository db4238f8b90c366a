"""The observing sequencer: in which state of our own charging sequence each moment of an observed CHAdeMO session would have been.

Theory of operation. Our sequencer knows its lines; a bus shows none: start button, d1, d2, switch k, lock and output contactor can only be seen by what both
parties say afterwards. So a state begins where the frames show what begins it (a row of SEQUENCE), and each row says apart what the frames show and what is
only inferred. Whose voltage stands at the output, which steps were reached and what ended the session is not judged a second time: chademo_output.py,
chademo_steps.py and the verdict say so. A state that would have lasted no time is left out; a log that begins in the middle begins with the state it finds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from evse_core import chademo_session as c
from evse_core.chademo_output import DISCHARGED, LIVE, Output, Rise, contactor_closed
from evse_core.chademo_session import Observation
from evse_core.chademo_steps import NO_CURRENT, SAFE_TO_UNLOCK, view_of
from evse_core.chademo_verdict import Verdict
from evse_core.types import ChargeState as S

# A test voltage below this part of its peak is being lowered: meters and regulators wander by less. [1]
FALLING = 0.9
# States before anything is energised: their session ends without a ramp, as in our own table (charge_sequencer_table.STARTING).
STARTING = frozenset({S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION, S.LOCKING})
# States in which the vehicle's contactor is closed, so that it has to open again.
CONNECTED = frozenset({S.WAITING_FOR_REQUEST, S.CHARGING})


@dataclass(frozen=True, slots=True)
class Phase:
    """A state from t on [s]: what the frames show, and what that only lets infer ("" where nothing)."""

    state: S
    t: float
    seen: str
    inferred: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the rows look at: the observation, the judged output voltage, and when the first sign of the end came (infinite: none)."""

    observation: Observation
    output: Output
    charging_at: float | None
    ended_at: float

    def rises(self, name: str) -> float | None:
        return self.observation.track(name).set_at()

    @property
    def charger_at(self) -> float | None:
        """The charger's first complete word."""
        firsts = [self.observation.track(name).times for name in (c.AVAILABLE_VOLTAGE, c.VOLTAGE)]
        return max(times[0] for times in firsts) if all(firsts) else None


@dataclass(frozen=True, slots=True)
class Row:
    """A state on the way to charging: when it begins (None: not seen), the frame that shows it, what is inferred from that."""

    state: S
    begins: Callable[[Scene], float | None]
    seen: str
    inferred: str = ""


def course(observation: Observation, verdict: Verdict) -> tuple[Phase, ...]:
    """Return the states of a session in order."""
    scene = _scene(observation, verdict)
    phases = _drop_empty(_on_the_way(scene), min(scene.ended_at, observation.end))
    if verdict.t is not None and phases:
        phases = [*phases, *_end(scene, phases[-1].state)]
    return tuple(_drop_empty(phases, float("inf")))


def _scene(observation: Observation, verdict: Verdict) -> Scene:
    broken = verdict.t if verdict.outcome == "failed" else None
    view = view_of(observation, broken)
    return Scene(observation, view.output, view.charging_at, float("inf") if verdict.t is None else verdict.t)


def _on_the_way(scene: Scene) -> list[Phase]:
    """Return the states up to charging, each not before the one that precedes it."""
    found = [Phase(S.WAITING_FOR_VEHICLE, scene.observation.start, "the first frame of the log", "start button pressed, d1 closed")]
    if _begins_in_charging(scene):
        return [Phase(S.CHARGING, scene.observation.start, f"{c.PLACE[c.CHARGING]} = 1 in the charger's first frame", "all before it")]
    for row in SEQUENCE:
        t = row.begins(scene)
        if t is not None and t < scene.ended_at:
            found.append(Phase(row.state, max(t, found[-1].t), row.seen, row.inferred))
    return found


def _begins_in_charging(scene: Scene) -> bool:
    track = scene.observation.track(c.CHARGING)
    return bool(track.values) and bool(track.values[0])


def _drop_empty(phases: list[Phase], end: float) -> list[Phase]:
    """Leave out states that lasted no time: before them nothing was seen, or their frame came with the next one's."""
    ends = [phase.t for phase in phases[1:]] + [end]
    kept = [phase for phase, stop in zip(phases, ends, strict=True) if stop > phase.t]
    return kept or phases[-1:]


def _end(scene: Scene, state: S) -> Iterator[Phase]:
    """Yield the states after the first sign of the end, as our sequencer goes through them from `state` (docs/states.md)."""
    seen, t = scene.observation, scene.ended_at
    if state not in STARTING:
        stopping = seen.track(c.STOP).first(bool, t)
        if stopping is None:
            return
        yield Phase(S.RAMPING_DOWN, stopping, f"{c.PLACE[c.STOP]} = 1 after the first sign of the end")
        gone = _current_gone(scene, stopping)
        if gone is None:
            return
        t = gone
        if state in CONNECTED:
            yield Phase(S.WELDING_DETECTION, t, f"charging flag cleared, at most {NO_CURRENT:g} A", "output contactor open")
            opened = _opened(scene, t)
            if opened is None:
                return
            t = opened
    yield Phase(S.CLOSING, t, "vehicle's contactor open" if state in CONNECTED else "nothing is connected", "d2 and d1 off")
    low = next((reading.t for reading in seen.readings_in(t, seen.end) if reading.voltage <= SAFE_TO_UNLOCK), None)
    if low is None:
        return
    yield Phase(S.UNLOCKING, low, f"{c.PLACE[c.VOLTAGE]} at most {SAFE_TO_UNLOCK:g} V")
    unlocked = seen.track(c.LOCKED).first(lambda value: not value, low)
    if unlocked is not None:
        yield Phase(S.FINISHED, unlocked, f"{c.PLACE[c.LOCKED]} = 0", "the connector can be pulled")


def _current_gone(scene: Scene, t: float) -> float | None:
    """Return when the current was gone and the charger said so."""
    seen = scene.observation
    cleared = seen.track(c.CHARGING).first(lambda value: not value, t)
    if cleared is None:
        return None
    return next((reading.t for reading in seen.readings_in(cleared, seen.end) if reading.current <= NO_CURRENT), None)


def _opened(scene: Scene, t: float) -> float | None:
    """Return when the vehicle's contactor was open: by its word, else where its battery's voltage had gone from the output."""
    said = scene.observation.track(c.CONTACTOR_OPEN).first(bool, t)
    low = next((reading.t for reading in scene.observation.readings_in(t, scene.observation.end) if reading.voltage < LIVE), None)
    return said if said is not None else low


def _known(scene: Scene) -> float | None:
    """Return when vehicle and charger had said what they are, and the charger had not refused."""
    firsts = [scene.observation.track(name).times for name in (c.MAX_BATTERY_VOLTAGE, c.TIME_10S, c.TARGET)]
    charger = scene.charger_at
    if not all(firsts) or charger is None:
        return None
    t = max(charger, *(times[0] for times in firsts))
    return None if scene.observation.track(c.INCOMPATIBLE).at(t) else t


def _permitted(scene: Scene) -> float | None:
    return scene.rises(c.ENABLED) if _known(scene) is not None else None


def _locked(scene: Scene) -> float | None:
    """Return when the lock was reported, or the test began where a charger reports the lock late."""
    tests = [scene.output.tests[0].start] if scene.output.tests else []
    locked = scene.rises(c.LOCKED)
    return min([*tests, *([locked] if locked is not None else [])], default=None)


def _lowering(scene: Scene) -> float | None:
    """Return when the last test voltage began to fall from its peak and fell on to its end."""
    if not scene.output.tests:
        return None
    test: Rise = scene.output.tests[-1]
    stop = test.end if test.end is not None else scene.observation.end
    readings = scene.observation.readings_in(test.peak_at, stop)
    return next(
        (after.t for before, after in reversed(list(pairwise(readings))) if before.voltage >= FALLING * test.peak > after.voltage), None
    )


def _discharged(scene: Scene) -> float | None:
    return scene.output.tested_at


def _connected(scene: Scene) -> float | None:
    closed = contactor_closed(scene.observation)
    return closed if closed is not None else scene.output.battery_at


def _charging(scene: Scene) -> float | None:
    return scene.charging_at


SEQUENCE: tuple[Row, ...] = (
    Row(S.WAITING_FOR_PERMISSION, _known, "0x100, 0x101, 0x102, 0x108, 0x109 were seen, and no refusal (0x109 byte 5.3 = 0)"),
    Row(S.LOCKING, _permitted, "0x102 byte 5.0 = 1", "switch k closed"),
    Row(S.CABLE_CHECK, _locked, "0x109 byte 5.2 = 1, or the charger's test voltage", "connector locked, output contactor closed"),
    Row(S.LOWERING_OUTPUT, _lowering, "the test voltage falls", "the insulation test was passed"),
    Row(S.WAITING_FOR_CONTACTOR, _discharged, f"the output is below {DISCHARGED:g} V", "d2 closed"),
    Row(
        S.WAITING_FOR_REQUEST,
        _connected,
        "0x102 byte 5.3 from 1 to 0, or the battery's voltage at the output",
        "vehicle's contactor closed",
    ),
    Row(S.CHARGING, _charging, "0x109 byte 5.0 = 1"),
)
