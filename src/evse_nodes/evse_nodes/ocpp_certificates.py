"""Certificates of the uplink on disk, and the calls of the CSMS about them. The rules are evse_core/ocpp16_certificates.py.

Root certificates stand in one JSON file; where it has none of the CSMS, those of `csms_root_file` count. The station's own have a file each, with their key,
for their owner only: station_<time of installation>.pem; one that the factory puts there is station_0.pem. The key of a request that was not answered yet is
request.pem. No key ever leaves the station.
"""

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from evse_core import ocpp16_certificates as certificates
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_access import Installed
from evse_core.ocpp16_certificates import CSMS_ROOT, MANUFACTURER_ROOT, MONTH, BadCertificate, Certificate, Root
from evse_core.ocpp16_messages import Payload, Request
from evse_core.ocpp16_requests import Handlers
from evse_core.ocpp16_security_events import SecurityEvent
from evse_nodes import whole_file
from evse_nodes.ocpp_file import KeptFile

LOG = logging.getLogger("ocpp_uplink")


@dataclass(frozen=True)
class Listeners:
    """Who hears of events, and that the connection has to be made anew."""

    note: Callable[[SecurityEvent, str], None]
    renew: Callable[[], None]


@dataclass(frozen=True)
class Identity:
    """A certificate of the station: file with key and chain, the certificate itself, and when it was installed [s]."""

    path: Path
    certificate: Certificate
    at: int


