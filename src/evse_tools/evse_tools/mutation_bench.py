"""`./station bench mutations`: breaks one guard of the rules after the other, in a copy of the sources, and shows that tests or a short campaign notice each.

A guard that nobody notices may as well not be there: it is a missing test.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evse_tools.bench_figures import figure, print_json
from evse_tools.machine import processors
from evse_tools.mutation_table import MUTATIONS, Mutation
from evse_tools.mutation_table_ac import AC_MUTATIONS
from evse_tools.mutation_table_billing import BILLING_MUTATIONS
from evse_tools.mutation_table_discharge import DISCHARGE_MUTATIONS
from evse_tools.mutation_table_meter import METER_MUTATIONS
from evse_tools.mutation_table_modules import MODULE_MUTATIONS

ALL = (*MUTATIONS, *BILLING_MUTATIONS, *AC_MUTATIONS, *METER_MUTATIONS, *MODULE_MUTATIONS, *DISCHARGE_MUTATIONS)
# Longest run of one test file with a mutant: it may well hang. [s]
LONGEST = 300.0
# The campaign that is tried where no test notices: sessions, and their seed.
SESSIONS, SEED = 40, 1
# pytest's exit code where tests ran and some failed. Any other one, such as of a mutant that cannot even be imported, has noticed nothing.
FAILED = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who noticed a mutant first ("" where nobody did), and how long it took [s]."""

    name: str
    caught_by: str
    seconds: float
    problem: str = ""


def root() -> Path:
    """Return the folder of the workspace: tests and sources are only there."""
    here = Path(os.environ.get("STATION_ROOT", Path(__file__).resolve().parents[3]))
    return here if (here / "tests").is_dir() else Path.cwd()


def core() -> Path:
    """Return the folder of the package evse_core."""
    spec = importlib.util.find_spec("evse_core")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def problem(mutation: Mutation, sources: Path) -> str:
    """Return why a mutation cannot be made, "" where it can."""
    path = sources / mutation.file
    count = path.read_text(encoding="utf-8").count(mutation.text) if path.is_file() else 0
    return "" if count == 1 else f"its text is {count} times in {mutation.file}"


def run(only: list[str] | None, as_json: bool) -> int:
    """Break every guard, or those whose names hold a word of only; 0 where each was noticed, 1 where not, 2 for wrong input."""
    chosen = [item for item in ALL if not only or any(word in item.name for word in only)]
    if not chosen or not (root() / "tests").is_dir():
        print("station bench: no such guard" if not chosen else f"station bench: no tests in {root()}", file=sys.stderr)
        return 2
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    began = time.monotonic()
    if not healthy(sorted({target for item in chosen for target in item.tests})):
        print("station bench: the tests do not even pass with nothing broken", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(processors()) as pool:
        verdicts = []
        for verdict in pool.map(judge, chosen):
            verdicts.append(verdict)
            console.print(f"{verdict.name}: {_words(verdict)}, {verdict.seconds:.1f} s")
    _print(console, verdicts, time.monotonic() - began)
    if as_json:
        figures = [figure(item.name, [item.seconds], "s") for item in verdicts]
        print_json("mutations", figures, guards=[asdict(item) for item in verdicts])
    return 0 if all(item.caught_by for item in verdicts) else 1


def judge(mutation: Mutation) -> Verdict:
    """Break one guard in a copy and try the tests that should notice, then the campaign."""
    began = time.monotonic()
    if wrong := problem(mutation, core()):
        return Verdict(mutation.name, "", 0.0, wrong)
    with copied() as folder:
        spoil(mutation, folder)
        caught = next((target for target in mutation.tests if _tested(folder, [target]) == FAILED), "") or _campaign(folder)
    return Verdict(mutation.name, caught, round(time.monotonic() - began, 1))


@contextmanager
def copied() -> Iterator[Path]:
    """Yield a folder with a copy of the package evse_core."""
    with tempfile.TemporaryDirectory(prefix="mutant_") as folder:
        shutil.copytree(core(), Path(folder) / "evse_core", ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder)


def spoil(mutation: Mutation, folder: Path) -> None:
    """Break the guard in a copy."""
    path = folder / "evse_core" / mutation.file
    path.write_text(path.read_text(encoding="utf-8").replace(mutation.text, mutation.replacement), encoding="utf-8")


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which the copy is found first, and hypothesis tries the same examples each time."""
    return os.environ | {"PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}", "PYTHONDONTWRITEBYTECODE": "1"}


def _tested(folder: Path, targets: Iterable[str]) -> int:
    """Return pytest's exit code with the copy. The options of pyproject.toml would put the workspace's own sources first."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", f"pythonpath={root() / 'tests'}"]
    paths = [str(root() / "tests" / target) for target in targets]
    return _code([sys.executable, "-m", "pytest", *options, *paths], folder, LONGEST * len(paths))


def _campaign(folder: Path) -> str:
    """Return "campaign" where an invariant is broken in a short one."""
    numbers = f"range(1, {SESSIONS + 1})"
    line = f"from evse_tools.campaign_command import play_number as play; exit(any(play(({SEED}, n)).broken for n in {numbers}))"
    return "campaign" if _code([sys.executable, "-c", line], folder) == 1 else ""


def healthy(targets: Iterable[str]) -> bool:
    """Return whether the tests pass with a copy in which nothing is broken, and whether it is the copy that they test."""
    with copied() as folder:
        line = f"import evse_core; exit(not evse_core.__file__.startswith({str(folder)!r}))"
        return _code([sys.executable, "-c", line], folder) == 0 and _tested(folder, targets) == 0


def _code(line: list[str], folder: Path, longest: float = LONGEST) -> int:
    """Return the exit code of a command with the mutant; what hangs has noticed, too."""
    try:
        done = subprocess.run(
            line, env=_environment(folder), cwd=root(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=longest, check=False
        )
    except subprocess.TimeoutExpired:
        return 1
    return done.returncode


def _words(verdict: Verdict) -> str:
    return verdict.problem or (f"caught by {verdict.caught_by}" if verdict.caught_by else "SURVIVED")


def _print(console: Console, verdicts: list[Verdict], seconds: float) -> None:
    table = Table("guard", "caught by", "s", box=None)
    for item in verdicts:
        table.add_row(item.name, item.problem or item.caught_by or "nobody: SURVIVED", f"{item.seconds:.1f}")
    console.print(table)
    missed = sum(not item.caught_by for item in verdicts)
    console.print(f"{len(verdicts)} guards broken in {seconds:.0f} s: {'each was noticed' if not missed else f'{missed} not noticed'}")
