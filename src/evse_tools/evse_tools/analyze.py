"""`station analyze`: what a CAN log of a charging session tells, as a table for people, JSON for machines, and a picture."""

import json
import sys
from pathlib import Path

from evse_nodes.databases import load
from evse_tools.analyze_log import analyze
from evse_tools.analyze_report import report
from evse_tools.can_log import LogError, read

DONE, WRONG_INPUT = 0, 2


def run(file: Path, as_json: bool, plot: Path | None) -> int:
    """Analyze a log; return 0 when that worked, whatever became of the session, 2 where the file is no CAN log or the picture has no place to go."""
    try:
        log = read(file)
        _check_place(plot)
    except LogError as error:
        print(f"analyze: {error}", file=sys.stderr)
        return WRONG_INPUT
    analysis = analyze(log, load("chademo"))
    data = report(analysis)
    if plot is not None:
        from evse_tools.analyze_plot import draw  # noqa: PLC0415 - matplotlib takes a second to load

        draw(analysis, plot)
        data["plot"] = str(plot)
    if as_json:
        print(json.dumps(data, indent=2, allow_nan=False))
    else:
        from evse_tools.analyze_text import show  # noqa: PLC0415 - not needed for JSON

        show(data)
    return DONE


def _check_place(plot: Path | None) -> None:
    if plot is None:
        return
    if plot.suffix.lower() != ".png":
        raise LogError(f"{plot}: the picture is a PNG: give a name that ends with .png")
    if plot.is_dir() or not plot.absolute().parent.is_dir():
        raise LogError(f"{plot}: no such folder, or a folder itself")
    try:
        plot.open("ab").close()
    except OSError as error:
        raise LogError(f"{plot}: cannot be written: {error.strerror}") from error
