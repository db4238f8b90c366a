"""The station's side of a cabinet of power modules behind a switch matrix: its frames to ModuleStatus and OutletStatus, a ModuleCommand to a frame.

Protocol: config/can/cabinet.dbc. Bits 28..24 of an identifier are the module or the outlet, as they are the pistol on a power bus.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from evse_core.codecs.signals import PISTOL_SHIFT, Malformed, SignalDatabase, demand
from evse_core.frame import Frame
from evse_core.sample import Sample

# Node name of the station in the database.
OWN_NODE = "Station"
# Outlets and modules that the frames have room for. [1]
MOST_OUTLETS, MOST_MODULES = 8, 31
# Values of Switch: all open, and as they are.
ALL_OPEN, HOLD = 0, 15
_CLOSED = {f"Closed_{outlet}": outlet for outlet in range(1, MOST_OUTLETS + 1)}
_NEEDED = {
    "Module_Status": frozenset((*_CLOSED, "Connected_To", "Working", "Duty", "Refused", "Voltage", "Current", "Temperature", "Alive")),
    "Module_Counters": frozenset(("Running_Hours", "Switch_Operations", "Alive")),
    "Outlet_Status": frozenset(("Voltage", "Current", "Current_Wanted", "Alive")),
    "Cabinet_Status": frozenset(("Module_Count", "Refused_Outlets", "Refused_Current", "Refused_Voltage", "Alive")),
}


class Duty(IntEnum):
    """Values of Duty: no current because a switch is to move; no current unless it is needed; run."""

    STOP = 0
    REST = 1
    RUN = 2


@dataclass(frozen=True, slots=True)
class ModuleStatus:
    """What one module says. `closed` are the outlets whose switches report closed, `driven` the one that the cabinet closes (0: none)."""

    closed: frozenset[int] = frozenset()
    driven: int = ALL_OPEN
    working: bool = False
    duty: int = Duty.STOP
    refused: bool = False
    voltage: float = math.nan
    current: float = math.nan
    temperature: float = math.nan


@dataclass(frozen=True, slots=True)
class ModuleCounters:
    """What has worn one module: hours [h] and operations of its switches."""

    hours: float = 0.0
    operations: int = 0


@dataclass(frozen=True, slots=True)
class OutletStatus:
    """What is behind the switches: voltage [V], current [A], and the current that is asked for on the outlet's power link [A]."""

    voltage: float
    current: float
    wanted: float


@dataclass(frozen=True, slots=True)
class ModuleCommand:
    """What one module is to do: the outlet whose switch is to be closed, its duty, and the voltage [V] that it brings its own output to while it is apart."""

    switch: int = HOLD
    duty: Duty = Duty.STOP
    voltage: float = 0.0


@dataclass(frozen=True, slots=True)
class CabinetState:
    """What the cabinet says of itself: refused commands by their reason, and how many modules it has."""

    modules: int = 0
    refused_outlets: int = 0
    refused_current: int = 0
    refused_voltage: int = 0


@dataclass(slots=True)
class CabinetReceiver:
    """What the cabinet has said. A frame whose counter stands is an old frame that something repeats: no sign of life."""

    database: SignalDatabase
    modules: dict[int, Sample[ModuleStatus]] = field(default_factory=dict)
    counters: dict[int, ModuleCounters] = field(default_factory=dict)
    outlets: dict[int, Sample[OutletStatus]] = field(default_factory=dict)
    state: CabinetState = field(default_factory=CabinetState)
    heard: float = -math.inf
    """Time of the newest frame. [s]"""
    _alive: dict[int, float] = field(default_factory=dict)

    def receive(self, frame: Frame, now: float) -> bool:
        """Take a frame; False for one of the station. UnknownId, Malformed."""
        if self.database.sender(frame) == OWN_NODE:
            return False
        decoded = self.database.decode(frame)
        demand(decoded, _NEEDED)
        number, signals = frame.id >> PISTOL_SHIFT, decoded.signals
        stands = self._alive.get(frame.id) == signals["Alive"]
        self._alive[frame.id] = signals["Alive"]
        if stands:
            return True
        self.heard = now
        if decoded.name == "Module_Status":
            self.modules[_known(number, MOST_MODULES)] = Sample(_status(signals), now)
        elif decoded.name == "Module_Counters":
            self.counters[_known(number, MOST_MODULES)] = ModuleCounters(signals["Running_Hours"], int(signals["Switch_Operations"]))
        elif decoded.name == "Outlet_Status":
            self.outlets[_known(number, MOST_OUTLETS)] = Sample(
                OutletStatus(signals["Voltage"], signals["Current"], signals["Current_Wanted"]), now
            )
        else:
            self.state = CabinetState(*(int(signals[name]) for name in _STATE))
        return True


_STATE = ("Module_Count", "Refused_Outlets", "Refused_Current", "Refused_Voltage")


def _known(number: int, most: int) -> int:
    """Return the number of a module or an outlet; Malformed outside 1 to most."""
    if not 1 <= number <= most:
        raise Malformed(f"index {number} is outside 1 to {most}")
    return number


def _status(signals: Mapping[str, float]) -> ModuleStatus:
    return ModuleStatus(
        closed=frozenset(outlet for name, outlet in _CLOSED.items() if signals[name]),
        driven=int(signals["Connected_To"]),
        working=signals["Working"] == 1.0,
        duty=int(signals["Duty"]),
        refused=signals["Refused"] == 1.0,
        voltage=signals["Voltage"],
        current=signals["Current"],
        temperature=signals["Temperature"],
    )


def command_frame(database: SignalDatabase, module: int, command: ModuleCommand, alive: int) -> Frame:
    """Return Module_Command; alive is a counter of frames, taken modulo 256. A voltage that is not finite is 0."""
    voltage = command.voltage if math.isfinite(command.voltage) else 0.0
    signals = {"Switch": command.switch, "Duty": command.duty, "Voltage": voltage, "Alive": alive % 256}
    return database.encode("Module_Command", signals, pistol=module)
