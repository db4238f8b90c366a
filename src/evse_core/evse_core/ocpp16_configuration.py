"""The configuration keys of OCPP 1.6: one table, read and changed by the CSMS (1.6 section 9).

A key with a field stands for that field of OcppConfig, whose bounds hold here, too; one without has a fixed value. Keys are not case-sensitive. An optional key
that is not here stands for something that this station does not have.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_access import BASIC, TLS, key_text
from evse_core.ocpp16_actions import SUPPORTED_PROFILES
from evse_core.ocpp16_messages import SUPPORTED_MEASURANDS, measurands
from evse_core.ocpp16_profile_store import rate_units
from evse_core.parameter import check

# Longest value of a key (1.6 section 7.29). [characters]
VALUE_LENGTH: Final = 500
# CertificateSignedMaxChainSize: as long as the schema allows. [characters]
CHAIN_SIZE: Final = 10000
# GetConfigurationMaxKeys: more than there are. [1]
MAX_KEYS: Final = 60


@dataclass(frozen=True, slots=True)
class StationFacts:
    """What keys tell of the station as it is built."""

    connectors: int = 1
    phase_switching: bool = False
    socket_outlets: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """One row: name, type, the field behind it or the fixed value, whether the CSMS may change it and when that counts, and the section of 1.6.

    In a fixed value {n} is the number of connectors, {switching} and {sockets} are booleans of StationFacts.
    """

    name: str
    kind: str
    section: str
    field: str = ""
    value: str = ""
    writable: bool = False
    reboot: bool = False
    readable: bool = True


# Types of keys (1.6 section 9).
BOOLEAN, INTEGER, LIST, STRING = "boolean", "integer", "CSL", "string"
_LONGEST_LIST: Final = str(len(SUPPORTED_MEASURANDS))
KEYS: Final = (
    Key("AllowOfflineTxForUnknownId", BOOLEAN, "9.1", "allow_offline_tx_for_unknown_id", writable=True),
    Key("AuthorizationCacheEnabled", BOOLEAN, "9.1", "authorization_cache_enabled", writable=True),
    Key("AuthorizeRemoteTxRequests", BOOLEAN, "9.1", "authorize_remote_tx_requests", writable=True),
    Key("ClockAlignedDataInterval", INTEGER, "9.1", "clock_aligned_data_interval", writable=True),
    Key("ConnectionTimeOut", INTEGER, "9.1", "connection_time_out", writable=True),
    Key("ConnectorPhaseRotation", LIST, "9.1", "connector_phase_rotation", writable=True),
    Key("GetConfigurationMaxKeys", INTEGER, "9.1", value=str(MAX_KEYS)),
    Key("HeartbeatInterval", INTEGER, "9.1", "heartbeat_interval", writable=True),
    Key("LocalAuthorizeOffline", BOOLEAN, "9.1", "local_authorize_offline", writable=True),
    Key("LocalPreAuthorize", BOOLEAN, "9.1", "local_pre_authorize", writable=True),
    Key("MaxEnergyOnInvalidId", INTEGER, "9.1", "max_energy_on_invalid_id", writable=True),
    Key("MessageTimeout", INTEGER, "errata", "message_timeout", writable=True),
    Key("MeterValuesAlignedData", LIST, "9.1", "meter_values_aligned_data", writable=True),
    Key("MeterValuesAlignedDataMaxLength", INTEGER, "9.1", value=_LONGEST_LIST),
    Key("MeterValuesSampledData", LIST, "9.1", "meter_values_sampled_data", writable=True),
    Key("MeterValuesSampledDataMaxLength", INTEGER, "9.1", value=_LONGEST_LIST),
    Key("MeterValueSampleInterval", INTEGER, "9.1", "meter_value_sample_interval", writable=True),
    Key("MinimumStatusDuration", INTEGER, "9.1", "minimum_status_duration", writable=True),
    Key("NumberOfConnectors", INTEGER, "9.1", value="{n}"),
    Key("ResetRetries", INTEGER, "9.1", "reset_retries", writable=True),
    Key("StopTransactionMaxMeterValues", INTEGER, "errata", "stop_transaction_max_meter_values"),
    Key("StopTransactionOnEVSideDisconnect", BOOLEAN, "9.1", value="true"),
    Key("StopTransactionOnInvalidId", BOOLEAN, "9.1", "stop_transaction_on_invalid_id", writable=True),
    Key("StopTxnAlignedData", LIST, "9.1", "stop_txn_aligned_data", writable=True),
    Key("StopTxnAlignedDataMaxLength", INTEGER, "9.1", value=_LONGEST_LIST),
    Key("StopTxnSampledData", LIST, "9.1", "stop_txn_sampled_data", writable=True),
    Key("StopTxnSampledDataMaxLength", INTEGER, "9.1", value=_LONGEST_LIST),
    Key("SupportedFeatureProfiles", LIST, "9.1", value=",".join(SUPPORTED_PROFILES)),
    Key("SupportedFileTransferProtocols", LIST, "whitepaper", value="FTP,FTPS,HTTP,HTTPS"),
    Key("TransactionMessageAttempts", INTEGER, "9.1", "transaction_message_attempts", writable=True),
    Key("TransactionMessageRetryInterval", INTEGER, "9.1", "transaction_message_retry_interval", writable=True),
    Key("UnlockConnectorOnEVSideDisconnect", BOOLEAN, "9.1", value="{sockets}"),
    Key("WebSocketPingInterval", INTEGER, "9.1", "websocket_ping_interval", writable=True, reboot=True),
    Key("LocalAuthListEnabled", BOOLEAN, "9.2", "local_auth_list_enabled", writable=True),
    Key("LocalAuthListMaxLength", INTEGER, "9.2", "local_auth_list_max_length"),
    Key("SendLocalListMaxLength", INTEGER, "9.2", "send_local_list_max_length"),
    Key("ReserveConnectorZeroSupported", BOOLEAN, "9.3", value="true"),
    Key("ChargeProfileMaxStackLevel", INTEGER, "9.4", "charge_profile_max_stack_level"),
    Key("ChargingScheduleAllowedChargingRateUnit", LIST, "9.4", value=rate_units()),
    Key("ChargingScheduleMaxPeriods", INTEGER, "9.4", "charging_schedule_max_periods"),
    Key("ConnectorSwitch3to1PhaseSupported", BOOLEAN, "9.4", value="{switching}"),
    Key("MaxChargingProfilesInstalled", INTEGER, "9.4", "max_charging_profiles_installed"),
    Key("AdditionalRootCertificateCheck", BOOLEAN, "whitepaper", "additional_root_certificate_check"),
    Key("AuthorizationKey", STRING, "whitepaper", "authorization_key", writable=True, readable=False),
    Key("CertificateSignedMaxChainSize", INTEGER, "whitepaper", value=str(CHAIN_SIZE)),
    Key("CertificateStoreMaxLength", INTEGER, "whitepaper", "certificate_store_max_length"),
    Key("CpoName", STRING, "whitepaper", "cpo_name", writable=True),
    Key("SecurityProfile", INTEGER, "whitepaper", "security_profile", writable=True),
)
_BY_NAME: Final = {key.name.lower(): key for key in KEYS}
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Change:
    """Answer to ChangeConfiguration, and the settings that hold from now on where it was accepted."""

    status: str
    config: OcppConfig | None = None
    stored: tuple[str, str] | None = None


def problems(config: OcppConfig) -> list[str]:
    """Return what is wrong with texts and types of the settings, one line each; numbers have their bounds."""
    found = []
    for item in fields(OcppConfig):
        value = getattr(config, item.name)
        if isinstance(item.default, str) != isinstance(value, str) or isinstance(item.default, bool) != isinstance(value, bool):
            found.append(f"{item.name}: {value!r} is {type(value).__name__}, not {type(item.default).__name__}")
    if found:
        return found
    if config.url and not config.url.startswith(("ws://", "wss://")):
        found.append(f"url: {config.url!r} does not begin with ws:// or wss://")
    if config.secure_url and not config.secure_url.startswith("wss://"):
        found.append(f"secure_url: {config.secure_url!r} does not begin with wss://")
    if config.security_profile in (BASIC, TLS) and not config.authorization_key:
        found.append(f"security_profile: {config.security_profile} needs an authorization_key")
    if not config.charge_point_id:
        found.append("charge_point_id: is empty")
    for name, parse in _TEXTS.items():
        try:
            parse(getattr(config, name))
        except ValueError as error:
            found.append(f"{name}: {error}")
    return found


def get(config: OcppConfig, facts: StationFacts, names: Iterable[str] = ()) -> dict[str, Any]:
    """Return the payload of GetConfiguration.conf for the named keys, for all where none is named."""
    wanted = list(names)
    known = [_BY_NAME[name.lower()] for name in wanted if name.lower() in _BY_NAME] if wanted else list(KEYS)
    payload: dict[str, Any] = {"configurationKey": [_told(key, config, facts) for key in known]}
    if unknown := [name for name in wanted if name.lower() not in _BY_NAME]:
        payload["unknownKey"] = unknown
    return payload


def change(config: OcppConfig, name: str, value: str) -> Change:
    """Return the answer to a ChangeConfiguration; nothing is changed unless it says Accepted or RebootRequired."""
    key = _BY_NAME.get(name.lower())
    if key is None:
        return Change("NotSupported")
    if not key.writable:
        return Change("Rejected")
    try:
        changed = replace(config, **{key.field: _parse(key.field, value)})
    except ValueError:
        return Change("Rejected")
    if check(changed):
        return Change("Rejected")
    return Change("RebootRequired" if key.reboot else "Accepted", changed, (key.name, value))


def restored(config: OcppConfig, stored: Mapping[str, str]) -> OcppConfig:
    """Return the settings with the changes that a CSMS made earlier; one that is no longer valid is left out."""
    for name, value in stored.items():
        config = change(config, name, value).config or config
    return config


def refusal(name: str, value: object) -> str:
    """Return why a key cannot have an initial value, "" where it can; value as a description gives it."""
    key = _BY_NAME.get(name.lower())
    if key is None or not key.writable:
        return f"{name} is no key that can be set"
    return (
        "" if change(OcppConfig(), name, initial_text(value)).config is not None else f"{name}: {value!r} is no value for it ({key.kind})"
    )


def initial_text(value: object) -> str:
    """Return a value of a description as the protocol writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(key: Key, config: OcppConfig, facts: StationFacts) -> dict[str, Any]:
    told = {"key": key.name, "readonly": not key.writable}
    return told | ({"value": _text(key, config, facts)} if key.readable else {})


