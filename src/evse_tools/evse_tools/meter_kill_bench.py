"""`station bench meter-kills`: an energy meter that is killed hundreds of times, and every state in which a loss of power may leave its files."""

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from evse_core.types import RecordStatus
from evse_tools.bench_figures import print_json
from evse_tools.machine import machine
from evse_tools.meter_kill_judge import judge
from evse_tools.meter_kill_run import Outcome, play
from evse_tools.meter_power_loss import Verdict, lose


def run(kills: int, sessions: int, seed: int, as_json: bool) -> int:
    """Kill a meter so often in its sessions; lose power at each commit of so many sessions. 0 where everything holds, else 1."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="station_bench_") as folder, _quiet():
        killed = play(Path(folder) / "kills", kills, seed)
        problems = list(judge(Path(folder) / "kills", killed.told, killed.given_wh))
        lost = lose(Path(folder) / "losses", sessions, 1, seed) if sessions else Verdict(0, ())
    problems += lost.problems
    seconds = time.monotonic() - began
    if as_json:
        counts = {"kills": killed.kills, "sessions": killed.sessions, "power_losses": lost.states}
        print_json("meter-kills", [], **counts, given_wh=sum(killed.given_wh.values()), seconds=round(seconds, 1), problems=problems)
    else:
        _print(killed, lost, problems, seconds)
    return 1 if problems else 0


def _print(killed: Outcome, lost: Verdict, problems: Sequence[str], seconds: float) -> None:
    console, ends = Console(highlight=False, soft_wrap=True), Counter(status for _, status in killed.told.records)
    console.print(f"{killed.kills} kills in {killed.sessions} sessions with {sum(killed.given_wh.values()):.3f} Wh")
    console.print(
        f"  {ends[RecordStatus.CLOSED]} closed, {ends[RecordStatus.INTERRUPTED]} interrupted, each with one signed begin and one signed end"
    )
    console.print(f"{lost.states} states that a loss of power may leave")
    console.print(f"{len(problems)} problems; {seconds:.0f} s on {machine()}", style="red" if problems else "green")
    for words in problems:
        console.print(f"  {words}", style="red", markup=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """A meter that is killed and one that comes back say a lot."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
