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
from evse_tools.bag_reader import Item
from evse_tools.verify_compare import Comparer, facts, plain
from evse_tools.verify_source import Source

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


class _Event(NamedTuple):
    name: str
    now: float
    stamp: float
    ref: float
    published: int
    text: str


class Missing(Exception):
    """A message that a node took is not in the recording."""


class Verifier:
    """Verifies one start of one node."""

    def __init__(self, source: Source, node: str, make: Callable[[], Loop]) -> None:
        self._source, self._node, self._make = source, node, make
        self._space = node.rpartition("/")[0]
        self.result = Result(node)
        self._hash = hashlib.sha256()
        self._loop: Loop | None = None
        self._known: frozenset[str] = frozenset()
        self._latest: dict[str, tuple[Item, float]] = {}
        self._comparers: dict[str, Comparer] = {}
        self._since: float | None = None
        self._gap: tuple[float, str] | None = None

    def run(self, traces: Sequence[DecisionTrace]) -> Result:
        """Verify the traces of one start, in order of their numbers."""
        expected = traces[0].number
        for trace in traces:
            if trace.number != expected:
                self._stop(self._begin_of(trace), f"{trace.number - expected} traces were lost")
            expected = trace.number + 1
            self._trace(trace)
        self._end()
        return self.result

    def _time(self, stamp: float) -> float:
        return round(stamp - self._source.begin, 6)

    def _begin_of(self, trace: DecisionTrace) -> float:
        return trace.stamps[0] if trace.stamps else trace.stamp

    def _trace(self, trace: DecisionTrace) -> None:
        if self._loop is not None:
            try:
                for event in _events(trace):
                    self._event(event)
            except Missing as error:
                self._stop(event.stamp, str(error))
        if self._loop is None and trace.snapshot:
            self._resume(trace)

    def _resume(self, trace: DecisionTrace) -> None:
        """Begin with the state after this trace."""
        loop = self._make()
        try:
            restore(loop, trace.snapshot)
        except SnapshotError as error:
            self._gap = self._gap or (self._begin_of(trace), str(error))
            return
        at = trace.stamps[-1] if trace.stamps else trace.stamp
        self._loop, self._known, self._since = loop, frozenset(loop.names), at
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

    def _end(self) -> None:
        result = self.result
        if self._since is not None:
            result.seconds += max(result.end - self._time(self._since), 0.0)
            self._since = None
        if self._gap is not None and self._loop is None:
            result.gaps.append(Gap(self._time(self._gap[0]), round(self._source.end - self._source.begin, 6), self._gap[1]))

    def _event(self, event: _Event) -> None:
        if event.name == FAILED:
            raise Missing(event.text)
        result = self.result
        result.end = self._time(event.stamp)
        if event.name not in self._known:
            result.unread.add(event.name)
            return
        given = event.text if is_call(event.name) else self._input(event)
        assert self._loop is not None
        try:
            outputs = [item for item in self._loop.on(event.name, given, event.now, event.stamp) if not is_call(item[0])]
        except Exception as error:  # rules of today may fail in any way with the inputs of then, and that is a finding
            self._differ(event, event.name, f"{event.published} messages", f"fails: {error!r}")
            raise Missing(f"the rules failed: {error!r}") from error
        result.events += 1
        self._compare(event, outputs)

    def _input(self, event: _Event) -> Any:
        topic = self._topic(event.name)
        item = self._source.find(topic, event.ref)
        if item is None:
            raise Missing(f"a message of {topic} that the node took was not recorded")
        self._latest[topic] = item, event.stamp
        return item.value

    def _topic(self, name: str) -> str:
        return name if name.startswith("/") else f"{self._space}/{name}"

    def _compare(self, event: _Event, outputs: Outputs) -> None:
        """Compare what was published in answer to one event."""
        if not outputs and not event.published:
            return
        if len(outputs) != event.published:
            names = ", ".join(name for name, _ in outputs) or NOTHING_NOW
            recorded = ", ".join(self._recorded_at(event.stamp)) or f"{event.published} messages"
            self._differ(event, "messages", recorded if event.published else NOTHING_RECORDED, names)
        seen: dict[tuple[str, float], int] = {}
        for name, value in outputs:
            topic = self._topic(name)
            self._count(name, value)
            stamp = as_sent(value.stamp or event.stamp)
            found = self._source.messages.get(topic, {}).get(stamp, ())
            number = seen[topic, stamp] = seen.get((topic, stamp), -1) + 1
            if number < len(found):
                self._same(event, topic, found[number].value, value)
            else:
                self.result.unrecorded += 1

    def _recorded_at(self, stamp: float) -> Iterator[str]:
        at = as_sent(stamp)
        for topic, found in self._source.messages.items():
            if topic.startswith(f"{self._space}/") and at in found:
                yield topic.rpartition("/")[2]

    def _count(self, name: str, value: Any) -> None:
        """Count decisions as people speak of them: transitions, faults, records."""
        self.result.messages += 1
        if name in {"fault_event", "charge_record", "session_request"}:
            self.result.decisions[name] = self.result.decisions.get(name, 0) + 1

    def _same(self, event: _Event, topic: str, recorded: Any, now: Any) -> None:
        comparer = self._comparers.get(topic)
        if comparer is None:
            comparer = self._comparers[topic] = Comparer(self._source.types[topic], self._source.layouts)
        if comparer.same(recorded, now):
            return
        for change in comparer.changes(recorded, now):
            self._differ(event, f"{topic}.{change.field}", plain(change.recorded), plain(change.now))

    def _differ(self, event: _Event, what: str, recorded: Any, now: Any) -> None:
        result = self.result
        if not result.count:
            result.moment = [
                (topic, round(event.stamp - at, 6), {key: plain(value) for key, value in facts(item.value).items()})
                for topic, (item, at) in sorted(self._latest.items())
            ]
        result.count += 1
        self._hash.update(f"{self._time(event.stamp)} {what} {recorded} {now}\n".encode())
        result.digest = self._hash.hexdigest()
        if len(result.differences) < MOST_KEPT:
            result.differences.append(Difference(self._time(event.stamp), self._node, what, recorded, now))


def _events(trace: DecisionTrace) -> Iterator[_Event]:
    """Yield the events of a trace."""
    texts = iter(trace.texts)
    columns = zip(trace.kinds, trace.times, trace.stamps, trace.refs, trace.published, strict=True)
    for kind, now, stamp, ref, published in columns:
        name = trace.names[kind]
        yield _Event(name, now, stamp, ref, published, next(texts) if is_call(name) else "")
