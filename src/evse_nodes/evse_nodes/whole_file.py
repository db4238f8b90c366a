"""Files that are replaced as a whole: also after a kill or a loss of power a reader finds the old content or the new one."""

import os
from pathlib import Path

# Who may read a file: its owner only, or whom the process's mask lets.
PRIVATE, ORDINARY = 0o600, 0o666


def replace(path: Path, text: str, mode: int = ORDINARY) -> None:
    """Write aside, sync, move into place and sync the folder, which is made where it is missing. OSError where that fails: the old file stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)  # One that a kill left has another mode, perhaps.
    with open(aside, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
