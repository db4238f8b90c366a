"""The log file of a process, and those of its lines that a person should see at once.

The process writes into the file by itself: a supervisor that hangs cannot hold it up.
"""

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# A log that grows beyond this becomes NAME.log.1, and a new one begins. Nodes write little: this is weeks. [bytes]
LARGEST = 10_000_000
# At most so many lines of a process are shown in so many seconds; a flood would hide what others say. [1], [s]
MOST_LINES, PER = 8, 10.0

QUIET = re.compile(r"\[(INFO|DEBUG)\]")
LOUD = re.compile(r"\[(WARN|ERROR|FATAL)\]|error|exception|fail|cannot|traceback|refused|invalid|parameter", re.IGNORECASE)
# Time and logger of a ROS log line: [WARN] [1700000000.123456789] [evse_1.can_bridge]: text.
STAMP = re.compile(r"\[(\w+)\] \[\d+\.\d+\] \[[^\]]*\]: ")


class ProcessLog:
    """Opened for the process by open(), read by problems()."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._rest = b""
        self._shown: list[float] = []
        self._last = ""

    def open(self) -> BinaryIO:
        """Return the file to append to; what earlier runs wrote is not read again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._offset and self.path.exists():
            self._offset = self.path.stat().st_size
        return self.path.open("ab")

    def problems(self) -> list[str]:
        """Return new lines that tell of a problem."""
        return [text for line in self._new_lines() if (text := problem_in(line)) and self._worth_showing(text)]

    def _new_lines(self) -> list[str]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rotate()
        return [line.decode(errors="replace").rstrip() for line in lines]

    def _rotate(self) -> None:
        """Copy and truncate: the process goes on writing at the new end, for it appends."""
        if self._offset > LARGEST:
            with suppress(OSError):
                shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
                with self.path.open("r+b") as file:
                    file.truncate(0)
                self._offset = 0

    def _worth_showing(self, text: str) -> bool:
        """Return whether a line is neither a repetition nor part of a flood."""
        now = time.monotonic()
        self._shown = [moment for moment in self._shown if now - moment < PER]
        if text == self._last or len(self._shown) >= MOST_LINES:
            return False
        self._shown.append(now)
        self._last = text
        return True


def problem_in(line: str) -> str:
    """Return the text of a line that tells of a problem, without stamps; "" for any other line. Inner lines of a traceback are left to the file."""
    if not line or line[0].isspace() or QUIET.search(line) or not LOUD.search(line) or line.startswith("Traceback"):
        return ""
    return STAMP.sub(r"\1: ", line)
