"""How much current the station offers and gives (step 10).

Theory of operation. What is available is the least of rating, modules, site budget, and what coolant of the cable, connector and cabinet allow. Before the
permission it is announced as it is. From then on two cases differ (can.md S15). With dynamic control on both sides the announcement follows what is
available, and the vehicle follows the announcement. Without it the announcement stands, because such a vehicle reads it once; what the site takes away is
cut from the delivery all the same, since a fuse does not negotiate, and a vehicle that minds the difference ends the session itself. The set point follows
the request every step: never above it, never above what is available, and rising by at most 20 A/s.

Where the site asks for power from the vehicle and may have it (charge_sequencer_discharge.py), the set point is negative. It goes from one direction to the
other through 0 A: down at once, then `direction_pause` without current, then up by the ramp. A discharge that may not go on falls to 0 A at once. Meanwhile
nothing is offered to the vehicle, and its request of 0 A, or one that stands, ends nothing.
"""

from math import floor, inf, isfinite
from math import nan as NAN

from evse_core.charge_sequencer_discharge import asked_current, note_exhausted, possible_current
from evse_core.charge_sequencer_facts import connector_words
from evse_core.charge_sequencer_session import CurrentControl, VehicleLimits, known
from evse_core.charge_sequencer_view import View
from evse_core.cooled_cable import cable_current, coolant_works
from evse_core.types import ChargeState

# Rounded down: the frame carries whole amperes, and what is announced must be there (can.md 2.1, 108.3).
# An announcement that fell rises again at most so often, so that a noisy budget does not make the vehicle hunt. Own choice. [s]
RAISE_INTERVAL = 1.0
# Longest step for the ramp; a node that was stalled must not jump afterwards. Own choice: four control periods. [s]
LONGEST_STEP = 0.2
# A vehicle follows a falling announcement at 20 A/s at most (can.md S13); half of that before its request counts as too high. [A/s]
FOLLOWING_RATE = 10.0
# Difference from which the station counts as limiting: one step of the frame. [A]
LIMITED_BY = 1.0
# Lowest voltage for turning power into current: below S10's 50 V there is no battery. [V]
LOWEST_VOLTAGE = 50.0

CONNECTED = frozenset({ChargeState.WAITING_FOR_REQUEST, ChargeState.CHARGING})
ANNOUNCING = frozenset({ChargeState.WAITING_FOR_VEHICLE, ChargeState.WAITING_FOR_PERMISSION})


def control(view: View) -> None:
    """Take one step of the session's current: announce, watch the request, follow it."""
    state = view.session.control
    step = min(max(view.now - state.then, 0.0), LONGEST_STEP)
    state.then = view.now
    state.cooled.update(_coolant_works(view), view.now)
    note_exhausted(view, state)
    state.possible = possible_current(view, min(_connector_current(view), cooled_current(view)), _enclosure_current(view))
    asked, available = asked_current(view, state.possible), available_current(view)
    _steer(view, state, asked)
    _announce(view, state, 0.0 if _gives(state, asked) else available)
    _watch(view, state, step, asked)
    _follow(view, state, available, asked, step)


def _gives(state: CurrentControl, asked: float) -> bool:
    """Return whether the vehicle gives power, or is about to."""
    return asked > 0.0 or state.direction < 0


def _steer(view: View, state: CurrentControl, asked: float) -> None:
    """Turn the direction once nothing has flowed for a while."""
    if view.state is not ChargeState.CHARGING:
        state.direction = 1
        state.at_rest.update(False, view.now)
        return
    wanted = -1 if asked > 0.0 else 1
    state.at_rest.update(
        wanted != state.direction and state.set_point == 0.0 and abs(view.current) <= view.config.stopped_current, view.now
    )
    if state.at_rest.longer_than(view.config.direction_pause, view.now):
        state.direction = wanted
        state.at_rest.update(False, view.now)


def _announce(view: View, state: CurrentControl, available: float) -> None:
    if view.state not in ANNOUNCING and not dynamic(view):
        return
    wanted = float(floor(available))
    settled = view.now - state.raised >= RAISE_INTERVAL
    if wanted < state.announced or settled or view.state in ANNOUNCING:
        state.raised = view.now if wanted > state.announced else state.raised
        state.announced = wanted


def _watch(view: View, state: CurrentControl, step: float, asked: float) -> None:
    """Measure how long the station has been too hot for any current, how long the vehicle asks for nothing though it could, and for far too much."""
    charging = view.state is ChargeState.CHARGING and not _gives(state, asked)
    state.expected = max(state.announced, state.expected - FOLLOWING_RATE * step)
    state.derated.update(view.state in CONNECTED and _nothing_left(view, state), view.now)
    state.zero_request.update(charging and not view.request > 0.0 and offered(view, state.announced), view.now)
    state.excess.update(charging and view.request > state.expected + view.config.request_excess, view.now)


def _follow(view: View, state: CurrentControl, available: float, asked: float, step: float) -> None:
    if view.state is not ChargeState.CHARGING or not isfinite(view.output_voltage):
        state.set_point, state.limited = 0.0, False
        return
    gives = _gives(state, asked)
    if gives and not (state.direction < 0 and asked > 0.0):
        # On the way from one direction to the other.
        state.set_point = 0.0
    elif gives:
        state.set_point = -min(asked, -state.set_point + view.config.ramp_up * step)
    else:
        state.set_point = min(view.request, available, state.set_point + view.config.ramp_up * step)
    state.limited = not gives and wish(view, state.announced) > available + LIMITED_BY


def offered(view: View, announced: float) -> bool:
    """Return whether the announced current is one that the vehicle can take: it answers 0 A with 0 A, which is no wish to stop."""
    least = known(view.vehicle.min_current, 0.0) if view.vehicle is not None else 0.0
    return announced >= max(least, 1.0)


