"""docs/ocpp16.md: what is supported of OCPP 1.6, drawn from the table of actions and that of configuration keys."""

from dataclasses import fields

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_actions import TABLE, Action, Side
from evse_core.ocpp16_configuration import KEYS, Key, StationFacts, get
from evse_core.parameter import Parameter

HEAD = """# OCPP 1.6

Generated from `evse_core/ocpp16_actions.py` and `evse_core/ocpp16_configuration.py` by `./station docs`. What the rules say and where they are:
docs/design.md.

A known action that is not supported is answered NotSupported, an unknown one NotImplemented. What the CSMS has set or installed (keys, profiles, list, cache,
reservations, certificates, availability, messages that wait) lies in `data_dir`; an empty folder is a station from the factory. A file of these that cannot
be read counts as empty and is kept beside as `.damaged`; a change that does not reach the disk is not accepted.
"""
ACTIONS = """
## Actions

| action | profile | sent by | here |
|---|---|---|---|
"""
KEY_TABLE = """
## Configuration keys

Initial values stand under `ocpp_uplink.configuration` in the description, by the names of this table. A key of the specification that is not here stands for
something that the station does not have; it is answered NotSupported.

| key | type | changed by the CSMS | initial value | bounds | where in 1.6 |
|---|---|---|---|---|---|
"""
SECURITY = """
## Security

| security_profile | connection | the CSMS proves itself by | the station by |
|---|---|---|---|
| 0 | as `url` says | with wss: its certificate | AuthorizationKey where there is one |
| 1 | as `url` says | | AuthorizationKey |
| 2 | `secure_url`, or `url` with wss | certificate under an installed root | AuthorizationKey |
| 3 | `secure_url`, or `url` with wss | certificate under an installed root | its own certificate |

TLS is 1.2 or later, with the suites of the whitepaper and those that have forward secrecy for RSA. Where a profile lacks what it needs there is no
connection, and `uplink_state` says why; charging goes on offline. A first root comes from `csms_root_file`, the station's own certificate from the CSMS, or
from the factory as `data_dir/ocpp16_keys/station_0.pem` (key and chain).
- A change of SecurityProfile or AuthorizationKey has the connection made anew. Until that works, every third try takes the way before the change; a
  connection that it makes undoes the change. A profile goes upwards only.
- The key of a certificate is made here and never leaves. The newest certificate that is valid is used, every third try the one before it, which is kept for a
  month. A month before its end the station asks for another one, once a day. Its common name is the serial number, its organisation CpoName.
- With AdditionalRootCertificateCheck a new root must be signed by the old one, which goes when a connection stands under the new one. A root under which the
  connection may stand is not deleted.
- Security events stand in `data_dir/ocpp16_security.sqlite`, the last 5000. Those that matter to the CSMS are sent until it has answered, in order, also
  after a restart; a CSMS that answers NotImplemented is not asked again on that connection. `security_events: false` sends none. An
  event that repeats itself, such as a refused connection, is written once an hour.
"""
FILES = """
## Files

Firmware, logs and diagnostics go over HTTP, HTTPS, FTP and FTPS, passwords in the address. A download that was cut off goes on where it ended; uploads over
HTTP are PUT, below an address that ends with a slash. HTTPS and FTPS trust the roots of the machine and those of the CSMS. Where the CSMS names none there
are 3 tries, 30 s apart.
- An update lies in `data_dir/ocpp16_firmware` and goes on after a restart. It waits for its times and for the end of all sessions; idle EVSEs are out of
  service meanwhile. `firmware_install_command` gets the file as its last argument and runs as the user of the uplink; 0 means installed. Without that command
  every update ends as InstallationFailed, and the log says why. A command that restarts the station counts as having worked where `firmware_version` is
  another one afterwards.
- A signed firmware needs a certificate under a root of the manufacturer, checked before the order is accepted and again before the installation. Signatures
  are SHA-256 with RSA-PSS, or with ECDSA, which stands for the whitepaper's ECSchnorr. With a root of the manufacturer, or from security profile 2 on,
  UpdateFirmware is answered NotSupported.
- Diagnostics are an archive of `log` and `recordings` in `data_dir`, the newest 50 MB that were changed in the time asked for. The security log is a line of
  JSON for each event. A second request replaces the first one.
"""
CHOICES = """
## Choices where the specification leaves them

- Charging profiles: a recurring one begins with its first startSchedule. An absolute one without startSchedule counts from the begin of the transaction, a
  ChargePointMaxProfile without one from its receipt. TxDefaultProfiles of a connector come before those of connector 0, which fill their gaps. A TxProfile
  without transactionId is for the transaction that runs. The profile of a remote start waits 10 minutes for its session.
- A limit in A counts per phase of the mains; an outlet of direct current counts as three phases of 230 V, losses left out. On AC outputs it holds as a
  current.
- Composite schedules have no gaps: where no profile says anything the rating does, for connector 0 that of all connectors or the site's limit. Where nothing
  runs, what a transaction could take that begins now. A schedule of more than 1000 periods, 2000 borders of profiles
  or 366 days ends earlier and says so in its duration.
- Clock-aligned values stand at multiples of the interval from 00:00 UTC. Voltage, current and power are averaged over the interval. There is no main meter,
  so connector 0 tells none; outside of transactions they are sent while there is a connection and not kept.
- transactionData always begins and ends with the registers, with decimals, unless StopTxnSampledData and StopTxnAlignedData are both empty.
- A status change that the protocol's table does not have is told in steps that it has, such as Preparing, Available, Unavailable.
- A reservation of connector 0 shows at no connector; it keeps others away once the last free connector is theirs.
- The verdict of the CSMS comes before the local list; a difference is told as LocalListConflict, once for each token and list.
- A session that is refused afterwards and not stopped has MaxEnergyOnInvalidId from its begin on, then no power; the session that follows is not concerned.
- A vehicle that is unplugged ends its transaction. Without socket outlets the cable stays the station's (UnlockConnectorOnEVSideDisconnect is false).
"""


def ocpp16_markdown() -> str:
    """Return the page."""
    initial = {item["key"]: item.get("value", "") for item in get(OcppConfig(), StationFacts())["configurationKey"]}
    bounds = {item.name: item.metadata["parameter"] for item in fields(OcppConfig)}
    actions = "\n".join(_action(row) for row in TABLE)
    keys = "\n".join(_key(key, initial[key.name], bounds.get(key.field)) for key in KEYS)
    return f"{HEAD}{ACTIONS}{actions}\n{KEY_TABLE}{keys}\n{SECURITY}{FILES}{CHOICES}"


def _action(row: Action) -> str:
    missing = "NotSupported" if row.sender is Side.CSMS else "not sent"
    return f"| {row.name} | {row.profile} | {row.sender} | {f'`{row.part}`' if row.part else missing} |"


def _key(key: Key, value: str, bounds: Parameter | None) -> str:
    changed = "no" if not key.writable else "yes, after a reboot" if key.reboot else "yes"
    shown = "never told" if not key.readable else "as the station is built" if "{" in key.value else f"`{value}`" if value else "empty"
    limits = (
        "" if bounds is None or bounds.minimum is None else f"{bounds.minimum:g} to {bounds.maximum:g} {bounds.unit}".removesuffix(" 1")
    )
    return f"| {key.name} | {key.kind} | {changed} | {shown} | {limits} | {key.section} |"
