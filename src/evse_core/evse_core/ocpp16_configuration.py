"""The configuration keys of OCPP 1.6: one table, read and changed by the CSMS (1.6 section 9).

A key with a field stands for that field of OcppConfig, whose bounds hold here, too; one without has a fixed value. Keys are not case-sensitive.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_messages import measurands
from evse_core.parameter import check

# Longest value of a key (1.6 section 7.29). [characters]
VALUE_LENGTH: Final = 500
# GetConfigurationMaxKeys: more than there are. [1]
MAX_KEYS: Final = 50


@dataclass(frozen=True, slots=True)
class Key:
    """One row: name, the field behind it or the fixed value ("{n}" is the number of connectors), whether the CSMS may change it and when that counts."""

    name: str
    field: str = ""
    value: str = ""
    writable: bool = False
    reboot: bool = False


KEYS: Final = (
    Key("AllowOfflineTxForUnknownId", "allow_offline_tx_for_unknown_id", writable=True),
    Key("AuthorizeRemoteTxRequests", "authorize_remote_tx_requests", writable=True),
    Key("ClockAlignedDataInterval", value="0"),
    Key("ConnectionTimeOut", "connection_time_out"),
    Key("ConnectorPhaseRotation", value="NotApplicable"),
    Key("GetConfigurationMaxKeys", value=str(MAX_KEYS)),
    Key("HeartbeatInterval", "heartbeat_interval", writable=True),
    Key("LocalAuthorizeOffline", value="false"),
    Key("LocalPreAuthorize", value="false"),
    Key("MessageTimeout", "message_timeout", writable=True),
    Key("MeterValuesAlignedData"),
    Key("MeterValuesSampledData", "meter_values_sampled_data", writable=True),
    Key("MeterValueSampleInterval", "meter_value_sample_interval", writable=True),
    Key("MinimumStatusDuration", "minimum_status_duration", writable=True),
    Key("NumberOfConnectors", value="{n}"),
    Key("ResetRetries", value="0"),
    Key("StopTransactionOnEVSideDisconnect", value="true"),
    Key("StopTransactionOnInvalidId", "stop_transaction_on_invalid_id", writable=True),
    Key("StopTxnAlignedData"),
    Key("StopTxnSampledData"),
    Key("SupportedFeatureProfiles", value="Core,RemoteTrigger"),
    Key("TransactionMessageAttempts", "transaction_message_attempts", writable=True),
    Key("TransactionMessageRetryInterval", "transaction_message_retry_interval", writable=True),
    Key("UnlockConnectorOnEVSideDisconnect", value="false"),
    Key("WebSocketPingInterval", "websocket_ping_interval", writable=True, reboot=True),
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
    if not config.charge_point_id:
        found.append("charge_point_id: is empty")
    try:
        measurands(config.meter_values_sampled_data)
    except ValueError as error:
        found.append(f"meter_values_sampled_data: {error}")
    return found


def get(config: OcppConfig, connectors: int, names: Iterable[str] = ()) -> dict[str, Any]:
    """Return the payload of GetConfiguration.conf for the named keys, for all where none is named."""
    wanted = list(names)
    known = [_BY_NAME[name.lower()] for name in wanted if name.lower() in _BY_NAME] if wanted else list(KEYS)
    payload: dict[str, Any] = {
        "configurationKey": [{"key": key.name, "readonly": not key.writable, "value": _text(key, config, connectors)} for key in known]
    }
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


def _text(key: Key, config: OcppConfig, connectors: int) -> str:
    value = getattr(config, key.field) if key.field else key.value.format(n=connectors)
    if isinstance(value, bool):
        return str(value).lower()
    return (f"{value:g}" if isinstance(value, float) else str(value))[:VALUE_LENGTH]


def _parse(field: str, text: str) -> Any:
    """Return text in the type of the field; ValueError where it is none."""
    if field == "meter_values_sampled_data":
        return ",".join(measurands(text))
    return _PARSERS[field](text)


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
