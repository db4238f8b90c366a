"""Updates of firmware over OCPP 1.6: what is ordered, who may order it, and the words for how far it is (1.6 sections 4.5, 6.19; whitepaper L01).

Theory of operation. An order is downloaded at its time and tried again as often as it says; a signed one is verified; then it is installed at its time, once no
session runs. A signed order names a certificate under an installed root of the manufacturer, which is checked before the order is accepted. An order without
signature is taken only by a station that nothing obliges to signatures: below security profile 2 and without a root of the manufacturer.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from evse_core.ocpp16_certificates import BadCertificate, Certificate, check_path, is_valid, parse
from evse_core.ocpp16_messages import Payload, Request
from evse_core.ocpp16_time import parse_time

# Tries of a transfer and the wait between them where the CSMS names none, and the most that it may ask for. Own choice. [1], [s]
TRIES: Final = 3
RETRY_INTERVAL: Final = 30
MOST_TRIES: Final = 100
LONGEST_INTERVAL: Final = 86400


class Stage(StrEnum):
    """How far an order is, in the words of SignedFirmwareStatusNotification (whitepaper section 5.20)."""

    IDLE = "Idle"
    SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    VERIFIED = "SignatureVerified"
    INVALID_SIGNATURE = "InvalidSignature"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_FAILED = "InstallationFailed"


_S = Stage
# Nothing follows from these of its own accord.
OVER: Final = frozenset({_S.IDLE, _S.DOWNLOAD_FAILED, _S.INVALID_SIGNATURE, _S.INSTALLED, _S.INSTALL_FAILED})
# The words of FirmwareStatusNotification (1.6 section 7.25); the other stages are not told of an order without signature.
_PLAIN: Final = frozenset({_S.IDLE, _S.DOWNLOADING, _S.DOWNLOADED, _S.DOWNLOAD_FAILED, _S.INSTALLING, _S.INSTALLED, _S.INSTALL_FAILED})


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a transfer is tried, and the wait between two of them [s]."""

    count: int = TRIES
    interval: int = RETRY_INTERVAL


def tries(payload: Payload) -> Tries:
    """Return the tries that a call asks for: `retries` come after the first one."""
    count = payload.get("retries", TRIES - 1) + 1
    interval = payload.get("retryInterval", RETRY_INTERVAL)
    return Tries(max(1, min(count, MOST_TRIES)), max(0, min(interval, LONGEST_INTERVAL)))


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be installed, from where, and when [s, UTC]; request_id is None and the rest "" without signature. from_version: what ran when it came."""

    location: str
    retrieve: int
    install: int = 0
    request_id: int | None = None
    certificate: str = ""
    signature: str = ""
    count: int = TRIES
    interval: int = RETRY_INTERVAL
    from_version: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether it came as SignedUpdateFirmware."""
        return self.request_id is not None


def plain_order(payload: Payload, version: str) -> Order:
    """Return the order of an UpdateFirmware; NoTime where its time is none."""
    wanted = tries(payload)
    return Order(
        payload["location"], parse_time(payload["retrieveDate"]), count=wanted.count, interval=wanted.interval, from_version=version
    )


def signed_order(payload: Payload, version: str) -> Order:
    """Return the order of a SignedUpdateFirmware; NoTime where a time is none."""
    firmware, wanted = payload["firmware"], tries(payload)
    return Order(
        firmware["location"],
        parse_time(firmware["retrieveDateTime"]),
        parse_time(firmware["installDateTime"]) if "installDateTime" in firmware else 0,
        payload["requestId"],
        firmware["signingCertificate"],
        firmware["signature"],
        wanted.count,
        wanted.interval,
        version,
    )


def notification(order: Order | None, stage: Stage) -> Request | None:
    """Return the message that tells a stage, None where the protocol has no word for it."""
    if order is not None and order.is_signed:
        return Request("SignedFirmwareStatusNotification", {"status": str(stage), "requestId": order.request_id})
    return Request("FirmwareStatusNotification", {"status": str(stage)}) if stage in _PLAIN else None


def signer(pem: str, roots: Sequence[Certificate], now: float) -> Certificate:
    """Return the certificate that is to have signed a firmware; BadCertificate says why it may not, now [s]."""
    chain = parse(pem)
    if not is_valid(chain[0], now):
        raise BadCertificate("it is not valid now")
    check_path(chain, roots, now)
    return chain[0]


def signature_bytes(text: str) -> bytes:
    """Return the bytes of a signature in base64 (whitepaper section 6.5); ValueError where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the signature is no base64: {error}") from error


def is_signed_by(digest: bytes, signature: bytes, certificate: Certificate) -> bool:
    """Return whether a signature over a file with this SHA-256 digest is of a certificate: RSA-PSS, or ECDSA on a curve.

    The whitepaper names ECSchnorr for curves, which no library and no vendor's tool is known to have; ECDSA is what stands in its place.
    """
    key, algorithm = certificate.public_key(), utils.Prehashed(hashes.SHA256())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, digest, ec.ECDSA(algorithm))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Progress:
    """What is kept of an update: the order, its stage, and the EVSEs that were taken out of service for it."""

    order: Order | None = None
    stage: Stage = Stage.IDLE
    taken_out: tuple[int, ...] = ()


def resumed(progress: Progress, version: str) -> Progress:
    """Return the progress after a restart, where this version runs now: an installation that was under way worked where the version is another one."""
    if progress.order is None or progress.stage != Stage.INSTALLING:
        return progress
    worked = bool(version) and version != progress.order.from_version
    return Progress(progress.order, Stage.INSTALLED if worked else Stage.INSTALL_FAILED, progress.taken_out)


def as_json(progress: Progress) -> dict[str, Any]:
    """Return the progress as it is kept on disk."""
    order = asdict(progress.order) if progress.order is not None else None
    return {"order": order, "stage": str(progress.stage), "taken_out": list(progress.taken_out)}


def from_json(kept: object) -> Progress:
    """Return what as_json() made; ValueError where it is something else."""
    if not isinstance(kept, Mapping):
        raise ValueError("no progress of an update")
    try:
        order = Order(**kept["order"]) if kept["order"] is not None else None
        return Progress(order, Stage(kept["stage"]), tuple(int(number) for number in kept["taken_out"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no progress of an update: {error}") from error
