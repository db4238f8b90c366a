"""Whether the station's description still is what it was: its digest, read anew only when time or size of the file have changed."""

import hashlib
from pathlib import Path

# What stands for the digest of a file that cannot be read: no description that anybody was started with.
UNREADABLE = "unreadable"


class DescriptionWatch:
    """Looks at one file when asked; "" where there is none to look at."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._seen: tuple[int, int, int] | None = None
        self.digest = ""
        self.look()

    def look(self) -> str:
        """Return the digest of the file as it is now."""
        if self._path is None:
            return ""
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_size, status.st_ino
            if seen != self._seen:
                self.digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
                self._seen = seen
        except OSError:
            self.digest, self._seen = UNREADABLE, None
        return self.digest
