"""Which messages go into which recording: one for everything, or one per session with the time around it.

Theory of operation. The last `before` seconds are kept in the memory. Once an EVSE authorises somebody, charges, or is in an emergency, its recording begins
with what is kept, and it ends when nothing of this has been for `after` seconds. It has all topics of the EVSE and of the station, and of the other EVSEs
what energy_manager reads and writes, so that every decision in it can be verified. Times are those of receipt, so a slow disk changes nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# A station, or everything.
STATION = 0
# What energy_manager reads and writes of each EVSE.
SITE_TOPICS = frozenset({"session_state", "meter_reading", "charging_limit", "power_budget"})
NANO = 1e9

Message = tuple[int, int, bytes]  # channel, time of receipt [ns since the epoch], serialized


@dataclass(slots=True)
class Split:
    """Messages by recording, and the recordings that are to stay open after them."""

    parts: dict[int, list[Message]] = field(default_factory=dict)
    stay: set[int] = field(default_factory=set)


class Splitter(Protocol):
    """Deals messages out to recordings; a recording is known by a number."""

    def take(self, batch: Iterable[Message]) -> Split:
        """Return where messages go, in their order."""


class Everything:
    """One recording, always."""

    def take(self, batch: Iterable[Message]) -> Split:
        """Return all for the one recording."""
        return Split({STATION: list(batch)}, {STATION})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a channel belongs: number of the EVSE, 0 for the station, and its topic without the namespace."""

    evse: int
    name: str


def place(topic: str) -> Place:
    """Return the place of an absolute topic."""
    first, _, rest = topic.removeprefix("/").partition("/")
    number = first.removeprefix("evse_")
    return Place(int(number), rest) if first.startswith("evse_") and number.isdigit() else Place(STATION, topic.removeprefix("/"))


class Sessions:
    """One recording per session of each EVSE. is_busy: whether a serialized session_state is one that is to be recorded."""

    def __init__(self, topics: Sequence[str], is_busy: Callable[[bytes], bool], before: float, after: float, most_bytes: float) -> None:
        self._places = [place(topic) for topic in topics]
        self._is_busy, self._before, self._after, self._most = is_busy, round(before * NANO), round(after * NANO), most_bytes
        self._kept: deque[Message] = deque()
        self._bytes = 0
        self._until: dict[int, int] = {}

    def take(self, batch: Iterable[Message]) -> Split:
        """Return where messages go; a recording that begins gets what was kept."""
        split = Split()
        for message in batch:
            self._keep(message)
            self._take(message, split.parts)
        split.stay = set(self._until)
        return split

    def _take(self, message: Message, parts: dict[int, list[Message]]) -> None:
        channel, stamp, data = message
        where = self._places[channel]
        for evse in [evse for evse, until in self._until.items() if stamp > until]:
            del self._until[evse]
        begins = 0
        if where.name == "session_state" and where.evse and self._is_busy(data):
            begins = where.evse if where.evse not in self._until else 0
            self._until[where.evse] = stamp + self._after
        if begins:
            parts.setdefault(begins, []).extend(kept for kept in self._kept if self._belongs(kept[0], begins))
        for evse in self._until:
            if evse != begins and self._belongs(channel, evse):
                parts.setdefault(evse, []).append(message)

    def _belongs(self, channel: int, evse: int) -> bool:
        where = self._places[channel]
        return where.evse in {evse, STATION} or where.name in SITE_TOPICS

    def _keep(self, message: Message) -> None:
        self._kept.append(message)
        self._bytes += len(message[2])
        while self._kept and (message[1] - self._kept[0][1] > self._before or self._bytes > self._most):
            self._bytes -= len(self._kept.popleft()[2])
