"""`./station campaign`: plays random broken sessions in the simulated world on all processors, and prints what did not hold with the shortest reproduction.

Each session is made from seed and number alone, so the result does not depend on the number of processes.
"""

import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evse_core.codecs.signals import SignalDatabase
from evse_nodes import databases
from evse_simulators.campaign_plan import FAULT
from evse_simulators.campaign_shrink import shrink
from evse_simulators.memo_database import MemoDatabase
from evse_tools import json_target
from evse_tools.campaign_kinds import (
    CABINET,
    LINKS,
    AnyPlan,
    AnyResult,
    cabinet_figures,
    cabinet_table,
    from_json,
    option,
    play,
    random_plan,
    to_json,
)
from evse_tools.machine import processors, rare_collection

# Violations that are shrunk; more of them have the same few causes. [1]
SHRUNK = 20
# Pause between two lines of progress: on a terminal, and in a log. [s]
TERMINAL_PAUSE, LOG_PAUSE = 1.0, 30.0
# Sessions that a process takes at once: few enough that none is left with a long rest. [1]
CHUNK = 4


def run(sessions: int, seed: int, json_file: str, jobs: int, only: int, plan_file: Path | None, link: str) -> int:
    """Run a campaign on `jobs` processes, 0 for one per processor; returns 0 where everything held, 1 where not, 2 for wrong input."""
    console = Console(stderr=json_file == "-", highlight=False, soft_wrap=True)
    if link not in (*LINKS, CABINET):
        return _wrong(f"--link {link}: none of {', '.join(LINKS)}")
    if problem := json_target.refusal(json_file):
        return _wrong(problem)
    try:
        plan = _read(plan_file) if plan_file is not None else None
    except ValueError as error:
        return _wrong(str(error))
    numbers = [only] if only else list(range(1, sessions + 1))
    began = time.monotonic()
    results = (
        [play(plan, shared_databases())]
        if plan
        else list(_progress(console, _played(seed, numbers, jobs or processors(), link), len(numbers), began))
    )
    summary = summarise(results, plan.seed if plan else seed, time.monotonic() - began)
    summary["violations"] = _violations(console, results, seed, plan_file)
    _print(console, summary)
    return 1 if not _written(json_file, summary) or summary["violations"] else 0


def _wrong(text: str) -> int:
    print(f"station campaign: {text}", file=sys.stderr)
    return 2