def _text(key: Key, config: OcppConfig, facts: StationFacts) -> str:
    told = {"n": facts.connectors, "switching": str(facts.phase_switching).lower(), "sockets": str(facts.socket_outlets).lower()}
    value = getattr(config, key.field) if key.field else key.value.format(**told)
    if isinstance(value, bool):
        return str(value).lower()
    return (f"{value:g}" if isinstance(value, float) else str(value))[:VALUE_LENGTH]


def _parse(field: str, text: str) -> Any:
    """Return text in the type of the field; ValueError where it is none."""
    if field in _FROM_FAR:
        return _FROM_FAR[field](text)
    return _TEXTS[field](text) if field in _TEXTS else _PARSERS[field](text)


def _measurands(text: str) -> str:
    return ",".join(measurands(text))


def _rotation(text: str) -> str:
    """Return a ConnectorPhaseRotation, each connector named once."""
    items = [item.strip() for item in text.split(",")]
    if items == [NO_ROTATION]:
        return NO_ROTATION
    found = [_ROTATION.fullmatch(item) for item in items]
    if not all(found) or len({match[1] for match in found if match}) < len(items):
        raise ValueError(f"{text!r} is no list such as 0.RST,1.RST")
    return ",".join(items)


NO_ROTATION: Final = "NotApplicable"
_ROTATION: Final = re.compile(r"(\d{1,3})\.(NotApplicable|Unknown|RST|RTS|SRT|STR|TRS|TSR)")
_TEXTS: Final[Mapping[str, Callable[[str], str]]] = {
    "meter_values_sampled_data": _measurands,
    "meter_values_aligned_data": _measurands,
    "stop_txn_sampled_data": _measurands,
    "stop_txn_aligned_data": _measurands,
    "connector_phase_rotation": _rotation,
}


def _organisation(text: str) -> str:
    """Return the name of an operator, "" for none: at most 64 characters, as a certificate takes them (RFC 5280 appendix A.1)."""
    if len(text) > 64 or not text.isprintable():
        raise ValueError(f"{text!r} is no name of at most 64 characters")
    return text


# Texts that a CSMS may set, and a description more freely.
_FROM_FAR: Final[Mapping[str, Callable[[str], str]]] = {"authorization_key": key_text, "cpo_name": _organisation}


def _boolean(text: str) -> bool:
    if text.strip().lower() not in _BOOLEANS:
        raise ValueError(f"{text!r} is neither true nor false")
    return _BOOLEANS[text.strip().lower()]


def _seconds(text: str) -> float:
    """Return whole seconds: the protocol's numbers are integers."""
    return float(int(text))


def _parser(default: object) -> Callable[[str], Any]:
    if isinstance(default, bool):
        return _boolean
    return _seconds if isinstance(default, float) else int if isinstance(default, int) else str


_PARSERS: Final = {item.name: _parser(item.default) for item in fields(OcppConfig)}
