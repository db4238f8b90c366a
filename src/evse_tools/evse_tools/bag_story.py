"""The sessions of a recording: what its topics tell of each EVSE, as stories (evse_core/session_story.py)."""

import re
from collections.abc import Iterator
from pathlib import Path

from evse_core.session_story import WANTED, Story, Storyteller
from evse_tools.bag_reader import PACKAGE, BagReader

_EVSE = re.compile(r"/evse_(\d+)/[a-z_]+")
_NAMES = frozenset(f"{PACKAGE}{kind.__name__}" for kind in WANTED)


def stories(path: Path) -> list[Story]:
    """Return the sessions of a recording in the order of their begin. BagError where it cannot be read."""
    with BagReader(path) as bag:
        return sorted(_told(bag), key=lambda story: story.begin)


def _told(bag: BagReader) -> Iterator[Story]:
    topics = {content.topic for content in bag.contents if content.type_name in _NAMES}
    tellers = {int(found[1]): Storyteller(int(found[1])) for topic in topics if (found := _EVSE.fullmatch(topic))}
    for item in bag.items(topics):
        found = _EVSE.fullmatch(item.topic)
        # What the station says, such as of its back end, concerns each EVSE.
        for teller in [tellers[int(found[1])]] if found else tellers.values():
            if (story := teller.feed(item.value, item.time)) is not None:
                yield story
    yield from filter(None, (teller.finish() for teller in tellers.values()))
