"""From the frames of a log to what is to be said about it: which channel speaks CHAdeMO, which sessions it holds, the verdict on each."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from evse_core import chademo_session
from evse_core.chademo_session import CORE_IDS, ChademoSession, Observation, is_plausible, split_sessions
from evse_core.chademo_verdict import Verdict, judge
from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_tools.can_log import CanLog

# Fewer plausible frames than one cycle of both parties are no session.
ONE_CYCLE = 5
# Part of the frames with CHAdeMO identifiers that must make sense: identifiers 0x100 to 0x109 are used by other protocols, too. [ratio]
PLAUSIBLE = 0.8
VEHICLE_IDS, CHARGER_IDS = frozenset({0x100, 0x101, 0x102}), frozenset({0x108, 0x109})
# Generic EVSE interface v3.1 and later: bits 23..12 of an extended identifier, from the controller and to it (../shared/reference/can.md 1.1).
GENERIC_EVSE = frozenset({0x06B, 0x063})


@dataclass(frozen=True, slots=True)
class Judged:
    """One session of the log with its verdict and its frames, times in seconds of the log."""

    observation: Observation
    verdict: Verdict
    frames: Sequence[tuple[float, Frame]] = ()


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a log holds: the channel with CHAdeMO traffic, its sessions in order, the one to report, and words about the rest."""

    log: CanLog
    channel: str | None
    sessions: tuple[Judged, ...]
    main: Judged | None
    notes: tuple[str, ...]


def analyze(log: CanLog, database: SignalDatabase) -> Analysis:
    """Return the analysis of a log; without CHAdeMO traffic there are no sessions and the notes say what was seen instead."""
    channels: defaultdict[str, list[tuple[float, Frame]]] = defaultdict(list)
    for logged in log.frames:
        channels[logged.channel].append((logged.t, logged.frame))
    scores = {name: score for name, frames in channels.items() if (score := chademo_score(frames))}
    if not scores:
        return Analysis(log, None, (), None, (*log.notes, _what_else(log)))
    channel = max(scores, key=lambda name: scores[name])
    sessions = tuple(judged(frames, database) for frames in split_sessions(channels[channel]))
    main = _main(sessions)
    return Analysis(log, channel, sessions, main, (*log.notes, *_other_channels(scores, channel), *_other_sessions(sessions, main)))


def chademo_score(frames: Sequence[tuple[float, Frame]]) -> int:
    """Return the number of frames that can be CHAdeMO, 0 where a channel does not speak it."""
    core = [frame for _, frame in frames if frame.id in CORE_IDS and not frame.extended]
    plausible = [frame for frame in core if is_plausible(frame)]
    seen = {frame.id for frame in plausible}
    complete = seen >= VEHICLE_IDS or seen >= CHARGER_IDS
    return len(plausible) if complete and len(plausible) >= max(ONE_CYCLE, PLAUSIBLE * len(core)) else 0


def judged(frames: Sequence[tuple[float, Frame]], database: SignalDatabase) -> Judged:
    """Return what is to be said of the frames of one session."""
    session = ChademoSession(database)
    for t, frame in frames:
        session.feed(t, frame)
    observation = session.finish()
    return Judged(observation, judge(observation), frames)


def _main(sessions: Sequence[Judged]) -> Judged:
    """Return the last session in which both parties spoke, else the last."""
    return next((session for session in reversed(sessions) if _both_spoke(session.observation)), sessions[-1])


def _both_spoke(observation: Observation) -> bool:
    return all(
        observation.first_of(messages) is not None for messages in (chademo_session.VEHICLE_MESSAGES, chademo_session.CHARGER_MESSAGES)
    )


def _other_channels(scores: dict[str, int], channel: str) -> list[str]:
    others = ", ".join(sorted(repr(name) for name in scores if name != channel))
    return [f"channels {others} carry CHAdeMO, too; channel {channel!r} has most frames and is reported"] if others else []


def _other_sessions(sessions: Sequence[Judged], main: Judged) -> list[str]:
    if len(sessions) < 2:
        return []
    number = next(index for index, session in enumerate(sessions, 1) if session is main)
    return [f"the log holds {len(sessions)} sessions with pauses between them: this is number {number}"]


def _what_else(log: CanLog) -> str:
    """Say what a log without CHAdeMO holds."""
    if not log.frames:
        return "the log holds no frame"
    counted = Counter((logged.frame.id, logged.frame.extended) for logged in log.frames)
    usual = ", ".join(f"0x{identifier:X}" for (identifier, _), _ in counted.most_common(8))
    generic = any(extended and (identifier >> 12) & 0xFFF in GENERIC_EVSE for identifier, extended in counted)
    guess = "; the identifiers are those of the generic EVSE interface v3 (power modules)" if generic else ""
    return f"no channel carries CHAdeMO (0x100, 0x101, 0x102 from a vehicle, or 0x108, 0x109 from a charger); most frequent: {usual}{guess}"
