"""Memory and processor time of a demo's processes, looked at from time to time."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass
class Usage:
    """One process: highest resident memory [MB], processor time used [s], and how long it was watched [s]."""

    name: str
    pid: int
    memory_mb: float = 0.0
    cpu_s: float = 0.0
    watched_s: float = 0.0

    @property
    def cpu_percent(self) -> float:
        """Average load of one core [%] since the process was first seen, start included."""
        return 100.0 * self.cpu_s / self.watched_s if self.watched_s else 0.0


def process_start() -> float:
    """Return when this process began [s since the epoch]."""
    return float(psutil.Process().create_time())


class Processes:
    """Keeps one Usage per process; a process that has ended keeps its last values."""

    def __init__(self) -> None:
        self.usages: dict[int, Usage] = {}

    def look(self, pids: Mapping[str, int]) -> None:
        """Measure; pids by name."""
        for name, pid in pids.items():
            usage = self.usages.setdefault(pid, Usage(name, pid))
            with suppress(psutil.Error):
                _measure(usage, psutil.Process(pid))


def _measure(usage: Usage, process: psutil.Process) -> None:
    with process.oneshot():
        times = process.cpu_times()
        usage.memory_mb = max(usage.memory_mb, process.memory_info().rss / 1e6)
        usage.cpu_s = times.user + times.system
        usage.watched_s = time.time() - process.create_time()
