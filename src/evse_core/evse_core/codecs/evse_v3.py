"""The controller's side of the generic EVSE interface v3: frames of power modules to a PowerReport, a PowerCommand to frames.

Identifiers, periods and order: ../shared/reference/can.md 1.1 to 1.5, names as in config/can/evse_v3.dbc. Module_Bank, which tells of single modules, is an
extension of this project: config/can/module_bank.dbc.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan as NAN

from evse_core.codecs.signals import PISTOL_SHIFT, Decoded, SignalDatabase, demand
from evse_core.frame import Frame
from evse_core.types import ControllerPhase, PowerCommand, PowerFunction, PowerReport, VehicleReport

# Node name of the station in the database: it is the controller.
OWN_NODE = "Controller"
# The frame that closes a period of the modules.
PULSE = "Power_Modules_Status"
# The frame that tells of single modules, and how long it counts: as long as the modules themselves (../shared/reference/can.md 1.7). [s]
BANK, BANK_LIMIT = "Module_Bank", 0.5
_NEEDED = {
    PULSE: frozenset(("Present_Voltage", "Present_Current", "System_Enable", "Insulation_Resistance")),
    "DC_Power_Parameters": frozenset(("Maximum_Voltage", "Maximum_Charge_Current")),
    BANK: frozenset(("Module_Count", "Modules_Working", "Lowest_Module_Current", "Highest_Module_Current", "Alive")),
}
# Values of Power_Function.
FUNCTIONS = {
    PowerFunction.OFF: 0,
    PowerFunction.STANDBY: 1,
    PowerFunction.INSULATION_TEST: 2,
    PowerFunction.PRECHARGE: 4,
    PowerFunction.POWER_TRANSFER: 8,
}
# Values of State in the heartbeat.
STATES = {
    ControllerPhase.INITIALISING: 0,
    ControllerPhase.WAITING_FOR_VEHICLE: 1,
    ControllerPhase.NEGOTIATING: 2,
    ControllerPhase.CONNECTED: 3,
    ControllerPhase.INSULATION_TEST: 4,
    ControllerPhase.PRECHARGE: 5,
    ControllerPhase.WAITING_FOR_CHARGE: 6,
    ControllerPhase.CHARGING: 7,
    ControllerPhase.ENDING: 8,
    ControllerPhase.WELDING_DETECTION: 9,
    ControllerPhase.CLOSING: 10,
    ControllerPhase.AUTHORISING: 11,
    ControllerPhase.NOT_AVAILABLE: 12,
    ControllerPhase.PAUSED: 13,
}
# Phases in which the vehicle may ask for power at any moment (../shared/reference/can.md 1.4, rows 11 to 13).
READY_PHASES = (ControllerPhase.WAITING_FOR_CHARGE, ControllerPhase.CHARGING)
# Communication_Protocol by the vehicle's CHAdeMO generation: 0.9 and before, 1.x, 2.0; Plug_and_pins for CHAdeMO.
PROTOCOLS = {0: 3, 1: 3, 2: 4, 3: 5}
NEWEST_PROTOCOL = 5
PLUG_CHADEMO = 2
ORIGIN_EVSE = 1
RUSHED_STOP = 1
RANGE_MODE = 1
# Modules that are still awake from the last session allow power at once; they must hear of the new one all the same, also when a frame is lost. [1]
LEAST_ANNOUNCEMENTS = 3
# EV information goes out on change; again after so long, so that a lost frame heals. [s]
INFORMATION_PERIOD = 1.0


# Shared, because a vehicle that nobody knows is always the same.
_NO_VEHICLE = VehicleReport()


@dataclass(frozen=True, slots=True)
class PowerOutput:
    """What goes to the modules in one period: the command as far as it may pass, what the I/O board is told, and whether an emergency is in force."""

    command: PowerCommand
    contactor_closed: bool = False
    emergency: bool = False
    vehicle: VehicleReport = _NO_VEHICLE


class ModulesReceiver:
    """What the power modules of one pistol have said."""

    def __init__(self, database: SignalDatabase, pistol: int) -> None:
        self._database = database
        self._pistol = pistol
        self._signals: dict[str, Mapping[str, float]] = {}
        self._max_current, self._has_offered = NAN, False
        self._max_discharge_current = NAN
        self._bank = -math.inf
        self.changes = 0
        self.pulse = -math.inf
        """Time of the newest status frame. [s]"""

    def begin_session(self) -> None:
        """Take that a session has been announced: a first offer of 0 A means the default again."""
        self._has_offered = False

    @property
    def enabled(self) -> bool:
        """The modules' last word on System_Enable; only 1 is a permission."""
        return self._signals.get(PULSE, {}).get("System_Enable") == 1.0

    def enabled_now(self, now: float, limit: float) -> bool:
        """Return whether the modules allow power, and said so at most limit ago. [s]"""
        return self.enabled and now - self.pulse <= limit

    def receive(self, frame: Frame, now: float) -> int | None:
        """Take a frame; return how many unknown enumeration values it held, None for a frame of a controller or another pistol. UnknownId, Malformed."""
        if self._database.sender(frame) == OWN_NODE or frame.id >> PISTOL_SHIFT != self._pistol:
            return None
        decoded = self._database.decode(frame)
        demand(decoded, _NEEDED)
        self.changes += decoded.name == PULSE or self._is_news(decoded)
        # A counter that stands is an old frame that something repeats: no sign of life.
        if decoded.name == BANK and decoded.signals["Alive"] != self._signals.get(BANK, {}).get("Alive"):
            self._bank = now
        self._signals[decoded.name] = decoded.signals
        if decoded.name == PULSE:
            self.pulse = now
        elif decoded.name == "DC_Power_Parameters":
            self._take_offer(decoded.signals["Maximum_Charge_Current"])
            self._take_discharge_offer(decoded.signals.get("Maximum_Discharge_Current", 0.0))
        return decoded.unknown_values

    def _is_news(self, decoded: Decoded) -> bool:
        """Return whether a frame says what the last one did not; currents of single modules drift and go with the next status."""
        last = self._signals.get(decoded.name, {})
        names = ("Module_Count", "Modules_Working") if decoded.name == BANK else tuple(decoded.signals)
        return any(decoded.signals[name] != last.get(name) for name in names)

    def _take_offer(self, current: float) -> None:
        """Keep what the modules offer [A]. 0 stands for a configured default (../shared/reference/can.md 1.3), but not from modules that have just named a
        limit: those take it back. Nor is a 0 that meant none yesterday the default today: the modules repeat what still holds.
        """
        if current > 0.0:
            self._max_current, self._has_offered = current, True
        else:
            self._max_current = 0.0 if self._has_offered or self._max_current == 0.0 else NAN

    def _take_discharge_offer(self, current: float) -> None:
        """Keep what the modules take back [A]. No default stands behind a 0 here: modules that name no current take none."""
        if current > 0.0 or self._max_discharge_current > 0.0:
            self._max_discharge_current = current

    @property
    def current(self) -> float:
        """Output current as they said last [A], NaN where they have not."""
        return self._signals.get(PULSE, {}).get("Present_Current", NAN)

    def report(self, now: float) -> PowerReport:
        """Return what is known of the modules now."""
        status, limits = self._signals.get(PULSE, {}), self._signals.get("DC_Power_Parameters", {})
        bank = self._signals[BANK] if now - self._bank <= BANK_LIMIT else {}
        return PowerReport(
            complete=bool(status),
            age=now - self.pulse if status else NAN,
            voltage=status.get("Present_Voltage", NAN),
            current=status.get("Present_Current", NAN),
            module_temperature=status.get("Power_Modules_Temperature", NAN),
            enclosure_temperature=status.get("Enclosure_Temperature", NAN),
            enabled=self.enabled,
            insulation_resistance=status.get("Insulation_Resistance", NAN) * 1000.0,
            # 0 selects a configured default: the modules have not said.
            max_voltage=limits.get("Maximum_Voltage", 0.0) or NAN,
            max_current=self._max_current,
            module_count=int(bank.get("Module_Count", 0)),
            modules_working=int(bank.get("Modules_Working", 0)),
            module_current_min=bank.get("Lowest_Module_Current", NAN),
            module_current_max=bank.get("Highest_Module_Current", NAN),
            max_discharge_current=self._max_discharge_current,
        )


