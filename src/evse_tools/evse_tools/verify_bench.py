"""`./station bench verify`: how many times faster than real time recordings are verified, and what that takes of processor and memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evse_tools.bench_figures import print_json
from evse_tools.machine import machine

CORPUS = Path(__file__).resolve().parents[3] / "tests" / "bags"
# The command in a process of its own. Its memory is that of the largest of its processes.
COMMAND = (sys.executable, "-m", "evse_tools.cli", "verify")


@dataclass(frozen=True, slots=True)
class Measured:
    """One recording: its length, the time of verify itself and of the whole command with its start, processor time of all its processes [s]; memory [MB]."""

    recording: str
    recorded: float
    took: float
    command: float
    processor: float
    megabytes: float
    differences: int

    @property
    def factor(self) -> float:
        """How many times faster than real time it was verified."""
        return self.recorded / self.took


def run(recordings: Sequence[Path], as_json: bool) -> int:
    """Verify recordings, those of the corpus without any; returns 2 where one cannot be."""
    found = []
    for path in recordings or sorted(item for item in CORPUS.iterdir() if item.is_dir()):
        try:
            found.append(measure(path))
        except ValueError as error:
            print(f"bench verify: {error}", file=sys.stderr)
            return 2
    if as_json:
        print_json("verify", [asdict(item) | {"realtime_factor": round(item.factor, 1)} for item in found])
    else:
        Console().print(_table(found))
    return 0


def measure(path: Path) -> Measured:
    """Verify one recording; ValueError with what the command says where that cannot be done."""
    began = time.perf_counter()
    process = subprocess.Popen([*COMMAND, str(path), "--json", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said, wrong = process.communicate()
    elapsed = time.perf_counter() - began
    if process.returncode not in {0, 1}:
        raise ValueError(wrong.strip() or f"{path}: ended with {process.returncode}")
    data = json.loads(said)
    used = data["used"]
    return Measured(
        recording=path.name,
        recorded=data["seconds"]["recorded"],
        took=data["seconds"]["took"],
        command=round(elapsed, 3),
        processor=used["processor_s"],
        megabytes=used["memory_mb"],
        differences=sum(node["differences"] for node in data["compared"].values()),
    )


def _table(found: Sequence[Measured]) -> Table:
    table = Table(title="Verify", caption=f"{machine()}, load {os.getloadavg()[0]:.1f}")
    for name in ("recording", "recorded [s]", "verified in [s]", "x real time", "command [s]", "processor [s]", "memory [MB]"):
        table.add_column(name, justify="left" if name == "recording" else "right")
    for item in found:
        figures = (f"{item.recorded:.1f}", f"{item.took:.2f}", f"{item.factor:.0f}", f"{item.command:.2f}", f"{item.processor:.2f}")
        table.add_row(item.recording, *figures, f"{item.megabytes:.0f}")
    return table
