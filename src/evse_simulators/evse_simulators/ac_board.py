"""The AC side of the simulated I/O board: control pilot and proximity, self test of the residual current device, contacts, mains, currents and powers.

Theory of operation. The pilot is a voltage divider: +12 or -12 V behind 1 kohm, and in the vehicle a diode and a resistor to earth. The levels that come out go
to a PilotFilter of the board's own, as its firmware has it, and by what that says the firmware opens the contactor without asking anybody: when the vehicle
leaves state C (or D where ventilated), on a fault of the pilot, on a trip, when commands stay away. What it has opened by itself stays open until the command
has been taken back. Numbers: ../shared/reference/can.md section 3; frames: config/can/io_board.dbc.
"""

from dataclasses import dataclass
from math import inf, isfinite, nan

from evse_core.control_pilot import LEAST, STEADY, PilotFilter, duty_of
from evse_core.parameter import parameter
from evse_core.types import PilotFault, PilotState, SimVehicleLines
from evse_core.vehicle_link import link_parameter
from evse_simulators.board_commands import NO_CURRENT, Commands
from evse_simulators.faults import FaultSet

# Source of the pilot: voltage of both halves and its resistor (can.md 3.1). [V], [ohm]
SOURCE, SOURCE_RESISTANCE = 12.0, 1000.0
# Drop of the vehicle's diode. Own choice: a silicon diode at a few mA, with which all levels come out within 0.1 V. [V]
DIODE_DROP = 0.7
# Swing of the fault pilot_noise: more than the bands are wide (can.md 3.1: 1 V). Own choice. [V]
NOISE = 1.6
# A resistor in the plug that stands for no cable, between 220 and 680 ohm, for the fault cable_coding_wrong. Own choice. [ohm]
WRONG_CODING = 400.0
# The mains of the fault mains_low, as a share of the nominal voltage. EN 50160 allows -10 % for 95 % of a week, and -15 % at any time. [1]
LOW_MAINS = 0.8
# After so long with a steady pilot the firmware opens the contactor of a vehicle that goes on charging, by itself: 6 s (can.md 3.3) are the station's, and a
# margin for its own way. [s]
STEADY_LIMIT = 7.0
# Values that mean "not fitted" or "not measured" (config/can/io_board.dbc). [ohm], [V], [Hz], [W]
NO_RESISTOR, NO_VOLTAGE, NO_FREQUENCY, NO_POWER = 65535.0, 6553.5, 65.5, -32768.0
# Highest readings of a current and a power. [A], [W]
MOST_CURRENT, MOST_POWER = 6553.4, 32767.0
# What a vehicle draws for the fault ac_over_current: above both limits at once (safety_config.py) from 20 A on, the lower one before. Own choice. [1], [A]
AC_FACTOR, AC_OFFSET = 1.3, 1.0
PHASES = (1, 2, 3)
CONNECTED = frozenset({PilotState.B, PilotState.C, PilotState.D})


@dataclass(frozen=True, slots=True)
class AcBoardConfig:
    """The AC output, where the board has one."""

    vehicle_link: str = link_parameter()
    ac_phases: int = parameter(0, "", "phases whose AC current the board measures", "a DC station need not", 0, 3)
    phase_voltage: float = parameter(
        230.0, "V", "voltage of a phase, nominal", "IEC 60038: 230 V; 120 or 240 V in North America", 90.0, 300.0
    )
    mains_frequency: float = parameter(50.0, "Hz", "frequency of the mains", "IEC 60038: 50 or 60 Hz", 45.0, 65.0)
    socket_outlet: bool = parameter(False, "", "a socket outlet for detachable cables; false: a tethered cable", "can.md 3.4")
    ventilated: bool = parameter(False, "", "there is ventilation for vehicles that need it (state D)", "can.md 3.1")
    residual_test_time: float = parameter(
        0.2, "s", "self test of the residual current device", "own choice: RDC-DD sensors need 0.1 to 0.3 s", 0.0, 5.0
    )


