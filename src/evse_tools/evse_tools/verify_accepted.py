"""Differences of a recording that somebody has reviewed: a file beside it, so that a change of behaviour shows in the change that makes it.

For each node: how many differences, the first of them, and a digest of all. Other differences than exactly these are differences again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evse_tools.verify_run import Result

NAME = "accepted.json"
# Differences of a node that are written out. [1]
SHOWN = 20


def refusal(path: Path) -> str:
    """Return why nothing can be accepted, "" where it can."""
    return "" if path.is_dir() else f"--accept: {path} is no folder that a file could be written into"


def write(path: Path, results: Sequence[Result]) -> None:
    """Write what differs now; without a difference there is no file."""
    found = {result.node: _entry(result) for result in results if result.count}
    if found:
        (path / NAME).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    else:
        (path / NAME).unlink(missing_ok=True)


def _entry(result: Result) -> dict[str, Any]:
    first = [f"{item.t:.3f} s {item.what}: {item.recorded} -> {item.now}" for item in result.differences[:SHOWN]]
    return {"count": result.count, "digest": result.digest, "first": first}


def known(path: Path, results: Sequence[Result]) -> frozenset[str]:
    """Return the nodes whose differences are exactly the accepted ones."""
    try:
        accepted = json.loads((path / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return frozenset()
    return frozenset(result.node for result in results if result.count and accepted.get(result.node, {}).get("digest") == result.digest)
