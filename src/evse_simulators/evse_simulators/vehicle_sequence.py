"""The vehicle's half of a CHAdeMO session: what it permits, when it closes its contactor, what it requests, and why it stops.

Theory of operation. Charge sequence signal 1 (d1) wakes the vehicle. It sends its limits, reads the charger's, thinks, and permits by flag and switch k. With
d2, a locked connector and a safe inlet it closes its contactor and requests current, at most 20 A/s faster or slower. An own wish, the charger's status bits, a
fault or a lost frame end it: request 0, permission withdrawn, contactor opened once the current is gone, welding detection. Losing d1 or d2 drops the contactor
by hardware. Times and their order are those measured on real cars (../shared/reference/can.md 2.3); a phase that takes too long ends the session, too.
"""

from enum import StrEnum
from math import inf

from evse_simulators.vehicle_sequence_config import FIRST_WITH_CONTACTOR_FLAG, SequenceConfig
from evse_simulators.vehicle_sequence_view import Seen, Wish

# Request may move by at most 20 A/s, 2 A per frame seen (can.md 2.1, 0x102 byte 3). [A]
REQUEST_STEP = 2.0
# Current at which contactors may open (can.md 2.3 E1). [A]
SMALL_CURRENT = 5.0
# The vehicle gives up waiting for the current to fall (can.md 2.3 E1). [s]
CURRENT_GONE_LIMIT = 2.5
# A signal d2 that does not come after permission, and the vehicle's own patience for a safe inlet after d2 (can.md 2.3 S5). [s]
READY_LIMIT, SAFE_LIMIT = 20.0, 10.0
# Silence of the charger that ends the session (can.md 2.4). [s]
CHARGER_LOST = 1.0
# Deviations that last this long are faults (can.md 2.4). [s]
DEVIATION_TIME = 5.0
# The output must fall to a quarter within 1 s, the vehicle gives up after 4 s (can.md 2.3 E4). [s]
WELDING_TIME, WELDING_LIMIT = 1.0, 4.0
# From request 0 to the withdrawn permission (can.md 2.3 E3). [s]
WITHDRAW_DELAY = 0.2
# From the withdrawn permission to the open contactor, so that the word is out before the deed; one or two frames. [s]
OPENING_TIME = 0.2
# A voltage at the inlet that nobody can be hurt by (can.md section 4, touch voltage). [V]
SAFE_VOLTAGE = 60.0


class Phase(StrEnum):
    """Where the vehicle stands."""

    ASLEEP = "asleep"
    CHECKING = "checking"
    PERMITTING = "permitting"
    CLOSING = "closing"
    PREPARED = "prepared"
    CHARGING = "charging"
    RAMPING_DOWN = "ramping_down"
    STOPPING = "stopping"
    OPENING = "opening"
    ENDED = "ended"


# No session, or none any more.
_AT_REST = frozenset({Phase.ASLEEP, Phase.ENDED})
_ENDING = frozenset({Phase.STOPPING, Phase.OPENING, Phase.ENDED})
# The charging time is not known yet.
_THINKING = frozenset({Phase.CHECKING, Phase.ASLEEP})
_REQUESTING = frozenset({Phase.CHARGING, Phase.RAMPING_DOWN})
_STEADY = frozenset({Phase.PREPARED, Phase.CHARGING})
_CONTACTOR_CLOSED = _REQUESTING | _STEADY
# Permission and coil are held.
_HELD = _CONTACTOR_CLOSED | {Phase.CLOSING}


