"""The steps of a charge controller with a vehicle: what it asks the power modules for, and when (../shared/reference/can.md 1.4 and 1.5)."""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf

from evse_core.types import ControllerPhase as P
from evse_core.types import PowerFunction
from evse_simulators.secc_protocol import Protocol
from evse_simulators.secc_sequence_config import SeccSequenceConfig

# Origin of Emergency_Stop (can.md 1.3).
BY_STATION, BY_VEHICLE = 1, 3
# Answers of the modules older than this are an emergency while they are needed (can.md 1.7). [s]
STATUS_LIMIT = 0.5
# Insulation passes in so many successive iterations [1] at a share of the test voltage [1] (can.md 1.4 row 8).
ITERATIONS, TEST_SHARE = 10, 0.9
# The output counts as discharged (can.md 1.4 rows 9, 10a), and as equal to the battery (row 10b). [V]
LOWERED, PRECHARGED = 20.0, 20.0
PRECHARGE_CURRENT = 2.0  # [A] can.md 1.4 row 10b
# Highest current at which the output contactor opens (can.md 1.4 row 13). [A]
OPENING_CURRENT = 1.0
# Emergency_Stop stays in force for so long at least. Own choice. [s]
EMERGENCY_TIME = 1.0
# Excess that the controller takes for a failure of the modules, and for how long. Own choice within can.md 1.5. [V], [A], [s]
VOLTAGE_EXCESS, CURRENT_EXCESS, EXCESS_TIME = 30.0, 15.0, 1.0


@dataclass(slots=True)
class Told:
    """What the station and the inlet say: V, A, ohm, times in s; `stop_asked` and `start_asked` are the edges of the two buttons."""

    status_at: float = -inf
    voltage: float = 0.0
    current: float = 0.0
    enabled: bool = False
    insulation: float = 0.0
    max_voltage: float = 0.0
    max_current: float = 0.0
    start_authorised: bool = False
    authorisation_done: bool = False
    authorisation_valid: bool = False
    parameters_done: bool = False
    stop_button: bool = False
    stop_asked: bool = False
    start_button: bool = False
    start_asked: bool = False
    plugged: bool = False
    vehicle_stop: bool = False
    inlet_voltage: float = 0.0
    inlet_current: float = 0.0
    battery_voltage: float = 0.0
    soc_percent: float = 0.0
    acceptable_current: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """DC_Power_Control: V, A. `repeated` ones go out in a period, others once."""

    function: PowerFunction = PowerFunction.STANDBY
    voltage: float = 0.0
    current_max: float = 0.0
    current_min: float = 0.0
    range_mode: bool = False
    contactor: bool = False
    lower: bool = False
    repeated: bool = False


_STANDBY = Asked()
_STANDBY_CLOSED = Asked(contactor=True)
_LOWERING_CLOSED = Asked(contactor=True, lower=True, repeated=True)
_LOWERING = Asked(lower=True, repeated=True)
_OFF = Asked(PowerFunction.OFF, repeated=True)
# Phases in which a vehicle is served, and in which the modules must answer.
_SERVING = (
    P.CONNECTED,
    P.INSULATION_TEST,
    P.PRECHARGE,
    P.WAITING_FOR_CHARGE,
    P.CHARGING,
    P.ENDING,
    P.WELDING_DETECTION,
)
_NEEDED = _SERVING[1:5]
_STOPPABLE = (P.NEGOTIATING, P.AUTHORISING, *_SERVING[:5])


