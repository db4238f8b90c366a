"""What hangs on the buses of an EVSE, by vehicle link: which database each bus speaks, who receives, who reports, who sends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from evse_core.can_schedule import Receiver
from evse_core.codecs.ac_output import AcOutput, NoModules, NoVehicle
from evse_core.codecs.chademo import ChademoStation
from evse_core.codecs.evse_v3 import ModulesReceiver, ModulesSender
from evse_core.codecs.io_board import IoBoard
from evse_core.codecs.meter import METER_DATABASE, BoardAndMeter, CanMeter
from evse_core.codecs.secc import SeccStation
from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.types import BusLink
from evse_core.vehicle_link import CHADEMO, PILOT, SECC

IO_DATABASE = "io_board"
# Name of the CAN database of each bus that a link has, in the order in which a cut goes out: the modules, the contactor, the word to the vehicle.
DATABASES: Mapping[str, Mapping[BusLink, str]] = {
    CHADEMO: {BusLink.POWER: "evse_v3", BusLink.IO: IO_DATABASE, BusLink.VEHICLE: "chademo"},
    SECC: {BusLink.POWER: "evse_v3", BusLink.IO: IO_DATABASE, BusLink.VEHICLE: "evse_v3"},
    PILOT: {BusLink.IO: IO_DATABASE},
}

Receive = Callable[[Frame, float], int | None]


class Place(Protocol):
    """What of a configuration says where the devices are (can_bridge.CanBridgeConfig)."""

    @property
    def vehicle_link(self) -> str:
        """Name of the link."""

    @property
    def pistol(self) -> int:
        """Pistol index on the power bus."""

    @property
    def controller_pistol(self) -> int:
        """Pistol index of a charge controller on the vehicle bus."""

    @property
    def controller_timeout(self) -> float:
        """Silence of a charge controller that cuts power. [s]"""

    @property
    def has_meter(self) -> bool:
        """A meter hangs on the bus of the I/O board."""

    @property
    def controller_lamps(self) -> str:
        """Whose LEDs show the lamp."""


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices, who takes the frames of each bus, and who fills each topic."""

    vehicle: ChademoStation | SeccStation | NoVehicle
    modules: ModulesReceiver | AcOutput
    sender: ModulesSender | NoModules
    board: IoBoard
    receive: Mapping[BusLink, Receive]
    reports: Mapping[str, Receiver]


def database_names(place: Place) -> tuple[str, ...]:
    """Return the names of the databases that the buses of an EVSE need."""
    return (*dict.fromkeys(DATABASES[place.vehicle_link].values()), *((METER_DATABASE,) if place.has_meter else ()))


def make_devices(place: Place, databases: Mapping[str, SignalDatabase]) -> Devices:
    """Return what hangs on the buses of a link; KeyError where a database is missing."""
    devices = _devices(place, databases)
    if not place.has_meter:
        return devices
    meter = CanMeter(databases[METER_DATABASE])
    both = BoardAndMeter(databases[METER_DATABASE], meter, devices.board.receive)
    return replace(devices, receive={**devices.receive, BusLink.IO: both.receive}, reports={**devices.reports, "meter_report": meter})


def _devices(place: Place, databases: Mapping[str, SignalDatabase]) -> Devices:
    board = IoBoard(databases[IO_DATABASE])
    if place.vehicle_link == PILOT:
        output = AcOutput(board)
        return Devices(NoVehicle(), output, NoModules(), board, {BusLink.IO: board.receive}, {"power_report": output, "io_report": board})
    names = DATABASES[place.vehicle_link]
    power = databases[names[BusLink.POWER]]
    vehicle, modules = _vehicle(place, databases[names[BusLink.VEHICLE]]), ModulesReceiver(power, place.pistol)
    receivers: dict[BusLink, Receive] = {BusLink.POWER: modules.receive, BusLink.IO: board.receive, BusLink.VEHICLE: vehicle.receive}
    reports: dict[str, Receiver] = {"vehicle_report": vehicle, "power_report": modules, "io_report": board}
    return Devices(vehicle, modules, ModulesSender(power, place.pistol), board, {link: receivers[link] for link in names}, reports)


def _vehicle(place: Place, database: SignalDatabase) -> ChademoStation | SeccStation:
    if place.vehicle_link == SECC:
        return SeccStation(database, place.controller_pistol, place.controller_timeout, place.controller_lamps)
    return ChademoStation(database)
