"""What energy_meter has the audit trail say: with which parameters, key, software and ledger it runs, and what changes meanwhile.

Theory of operation. Before a record can begin, all that the meter runs with is compared with what the trail said last, and the differences are written. What
the trail does not take bars sessions: at the start the meter does not come up, later it counts as a write that failed (`ledger_failed`), and is tried again
by tick().
"""

import getpass
import hashlib
import logging
import os
import platform
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import inf
from pathlib import Path

from evse_core.audit import ClockWatch, by_description, by_program, head_text
from evse_core.evidence import GENESIS
from evse_nodes.audit_trail import AuditTrail, present
from evse_nodes.clock_state import clock_state
from evse_nodes.meter_key import VERSION
from evse_nodes.metrology_sources import NO_FILES, metrology_checksum

LOG = logging.getLogger("energy_meter")
# Sections that are compared as a whole: a parameter that is gone is told, too.
SECTIONS = ("tariff.", "energy_meter.", "key.", "ledger.", "software.", "clock.")
# How often the clock's source and what is counted are looked at. [s]
PERIOD = 10.0
# A disk that did not take an entry is tried again after this. [s]
RETRY = 1.0
# Keys of signed records: checksum of the metrology part; end of the audit trail.
CHECKSUM, TRAIL = "XM", "XA"


class MeterAudit:
    """The trail of a folder for one EVSE; ValueError where it cannot be used. `failed_writes` counts what waits to be written.

    files: what its meter is read by, contents by parameter (meter_files.py). `checksum` is that of the metrology part with them.
    """

    def __init__(self, folder: Path, evse: int, description: str = "", files: Mapping[str, bytes] = NO_FILES) -> None:
        self._evse, self._folder, self._files = evse, folder, files
        self._who = by_description(description, user())
        self.checksum = metrology_checksum(files)
        self._trail = AuditTrail(folder)
        self._watch = ClockWatch()
        self._looked = self._tried = -inf
        # What could not be written yet, oldest first.
        self._waiting: deque[Callable[[], object]] = deque()
        self._head = head_text(0, GENESIS)

    @property
    def failed_writes(self) -> int:
        """How many entries wait for the disk."""
        return len(self._waiting)

    def close(self) -> None:
        """Release the file."""
        self._trail.close()

    def extensions(self) -> Mapping[str, str]:
        """Return what each signed record says of program and trail."""
        with suppress(sqlite3.Error):
            # A trail that cannot be read now is told as it was read last.
            self._head = self._trail.head()
        return {CHECKSUM: self.checksum, TRAIL: self._head}

    # At the start

    def start(self, given: Mapping[str, str], public_key: str, page: int) -> None:
        """Write how all that counts differs from what the trail says; ValueError where it cannot be written: nothing may begin.

        given: parameters of the description and facts of the ledger, by name; page: the newest signed record.
        """
        found = {
            **given,
            **{f"{name}_sha256": hashlib.sha256(content).hexdigest() for name, content in self._files.items()},
            **self._software(),
            "key.fingerprint": hashlib.sha256(bytes.fromhex(public_key)).hexdigest(),
            "clock.source": clock_state().source,
        }
        try:
            for name, value in self._trail.compare(self._evse, found, SECTIONS, self._who, present()).items():
                LOG.info("audit trail: %s is now %r", name, value)
            before = self._trail.pages(self._evse)
            if page < before:
                LOG.error("the ledger has %d signed records, it had %d", page, before)
                self._trail.change(
                    self._evse, "ledger.lost", f"{before} signed records before, {page} now", by_program("energy_meter"), present()
                )
            if page != before:
                self._trail.keep_pages(self._evse, page)
        except sqlite3.Error as error:
            raise ValueError(f"{self._trail.path}: cannot be written: {error}") from error

    def _software(self) -> dict[str, str]:
        return {
            "software.version": VERSION,
            "software.metrology": self.checksum,
            "software.python": platform.python_version(),
            "software.cryptography": _version("cryptography"),
        }

    # Under way

    def changed(self, section: str, found: Mapping[str, str], who: str) -> None:
        """Write how a section, such as `tariff.`, differs from what the trail says; what the disk does not take waits and counts as failed."""
        moment = present()
        self._waiting.append(lambda: self._trail.compare(self._evse, found, (section,), who, moment))
        self._write()

    def _happened(self, event: str, words: str) -> None:
        moment = present()
        self._waiting.append(lambda: self._trail.change(self._evse, event, words, by_program("energy_meter"), moment))
        self._write()

    def on_page(self, page: int) -> None:
        """Remember how many signed records there are."""
        with suppress(sqlite3.Error):
            self._trail.keep_pages(self._evse, page)

    def tick(self, wall: float, steady: float) -> None:
        """Look at the clock [s] against the steady one [s]; write what waits and what was counted."""
        if step := self._watch.step(wall, steady):
            self._happened("clock.step", step)
        if self._waiting and steady - self._tried >= RETRY:
            self._tried = steady
            self._write()
        if steady - self._looked >= PERIOD:
            self._looked = steady
            self._look()

    def _look(self) -> None:
        source = clock_state().source
        try:
            if source != self._trail.value(self._evse, "clock.source"):
                self._trail.change(self._evse, "clock.source", source, by_program("energy_meter"), present())
            self._trail.settle(present())
        except sqlite3.Error as error:
            LOG.error("the audit trail cannot be written: %s", error)

    def _write(self) -> None:
        while self._waiting:
            try:
                self._waiting[0]()
            except sqlite3.Error as error:
                LOG.error("the audit trail cannot be written: %s", error)
                return
            self._waiting.popleft()


def user() -> str:
    """Return the user who runs this program, and who became that user by sudo."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"user {os.getuid()}"
    caller = os.environ.get("SUDO_USER", "")
    return f"{name} (by {caller})" if caller and caller != name else name


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"