def _nothing_left(view: View, state: CurrentControl) -> bool:
    """Return whether the station by itself can give nothing that the vehicle can take; it must cool down by the hysteresis to give again."""
    margin = view.config.derate_hysteresis if state.derated.since is not None else 0.0
    return not offered(view, float(floor(rated_current(view, margin))))


def dynamic(view: View) -> bool:
    """Return whether both sides may change their mind while charging."""
    return view.config.dynamic_control and view.vehicle is not None and view.vehicle.dynamic_control


def available_current(view: View) -> float:
    """Return the current [A] that the station can give now, at the voltage that is there or is to be expected."""
    config = view.config
    power = min(config.max_power, view.budget)
    least = min(rated_current(view), power / expected_voltage(view))
    return max(least, 0.0) if isfinite(least) else 0.0


def rated_current(view: View, margin: float = 0.0) -> float:
    """Return the current [A] that rating, modules and temperatures allow, for a connector and a cabinet that are hotter by margin [K]."""
    cable = cooled_current(view)
    return min(view.config.max_current, cable, _modules_current(view), _connector_current(view, margin), _enclosure_current(view, margin))


def limit_words(view: View) -> str:
    """Return what keeps rated_current low, in words."""
    if cooled_current(view) <= min(_modules_current(view), _connector_current(view), _enclosure_current(view)):
        return f"the cable's coolant allows {cooled_current(view):.0f} A"
    if _modules_current(view) < min(_connector_current(view), _enclosure_current(view)):
        return f"the modules offer {_modules_current(view):.0f} A"
    if _enclosure_current(view) < _connector_current(view) and view.power is not None:
        return f"cabinet at {view.power.enclosure_temperature:.0f} degC"
    return connector_words(view)


def cooled_current(view: View) -> float:
    """Return the current [A] that the cable allows by its coolant, which must have worked for `coolant_hold`."""
    config = view.config
    temperature = view.io.coolant_temperature if view.io is not None else NAN
    works = _coolant_works(view) and view.session.control.cooled.longer_than(config.coolant_hold, view.now)
    return cable_current(
        config.max_current, config.uncooled_current, works, temperature, config.coolant_derate_from, config.coolant_derate_to
    )


def _coolant_works(view: View) -> bool:
    """Return whether the coolant of the cable is known to work; a board that is silent knows nothing of it."""
    config, io = view.config, view.io
    return io is not None and coolant_works(io.coolant_flow, io.coolant_temperature, config.coolant_flow_minimum, config.coolant_derate_to)


def _modules_current(view: View) -> float:
    """Return the current [A] that the modules offer: modules derate themselves."""
    modules = view.power.max_current if view.power is not None else NAN
    return modules if modules >= 0.0 else inf


def _connector_current(view: View, margin: float = 0.0) -> float:
    return derated(view.config.max_current, view.connector_temperature + margin, view.config.derate_from, view.config.derate_to)


def _enclosure_current(view: View, margin: float = 0.0) -> float:
    temperature = view.power.enclosure_temperature if view.power is not None else NAN
    return derated(view.config.max_current, temperature + margin, view.config.enclosure_derate_from, view.config.enclosure_derate_to)


def derated(current: float, temperature: float, begin: float, end: float) -> float:
    """Return what a temperature [degC] leaves of a current [A]: all below begin, nothing above end; without a sensor (NaN) all."""
    if not temperature > begin:
        return current
    return current * max(end - temperature, 0.0) / max(end - begin, 1.0)


def expected_voltage(view: View) -> float:
    """Return the voltage [V] at which power turns into current: the output's while charging, else the highest that is to come."""
    measured = view.state is ChargeState.CHARGING and isfinite(view.output_voltage)
    return max(view.output_voltage if measured else voltage_ceiling(view), LOWEST_VOLTAGE)


def available_voltage(view: View) -> float:
    """Return the highest voltage [V] that the station can give."""
    modules = view.power.max_voltage if view.power is not None else NAN
    return min(view.config.max_voltage, modules) if modules > 0.0 else view.config.max_voltage


def threshold_voltage(view: View) -> float:
    """Return the voltage [V] at which the station stops: the lower of what both sides bear."""
    return min(available_voltage(view), known(_limits(view).max_voltage, view.config.max_voltage))


def voltage_ceiling(view: View) -> float:
    """Return the voltage [V] that charging must not exceed: what the vehicle wants, as latched, or less if it says so later."""
    live = view.vehicle.target_voltage if view.vehicle is not None else NAN
    live = live if live >= view.config.min_voltage else inf
    return min(threshold_voltage(view), known(_limits(view).target_voltage, inf), live)


def _limits(view: View) -> VehicleLimits:
    """Return the limits as latched, before that as they are."""
    if view.session.limits is not None or view.vehicle is None:
        return view.session.limits or VehicleLimits()
    return VehicleLimits(view.vehicle.max_voltage, view.vehicle.target_voltage, view.vehicle.max_current)


def wish(view: View, announced: float) -> float:
    """Return the current [A] that the vehicle could take: its request; where that is all it was offered, as much as it ever may ask for."""
    at_the_limit = offered(view, announced) and view.request > announced - LIMITED_BY
    if not at_the_limit and offered(view, announced):
        return view.request
    most = _limits(view).max_current
    most = min(most if most > 0.0 else inf, rated_current(view))
    return max(most if dynamic(view) else min(most, announced), view.request)


def power_wanted(view: View) -> float:
    """Return the highest power [W] that the vehicle could take now, NaN outside charging."""
    if view.state is not ChargeState.CHARGING or not isfinite(view.output_voltage):
        return NAN
    return min(wish(view, view.session.control.announced) * view.output_voltage, view.config.max_power)
