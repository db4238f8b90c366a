"""Vehicle, power modules and I/O board as plain frames for `station bench reaction`: what they say, and which frame of the station cuts the power."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_core.types import BusLink
from evse_nodes.can_bus import CanPort
from evse_nodes.databases import load

# Periods of the devices: CHAdeMO and modules 100 ms (../shared/reference/can.md 1.3, 2.1), board 50 ms (config/can/io_board.dbc). [s]
PERIODS = {BusLink.VEHICLE: 0.1, BusLink.POWER: 0.1, BusLink.IO: 0.05}
DATABASES = {BusLink.VEHICLE: "chademo", BusLink.POWER: "evse_v3", BusLink.IO: "io_board"}
TRANSFER = 8.0
# Output while power flows and while it does not. [V], [A]
VOLTAGE, CURRENT = 400.0, 50.0
# Modules that share it.
MODULES = 4


@dataclass
class Devices:
    """The three devices on their buses. `powered` is what the station's frames said last; `cut_at` when they took power away."""

    ports: Mapping[BusLink, CanPort]
    voltage: float = VOLTAGE
    emergency: bool = False
    vehicle_speaks: bool = True
    powered: bool = False
    cut_at: float = 0.0
    vehicle_at: float = 0.0
    _databases: dict[BusLink, SignalDatabase] = field(default_factory=lambda: {link: load(name) for link, name in DATABASES.items()})
    _due: dict[BusLink, float] = field(default_factory=lambda: dict.fromkeys(PERIODS, 0.0))
    _function: float = 0.0
    _closed: bool = False
    _alive: int = 0
    _bank_alive: int = 0

    def turn(self) -> None:
        """Take what came, and say what is due."""
        for link, port in self.ports.items():
            for received in port.drain():
                self._take(link, received.frame, received.at)
        now = time.monotonic()
        for link, due in self._due.items():
            if now >= due:
                self._due[link] = now + PERIODS[link]
                self.speak(link)

    def speak(self, link: BusLink) -> float:
        """Send the frames of a device now; returns when, just before the first one."""
        frames = {BusLink.VEHICLE: self._vehicle, BusLink.POWER: self._modules, BusLink.IO: self._board}[link]()
        now = time.monotonic()
        for frame in frames:
            self.ports[link].send(frame)
        if link is BusLink.VEHICLE and frames:
            self.vehicle_at = now
        return now

    def _take(self, link: BusLink, frame: Frame, at: float) -> None:
        try:
            decoded = self._databases[link].decode(frame)
        except (Malformed, UnknownId):
            return
        if decoded.name == "DC_Power_Control":
            self._function = decoded.signals["Power_Function"]
        elif decoded.name == "IO_Outputs":
            self._closed = bool(decoded.signals["Close_Contactor"])
        elif decoded.name == "Emergency_Stop":
            self._function = 0.0
        else:
            return
        # Either of the two cuts: no power function, or an open contactor.
        powered = self._function == TRANSFER and self._closed
        if self.powered and not powered:
            self.cut_at = at
        self.powered = powered

    def _vehicle(self) -> list[Frame]:
        if not self.vehicle_speaks:
            return []
        encode = self._databases[BusLink.VEHICLE].encode
        status = {"control_protocol_number": 2, "target_battery_voltage": 410, "charging_current_request": CURRENT, "charged_rate": 50}
        return [
            encode("EV_ChargingLimits", {"max_battery_voltage": 435, "charged_rate_reference": 100}),
            encode("EV_ChargingTime", {"max_charging_time_10s": 2550, "max_charging_time_min": 60}),
            encode("EV_Status", status | {"status_charging_enabled": 1}),
        ]

    def _modules(self) -> list[Frame]:
        current = CURRENT if self.powered else 0.0
        voltage = self.voltage if self.powered else 0.0
        signals = {"Present_Voltage": voltage, "Present_Current": current, "System_Enable": 1, "Insulation_Resistance": 1000}
        limits = {"Maximum_Voltage": 500, "Maximum_Charge_Current": 125}
        encode = self._databases[BusLink.POWER].encode
        # The station of the bench is told of its modules one by one (config/single_evse.yaml).
        self._bank_alive = (self._bank_alive + 1) % 256
        share = current / MODULES
        bank = {"Module_Count": MODULES, "Modules_Working": MODULES, "Lowest_Module_Current": share, "Highest_Module_Current": share}
        return [
            encode("Power_Modules_Status", signals, pistol=1),
            encode("DC_Power_Parameters", limits, pistol=1),
            encode("Module_Bank", bank | {"Alive": self._bank_alive}, pistol=1),
        ]

    def _board(self) -> list[Frame]:
        self._alive = (self._alive + 1) % 256
        encode = self._databases[BusLink.IO].encode
        inputs = {
            "Plugged": 1,
            "Permission_K": 1,
            "Locked": 1,
            "Contactor_Closed": self._closed,
            "Emergency_Stop": self.emergency,
            "Earth_Ok": 1,
        }
        measured = {"Connector_Voltage": self.voltage if self.powered else 0.0, "Connector_Temperature": 40, "Insulation_Resistance": 1000}
        return [
            encode("IO_Inputs", inputs | {"Alive": self._alive}),
            encode("IO_Measurements", measured),
            encode("IO_Token", {}),
        ]
