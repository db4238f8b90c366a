"""What an EVSE of each vehicle link is made of in the simulated world: vehicle, supply, and how they come back after a failure of the mains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evse_core.can_bridge_devices import DATABASES
from evse_core.codecs.signals import SignalDatabase
from evse_core.types import BusLink
from evse_core.vehicle_link import CHADEMO, PILOT, SECC
from evse_simulators.ac_supply import AcSupply
from evse_simulators.ac_vehicle import AcVehicleModel
from evse_simulators.power_modules import PowerModulesModel
from evse_simulators.secc import SeccModel
from evse_simulators.vehicle import VehicleModel
from evse_simulators.world_config import WorldConfig

Databases = Mapping[str, SignalDatabase]
Vehicle = VehicleModel | SeccModel | AcVehicleModel
Supply = PowerModulesModel | AcSupply
# Buses in the order in which they are told of.
_BUSES = (BusLink.VEHICLE, BusLink.POWER, BusLink.IO)


@dataclass(frozen=True, slots=True)
class Parts:
    """One link: what makes its vehicle from its configuration, whether it has power modules, whether the lock is at the vehicle's end, and whether a line of
    the vehicle wakes the board at once.

    A line wakes the board's node for every link; in the worlds of the older ones it does not, so that a seed of a campaign keeps its meaning.
    """

    vehicle: Callable[[Any, Databases], Vehicle]
    has_modules: bool = True
    vehicle_locks: bool = False
    lines_wake: bool = False


PARTS = {
    CHADEMO: Parts(lambda config, databases: VehicleModel(config, databases["chademo"])),
    SECC: Parts(lambda config, databases: SeccModel(config, databases["evse_v3"]), vehicle_locks=True),
    PILOT: Parts(lambda config, _: AcVehicleModel(config), has_modules=False, lines_wake=True),
}


def buses_of(link: str) -> tuple[BusLink, ...]:
    """Return the CAN buses of a link."""
    return tuple(bus for bus in _BUSES if bus in DATABASES[link])


def make_supply(config: WorldConfig, databases: Databases) -> Supply:
    """Return what feeds the output: power modules, or the mains."""
    return PowerModulesModel(config.modules, databases["evse_v3"]) if PARTS[config.link].has_modules else AcSupply()


def restarted_supply(old: Supply, config: WorldConfig, databases: Databases) -> Supply:
    """Return the supply after a loss of power: what it is in, what is broken and what is charged stays; the mains have no memory."""
    made = make_supply(config, databases)
    made.faults = old.faults
    if isinstance(old, PowerModulesModel) and isinstance(made, PowerModulesModel):
        made.temperature, made.state, made._circuit = old.temperature, old.state, old._circuit
    return made


def cool_down(supply: Supply) -> None:
    """Let power modules get as cold as their surroundings."""
    if isinstance(supply, PowerModulesModel):
        supply.temperature = supply.enclosure_temperature = supply.config.cabinet_temperature
