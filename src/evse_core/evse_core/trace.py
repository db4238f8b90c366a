"""What a deciding node took, in the order in which it took it: enough to let its rules decide again, and the same.

Theory of operation. A node that decides keeps a *loop*: a pure object that holds its rules and the newest inputs, and has one method, `on`. Every message that
the node reads and every call (a timer, a service, a file that changed) goes through it, with the node's two clocks; what it returns is published, stamped
with the same reading of the ROS clock. So a list of these calls is all that there is to know, and the same list given to the same loop brings about the same
messages, bit by bit. Messages are not repeated in the list: they are on their own topics, and are named by their stamp.

Names. An input has the name of its topic, seen from the node's namespace; a call ends with "()". What a loop returns may have such a name, too: that is for
the node and not for a topic.
"""

from collections.abc import Sequence
from math import nan
from typing import Any, Protocol

from evse_core.types import DecisionTrace

# Name and value of each message that is to be published, in this order.
Outputs = Sequence[tuple[str, Any]]
NOTHING: Outputs = ()
# What a timer calls.
STEP = "step()"
# What a loop says where something outside its inputs decided, such as a disk that took nothing: until the next snapshot it cannot be followed.
FAILED = "failed()"
# Kinds and counts travel as bytes. [1]
MOST = 255


class Loop(Protocol):
    """Rules with their inputs. A loop is all state: two of the same class that were given the same are the same."""

    @property
    def names(self) -> Sequence[str]:
        """Everything that may be given to it."""

    def on(self, name: str, given: Any, now: float, stamp: float) -> Outputs:
        """Take a message of a topic, or a call with its text; now: monotonic clock [s], stamp: ROS clock [s]."""


def is_call(name: str) -> bool:
    """Tell whether a name stands for a call and not for a topic."""
    return name.endswith("()")


def as_sent(stamp: float) -> float:
    """Return a stamp [s] as it is after its way through a message, which counts nanoseconds."""
    nanoseconds = round(stamp * 1e9)
    return nanoseconds // 1_000_000_000 + nanoseconds % 1_000_000_000 * 1e-9


class Trace:
    """Events of one node since the last `take`."""

    def __init__(self, node: str, started: float, names: Sequence[str]) -> None:
        """node: its full name; started: when its process began [s since the epoch]; names: everything that may happen."""
        if len(names) > MOST:
            raise ValueError(f"{node}: {len(names)} names, a trace has room for {MOST}")
        self._node, self._started, self._names = node, started, tuple(names)
        self._kinds = {name: number for number, name in enumerate(names)}
        self._number = 0
        self._clear()

    def _clear(self) -> None:
        self._rows: list[tuple[int, float, float, float, int]] = []
        self._texts: list[str] = []

    def note(self, name: str, given: Any, now: float, stamp: float, published: int) -> None:
        """Keep one event: what was given to a loop, and how many messages it answered with."""
        call = name.endswith("()")
        if call:
            self._texts.append(given)
        self._rows.append((self._kinds[name], now, stamp, nan if call else given.stamp, min(published, MOST)))

    def take(self, snapshot: str = "") -> DecisionTrace:
        """Return the events so far, with the state of the loop after them, and begin anew."""
        kinds, times, stamps, refs, published = zip(*self._rows, strict=True) if self._rows else ((),) * 5
        trace = DecisionTrace(
            node=self._node,
            started=self._started,
            number=self._number,
            names=self._names,
            kinds=kinds,
            times=times,
            stamps=stamps,
            refs=refs,
            published=published,
            texts=tuple(self._texts),
            snapshot=snapshot,
        )
        self._number += 1
        self._clear()
        return trace
