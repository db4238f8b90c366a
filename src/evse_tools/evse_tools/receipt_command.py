"""`station records receipt`: the receipt of a session as energy_meter wrote it, shown as text or made into a PDF."""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = "receipts"


def receipt(path: Path, session: str, pdf: Path | None) -> int:
    """Show a receipt, or write it as PDF; 2 for wrong input."""
    try:
        found = _file(path, session)
        if pdf is None:
            print(found.with_suffix(".txt").read_text(encoding="utf-8"), end="")
        else:
            pdf.write_bytes(_pdf(found))
            print(f"{pdf}: receipt of session {found.stem}", file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f"station records receipt: {error}", file=sys.stderr)
        return 2
    return 0


def _file(path: Path, session: str) -> Path:
    """Return the JSON file of a receipt; ValueError where there is none."""
    if path.is_file():
        return path
    folder = path / FOLDER
    found = sorted(folder.glob("*.json"), key=lambda item: item.stat().st_mtime)
    if not found:
        raise ValueError(f"{path}: has no {FOLDER}; give the data_dir of a station whose sessions have ended")
    if not session:
        return found[-1]
    chosen = [item for item in found if session in (item.stem, _session(item))]
    if not chosen:
        raise ValueError(f"{session}: no receipt of this session is in {folder}")
    return chosen[-1]


def _session(path: Path) -> str:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return ""
    return str(found.get("session_id", "")) if isinstance(found, dict) else ""


def _pdf(path: Path) -> bytes:
    # The PDF library takes a second to load.
    from evse_tools import receipt_pdf  # noqa: PLC0415

    found: Any = json.loads(path.read_text(encoding="utf-8"))
    try:
        return receipt_pdf.made(found)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: is no receipt that can be printed: {error!r}") from None
