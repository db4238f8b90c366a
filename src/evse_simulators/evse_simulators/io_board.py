"""The I/O board of one EVSE: buttons, reader, lock, contactor, sensors, and its own watchdog over the station's commands (config/can/io_board.dbc).

What only an EVSE with an AC output has is ac_board.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, isnan, nan

from evse_core import rating
from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.parameter import parameter
from evse_core.sample import Sample, fresh
from evse_core.types import SimPower, SimStationLines, SimVehicleLines
from evse_core.vehicle_link import PILOT
from evse_simulators.ac_board import AC_FACTOR, AC_OFFSET, AcBoardConfig, AcSide
from evse_simulators.board_commands import NO_CURRENT, Commands, read_commands
from evse_simulators.faults import BOARD, Answer, FaultSet
from evse_simulators.pace import Periodic, Wire, toward

# Lock_Command (config/can/io_board.dbc).
HOLD, LOCK, UNLOCK = 0, 1, 2
# Raw values that mean "not fitted", as physical values (config/can/io_board.dbc). [V], [degC], [kohm]
NO_VOLTAGE, NO_TEMPERATURE, NO_INSULATION = 6553.5, 215.0, 65535.0
# The same of the coolant's flow. [L/min]
NO_FLOW = 25.5
# Heat that the coolant takes from the contacts, and the heat exchanger from the coolant; how fast the coolant warms up. Own choice: contacts 6 K above the
# coolant and coolant 15 K above the air at 500 A. [W/K], [W/K], [s]
COOLED_CONDUCTANCE, COOLANT_CONDUCTANCE, COOLANT_TIME = 12.0, 25.0, 30.0
# Highest readings that are not "not fitted". [V], [degC], [kohm], [A]
MOST_VOLTAGE, MOST_TEMPERATURE, MOST_INSULATION, MOST_CURRENT = 6553.4, 214.0, 65534.0, 6553.4
# Pilot_Fault (config/can/io_board.dbc).
PILOT_UNKNOWN, PILOT_GOOD, PILOT_SHORT, PILOT_DIODE = 0, 1, 2, 3
# Hexadecimal digits of a UID: 4, 7 or 10 bytes (ISO 14443-3).
UID_DIGITS = (8, 14, 20)
# Frames of a new token before the slow repetition.
TOKEN_REPEATS = 3
# Lines that are older than this come from a simulator that has died. [s]
INPUT_LIMIT = 0.5
# Heat of a burning contact: an arc draws about the same power at any current that keeps it going. Own choice for the fault connector_hot. [W], [A]
ARC_POWER, ARC_CURRENT = 600.0, 1.0
# A worn contact: 75 W at 125 A, far more than it can lose below 90 degC. Own choice for the fault connector_worn. [ohm]
WORN_RESISTANCE = 0.0048
# Impact stays 1 for so long after the shock (config/can/io_board.dbc). [s]
IMPACT_HOLD = 1.0


@dataclass(frozen=True, slots=True)
class IoBoardConfig(AcBoardConfig):
    """Times and sensors of the board."""

    lock_time: float = parameter(0.6, "s", "time that the lock motor needs", "usual for motor locks", 0.0, 10.0)
    contactor_close_time: float = parameter(0.05, "s", "from the coil to closed contacts and feedback", "DC contactor", 0.0, 1.0)
    contactor_open_time: float = parameter(0.03, "s", "from the coil to open contacts and feedback", "DC contactor", 0.0, 1.0)
    emergency_delay: float = parameter(
        0.1, "s", "from the emergency stop to the dropped coil", "safety relay with delayed contacts", 0.0, 1.0
    )
    command_timeout: float = parameter(
        0.2, "s", "silence of the station after which the outputs open", "docs/design.md, the permit", 0.05, 5.0
    )
    voltage_measured: bool = parameter(True, "", "the board measures the voltage at the connector", "docs/design.md, output voltage")
    temperature_measured: bool = parameter(True, "", "the connector has a temperature sensor", "usual")
    insulation_monitor: bool = parameter(True, "", "the board has an insulation monitor", "can.md section 4: second source")
    has_control_pilot: bool = parameter(False, "", "a control pilot is fitted", "can.md 2.2: CHAdeMO has none")
    board_temperature: float = parameter(20.0, "degC", "temperature around the connector", "mild day", -40.0, 60.0)
    contact_resistance: float = parameter(0.0003, "ohm", "resistance of the connector's contacts", "new connector", 0.0, 0.1)
    uncooled_current: float = parameter(
        0.0,
        "A",
        "current that a liquid-cooled cable carries without coolant; 0: it needs none",
        "rating of the cable",
        0.0,
        rating.MOST_CURRENT,
    )
    coolant_flow: float = parameter(4.0, "L/min", "flow while a liquid-cooled cable is plugged in", "usual", 0.0, 25.0)
    coolant_resistance: float = parameter(
        0.0015, "ohm", "resistance of the cable that warms the coolant", "5 m of 35 mm2, both poles, and contacts", 0.0, 0.1
    )
    contact_thermal_capacity: float = parameter(60.0, "J/K", "heat that warms the contacts by 1 K", "150 g of copper", 1.0, 1e5)
    contact_thermal_conductance: float = parameter(0.5, "W/K", "heat that the contacts lose per kelvin", "10 K at 125 A", 0.01, 1e3)
    cable_discharge_time: float = parameter(
        0.25, "s", "time constant of the connector's own discharge", "circuit.py: 0.5 uF on 500 kohm", 0.0, 60.0
    )


@dataclass(slots=True)
class IoBoardOutput:
    """Frames to the station, and what the board puts on the cable."""

    frames: tuple[Frame, ...]
    lines: SimStationLines


class IoBoardModel:
    """Take frames, lines and readings as they come, call step at 20 Hz or more and on change."""

    def __init__(self, config: IoBoardConfig, database: SignalDatabase) -> None:
        self.config = config
        self.faults = FaultSet(BOARD)
        self.ac = AcSide(config, self.faults) if config.vehicle_link == PILOT else None
        self.lock_position = 0.0
        self.contactor_closed = False
        self.temperature = config.board_temperature
        self.coolant_temperature, self.coolant_flow = config.board_temperature, 0.0
        self.lamp = 0
        self._wire = Wire(database)
        self._commands = Commands()
        self._commanded = -inf
        self._lock_target = 0.0
        self._vehicle: Sample[SimVehicleLines] | None = None
        self._power: Sample[SimPower] | None = None
        self._connector_voltage = nan
        self._starts = self._stops = self._alive = 0
        self._uid, self._token_number, self._token_repeats = b"", 0, 0
        self._coil, self._coil_since, self._emergency_since = False, -inf, inf
        self._last_step: float | None = None
        self._sent_inputs: dict[str, float] = {}
        self._inputs, self._measurements, self._token = Periodic(0.05), Periodic(0.1), Periodic(1.0)
        self._currents, self._currents_alive = Periodic(0.1), 0
        self._pilot, self._sent_pilot, self._pilot_alive = Periodic(0.05), dict[str, float](), 0
        self._hit_at = -inf

    # The driver

    def press_start(self) -> Answer:
        """Press the start button once."""
        self._starts = (self._starts + 1) % 256
        return Answer(True, "start pressed")

    def press_stop(self) -> Answer:
        """Press the stop button once."""
        self._stops = (self._stops + 1) % 256
        return Answer(True, "stop pressed")

    def present_token(self, token: str) -> Answer:
        """Hold a token to the reader: 8, 14 or 20 hexadecimal digits."""
        if len(token) not in UID_DIGITS or any(digit not in "0123456789abcdefABCDEF" for digit in token):
            return Answer(False, f"token {token!r} is not a UID of 8, 14 or 20 hexadecimal digits")
        self._uid = bytes.fromhex(token)
        self._token_number = (self._token_number + 1) % 16
        self._token_repeats = TOKEN_REPEATS
        return Answer(True, f"token {token.upper()} presented")

    def inject(self, name: str, active: bool) -> Answer:
        """Break or heal something."""
        return self.faults.set(name, active)

    def set_power(self, on: bool) -> None:
        """Take the mains away from a station, or give them back; the lock of an AC output opens on its own energy (can.md 3.4), that of a DC one stays."""
        if self.ac is not None:
            self.ac.powered = on
            self._lock_target = self._lock_target if on else 0.0

    # Inputs

    def on_vehicle_lines(self, lines: SimVehicleLines, now: float) -> None:
        """Take proximity and switch k."""
        self._vehicle = Sample(lines, now)

    def on_power(self, power: SimPower, now: float) -> None:
        """Take what the DC path carries."""
        self._power = Sample(power, now)

    def on_frame(self, frame: Frame, now: float) -> None:
        """Take the station's command; others are ignored, and all while the processor has stopped."""
        off = "io_board_silent" in self.faults or (self.ac is not None and not self.ac.powered)
        decoded = None if off else self._wire.read(frame)
        if decoded and decoded.name == "IO_Outputs":
            self._obey(decoded.signals, now)

    def restarted(self, database: SignalDatabase) -> "IoBoardModel":
        """Return the board after a loss of power: contacts and lock stand as they did, and what is broken stays so."""
        made = IoBoardModel(self.config, database)
        made.faults.update(self.faults)
        made.temperature = self.temperature
        made.lock_position, made.contactor_closed, made._lock_target = self.lock_position, self.contactor_closed, self._lock_target
        if made.ac is not None and self.ac is not None:
            made.ac.phases = self.ac.phases
            made.ac.contact(self.contactor_closed)
        return made

    def _obey(self, signals: Mapping[str, float], now: float) -> None:
        if self.ac is not None and not self.ac.is_new(signals.get("Alive", 0.0)):
            return
        self._commands = read_commands(signals)
        self._commanded = now
        self.lamp = int(signals.get("Lamp", 0.0))
        self._lock_target = {LOCK: 1.0, UNLOCK: 0.0}.get(int(signals.get("Lock_Command", HOLD)), self._lock_target)

    # One step

    def step(self, now: float) -> IoBoardOutput:
        """Go on to now [s]."""
        seconds = 0.0 if self._last_step is None else max(now - self._last_step, 0.0)
        self._last_step = now
        self._move_lock(seconds)
        if self.ac is not None:
            self.ac.step(fresh(self._vehicle, now, INPUT_LIMIT) or SimVehicleLines(), self._effective(now), now)
        self._move_contactor(now)
        self._measure(now, seconds)
        return IoBoardOutput(self._frames(now), self.lines(now))

    @property
    def locked(self) -> bool:
        """The lock holds the connector."""
        return self.lock_position >= 1.0

    def holds_open(self, now: float) -> bool:
        """Return whether the board keeps its outputs open by itself: the station is silent, or somebody pressed the emergency stop."""
        return self._watchdog_tripped(now) or "emergency_stop" in self.faults

    def lines(self, now: float) -> SimStationLines:
        """Return what the station's hardware puts on the cable now."""
        commands = self._effective(now)
        if self.ac is None:
            return SimStationLines(0.0, commands.sequence_1, commands.sequence_2, self.locked, self.contactor_closed)
        phases, pilot = self.ac.connected_phases, self.ac.pilot_at_vehicle
        return SimStationLines(0.0, False, False, self.locked, phases > 0, phases, pilot, self.ac.mains_voltage)

    def _watchdog_tripped(self, now: float) -> bool:
        return now - self._commanded > self.config.command_timeout

    def _effective(self, now: float) -> Commands:
        """Return the commands that still hold: none once the station is silent; the emergency stop drops the coils."""
        if self._watchdog_tripped(now):
            return Commands()
        if now - self._emergency_since >= self.config.emergency_delay:
            return Commands(self._commands.sequence_1)
        return self._commands

    def _move_lock(self, seconds: float) -> None:
        if "lock_lost" in self.faults:
            self.lock_position = 0.0
        elif "lock_stuck" not in self.faults:
            way = seconds / self.config.lock_time if self.config.lock_time > 0.0 else 1.0
            self.lock_position = toward(self.lock_position, self._lock_target, way, way)

    def _move_contactor(self, now: float) -> None:
        """Let the contactor follow its coil after its own time."""
        if "emergency_stop" not in self.faults:
            self._emergency_since = inf
        elif self._emergency_since == inf:
            self._emergency_since = now
        coil = self._wants_closed(now) and "contactor_stuck_open" not in self.faults
        if coil != self._coil:
            self._coil, self._coil_since = coil, now
        delay = self.config.contactor_close_time if coil else self.config.contactor_open_time
        if now - self._coil_since >= delay:
            self.contactor_closed = coil or (self.contactor_closed and "contactor_welded" in self.faults)
        if self.ac is not None:
            self.ac.contact(self.contactor_closed)

    def _wants_closed(self, now: float) -> bool:
        commands = self._effective(now)
        return commands.close if self.ac is None else self.ac.coil(commands, now)

    # Sensors

    def _measure(self, now: float, seconds: float) -> None:
        """Read voltage and warm the contacts; without the modules' simulator the connector discharges by itself or shows the battery."""
        power = fresh(self._power, now, INPUT_LIMIT)
        if power is not None:
            self._connector_voltage = power.connector_voltage
        elif not isnan(self._connector_voltage):
            self._connector_voltage = self._voltage_without_modules(now, seconds)
        current = max(self.ac.currents) if self.ac is not None else _current(power)
        heat = (WORN_RESISTANCE if "connector_worn" in self.faults else self.config.contact_resistance) * current**2
        heat += ARC_POWER if "connector_hot" in self.faults and current > ARC_CURRENT else 0.0
        self._cool(current, seconds)
        flows = self.coolant_flow > 0.0
        conductance = self.config.contact_thermal_conductance + (COOLED_CONDUCTANCE if flows else 0.0)
        settled = (self.coolant_temperature if flows else self.config.board_temperature) + heat / conductance
        self.temperature = settled + (self.temperature - settled) * exp(-seconds * conductance / self.config.contact_thermal_capacity)

    def _cool(self, current: float, seconds: float) -> None:
        """Let the coolant flow while the connector is in a vehicle, and take the cable's heat with it to a heat exchanger."""
        plugged = self._vehicle is not None and self._vehicle.value.plugged
        runs = self.config.uncooled_current > 0.0 and plugged and "coolant_pump_fails" not in self.faults
        self.coolant_flow = self.config.coolant_flow if runs else 0.0
        warm = self.config.board_temperature + (self.config.coolant_resistance * current**2 / COOLANT_CONDUCTANCE if runs else 0.0)
        self.coolant_temperature = warm + (self.coolant_temperature - warm) * exp(-seconds / COOLANT_TIME)

    @property
    def _coolant_measured(self) -> bool:
        """There is coolant, and its sensors work."""
        return self.config.uncooled_current > 0.0 and "coolant_unknown" not in self.faults

    def _voltage_without_modules(self, now: float, seconds: float) -> float:
        vehicle = fresh(self._vehicle, now, INPUT_LIMIT)
        if vehicle is not None and vehicle.plugged and vehicle.contactor_closed:
            return vehicle.battery_voltage
        return self._connector_voltage * exp(-seconds / max(self.config.cable_discharge_time, 1e-6))

    def _insulation(self, now: float) -> float:
        """Return what the monitor reads [kohm]."""
        power = fresh(self._power, now, INPUT_LIMIT)
        if not self.config.insulation_monitor or self.ac is not None or power is None or isnan(power.insulation_resistance):
            return NO_INSULATION
        return min(power.insulation_resistance / 1000.0, MOST_INSULATION)

    # Frames

    def _frames(self, now: float) -> tuple[Frame, ...]:
        if "io_board_silent" in self.faults:
            return ()
        frames = []
        inputs = self._input_signals(now)
        if inputs != self._sent_inputs or self._inputs.due(now):
            self._sent_inputs, self._alive = inputs, (self._alive + 1) % 256
            frames.append(self._wire.write("IO_Inputs", inputs | {"Alive": float(self._alive)}))
            if self._token_repeats > 0:
                self._token_repeats -= 1
                frames.extend(self._token_frames())
        if self._measurements.due(now):
            frames.append(self._measurement_frame(now))
        frames += self._ac_frames(now)
        if self._token.due(now):
            frames.extend(self._token_frames())
        return tuple(frames)

    def _input_signals(self, now: float) -> dict[str, float]:
        vehicle = fresh(self._vehicle, now, INPUT_LIMIT) or SimVehicleLines()
        broken = "proximity_fault" in self.faults
        return {
            "Plugged": float((vehicle.plugged if self.ac is None else self.ac.plugged) and not broken),
            "Proximity_Fault": float(broken),
            "Permission_K": float(vehicle.plugged and vehicle.permission),
            "Locked": float(self.locked),
            "Contactor_Closed": float(self.contactor_closed),
            "Emergency_Stop": float("emergency_stop" in self.faults),
            "Door_Open": float("door_open" in self.faults),
            "Earth_Ok": float("earth_lost" not in self.faults),
            "Residual_Current_Trip": float("residual_current" in self.faults),
            "Tilted": float("tilted" in self.faults),
            "Impact": float(self._is_hit(now)),
            "Pilot_Fault": float(self._pilot_fault()),
            "Board_Watchdog_Tripped": float(self._watchdog_tripped(now)),
            "Start_Count": float(self._starts),
            "Stop_Count": float(self._stops),
        }

    def _is_hit(self, now: float) -> bool:
        """Return whether there is or has just been a shock."""
        if "impact" in self.faults:
            self._hit_at = now
        return now - self._hit_at <= IMPACT_HOLD

    def _pilot_fault(self) -> int:
        if self.ac is not None:
            return int(self.ac.filter.fault)
        if not self.config.has_control_pilot:
            return PILOT_UNKNOWN
        if "pilot_short" in self.faults:
            return PILOT_SHORT
        return PILOT_DIODE if "pilot_diode" in self.faults else PILOT_GOOD

    def _ac_frames(self, now: float) -> list[Frame]:
        """Return what tells of the AC side: the pilot at its rate and on change, the rest at the rate of measurements."""
        frames = []
        pilot = self.ac.pilot_signals() if self.ac is not None else {}
        if pilot and (pilot != self._sent_pilot or self._pilot.due(now)):
            self._sent_pilot, self._pilot_alive = pilot, (self._pilot_alive + 1) % 256
            frames.append(self._wire.write("IO_Pilot", pilot | {"Alive": float(self._pilot_alive)}))
        if self.config.ac_phases and self._currents.due(now):
            self._currents_alive = (self._currents_alive + 1) % 256
            frames += [
                self._wire.write(name, signals | {"Alive": float(self._currents_alive)}) for name, signals in self._measured(now).items()
            ]
        return frames

    def _measured(self, now: float) -> dict[str, dict[str, float]]:
        """Return the frames of AC measurements without their counters."""
        currents = self.ac.current_signals() if self.ac is not None else self._dc_station_currents(now)
        found = {} if "ac_current_lost" in self.faults else {"IO_Currents": currents}
        return found if self.ac is None else found | {"IO_Mains": self.ac.mains_signals(), "IO_Powers": self.ac.power_signals()}

    def _dc_station_currents(self, now: float) -> dict[str, float]:
        """Return the AC currents of a board without an AC output of its own: what is signalled, or too much."""
        commands = self._effective(now)
        signalled = commands.pilot_current if commands.pilot_current < NO_CURRENT and self.contactor_closed else 0.0
        drawn = signalled * AC_FACTOR + AC_OFFSET if "ac_over_current" in self.faults and signalled > 0.0 else signalled
        return {
            f"AC_Current_L{number}": min(drawn, MOST_CURRENT) if number <= self.config.ac_phases else NO_CURRENT for number in (1, 2, 3)
        }

    def _measurement_frame(self, now: float) -> Frame:
        voltage = self._connector_voltage if self.config.voltage_measured and self.ac is None else nan
        signals = {
            "Connector_Voltage": NO_VOLTAGE if isnan(voltage) else min(max(voltage, 0.0), MOST_VOLTAGE),
            "Connector_Temperature": min(self.temperature, MOST_TEMPERATURE) if self.config.temperature_measured else NO_TEMPERATURE,
            "Insulation_Resistance": self._insulation(now),
            "Coolant_Temperature": self.coolant_temperature if self._coolant_measured else NO_TEMPERATURE,
            "Coolant_Flow": self.coolant_flow if self._coolant_measured else NO_FLOW,
        }
        return self._wire.write("IO_Measurements", signals)

    def _token_frames(self) -> list[Frame]:
        """Return the UID in one frame, or two where it is longer than six bytes."""
        head = {"Sequence": float(self._token_number), "Length": float(len(self._uid))}
        parts = [self._uid[:6], self._uid[6:]] if len(self._uid) > 6 else [self._uid]
        frames = []
        for part, data in enumerate(parts):
            octets = {f"Byte{6 * part + index}": float(octet) for index, octet in enumerate(data)}
            frames.append(self._wire.write("IO_Token", head | octets | {"Part": float(part)}))
        return frames


def _current(power: SimPower | None) -> float:
    """Return the size of the current on a DC path [A], 0 where it is not known."""
    return abs(power.current) if power is not None and not isnan(power.current) else 0.0
