"""The customer's side of the generic EVSE interface v3: frames of a charge controller (SECC) to a VehicleReport, a VehicleCommand to frames.

The controller leads: its messages count, its State is for information (../shared/reference/can.md 1.4). Served are v3.1 to v3.6, shorter and longer frames and
unknown values of enumerations included. Controllers of v3.0 and before have identifiers 0x600xx and 0x680xx: they are recognised and told, not served.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan as NAN
from typing import Any

from evse_core.codecs.evse_v3 import RUSHED_STOP
from evse_core.codecs.secc_heard import CONTROL, EMERGENCY_HOLD, PULSE, Heard
from evse_core.codecs.signals import EXTENDED_MASK, PISTOL_SHIFT, Decoded, SignalDatabase, UnknownId, demand
from evse_core.frame import Frame
from evse_core.types import (
    OLD_INTERFACE,
    ControllerCommand,
    ControllerPhase,
    CutCause,
    EmergencyOrigin,
    Lamp,
    PowerFunction,
    PowerReport,
    VehicleCommand,
    VehicleLink,
    VehicleReport,
)

# Node name of the station in the database: on this bus it is the power modules.
OWN_NODE = "Power_Modules"
DISCHARGE = "EV_Information_Discharge_Limits"
_NEEDED = {
    PULSE: frozenset(("State",)),
    "New_Charge_Session": frozenset(("Communication_Protocol",)),
    "Charge_Status_Change": frozenset(("Vehicle_Ready_for_Charging",)),
    CONTROL: frozenset(
        (
            "Target_Voltage",
            "Current_Range_Max",
            "Current_Range_Min",
            "Power_Function",
            "Setpoints_Mode",
            "Output_Contactors",
            "Lower_Output_Voltage",
        )
    ),
    "Charge_Session_Finished": frozenset(("State",)),
    "Emergency_Stop": frozenset(("Origin",)),
}
# Phases without a session: one that was announced is over, even where the frame that says so was lost.
_IDLE_PHASES = frozenset({ControllerPhase.INITIALISING, ControllerPhase.WAITING_FOR_VEHICLE, ControllerPhase.NOT_AVAILABLE})
# An edge bit is held for longer than a heartbeat, then taken back (../shared/reference/can.md 1.6). [s]
EDGE_HOLD = 0.3
# A button whose wish lasts is pressed again after so long, for a controller that did not hear the first one. Own choice. [s]
EDGE_REPEAT = 2.0
# Levels go out on change; again after so long, so that a lost frame heals. Own choice. [s]
REPEAT_PERIOD = 1.0
# Identifiers of v1 to v3.0 (../shared/reference/can.md 1.2): messages of the controller, of the customer.
_OLD_IDS = (range(0x68000, 0x68100), range(0x60000, 0x60100))
VERSION = 3
# Raw 255 of Insulation_Resistance: at least so much, or good by a monitor that only says yes or no (../shared/reference/can.md 1.3). [kOhm]
MOST_INSULATION = 510.0
# Messages that drive the controller's own LEDs, every 1 s (../shared/reference/can.md 1.3), and which LED shows what: available, in use, fault.
LAMP_BOARDS = {"secc": "ADM_CS_SECC_Outputs", "spcc": "ADM_CS_SPCC_Outputs"}
_LEDS = {"secc": ("Led1", "Led2", "Led3"), "spcc": ("Led1", "Led2")}
_LED_OF = {Lamp.AVAILABLE: 0, Lamp.BUSY: 1, Lamp.CHARGING: 1, Lamp.FAULT: 2}
FULL = 255.0
# What counts only within a session that is announced: a frame that comes late, or again, asks for nothing.
_ASKED_FOR = (CONTROL, "Charge_Status_Change")
# What EV_Information tells once a session, by the frame that begins one.
_OF_SESSION = frozenset(
    (
        "Charge_Status_Change",
        CONTROL,
        "EV_Information_Battery",
        "EV_Information_Voltages",
        "EV_Information_Charge_Limits",
        "EV_Information_Discharge_Limits",
        "EV_Information_Energy",
        "EV_ID_CCS_Part2_DIN",
        "OCPP_Control",
    )
)


@dataclass(frozen=True, slots=True)
class _Sent:
    """The last frame of a message that goes out on change: what it said, and when [s]."""

    signals: Mapping[str, float]
    at: float


class SeccStation:
    """What the controller of one pistol has said, and the frames to answer with. `timeout`: silence after which power must go [s].

    `lamps`: which board of the controller has the station's lamps on its LEDs, one of LAMP_BOARDS; "" for none.
    """

    # The controller leads, and its session is over when it says so.
    LED_BY_STATION = False

    def __init__(self, database: SignalDatabase, pistol: int, timeout: float, lamps: str = "") -> None:
        self._database = database
        self._lamps = lamps
        self._pistol = pistol
        self._timeout = timeout
        self.changes = 0
        self._heartbeat = self._old = -math.inf
        self._version = 0
        self.reset()

    def reset(self) -> None:
        """Forget the session and what was sent; that the controller lives and what it is stays known."""
        self.changes += 1
        self._heard = Heard()
        self._announced = self._finished = self._rushed = False
        self._sent: dict[str, _Sent] = {}
        self._edges: dict[str, tuple[bool, float]] = {}

    def receive(self, frame: Frame, now: float) -> int | None:
        """Take a frame; return how many unknown enumeration values it held, None for a frame of a station or another pistol. UnknownId, Malformed."""
        try:
            sender = self._database.sender(frame)
        except UnknownId:
            self._note_old_version(frame, now)
            raise
        if sender == OWN_NODE or frame.id >> PISTOL_SHIFT != self._pistol:
            return None
        decoded = self._database.decode(frame)
        demand(decoded, _NEEDED)
        self._take(decoded, now)
        return decoded.unknown_values

    def _note_old_version(self, frame: Frame, now: float) -> None:
        """Note a controller that speaks an older interface; one that has been heard in the new one stays what it is."""
        old = frame.extended and any(frame.id & EXTENDED_MASK in ids for ids in _OLD_IDS)
        if old and self._version != VERSION:
            self.changes += self._version != OLD_INTERFACE
            self._version, self._old = OLD_INTERFACE, now

    def _take(self, decoded: Decoded, now: float) -> None:
        self._version = VERSION
        name = decoded.name
        if name == "New_Charge_Session" and not self._announced:
            self._begin()
        elif name == "Charge_Session_Finished":
            self._end()
            self._finished, self._rushed = True, decoded.signals["State"] == RUSHED_STOP
        if name in _ASKED_FOR and not self._announced:
            return
        news = self._heard.take(name, decoded.signals, now)
        if name == PULSE:
            self._heartbeat = now
            if self._announced and self._heard.phase in _IDLE_PHASES:
                self._end()
        self.changes += news or name in (PULSE, CONTROL, "Emergency_Stop")

    def _begin(self) -> None:
        """Start a session from nothing: what the vehicle before said is not what this one says."""
        self._announced, self._finished, self._rushed = True, False, False
        self._heard.forget(_OF_SESSION)

    def _end(self) -> None:
        """Take that the session is over: what was asked for in it is asked for no more."""
        self._announced = False
        self._heard.forget(_ASKED_FOR)

    @property
    def pulse(self) -> float:
        """Time of the newest frame that closes a period: a heartbeat or a set point. [s]"""
        return max(self._heartbeat, self._heard.received(CONTROL))

    def silence(self, now: float) -> float:
        """Return how long the controller's heartbeat has been away, infinite before the first. [s]"""
        return now - self._heartbeat

    def cut_cause(self, now: float) -> CutCause:
        """Return why the controller leaves no power on, NONE where it does (../shared/reference/can.md 1.7)."""
        if self.silence(now) > self._timeout:
            return CutCause.CONTROLLER_SILENT
        return CutCause.NONE if self._heard.emergency(now) is EmergencyOrigin.NONE else CutCause.CONTROLLER_EMERGENCY

    def times(self) -> tuple[float, ...]:
        """Return when something changes without news. [s]"""
        return self._heartbeat + self._timeout, self._heard.received("Emergency_Stop") + EMERGENCY_HOLD

    def known(self) -> VehicleReport:
        """Return what the controller has said of the vehicle, for those to whom its age does not matter."""
        return self.report(math.inf)

    def report(self, now: float) -> VehicleReport:
        """Return what is known of controller and vehicle now; complete as soon as the controller lives."""
        controller, said = self._heard.controller(now, **self._session()), self._heard.said
        powered = controller.function in (PowerFunction.PRECHARGE, PowerFunction.POWER_TRANSFER)
        limit = said("EV_Information_Voltages", "EV_Maximum_Voltage") or NAN
        heard = max(self._heartbeat, self._old)
        return VehicleReport(
            link=VehicleLink.SECC,
            complete=heard > -math.inf,
            age=now - heard if heard > -math.inf else NAN,
            min_voltage=said("EV_Information_Voltages", "EV_Minimum_Voltage"),
            max_voltage=limit,
            min_current=said("EV_Information_Charge_Limits", "EV_Minimum_Charge_Current"),
            max_current=said("EV_Information_Charge_Limits", "EV_Maximum_Charge_Current") or NAN,
            target_voltage=controller.voltage if powered else NAN,
            current_request=controller.current_max if controller.function is PowerFunction.POWER_TRANSFER else 0.0,
            soc_percent=said("EV_Information_Battery", "Present_State_of_Charge"),
            battery_capacity_kwh=said("EV_Information_Battery", "Battery_Capacity") or NAN,
            charging_enabled=said("Charge_Status_Change", "Vehicle_Ready_for_Charging") == 1.0,
            dynamic_control=True,
            discharge_compatible=said(DISCHARGE, "EV_Maximum_Discharge_Current") > 0.0,
            # 0 stands for what the vehicle has not said.
            max_discharge_current=said(DISCHARGE, "EV_Maximum_Discharge_Current") or NAN,
            max_discharge_power=said(DISCHARGE, "EV_Maximum_Discharge_Power") * 1e3 or NAN,
            min_discharge_voltage=said("EV_Information_Voltages", "EV_Minimum_Voltage") or NAN,
            min_discharge_soc_percent=said("EV_Information_Battery", "Minimum_State_of_Charge") or NAN,
            controller=controller,
        )

    def _session(self) -> dict[str, Any]:
        return {
            "interface_version": self._version,
            "session_announced": self._announced,
            "session_finished": self._finished,
            "rushed_stop": self._rushed,
        }

    # What goes out

    def frames(self, command: VehicleCommand, modules: PowerReport, now: float, lamp: Lamp = Lamp.UNKNOWN) -> list[Frame]:
        """Return the frames of one period: what the modules measure with the permission first, then what changed of limits and flags, and the lamps."""
        controller = command.controller
        frames = [self._frame("Power_Modules_Status", _status(controller, modules))]
        if controller.start_authorised or self._announced or "DC_Power_Parameters" in self._sent:
            frames += self._on_change("DC_Power_Parameters", _limits(controller), now)
        frames += self._on_change("Sequence_Control", self._sequence_control(controller, now), now)
        if self._lamps:
            frames += self._on_change(LAMP_BOARDS[self._lamps], _leds(lamp, self._lamps), now)
        return frames

    def _sequence_control(self, controller: ControllerCommand, now: float) -> dict[str, float]:
        return {
            "Start_Charge_Authorisation": controller.start_authorised,
            "CHAdeMO_Start_Button": self._edge("start", controller.start_button, now),
            "CCS_Authorisation_Done": controller.authorisation_done,
            "CCS_Authorisation_Valid": controller.authorisation_valid,
            "Charge_Parameters_Done": controller.parameters_done,
            "User_Stop_Button": self._edge("stop", controller.stop_button, now),
        }

    def _edge(self, name: str, pressed: bool, now: float) -> bool:
        """Return a wish that lasts as presses that are held for a while and then taken back."""
        before, since = self._edges.get(name, (False, -math.inf))
        if pressed != before:
            since = now if pressed else since
            self._edges[name] = pressed, since
        return pressed and (now - since) % EDGE_REPEAT < EDGE_HOLD

    def _on_change(self, name: str, signals: dict[str, float], now: float) -> list[Frame]:
        last = self._sent.get(name)
        if last is not None and last.signals == signals and now - last.at < REPEAT_PERIOD:
            return []
        self._sent[name] = _Sent(signals, now)
        return [self._frame(name, signals)]

    def _frame(self, name: str, signals: Mapping[str, float]) -> Frame:
        return self._database.encode(name, signals, pistol=self._pistol)