class ModulesSender:
    """The controller's frames: remembers what goes out once, on change, or until it is answered."""

    def __init__(self, database: SignalDatabase, pistol: int) -> None:
        self._database = database
        self._pistol = pistol
        self._open = False
        self._announced = 0
        self._enable_seen = False
        self._ready = False
        self._information: dict[str, tuple[dict[str, float], float]] = {}

    def frames(self, output: PowerOutput, enabled: bool, now: float) -> list[Frame]:
        """Return the frames of one period, the set point first; enabled is what the modules say now."""
        command = output.command
        opening, closing = command.session_announced and not self._open, self._open and not command.session_announced
        if opening:
            self._announced, self._enable_seen, self._information = 0, False, {}
        self._open = command.session_announced
        self._enable_seen |= enabled and self._announced >= LEAST_ANNOUNCEMENTS
        frames = []
        if self._open or closing or output.emergency or not _is_idle(output):
            frames.append(self._frame("DC_Power_Control", power_control(output)))
        if output.emergency:
            frames.append(self._frame("Emergency_Stop", {"Origin": ORIGIN_EVSE}))
        frames.append(
            self._frame("Advantics_Controller_Status", {"State": STATES.get(command.phase, STATES[ControllerPhase.INITIALISING])})
        )
        if self._open and not self._enable_seen:
            self._announced += 1
            frames.append(self._frame("New_Charge_Session", _new_session(output.vehicle)))
        frames += self._changes(output, now)
        if closing:
            frames.append(self._frame("Charge_Session_Finished", {"State": 0 if command.clean_stop else RUSHED_STOP}))
        return frames

    def _changes(self, output: PowerOutput, now: float) -> list[Frame]:
        """Return what goes out on change only."""
        frames = []
        ready = output.command.phase in READY_PHASES and not output.emergency
        if ready != self._ready:
            self._ready = ready
            frames.append(self._frame("Charge_Status_Change", {"Vehicle_Ready_for_Charging": ready}))
        if self._open and output.vehicle.complete:
            frames += [self._frame(name, signals) for name, signals in information(output).items() if self._is_news(name, signals, now)]
        return frames

    def _is_news(self, name: str, signals: dict[str, float], now: float) -> bool:
        sent, at = self._information.get(name, ({}, -math.inf))
        if signals == sent and now - at < INFORMATION_PERIOD:
            return False
        self._information[name] = (signals, now)
        return True

    def _frame(self, name: str, signals: Mapping[str, float]) -> Frame:
        return self._database.encode(name, signals, pistol=self._pistol)


