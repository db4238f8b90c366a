"""The transitions of the charging sequence of an AC output with a control pilot, as data: ../shared/reference/can.md 3.5. docs/states.md is drawn from them.

The board opens the contactor within 100 ms of what it sees at the pilot; the sequence follows. A vehicle may leave state C and come back as often as it likes.
"""

from evse_core import charge_sequencer_guards as g
from evse_core import charge_sequencer_table as t
from evse_core.charge_sequencer_facts import connector_words, emergency_by_fault, stopped_by
from evse_core.charge_sequencer_guards import Guard, after
from evse_core.charge_sequencer_pilot_current import connector_current, signalled
from evse_core.charge_sequencer_pilot_view import asks, pilot, unusable
from evse_core.charge_sequencer_session import Ending
from evse_core.charge_sequencer_table import STARTING, States, Transition, row, stop
from evse_core.charge_sequencer_view import View
from evse_core.control_pilot import LEAST
from evse_core.types import ChargeState as S
from evse_core.types import StopCause

RUNNING: States = frozenset({S.WAITING_FOR_REQUEST, S.CHARGING})
# The contactor may be closed.
ENERGISED: States = frozenset({S.CHARGING, S.RAMPING_DOWN})
GROUPS = {"IDLE": t.IDLE, "STARTING": STARTING, "RUNNING": RUNNING}
# Who pulls the connector of an AC output ends the session, and breaks nothing.
UNPLUGGED = Ending(StopCause.UNPLUGGED)
BY_DRIVER = Ending(StopCause.LOCAL)


def _missing(view: View) -> str:
    """Return what is missing before current may be offered, in words; "" where nothing is."""
    wants = {
        "the lock": view.session.locked,
        "the begin reading": view.session.recorded,
        "the permit": view.permit,
        "the self test of the residual current device": _is_tested(view),
        "a dead output": view.may_unlock,
    }
    return ", ".join(name for name, there in wants.items() if not there)


def _is_tested(view: View) -> bool:
    return not view.config.residual_current_test or pilot(view).residual_current_tested


begins = Guard("vehicle at the control pilot", lambda view: view.plugged)
known = Guard(
    "vehicle at the control pilot, safety monitor reports",
    lambda view: view.plugged and view.safety is not None and not unusable(view),
)
is_unusable = Guard(
    "cable or vehicle cannot be served for `unusable_hold`",
    lambda view: view.session.offer.unusable.longer_than(view.config.unusable_hold, view.now),
    unusable,
)
ready = Guard("locked, begin reading on disk, permit, residual current device tested, output dead", lambda view: not _missing(view))
not_ready = after("locking_timeout", "not ready", detail=_missing)
lock_lost = Guard("cable no longer locked", lambda view: view.config.socket_outlet and g.lock_lost.test(view))
latch = Guard("latch of the connector pressed", lambda view: pilot(view).latch_pressed)
charges = Guard(
    "vehicle in state C (D where ventilated), current offered, permit, residual current device tested",
    lambda view: asks(view) and signalled(view) >= LEAST and view.permit and _is_tested(view),
)
pauses = Guard("vehicle no longer in state C", lambda view: not asks(view))
not_followed = Guard(
    "vehicle still in state C `ac_stop_timeout` after the offer was taken back",
    lambda view: view.now - view.session.offer.withdrawn >= view.config.ac_stop_timeout,
)
too_hot = Guard(
    "the connector's temperature leaves less than 6 A for `derated_hold`",
    lambda view: view.session.offer.derated.longer_than(view.config.derated_hold, view.now),
    lambda view: f"derated to {connector_current(view):.0f} A for {view.config.derated_hold:g} s, {connector_words(view)}",
)
opened = Guard(
    "vehicle left state C or `ac_stop_timeout` is over, and contactor open",
    lambda view: view.session.opening is not None and view.contactor_open,
)

_WAITING: States = frozenset({S.WAITING_FOR_REQUEST})
_LOCKING: States = frozenset({S.LOCKING})
_STOPS = (
    row(STARTING | RUNNING | ENERGISED, g.emergency_button, S.EMERGENCY, t.EMERGENCY),
    row(STARTING | RUNNING | ENERGISED, g.emergency_asked, S.EMERGENCY, t.EMERGENCY),
    row(STARTING | RUNNING | ENERGISED, g.emergency_fault, S.EMERGENCY, emergency_by_fault),
    row(STARTING | RUNNING | ENERGISED, g.unplugged, S.CLOSING, UNPLUGGED),
    row(ENERGISED, g.permit_lost, S.EMERGENCY, t.BROKEN),
    row(ENERGISED, g.power_cut, S.EMERGENCY, t.BROKEN),
    row(ENERGISED, g.io_lost, S.EMERGENCY, t.BROKEN),
    *t.station_stops(RUNNING),
    *stop(_WAITING, g.io_lost, t.OWN_FAULT),
    *stop(_WAITING, g.monitor_lost, t.OWN_FAULT),
    *stop(RUNNING, lock_lost, t.BROKEN),
    *stop(STARTING | RUNNING, g.stop_asked, stopped_by),
    *stop(STARTING | RUNNING, latch, BY_DRIVER),
    *stop(STARTING | RUNNING, is_unusable, t.INCOMPATIBLE),
    *stop(RUNNING, too_hot, t.OWN_FAULT),
)
_SESSION = (
    row(S.WAITING_FOR_VEHICLE, known, S.LOCKING),
    *stop(frozenset({S.WAITING_FOR_VEHICLE}), after("permission_timeout", "vehicle not known"), t.TOO_LATE),
    *stop(_LOCKING, g.lock_fails, t.BROKEN),
    row(S.LOCKING, ready, S.WAITING_FOR_REQUEST),
    *stop(_LOCKING, not_ready, t.OWN_FAULT),
    row(S.WAITING_FOR_REQUEST, charges, S.CHARGING),
    row(S.CHARGING, pauses, S.WAITING_FOR_REQUEST),
    row(S.CHARGING, not_followed, S.WAITING_FOR_REQUEST),
    *stop(frozenset({S.CHARGING}), g.contactor_fails, t.BROKEN),
    row(S.RAMPING_DOWN, opened, S.CLOSING),
    row(S.RAMPING_DOWN, g.contactor_stuck, S.CLOSING, t.BROKEN),
)

TRANSITIONS: tuple[Transition, ...] = (*t.BEGIN, *t.driver(begins), *_STOPS, *_SESSION, *t.CLOSING)
