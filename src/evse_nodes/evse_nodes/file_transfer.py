"""Files from and to servers over http, https, ftp and ftps. Blocks: for threads. A download that was cut off goes on where it ended.

No proxy of the environment, no files of this machine by file:, no credentials but those of the address.
"""

import base64
import contextlib
import ftplib
import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, unquote, urlsplit

# Names of SupportedFileTransferProtocols by scheme (whitepaper section 7).
PROTOCOLS = {"ftp": "FTP", "ftps": "FTPS", "http": "HTTP", "https": "HTTPS"}
# Longest silence of a server, and longest transfer in all. Own choice. [s]
_SILENCE = 30.0
_LONGEST = 3600.0
_CHUNK = 1 << 16
# Replies of FTP servers that mean that somebody may not (RFC 959 section 4.2).
_FORBIDDEN_REPLIES = ("530", "532", "550", "553")


class Failure(StrEnum):
    """Why a transfer failed, in the words of LogStatusNotification (whitepaper section 5.12)."""

    OTHER = "UploadFailure"
    BAD_ADDRESS = "BadMessage"
    FORBIDDEN = "PermissionDenied"
    UNSUPPORTED = "NotSupportedOperation"


class TransferFailed(Exception):
    """A transfer failed; what is repeatable may work another time."""

    def __init__(self, kind: Failure, text: str) -> None:
        super().__init__(text)
        self.kind = kind

    @property
    def repeatable(self) -> bool:
        """Whether another try makes sense."""
        return self.kind == Failure.OTHER


class Cancelled(Exception):
    """A transfer was called off."""


class Watch:
    """Ends a transfer that was called off, or takes too long, and counts its bytes."""

    def __init__(self, cancelled: threading.Event, most: int) -> None:
        self._cancelled, self._most = cancelled, most
        self._ends = time.monotonic() + _LONGEST
        self._bytes = 0

    def look(self, more: int) -> None:
        """Take some more bytes; raises where it is to end."""
        self._bytes += more
        if self._cancelled.is_set():
            raise Cancelled
        if time.monotonic() > self._ends:
            raise TransferFailed(Failure.OTHER, f"the transfer takes longer than {_LONGEST:g} s")
        if self._bytes > self._most:
            raise TransferFailed(Failure.OTHER, f"the file is larger than {self._most} B")


def download(url: str, path: Path, watch: Watch, tls: ssl.SSLContext) -> None:
    """Get a file to path, from its present end on where the server can; TransferFailed says why not."""
    parts = _parts(url)
    with _told():
        if parts.scheme in ("http", "https"):
            _http_get(parts, path, watch, tls)
        else:
            _ftp_get(parts, path, watch, tls)


def upload(path: Path, url: str, watch: Watch, tls: ssl.SSLContext) -> None:
    """Put a file to an address, below it where that ends with a slash; TransferFailed says why not."""
    parts = _parts(url + path.name if url.endswith("/") else url)
    with _told(), path.open("rb") as file:
        if parts.scheme in ("http", "https"):
            headers = {"Content-Length": str(path.stat().st_size), "Content-Type": "application/octet-stream"}
            with _open(_request(parts, headers, _watched(file, watch)), tls):
                return
        with _ftp(parts, tls) as server:
            server.storbinary(f"STOR {unquote(parts.path).lstrip('/')}", file, callback=lambda chunk: watch.look(len(chunk)))


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and not set(url) & set("\r\n\0 ")
    except ValueError:
        good = False
    if not good:
        raise TransferFailed(Failure.BAD_ADDRESS, f"{url.rpartition('@')[2][:100]!r} is no address of a file")
    if parts.scheme not in PROTOCOLS:
        raise TransferFailed(Failure.UNSUPPORTED, f"{parts.scheme} is none of {', '.join(PROTOCOLS)}")
    return parts


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what libraries raise into TransferFailed."""
    try:
        yield
    except urllib.error.HTTPError as error:
        forbidden = error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        raise TransferFailed(Failure.FORBIDDEN if forbidden else Failure.OTHER, f"{error.code} {error.reason}") from error
    except ftplib.error_perm as error:
        forbidden = str(error)[:3] in _FORBIDDEN_REPLIES
        raise TransferFailed(Failure.FORBIDDEN if forbidden else Failure.OTHER, str(error)) from error
    except (ftplib.Error, http.client.HTTPException, OSError, EOFError, ValueError) as error:
        raise TransferFailed(Failure.OTHER, str(error) or type(error).__name__) from error


def _open(request: urllib.request.Request, tls: ssl.SSLContext) -> Any:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=tls),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener.open(request, timeout=_SILENCE)


def _request(parts: SplitResult, headers: dict[str, str], body: Iterator[bytes] | None = None) -> urllib.request.Request:
    """Return a request, with user and password of the address as basic authentication."""
    place, user = parts.netloc.rpartition("@")[2], parts.username
    if user is not None:
        pair = f"{unquote(user)}:{unquote(parts.password or '')}".encode()
        headers = headers | {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    url = parts._replace(netloc=place).geturl()
    return urllib.request.Request(url, data=body, headers=headers, method="GET" if body is None else "PUT")


def _http_get(parts: SplitResult, path: Path, watch: Watch, tls: ssl.SSLContext) -> None:
    have = path.stat().st_size if path.exists() else 0
    try:
        answer = _open(_request(parts, {"Range": f"bytes={have}-"} if have else {}), tls)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        path.unlink()  # What is there is not the begin of what the server has.
        _http_get(parts, path, watch, tls)
        return
    with answer, path.open("ab" if answer.status == HTTPStatus.PARTIAL_CONTENT else "wb") as file:
        watch.look(file.tell())
        expected = answer.length
        while chunk := answer.read(_CHUNK):
            watch.look(len(chunk))
            file.write(chunk)
        if expected is not None and answer.length:
            raise TransferFailed(Failure.OTHER, f"{answer.length} B are missing")


def _ftp_get(parts: SplitResult, path: Path, watch: Watch, tls: ssl.SSLContext) -> None:
    have = path.stat().st_size if path.exists() else 0
    with _ftp(parts, tls) as server, path.open("ab") as file:
        watch.look(have)

        def take(chunk: bytes) -> None:
            watch.look(len(chunk))
            file.write(chunk)

        server.retrbinary(f"RETR {unquote(parts.path).lstrip('/')}", take, blocksize=_CHUNK, rest=have or None)


@contextlib.contextmanager
def _ftp(parts: SplitResult, tls: ssl.SSLContext) -> Iterator[ftplib.FTP]:
    secret = parts.scheme == "ftps"
    server = ftplib.FTP_TLS(timeout=_SILENCE, context=tls) if secret else ftplib.FTP(timeout=_SILENCE)
    with server:
        server.connect(parts.hostname or "", parts.port or ftplib.FTP_PORT)
        server.login(unquote(parts.username or "anonymous"), unquote(parts.password or "anonymous@"))
        if isinstance(server, ftplib.FTP_TLS):
            server.prot_p()
        yield server


def _watched(file: IO[bytes], watch: Watch) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        watch.look(len(chunk))
        yield chunk