class AcSide:
    """See above. Call step whenever the board is stepped, then coil, then tell contact of what the contacts have done."""

    def __init__(self, config: AcBoardConfig, faults: FaultSet) -> None:
        self.config = config
        self.high = self.low = nan
        self.duty = STEADY
        self.phases = 1
        self.tested = False
        """The self test has been passed since the contactor was closed last."""
        self.powered = True
        """The station has mains: else there is no voltage, and nothing drives the pilot."""
        self.filter = PilotFilter()
        self._faults = faults
        self._vehicle = SimVehicleLines()
        self._resistance = nan
        self._plugged = False
        self._test_asked, self._test_since = False, inf
        self._closed = self._coil = self._opened_by_itself = False
        self._steady_since = inf
        self._noise = NOISE
        self._signalled = 0.0
        self._alive = nan

    # One step

    def step(self, vehicle: SimVehicleLines, commands: Commands, now: float) -> None:
        """Take what the vehicle has on the cable and what the station wants; drive and read the pilot, run the self test."""
        self._vehicle = vehicle
        self._drive(commands, now)
        self._measure_pilot()
        self.filter.step(self.high, self.low, self.duty, now)
        self._look_for_plug()
        self._run_test(commands, now)
        if not self._closed and not self._coil:
            self.phases = min(commands.phases, max(self.config.ac_phases, 1))

    def is_new(self, alive: float) -> bool:
        """Return whether a command's counter has moved: a repeated frame is no sign of life."""
        before, self._alive = self._alive, alive
        return alive != before

    def coil(self, commands: Commands, now: float) -> bool:
        """Return whether the firmware feeds the contactor's coil."""
        if not commands.close:
            self._coil = self._opened_by_itself = False
            return False
        good = self.state in self._ready and self.filter.fault is PilotFault.NONE and "residual_current" not in self._faults
        stays = now - self._steady_since <= STEADY_LIMIT
        closes = self._modulated and self.tested and not self._opened_by_itself
        on = good and (stays if self._coil else closes)
        self._opened_by_itself |= self._coil and not on
        self._coil = on
        return on

    def contact(self, closed: bool) -> None:
        """Take whether the contactor is closed now."""
        if closed and not self._closed:
            self.tested = False
        self._closed = closed

    @property
    def state(self) -> PilotState:
        """The state of the pilot by the firmware's own reading."""
        return self.filter.state

    @property
    def _ready(self) -> frozenset[PilotState]:
        return frozenset({PilotState.C, PilotState.D} if self.config.ventilated else {PilotState.C})

    @property
    def _modulated(self) -> bool:
        return 0.0 < self.duty < STEADY

    def _drive(self, commands: Commands, now: float) -> None:
        """Set the duty cycle: 100 % is steady 12 V, 0 % steady -12 V (state F)."""
        self._signalled = commands.pilot_current if commands.pilot_current < NO_CURRENT else 0.0
        self.duty = 0.0 if commands.pilot_unavailable else duty_of(self._signalled)
        self._steady_since = inf if self._modulated else min(self._steady_since, now)

    # Pilot and proximity

    def _measure_pilot(self) -> None:
        """Read both halves at the board's end of the wire."""
        broken = "pilot_broken" in self._faults or not self._vehicle.plugged
        resistance = nan if broken else self._vehicle.pilot_resistance
        diode = self._vehicle.pilot_diode and "pilot_diode" not in self._faults
        if not self.powered or "pilot_short" in self._faults:
            self.high = self.low = 0.0
            return
        high, low = _divided(SOURCE, resistance, diode), _divided(-SOURCE, resistance, diode)
        self._noise = -self._noise
        noise = self._noise if "pilot_noise" in self._faults else 0.0
        self.high = (low if self.duty == 0.0 else high) + noise
        self.low = (high if self.duty == STEADY else low) + noise

    def _look_for_plug(self) -> None:
        """A socket outlet knows a plug by its resistor, a tethered connector the vehicle by the pilot, which says nothing in states E and F."""
        self._resistance = self._proximity()
        if self.config.socket_outlet:
            self._plugged = isfinite(self._resistance)
        elif self.state in CONNECTED or self.state is PilotState.A:
            self._plugged = self.state in CONNECTED

    def _proximity(self) -> float:
        if not self.config.socket_outlet or not self._vehicle.plugged:
            return nan
        return WRONG_CODING if "cable_coding_wrong" in self._faults else self._vehicle.cable_resistance

    @property
    def plugged(self) -> bool:
        """A plug is in the socket outlet, or the tethered connector in a vehicle."""
        return self._plugged

    @property
    def pilot_at_vehicle(self) -> float:
        """Duty cycle that arrives at the other end [%], NaN where nothing does."""
        return nan if not self.powered or not self._faults.isdisjoint({"pilot_short", "pilot_broken"}) else self.duty

    # Residual current

    def _run_test(self, commands: Commands, now: float) -> None:
        """Run the self test once for each time that it is asked for, as soon as the contactor is open."""
        if not commands.residual_current_test:
            self._test_asked = False
        elif not self._test_asked and not self._closed and not self._coil:
            self._test_asked, self._test_since, self.tested = True, now, False
        if now - self._test_since >= self.config.residual_test_time:
            self._test_since = inf
            self.tested = self._faults.isdisjoint({"residual_test_fails", "residual_current"})
        if "residual_current" in self._faults:
            self.tested = False

    # The output

    @property
    def connected_phases(self) -> int:
        """Phases that are really connected: a welded pole is one whatever its feedback says."""
        return self.phases if self._closed else int("pole_welded" in self._faults)

    @property
    def mains_voltage(self) -> float:
        """Voltage of each phase before the contactor. [V]"""
        if not self.powered or "mains_lost" in self._faults:
            return 0.0
        return self.config.phase_voltage * (LOW_MAINS if "mains_low" in self._faults else 1.0)

    @property
    def currents(self) -> tuple[float, float, float]:
        """Current of each phase. [A]"""
        drawn = self._vehicle.ac_current if self._vehicle.plugged and isfinite(self._vehicle.ac_current) else 0.0
        if "ac_over_current" in self._faults and self._closed and self._signalled >= LEAST:
            drawn = self._signalled * AC_FACTOR + AC_OFFSET
        count = min(self.connected_phases, 3 if self._vehicle.ac_phases == 3 else 1)
        first, second, third = (drawn if number <= count and self.mains_voltage > 0.0 else 0.0 for number in PHASES)
        return first, second, third

    # Frames

    def pilot_signals(self) -> dict[str, float]:
        """Return IO_Pilot without its counter."""
        live = self.connected_phases > 0 and self.mains_voltage > 0.0
        return {
            "Pilot_High": self.high,
            "Pilot_Low": self.low,
            "Pilot_Duty": self.duty,
            "Pilot_State": float(self.state),
            "Latch_Pressed": float("latch_pressed" in self._faults and not self.config.socket_outlet),
            "Output_Live": float(live or "output_sensor_live" in self._faults),
            "Phases_2_3_Closed": float(self._closed and self.phases == 3),
            "Residual_Current_Tested": float(self.tested),
            "Proximity_Resistance": self._resistance if isfinite(self._resistance) else NO_RESISTOR,
        }

    def mains_signals(self) -> dict[str, float]:
        """Return IO_Mains without its counter."""
        voltages = {f"Voltage_L{number}": self.mains_voltage if self._measures(number) else NO_VOLTAGE for number in PHASES}
        return voltages | {"Frequency": self.config.mains_frequency if self.mains_voltage > 0.0 else NO_FREQUENCY}

    def current_signals(self) -> dict[str, float]:
        """Return IO_Currents without its counter."""
        values = zip(PHASES, self.currents, strict=True)
        return {f"AC_Current_L{number}": min(value, MOST_CURRENT) if self._measures(number) else NO_CURRENT for number, value in values}

    def power_signals(self) -> dict[str, float]:
        """Return IO_Powers without its counter; chargers of vehicles have a power factor of nearly 1."""
        values = zip(PHASES, self.currents, strict=True)
        powers = {number: min(value * self.mains_voltage, MOST_POWER) for number, value in values}
        return {f"Power_L{number}": power if self._measures(number) else NO_POWER for number, power in powers.items()}

    def _measures(self, phase: int) -> bool:
        return phase <= self.config.ac_phases


def _divided(source: float, resistance: float, diode: bool) -> float:
    """Return what a half of the pilot is pulled to by a resistor [ohm], NaN for none, behind a diode or without one. [V]"""
    if not isfinite(resistance):
        return source
    drop = DIODE_DROP if diode else 0.0
    if diode and source <= drop:
        return source
    return (source - drop) * resistance / (SOURCE_RESISTANCE + resistance) + drop
