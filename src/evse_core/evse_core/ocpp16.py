"""Settings of the OCPP 1.6J uplink.

The rules stand in the other ocpp16_* modules; ocpp16_actions has the table of all actions and where they are, ocpp16_configuration that of the keys.
Sources: "1.6" is the OCPP 1.6 edition 2 specification, "OCPP-J" its JSON transport specification, "2.0.1 part 4" the transport part of OCPP 2.0.1.
"""

from dataclasses import dataclass

from evse_core.parameter import parameter

# The WebSocket sub-protocol that both sides must agree on (OCPP-J 1.6 section 3.1.2).
SUBPROTOCOL = "ocpp1.6"

# What is exported is told only where it is not 0 (ocpp16_messages.py).
MEASURANDS = "Energy.Active.Import.Register,Energy.Active.Export.Register,Power.Active.Import,Power.Active.Export,Voltage,Current.Import,Current.Export,SoC"


@dataclass(frozen=True, slots=True)
class OcppConfig:
    """What a builder may set; most of it is also a key that the CSMS may read or change (ocpp16_configuration)."""

    url: str = parameter("", "", "WebSocket address of the CSMS without the charge point id; empty: no CSMS, charging is free", "own")
    charge_point_id: str = parameter("EVSE-1", "", "Identity of the station, last part of the address", "OCPP-J 3.1.1")
    authorization_key: str = parameter(
        "",
        "",
        "AuthorizationKey: password of HTTP basic authentication, as text or as 32 to 40 hexadecimal digits; empty: none",
        "1.6 security whitepaper A00",
    )
    secure_url: str = parameter(
        "", "", "Address (wss) for security profiles 2 and 3; empty: url with wss in the place of ws", "1.6 security whitepaper A00"
    )
    security_profile: int = parameter(
        0,
        "1",
        "SecurityProfile: 0 none, 1 password, 2 TLS and password, 3 TLS with certificates of both",
        "1.6 security whitepaper 3",
        0,
        3,
    )
    security_events: bool = parameter(
        True, "", "Tell security events; false for a CSMS without the security extension", "1.6 security whitepaper A04"
    )
    csms_root_file: str = parameter(
        "", "", "PEM file with root certificates of the CSMS, for a station that has none installed", "1.6 security whitepaper 3"
    )
    cpo_name: str = parameter("", "", "CpoName: organisation in the station's certificate", "1.6 security whitepaper 7")
    additional_root_certificate_check: bool = parameter(
        False, "", "AdditionalRootCertificateCheck: a new root of the CSMS must be signed by the old one", "1.6 security whitepaper 7"
    )
    certificate_store_max_length: int = parameter(
        10, "1", "CertificateStoreMaxLength: root certificates at a time", "1.6 security whitepaper 7; value own", 1, 100
    )
    vendor: str = parameter("ros2_evse", "", "Vendor in BootNotification, at most 20 characters", "1.6 section 6.1")
    model: str = parameter("ros2_evse", "", "Model in BootNotification, at most 20 characters", "1.6 section 6.1")
    serial_number: str = parameter("", "", "Serial number in BootNotification, at most 25 characters; empty: not sent", "1.6 section 6.1")
    firmware_version: str = parameter(
        "", "", "Firmware version in BootNotification, at most 50 characters; empty: not sent", "1.6 section 6.1"
    )
    heartbeat_interval: float = parameter(
        300.0, "s", "Heartbeat interval where the CSMS gives none", "1.6 section 4.2 leaves it open", 1.0, 86400.0
    )
    boot_retry_interval: float = parameter(
        30.0, "s", "Wait before the next BootNotification where the CSMS gives none", "1.6 section 4.2 leaves it open", 1.0, 86400.0
    )
    message_timeout: float = parameter(30.0, "s", "Longest wait for an answer of the CSMS", "default of the ocpp library", 1.0, 600.0)
    authorize_timeout: float = parameter(
        10.0, "s", "Longest wait for an Authorize answer before the offline policy decides", "a driver waits at the reader", 1.0, 120.0
    )
    websocket_ping_interval: int = parameter(20, "s", "WebSocketPingInterval; 0: no pings", "default of the websockets library", 0, 3600)
    meter_value_sample_interval: int = parameter(60, "s", "MeterValueSampleInterval; 0: no MeterValues", "1.6 section 9.1.16", 0, 86400)
    meter_values_sampled_data: str = parameter(MEASURANDS, "", "MeterValuesSampledData, comma-separated measurands", "1.6 section 9.1.17")
    minimum_status_duration: int = parameter(0, "s", "MinimumStatusDuration; 0: report each status", "1.6 section 9.1.15", 0, 600)
    connection_time_out: int = parameter(
        60, "s", "ConnectionTimeOut; not given: authorization_validity of the first EVSE's charge_sequencer", "1.6 section 9.1.8", 5, 3600
    )
    transaction_message_attempts: int = parameter(3, "1", "TransactionMessageAttempts: transmissions in all", "1.6 section 9.1.27", 1, 100)
    transaction_message_retry_interval: int = parameter(
        60, "s", "TransactionMessageRetryInterval, times the number of earlier transmissions", "1.6 section 9.1.28", 0, 3600
    )
    back_off_wait_minimum: float = parameter(5.0, "s", "Shortest wait before a reconnect", "2.0.1 part 4 section 5.3", 0.0, 3600.0)
    back_off_random_range: float = parameter(
        5.0, "s", "Random part of the wait before a reconnect", "2.0.1 part 4 section 5.3", 0.0, 3600.0
    )
    back_off_repeat_times: int = parameter(4, "1", "How many times the wait is doubled", "2.0.1 part 4 section 5.3", 0, 20)
    allow_offline_tx_for_unknown_id: bool = parameter(
        False, "", "AllowOfflineTxForUnknownId: accept unknown tokens offline", "1.6 section 9.1.1"
    )
    stop_transaction_on_invalid_id: bool = parameter(
        True, "", "StopTransactionOnInvalidId: end a session that the CSMS refuses; false: take its power away only", "1.6 section 9.1.24"
    )
    max_energy_on_invalid_id: int = parameter(
        0,
        "Wh",
        "MaxEnergyOnInvalidId: energy of such a session, from its begin, before its power is taken away",
        "1.6 section 9.1.14; value own",
        0,
        1_000_000,
    )
    authorize_remote_tx_requests: bool = parameter(
        False, "", "AuthorizeRemoteTxRequests: ask the CSMS for the token of a remote start, too", "1.6 section 9.1.3"
    )
    meter_values_aligned_data: str = parameter(
        "Energy.Active.Import.Register", "", "MeterValuesAlignedData, comma-separated measurands", "1.6 section 9.1.15; value own"
    )
    clock_aligned_data_interval: int = parameter(
        0, "s", "ClockAlignedDataInterval, counted from 00:00:00 UTC; 0: none", "1.6 section 9.1.7", 0, 86400
    )
    stop_txn_sampled_data: str = parameter(
        "Energy.Active.Import.Register",
        "",
        "StopTxnSampledData, comma-separated measurands of transactionData",
        "1.6 section 9.1.26; value own",
    )
    stop_txn_aligned_data: str = parameter(
        "", "", "StopTxnAlignedData, comma-separated measurands of transactionData", "1.6 section 9.1.25; value own"
    )
    stop_transaction_max_meter_values: int = parameter(
        200,
        "1",
        "StopTransactionMaxMeterValues: most meter values of transactionData, begin and end included",
        "1.6 errata; value own",
        2,
        1000,
    )
    connector_phase_rotation: str = parameter("NotApplicable", "", "ConnectorPhaseRotation, such as 0.RST,1.RST", "1.6 section 9.1.9")
    reset_retries: int = parameter(
        1, "1", "ResetRetries: further tries to end the sessions before a reset", "1.6 section 9.1.22; value own", 0, 10
    )
    local_authorize_offline: bool = parameter(
        True, "", "LocalAuthorizeOffline: while offline, tokens of the local list and the cache may charge", "1.6 section 9.1.13; value own"
    )
    local_pre_authorize: bool = parameter(
        False, "", "LocalPreAuthorize: tokens of the local list and the cache need not wait for the CSMS", "1.6 section 9.1.14; value own"
    )
    authorization_cache_enabled: bool = parameter(
        True, "", "AuthorizationCacheEnabled: answers of the CSMS are remembered", "1.6 section 9.1.2; value own"
    )
    authorization_cache_size: int = parameter(1000, "1", "Tokens that the cache remembers", "own", 0, 100_000)
    local_auth_list_enabled: bool = parameter(True, "", "LocalAuthListEnabled: the local list counts", "1.6 section 9.2.1; value own")
    local_auth_list_max_length: int = parameter(
        5000, "1", "LocalAuthListMaxLength: tokens of the local list", "1.6 section 9.2.2; value own", 1, 100_000
    )
    send_local_list_max_length: int = parameter(
        1000,
        "1",
        "SendLocalListMaxLength: tokens of one SendLocalList",
        "1.6 section 9.2.3; value own: 1 MiB is the largest message",
        1,
        5000,
    )
    charge_profile_max_stack_level: int = parameter(
        20, "1", "ChargeProfileMaxStackLevel: highest stackLevel", "1.6 section 9.4.1; value own", 0, 1000
    )
    charging_schedule_max_periods: int = parameter(
        100, "1", "ChargingScheduleMaxPeriods: periods of a schedule", "1.6 section 9.4.3; value own: 15-minute steps of a day", 1, 1000
    )
    max_charging_profiles_installed: int = parameter(
        50, "1", "MaxChargingProfilesInstalled: profiles at a time", "1.6 section 9.4.5; value own", 1, 1000
    )
    firmware_install_command: str = parameter(
        "", "", "Command that installs a firmware, the file as its last argument; empty: none is installed", "1.6 section 4.5"
    )
    firmware_install_timeout: float = parameter(1800.0, "s", "Longest time of that command", "own", 1.0, 86400.0)
    firmware_max_size: int = parameter(2_000_000_000, "B", "Largest firmware and largest log that is transferred", "own", 1, 10**12)
    tell_cost: bool = parameter(
        False, "", "Tell the price of each session by a DataTransfer of this project after its StopTransaction", "own: docs/tariffs.md"
    )
    max_queued_meter_values: int = parameter(
        10000,
        "1",
        "MeterValues kept on disk while offline; the oldest go first, never a start or a stop",
        "own: some 7 days at 60 s",
        10,
        1000000,
    )
