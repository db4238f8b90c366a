"""Signatures of OCMF records: ECDSA over the payload's bytes, by the curves that the format names (can.md 7.1). Nothing is read or written here."""

import base64
import binascii
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from evse_core.ocmf import HEADER, Document

PublicKey = ec.EllipticCurvePublicKey
PrivateKey = ec.EllipticCurvePrivateKey
# The algorithm of records that name none, and of ours.
DEFAULT = "ECDSA-secp256r1-SHA256"
CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "ECDSA-secp192r1-SHA256": ec.SECP192R1,
    "ECDSA-secp256k1-SHA256": ec.SECP256K1,
    DEFAULT: ec.SECP256R1,
    "ECDSA-secp384r1-SHA256": ec.SECP384R1,
    "ECDSA-secp521r1-SHA256": ec.SECP521R1,
    "ECDSA-brainpool256r1-SHA256": ec.BrainpoolP256R1,
    "ECDSA-brainpool384r1-SHA256": ec.BrainpoolP384R1,
    # As some meters spell them.
    "ECDSA-brainpoolP256r1-SHA256": ec.BrainpoolP256R1,
    "ECDSA-brainpoolP384r1-SHA256": ec.BrainpoolP384R1,
}


def signed(payload: str, key: PrivateKey) -> str:
    """Return the record of a payload. The same payload and key give the same record (RFC 6979), so that a record that is made twice is one."""
    signature = key.sign(payload.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return f'{HEADER}|{payload}|{{"SA":"{DEFAULT}","SD":"{signature.hex().upper()}"}}'


def signature_problem(document: Document, key: PublicKey) -> str:
    """Return why the signature does not hold, in words; "" where it does."""
    algorithm = str(document.signature.get("SA", DEFAULT))
    if algorithm not in CURVES:
        return f"signature: algorithm {algorithm!r} is not supported, known are {', '.join(CURVES)}"
    if not isinstance(key.curve, CURVES[algorithm]):
        return f"signature: is by {algorithm}, the public key is of curve {key.curve.name}"
    kind = str(document.signature.get("SM", "application/x-der"))
    if kind != "application/x-der":
        return f"signature: has form {kind!r}, known is application/x-der"
    try:
        data = _decoded(str(document.signature.get("SD", "")), str(document.signature.get("SE", "hex")))
    except ValueError as error:
        return f"signature: {error}"
    try:
        key.verify(data, document.signed.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return "signature: does not belong to this payload and this public key: the record was changed, or another key signed it"
    return ""


def _decoded(text: str, encoding: str) -> bytes:
    """Return the bytes of a signature; ValueError where they are not in this encoding."""
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        if encoding == "base64":
            return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"SD is not {encoding}") from None
    raise ValueError(f"encoding {encoding!r} is neither hex nor base64")


def public_key(text: str) -> PublicKey:
    """Return a public key from PEM, or from DER as hexadecimal digits or base64; ValueError where it is none."""
    try:
        found = (
            serialization.load_pem_public_key(text.encode())
            if "BEGIN" in text
            else serialization.load_der_public_key(_der("".join(text.split())))
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"is no public key: {error}") from error
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise ValueError("is no public key of an elliptic curve")
    return found


def _der(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return base64.b64decode(text, validate=True)


def public_text(key: PublicKey) -> str:
    """Return a public key as hexadecimal digits of its DER form, as it is printed on stations and entered in transparency software."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo).hex().upper()
