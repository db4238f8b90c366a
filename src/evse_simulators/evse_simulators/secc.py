"""A charge controller (SECC) on the generic EVSE interface v3 with a CCS, MCS or CHAdeMO vehicle behind it: frames and sensors around secc_sequence.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

from evse_core.codecs.evse_v3 import FUNCTIONS, STATES
from evse_core.codecs.signals import PISTOL_SHIFT, SignalDatabase
from evse_core.frame import Frame
from evse_core.parameter import parameter
from evse_core.sample import fresh
from evse_simulators.battery import Battery, BatteryConfig
from evse_simulators.faults import PRETENDED_CHARGE, SECC, Answer
from evse_simulators.pace import Periodic, Wire
from evse_simulators.secc_protocol import ISO_15118_20, Connection, spoken
from evse_simulators.secc_sequence import Asked, SeccSequence, Told
from evse_simulators.secc_sequence_config import SeccSequenceConfig
from evse_simulators.simulated_vehicle import INPUT_LIMIT, SimulatedVehicle, VehicleOutput

# Contacts of the connector at rest. [degC]
COOL = 25.0
# EVCCID of the simulated vehicle: a locally administered MAC address.
VEHICLE_ID = bytes.fromhex("02005E100001")


@dataclass(frozen=True)
class SeccConfig(SeccSequenceConfig, BatteryConfig):
    """Controller, vehicle and battery as a whole."""

    pistol: int = parameter(1, "", "pistol index, bits 28..24 of identifiers", "generic EVSE v3, can.md 1.1", 1, 31)
    newest_frames: bool = parameter(True, "", "frames as of v3.6; false: as short as of v3.1", "can.md 1.2")
    protocol: int = parameter(
        2, "", "Communication_Protocol: 0 DIN 70121, 2 ISO 15118-2, 3 to 5 CHAdeMO, 7 ISO 15118-20", "can.md 1.3", 0, 255
    )
    plug: int = parameter(0, "", "Plug_and_pins: 0 CCS core, 1 CCS extended, 2 CHAdeMO, 4 MCS", "can.md 1.3", 0, 255)


class SeccModel(SimulatedVehicle):
    """A SimulatedVehicle behind a charge controller."""

    PLUG_LOST = "ccs_plug_lost"

    def __init__(self, config: SeccConfig, database: SignalDatabase) -> None:
        super().__init__(config, SECC)
        self.config = config
        self.protocol = spoken(config.protocol, config.plug)
        self.sequence = SeccSequence(config, self.protocol)
        self.connector_temperature = COOL
        self._powered = True
        self._wire = Wire(database)
        self._told = Told()
        self._heartbeat, self._extra = Periodic(0.1), Periodic(0.1)
        self._inputs = Periodic(1.0)
        self._control_sent: Asked | None = None
        self._control = Periodic(self.protocol.request_period or config.request_period)
        # New_Charge_Session went out, after which the vehicle's information is told, and what has been told.
        self._announced = False
        self._sent: dict[str, dict[str, float]] = {}

    # Who is there, and what breaks

    def inject(self, name: str, active: bool) -> Answer:
        """Break or heal something."""
        answer = super().inject(name, active)
        if answer.success and active and name == "controller_restarts":
            self._restart()
        return answer

    def change_vehicle(self, config: SeccConfig) -> None:
        """Let another vehicle come to the same controller; the connector is out."""
        self.config = self.sequence.config = config
        self.protocol = self.sequence.protocol = spoken(config.protocol, config.plug)
        self.battery = Battery(config)

    def set_power(self, on: bool) -> None:
        """Take the controller's supply away or give it back: it starts anew, and its vehicle opens the contactor meanwhile."""
        self._powered = on
        self._restart()

    def _pull(self) -> None:
        super()._pull()
        self.sequence.unplug()

    def _restart(self) -> None:
        self.sequence.restart()
        self._told, self._control_sent = Told(), None
        self._sent.clear()

    # Inputs

    def on_frame(self, frame: Frame, now: float) -> None:
        """Take a frame of the station; others are ignored."""
        decoded = self._wire.read(frame)
        if decoded is None or frame.id >> PISTOL_SHIFT != self.config.pistol:
            return
        signals = decoded.signals
        if decoded.name == "Power_Modules_Status":
            self._told.status_at = now
            self._told.voltage, self._told.current = signals.get("Present_Voltage", 0.0), signals.get("Present_Current", 0.0)
            self._told.enabled, self._told.insulation = (
                signals.get("System_Enable", 0.0) == 1.0,
                signals.get("Insulation_Resistance", 0.0) * 1e3,
            )
        elif decoded.name == "DC_Power_Parameters":
            self._told.max_voltage, self._told.max_current = signals.get("Maximum_Voltage", 0.0), signals.get("Maximum_Charge_Current", 0.0)
        elif decoded.name == "Sequence_Control":
            self._told.start_authorised = signals.get("Start_Charge_Authorisation", 0.0) == 1.0
            self._told.authorisation_done = signals.get("CCS_Authorisation_Done", 0.0) == 1.0
            self._told.authorisation_valid = signals.get("CCS_Authorisation_Valid", 0.0) == 1.0
            self._told.parameters_done = signals.get("Charge_Parameters_Done", 0.0) == 1.0
            self._take_buttons(signals.get("CHAdeMO_Start_Button", 0.0) == 1.0, signals.get("User_Stop_Button", 0.0) == 1.0)

    def _take_buttons(self, start: bool, stop: bool) -> None:
        """Take the two buttons by their edges."""
        told = self._told
        told.start_asked |= start and not told.start_button
        told.stop_asked |= stop and not told.stop_button and "controller_ignores_stop" not in self.faults
        told.start_button, told.stop_button = start, stop

    # How it stands

    @property
    def running(self) -> bool:
        """The controller speaks with a vehicle."""
        return self.sequence.running

    @property
    def phase_name(self) -> str:
        """Where the controller stands."""
        return self.sequence.phase.name.lower()

    @property
    def locked(self) -> bool:
        """The lock of the vehicle's inlet, or of a CHAdeMO connector, holds."""
        return self.plugged and self.sequence.locked

    @property
    def emergency(self) -> bool:
        """Controller or vehicle cut power by themselves."""
        return self.sequence.emergency > 0

    @property
    def request(self) -> float:
        """The current that is asked for now [A]."""
        return self.sequence.request

    @property
    def end(self) -> str:
        """Why the controller ended the session."""
        return self.sequence.end

    @property
    def contactor_closed(self) -> bool:
        """The vehicle's contactor."""
        welded = self.sequence.was_closed and "ccs_contactor_welded" in self.faults
        return self.plugged and (welded or (self.sequence.contactor and "ccs_contactor_opens" not in self.faults))

    @property
    def told_soc(self) -> float:
        """State of charge as it is told [%]."""
        return PRETENDED_CHARGE if "ccs_lies_about_charge" in self.faults else self.battery.soc_percent

    # One step

    def step(self, now: float) -> VehicleOutput:
        """Go on to now [s]."""
        if not self._powered:
            return VehicleOutput((), self.lines())
        told = self._told
        power = fresh(self._power, now, INPUT_LIMIT)
        told.inlet_voltage = power.connector_voltage if power is not None and not isnan(power.connector_voltage) else 0.0
        told.inlet_current = power.current if power is not None and not isnan(power.current) else 0.0
        told.battery_voltage, told.soc_percent = self.battery.open_circuit_voltage, self.battery.soc_percent
        told.acceptable_current = 0.0 if "ccs_no_request" in self.faults else self.battery.acceptable_current()
        told.plugged, told.vehicle_stop, self._stop_pressed = self.plugged, self._stop_pressed, False
        asked = self.sequence.step(told, self.faults, now)
        told.stop_asked = told.start_asked = False
        return VehicleOutput(self._frames(asked, now), self.lines())

    # Frames

    def _frames(self, asked: Asked, now: float) -> tuple[Frame, ...]:
        if "controller_silent" in self.faults:
            return ()
        sequence, frames = self.sequence, []
        beat = self._heartbeat.due(now)
        if self._control_due(asked, now):
            frames.append(self._write("DC_Power_Control", _control(asked)))
        if beat:
            frames.append(self._write("Advantics_Controller_Status", {"State": STATES[sequence.phase]}))
        if beat and sequence.emergency:
            frames.append(self._write("Emergency_Stop", {"Origin": sequence.emergency}))
        if beat and sequence.announces:
            frames.append(
                self._write("New_Charge_Session", {"Communication_Protocol": self.config.protocol, "Plug_and_pins": self.config.plug})
            )
            self._announced = True
        frames += self._events()
        if self.config.newest_frames and self._extra.due(now) and (lines := self._signal_lines()) is not None:
            frames.append(self._write(*lines))
        if self._inputs.due(now):
            warm = {"CPU_Temperature": 45.0, "Pistol_PTC1": self.connector_temperature, "Pistol_PTC2": COOL}
            frames.append(self._write("ADM_CS_SECC_Inputs", warm))
        return tuple(frames)

    def _control_due(self, asked: Asked, now: float) -> bool:
        """Return whether DC_Power_Control goes out: when it changes, and while it is repeated; Standby is told once (can.md 1.4 row 7)."""
        if not self.sequence.speaks:
            self._control_sent = None
            return False
        changed = asked != self._control_sent
        if changed:
            self._control.restart()
        due = (changed or asked.repeated) and self._control.due(now)
        self._control_sent = asked if due else self._control_sent
        return due

    def _events(self) -> list[Frame]:
        """Return what is told on change, the vehicle's information after New_Charge_Session."""
        sequence, frames = self.sequence, []
        self._announced = self._announced and sequence.session
        if self._announced:
            for name, signals in self._information().items():
                if self._sent.get(name) != signals:
                    self._sent[name] = signals
                    frames.append(self._write(name, signals))
        else:
            self._sent.clear()
        for name, signals in sequence.take_events():
            frames.append(self._write(name, signals))
        return frames

    def _information(self) -> dict[str, dict[str, float]]:
        config, battery = self.config, self.battery
        newest = config.newest_frames
        identified = newest and self.protocol.identifies and config.protocol != ISO_15118_20
        return {
            "EV_Information_Battery": {
                "Battery_Capacity": round(battery.capacity_kwh),
                "Present_State_of_Charge": round(self.told_soc),
                **({"Minimum_State_of_Charge": 10, "Target_State_of_Charge": round(config.target_soc_percent)} if newest else {}),
                **({"Maximum_State_of_Charge": 100} if newest else {}),
            },
            "EV_Information_Voltages": {
                "EV_Minimum_Voltage": config.min_voltage,
                "EV_Maximum_Voltage": config.max_voltage,
                **({"EV_Present_Voltage": round(battery.open_circuit_voltage)} if newest else {}),
            },
            "EV_Information_Charge_Limits": {
                "EV_Maximum_Charge_Current": config.max_current,
                "EV_Maximum_Charge_Power": round(config.max_current * config.max_voltage / 1e3),
            },
            "EV_Information_Discharge_Limits": {"EV_Maximum_Discharge_Current": config.max_discharge_current},
            **({"EV_ID_CCS_Part2_DIN": {f"Byte{index}": byte for index, byte in enumerate(VEHICLE_ID)}} if identified else {}),
        }

    def _signal_lines(self) -> tuple[str, dict[str, float]] | None:
        return self.protocol.lines(Connection(self.plugged, self.sequence.running, self.sequence.phase))

    def _write(self, name: str, signals: Mapping[str, float]) -> Frame:
        """Return a frame; one of an older version ends earlier."""
        frame = self._wire.write(name, signals, pistol=self.config.pistol)
        length = OLD_LENGTHS.get(name) if not self.config.newest_frames else None
        return Frame(frame.id, frame.data[:length], frame.extended) if length else frame


# Lengths of frames that have grown since v3.1 (can.md 1.2). [B]
OLD_LENGTHS = {"EV_Information_Battery": 3, "EV_Information_Voltages": 4}


def _control(asked: Asked) -> dict[str, float]:
    return {
        "Target_Voltage": asked.voltage,
        "Current_Range_Max": asked.current_max,
        "Current_Range_Min": asked.current_min,
        "Power_Function": FUNCTIONS[asked.function],
        "Setpoints_Mode": asked.range_mode,
        "Output_Contactors": asked.contactor,
        "Lower_Output_Voltage": asked.lower,
    }
