"""Updates of the station's firmware: an order of the CSMS is downloaded, verified, installed by the description's command, and told at each stage.

The order and its stage are on disk, so that an update goes on after a restart. Rules: evse_core/ocpp16_firmware.py.
"""

import asyncio
import hashlib
import logging
import shlex
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evse_core import ocpp16_firmware as firmware
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_certificates import MANUFACTURER_ROOT, BadCertificate
from evse_core.ocpp16_firmware import OVER, Order, Progress, Stage, Tries
from evse_core.ocpp16_messages import Payload, Request
from evse_core.ocpp16_requests import Handlers, Refused, SetAvailability
from evse_core.ocpp16_security_events import SecurityEvent
from evse_core.ocpp16_time import NoTime
from evse_nodes.file_transfer import Cancelled, TransferFailed
from evse_nodes.ocpp_certificates import Certificates
from evse_nodes.ocpp_file import KeptFile
from evse_nodes.ocpp_transfers import Transfers, in_thread

LOG = logging.getLogger("ocpp_uplink")

# How often times and sessions are looked at while an order waits. [s]
_LOOK = 0.5


@dataclass(frozen=True)
class Surroundings:
    """What an update needs of the uplink: settings, idle and usable EVSEs, a request to one of them, messages, events and work beside."""

    config: Callable[[], OcppConfig]
    idle: Callable[[], Iterable[int]]
    busy: Callable[[], bool]
    ask: Callable[[SetAvailability], Coroutine[Any, Any, tuple[bool, str]]]
    tell: Callable[[Request], None]
    note: Callable[[SecurityEvent, str], None]
    spawn: Callable[[Coroutine[Any, Any, None]], None]


