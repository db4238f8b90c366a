"""`station analyze`: what a CAN log of a charging session tells, as a table for people, JSON for machines, and a picture."""

import json
import sys
from pathlib import Path

from evse_core.session_story import Story
from evse_nodes.databases import load
from evse_tools.analyze_log import analyze
from evse_tools.analyze_report import report, states
from evse_tools.bag_reader import BagError
from evse_tools.can_log import LogError, read
from evse_tools.log_story import told
from evse_tools.session_text import as_dict, choose
from evse_tools.session_text import show as show_sessions

DONE, WRONG_INPUT = 0, 2


def run(file: Path, as_json: bool, plot: Path | None, sheet: Path | None = None, number: int = 0) -> int:
    """Analyze a log; return 0 when that worked, whatever became of the session, 2 where the file is no CAN log or a picture has no place to go.

    plot: what both parties said, PNG; sheet: the sheet of a session as of a recording, PNG or PDF, of the session of a number (0: the
    last that went wrong, else the last).
    """
    try:
        log = read(file)
        _check_place(plot, (".png",))
        _check_place(sheet, (".png", ".pdf"))
        analysis = analyze(log, load("chademo"))
        stories = told(analysis)
        chosen = choose(file, stories, number) if sheet is not None or number else None
    except (LogError, BagError) as error:
        print(f"analyze: {error}", file=sys.stderr)
        return WRONG_INPUT
    if sheet is not None and chosen is not None:
        from evse_tools.sheet import draw as draw_sheet  # noqa: PLC0415 - matplotlib takes a second to load

        draw_sheet(chosen, sheet, file.name)
    if analysis.main is None and stories:
        _generic(file, [chosen] if number and chosen else stories, as_json)
        return DONE
    data = report(analysis) | states(analysis)
    if plot is not None:
        from evse_tools.analyze_plot import draw  # noqa: PLC0415 - see above

        draw(analysis, plot)
        data["plot"] = str(plot)
    if as_json:
        print(json.dumps(data, indent=2, allow_nan=False))
    else:
        from evse_tools.analyze_text import show  # noqa: PLC0415 - not needed for JSON

        show(data)
    return DONE


def _generic(file: Path, stories: list[Story], as_json: bool) -> None:
    """Show the sessions of a log of the generic EVSE interface v3, for which there is no verdict: its controller says itself how they ended."""
    if as_json:
        found = {"file": str(file), "protocol": "generic EVSE v3", "sessions": [as_dict(story) for story in stories]}
        print(json.dumps(found, indent=2, allow_nan=False))
    else:
        show_sessions(file, stories)


def _check_place(picture: Path | None, endings: tuple[str, ...]) -> None:
    if picture is None:
        return
    if picture.suffix.lower() not in endings:
        kinds = " or a ".join(ending[1:].upper() for ending in endings)
        raise LogError(f"{picture}: the picture is a {kinds}: give a name that ends with {' or '.join(endings)}")
    if picture.is_dir() or not picture.absolute().parent.is_dir():
        raise LogError(f"{picture}: no such folder, or a folder itself")
    try:
        picture.open("ab").close()
    except OSError as error:
        raise LogError(f"{picture}: cannot be written: {error.strerror}") from error
