"""`./station fuzz`: random frames, messages and descriptions; says what breaks, with the shortest case that was found.

A case is made from seed and number alone, so that it can be made again, and is JSON, so that it can be kept: tests/fuzz_corpus has one file for each thing that
once broke, with a line saying what; the tests play them again.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

from evse_tools import fuzz_descriptions, fuzz_intruder, fuzz_traffic, json_target
from evse_tools.campaign_command import shared_databases
from evse_tools.fuzz_case import Case

# What can be made and played, by name.
MAKE: dict[str, Callable[[Random], Case]] = {
    "frames": lambda random: fuzz_traffic.make_frames(random, shared_databases()),
    "topics": lambda random: fuzz_traffic.make_messages(random, shared_databases()),
    "descriptions": fuzz_descriptions.make,
}
KINDS = tuple(MAKE)
# Seconds without another wish, plays that the search for a shorter case may cost, and findings that are shortened. [s], [1], [1]
SECONDS, BUDGET, SHORTENED = 30.0, 60, 5
# Pause between two lines of progress. [s]
PAUSE = 10.0


def run(seconds: float, examples: int, seed: int, what: str, only: int, case_file: Path | None, json_file: str) -> int:
    """Fuzz for some seconds or some examples of each kind; 0 where nothing broke, 1 where something did, 2 for wrong input."""
    console = Console(stderr=json_file == "-", highlight=False, soft_wrap=True)
    if what not in {*KINDS, "all"}:
        return _wrong(f"--what {what}: none of {', '.join(KINDS)}, all")
    if problem := json_target.refusal(json_file):
        return _wrong(problem)
    if case_file is not None:
        return _replay(console, case_file)
    kinds = KINDS if what == "all" else (what,)
    began = time.monotonic()
    findings: list[dict[str, Any]] = []
    counts = _search(console, kinds, seed, only, examples, began + (seconds or SECONDS) if not examples and not only else 0.0, findings)
    summary = {"seed": seed, "seconds": round(time.monotonic() - began, 3), "cases": counts, "findings": findings}
    json_target.write(json_file, summary, nan=True)  # what once broke may be a NaN
    made = ", ".join(f"{count} x {kind}" for kind, count in counts.items())
    console.print(f"{made} with seed {seed} in {summary['seconds']:.0f} s: {f'{len(findings)} findings' if findings else 'nothing broke'}")
    return 1 if findings else 0


def _wrong(text: str) -> int:
    print(f"station fuzz: {text}", file=sys.stderr)
    return 2


def _search(
    console: Console, kinds: tuple[str, ...], seed: int, only: int, examples: int, until: float, findings: list[dict[str, Any]]
) -> dict[str, int]:
    """Play case after case of each kind in turn; return how many of each there were."""
    number, told = only or 1, time.monotonic()
    counts = dict.fromkeys(kinds, 0)
    spent = dict.fromkeys(kinds, 0.0)
    while True:
        # Each kind gets the same time, however long its cases take; with a number of examples, the same number.
        kind = min(kinds, key=lambda name: (counts[name] if not until else spent[name], kinds.index(name)))
        if (until and time.monotonic() > until) or (not until and counts[kind] >= (examples or 1)):
            return counts
        began = time.monotonic()
        case = case_of(kind, seed, number + counts[kind])
        if detail := outcome(case):
            findings.append(_finding(console, case, detail, seed, number + counts[kind], len(findings) < SHORTENED))
        counts[kind] += 1
        spent[kind] += time.monotonic() - began
        if time.monotonic() - told > PAUSE:
            told = time.monotonic()
            console.print(", ".join(f"{count} x {name}" for name, count in counts.items()) + f": {len(findings)} findings")


def case_of(kind: str, seed: int, number: int) -> Case:
    """Return case `number` of a seed, as it comes back from JSON."""
    case: Case = json.loads(json.dumps(MAKE[kind](Random(f"{seed}/{kind}/{number}"))))
    return case


def outcome(case: Case) -> str:
    """Play a case; return "" or what should not have happened, an error of any kind included."""
    try:
        return fuzz_descriptions.play(case) if case["what"] == "descriptions" else fuzz_intruder.play(case, shared_databases())
    except Exception as error:
        places = [frame for frame in traceback.extract_tb(error.__traceback__) if "evse_" in frame.filename]
        return f"{type(error).__name__}: {str(error)[:200]} in {places[-1].filename.rsplit('/', 1)[-1]}:{places[-1].lineno}"


def _finding(console: Console, case: Case, detail: str, seed: int, number: int, shorten: bool) -> dict[str, Any]:
    again = f"./station fuzz --what {case['what']} --seed {seed} --only {number}"
    console.print(f"FOUND {case['what']} {number}: {detail}\n  again: {again}")
    shortest = shortened(case, BUDGET) if shorten else case
    console.print(f"  shortest case (for --case FILE): {json.dumps(shortest)[:2000]}")
    return {"what": case["what"], "number": number, "detail": detail, "again": again, "case": shortest}


def shortened(case: Case, budget: int) -> Case:
    """Return a case that breaks something, too, with as few steps, or lines, as were found within a number of plays."""
    name, items = ("file", case["file"].splitlines(keepends=True)) if "file" in case else ("steps", case["steps"])

    def made(left: list[Any]) -> Case:
        return case | {name: "".join(left) if name == "file" else left}

    size = max(len(items) // 2, 1)
    while budget > 0 and items:
        at = 0
        while at < len(items) and budget > 0:
            left, budget = items[:at] + items[at + size :], budget - 1
            if outcome(made(left)):
                items = left
            else:
                at += size
        if size == 1:
            break
        size = size // 2
    return made(items)


def _replay(console: Console, path: Path) -> int:
    try:
        case = json.loads(path.read_text(encoding="utf-8"))
        known = case["what"] in KINDS
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _wrong(f"--case {path}: {error!r}")
    if not known:
        return _wrong(f"--case {path}: {case['what']} is none of {', '.join(KINDS)}")
    detail = outcome(case)
    console.print(detail or "nothing broke")
    return 1 if detail else 0
