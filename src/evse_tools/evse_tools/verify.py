"""`./station verify BAG`: the recorded inputs through today's rules, and every decision compared with the recorded one."""

import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from evse_tools import json_target, verify_accepted, verify_print
from evse_tools.bag_reader import BagError, BagReader
from evse_tools.description import DescriptionError
from evse_tools.verify_rules import loops
from evse_tools.verify_run import Result, Verifier
from evse_tools.verify_source import Source, read


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
    except (BagError, DescriptionError) as error:
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
    # Nothing of what is read here goes away before the end: to look for it would take a third of the time.
    gc.disable()
    try:
        with BagReader(path) as bag:
            source = read(bag, description)
        results = sorted(_results(source, console), key=lambda result: (result.node, result.begin))
    finally:
        gc.enable()
    if not any(result.events for result in results):
        reasons = {gap.why for result in results for gap in result.gaps} or {"no snapshot of a node that the description has is in it"}
        raise BagError(f"{path}: nothing could be compared: {'; '.join(sorted(reasons))}")
    took = time.perf_counter() - began
    return Verdict(path, results, source.end - source.begin, took, source.problem, verify_accepted.known(path, results))


def _results(source: Source, console: Console | None) -> Iterator[Result]:
    """Verify each start of each node, the longest traces first, in as many processes as there are processors."""
    makers = loops(source.description)
    keys = sorted(
        (key for key in source.traces if key[0] in makers), key=lambda key: -sum(len(trace.kinds) for trace in source.traces[key])
    )
    total = sum(len(source.traces[key]) for key in keys)
    _shared.clear()
    _shared.append(source)
    with _Bar(console, total) as advance:
        workers = min(len(os.sched_getaffinity(0)), len(keys))
        if workers < 2:
            for key in keys:
                yield _one(key)
                advance(len(source.traces[key]))
            return
        # Forked, so that nobody has to send the recording around.
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
            running = {pool.submit(_one, key): key for key in keys}
            for future in as_completed(running):
                yield future.result()
                advance(len(source.traces[running[future]]))


_shared: list[Source] = []


def _one(key: tuple[str, float]) -> Result:
    (source,) = _shared
    return Verifier(source, key[0], loops(source.description)[key[0]]).run(source.traces[key])


class _Bar:
    """A progress bar on a terminal, nothing else."""

    def __init__(self, console: Console | None, total: int) -> None:
        self._bar = Progress(TextColumn("verifying"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
        self._is_shown = console is not None and console.is_terminal
        self._total = total

    def __enter__(self) -> Callable[[int], None]:
        if not self._is_shown:
            return lambda _: None
        self._bar.start()
        task = self._bar.add_task("", total=self._total)
        return lambda count: self._bar.advance(task, count)

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            self._bar.stop()
