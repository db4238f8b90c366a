"""Where `--json` says that a command's result goes: "" nowhere, "-" to standard output, else to a file."""

import json
import os
import sys
from pathlib import Path
from typing import Any


def refusal(target: str) -> str:
    """Return why nothing could be written there, before the work begins; "" where it can."""
    if target in {"", "-"}:
        return ""
    if Path(target).is_dir():
        return f"--json {target}: is a folder, not a file"
    return "" if os.access(Path(target).absolute().parent, os.W_OK) else f"--json {target}: its folder cannot be written"


def write(target: str, result: Any, *, nan: bool = False) -> None:
    """Write the result; OSError where the file does not take it.

    nan: whether a figure may be none, as Python spells it; a ValueError otherwise, for JSON knows no NaN."""
    if not target:
        return
    text = json.dumps(result, indent=2, allow_nan=nan) + "\n"
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(target).write_text(text, encoding="utf-8")
