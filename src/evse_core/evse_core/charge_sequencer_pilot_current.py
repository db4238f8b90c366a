"""How much current an AC output offers by its control pilot, on how many phases, and when (IEC 61851-1; can.md section 3).

Theory of operation. What is available per phase is the least of rating, cable, temperature of the connector, the simplified pilot's limit, the CSMS's limit
per phase, and the site's budget shared by the phases. An offer stands for at least `offer_interval`, because vehicles have 5 s to follow a duty cycle; only
to take it back altogether waits for nothing. What is available below 6 A is no offer: the pilot stands still, the vehicle goes to state B, and the contactor
opens, after `ac_stop_timeout` by force. Where the budget is too little for three phases and the output can switch, it goes down to one: no offer, an open
contactor, a pause, then the new number of phases. A vehicle that sleeps through an offer is woken once by state F.
"""

from math import floor, inf, isfinite
from math import nan as NAN

from evse_core.charge_sequencer_current import derated
from evse_core.charge_sequencer_pilot_view import asks, is_simplified, pilot, unusable
from evse_core.charge_sequencer_session import AcOffer
from evse_core.charge_sequencer_view import View
from evse_core.control_pilot import LEAST
from evse_core.types import ChargeState, PilotState

OFFERING = frozenset({ChargeState.WAITING_FOR_REQUEST, ChargeState.CHARGING})
# Resolution of an offer: that of the command to the board (config/can/io_board.dbc). [A]
STEP = 0.1
# A rise that is smaller than this is not worth a new duty cycle; every fall is. Own choice. [A]
LEAST_RISE = 0.5
# A vehicle that draws so much less than it is offered is limited by itself. Own choice: a meter's and a charger's error. [A]
OWN_LIMIT = 1.0
# More phases need so much more power than they must have, so that a budget on the edge does not switch to and fro. Own choice. [1]
PHASE_MARGIN = 1.1
# Waking: state F, then steady, then the duty cycle again (can.md 3.3: T_step_EF 4 s, then 0.75 s). [s]
WAKE_F, WAKE_STEADY = 4.0, 0.75


def control(view: View) -> None:
    """Take one step of the session's offer."""
    offer = view.session.offer
    offer.unusable.update(bool(unusable(view)), view.now)
    offer.derated.update(view.state in OFFERING and connector_current(view) < LEAST, view.now)
    _choose_phases(view, offer)
    _offer(view, offer)
    _wake(view, offer)
    view.session.control.limited = view.state in OFFERING and offer.current == 0.0


def available_current(view: View, phases: int) -> float:
    """Return the current per phase [A] that the station and the cable can give now."""
    cable = pilot(view).cable_current if view.config.socket_outlet else inf
    simplified = view.config.simplified_current if is_simplified(view) else inf
    power = min(view.config.max_power, view.budget) / (phases * _voltage(view))
    least = min(view.config.max_current, connector_current(view), simplified, power, view.current_budget)
    return min(least, cable) if cable >= 0.0 else 0.0


def connector_current(view: View) -> float:
    """Return the current [A] that the connector's temperature leaves."""
    return derated(view.config.max_current, view.connector_temperature, view.config.derate_from, view.config.derate_to)


def _voltage(view: View) -> float:
    """Return the voltage of a phase [V]: the measured one where it is higher, so that power is not underrated."""
    measured = view.power.voltage if view.power is not None and isfinite(view.power.voltage) else 0.0
    return max(view.config.phase_voltage, measured)


# Phases


def _choose_phases(view: View, offer: AcOffer) -> None:
    """Follow the better number of phases: at once before the first offer, later after a while and with nothing connected."""
    best = _best_phases(view, offer)
    if best != offer.wanted_phases:
        offer.wanted_phases, offer.wanted_since = best, view.now
    if offer.phases == 0 or (view.state not in OFFERING and view.contactor_open):
        offer.phases = best
    elif _switches(view, offer) and view.contactor_open:
        offer.phases, offer.phases_changed = best, view.now


def _best_phases(view: View, offer: AcOffer) -> int:
    config = view.config
    if config.ac_phases == 1 or not config.phase_switching:
        return config.ac_phases
    needed = config.ac_phases * LEAST * _voltage(view) * (PHASE_MARGIN if offer.phases == 1 else 1.0)
    return config.ac_phases if min(config.max_power, view.budget) >= needed else 1


def _switches(view: View, offer: AcOffer) -> bool:
    """Return whether another number of phases has been the better one for long enough."""
    return offer.wanted_phases != offer.phases and view.now - offer.wanted_since >= view.config.phase_switch_hold


# The offer


def _offer(view: View, offer: AcOffer) -> None:
    wanted = _wanted(view, offer)
    settled = view.now - offer.changed >= view.config.offer_interval
    if wanted == 0.0 and offer.current > 0.0:
        offer.withdrawn = view.now
        _change(view, offer, 0.0)
    elif wanted > 0.0 and settled and (offer.current == 0.0 or wanted < offer.current or wanted - offer.current >= LEAST_RISE):
        _change(view, offer, wanted)
    if offer.current > 0.0 or not asks(view):
        offer.withdrawn = inf


def _change(view: View, offer: AcOffer, current: float) -> None:
    offer.current, offer.changed = current, view.now


def _wanted(view: View, offer: AcOffer) -> float:
    """Return the current that is to be offered [A], 0 for none."""
    pausing = view.now - offer.phases_changed < view.config.phase_switch_pause
    if view.state not in OFFERING or not view.permit or pausing or _switches(view, offer) or unusable(view):
        return 0.0
    current = floor(available_current(view, offer.phases) / STEP + 1e-6) * STEP
    return current if current >= LEAST else 0.0


# Waking


def _wake(view: View, offer: AcOffer) -> None:
    """Begin to wake a vehicle that stays in state B although it is offered current, before it has charged for the first time."""
    sleeps = view.state is ChargeState.WAITING_FOR_REQUEST and pilot(view).pilot_state is PilotState.B and offer.current > 0.0
    since = max(offer.changed, view.entered, offer.woken)
    due = view.now - since >= view.config.wake_up_after
    if sleeps and due and not view.session.charged and offer.attempts < view.config.wake_up_attempts:
        offer.woken, offer.attempts = view.now, offer.attempts + 1


def shows_f(view: View) -> bool:
    """Return whether the pilot shows state F to wake a vehicle."""
    return view.state is ChargeState.WAITING_FOR_REQUEST and view.now - view.session.offer.woken < WAKE_F


def signalled(view: View) -> float:
    """Return the current that the control pilot signals [A], NaN for none."""
    offer = view.session.offer
    waking = view.now - offer.woken < WAKE_F + WAKE_STEADY
    return offer.current if view.state in OFFERING and offer.current >= LEAST and not waking else NAN


def power_wanted(view: View) -> float:
    """Return the highest power [W] that the vehicle could take now, NaN outside charging: what it takes where it takes less than it is offered."""
    offer = view.session.offer
    if view.state is not ChargeState.CHARGING or view.power is None:
        return NAN
    cable = pilot(view).cable_current if view.config.socket_outlet else inf
    most = min(view.config.max_current, cable, connector_current(view)) * view.config.ac_phases * _voltage(view)
    drawn = view.power.voltage * view.power.current
    full = drawn >= (offer.current - OWN_LIMIT) * offer.phases * _voltage(view) or view.now - offer.changed < view.config.offer_interval
    return min(most if full or not isfinite(drawn) else drawn, view.config.max_power)
