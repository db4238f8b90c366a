"""The sessions of a CAN log as stories (evse_core/session_story.py), so that sheet, comparison and report show a log as they show a recording."""

from collections import defaultdict
from pathlib import Path

from evse_core import chademo_telling, secc_telling
from evse_core.frame import Frame
from evse_core.session_story import Story
from evse_nodes.databases import load
from evse_tools.analyze_log import Analysis, Judged, analyze
from evse_tools.can_log import CanLog, read


def stories(path: Path) -> list[Story]:
    """Return the sessions of a log in order. LogError where it is none; empty where it holds no session."""
    return told(analyze(read(path), load("chademo")))


def told(analysis: Analysis) -> list[Story]:
    """Return the stories of an analysis, one per session: those of CHAdeMO, without such those of the generic EVSE interface."""
    log = analysis.log
    return [story_of(one, f"{log.path.stem} {number}", log.epoch) for number, one in enumerate(analysis.sessions, 1)] or _generic(log)


def story_of(judged: Judged, name: str, epoch: float = 0.0) -> Story:
    """Return the story of one session that has been judged. epoch: the log's time 0 [s since 1970], 0 where it is not known."""
    return chademo_telling.story(judged.frames, load("chademo"), judged.observation, judged.verdict, name, epoch=epoch)


def _generic(log: CanLog) -> list[Story]:
    """Return the sessions of each channel and pistol that speaks the generic EVSE interface v3."""
    database, channels = load("evse_v3"), defaultdict[str, list[tuple[float, Frame]]](list)
    for logged in log.frames:
        channels[logged.channel].append((logged.t, logged.frame))
    found = [
        story
        for frames in channels.values()
        for pistol in secc_telling.pistols((frame for _, frame in frames), database)
        for story in secc_telling.stories(frames, database, pistol, f"{log.path.stem} pistol {pistol}", epoch=log.epoch)
    ]
    return sorted(found, key=lambda story: story.begin)