class SeccSequence:
    """Call step at 20 Hz. `session` is open from New_Charge_Session to Charge_Session_Finished."""

    def __init__(self, config: SeccSequenceConfig, protocol: Protocol) -> None:
        self.config, self.protocol = config, protocol
        self.phase = P.INITIALISING
        self._start()

    def _start(self) -> None:
        self._entered: float | None = None
        self._part = 0
        self._part_since = -inf
        self._good = 0
        self._events: list[tuple[str, dict[str, float]]] = []
        self._emergency_until = -inf
        self._excess_since = inf
        self._enable_seen = self._parameters_seen = False
        self._served = self._start_wanted = False
        self.end = ""
        self.emergency = 0
        self.request = 0.0
        self.session = self.locked = self.contactor = self.was_closed = self._rushed = False

    def restart(self) -> None:
        """Begin anew, as after a power failure of the controller; the vehicle opens its contactor by itself."""
        self._start()
        self.phase = P.INITIALISING

    def unplug(self) -> None:
        """Take that the connector is out."""
        self.locked = self.contactor = self.was_closed = False

    @property
    def running(self) -> bool:
        """The controller speaks with a vehicle."""
        return self.phase not in (P.INITIALISING, P.WAITING_FOR_VEHICLE, P.NOT_AVAILABLE)

    @property
    def announces(self) -> bool:
        """New_Charge_Session is repeated until the modules are seen enabled."""
        return self.session and self.phase is P.CONNECTED and not self._enable_seen

    @property
    def speaks(self) -> bool:
        """DC_Power_Control is in use."""
        return self.session and (self.phase is not P.CONNECTED or self._enable_seen)

    def take_events(self) -> list[tuple[str, dict[str, float]]]:
        """Return and forget the frames that are told once."""
        found, self._events = self._events, []
        return found

    def step(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Go on to now [s]; return what the modules are to do."""
        self._entered = now if self._entered is None else self._entered
        self._watch(told, faults, now)
        asked = _STEPS[self.phase](self, told, faults, now)
        self.request = asked.current_max if asked.function is PowerFunction.POWER_TRANSFER else 0.0
        # Only what is closed can weld: one that has opened in good order stays open.
        self.was_closed = self.contactor or (self.was_closed and "ccs_contactor_welded" in faults)
        return asked

    def _go(self, phase: P, now: float) -> None:
        self.phase, self._entered, self._part, self._part_since = phase, now, 0, now

    def _next(self, now: float) -> None:
        self._part, self._part_since = self._part + 1, now

    def _elapsed(self, now: float) -> float:
        return now - (self._entered if self._entered is not None else now)

    # What ends a session

    def _watch(self, told: Told, faults: Collection[str], now: float) -> None:
        cause = self._emergency_cause(told, faults, now)
        if cause and self.session:
            self._stop_at_once(cause, now)
        elif cause:
            self.emergency, self._emergency_until = cause, now + EMERGENCY_TIME
        elif now >= self._emergency_until:
            self.emergency = 0
        if self.phase in _STOPPABLE and (why := self._stop_cause(told, now)):
            self._wind_down(why, now)

    def _emergency_cause(self, told: Told, faults: Collection[str], now: float) -> int:
        """Return the origin of an emergency (can.md 1.5, 1.7), 0 without one."""
        if "controller_emergency" in faults:
            return BY_STATION
        if self.session and ("ccs_vehicle_emergency" in faults or (not told.plugged and self.phase in _SERVING)):
            return BY_VEHICLE
        if "ccs_contactor_opens" in faults and self.phase is P.CHARGING:
            return BY_VEHICLE
        if self.phase not in _NEEDED:
            return 0
        silent = now - told.status_at > STATUS_LIMIT
        refused = self.phase is P.CHARGING and not told.enabled
        leaking = self.phase in (P.WAITING_FOR_CHARGE, P.CHARGING) and told.insulation < self.protocol.insulation
        return BY_STATION if silent or refused or leaking or self._exceeds(told, now) else 0

    def _exceeds(self, told: Told, now: float) -> bool:
        high = self.phase is P.CHARGING and (
            told.voltage > self.config.max_voltage + VOLTAGE_EXCESS
            or told.current > self._request(told) + CURRENT_EXCESS
            or told.current < -self.config.max_discharge_current - CURRENT_EXCESS
        )
        self._excess_since = min(self._excess_since, now) if high else inf
        return now - self._excess_since > EXCESS_TIME

    def _stop_at_once(self, origin: int, now: float) -> None:
        self.emergency, self._emergency_until, self._rushed = origin, now + EMERGENCY_TIME, True
        self.contactor = False
        self.end = self.end or f"emergency, origin {origin}"
        if self.phase is not P.CLOSING:
            self._go(P.CLOSING, now)

    def _stop_cause(self, told: Told, now: float) -> str:
        if not told.plugged:
            return "unplugged"
        if told.stop_asked:
            return "stop button of the station"
        if told.vehicle_stop:
            return "stopped in the vehicle"
        if self.phase in _NEEDED[:-1] and not told.enabled:
            return "service refused"
        patient = self.phase is P.WAITING_FOR_CHARGE and told.enabled
        waits = self.phase in _NEEDED[:-1] or self.phase in (P.CONNECTED, P.AUTHORISING)
        return "the station took too long" if waits and not patient and self._elapsed(now) > self.config.step_limit else ""

    def _wind_down(self, why: str, now: float) -> None:
        self.end = self.end or why
        if not self.session:
            self._go(self._idle_phase(), now)
            return
        self._events.append(("Charge_Status_Change", {"Vehicle_Ready_for_Charging": 0.0}))
        self._go(P.ENDING, now)

    def _idle_phase(self) -> P:
        return P.NOT_AVAILABLE if self.config.use_sequence_flags else P.WAITING_FOR_VEHICLE

    # One method per phase

    def _initialising(self, told: Told, faults: Collection[str], now: float) -> Asked:
        self.contactor = False
        if self._elapsed(now) >= self.config.boot_time:
            self._go(self._idle_phase(), now)
        return _STANDBY

    def _idle(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Wait for a vehicle and, where the station's word counts, for that."""
        self.locked = False
        self._served = self._served and told.plugged
        self._start_wanted = told.plugged and (self._start_wanted or told.start_asked)
        allowed = told.start_authorised or not self.config.use_sequence_flags
        if self.phase is P.NOT_AVAILABLE and allowed:
            self._go(P.WAITING_FOR_VEHICLE, now)
        elif self.phase is P.WAITING_FOR_VEHICLE and not allowed:
            self._go(P.NOT_AVAILABLE, now)
        elif self.phase is P.WAITING_FOR_VEHICLE and told.plugged and self._is_started and not self.emergency:
            self._begin(now)
        return _STANDBY

    @property
    def _is_started(self) -> bool:
        """The start button was pressed; else a vehicle counts that was not served since it was plugged in.

        Where the station's flags are ignored the button is wired to the controller, and pressed as soon as the connector is in.
        """
        return self._start_wanted if self.protocol.start_button and self.config.use_sequence_flags else not self._served

    def _begin(self, now: float) -> None:
        self.end, self._good, self._rushed, self._served, self._start_wanted = "", 0, False, True, False
        self._enable_seen = self._parameters_seen = self.was_closed = False
        self._go(P.NEGOTIATING, now)

    def _negotiating(self, told: Told, faults: Collection[str], now: float) -> Asked:
        if self._elapsed(now) >= self.config.negotiation_time:
            asks = self.config.external_authorisation and self.protocol.authorises
            self._go(P.AUTHORISING if asks else P.CONNECTED, now)
            self.session = self.phase is P.CONNECTED
        return _STANDBY

    def _authorising(self, told: Told, faults: Collection[str], now: float) -> Asked:
        if told.authorisation_done and told.authorisation_valid:
            self._go(P.CONNECTED, now)
            self.session = True
        elif told.authorisation_done:
            self._wind_down("not authorised", now)
        return _STANDBY

    def _connected(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Lock, wait for the limits and the modules, then tell Standby once."""
        self.locked = self.locked or self._elapsed(now) >= self.config.lock_time
        self._parameters_seen = self._parameters_seen or told.parameters_done or not self.config.use_sequence_flags
        if self.locked and self._parameters_seen and told.enabled and now - told.status_at <= STATUS_LIMIT:
            self._enable_seen = True
            self._go(P.CHARGING if "controller_skips_test" in faults else P.INSULATION_TEST, now)
        return _STANDBY

    def _insulation_test(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Test voltage until the resistance is good often enough; then discharge the cable."""
        if self._part == 0:
            self._next(now)
            return _STANDBY
        if self._part == 1:
            reached = told.voltage >= TEST_SHARE * self.config.test_voltage
            self._good = self._good + 1 if reached and told.insulation >= self.protocol.insulation else 0
            if self._good < 2 * ITERATIONS:  # this is asked twice per iteration of 100 ms
                voltage = self.config.test_voltage
                return Asked(PowerFunction.INSULATION_TEST, voltage, PRECHARGE_CURRENT, PRECHARGE_CURRENT, contactor=True, repeated=True)
            self._next(now)
        if told.voltage <= LOWERED and told.inlet_voltage <= LOWERED and now - self._part_since > 0.2:
            self._go(P.PRECHARGE if self.protocol.precharges else P.WAITING_FOR_CHARGE, now)
        return _LOWERING_CLOSED

    def _precharge(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Battery voltage with little current, then close the vehicle's contactor."""
        near = abs(told.inlet_voltage - told.battery_voltage) <= PRECHARGED
        if self._part == 0 and near:
            self._next(now)
        elif self._part == 1 and not near:
            self._part = 0
        elif self._part == 1 and now - self._part_since >= self.config.contactor_delay:
            self._connect()
            self._go(P.WAITING_FOR_CHARGE, now)
            return _STANDBY_CLOSED
        return Asked(PowerFunction.PRECHARGE, told.battery_voltage, PRECHARGE_CURRENT, 0.0, True, contactor=True, repeated=True)

    def _connect(self) -> None:
        """Let the vehicle close its contactor and be ready for power."""
        self.contactor = True
        self._events.append(("Charge_Status_Change", {"Vehicle_Ready_for_Charging": 1.0}))

    def _waiting_for_charge(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Let a vehicle that was not precharged connect itself at a dead output; then wait for its first request."""
        waited = now - self._part_since
        if not self.contactor and waited >= self.config.contactor_delay and told.voltage <= LOWERED and told.inlet_voltage <= LOWERED:
            self._connect()
            self._next(now)
        elif self.contactor and waited >= self.config.request_delay:
            self._go(P.CHARGING, now)
        return _STANDBY_CLOSED

    def _charging(self, told: Told, faults: Collection[str], now: float) -> Asked:
        if told.soc_percent >= self.config.target_soc_percent and "controller_keeps_asking" not in faults:
            self._wind_down("target reached", now)
            return _STANDBY_CLOSED
        current = self._request(told)
        gives = self.config.range_mode and "ccs_stops_discharge" not in faults
        least = -self.config.max_discharge_current if gives else 0.0 if self.config.range_mode else current
        return Asked(PowerFunction.POWER_TRANSFER, self.config.target_voltage, current, least, self.config.range_mode, True, repeated=True)

    def _request(self, told: Told) -> float:
        offered = told.max_current if told.max_current > 0.0 else inf
        return float(int(min(self.config.max_current, told.acceptable_current, offered)))

    def _ending(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Standby with closed contactor until the current is gone, then open, then discharge (can.md 1.4 row 13); the vehicle looks at its own sensor."""
        if "controller_keeps_asking" in faults:
            return Asked(PowerFunction.POWER_TRANSFER, self.config.target_voltage, 10.0, 10.0, False, True, repeated=True)
        self.contactor = self.contactor and abs(told.inlet_current) > self.protocol.opens_at
        if abs(told.current) >= OPENING_CURRENT and self._elapsed(now) < self.config.step_limit:
            return _STANDBY_CLOSED
        if self._part == 0:
            self._next(now)
            return _STANDBY
        if now - self._part_since >= 0.2:
            self._go(P.WELDING_DETECTION, now)
        return _STANDBY

    def _welding_detection(self, told: Told, faults: Collection[str], now: float) -> Asked:
        self.contactor = False
        if self._elapsed(now) >= self.config.welding_time:
            self._go(P.CLOSING, now)
        return _LOWERING

    def _closing(self, told: Told, faults: Collection[str], now: float) -> Asked:
        """Discharge, finish once, unlock, and wait for the vehicle to leave."""
        self.contactor = False
        if self.session and self._part == 0:
            self._events.append(("Charge_Session_Finished", {"State": float(self._rushed)}))
            self._next(now)
        elif self._elapsed(now) >= 0.5 and (told.inlet_voltage <= self.protocol.unlocks_at or self._elapsed(now) >= self.config.step_limit):
            self.session = self.locked = False
            self._go(self._idle_phase(), now)
        return _OFF if self.emergency else _LOWERING


_STEPS = {
    P.INITIALISING: SeccSequence._initialising,
    P.NOT_AVAILABLE: SeccSequence._idle,
    P.WAITING_FOR_VEHICLE: SeccSequence._idle,
    P.NEGOTIATING: SeccSequence._negotiating,
    P.AUTHORISING: SeccSequence._authorising,
    P.CONNECTED: SeccSequence._connected,
    P.INSULATION_TEST: SeccSequence._insulation_test,
    P.PRECHARGE: SeccSequence._precharge,
    P.WAITING_FOR_CHARGE: SeccSequence._waiting_for_charge,
    P.CHARGING: SeccSequence._charging,
    P.ENDING: SeccSequence._ending,
    P.WELDING_DETECTION: SeccSequence._welding_detection,
    P.CLOSING: SeccSequence._closing,
}