def power_control(output: PowerOutput) -> dict[str, float]:
    """Return the signals of DC_Power_Control. A set point that is not finite is 0, and so is a negative current but in power transfer: there it discharges."""
    command = output.command
    powered = command.function not in (PowerFunction.UNKNOWN, PowerFunction.OFF, PowerFunction.STANDBY)
    voltage, current = (_set_point(command.voltage), _set_point(command.current)) if powered else (0.0, 0.0)
    if command.function is PowerFunction.POWER_TRANSFER and command.current < 0.0 and math.isfinite(command.current):
        current = command.current
    # Precharge is a range from 0 A (../shared/reference/can.md 1.4 row 10b), everything else one target.
    precharge = command.function is PowerFunction.PRECHARGE
    return {
        "Target_Voltage": voltage,
        "Current_Range_Max": current,
        "Current_Range_Min": 0.0 if precharge else current,
        "Power_Function": FUNCTIONS.get(command.function, FUNCTIONS[PowerFunction.OFF]),
        "Setpoints_Mode": RANGE_MODE if precharge else 0,
        "Output_Contactors": output.contactor_closed,
        "Lower_Output_Voltage": command.lower_output_voltage and command.function is PowerFunction.STANDBY,
    }


def information(output: PowerOutput) -> dict[str, dict[str, float]]:
    """Return the signals of the vehicle information messages; 0 where the vehicle has not said."""
    vehicle, command = output.vehicle, output.command
    soc = vehicle.soc_percent if math.isnan(command.soc_percent) else command.soc_percent
    max_power = _set_point(vehicle.max_voltage * vehicle.max_current) / 1000.0
    return {
        "EV_Information_Battery": {
            "Battery_Capacity": _set_point(vehicle.battery_capacity_kwh),
            "Present_State_of_Charge": math.floor(_set_point(soc)),
        },
        "EV_Information_Voltages": {
            "EV_Minimum_Voltage": _set_point(vehicle.min_voltage),
            "EV_Maximum_Voltage": _set_point(vehicle.max_voltage),
        },
        "EV_Information_Charge_Limits": {
            "EV_Minimum_Charge_Current": _set_point(vehicle.min_current),
            "EV_Maximum_Charge_Current": _set_point(vehicle.max_current),
            "EV_Maximum_Charge_Power": math.floor(max_power),
        },
        "EV_Information_Discharge_Limits": {
            "EV_Maximum_Discharge_Current": _set_point(vehicle.max_discharge_current),
            "EV_Maximum_Discharge_Power": math.floor(_set_point(vehicle.max_discharge_power) / 1000.0),
        },
    }


def _new_session(vehicle: VehicleReport) -> dict[str, float]:
    return {"Communication_Protocol": PROTOCOLS.get(vehicle.protocol_number, NEWEST_PROTOCOL), "Plug_and_pins": PLUG_CHADEMO}


def _is_idle(output: PowerOutput) -> bool:
    return output.command.function in (PowerFunction.UNKNOWN, PowerFunction.OFF) and not output.contactor_closed


def _set_point(value: float) -> float:
    return value if math.isfinite(value) and value > 0 else 0.0
