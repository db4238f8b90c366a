"""Receipts as files: <data_dir>/receipts/<session_id>.txt and .json, each complete or not there at all."""

import json
import re
from pathlib import Path

from evse_core.receipt import Receipt
from evse_nodes import whole_file


class ReceiptFiles:
    """Writes into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, session_id: str, ending: str) -> Path:
        """Return where a receipt is; a session id may hold anything, a file name may not."""
        return self._folder / (re.sub(r"[^A-Za-z0-9._-]|^\.", "_", session_id) + ending)

    def missing(self, session_id: str) -> bool:
        """Return whether a receipt is still to be written."""
        return not all(self.path(session_id, ending).exists() for ending in (".txt", ".json"))

    def write(self, receipt: Receipt) -> None:
        """Write both files, replacing older ones. OSError where that fails."""
        text = json.dumps(receipt.as_dict(), indent=2, ensure_ascii=False) + "\n"
        whole_file.replace(self.path(receipt.record.session_id, ".json"), text)
        whole_file.replace(self.path(receipt.record.session_id, ".txt"), receipt.text())