def _status(controller: ControllerCommand, modules: PowerReport) -> dict[str, float]:
    """Return Power_Modules_Status; modules that nobody hears of measure 0 and allow nothing."""
    heard = modules.complete
    return {
        "Present_Voltage": modules.voltage if heard else 0.0,
        "Present_Current": modules.current if heard else 0.0,
        "Power_Modules_Temperature": modules.module_temperature,
        "Enclosure_Temperature": modules.enclosure_temperature,
        "System_Enable": controller.enabled and heard and modules.enabled,
        "Insulation_Resistance": min(modules.insulation_resistance / 1e3, MOST_INSULATION) if heard else 0.0,
    }


def _limits(controller: ControllerCommand) -> dict[str, float]:
    """Return DC_Power_Parameters. 0 would select the controller's default: a station that can give nothing says the least that the wire can."""
    least = 0.1
    return {
        "Maximum_Voltage": _offered(controller.max_voltage, least),
        "Maximum_Charge_Current": _offered(controller.max_current, least),
        "Maximum_Discharge_Current": _offered(controller.max_discharge_current, least),
        "Range_Target_Current": controller.range_current if math.isfinite(controller.range_current) else 0.0,
    }


def _offered(value: float, least: float) -> float:
    return 0.0 if math.isnan(value) else max(math.floor(value * 10.0) / 10.0, least)


def _leds(lamp: Lamp, board: str) -> dict[str, float]:
    """Return the brightness of the LEDs; a board with two of them shows a fault on both."""
    names, index = _LEDS[board], _LED_OF.get(lamp)
    lit = names if index is not None and index >= len(names) else names[index : index + 1] if index is not None else ()
    return dict.fromkeys(lit, FULL)
