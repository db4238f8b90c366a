"""The actions of OCPP 1.6 and of its security whitepaper as one table: who sends them, and which part of the station does it or answers (1.6 section 3.3).

docs/ocpp16.md is generated from this table and from that of the configuration keys (ocpp16_configuration.py).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """Who sends an action."""

    STATION = "station"
    CSMS = "CSMS"


@dataclass(frozen=True, slots=True)
class Action:
    """One row: name, feature profile, sender, and the module of the station that sends or answers it; "" where the station does not support it."""

    name: str
    profile: str
    sender: Side
    part: str = ""


_S, _C = Side.STATION, Side.CSMS
TABLE: Final = (
    Action("Authorize", "Core", _S, "ocpp_verdicts"),
    Action("BootNotification", "Core", _S, "ocpp_sources"),
    Action("DataTransfer", "Core", _S, "ocpp_transactions"),
    Action("Heartbeat", "Core", _S, "ocpp_sources"),
    Action("MeterValues", "Core", _S, "ocpp_transactions"),
    Action("StartTransaction", "Core", _S, "ocpp_transactions"),
    Action("StatusNotification", "Core", _S, "ocpp_sources"),
    Action("StopTransaction", "Core", _S, "ocpp_transactions"),
    Action("ChangeAvailability", "Core", _C, "ocpp16_requests"),
    Action("ChangeConfiguration", "Core", _C, "ocpp16_requests"),
    Action("ClearCache", "Core", _C, "ocpp_local_tokens"),
    Action("DataTransfer", "Core", _C, "ocpp16_requests"),
    Action("GetConfiguration", "Core", _C, "ocpp16_requests"),
    Action("RemoteStartTransaction", "Core", _C, "ocpp16_requests"),
    Action("RemoteStopTransaction", "Core", _C, "ocpp16_requests"),
    Action("Reset", "Core", _C, "ocpp16_requests"),
    Action("UnlockConnector", "Core", _C, "ocpp16_requests"),
    Action("GetDiagnostics", "FirmwareManagement", _C, "ocpp_logs"),
    Action("UpdateFirmware", "FirmwareManagement", _C, "ocpp_firmware"),
    Action("DiagnosticsStatusNotification", "FirmwareManagement", _S, "ocpp_logs"),
    Action("FirmwareStatusNotification", "FirmwareManagement", _S, "ocpp_firmware"),
    Action("GetLocalListVersion", "LocalAuthListManagement", _C, "ocpp_local_tokens"),
    Action("SendLocalList", "LocalAuthListManagement", _C, "ocpp_local_tokens"),
    Action("CancelReservation", "Reservation", _C, "ocpp_reservations"),
    Action("ReserveNow", "Reservation", _C, "ocpp_reservations"),
    Action("ClearChargingProfile", "SmartCharging", _C, "ocpp_smart_charging"),
    Action("GetCompositeSchedule", "SmartCharging", _C, "ocpp_smart_charging"),
    Action("SetChargingProfile", "SmartCharging", _C, "ocpp_smart_charging"),
    Action("TriggerMessage", "RemoteTrigger", _C, "ocpp16_requests"),
    Action("CertificateSigned", "Security", _C, "ocpp_certificates"),
    Action("DeleteCertificate", "Security", _C, "ocpp_certificates"),
    Action("ExtendedTriggerMessage", "Security", _C, "ocpp16_requests"),
    Action("GetInstalledCertificateIds", "Security", _C, "ocpp_certificates"),
    Action("GetLog", "Security", _C, "ocpp_logs"),
    Action("InstallCertificate", "Security", _C, "ocpp_certificates"),
    Action("SignedUpdateFirmware", "Security", _C, "ocpp_firmware"),
    Action("LogStatusNotification", "Security", _S, "ocpp_logs"),
    Action("SecurityEventNotification", "Security", _S, "ocpp_security_events"),
    Action("SignCertificate", "Security", _S, "ocpp_certificates"),
    Action("SignedFirmwareStatusNotification", "Security", _S, "ocpp_firmware"),
)
# What a CSMS may send: a known action that is not supported is answered NotSupported, all else NotImplemented (OCPP-J section 4.2.3, errata 3.39).
FROM_CSMS: Final = frozenset(row.name for row in TABLE if row.sender is Side.CSMS)
# What the table calls the security whitepaper, which is no feature profile of the protocol.
WHITEPAPER: Final = "Security"
# Feature profiles of the table of which every action is supported, for the key SupportedFeatureProfiles.
SUPPORTED_PROFILES: Final = tuple(
    profile
    for profile in dict.fromkeys(row.profile for row in TABLE if row.profile != WHITEPAPER)
    if all(row.part for row in TABLE if row.profile == profile and row.sender is Side.CSMS)
)