class Firmware:
    """The room of updates."""

    def __init__(self, file: KeptFile, folder: Path, certificates: Certificates, transfers: Transfers, around: Surroundings) -> None:
        self._file, self._folder, self._certificates, self._transfers, self._around = file, folder, certificates, transfers, around
        kept: Progress = file.read(firmware.from_json, Progress())
        self._progress = firmware.resumed(kept, around.config().firmware_version)
        self._news = self._progress != kept
        self._cancelled = threading.Event()

    def handlers(self) -> Handlers:
        """Return the calls that are answered here."""
        return {"UpdateFirmware": self._update, "SignedUpdateFirmware": self._signed_update}

    def start(self) -> None:
        """Go on with what a restart has interrupted."""
        if self._news:
            self._enter(self._progress.stage)
        if self._progress.order is not None and self._progress.stage not in OVER:
            self._around.spawn(self._carry_out(self._progress.order, self._cancelled))
        elif self._progress.taken_out:
            self._around.spawn(self._give_back())

    def close(self) -> None:
        """Call off transfers; they go on after a restart."""
        self._cancelled.set()

    def tell_stage(self, *, signed: bool) -> None:
        """Send the stage that a TriggerMessage asks for: Idle where nothing is under way."""
        order, stage = self._progress.order, self._progress.stage
        runs = order is not None and order.is_signed == signed and stage not in OVER
        idle = Request("SignedFirmwareStatusNotification" if signed else "FirmwareStatusNotification", {"status": str(Stage.IDLE)})
        self._around.tell((firmware.notification(order, stage) if runs else None) or idle)

    # Calls of the CSMS

    def _update(self, payload: Payload, now: int) -> Payload:
        if self._around.config().security_profile >= 2 or self._certificates.roots(MANUFACTURER_ROOT):
            raise Refused("NotSupported", "firmware without signature is not installed here")
        try:
            order = firmware.plain_order(payload, self._around.config().firmware_version)
        except NoTime as error:
            raise Refused("PropertyConstraintViolation", str(error)) from error
        if self._progress.stage == Stage.INSTALLING:
            raise Refused("GenericError", "an installation is under way")
        if not self._begin(order):
            raise Refused("InternalError", "the order cannot be kept")
        return {}

    def _signed_update(self, payload: Payload, now: int) -> Payload:
        if self._progress.stage == Stage.INSTALLING:
            return {"status": "Rejected"}
        try:
            order = firmware.signed_order(payload, self._around.config().firmware_version)
            firmware.signer(order.certificate, self._certificates.roots(MANUFACTURER_ROOT), now)
        except NoTime as error:
            raise Refused("PropertyConstraintViolation", str(error)) from error
        except BadCertificate as error:
            self._around.note(SecurityEvent.INVALID_FIRMWARE_CERTIFICATE, str(error))
            return {"status": "InvalidCertificate"}
        replaces = self._progress.stage not in OVER
        if not self._begin(order):
            return {"status": "Rejected"}
        return {"status": "AcceptedCanceled" if replaces else "Accepted"}

    def _begin(self, order: Order) -> bool:
        progress = Progress(order, Stage.SCHEDULED, self._progress.taken_out)
        if not self._file.write(firmware.as_json(progress)):
            return False
        self._cancelled.set()
        self._cancelled = threading.Event()
        self._progress = progress
        self._image.unlink(missing_ok=True)
        self._around.spawn(self._carry_out(order, self._cancelled))
        return True

    # Carrying out

    @property
    def _image(self) -> Path:
        return self._folder / "image"

    async def _carry_out(self, order: Order, cancelled: threading.Event) -> None:
        """Go from stage to stage; a file that is there already is not fetched again."""
        try:
            if self._progress.stage in (Stage.SCHEDULED, Stage.DOWNLOADING):
                await self._fetch(order, cancelled)
            await self._verify(order)
            await self._wait_for_installation(order, cancelled)
            await self._install(order)
        except Cancelled:
            LOG.info("an update is called off or goes on after a restart")
        except _Ended as end:
            LOG.error("the firmware is not installed: %s", end)
            self._enter(end.stage)
            await self._give_back()

    async def _fetch(self, order: Order, cancelled: threading.Event) -> None:
        if order.retrieve > time.time() and order.is_signed:
            self._enter(Stage.SCHEDULED)
        await self._until(lambda: time.time() >= order.retrieve, cancelled)
        self._enter(Stage.DOWNLOADING)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            await self._transfers.download(order.location, self._image, Tries(order.count, order.interval), cancelled)
        except TransferFailed as error:
            raise _Ended(Stage.DOWNLOAD_FAILED, str(error)) from error
        self._enter(Stage.DOWNLOADED)

    async def _verify(self, order: Order) -> None:
        if not order.is_signed:
            return
        try:
            # Again: weeks may lie between the order and now, and a file on disk may be another one.
            signer = firmware.signer(order.certificate, self._certificates.roots(MANUFACTURER_ROOT), time.time())
            digest = await in_thread(lambda: _digest(self._image))
            signature = firmware.signature_bytes(order.signature)
        except (BadCertificate, OSError, ValueError) as error:
            self._around.note(SecurityEvent.INVALID_FIRMWARE_SIGNATURE, str(error))
            raise _Ended(Stage.INVALID_SIGNATURE, str(error)) from error
        if not firmware.is_signed_by(digest, signature, signer):
            self._around.note(SecurityEvent.INVALID_FIRMWARE_SIGNATURE, "")
            raise _Ended(Stage.INVALID_SIGNATURE, "the signature is not of this file and this certificate")
        if self._progress.stage == Stage.DOWNLOADED:
            self._enter(Stage.VERIFIED)

    async def _wait_for_installation(self, order: Order, cancelled: threading.Event) -> None:
        """Wait for the time and for the end of all sessions; whoever is idle meanwhile is taken out of service."""
        if order.install > time.time():
            self._enter(Stage.INSTALL_SCHEDULED)
        await self._until(lambda: time.time() >= order.install, cancelled)
        while True:
            await self._take_out()
            if not self._around.busy():
                return
            await self._until(lambda: False, cancelled, _LOOK)

    async def _take_out(self) -> None:
        for evse in self._around.idle():
            if evse in self._progress.taken_out:
                continue
            self._keep(replace(self._progress, taken_out=(*self._progress.taken_out, evse)))
            await self._around.ask(SetAvailability(evse, False))

    async def _give_back(self) -> None:
        """Take the EVSEs back into service that were taken out for the update."""
        for evse in self._progress.taken_out:
            success, text = await self._around.ask(SetAvailability(evse, True))
            if not success:
                LOG.warning("EVSE %d stays out of service after an update: %s", evse, text)
        self._keep(replace(self._progress, taken_out=()))

    async def _install(self, order: Order) -> None:
        config = self._around.config()
        self._enter(Stage.INSTALLING)
        if not config.firmware_install_command:
            raise _Ended(Stage.INSTALL_FAILED, "the description has no ocpp_uplink.firmware_install_command")
        if (text := await _run(config.firmware_install_command, self._image, config.firmware_install_timeout)) is not None:
            raise _Ended(Stage.INSTALL_FAILED, text)
        self._around.note(SecurityEvent.FIRMWARE_UPDATED, order.location.rsplit("/", 1)[-1])
        self._enter(Stage.INSTALLED)
        self._image.unlink(missing_ok=True)
        await self._give_back()

    @staticmethod
    async def _until(condition: Callable[[], bool], cancelled: threading.Event, most: float = float("inf")) -> None:
        """Wait for a condition, at most some time [s]; Cancelled where the order was replaced."""
        end = time.monotonic() + most
        while not condition() and time.monotonic() < end and not cancelled.is_set():
            await asyncio.sleep(_LOOK)
        if cancelled.is_set():
            raise Cancelled

    def _enter(self, stage: Stage) -> None:
        """Take a stage, keep it and tell it."""
        self._keep(replace(self._progress, stage=stage))
        if (request := firmware.notification(self._progress.order, stage)) is not None:
            self._around.tell(request)

    def _keep(self, progress: Progress) -> None:
        self._progress = progress
        self._file.write(firmware.as_json(progress))  # Whether it works or not: what is not on disk is done again after a restart.


class _Ended(Exception):
    """An update that ended in a stage, and why."""

    def __init__(self, stage: Stage, text: str) -> None:
        super().__init__(text)
        self.stage = stage


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


async def _run(command: str, image: Path, timeout: float) -> str | None:
    """Run the description's command with the image as its last argument; returns why it failed, None where it did not."""
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            str(image),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except (OSError, ValueError) as error:
        return f"{command}: {error}"
    try:
        async with asyncio.timeout(timeout):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"{command} took longer than {timeout:g} s"
    if process.returncode == 0:
        return None
    return f"{command} ended with {process.returncode}: {said.decode(errors='replace')[-500:].strip()}"
