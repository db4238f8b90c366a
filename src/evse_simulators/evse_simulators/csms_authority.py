"""A certificate authority for the simulated CSMS: a root, certificates for servers on 127.0.0.1 and for stations that ask, for tests and work by hand.

It is made anew by each process, so its keys protect nothing.
"""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

# How long certificates are valid where nothing else is said.
_VALID = timedelta(days=365)


class Authority:
    """A root certificate and its key; with `above`, a root that another one has signed."""

    def __init__(self, name: str = "simulated CSMS", above: "Authority | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name, "ros2_evse")
        signer = above or self
        self.certificate = (
            _builder(self._name, signer._name, self._key.public_key(), timedelta(), _VALID)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The root certificate."""
        return _pem(self.certificate)

    def sign(self, csr: str, begin: timedelta = timedelta(), length: timedelta = _VALID) -> str:
        """Return the certificate for a request, valid from begin on counted from now."""
        asked = x509.load_pem_x509_csr(csr.encode())
        if not asked.is_signature_valid:
            raise ValueError("the request is not signed by its own key")
        return _pem(self._issued(asked.subject, asked.public_key(), begin, length))

    def identity(self, path: Path, name: str, organisation: str = "ros2_evse") -> Path:
        """Write a new key with its certificate for a name, on this machine, to a file, and return its path."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        path.write_text(pem + _pem(self._issued(_name(name, organisation), key.public_key(), timedelta(), _VALID)))
        return path

    def server(self, folder: Path, *, mutual: bool = False) -> ssl.SSLContext:
        """Return the TLS of a server on 127.0.0.1; mutual: which asks for the certificates of stations."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.identity(folder / "csms_server.pem", "127.0.0.1"))
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context

    def _issued(self, subject: x509.Name, key: CertificatePublicKeyTypes, begin: timedelta, length: timedelta) -> x509.Certificate:
        builder = _builder(subject, self._name, key, begin, length)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])
        return builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, begin: timedelta, length: timedelta
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(minutes=1) + begin
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + length)
    )


def _name(name: str, organisation: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
