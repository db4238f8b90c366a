"""Conditions of the fault table on what changes with time: meter, buses and clock. See fault_conditions.py for what a condition returns."""

from math import isfinite

from evse_core.fault_conditions import Condition
from evse_core.safety_config import SafetyConfig
from evse_core.safety_trends import BusRate
from evse_core.safety_view import View
from evse_core.types import ChargeState, MeterReading, MeterStatus


def meter_runs_backwards(view: View) -> str | None:
    """The register is lower than it was; a meter that is silent is told by its own fault."""
    if view.meter is None:
        return None
    if view.meter.meter_status is MeterStatus.BACKWARDS:
        return view.meter.meter_detail
    fall = view.trends.register_fall
    return (
        f"a register fell by {fall:.1f} Wh; they are at {view.meter.register_wh:.1f} and {view.meter.export_register_wh:.1f} Wh"
        if fall > 0.0
        else ""
    )


def meter_disagrees(view: View) -> str | None:
    """The meter's power, or its energy of the session, is not what the modules deliver: one of them is wrong, and the meter bills."""
    if view.state is not ChargeState.CHARGING:
        return ""
    if view.meter is None or view.power is None or not isfinite(view.meter.power):
        return None
    delivered = view.power.voltage * view.power.current
    allowed = max(view.config.meter_tolerance, abs(delivered) * view.config.meter_tolerance_percent / 100.0)
    differs = abs(view.meter.power - delivered) > allowed
    if differs:
        return f"meter {view.meter.power / 1e3:.1f} kW, modules {delivered / 1e3:.1f} kW"
    return _energy_differs(view.meter, view.config)


def _energy_differs(meter: MeterReading, config: SafetyConfig) -> str:
    """Compare energies of the session: they show a meter that is a few per cent wrong, which is too little to see at any moment."""
    counted = meter.session_energy_wh + meter.session_loss_wh
    for told, expected, way in (
        (counted, meter.session_reference_wh, "to"),
        (meter.session_export_wh, meter.session_export_reference_wh, "from"),
    ):
        allowed = max(config.meter_energy_tolerance, abs(expected) * config.meter_energy_tolerance_percent / 100.0)
        if isfinite(told) and isfinite(expected) and abs(told - expected) > allowed:
            return f"energy {way} the vehicle: meter {told:.0f} Wh, modules {expected:.0f} Wh"
    return ""


def _rate(limit_name: str, value: str, what: str) -> Condition:
    """Return a condition on a rate of any bus."""

    def condition(view: View) -> str | None:
        if view.can is None:
            return None
        limit = getattr(view.config, limit_name)
        found: list[BusRate] = [bus for bus in view.trends.buses if getattr(bus, value) > limit]
        return "; ".join(f"{bus.link.name} {getattr(bus, value):.0f} {what} per second, limit {limit:.0f}" for bus in found)

    return condition


bus_error_rate = _rate("bus_error_limit", "errors", "lost or spoiled frames")
_too_many_frames = _rate("bus_frame_limit", "frames", "frames")


def bus_overload(view: View) -> str | None:
    """A bus carries more than its devices send, by its share of time and by count: a wrong bit rate hides the one, an unknown load leaves the other."""
    counted = _too_many_frames(view)
    if view.can is None or counted is None:
        return None
    limit = view.config.bus_load_limit
    loaded = [f"{bus.link.name} is {bus.load:.0%} loaded, limit {limit:.0%}" for bus in view.can.buses if bus.load > limit]
    return "; ".join(filter(None, (counted, *loaded)))


def clock_jumped(view: View) -> str | None:
    """Somebody has set the clock of the machine."""
    jump = view.trends.clock_jump
    return f"the clock jumped by {jump:+.1f} s" if jump else ""
