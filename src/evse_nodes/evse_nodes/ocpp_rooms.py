"""The rooms of the uplink that keep what a CSMS has installed: one for each feature profile, each with its files in the uplink's folder and its calls."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_composite import Site
from evse_core.ocpp16_requests import Handlers
from evse_nodes.ocpp_certificates import Certificates, Listeners
from evse_nodes.ocpp_file import KeptFile
from evse_nodes.ocpp_firmware import Firmware, Surroundings
from evse_nodes.ocpp_local_tokens import LocalTokens
from evse_nodes.ocpp_logs import Logs
from evse_nodes.ocpp_reservations import Reservations
from evse_nodes.ocpp_smart_charging import SmartCharging
from evse_nodes.ocpp_transfers import Transfers

if TYPE_CHECKING:
    from evse_nodes.ocpp_uplink import OcppUplink


@dataclass(frozen=True)
class Rooms:
    """The rooms, named like their modules."""

    certificates: Certificates
    firmware: Firmware
    logs: Logs
    smart_charging: SmartCharging
    local_tokens: LocalTokens
    reservations: Reservations

    def handlers(self) -> Handlers:
        """Return the calls that are answered in one of them."""
        rooms = (getattr(self, item.name) for item in fields(self))
        return {action: handler for room in rooms for action, handler in room.handlers().items()}

    def close(self) -> None:
        """Call off what is under way."""
        self.firmware.close()
        self.logs.close()


def furnished(uplink: "OcppUplink", site: Site) -> Rooms:
    """Return the rooms of an uplink whose EVSEs and sources are there."""

    def file(name: str) -> KeptFile:
        return KeptFile(uplink.folder / f"ocpp16_{name}.json")

    def config() -> OcppConfig:
        return uplink.config

    listeners = Listeners(uplink.security_events.note, uplink.renew_connection)
    certificates = Certificates(file("certificates"), uplink.folder / "ocpp16_keys", config, listeners)
    transfers = Transfers(certificates, lambda: uplink.config.firmware_max_size)
    around = Surroundings(
        config,
        lambda: [number for number, item in uplink.evses.items() if not item.session_active and item.connector().available],
        lambda: any(item.session_active for item in uplink.evses.values()),
        uplink.ask,
        uplink.notices.tell,
        uplink.security_events.note,
        uplink.spawn,
    )
    return Rooms(
        certificates,
        Firmware(file("firmware"), uplink.folder / "ocpp16_firmware", certificates, transfers, around),
        Logs(uplink.folder, uplink.security_events.log, transfers, config, uplink.notices.tell, uplink.spawn),
        SmartCharging(file("profiles"), uplink.config, site, uplink.publish),
        LocalTokens(file("local_list"), file("authorization_cache"), config, uplink.statuses.tell_conflict),
        Reservations(file("reservations"), lambda: {number: item.connector().status for number, item in uplink.evses.items()}),
    )
