"""Logs of the station for the CSMS: GetLog (security and diagnostics) and the older GetDiagnostics. One upload at a time, a second call replaces the first."""

import contextlib
import json
import logging
import stat
import tarfile
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_firmware import Tries, tries
from evse_core.ocpp16_messages import Payload, Request
from evse_core.ocpp16_requests import Handlers, Refused
from evse_core.ocpp16_time import NoTime, instant, timestamp
from evse_nodes.file_transfer import Cancelled, Failure, TransferFailed
from evse_nodes.ocpp_transfers import Transfers, in_thread
from evse_nodes.security_log import SecurityLog

LOG = logging.getLogger("ocpp_uplink")

# What belongs to diagnostics, in the folder of the station: logs of its processes and recordings of its sessions. No keys, no ledgers.
_FOLDERS = ("log", "recordings")
# Largest archive before compression; the newest files count first. Own choice. [B]
_LARGEST = 50_000_000
# Words of DiagnosticsStatusNotification; it has one for all failures (1.6 section 7.24).
_PLAIN_WORDS = ("Uploading", "Uploaded")
_PLAIN_FAILURE = "UploadFailed"


@dataclass(frozen=True)
class Span:
    """A span of ROS time [s]."""

    begin: float = 0.0
    end: float = inf

    def has(self, at: float) -> bool:
        """Return whether a time lies in it."""
        return self.begin <= at <= self.end


@dataclass(frozen=True)
class _Upload:
    """What is to be uploaded, where to, and the request of GetLog, None for GetDiagnostics."""

    name: str
    location: str
    span: Span
    tries: Tries
    request_id: int | None
    is_security: bool = False


class Logs:
    """The room of logs. `folder` is that of the station."""

    def __init__(
        self,
        folder: Path,
        log: SecurityLog,
        transfers: Transfers,
        config: Callable[[], OcppConfig],
        tell: Callable[[Request], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._folder, self._log, self._transfers, self._config = folder, log, transfers, config
        self._tell_csms, self._spawn = tell, spawn
        self._cancelled = threading.Event()
        self._running: _Upload | None = None

    def handlers(self) -> Handlers:
        """Return the calls that are answered here."""
        return {"GetLog": self._get_log, "GetDiagnostics": self._get_diagnostics}

    def close(self) -> None:
        """Call off the upload."""
        self._cancelled.set()

    def tell_status(self, *, log: bool) -> None:
        """Send the status that a TriggerMessage asks for, of GetLog or of GetDiagnostics."""
        running = self._running if self._running is not None and (self._running.request_id is not None) == log else None
        word = "Uploading" if running is not None else "Idle"
        if not log:
            self._tell_csms(Request("DiagnosticsStatusNotification", {"status": word}))
        elif running is not None:
            self._tell(running, word)
        else:
            self._tell_csms(Request("LogStatusNotification", {"status": word}))

    # Calls of the CSMS

    def _get_log(self, payload: Payload, now: int) -> Payload:
        wanted, is_security = payload["log"], payload["logType"] == "SecurityLog"
        span = _span(wanted.get("oldestTimestamp"), wanted.get("latestTimestamp"))
        name = self._name("security" if is_security else "diagnostics", now, "jsonl" if is_security else "tar.gz")
        if not is_security and not self._files(span):
            return {"status": "Rejected"}  # There is nothing to be uploaded.
        replaced = self._begin(_Upload(name, wanted["remoteLocation"], span, tries(payload), payload["requestId"], is_security))
        return {"status": "AcceptedCanceled" if replaced else "Accepted", "filename": name}

    def _get_diagnostics(self, payload: Payload, now: int) -> Payload:
        span = _span(payload.get("startTime"), payload.get("stopTime"))
        if not self._files(span):
            return {}  # 1.6 section 5.4: no file name where there is nothing.
        name = self._name("diagnostics", now, "tar.gz")
        self._begin(_Upload(name, payload["location"], span, tries(payload), None))
        return {"fileName": name}

    def _name(self, kind: str, now: int, suffix: str) -> str:
        return f"{kind}_{self._config().charge_point_id}_{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.{suffix}".replace("/", "_")

    def _begin(self, upload: _Upload) -> bool:
        """Begin an upload; returns whether another one was under way."""
        replaced = self._running is not None
        self._cancelled.set()
        self._cancelled, self._running = threading.Event(), upload
        self._spawn(self._carry_out(upload, self._cancelled))
        return replaced

    async def _carry_out(self, upload: _Upload, cancelled: threading.Event) -> None:
        self._tell(upload, "Uploading")
        try:
            with tempfile.TemporaryDirectory(prefix="ocpp_log_") as folder:
                path = Path(folder) / upload.name
                await in_thread(self._writer(upload, path))
                await self._transfers.upload(path, upload.location, upload.tries, cancelled)
        except Cancelled:
            LOG.info("the upload of %s is called off", upload.name)
            return
        except TransferFailed as error:
            self._end(upload, error.kind)
        except OSError as error:
            LOG.error("%s cannot be made: %s", upload.name, error)
            self._end(upload, Failure.OTHER)
        else:
            self._end(upload, "Uploaded")

    def _writer(self, upload: _Upload, path: Path) -> Callable[[], None]:
        """Return what makes the file; the security log is read here, in the thread that owns it."""
        if not upload.is_security:
            return lambda: _pack(path, self._folder, self._files(upload.span))
        lines = [
            json.dumps({"timestamp": timestamp(entry.at), "type": entry.type, "techInfo": entry.tech_info})
            for entry in self._log.between(upload.span.begin, min(upload.span.end, 1e18))
        ]
        return lambda: _write(path, lines)

    def _files(self, span: Span) -> list[Path]:
        """Return the newest files of diagnostics of a time, no more than an archive takes."""
        found = sorted((item for name in _FOLDERS for item in _stats(self._folder / name)), reverse=True)
        chosen, total = [], 0
        for changed, size, path in found:
            if span.has(changed) and total + size <= _LARGEST:
                chosen.append(path)
                total += size
        return chosen

    def _end(self, upload: _Upload, status: str) -> None:
        if self._running is upload:
            self._running = None
        self._tell(upload, str(status))

    def _tell(self, upload: _Upload, status: str) -> None:
        if upload.request_id is not None:
            self._tell_csms(Request("LogStatusNotification", {"status": status, "requestId": upload.request_id}))
        else:
            self._tell_csms(Request("DiagnosticsStatusNotification", {"status": status if status in _PLAIN_WORDS else _PLAIN_FAILURE}))


def _stats(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield time of change, size and path of each file below a folder; recordings come and go meanwhile."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                yield found.st_mtime, found.st_size, path


def _span(begin: object, end: object) -> Span:
    """Return a span of time of the protocol; Refused where a time is none."""
    try:
        return Span(instant(begin) if begin is not None else 0.0, instant(end) if end is not None else inf)
    except NoTime as error:
        raise Refused("PropertyConstraintViolation", str(error)) from error


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _pack(path: Path, folder: Path, files: Iterable[Path]) -> None:
    with tarfile.open(path, "w:gz", compresslevel=6) as archive:
        for item in files:
            with contextlib.suppress(FileNotFoundError):
                archive.add(item, item.relative_to(folder), recursive=False)