@dataclass(frozen=True)
class _Roots:
    """The root certificates by their use, oldest first."""

    of: dict[str, tuple[Root, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(roots) for roots in self.of.values())

    def having(self, kind: str, roots: tuple[Root, ...]) -> "_Roots":
        return _Roots({**self.of, kind: roots})


class Certificates:
    """The room of certificates. `config` returns the settings that hold now."""

    def __init__(self, file: KeptFile, folder: Path, config: Callable[[], OcppConfig], listeners: Listeners) -> None:
        self._file, self._folder, self._config, self._listeners = file, folder, config, listeners
        self._roots: _Roots = file.read(_from_json, _Roots())
        if (given := config().csms_root_file) and not self.roots():
            self._roots = self._roots.having(CSMS_ROOT, _given(Path(given).expanduser()))
        # The certificate that the CSMS has shown on the connection there is, None without one.
        self.peer: Certificate | None = None

    def handlers(self) -> Handlers:
        """Return the calls that are answered here."""
        return {
            "CertificateSigned": self._signed,
            "DeleteCertificate": self._delete,
            "GetInstalledCertificateIds": self._ids,
            "InstallCertificate": self._install,
        }

    # What is there

    def roots(self, kind: str = CSMS_ROOT) -> tuple[Certificate, ...]:
        """Return the root certificates of a use, oldest first."""
        return tuple(root.certificate for root in self._roots.of.get(kind, ()))

    def trusted(self, old: bool) -> tuple[Certificate, ...]:
        """Return the roots under which the CSMS may stand: all; where a new one replaces the old one, that one, or the old one where it failed."""
        roots = self.roots()
        if not self._config().additional_root_certificate_check or len(roots) < 2:
            return roots
        return roots[-2:-1] if old else roots[-1:]

    def identities(self, now: float) -> list[Identity]:
        """Return the certificates of the station that are valid now [s], the newest first."""
        return [item for item in self._all() if certificates.is_valid(item.certificate, now)]

    def installed(self, now: float) -> Installed:
        """Return what is there for TLS now [s]."""
        return Installed(bool(self.roots()), bool(self.identities(now)))

    def _all(self) -> list[Identity]:
        found = []
        for path in self._folder.glob("station_*.pem"):
            try:
                found.append(Identity(path, certificates.parse(_without_key(path.read_text()))[0], int(path.stem.removeprefix("station_"))))
            except (OSError, ValueError) as error:
                LOG.error("%s is no certificate of the station: %s", path, error)
        return sorted(found, key=lambda item: item.at, reverse=True)

    # Of its own accord

    def on_proven(self) -> None:
        """Note that a connection stands with the newest root: one that it replaces is forgotten."""
        roots = self._roots.of.get(CSMS_ROOT, ())
        if self._config().additional_root_certificate_check and len(roots) > 1:
            self._keep(self._roots.having(CSMS_ROOT, roots[-1:]))

    def renewal_due(self, now: float) -> bool:
        """Return whether the station's certificate has to be renewed now [s]; tells of one that is over, and forgets what was replaced a month ago."""
        found = self._all()
        for newer, older in itertools.pairwise(found):
            if now - newer.at > MONTH:
                older.path.unlink(missing_ok=True)
        if not found or self._config().security_profile < 3:
            return False
        return certificates.renewal_due(found[0].certificate, now)

    def request(self) -> Request:
        """Make a new key and return the SignCertificate for it. OSError where the key cannot be kept."""
        config = self._config()
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        whole_file.replace(self._folder / "request.pem", pem, whole_file.PRIVATE)
        return Request("SignCertificate", {"csr": certificates.request(key, _name(config), config.cpo_name)})

    # Calls of the CSMS

    def _signed(self, payload: Payload, now: int) -> Payload:
        config, request = self._config(), self._folder / "request.pem"
        try:
            pem = request.read_text()
            key = serialization.load_pem_private_key(pem.encode(), None).public_key()
            chain = certificates.own_chain(payload["certificateChain"], key, _name(config), config.cpo_name, self.roots(), now)
            path = self._folder / f"station_{max([now, *(item.at + 1 for item in self._all())])}.pem"
            whole_file.replace(path, pem + certificates.as_pem(chain), whole_file.PRIVATE)
        except FileNotFoundError:
            return self._refused("no request waits for its certificate")
        except BadCertificate as error:
            return self._refused(str(error))
        except OSError:
            LOG.exception("a certificate of the station cannot be kept")
            return {"status": "Rejected"}
        request.unlink(missing_ok=True)
        LOG.warning("the station has a certificate until %s", certificates.until(chain[0]))
        self._listeners.note(SecurityEvent.RECONFIGURATION, "certificate of the station")
        if config.security_profile >= 3:
            self._listeners.renew()
        return {"status": "Accepted"}

    def _refused(self, why: str) -> Payload:
        LOG.warning("a certificate of the station is refused: %s", why)
        self._listeners.note(SecurityEvent.INVALID_STATION_CERTIFICATE, why)
        return {"status": "Rejected"}

    def _install(self, payload: Payload, now: int) -> Payload:
        kind, config = payload["certificateType"], self._config()
        have = self._roots.of.get(kind, ())
        replaces = kind == CSMS_ROOT and config.additional_root_certificate_check and bool(have)
        try:
            root = certificates.installable(payload["certificate"], now, self.roots()[-1:] if replaces else ())
        except BadCertificate as error:
            LOG.warning("a root certificate is refused: %s", error)
            return {"status": "Rejected"}
        kept = tuple(item for item in have if item.certificate != root.certificate)
        if len(self._roots) - len(have) + len(kept) >= config.certificate_store_max_length:
            return {"status": "Rejected"}
        if not self._keep(self._roots.having(kind, (*(kept[-1:] if replaces else kept), root))):
            return {"status": "Failed"}
        self._listeners.note(SecurityEvent.RECONFIGURATION, kind)
        return {"status": "Accepted"}

    def _delete(self, payload: Payload, now: int) -> Payload:
        named = payload["certificateHashData"]
        for kind, roots in self._roots.of.items():
            kept = tuple(root for root in roots if not certificates.is_named(root, named))
            if kept == roots:
                continue
            gone = [root.certificate for root in roots if root not in kept]
            if kind == CSMS_ROOT and self._in_use(gone):
                return {"status": "Failed"}
            return {"status": "Accepted" if self._keep(self._roots.having(kind, kept)) else "Failed"}
        return {"status": "NotFound"}

    def _in_use(self, roots: list[Certificate]) -> bool:
        """Return whether the connection rests on one of some roots: one that signed the certificate of the CSMS; where none did, on any."""
        if self._config().security_profile < 2:
            return False
        signers = certificates.issued_by_one_of(self.peer, self.roots()) if self.peer is not None else []
        return any(root in (signers or self.roots()) for root in roots)

    def _ids(self, payload: Payload, now: int) -> Payload:
        found = [certificates.hash_data(root) for root in self._roots.of.get(payload["certificateType"], ())]
        return {"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"}

    def _keep(self, roots: _Roots) -> bool:
        if not self._file.write(_as_json(roots)):
            return False
        self._roots = roots
        return True


def _name(config: OcppConfig) -> str:
    """Return the common name of the station's certificate: its serial number (whitepaper section 4.2), else its identity."""
    return config.serial_number or config.charge_point_id


def _given(path: Path) -> tuple[Root, ...]:
    """Return the root certificates of a file of the description; ValueError names one that cannot be used."""
    try:
        return tuple(Root(item, item) for item in certificates.parse(path.read_text()))
    except (OSError, ValueError) as error:
        raise ValueError(f"ocpp_uplink: parameter csms_root_file: {path}: {error}") from error


def _without_key(pem: str) -> str:
    begin = pem.find("-----BEGIN CERTIFICATE-----")
    return pem[max(begin, 0) :]


def _as_json(roots: _Roots) -> dict[str, Any]:
    return {
        kind: [{"pem": certificates.as_pem([root.certificate]), "issuer": certificates.as_pem([root.issuer])} for root in items]
        for kind, items in roots.of.items()
    }


def _from_json(kept: Any) -> _Roots:
    try:
        return _Roots(
            {
                kind: tuple(Root(certificates.parse(item["pem"])[0], certificates.parse(item["issuer"])[0]) for item in kept.get(kind, ()))
                for kind in (CSMS_ROOT, MANUFACTURER_ROOT)
            }
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no root certificates: {error}") from error