class VehicleSequence:
    """Call step at 20 Hz and on every change of a line; call pace once per frame of 0x102, which is what its ramp is counted in."""

    def __init__(self, config: SequenceConfig) -> None:
        self.config = config
        self.phase = Phase.ASLEEP
        self.end = ""
        self._entered = 0.0
        self._was_d1 = False
        self._d1_fell = -inf
        self._steps = {
            Phase.CHECKING: self._checking,
            Phase.PERMITTING: self._permitting,
            Phase.CLOSING: self._closing,
            Phase.PREPARED: self._prepared,
            Phase.CHARGING: self._charging,
            Phase.RAMPING_DOWN: self._ramping_down,
            Phase.STOPPING: self._stopping,
            Phase.OPENING: self._opening,
        }
        self._reset()

    def _reset(self) -> None:
        """Forget the session."""
        self.end = ""
        self._faults: set[str] = set()
        self._request = 0.0
        self._target = 0.0
        self._current_limit = 0.0
        self._flag = False
        self._normal_stop = False
        self._pulls = False
        self._seen_charging = False
        self._since: dict[str, float] = {}

    def step(self, seen: Seen, now: float) -> Wish:
        """Go on to now [s]."""
        self._wake(seen, now)
        if self.phase is Phase.ASLEEP:
            return Wish()
        if self.phase is not Phase.ENDED:
            self._supervise(seen, now)
            rule = self._steps.get(self.phase)
            if rule:
                rule(seen, now)
        return self._wish(seen, now)

    def pace(self) -> float:
        """Move the request by one frame's step and return it [A]."""
        up = min(self._target, self._request + REQUEST_STEP)
        self._request = up if self._target >= self._request else max(self._target, self._request - REQUEST_STEP)
        return self._request

    @property
    def request(self) -> float:
        """The current that it asks for now [A]."""
        return self._request

    def unplug(self) -> None:
        """Forget everything: the connector is out."""
        self.phase, self._was_d1 = Phase.ASLEEP, False
        self._reset()

    # Waking and sleeping

    def _wake(self, seen: Seen, now: float) -> None:
        """Follow d1: a rising edge begins a session, half a second without it ends one."""
        if seen.sequence_1 and not self._was_d1 and self.phase in _AT_REST:
            self._reset()
            self._go(Phase.CHECKING, now)
        if self._was_d1 and not seen.sequence_1:
            self._d1_fell = now
            self._finish("charge sequence signal 1 opened", now)
        if self.phase is Phase.ENDED and not seen.sequence_1 and now - self._d1_fell >= 0.5:
            self._go(Phase.ASLEEP, now)
        self._was_d1 = seen.sequence_1

    def _go(self, phase: Phase, now: float) -> None:
        self.phase, self._entered = phase, now

    def _finish(self, cause: str, now: float) -> None:
        """End without any further step."""
        self.end = self.end or cause
        self._request = self._target = 0.0
        self._go(Phase.ENDED, now)

    def _stop(self, cause: str, now: float, fault: str = "") -> None:
        """Request 0 and withdraw the permission; a fault is told to the charger."""
        if fault:
            self._faults.add(fault)
        if self.phase in _ENDING:
            return
        self.end = self.end or cause
        self._request = self._target = 0.0
        self._go(Phase.STOPPING, now)

    # Supervision

    def _supervise(self, seen: Seen, now: float) -> None:
        """Find what ends the session from outside its course."""
        self._watch_own_faults(seen, now)
        self._watch_charger(seen, now)
        if self.phase in _CONTACTOR_CLOSED and not seen.contactor_closed:
            self._stop("own contactor opened" if seen.sequence_2 else "charge sequence signal 2 opened", now)

    def _watch_own_faults(self, seen: Seen, now: float) -> None:
        high = self._lasts("high", seen.monitor_voltage > self.config.max_voltage, 0.3, now)
        low = self._lasts("low", seen.monitor_voltage < self.config.min_voltage, 0.3, now)
        causes = (
            (high, "battery over-voltage", "fault_battery_overvoltage"),
            (low, "battery under-voltage", "fault_battery_undervoltage"),
            (seen.temperature_fault, "battery too hot", "fault_high_battery_temperature"),
            (seen.system_fault, "own charging system", "status_charging_system_fault"),
            (seen.shift_not_parked, "shifter not in park", "status_shift_not_parked"),
            (self._current_deviates(seen, now), "current deviates", "fault_current_deviation"),
            (self._voltage_deviates(seen, now), "voltage deviates", "fault_voltage_deviation"),
        )
        for holds, cause, fault in causes:
            if holds:
                self._stop(cause, now, fault)

    def _current_deviates(self, seen: Seen, now: float) -> bool:
        """10 % or about 10 A for about 5 s (can.md 2.4); 12 A leave room for the lag of 20 A/s ramps."""
        off = abs(seen.current - self._request) > max(12.0, 0.1 * self._request)
        if seen.current < -SMALL_CURRENT and seen.gives and seen.charger.discharges:
            # It gives: no more than it offered, and what the charger says.
            off = -seen.current > self.config.max_discharge_current + 12.0 or abs(seen.current + seen.charger.discharge_current) > 12.0
        return self._lasts("current", self.phase is Phase.CHARGING and self._seen_charging and off, DEVIATION_TIME, now)

    def _voltage_deviates(self, seen: Seen, now: float) -> bool:
        """12.5 % (can.md 2.4), while both sides look at the same conductor."""
        together = self.phase in _STEADY and seen.contactor_closed and self._seen_charging
        off = abs(seen.charger.present_voltage - seen.inlet_voltage) > 0.125 * seen.inlet_voltage
        return self._lasts("voltage", together and off, DEVIATION_TIME, now)

    def _lasts(self, name: str, condition: bool, seconds: float, now: float) -> bool:
        """Return whether a condition has held for some seconds."""
        if not condition:
            self._since.pop(name, None)
            return False
        return now - self._since.setdefault(name, now) >= seconds

    def _watch_charger(self, seen: Seen, now: float) -> None:
        charger = seen.charger
        if charger.age == inf:
            return
        if charger.age > CHARGER_LOST:
            self._stop("charger's frames missing", now, "status_charging_system_fault")
        bits = (
            (charger.malfunction, "malfunction"),
            (charger.system_malfunction, "system malfunction"),
            (charger.incompatible, "incompatible"),
        )
        for bit, name in bits:
            if bit:
                self._stop(f"charger says {name}", now)
        if self._lasts("alone", charger.discharges and not charger.discharge_frames, 0.5, now):
            self._stop("charger discharges without its frames", now, "status_charging_system_fault")
        if self.phase in _REQUESTING:
            self._seen_charging |= charger.charging and not charger.stop_control
            if self._seen_charging and (charger.stop_control or not charger.charging):
                self._stop("charger stops", now)

    # The course of a session

    def _checking(self, seen: Seen, now: float) -> None:
        if seen.stop_pressed:
            self._normal_stop = True
            self._stop("user", now)
        elif seen.charger.age < inf and now - self._entered >= self.config.think_time:
            self._judge(seen, now)

    def _judge(self, seen: Seen, now: float) -> None:
        """Check the charger's limits, latch them, and permit."""
        charger = seen.charger
        if charger.available_voltage < seen.target_voltage or charger.threshold_voltage < seen.battery_voltage:
            self._normal_stop = True
            self._finish(f"charger reaches {charger.available_voltage:.0f} V and stops at {charger.threshold_voltage:.0f} V", now)
            return
        self._flag = min(charger.protocol_number, self.config.protocol_number) >= FIRST_WITH_CONTACTOR_FLAG
        self._current_limit = charger.available_current
        self._go(Phase.PERMITTING, now)

    def _permitting(self, seen: Seen, now: float) -> None:
        if seen.stop_pressed:
            self._normal_stop = True
            self._stop("user", now)
        elif seen.sequence_2 and now - self._entered >= self.config.permission_delay:
            self._go(Phase.CLOSING, now)
        elif now - self._entered > self.config.permission_delay + READY_LIMIT:
            self._normal_stop = True
            self._stop("charge sequence signal 2 did not come", now)

    def _closing(self, seen: Seen, now: float) -> None:
        """Wait for a locked connector and an inlet without voltage, then pull the contactor."""
        safe = seen.charger.locked and seen.inlet_voltage <= SAFE_VOLTAGE and seen.sequence_2
        if seen.contactor_closed:
            self._pulls = True
            self._go(Phase.PREPARED, now)
        elif now - self._entered > SAFE_LIMIT + self.config.contactor_delay:
            self._normal_stop = True
            self._stop("inlet not safe, or contactor does not close", now)
        elif self._lasts("safe", safe, self.config.contactor_delay, now):
            self._pulls = True

    def _prepared(self, seen: Seen, now: float) -> None:
        if seen.stop_pressed:
            self._normal_stop = True
            self._stop("user", now)
        elif now - self._entered >= self.config.request_delay:
            self._go(Phase.CHARGING, now)

    def _charging(self, seen: Seen, now: float) -> None:
        dynamic = (
            self.config.extended_functions and self.config.protocol_number >= FIRST_WITH_CONTACTOR_FLAG and seen.charger.dynamic_control
        )
        if dynamic:
            self._current_limit = seen.charger.available_current
        self._target = 0.0 if seen.no_request else float(int(min(self._current_limit, self.config.max_current, seen.acceptable_current)))
        if seen.stop_pressed:
            self._ramp_down("user", now)
        elif seen.soc_percent >= self.config.target_soc_percent:
            self._ramp_down("target state of charge", now)
        elif seen.acceptable_current < self.config.min_current:
            self._ramp_down("battery full", now)
        elif self._lasts("unanswered", self._request > 0.0 and not self._seen_charging, self.config.start_limit, now):
            self._stop("charger does not answer the request", now, "status_charging_system_fault")

    def _ramp_down(self, cause: str, now: float) -> None:
        self.end, self._target = cause, 0.0
        self._go(Phase.RAMPING_DOWN, now)

    def _ramping_down(self, seen: Seen, now: float) -> None:
        # Who gives power stops by withdrawing its permission: a request of 0 A ends no discharge.
        if self._request == 0.0 and seen.current <= SMALL_CURRENT:
            self._stop(self.end, now)

    def _stopping(self, seen: Seen, now: float) -> None:
        elapsed = now - self._entered
        if (elapsed > WITHDRAW_DELAY and abs(seen.current) <= SMALL_CURRENT) or elapsed >= CURRENT_GONE_LIMIT:
            self._go(Phase.OPENING, now)

    def _opening(self, seen: Seen, now: float) -> None:
        """Open; with the charger's consent look whether the voltage goes away, else the contactor is welded."""
        elapsed = now - self._entered
        untested = elapsed >= 2 * OPENING_TIME and not seen.charger.welding_detection
        gone = elapsed >= WELDING_TIME and seen.inlet_voltage <= 0.25 * seen.battery_voltage
        if not self._pulls or (not seen.contactor_closed and (untested or gone)):
            self._finish(self.end, now)
        elif elapsed >= WELDING_LIMIT:
            self._faults.add("status_charging_system_fault")
            self._finish("voltage stays at the inlet after the contactor has opened", now)

    # Outputs

    def _wish(self, seen: Seen, now: float) -> Wish:
        elapsed = now - self._entered
        held = self.phase in _HELD
        permits = held or (self.phase is Phase.PERMITTING and elapsed >= self.config.permission_delay)
        withdrawing = self.phase is Phase.STOPPING and elapsed < WITHDRAW_DELAY and not self._faults and self._pulls
        detecting = self.phase is Phase.OPENING
        coil = held or self.phase is Phase.STOPPING or (detecting and elapsed < OPENING_TIME)
        known = self.phase not in _THINKING
        return Wish(
            awake=self.phase is not Phase.ASLEEP,
            permits=permits or withdrawing,
            coil=self._pulls and coil,
            request=self._request,
            contactor_open=self._flag and not seen.contactor_closed and not detecting,
            normal_stop=self._normal_stop,
            faults=frozenset(self._faults),
            time_known=known,
        )
