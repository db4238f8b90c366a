"""Gives the recorded inputs of one node to today's rules, at the recorded times and in the recorded order, and compares what they decide.

Theory of operation. The trace of a node names everything that its loop was given (evse_core/trace.py). A run begins at a snapshot and goes on until something
is missing: a trace that was lost, a message that the recorder did not get, a disk that decided. Then nobody can say what the rules would do, so the run ends
there, which is told, and begins anew at the next snapshot. After a difference it goes on with the state that today's rules have.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evse_core.snapshot import SnapshotError, restore
from evse_core.trace import FAILED, Loop, Outputs, as_sent, is_call
from evse_core.types import DecisionTrace
from evse_tools.bag_reader import BagReader, Item
from evse_tools.verify_compare import Comparer, facts, plain
from evse_tools.verify_source import Window

# Differences that are kept of one node; the rest is counted. [1]
MOST_KEPT = 200
NOTHING_RECORDED, NOTHING_NOW = "(nothing)", "(nothing)"


@dataclass(frozen=True, slots=True)
class Difference:
    """t: seconds from the begin of the recording; node: full name; what: topic, and field where a message differs."""

    t: float
    node: str
    what: str
    recorded: Any
    now: Any


@dataclass(frozen=True, slots=True)
class Gap:
    """A time [s from the begin of the recording] that could not be compared, and why."""

    begin: float
    end: float
    why: str


@dataclass(slots=True)
class Result:
    """What came of one node."""

    node: str
    events: int = 0
    messages: int = 0
    # Published, but not in the recording: best effort loses some.
    unrecorded: int = 0
    begin: float = 0.0
    end: float = 0.0
    seconds: float = 0.0
    count: int = 0
    # Of all differences, in order: what was reviewed once is known again (verify_accepted.py).
    digest: str = ""
    # Names that the trace has and today's rules do not read.
    unread: set[str] = field(default_factory=set)
    decisions: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    # Inputs at the first difference: topic, its age [s], its fields.
    moment: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)


class Missing(Exception):
    """A message that a node took is not in the recording."""


class Verifier:
    """Verifies one start of one node: `take` its traces in order of their numbers, then `finish`."""

    def __init__(self, node: str, make: Callable[[], Loop], bag: BagReader, window: Window) -> None:
        self._node, self._make, self._bag, self._window = node, make, bag, window
        self._zero, self._over = bag.begin, bag.end
        self._space = node.rpartition("/")[0]
        self.result = Result(node)
        self._hash = hashlib.sha256()
        self._loop: Loop | None = None
        self._known: frozenset[str] = frozenset()
        self._kinds: tuple[Sequence[str], list[_Kind]] = ((), [])
        self._latest: dict[str, tuple[Item, float]] = {}
        self._comparers: dict[str, Comparer] = {}
        self._expected: int | None = None
        self._since: float | None = None
        self._gap: tuple[float, str] | None = None

    def take(self, trace: DecisionTrace) -> None:
        """Verify the next trace."""
        lost = trace.number - (trace.number if self._expected is None else self._expected)
        if lost:
            self._stop(self._begin_of(trace), f"{lost} traces were lost")
        self._expected = trace.number + 1
        if self._loop is not None:
            self._follow(trace)
        if self._loop is None and trace.snapshot:
            self._resume(trace)

    def _time(self, stamp: float) -> float:
        return round(stamp - self._zero, 6)

    def _begin_of(self, trace: DecisionTrace) -> float:
        return trace.stamps[0] if trace.stamps else trace.stamp

    def _follow(self, trace: DecisionTrace) -> None:
        """Let the loop take what the node took."""
        kinds, texts, stamp = self._kinds_of(trace), iter(trace.texts), 0.0
        try:
            for number, now, stamp, ref, published in zip(trace.kinds, trace.times, trace.stamps, trace.refs, trace.published, strict=True):
                kind = kinds[number]
                self._event(_Event(kind, now, stamp, published), next(texts) if kind.is_call else ref)
        except Missing as error:
            self._stop(stamp, str(error))

    def _kinds_of(self, trace: DecisionTrace) -> "list[_Kind]":
        """Return what the numbers of a trace mean; they mean the same from one trace to the next."""
        if self._kinds[0] != trace.names:
            self._kinds = trace.names, [_Kind(name, self._topic(name), is_call(name), name in self._known) for name in trace.names]
        return self._kinds[1]

    def _resume(self, trace: DecisionTrace) -> None:
        """Begin with the state after this trace."""
        loop = self._make()
        try:
            restore(loop, trace.snapshot)
        except SnapshotError as error:
            self._gap = self._gap or (self._begin_of(trace), str(error))
            return
        at = trace.stamps[-1] if trace.stamps else trace.stamp
        self._loop, self._known, self._kinds, self._since = loop, frozenset(loop.names), ((), []), at
        self._latest.clear()
        if self._gap is not None:
            self.result.gaps.append(Gap(self._time(self._gap[0]), self._time(at), self._gap[1]))
            self._gap = None
        if not self.result.begin:
            self.result.begin = self.result.end = self._time(at)

    def _stop(self, stamp: float, why: str) -> None:
        """Compare no further than this."""
        if self._loop is not None:
            self._end()
            self._loop = None
        if self.result.begin or why:
            self._gap = self._gap or (stamp, why)

    def finish(self) -> Result:
        """Return what came of it."""
        self._end()
        return self.result

    def _end(self) -> None:
        result = self.result
        if self._since is not None:
            result.seconds += max(result.end - self._time(self._since), 0.0)
            self._since = None
        if self._gap is not None and self._loop is None:
            result.gaps.append(Gap(self._time(self._gap[0]), self._time(self._over), self._gap[1]))

    def _event(self, event: "_Event", given: str | float) -> None:
        """Give the loop one message, named by its stamp [s], or a call with its text."""
        kind, result = event.kind, self.result
        if kind.name == FAILED:
            raise Missing(str(given))
        result.end = self._time(event.stamp)
        if not kind.is_known:
            result.unread.add(kind.name)
            return
        assert self._loop is not None
        value = given if kind.is_call else self._input(kind.topic, float(given), event.stamp)
        try:
            outputs = self._loop.on(kind.name, value, event.now, event.stamp)
        except Exception as error:  # rules of today may fail in any way with the inputs of then, and that is a finding
            self._differ(event.stamp, kind.name, f"{event.published} messages", f"fails: {error!r}")
            raise Missing(f"the rules failed: {error!r}") from error
        result.events += 1
        if outputs or event.published:
            self._compare(event, [item for item in outputs if not is_call(item[0])])

    def _input(self, topic: str, ref: float, stamp: float) -> Any:
        found = self._window.at(topic, ref)
        if not found:
            raise Missing(f"a message of {topic} that the node took was not recorded")
        self._latest[topic] = found[0], stamp
        return found[0].value

    def _topic(self, name: str) -> str:
        return name if name.startswith("/") else f"{self._space}/{name}"

    def _compare(self, event: "_Event", outputs: Outputs) -> None:
        """Compare what was published in answer to one event."""
        if len(outputs) != event.published:
            names = ", ".join(name for name, _ in outputs) or NOTHING_NOW
            recorded = ", ".join(self._recorded_at(event.stamp)) or f"{event.published} messages"
            self._differ(event.stamp, "messages", recorded if event.published else NOTHING_RECORDED, names)
        seen: dict[tuple[str, float], int] = {}
        for name, value in outputs:
            topic = self._topic(name)
            self._count(name)
            stamp = as_sent(value.stamp or event.stamp)
            number = seen[topic, stamp] = seen.get((topic, stamp), -1) + 1
            found = self._window.at(topic, stamp)
            if number < len(found):
                self._same(event.stamp, found[number], value)
            else:
                self.result.unrecorded += 1

    def _recorded_at(self, stamp: float) -> Iterator[str]:
        topics = self._window.topics_at(as_sent(stamp))
        return (topic.rpartition("/")[2] for topic in topics if topic.startswith(f"{self._space}/"))

    def _count(self, name: str) -> None:
        """Count decisions as people speak of them: transitions, faults, records."""
        self.result.messages += 1
        if name in {"fault_event", "charge_record", "session_request"}:
            self.result.decisions[name] = self.result.decisions.get(name, 0) + 1

    def _same(self, stamp: float, item: Item, now: Any) -> None:
        comparer, recorded = self._comparers.get(item.topic), item.value
        if comparer is None:
            comparer = self._comparers[item.topic] = Comparer(item.type_name, self._bag.layouts())
        if comparer.same(recorded, now):
            return
        for change in comparer.changes(recorded, now):
            self._differ(stamp, f"{item.topic}.{change.field}", plain(change.recorded), plain(change.now))

    def _differ(self, stamp: float, what: str, recorded: Any, now: Any) -> None:
        result = self.result
        if not result.count:
            result.moment = [
                (topic, round(stamp - at, 6), {key: plain(value) for key, value in facts(item.value).items()})
                for topic, (item, at) in sorted(self._latest.items())
            ]
        result.count += 1
        self._hash.update(f"{self._time(stamp)} {what} {recorded} {now}\n".encode())
        result.digest = self._hash.hexdigest()
        if len(result.differences) < MOST_KEPT:
            result.differences.append(Difference(self._time(stamp), self._node, what, recorded, now))


class _Kind(NamedTuple):
    """What a number in a trace stands for: a message of a topic, or a call. is_known: today's loop takes it."""

    name: str
    topic: str
    is_call: bool
    is_known: bool


class _Event(NamedTuple):
    kind: _Kind
    now: float
    stamp: float
    published: int
