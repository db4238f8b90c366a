"""Security events of the OCPP 1.6 security whitepaper: which there are, which must reach the CSMS, and which are repetitions.

An event that the CSMS must hear is queued until it has answered. One that may come again and again, such as a bad frame or a refused connection, is
written once within REPEAT, so that a flood fills neither disk nor queue.
"""

from enum import StrEnum
from typing import Final

from evse_core.ocpp16_messages import Request
from evse_core.ocpp16_time import timestamp

# Longest techInfo (whitepaper section 5.17). [characters]
TECH_INFO_LENGTH: Final = 255
# How long an event that may repeat itself is not written again, and how many different ones are told apart. Own choice. [s], [1]
REPEAT: Final = 3600.0
_TOLD_APART: Final = 100


class SecurityEvent(StrEnum):
    """Events that this station can see (whitepaper section 7)."""

    FIRMWARE_UPDATED = "FirmwareUpdated"
    STARTUP = "StartupOfTheDevice"
    RESET = "ResetOrReboot"
    AUTHENTICATION_FAILED = "FailedToAuthenticateAtCentralSystem"
    CSMS_AUTHENTICATION_FAILED = "CentralSystemFailedToAuthenticate"
    RECONFIGURATION = "ReconfigurationOfSecurityParameters"
    INVALID_MESSAGES = "InvalidMessages"
    INVALID_FIRMWARE_SIGNATURE = "InvalidFirmwareSignature"
    INVALID_FIRMWARE_CERTIFICATE = "InvalidFirmwareSigningCertificate"
    INVALID_CSMS_CERTIFICATE = "InvalidCentralSystemCertificate"
    INVALID_STATION_CERTIFICATE = "InvalidChargePointCertificate"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_CIPHER_SUITE = "InvalidTLSCipherSuite"


_E = SecurityEvent
# What never repeats itself: each one counts.
SINGLE: Final = frozenset(
    {_E.FIRMWARE_UPDATED, _E.STARTUP, _E.RESET, _E.INVALID_FIRMWARE_SIGNATURE, _E.INVALID_FIRMWARE_CERTIFICATE, _E.RECONFIGURATION}
)
# What the CSMS must hear. The two about firmware are critical since the errata of 2.0.1; those about certificates are told because operators act on them, and
# TC_078 of the OCTT expects the one about the CSMS's certificate after the connection is back.
TOLD: Final = SINGLE | {
    _E.INVALID_CSMS_CERTIFICATE,
    _E.INVALID_STATION_CERTIFICATE,
    _E.INVALID_TLS_VERSION,
    _E.INVALID_CIPHER_SUITE,
}


def notification(event: str, at: float, tech_info: str) -> Request:
    """Return the SecurityEventNotification of an event at a ROS time [s]."""
    payload = {"type": event, "timestamp": timestamp(at)}
    return Request("SecurityEventNotification", payload | ({"techInfo": tech_info[:TECH_INFO_LENGTH]} if tech_info else {}))


class Repeats:
    """Tells repetitions of events from the first ones. Times in monotonic s."""

    def __init__(self) -> None:
        self._written: dict[tuple[SecurityEvent, str], float] = {}

    def is_one(self, event: SecurityEvent, tech_info: str, now: float) -> bool:
        """Return whether an event is the repetition of one that was written within REPEAT; too many different ones count as repetitions."""
        if event in SINGLE:
            return False
        self._written = {known: at for known, at in self._written.items() if now - at < REPEAT}
        if (event, tech_info) in self._written or len(self._written) >= _TOLD_APART:
            return True
        self._written[(event, tech_info)] = now
        return False
