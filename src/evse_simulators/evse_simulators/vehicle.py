"""A CHAdeMO vehicle: contactor and sensors around the charge controller of vehicle_sequence.py, speaking frames 0x100, 0x101, 0x102, 0x110."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf, isnan
from typing import Any

from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.parameter import parameter
from evse_core.sample import Sample, fresh
from evse_core.types import SimStationLines
from evse_simulators.battery import BatteryConfig
from evse_simulators.faults import PRETENDED_CHARGE, VEHICLE
from evse_simulators.pace import Periodic, Wire
from evse_simulators.simulated_vehicle import INPUT_LIMIT, SimulatedVehicle, VehicleOutput
from evse_simulators.vehicle_sequence import Phase, VehicleSequence
from evse_simulators.vehicle_sequence_config import FIRST_WITH_CONTACTOR_FLAG, SequenceConfig
from evse_simulators.vehicle_sequence_view import Charger, Seen, Wish

# Charging time is told in minutes, 0xFF in the 10 s byte says so; 0xFF minutes would mean unknown (can.md 2.1). [s], [min]
TAKE_THE_MINUTES, MOST_MINUTES = 2550.0, 254.0
# Time allowed on top of the computed charging time: half as much again and 10 min, own choice.
TIME_FACTOR, TIME_OFFSET = 1.5, 10.0
# An 800 V vehicle, for the fault vehicle_incompatible. [V]
INCOMPATIBLE_TARGET, INCOMPATIBLE_MAXIMUM = 820.0, 840.0
# What the broken sensors of the fault table show.
CURRENT_SENSOR_OFFSET, VOLTAGE_SENSOR_FACTOR, TEMPERATURE_SENSOR_OFFSET = 30.0, 0.8, 60.0
# Frames that every charger sends (can.md 2.1).
CHARGER_FRAMES = ("SE_Capability", "SE_Status")


@dataclass(frozen=True)
class VehicleConfig(SequenceConfig, BatteryConfig):
    """The vehicle as a whole."""

    frame_period: float = parameter(0.1, "s", "period of its frames", "0.1 s; one car with 0.225 s was served: can.md 2.1", 0.05, 0.5)
    min_discharge_soc: int = parameter(20, "", "least charge for discharging (200.6), percent", "can.md 2.1", 0, 255)
    v2h_sequence: int = parameter(0, "", "V2H sequence number (201.0); -1: sends no 0x201, as older vehicles", "can.md 2.1", -1, 255)
    unsettled_reference: int = parameter(100, "", "100.6 before it permits; 240 and 255 occur on real cars", "can.md 2.1", 1, 255)


class VehicleModel(SimulatedVehicle):
    """A SimulatedVehicle that speaks CHAdeMO."""

    PLUG_LOST = "plug_lost"

    def __init__(self, config: VehicleConfig, database: SignalDatabase) -> None:
        super().__init__(config, VEHICLE)
        self.config = config
        self.sequence = VehicleSequence(config)
        self._closed = False
        self._wire = Wire(database)
        self._charger: dict[str, Sample[Mapping[str, float]]] = {}
        # What the charger's frames say, None where one of them has changed since.
        self._words: dict[str, Any] | None = None
        self._wish = Wish()
        self._minutes = 0.0
        self._tick = Periodic(config.frame_period)

    # How it stands

    @property
    def locked(self) -> bool:
        """The station's lock holds the connector."""
        return self._station is not None and self._station.value.locked

    @property
    def contactor_closed(self) -> bool:
        """The vehicle's contactor."""
        return self._closed

    @property
    def running(self) -> bool:
        """The vehicle's controller is in a session."""
        return self.sequence.phase not in {Phase.ASLEEP, Phase.ENDED}

    @property
    def emergency(self) -> bool:
        """A CHAdeMO vehicle cuts power through the station."""
        return False

    @property
    def request(self) -> float:
        """The current that is asked for now [A]."""
        return self.sequence.request

    @property
    def phase_name(self) -> str:
        """Where the vehicle's controller stands."""
        return self.sequence.phase.value

    @property
    def end(self) -> str:
        """Why its controller ended the session."""
        return self.sequence.end

    @property
    def permission(self) -> bool:
        """Switch k."""
        return self._wish.permits and "vehicle_stops_permission" not in self.faults

    def _pull(self) -> None:
        super()._pull()
        self._closed = False
        self._charger.clear()
        self.sequence.unplug()

    # Inputs

    def on_frame(self, frame: Frame, now: float) -> None:
        """Take a frame of the charger; others, and all without a plug, are ignored."""
        decoded = self._wire.read(frame) if self.plugged else None
        if decoded and decoded.name.startswith("SE_"):
            last = self._charger.get(decoded.name)
            if last is None or last.value is not decoded.signals:
                self._words = None
            self._charger[decoded.name] = Sample(decoded.signals, now)

    # One step

    def step(self, now: float) -> VehicleOutput:
        """Go on to now [s]."""
        lines = fresh(self._station, now, INPUT_LIMIT) or SimStationLines()
        if self.plugged:
            self._wish = self.sequence.step(self._seen(lines, now), now)
            self._forget_when_asleep()
        else:
            self._wish = Wish()
        self._move_contactor(lines)
        return VehicleOutput(self._frames(now), self.lines())

    def _forget_when_asleep(self) -> None:
        if self.sequence.phase is Phase.ASLEEP:
            self._stop_pressed = False
            self._charger.clear()

    def _move_contactor(self, lines: SimStationLines) -> None:
        """Drop or pull the contactor: its coil is fed through both charge sequence signals (can.md 2.2)."""
        coil = self._wish.coil and lines.sequence_1 and lines.sequence_2 and "vehicle_contactor_opens" not in self.faults
        welded = self._closed and "vehicle_contactor_welded" in self.faults
        self._closed = self.plugged and (coil or welded)

    def _seen(self, lines: SimStationLines, now: float) -> Seen:
        inlet, current = self._readings(now)
        emf = self.battery.open_circuit_voltage
        faults = self.faults
        return Seen(
            sequence_1=lines.sequence_1,
            sequence_2=lines.sequence_2,
            charger=self._read_charger(now),
            contactor_closed=self.contactor_closed,
            inlet_voltage=inlet * (VOLTAGE_SENSOR_FACTOR if "vehicle_fault_voltage_deviation" in faults else 1.0),
            current=current + (CURRENT_SENSOR_OFFSET if "vehicle_fault_current_deviation" in faults else 0.0),
            battery_voltage=emf,
            monitor_voltage=self._monitor_voltage(inlet if self.contactor_closed else emf),
            temperature_fault=self._measured_temperature() >= self.config.max_temperature,
            system_fault="vehicle_fault" in faults,
            shift_not_parked="vehicle_shift" in faults,
            soc_percent=self.battery.soc_percent,
            gives=self._gives,
            acceptable_current=self.battery.acceptable_current(),
            stop_pressed=self._stop_pressed,
            target_voltage=self._target_voltage(),
            no_request="vehicle_no_request" in faults,
        )

    def _readings(self, now: float) -> tuple[float, float]:
        """Return voltage at the inlet and current into it, from the own battery where the other end is silent."""
        power = fresh(self._power, now, INPUT_LIMIT)
        if power is None or isnan(power.connector_voltage):
            return (self.battery.open_circuit_voltage if self.contactor_closed else 0.0), 0.0
        return power.connector_voltage, power.current if self.contactor_closed else 0.0

    def _monitor_voltage(self, voltage: float) -> float:
        if "vehicle_fault_overvoltage" in self.faults:
            return self.config.max_voltage * 1.05
        return self.config.min_voltage * 0.9 if "vehicle_fault_undervoltage" in self.faults else voltage

    @property
    def _gives(self) -> bool:
        """The vehicle gives power: it is one that can, its charge allows it, and nothing is broken."""
        return self.config.max_discharge_current > 0.0 and "vehicle_stops_discharge" not in self.faults

    @property
    def told_soc(self) -> float:
        """State of charge as it is told [%]."""
        return PRETENDED_CHARGE if "vehicle_lies_about_charge" in self.faults else self.battery.soc_percent

    def _measured_temperature(self) -> float:
        return self.battery.temperature + (TEMPERATURE_SENSOR_OFFSET if "vehicle_fault_temperature" in self.faults else 0.0)

    def _target_voltage(self) -> float:
        return INCOMPATIBLE_TARGET if "vehicle_incompatible" in self.faults else self.config.target_voltage

    def _read_charger(self, now: float) -> Charger:
        """Return what the charger's frames say; both must have come, the older one counts."""
        offer, status = (self._charger.get(name) for name in CHARGER_FRAMES)
        if offer is None or status is None:
            return Charger()
        if self._words is None:
            self._words = self._said(offer.value, status.value)
        return Charger(age=now - min(offer.received, status.received), **self._words)

    def _said(self, offer: Mapping[str, float], status: Mapping[str, float]) -> dict[str, Any]:
        """Return the fields of Charger but the age."""
        extended = self._charger.get("SE_ExtendedFunction")
        return {
            "protocol_number": int(status.get("control_protocol_number", 0.0)),
            "welding_detection": offer.get("welding_detection_support", 0.0) > 0.0,
            "available_voltage": offer.get("available_output_voltage", 0.0),
            "available_current": offer.get("available_output_current", 0.0),
            "threshold_voltage": offer.get("threshold_voltage", 0.0),
            "present_voltage": status.get("present_output_voltage", 0.0),
            "charging": status.get("status_charging", 0.0) > 0.0,
            "malfunction": status.get("status_charger_malfunction", 0.0) > 0.0,
            "locked": status.get("status_connector_locked", 0.0) > 0.0,
            "incompatible": status.get("status_battery_incompatible", 0.0) > 0.0,
            "system_malfunction": status.get("status_charging_system_malfunction", 0.0) > 0.0,
            "stop_control": status.get("status_stop_control", 1.0) > 0.0,
            "dynamic_control": extended is not None and extended.value.get("dynamic_control", 0.0) > 0.0,
            "discharges": status.get("discharge_compatible", 0.0) > 0.0,
            "discharge_frames": "SE_DischargeCapability" in self._charger and "SE_DischargeEstimate" in self._charger,
            "discharge_current": self._charged_back(),
        }

    def _charged_back(self) -> float:
        """Return the current that the charger says it takes [A] (208.0)."""
        said = self._charger.get("SE_DischargeCapability")
        return said.value.get("present_discharge_current", 0.0) if said is not None else 0.0

    # Frames

    def _frames(self, now: float) -> tuple[Frame, ...]:
        if not self._wish.awake or not self.plugged:
            self._tick.restart()
            return ()
        if not self._tick.due(now):
            return ()
        request = self.sequence.pace()
        if "vehicle_silent" in self.faults:
            return ()
        frames = [self._limits_frame(), self._time_frame(), self._status_frame(request)]
        if self.config.extended_functions and self.config.protocol_number >= FIRST_WITH_CONTACTOR_FLAG:
            frames.append(self._wire.write("EV_ExtendedFunction", {"dynamic_control": 1.0}))
        if self.config.max_discharge_current > 0.0:
            frames += self._discharge_frames()
        return tuple(frames)

    def _discharge_frames(self) -> list[Frame]:
        limits = {
            "max_discharge_current": self.config.max_discharge_current if self._gives else 0.0,
            "min_discharge_voltage": self.config.min_voltage,
            "min_battery_discharge_level": float(self.config.min_discharge_soc),
            "max_remaining_capacity_for_charging": 255.0,
        }
        frames = [self._wire.write("EV_DischargeLimits", limits)]
        if self.config.v2h_sequence >= 0:
            energy = self.battery.soc_percent / 100.0 * self.battery.capacity_kwh
            signals = {"v2h_sequence_number": float(self.config.v2h_sequence), "available_vehicle_energy": energy}
            frames.append(self._wire.write("EV_DischargeEstimate", signals))
        return frames

    def _limits_frame(self) -> Frame:
        modern = self.config.protocol_number >= FIRST_WITH_CONTACTOR_FLAG
        maximum = INCOMPATIBLE_MAXIMUM if "vehicle_incompatible" in self.faults else self.config.max_voltage
        signals = {
            "min_charge_current": self.config.min_current if modern else 0.0,
            "max_charge_current": self.config.max_current if modern else 0.0,
            "min_battery_voltage": self.config.min_voltage if modern else 0.0,
            "max_battery_voltage": maximum,
            "charged_rate_reference": 100.0 if self._wish.permits or self._wish.time_known else float(self.config.unsettled_reference),
        }
        return self._wire.write("EV_ChargingLimits", signals)

    def _time_frame(self) -> Frame:
        """Return 0x101: zeros until the vehicle has thought, as on real cars."""
        known = self._wish.time_known and self.sequence.phase is not Phase.ENDED
        self._minutes = (self._minutes or self._estimate()) if known else 0.0
        signals = {
            "max_charging_time_10s": TAKE_THE_MINUTES if known else 0.0,
            "max_charging_time_min": min(ceil(self._minutes * TIME_FACTOR + TIME_OFFSET), MOST_MINUTES) if known else 0.0,
            "estimated_charging_time": min(ceil(self._minutes), MOST_MINUTES) if known else 0.0,
            "total_battery_capacity": self.battery.capacity_kwh,
        }
        return self._wire.write("EV_ChargingTime", signals)

    def _estimate(self) -> float:
        """Return the charging time [min] at the current that both sides can do."""
        offer = self._charger.get("SE_Capability")
        available = offer.value.get("available_output_current", 0.0) if offer else inf
        current = max(min(available, self.config.max_current), 1.0)
        missing = max(self.config.target_soc_percent - self.battery.soc_percent, 0.0) / 100.0 * self.battery.capacity_ah
        return max(missing / current * 60.0, 1.0)

    def _status_frame(self, request: float) -> Frame:
        wish = self._wish
        signals = {
            "control_protocol_number": float(self.config.protocol_number),
            "target_battery_voltage": self._target_voltage(),
            "charging_current_request": request,
            "status_charging_enabled": float(wish.permits),
            "status_contactor_open": float(wish.contactor_open),
            "status_normal_stop_request": float(wish.normal_stop),
            "charged_rate": float(int(self.told_soc)),
            "status_discharge_compatible": float(self._gives),
        }
        return self._wire.write("EV_Status", signals | dict.fromkeys(wish.faults, 1.0))
