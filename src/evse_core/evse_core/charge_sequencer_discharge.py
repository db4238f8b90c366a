"""How much current the station takes back from the vehicle (bidirectional charging), and why none.

Theory of operation. The site asks, nobody else: `power_budget.discharge_power`, which expires with the budget. A vehicle that wants to give is not asked, and
a range of a charge controller is a permission, no order. What is taken is the least of that, the rating, the modules, the vehicle's own limits and what the
temperatures leave. It ends at the minimum state of charge (the driver's contract, or the vehicle's, whichever is higher) and at the lowest voltage, and begins
again only once the vehicle has been charged by `discharge_resume_percent`. Whatever is not known is a reason for none. Sizes are positive here; the set point
that follows from them (charge_sequencer_current.py) is negative.

What the grid demands of a station that feeds into it (anti-islanding, grid code) is the inverter's: nothing here knows frequency or voltage of the mains.
"""

from math import inf, isfinite
from math import nan as NAN

from evse_core.charge_sequencer_session import CurrentControl
from evse_core.charge_sequencer_view import View
from evse_core.types import ChargeState


def takes_power(view: View) -> bool:
    """Return whether this station takes any power at all."""
    return view.config.max_discharge_current > 0.0 and view.config.max_discharge_power > 0.0


def refusal(view: View) -> str:
    """Return why no current may be taken from the vehicle now, in words; "" where some may."""
    return next((words for reason in _REASONS if (words := reason(view))), "")


def _not_built(view: View) -> str:
    return "" if takes_power(view) else "this station takes no power (rating.max_discharge_current, max_discharge_power)"


def _not_willing(view: View) -> str:
    """Return what the vehicle has against it."""
    if view.vehicle is None or not view.vehicle_followed:
        return "the vehicle is silent"
    if not view.vehicle.discharge_compatible:
        return "the vehicle gives no power"
    return view.discharge_problem or ("" if view.vehicle.max_discharge_current > 0.0 else "the vehicle offers no discharge current")


def _modules_not_able(view: View) -> str:
    return "" if view.power is not None and view.power.max_discharge_current > 0.0 else "the power modules take no current back"


def _empty(view: View) -> str:
    """Return what the battery has no more of."""
    soc = view.vehicle.soc_percent if view.vehicle is not None else NAN
    if not soc > lowest_soc(view):
        return f"state of charge {soc:.0f} %, {lowest_soc(view):.0f} % must stay"
    if not view.output_voltage > lowest_voltage(view):
        return f"output at {view.output_voltage:.0f} V, at least {lowest_voltage(view):.0f} V must stay"
    if view.session.control.exhausted:
        return f"was discharged; {lowest_soc(view) + view.config.discharge_resume_percent:.0f} % are needed to begin again"
    return ""


_REASONS = (_not_built, _not_willing, _modules_not_able, _empty)


def capability(view: View) -> float:
    """Return the largest current [A] that this station can take, whatever is asked for now."""
    modules = view.power.max_discharge_current if view.power is not None else NAN
    return min(view.config.max_discharge_current, modules) if isfinite(modules) else view.config.max_discharge_current


def lowest_soc(view: View) -> float:
    """Return the state of charge [%] that must stay: the builder's, or the vehicle's where it names a higher one."""
    said = view.vehicle.min_discharge_soc_percent if view.vehicle is not None else NAN
    return max(view.config.min_soc_percent, said) if isfinite(said) else view.config.min_soc_percent


def lowest_voltage(view: View) -> float:
    """Return the voltage [V] at which discharging ends: above the vehicle's own limit by a margin, as the battery's voltage falls under load."""
    said = view.vehicle.min_discharge_voltage if view.vehicle is not None else NAN
    limit = max(view.config.min_voltage, said) if isfinite(said) else view.config.min_voltage
    return limit + view.config.discharge_voltage_margin


def note_exhausted(view: View, control: CurrentControl) -> None:
    """Remember that the battery gave what it may give, until it has been charged again."""
    if view.state is not ChargeState.CHARGING or view.vehicle is None:
        return
    soc, least = view.vehicle.soc_percent, lowest_soc(view)
    empty = soc <= least or (control.direction < 0 and view.output_voltage <= lowest_voltage(view))
    recovered = soc >= least + view.config.discharge_resume_percent
    control.exhausted = empty or (control.exhausted and not recovered)


def possible_current(view: View, connector: float, enclosure: float) -> float:
    """Return the largest current [A] that may be taken now; connector and enclosure are what their temperatures leave [A]."""
    if view.state is not ChargeState.CHARGING or refusal(view):
        return 0.0
    assert view.vehicle is not None
    assert view.power is not None
    vehicle, config = view.vehicle, view.config
    vehicle_power = vehicle.max_discharge_power if vehicle.max_discharge_power > 0.0 else inf
    limits = (
        config.max_discharge_current,
        vehicle.max_discharge_current,
        view.power.max_discharge_current,
        view.discharge_range,
        min(config.max_discharge_power, vehicle_power) / view.output_voltage,
        connector,
        enclosure,
    )
    return max(min(limits), 0.0)


def asked_current(view: View, possible: float) -> float:
    """Return the current [A] that is to be taken now, of what is possible: 0 where the site asks for nothing."""
    return min(possible, view.discharge_asked / view.output_voltage) if view.discharge_asked > 0.0 and possible > 0.0 else 0.0


def available_power(view: View, possible: float) -> float:
    """Return the power [W] that the site could have from this vehicle; NaN where the station takes none."""
    return possible * view.output_voltage if takes_power(view) and possible > 0.0 else 0.0 if takes_power(view) else NAN


def is_announced(view: View) -> bool:
    """Return whether a CHAdeMO vehicle is told that the station takes power: only to one that says the same, and once both control dynamically."""
    vehicle = view.vehicle
    told = vehicle is not None and vehicle.discharge_compatible and not view.discharge_problem
    return takes_power(view) and told
