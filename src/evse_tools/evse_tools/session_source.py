"""Where sessions to be looked at come from: a recording, or a CAN log. What is told of them does not depend on it."""

from datetime import datetime
from pathlib import Path

from evse_core.session_story import Story
from evse_tools import bag_story, log_story
from evse_tools.bag_reader import BagError
from evse_tools.can_log import LogError

# Times from here on are dates, 2000-01-01; others count from the start of a log. [s since 1970]
DATED = 946_684_800.0
# What was on the vehicle bus of a replayed log, in the folder that keeps the recording of the same session, too (replay_can.py).
BUS_LOG = "vehicle_bus.log"


def is_recording(path: Path) -> bool:
    """Return whether a path can be a recording: a folder, or an MCAP file."""
    return path.is_dir() or path.suffix.lower() == ".mcap"


def stories(path: Path) -> list[Story]:
    """Return the sessions of a recording or of a CAN log in the order of their begin. BagError where it cannot be read."""
    if is_recording(path):
        return bag_story.stories(path)
    try:
        return log_story.stories(path)
    except LogError as error:
        raise BagError(str(error)) from error


def when_of(story: Story, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return when a session began, by the clock of this machine; a CAN log may not know its date."""
    return datetime.fromtimestamp(story.begin).astimezone().strftime(form) if story.begin > DATED else f"{story.begin:.1f} s of the log"
