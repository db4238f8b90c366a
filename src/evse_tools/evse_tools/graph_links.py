"""What `station bench graph` has to know of each vehicle link: phases of a session, buses with the faults that their loss raises, car, and what shows power.

The states of a session are those of docs/states.md; who is not in the powered ones may die without a fault of its own being the reason of the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evse_core import vehicle_link
from evse_core.types import ChargeState as S
from evse_core.types import StopCause as C

BEFORE = (S.PREPARING, S.AUTHORIZING)


@dataclass(frozen=True)
class Signal:
    """A value on a bus: the largest of some signals of a frame."""

    bus: str
    frame: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Power:
    """Where the buses show what is delivered, what the vehicle asks for or is offered, and the station's command to the output."""

    current: Signal
    request: Signal
    command: Signal
    # Values of the command that put no power on the output.
    harmless: tuple[float, ...]
    databases: Mapping[str, str]


@dataclass(frozen=True)
class GraphLink:
    """One vehicle link. `buses` by name with what their loss may raise; `charging`: current above which the car counts as charging [A]."""

    starting: tuple[S, ...]
    powered: tuple[S, ...]
    ending: tuple[S, ...]
    buses: Mapping[str, tuple[str, ...]]
    simulator: str
    car: Mapping[str, Any]
    charging: float
    power: Power
    # What a station of this link may say besides when a node that power needs is gone, and why its session may end then.
    also: tuple[str, ...] = ()
    causes: tuple[C, ...] = ()

    @property
    def phases(self) -> tuple[S, ...]:
        """Return all phases in which something is disturbed, in the order of a session."""
        return (*BEFORE, *self.starting, *self.powered, *self.ending)


# Power_Function of DC_Power_Control that puts no power on the output: Off, Standby (config/can/evse_v3.dbc).
_HARMLESS = (0.0, 1.0)
_MODULES = Signal("power_bus", "Power_Modules_Status", ("Present_Current",))
_COMMAND = Signal("power_bus", "DC_Power_Control", ("Power_Function",))
_POWER_BUS = ("power_modules_silent", "bus_off", "power_cut")
_IO_BUS = ("io_board_silent", "bus_off")
# Half of what the station has, so that too much is possible. [A]
_CAR = {"max_current": 60.0}

LINKS: dict[str, GraphLink] = {
    vehicle_link.CHADEMO: GraphLink(
        starting=(S.WAITING_FOR_PERMISSION, S.LOCKING),
        powered=(S.CABLE_CHECK, S.WAITING_FOR_CONTACTOR, S.CHARGING),
        ending=(S.RAMPING_DOWN, S.WELDING_DETECTION, S.UNLOCKING),
        buses={"vehicle_bus": ("vehicle_silent", "bus_off"), "power_bus": _POWER_BUS, "io_bus": _IO_BUS},
        simulator="vehicle_simulator",
        car=_CAR,
        charging=30.0,
        power=Power(
            _MODULES,
            Signal("vehicle_bus", "EV_Status", ("charging_current_request",)),
            _COMMAND,
            _HARMLESS,
            {"power_bus": "evse_v3", "vehicle_bus": "chademo"},
        ),
    ),
    vehicle_link.SECC: GraphLink(
        starting=(S.LOCKING,),
        powered=(S.CABLE_CHECK, S.PRECHARGE, S.CHARGING),
        ending=(S.RAMPING_DOWN, S.WELDING_DETECTION),
        buses={"vehicle_bus": ("controller_silent", "power_cut", "bus_off"), "power_bus": _POWER_BUS, "io_bus": _IO_BUS},
        simulator="secc_simulator",
        car=_CAR,
        charging=30.0,
        power=Power(
            _MODULES,
            Signal("vehicle_bus", "DC_Power_Control", ("Current_Range_Max",)),
            _COMMAND,
            _HARMLESS,
            {"power_bus": "evse_v3", "vehicle_bus": "evse_v3"},
        ),
        # The controller hears its power modules no more and ends the session first.
        also=("controller_emergency",),
        causes=(C.VEHICLE_FAULT, C.VEHICLE),
    ),
    vehicle_link.PILOT: GraphLink(
        starting=(S.LOCKING, S.WAITING_FOR_REQUEST),
        powered=(S.CHARGING,),
        ending=(S.RAMPING_DOWN,),
        buses={"io_bus": (*_IO_BUS, "pilot_fault")},
        simulator="ac_vehicle_simulator",
        car={},
        charging=10.0,
        power=Power(
            Signal("io_bus", "IO_Currents", ("AC_Current_L1", "AC_Current_L2", "AC_Current_L3")),
            Signal("io_bus", "IO_Outputs", ("Pilot_Current",)),
            Signal("io_bus", "IO_Outputs", ("Close_Contactor",)),
            (0.0,),
            {"io_bus": "io_board"},
        ),
        also=("pilot_fault", "io_board_silent"),
    ),
}
