"""`./station verify BAG`: the recorded inputs through today's rules, and every decision compared with the recorded one."""

import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console

from evse_tools import json_target, verify_accepted, verify_print
from evse_tools.bag_reader import BagError, BagReader
from evse_tools.verify_rules import loops
from evse_tools.verify_run import Result
from evse_tools.verify_source import parameters
from evse_tools.verify_stream import TRACE, Makers, Stream, topics_of

# Processor time that a node's rules take, relative to each other, as profiled on tests/bags/chademo. [1]
WORK: Mapping[str, int] = {"safety_monitor": 9, "charge_sequencer": 8, "energy_meter": 3, "energy_manager": 1}
# How often the progress bar hears of the recording. [s]
PROGRESS = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a recording: results by node, seconds that were recorded, seconds that it took."""

    path: Path
    results: Sequence[Result]
    recorded: float
    took: float
    problem: str = ""
    # Nodes whose differences were reviewed and accepted, all of them.
    accepted: frozenset[str] = frozenset()

    @property
    def realtime_factor(self) -> float:
        """How many times faster than real time this was."""
        return self.recorded / self.took if self.took > 0.0 else 0.0

    @property
    def differs(self) -> bool:
        """Whether anything was decided otherwise."""
        return any(result.count and result.node not in self.accepted for result in self.results)


def run(path: Path, json: str = "", description: Path | None = None, accept: bool = False) -> int:
    """Verify a recording. Returns the exit code: 0 no difference but accepted ones, 1 a difference, 2 a recording that cannot be verified."""
    if problem := json_target.refusal(json) or (verify_accepted.refusal(path) if accept else ""):
        print(problem, file=sys.stderr)
        return 2
    console = Console(stderr=json == "-")
    try:
        verdict = verify(path, description, console)
    except BagError as error:
        print(error, file=sys.stderr)
        return 2
    if json != "-":
        verify_print.show(verdict, console)
    if accept:
        verify_accepted.write(path, verdict.results)
        return 0
    json_target.write(json, verify_print.as_json(verdict), nan=True)
    return 1 if verdict.differs else 0


def verify(path: Path, description: Path | None = None, console: Console | None = None) -> Verdict:
    """Verify a recording on all processors; BagError where it cannot be."""
    began = time.perf_counter()
    bag = BagReader(path)
    traced = {item.topic for item in bag.contents if item.type_name == TRACE and item.count}
    if not traced:
        raise BagError(f"{path}: has no {TRACE}: it was recorded by a build before decisions were traced, or without them")
    made = loops(parameters(bag, description))
    makers = {node: make for node, make in made.items() if f"{node.rpartition('/')[0]}/decision_trace" in traced}
    with _Bar(console, bag.end - bag.begin) as advance:
        found = _verified(bag, list(shares(makers, len(os.sched_getaffinity(0)))), advance)
    results = sorted(found, key=lambda result: (result.node, result.begin))
    if not any(result.events for result in results):
        reasons = {gap.why for result in results for gap in result.gaps} or {"no snapshot of a node that the description has is in it"}
        raise BagError(f"{path}: nothing could be compared: {'; '.join(sorted(reasons))}")
    took = time.perf_counter() - began
    return Verdict(path, results, bag.end - bag.begin, took, bag.problem, verify_accepted.known(path, results))


def shares(makers: Makers, processors: int) -> Iterator[Makers]:
    """Yield the nodes for each processor, so that each has about as much to do."""
    nodes = sorted(makers, key=lambda node: (-WORK[node.rpartition("/")[2]], node))
    parts: list[list[str]] = [[] for _ in range(max(1, min(processors, len(nodes))))]
    for node in nodes:
        min(parts, key=lambda part: sum(WORK[name.rpartition("/")[2]] for name in part)).append(node)
    return ({node: makers[node] for node in part} for part in parts)


def _verified(bag: BagReader, parts: Sequence[Makers], advance: Callable[[float], None]) -> list[Result]:
    """Let each processor go through the recording for its nodes: this process for the first of them."""
    fork = multiprocessing.get_context("fork")  # loops are made by functions, which cannot be sent around
    running = []
    for part in parts[1:]:
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=_send, args=(sender, bag.path, part))
        process.start()
        sender.close()
        running.append((process, receiver))
    try:
        found = _one(bag, parts[0], advance)
        return [*found, *(result for _, receiver in running for result in _received(receiver, bag.path))]
    finally:
        for process, receiver in running:
            receiver.close()
            process.terminate()
            process.join()


def _received(receiver: Connection, path: Path) -> list[Result]:
    try:
        found: list[Result] | BagError = receiver.recv()
    except EOFError as error:
        raise BagError(f"{path}: a process that verified it was killed: not enough memory?") from error
    if isinstance(found, BagError):
        raise found
    return found


def _send(sender: Connection, path: Path, part: Makers) -> None:
    """Verify some nodes in a process of their own."""
    try:
        sender.send(_one(BagReader(path), part))
    except BagError as error:
        sender.send(error)


def _one(bag: BagReader, part: Makers, advance: Callable[[float], None] = lambda _: None) -> list[Result]:
    """Verify some nodes; advance hears how far it came [s]."""
    stream, told = Stream(bag, part), bag.begin
    # What is there already stays to the end, and what is read goes away without a look at who knows whom: that would take a third of the time.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for item in bag.items(topics_of(bag)):
            stream.feed(item)
            if item.time - told > PROGRESS:
                told = item.time
                advance(told - bag.begin)
        return stream.finish()
    finally:
        gc.enable()
        gc.unfreeze()


class _Bar:
    """A progress bar on a terminal, nothing else; it is told the time that is done [s]."""

    def __init__(self, console: Console | None, total: float) -> None:
        self._console = console if console is not None and console.is_terminal else None
        self._total = total

    def __enter__(self) -> Callable[[float], None]:
        if self._console is None:
            return lambda _: None
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - not needed without a terminal

        self._bar = Progress(TextColumn("verifying"), BarColumn(), TimeElapsedColumn(), console=self._console, transient=True)
        self._bar.start()
        task = self._bar.add_task("", total=self._total)
        return lambda done: self._bar.update(task, completed=done)

    def __exit__(self, *_: object) -> None:
        if self._console is not None:
            self._bar.stop()
