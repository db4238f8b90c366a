"""Transfers of files for the rooms of the uplink: each in a thread of its own, tried again as often as the CSMS says, and called off when it is replaced."""

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from evse_core.ocpp16_certificates import as_pem
from evse_core.ocpp16_firmware import Tries
from evse_nodes.file_transfer import Cancelled, TransferFailed, Watch, download, upload
from evse_nodes.ocpp_certificates import Certificates

LOG = logging.getLogger("ocpp_uplink")

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what work returns, done in a thread that the end of the process does not wait for: a server may be silent for long."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # It is raised where it is waited for.
            error = raised
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="transfer", daemon=True).start()
    return await future


class Transfers:
    """Does transfers. TLS trusts the roots of this machine and those that the CSMS has installed."""

    def __init__(self, certificates: Certificates, limit: Callable[[], int]) -> None:
        self._certificates, self._limit = certificates, limit

    async def download(self, url: str, path: Path, tries: Tries, cancelled: threading.Event) -> None:
        """Get a file; TransferFailed after the last try, Cancelled where it was called off."""
        await self._tried(lambda watch, tls: download(url, path, watch, tls), url, tries, cancelled)

    async def upload(self, path: Path, url: str, tries: Tries, cancelled: threading.Event) -> None:
        """Put a file; TransferFailed after the last try, Cancelled where it was called off."""
        await self._tried(lambda watch, tls: upload(path, url, watch, tls), url, tries, cancelled)

    async def _tried(self, transfer: Callable[[Watch, ssl.SSLContext], None], url: str, tries: Tries, cancelled: threading.Event) -> None:
        place = url.rsplit("@", 1)[-1]  # Without password.
        for number in range(1, tries.count + 1):
            try:
                await in_thread(partial(transfer, Watch(cancelled, self._limit()), self._tls()))
            except TransferFailed as error:
                LOG.warning("transfer with %s, try %d of %d: %s", place, number, tries.count, error)
                if number == tries.count or not error.repeatable:
                    raise
            else:
                return
            await self._pause(tries.interval, cancelled)

    @staticmethod
    async def _pause(seconds: float, cancelled: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end and not cancelled.is_set():
            await asyncio.sleep(min(0.25, max(0.0, end - loop.time())))
        if cancelled.is_set():
            raise Cancelled

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if roots := self._certificates.roots():
            context.load_verify_locations(cadata=as_pem(roots))
        return context