def _read(path: Path) -> AnyPlan:
    try:
        return from_json(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


@cache
def shared_databases() -> dict[str, SignalDatabase]:
    """Return the databases with one memory for all worlds of this process."""
    return {name: MemoDatabase(databases.load(name)) for name in databases.NAMES}  # type: ignore[misc]


# Playing


def play_number(task: tuple[int, int, str]) -> AnyResult:
    """Play session `number` of `seed` on a link."""
    return play(random_plan(*task), shared_databases())


def _played(seed: int, numbers: Iterable[int], jobs: int, link: str) -> Iterator[AnyResult]:
    """Yield the results in the order of the numbers."""
    tasks = [(seed, number, link) for number in numbers]
    if jobs == 1 or len(tasks) == 1:
        yield from map(play_number, tasks)
        return
    shared_databases()
    context = multiprocessing.get_context("fork")
    with context.Pool(min(jobs, len(tasks)), initializer=rare_collection) as pool:
        yield from pool.imap(play_number, tasks, chunksize=1 if link == CABINET else CHUNK)


def _progress(console: Console, results: Iterator[AnyResult], total: int, began: float) -> Iterator[AnyResult]:
    """Say how far it is and tell each violation at once."""
    told, broken = began, 0
    pause = TERMINAL_PAUSE if console.is_terminal else LOG_PAUSE
    for done, result in enumerate(results, 1):
        broken += bool(result.broken)
        for item in result.broken:
            console.print(f"session {result.plan.number}: {item.invariant} at {item.at:.3f} s: {item.detail}")
        if time.monotonic() - told > pause:
            told = time.monotonic()
            rate = done / (told - began)
            console.print(f"{done} of {total} sessions, {rate:.1f} per second, {(total - done) / rate:.0f} s to go, {broken} broken")
        yield result


# What came of it


def summarise(results: list[AnyResult], seed: int, seconds: float) -> dict[str, Any]:
    """Return the figures of a campaign; only `seconds` and `realtime_factor` depend on the machine."""
    virtual = sum(result.virtual for result in results)
    injected = Counter(name for result in results for name in result.injected)
    link = results[0].plan.link if results else LINKS[0]
    return {
        "sessions": len(results),
        "seed": seed,
        "link": link,
        "seconds": round(seconds, 3),
        "realtime_factor": round(virtual / max(seconds, 1e-9), 1),
        "violations": [],
        "faults_injected": dict(sorted(injected.items())),
        "by_outcome": dict(sorted(Counter(result.outcome for result in results).items())),
        "virtual_seconds": round(virtual, 3),
        "sessions_disturbed": sum(bool(result.injected) for result in results),
    } | ({"cabinet": cabinet_figures(results)} if link == CABINET else {})


def _violations(console: Console, results: list[AnyResult], seed: int, plan_file: Path | None) -> list[dict[str, Any]]:
    """Return every broken invariant with the shortest plan that breaks it, too."""
    found: list[dict[str, Any]] = []
    for result in results:
        for item in result.broken:
            shortest = _shortest(console, result.plan, item.invariant) if len(found) < SHRUNK else result.plan
            again = f"--plan {plan_file}" if plan_file else f"--sessions 1 --seed {seed} --only {result.plan.number}"
            again += option(result.plan.link) if not plan_file else ""
            found.append(
                {
                    "seed": seed,
                    "session": result.plan.number,
                    "time": item.at,
                    "invariant": item.invariant,
                    "detail": item.detail,
                    "again": f"./station campaign {again}",
                    "plan": to_json(shortest),
                }
            )
    return found


def _shortest(console: Console, plan: AnyPlan, invariant: str) -> AnyPlan:
    console.print(f"session {plan.number}: looking for the shortest plan that breaks {invariant} ...")

    def fails(candidate: AnyPlan) -> bool:
        return any(item.invariant == invariant for item in play(candidate, shared_databases(), until=invariant).broken)

    return shrink(plan, fails)


def _print(console: Console, summary: dict[str, Any]) -> None:
    table = Table("outcome", "sessions", box=None)
    for outcome, number in sorted(summary["by_outcome"].items(), key=lambda item: -item[1]):
        table.add_row(outcome, str(number))
    console.print(table)
    kinds = Counter(
        "simulated fault" if name.startswith(f"{FAULT} ") else name.split()[0] for name, count in _each(summary) for _ in range(count)
    )
    console.print("injected: " + (", ".join(f"{number} x {kind}" for kind, number in sorted(kinds.items())) or "nothing"))
    for item in summary["violations"]:
        console.print(f"\nVIOLATION {item['invariant']} in session {item['session']} at {item['time']:.3f} s: {item['detail']}")
        console.print(f"  again: {item['again']}\n  shortest plan (for --plan FILE): {json.dumps(item['plan'])}", soft_wrap=True)
    broken = len(summary["violations"])
    if "cabinet" in summary:
        console.print(cabinet_table(summary["cabinet"], broken))
    console.print(
        f"{summary['sessions']} sessions with seed {summary['seed']} in {summary['seconds']:.1f} s, {summary['realtime_factor']:.0f} times real time: "
        f"{'everything held' if not broken else f'{broken} violations'}"
    )


def _each(summary: dict[str, Any]) -> Iterable[tuple[str, int]]:
    return summary["faults_injected"].items()


def _written(target: str, summary: dict[str, Any]) -> bool:
    """Write the JSON where it is wanted; return whether that worked."""
    try:
        json_target.write(target, summary)
    except OSError as error:
        print(f"station campaign: {target}: {error}", file=sys.stderr)
        return False
    return True
