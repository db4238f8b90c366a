"""Goes through a recording once to verify some of its nodes: holds the messages around the present moment, and hands each trace to its node.

A trace waits until everything that it names has gone by: recorders write what came in the same moment in any order. What is held does not grow with the
length of a recording.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Mapping

from evse_core.trace import Loop
from evse_core.types import DecisionTrace
from evse_tools.bag_reader import PACKAGE, BagReader, Item
from evse_tools.verify_run import Result, Verifier
from evse_tools.verify_source import Window, stamp_of

TRACE, FRAMES = f"{PACKAGE}DecisionTrace", f"{PACKAGE}CanFrames"
# How long a trace waits: a recorder fetches ten times a second, and one that was held up writes that much later. [ns]
PATIENCE = 5_000_000_000

Makers = Mapping[str, Callable[[], Loop]]
# A node and when its process began [s since the epoch].
Start = tuple[str, float]


class Stream:
    """The nodes of `makers` in one recording. Call `feed` with each message of `topics_of`, then `finish`."""

    def __init__(self, bag: BagReader, makers: Makers) -> None:
        self._bag, self._makers = bag, makers
        self._names = [name.encode() for name in makers]
        self._window = Window()
        self._runs: dict[Start, Verifier] = {}
        self._waiting: defaultdict[Start, list[tuple[int, DecisionTrace]]] = defaultdict(list)

    def feed(self, item: Item) -> None:
        """Take a message, in the order of the recording."""
        if item.type_name != TRACE:
            self._window.add(item, stamp_of(item, self._bag))
        elif any(name in item.data for name in self._names) and (trace := item.value).node in self._makers:
            start = (trace.node, trace.started)
            insort(self._waiting[start], (item.received, trace), key=_number)
            self._release(start, item.received - PATIENCE)

    def finish(self) -> list[Result]:
        """Return what came of each start of each node."""
        for start in self._waiting:
            self._release(start)
        return [run.finish() for run in self._runs.values()]

    def _release(self, start: Start, until: float = float("inf")) -> None:
        """Verify the traces that came up to a time [ns]."""
        waiting = self._waiting[start]
        while waiting and waiting[0][0] <= until:
            if (run := self._runs.get(start)) is None:
                run = self._runs[start] = Verifier(start[0], self._makers[start[0]], self._bag, self._window)
            run.take(waiting.pop(0)[1])


def _number(waiting: tuple[int, DecisionTrace]) -> int:
    return waiting[1].number


def topics_of(bag: BagReader) -> set[str]:
    """Return the topics that verify reads: no rule reads CAN frames, nor what simulators tell each other."""
    ours = (item for item in bag.contents if item.type_name.startswith(PACKAGE) and item.type_name != FRAMES)
    return {item.topic for item in ours if "/sim/" not in item.topic}
