"""Orders of firmware: who signs them, what a restart makes of them, and the words that tell them."""

import base64
import hashlib
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from evse_core import ocpp16_firmware as firmware
from evse_core.ocpp16_certificates import BadCertificate, as_pem, request
from evse_core.ocpp16_firmware import Order, Progress, Stage, Tries
from evse_core.ocpp16_time import NoTime
from evse_simulators.csms_authority import Authority

NOW = time.time()
MAKER = Authority("maker")
KEY = ec.generate_private_key(ec.SECP256R1())
SIGNER = MAKER.sign(request(KEY, "signer", "maker"))
IMAGE = b"firmware" * 1000
DIGEST = hashlib.sha256(IMAGE).digest()
ORDER = Order("http://x/y", 1, request_id=5, from_version="1")


def test_a_signature_by_a_curve_belongs_to_one_file_and_one_certificate() -> None:
    signature = KEY.sign(IMAGE, ec.ECDSA(hashes.SHA256()))
    signer = firmware.signer(SIGNER, [MAKER.certificate], NOW)
    assert firmware.is_signed_by(DIGEST, firmware.signature_bytes(base64.b64encode(signature).decode()), signer)
    assert not firmware.is_signed_by(hashlib.sha256(IMAGE + b"x").digest(), signature, signer)
    assert not firmware.is_signed_by(DIGEST, signature[:-1], signer)
    assert not firmware.is_signed_by(DIGEST, signature, MAKER.certificate)


def test_a_signature_by_rsa_is_one_with_pss() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1).not_valid_before(MAKER.certificate.not_valid_before_utc)
    signer = builder.not_valid_after(MAKER.certificate.not_valid_after_utc).sign(key, hashes.SHA256())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    assert firmware.is_signed_by(DIGEST, key.sign(IMAGE, pss, hashes.SHA256()), signer)
    assert not firmware.is_signed_by(DIGEST, key.sign(IMAGE, padding.PKCS1v15(), hashes.SHA256()), signer)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        SIGNER[:100],
        Authority("other").sign(request(KEY, "a", "b")),
        MAKER.sign(request(KEY, "a", "b"), timedelta(days=-9), timedelta(days=1)),
    ],
    ids=["nothing", "cut off", "of another maker", "over"],
)
def test_a_signer_stands_under_the_makers_root_and_is_valid(pem: str) -> None:
    with pytest.raises(BadCertificate):
        firmware.signer(pem, [MAKER.certificate], NOW)
    with pytest.raises(BadCertificate):
        firmware.signer(as_pem([MAKER.certificate]), [], NOW)


@pytest.mark.parametrize("text", ["a", "###=", "AAAA\n#"])
def test_a_signature_is_base64(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        firmware.signature_bytes(text)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, Tries()),
        ({"retries": 0, "retryInterval": 0}, Tries(1, 0)),
        ({"retries": -5, "retryInterval": -1}, Tries(1, 0)),
        ({"retries": 10**9, "retryInterval": 10**9}, Tries(100, 86400)),
    ],
)
def test_tries_are_what_the_csms_wants_within_reason(payload: Any, expected: Tries) -> None:
    assert firmware.tries(payload) == expected


def test_a_time_that_is_none_is_no_order() -> None:
    with pytest.raises(NoTime):
        firmware.plain_order({"location": "x", "retrieveDate": "soon"}, "")


@pytest.mark.parametrize(
    ("stage", "version", "expected"),
    [
        (Stage.INSTALLING, "2", Stage.INSTALLED),
        (Stage.INSTALLING, "1", Stage.INSTALL_FAILED),
        (Stage.INSTALLING, "", Stage.INSTALL_FAILED),
        (Stage.DOWNLOADING, "2", Stage.DOWNLOADING),
        (Stage.INSTALLED, "1", Stage.INSTALLED),
    ],
)
def test_another_version_after_a_restart_means_that_the_installation_worked(stage: Stage, version: str, expected: Stage) -> None:
    progress = Progress(ORDER, stage, (1,))
    assert firmware.from_json(firmware.as_json(progress)) == progress
    assert firmware.resumed(progress, version) == Progress(ORDER, expected, (1,))


def test_only_signed_orders_tell_every_stage() -> None:
    plain = Order("http://x/y", 1)
    told = [stage for stage in Stage if firmware.notification(plain, stage) is not None]
    assert told == ["Idle", "Downloading", "Downloaded", "DownloadFailed", "Installing", "Installed", "InstallationFailed"]
    signed = firmware.notification(ORDER, Stage.VERIFIED)
    assert signed is not None
    assert signed.payload == {"status": "SignatureVerified", "requestId": 5}


@pytest.mark.parametrize(
    "kept", [None, [], {}, {"order": {"x": 1}, "stage": "Idle", "taken_out": []}, {"order": None, "stage": "Odd", "taken_out": []}]
)
def test_progress_of_others_is_none(kept: object) -> None:
    with pytest.raises(ValueError, match=r"progress|Odd"):
        firmware.from_json(kept)
