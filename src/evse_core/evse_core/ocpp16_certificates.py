"""Certificates of the OCPP 1.6 security whitepaper: what may be installed, what the station's own must be, and by which hashes the CSMS names them.

Keys: RSA of 2048 bit or more, elliptic curves of 224 bit or more (whitepaper section 4). Times are ROS times in s; a chain begins with the certificate that
it is about. Nothing is read or written here.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID

from evse_core.ocpp16_messages import Payload

CSMS_ROOT: Final = "CentralSystemRootCertificate"
MANUFACTURER_ROOT: Final = "ManufacturerRootCertificate"
# Smallest keys (whitepaper section 4.1). [bit]
_RSA_BITS: Final = 2048
_CURVE_BITS: Final = 224
# Certificates on the way from the station's own to a root that are looked at. Own choice. [1]
_LONGEST_CHAIN: Final = 8
# A certificate is renewed, and the one before it kept, for a month (whitepaper section 5.4 and A02). [s]
MONTH: Final = 30 * 86400.0

Certificate = x509.Certificate
PrivateKey = ec.EllipticCurvePrivateKey


class BadCertificate(ValueError):
    """A certificate that the station does not take, and why."""


@dataclass(frozen=True, slots=True)
class Root:
    """A certificate that is trusted, and who signed it: itself, or the root before it."""

    certificate: Certificate
    issuer: Certificate


def parse(pem: str) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM text; BadCertificate where it is none."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem.encode()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadCertificate(f"no certificate in PEM: {error}") from error


def as_pem(chain: Iterable[Certificate]) -> str:
    """Return a chain as PEM text."""
    return "".join(item.public_bytes(serialization.Encoding.PEM).decode() for item in chain)


def starts(certificate: Certificate) -> float:
    """Return the time [s] from which on a certificate is valid."""
    return certificate.not_valid_before_utc.timestamp()


def ends(certificate: Certificate) -> float:
    """Return the time [s] until which a certificate is valid."""
    return certificate.not_valid_after_utc.timestamp()


def is_valid(certificate: Certificate, now: float) -> bool:
    """Return whether a certificate is valid now [s]."""
    return starts(certificate) <= now <= ends(certificate)


def installable(pem: str, now: float, issuers: Sequence[Certificate] = ()) -> Root:
    """Return a root certificate that may be trusted from now [s] on; BadCertificate says why it may not. Where issuers are named, one of them has signed it."""
    found = parse(pem)
    if len(found) != 1:
        raise BadCertificate(f"{len(found)} certificates, not one")
    root = found[0]
    _check_strength(root)
    if not is_valid(root, now):
        raise BadCertificate("it is not valid now")
    if not _is_authority(root):
        raise BadCertificate("it may not sign others")
    signers = [item for item in issuers or (root,) if _signed_by(root, item)]
    if not signers:
        raise BadCertificate("the root before it did not sign it" if issuers else "it is no root: another one signed it")
    return Root(root, signers[0])


def own_chain(
    pem: str, key: PublicKeyTypes, name: str, organisation: str, roots: Sequence[Certificate], now: float
) -> tuple[Certificate, ...]:
    """Return the chain of a certificate that the CSMS has signed for the station's new key; BadCertificate says why it is refused.

    It must be for that key, name and organisation, not be over, and lead to one of the roots of the CSMS. It may begin later than now [s].
    """
    chain = parse(pem)
    own = chain[0]
    _check_strength(own)
    if _public(own.public_key()) != _public(key):
        raise BadCertificate("it is not for the key of the last request")
    for part, wanted in ((NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, organisation)):
        said = [str(item.value) for item in own.subject.get_attributes_for_oid(part)]
        if said != [wanted]:
            raise BadCertificate(f"its {part._name} is {said}, not {wanted!r}")
    if ends(own) <= now:
        raise BadCertificate("it is over")
    check_path(chain, roots, now)
    return chain


def check_path(chain: Sequence[Certificate], roots: Sequence[Certificate], now: float) -> None:
    """Raise BadCertificate where no way of signatures leads from the first of a chain over others of it to one of the roots."""
    current, rest = chain[0], list(chain[1:])
    for _ in range(_LONGEST_CHAIN):
        if any(_signed_by(current, root) and is_valid(root, now) for root in roots):
            return
        above = next((item for item in rest if _is_authority(item) and is_valid(item, now) and _signed_by(current, item)), None)
        if above is None:
            break
        rest.remove(above)
        current = above
    raise BadCertificate("no chain leads to an installed root certificate")


def issued_by_one_of(certificate: Certificate, roots: Iterable[Certificate]) -> list[Certificate]:
    """Return the roots that have signed a certificate themselves."""
    return [root for root in roots if _signed_by(certificate, root)]


def _signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _check_strength(certificate: Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS:
        return
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= _CURVE_BITS:
        return
    raise BadCertificate(f"its key is none of RSA from {_RSA_BITS} bit or of a curve from {_CURVE_BITS} bit on")


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def request(key: PrivateKey, name: str, organisation: str) -> str:
    """Return a certificate signing request (PKCS #10, PEM) for a key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


_HASHES: Final[dict[str, Callable[[bytes], "hashlib._Hash"]]] = {
    "SHA256": hashlib.sha256,
    "SHA384": hashlib.sha384,
    "SHA512": hashlib.sha512,
}


def hash_data(root: Root, algorithm: str = "SHA256") -> dict[str, str]:
    """Return the CertificateHashDataType of a root: hashes of its issuer's name and of the bits of its issuer's key (RFC 6960 section 4.1.1)."""
    digest = _HASHES[algorithm]
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": digest(root.issuer.subject.public_bytes()).hexdigest(),
        "issuerKeyHash": digest(_key_bits(root.issuer.public_key())).hexdigest(),
        "serialNumber": f"{root.certificate.serial_number:x}",
    }


def is_named(root: Root, named: Payload) -> bool:
    """Return whether a CertificateHashDataType names a root; hexadecimal digits count in either case, leading zeros do not."""
    own = hash_data(root, named["hashAlgorithm"])
    texts = all(str(named[key]).lower() == own[key] for key in ("issuerNameHash", "issuerKeyHash"))
    return texts and str(named["serialNumber"]).lower().lstrip("0") == own["serialNumber"].lstrip("0")


def _key_bits(key: PublicKeyTypes) -> bytes:
    """Return the content of the BIT STRING of a public key."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def renewal_due(certificate: Certificate, now: float) -> bool:
    """Return whether the station's certificate ends within a month of now [s]."""
    return ends(certificate) - now < MONTH


def until(certificate: Certificate) -> str:
    """Return the end of a certificate in words."""
    return datetime.fromtimestamp(ends(certificate), UTC).isoformat()
