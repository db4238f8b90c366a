"""`station analyze` of a recording: each session in words, as JSON, and as a sheet."""

import json
import sys
from pathlib import Path

from evse_tools.bag_reader import BagError
from evse_tools.bag_story import stories
from evse_tools.session_text import as_dict, choose, show

DONE, WRONG_INPUT = 0, 2


def run(path: Path, as_json: bool, plot: Path | None, number: int) -> int:
    """Analyze a recording; number 0: draw the last session that went wrong, else the last.

    Returns 2 where it cannot be read, has no session of that number, or the sheet has no place to go.
    """
    try:
        found = stories(path)
        chosen = choose(path, found, number) if plot is not None or number else None
    except BagError as error:
        print(f"analyze: {error}", file=sys.stderr)
        return WRONG_INPUT
    if plot is not None and chosen is not None:
        from evse_tools.sheet import draw  # noqa: PLC0415 - matplotlib takes a second to load

        try:
            draw(chosen, plot, path.name)
        except (ValueError, OSError) as error:
            print(f"analyze: --plot {plot}: {error}", file=sys.stderr)
            return WRONG_INPUT
    shown = [chosen] if number and chosen else found
    if as_json:
        print(json.dumps({"bag": str(path), "sessions": [as_dict(story) for story in shown]}, indent=2, allow_nan=False))
    else:
        show(path, shown)
    return DONE
