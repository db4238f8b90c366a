"""Pytest plugin for tests of real time: did the machine itself stand still while a test ran?

A station stops power when a command is 200 ms late. On a virtual machine whose host takes its processors or its memory away, all processes are late at once,
and a session that ends is the station working as it must. A process on each processor, ahead of all others (SCHED_FIFO), sleeps 5 ms at a time and tells how
long it really took: no load inside the machine can hold it up. A failure after such a stop says so; a test of which every try failed under one, two at the
most, is skipped with the length measured. Without real-time priority nothing is known, and a failure stays a failure.
"""

import multiprocessing
import os
import time
from collections.abc import Generator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

REAL_TIME = {"nodes", "system"}
# Above the nodes' own priority (evse_nodes/priority.py).
PRIORITY = 80
NAP = 0.005
# What counts: half of what a permit lives. [s]
STOP = 0.1
# Tries that failed under a stop after which no other one is made: such a machine will do it again, and each try takes a minute. [1]
ENOUGH = 2
# A gap is told when it is over; a test that failed by it may be quicker. [s]
LATE = 0.05


def watch(processor: int, mouth: Connection) -> None:
    """Tell of each stop when it began and how long it took, on the monotonic clock [s]; first whether real-time priority was given."""
    try:
        os.sched_setaffinity(0, {processor})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        mouth.send(False)
        return
    mouth.send(True)
    parent, last = os.getppid(), time.monotonic()
    while os.getppid() == parent:
        time.sleep(NAP)
        now = time.monotonic()
        if now - last >= STOP:
            mouth.send((last, now - last))
        last = now


class MachineWatch:
    """Watches all processors of this process from its first question on."""

    def __init__(self) -> None:
        self.stops: list[tuple[float, float]] = []
        self._ears: list[Connection] = []
        self._watchers: list[Any] = []

    def begin(self) -> None:
        """Start watching where that has not been done."""
        if self._watchers:
            return
        context = multiprocessing.get_context("spawn")
        for processor in sorted(os.sched_getaffinity(0)):
            ear, mouth = context.Pipe(duplex=False)
            process = context.Process(target=watch, args=(processor, mouth), daemon=True)
            process.start()
            mouth.close()
            self._watchers.append(process)
            with suppress(EOFError):
                if ear.recv():
                    self._ears.append(ear)

    def longest(self, begin: float) -> float:
        """Return the longest stop since a time of the monotonic clock [s]; 0 where there was none or nobody could watch."""
        time.sleep(LATE)
        for ear in self._ears:
            with suppress(EOFError, OSError):
                while ear.poll():
                    self.stops.append(ear.recv())
        return max((length for start, length in self.stops if start + length >= begin), default=0.0)

    def end(self) -> None:
        """End the watchers."""
        for process in self._watchers:
            process.kill()
            process.join()


MACHINE = MachineWatch()
BEGAN = pytest.StashKey[float]()
FAILED_UNDISTURBED = pytest.StashKey[bool]()
FAILED_UNDER_STOP = pytest.StashKey[int]()


def of_real_time(item: pytest.Item) -> bool:
    return bool(REAL_TIME & set(Path(item.path).parts[:-1]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if of_real_time(item):
        MACHINE.begin()
        item.stash[BEGAN] = time.monotonic()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    result = yield
    report = result.get_result()
    if not report.failed or item.stash.get(BEGAN, None) is None:
        return
    stop = MACHINE.longest(item.stash[BEGAN])
    if not stop:
        item.stash[FAILED_UNDISTURBED] = True
        return
    told = f"the machine stood still for {1e3 * stop:.0f} ms during this test"
    report.sections.append(("machine", told))
    item.stash[FAILED_UNDER_STOP] = item.stash.get(FAILED_UNDER_STOP, 0) + 1
    last_try = getattr(item, "execution_count", 1) > (getattr(item.config.option, "reruns", None) or 0)
    if (last_try or item.stash[FAILED_UNDER_STOP] == ENOUGH) and call.excinfo is not None and not item.stash.get(FAILED_UNDISTURBED, False):
        words, _, _ = call.excinfo.exconly().partition("\n")
        report.outcome, report.longrepr = "skipped", (str(item.path), item.location[1], f"{told}; it failed with {words}")


def pytest_unconfigure() -> None:
    MACHINE.end()
