"""The faults that wait for an operator, in a small file that outlives safety_monitor. The format is evse_core/safety_latches.py.

A thread writes, because a disk may take longer than a permit lives. The file is replaced as a whole.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

from evse_core.safety_latches import Latch, from_text, to_text
from evse_nodes import whole_file

# A disk that did not take the file is tried again after this. [s]
RETRY = 1.0
# Longest wait for the last word to reach the disk when the process ends. [s]
FAREWELL = 2.0


class LatchFile:
    """Reads once, writes in the background. `failed_writes` counts those since the last one that worked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failed_writes = 0
        self.error = ""
        self._wanted: str | None = None
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="latches", daemon=True)
        self._thread.start()

    def read(self, known: Iterable[str]) -> tuple[Latch, ...]:
        """Return what an earlier run kept, nothing where there was none; ValueError where it cannot be known."""
        try:
            return from_text(self.path.read_text(encoding="utf-8"), known)
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot be read: {error}") from error

    def keep(self, latches: Iterable[Latch]) -> None:
        """Have them written soon; what is newest counts."""
        with self._wake:
            self._wanted = to_text(latches)
            self._wake.notify()

    def close(self) -> None:
        """Write what waits, for at most FAREWELL."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(FAREWELL)

    def _run(self) -> None:
        while (text := self._next()) is not None:
            try:
                whole_file.replace(self.path, text)
            except OSError as error:
                self.failed_writes, self.error = self.failed_writes + 1, str(error)
                if not self._again(text):
                    return
            else:
                self.failed_writes, self.error = 0, ""

    def _next(self) -> str | None:
        """Wait for something to write; None when there will be nothing more."""
        with self._wake:
            self._wake.wait_for(lambda: self._wanted is not None or self._closing)
            text, self._wanted = self._wanted, None
            return text

    def _again(self, text: str) -> bool:
        """Keep a text that could not be written, unless a newer one waits; return False at the end of the process."""
        with self._wake:
            self._wake.wait_for(lambda: self._closing, timeout=RETRY)
            if self._wanted is None:
                self._wanted = text
            return not self._closing
