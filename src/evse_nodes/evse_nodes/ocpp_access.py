"""How each try to connect makes itself known: address, headers and TLS by the security profile, the way back from a change that does not work, and what a
failure means as a security event. Rules: evse_core/ocpp16_access.py."""

import json
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from cryptography import x509
from websockets.exceptions import InvalidStatus

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_access import MUTUAL, TLS, address, headers, key_text, missing, takes_old
from evse_core.ocpp16_certificates import as_pem
from evse_core.ocpp16_security_events import SecurityEvent
from evse_nodes.ocpp_certificates import Certificates
from evse_nodes.ocpp_link import NoAccess
from evse_nodes.ocpp_settings import Settings

LOG = logging.getLogger("ocpp_uplink")

# What of the settings is the way to the CSMS, and where the way before an unproven change is kept.
_PARTS = ("security_profile", "authorization_key")
WAY_KEYS = frozenset({"SecurityProfile", "AuthorizationKey"})
_BEFORE = "before_unproven_change"
# Suites of TLS 1.2 (whitepaper section 4.1), and those with forward secrecy for RSA certificates; the ones of TLS 1.3 are all as strong.
CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
    )
)
# Reasons of OpenSSL by the event that they mean.
_REASONS = {
    "UNSUPPORTED_PROTOCOL": SecurityEvent.INVALID_TLS_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": SecurityEvent.INVALID_TLS_VERSION,
    "NO_SHARED_CIPHER": SecurityEvent.INVALID_CIPHER_SUITE,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": SecurityEvent.INVALID_CIPHER_SUITE,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": SecurityEvent.INVALID_CIPHER_SUITE,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": SecurityEvent.AUTHENTICATION_FAILED,
    "TLSV1_ALERT_UNKNOWN_CA": SecurityEvent.AUTHENTICATION_FAILED,
    "SSLV3_ALERT_BAD_CERTIFICATE": SecurityEvent.AUTHENTICATION_FAILED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": SecurityEvent.AUTHENTICATION_FAILED,
}


@dataclass(frozen=True)
class Listeners:
    """Who hears of security events, and who takes back a change of the settings."""

    note: Callable[[SecurityEvent, str], None]
    undo: Callable[[OcppConfig], None]


class Access:
    """The ways to the CSMS. `config` returns the settings that hold now; all methods belong to the uplink's thread."""

    def __init__(self, settings: Settings, certificates: Certificates, config: Callable[[], OcppConfig], listeners: Listeners) -> None:
        self._settings, self._certificates, self._config, self._listeners = settings, certificates, config, listeners
        self._took_old = False

    def proven_before(self, old: OcppConfig, name: str) -> dict[str, str | None]:
        """Return what has to be kept with a change of a key: the proven way before it."""
        if name not in WAY_KEYS or self._settings.get(_BEFORE):
            return {}
        return {_BEFORE: json.dumps({part: getattr(old, part) for part in _PARTS})}

    def way(self, failures: int) -> tuple[str, dict[str, Any]]:
        """Return address and options of the next try; NoAccess where there is none. failures counts the tries since the last connection."""
        self._took_old = takes_old(failures)
        config = self._before() if self._took_old else self._config()
        config = config or self._config()
        if lacking := missing(config, self._certificates.installed(time.time())):
            raise NoAccess(lacking)
        url = f"{address(config)}/{quote(config.charge_point_id, safe='')}"
        options: dict[str, Any] = {"additional_headers": headers(config)}
        if url.startswith("wss://"):
            options["ssl"] = self._context(config)
        return url, options

    def on_connected(self, connection: Any) -> None:
        """Take a connection as the proof of its way."""
        stream = connection.transport.get_extra_info("ssl_object") if connection.transport is not None else None
        shown = stream.getpeercert(True) if stream is not None else None
        self._certificates.peer = x509.load_der_x509_certificate(shown) if shown else None
        before = self._before()
        if before is not None and self._took_old:
            LOG.error("the connection works as before only: the change of SecurityProfile or AuthorizationKey is undone")
            self._listeners.undo(before)
            self._keep({_BEFORE: None, **_as_keys(before)})
            self._listeners.note(SecurityEvent.RECONFIGURATION, "undone: no connection could be made")
        elif before is not None:
            self._keep({_BEFORE: None})
        if not self._took_old and stream is not None:
            self._certificates.on_proven()

    def _keep(self, values: dict[str, str | None]) -> None:
        """Keep values; where the disk refuses them the connection stands all the same, and the next one proves the change again."""
        try:
            self._settings.keep_all(values)
        except OSError:
            LOG.exception("the way to the CSMS cannot be kept")

    def on_failed(self, error: BaseException) -> None:
        """Note what a failed try means for security."""
        event = _event(error)
        if event is not None:
            self._listeners.note(event, str(error))

    def _before(self) -> OcppConfig | None:
        """Return the settings with the way before an unproven change, None where there is no such change."""
        if not (text := self._settings.get(_BEFORE)):
            return None
        return replace(self._config(), **json.loads(text))

    def _context(self, config: OcppConfig) -> ssl.SSLContext:
        roots = self._certificates.trusted(self._took_old)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION
        context.set_ciphers(CIPHERS)
        context.hostname_checks_common_name = True
        if roots:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(cadata=as_pem(roots))
        elif config.security_profile < TLS:
            context.load_default_certs()  # Nothing demands a root of the CSMS here.
        if config.security_profile >= MUTUAL:
            own = self._certificates.identities(time.time())
            context.load_cert_chain(own[1 if self._took_old and len(own) > 1 else 0].path)
        return context


def _as_keys(config: OcppConfig) -> dict[str, str | None]:
    """Return the way of some settings as keys to be kept; a key that is no AuthorizationKey of a CSMS is that of the description."""
    try:
        key: str | None = key_text(config.authorization_key)
    except ValueError:
        key = None
    return {"SecurityProfile": str(config.security_profile), "AuthorizationKey": key}


def _event(error: BaseException) -> SecurityEvent | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return SecurityEvent.INVALID_CSMS_CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "")
    if isinstance(error, InvalidStatus) and error.response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return SecurityEvent.AUTHENTICATION_FAILED
    return None
