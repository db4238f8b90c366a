"""The control pilot and the proximity pilot of IEC 61851-1: levels to states, duty cycle to current and back, resistors to cables.

Numbers: ../shared/reference/can.md section 3, from public secondary sources. Used by the station's codec and by the simulated board and vehicle alike, each
with an object of its own.
"""

from dataclasses import dataclass
from math import inf, isfinite, nan

from evse_core.types import PilotFault, PilotState

# A vehicle is there; it is ready (can.md 3.1).
CONNECTED = frozenset((PilotState.B, PilotState.C, PilotState.D))
READY = frozenset((PilotState.C, PilotState.D))
# Levels of the high half by state, and how far they may be off (can.md 3.1). [V]
LEVELS = {PilotState.A: 12.0, PilotState.B: 9.0, PilotState.C: 6.0, PilotState.D: 3.0, PilotState.E: 0.0, PilotState.F: -12.0}
TOLERANCE = 1.0
# The low half, with a diode behind it (can.md 3.1). [V]
LOW_LEVEL = -12.0
# Bands as decided here: a level that noise or the quantum of the frame puts right onto a bound is inside. Own choice: half a quantum. [V]
_SLACK = 0.05
# How long a level between two bands is taken for the edge of a change; the last state holds so long. Own choice: four frames of 50 ms. [s]
EDGE = 0.2
# How long a state that permits more must hold before it counts: A to B 100 to 500 ms (can.md 3.5), to C and D 500 ms (can.md 3.3). [s]
TO_B, TO_C = 0.2, 0.5
# Lowest and highest current that a duty cycle stands for (can.md 3.2). [A]
LEAST, MOST = 6.0, 80.0
# Duty cycle of a pilot that stands still. [%]
STEADY = 100.0
# Bounds of the two straight lines between duty cycle and current (can.md 3.2). [%], [A/%]
_FIRST, _FIRST_TO, _SECOND_TO, _HIGHEST = 10.0, 85.0, 96.0, 97.0
_FIRST_SLOPE, _SECOND_SLOPE, _SECOND_OFFSET = 0.6, 2.5, 64.0
# Highest current on the first line; from there to the beginning of the second there is a gap. [A]
_FIRST_MOST = _FIRST_SLOPE * _FIRST_TO
# Duty cycles below it mean nothing, or digital communication, which an EVSE of this kind does not offer. [%]
_LEAST_DUTY = 8.0
# Cables by the resistor in their plug (can.md 3.4), and how far a resistor may be off: own choice, less than half the way to the next. [ohm], [A], [1]
CABLES = {1500.0: 13.0, 680.0: 20.0, 220.0: 32.0, 100.0: 63.0}
RESISTOR_TOLERANCE = 0.2
# A tethered connector of type 1 in the inlet, and with its latch pressed: 150 and 480 ohm (SAE J1772, as OpenEVSE and public notes have it). [ohm]
LATCHED, PRESSED = 150.0, 480.0


def duty_of(current: float) -> float:
    """Return the duty cycle [%] that offers a current [A]; STEADY where it is too small to be offered or unknown. Never offers more than it is given."""
    if not current >= LEAST:
        return STEADY
    if current < (_FIRST_TO - _SECOND_OFFSET) * _SECOND_SLOPE:
        return min(current, _FIRST_MOST) / _FIRST_SLOPE
    return min(current / _SECOND_SLOPE + _SECOND_OFFSET, _SECOND_TO)


def current_of(duty: float) -> float:
    """Return the highest current [A] that a vehicle may take at a duty cycle [%]; 0 where it offers none."""
    if not _LEAST_DUTY <= duty <= _HIGHEST:
        return 0.0
    if duty < _FIRST:
        return LEAST
    if duty <= _FIRST_TO:
        return duty * _FIRST_SLOPE
    return min((duty - _SECOND_OFFSET) * _SECOND_SLOPE, MOST)


def cable_current(resistance: float) -> float:
    """Return what a detachable cable bears [A] by the resistor in its plug [ohm]; 0 for a resistor that means nothing, NaN where there is none.

    The 70 A that 100 ohm stand for on one phase are not used: nobody tells a cable that has three from one that has one.
    """
    if not isfinite(resistance):
        return nan
    near = (current for nominal, current in CABLES.items() if abs(resistance - nominal) <= RESISTOR_TOLERANCE * nominal)
    return next(near, 0.0)


def latch_pressed(resistance: float) -> bool:
    """Return whether the resistor of a tethered connector [ohm] shows a pressed latch."""
    return abs(resistance - PRESSED) <= RESISTOR_TOLERANCE * PRESSED


def state_at(level: float) -> PilotState:
    """Return the state whose band a level of the high half lies in [V]; UNKNOWN between the bands."""
    for state, nominal in LEVELS.items():
        if abs(level - nominal) <= TOLERANCE + _SLACK:
            return state
    return PilotState.UNKNOWN


# States by how much they permit; one that is not known permits nothing.
_RANK = {PilotState.A: 1, PilotState.B: 2, PilotState.C: 3, PilotState.D: 3}
_NEEDED = {PilotState.B: TO_B, PilotState.C: TO_C, PilotState.D: TO_C}


@dataclass(slots=True)
class PilotFilter:
    """The state of one control pilot over time: what permits less counts at once, what permits more once it has held.

    A level between bands is an edge, or a fault. A missing low half while a duty cycle is on is no vehicle that may be charged: E and DIODE_MISSING.
    """

    state: PilotState = PilotState.UNKNOWN
    fault: PilotFault = PilotFault.UNKNOWN
    _seen: PilotState = PilotState.UNKNOWN
    _since: float = -inf
    _known: float = -inf

    def step(self, high: float, low: float, duty: float, now: float) -> PilotState:
        """Take levels [V] and the duty cycle [%] at a time [s]; return the state. NaN for what is not known."""
        seen = self._look(high, low, duty, now)
        if seen is not self._seen:
            self._seen, self._since = seen, now
        less = _RANK.get(seen, 0) <= _RANK.get(self.state, 0)
        if less or now - self._since >= _NEEDED.get(seen, 0.0) - 1e-9:
            self.state = seen
        return self.state

    def _look(self, high: float, low: float, duty: float, now: float) -> PilotState:
        """Return what the levels say now, and keep what is wrong with them."""
        if not (isfinite(high) and isfinite(low) and isfinite(duty)):
            self.fault = PilotFault.UNKNOWN
            return PilotState.UNKNOWN
        found = state_at(high)
        if found is PilotState.UNKNOWN:
            return self._between(high, now)
        self._known = now
        modulated = 0.0 < duty < STEADY
        if modulated and abs(low - LOW_LEVEL) > TOLERANCE + _SLACK:
            self.fault = PilotFault.SHORT if found is PilotState.E else PilotFault.DIODE_MISSING
            return PilotState.E
        self.fault = PilotFault.SHORT if found is PilotState.E else PilotFault.NONE
        return found

    def _between(self, high: float, now: float) -> PilotState:
        """Return the last state while a level may be on its way from one band to the next, for a short time."""
        near = isfinite(LEVELS.get(self._seen, inf)) and abs(high - LEVELS[self._seen]) <= 2.0 * TOLERANCE + _SLACK
        if near and now - self._known <= EDGE:
            return self._seen
        self.fault = PilotFault.OUT_OF_BAND
        return PilotState.UNKNOWN
