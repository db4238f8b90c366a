"""The conditions of the fault table: each says what it sees.

A condition returns what is wrong in words with numbers and units, "" where nothing is, None where it cannot know: then a fault is neither
raised nor cleared by it, and the silence that hides it is a fault of its own.
"""

from collections.abc import Callable
from math import inf, isfinite, isnan, nan

from evse_core.safety_inputs import CONNECTED_STATES, OPENING_STATES, POWERED_STATES, Input
from evse_core.safety_view import View
from evse_core.types import BusHealth, ChargeState, IoReport, MeterStatus, VehicleReport

Condition = Callable[[View], str | None]


def _io(text: str, wrong: Callable[[IoReport], bool]) -> Condition:
    """Return a condition on the I/O board's inputs alone."""

    def condition(view: View) -> str | None:
        if view.io is None:
            return None
        return text if wrong(view.io) else ""

    return condition


def _energised_io(text: str, wrong: Callable[[IoReport], bool]) -> Condition:
    """Return a condition on the I/O board's inputs that matters only while power may flow."""
    inner = _io(text, wrong)
    return lambda view: inner(view) if view.state in POWERED_STATES else ""


def emergency_stop(view: View) -> str | None:
    """The chain is open, or somebody asked for it."""
    if view.emergency_request:
        return "asked for by service"
    return _EMERGENCY_CHAIN(view)


_EMERGENCY_CHAIN = _io("the emergency stop chain is open", lambda io: io.emergency_stop)
door_open = _io("the cabinet door is open", lambda io: io.door_open)
earth_lost = _io("the protective conductor is interrupted", lambda io: not io.earth_ok)
residual_current = _io("the residual current device has tripped", lambda io: io.residual_current_trip)
tilted = _io("the cabinet leans", lambda io: io.tilted)
impact = _io("the cabinet had a shock", lambda io: io.impact)
proximity_fault = _io("the proximity circuit is outside its bands", lambda io: io.proximity_fault)
_OPEN_LOCK = _energised_io("the connector is no longer locked", lambda io: not io.locked)
plug_lost = _energised_io("the plug is out", lambda io: not io.plugged and not io.proximity_fault)


def lock_lost(view: View) -> str | None:
    """The connector is not locked; that of an AC output has to be only where the cable is detachable, and the lock told so."""
    without = view.link.has_pilot and view.io_command is not None and not view.io_command.lock
    return "" if without else _OPEN_LOCK(view)


# What the modules report at most, which says "at least": raw 255 (can.md 1.9). [ohm]
_AT_LEAST = 510e3


def _resistances(view: View) -> dict[str, float] | None:
    """Return the known insulation resistances [ohm] by who measures them; None while a source is silent."""
    if view.power is None or view.io is None:
        return None
    modules = view.power.insulation_resistance
    sources = {"modules": inf if modules >= _AT_LEAST else modules, "I/O board": view.io.insulation_resistance}
    return {name: value for name, value in sources.items() if not isnan(value)}


def _insulation_words(found: dict[str, float], limit: float) -> str:
    """Name every source, so that two that disagree show: the worse one counts (can.md 4)."""
    readings = ", ".join(f"{name} {min(value, _AT_LEAST) / 1e3:.0f} kOhm{' or more' * (value == inf)}" for name, value in found.items())
    return f"{readings}; limit {limit / 1e3:.0f} kOhm"


def insulation_fault(view: View) -> str | None:
    """Insulation is too low, or nobody measures it, in the power function after the test (can.md 1.7)."""
    if view.state is not ChargeState.CHARGING:
        return ""
    found = _resistances(view)
    if found is None:
        return None
    if not found:
        return "no insulation monitor reports"
    limit = view.config.insulation_fault_level
    return _insulation_words(found, limit) if min(found.values()) < limit else ""


def insulation_warning(view: View) -> str | None:
    """Insulation is lower than it should be."""
    if view.state is not ChargeState.CHARGING:
        return ""
    found = _resistances(view)
    if found is None:
        return None
    limit = view.config.insulation_warning_level
    return _insulation_words(found, limit) if found and min(found.values()) < limit else ""


def over_voltage_emergency(view: View) -> str | None:
    """The output is above the trip of its rating, or of the vehicle's while that is connected (the cable check goes higher before)."""
    connected = view.state in CONNECTED_STATES and view.vehicle is not None and view.io is not None and view.io.contactor_closed
    limit = view.config.emergency_voltage(view.vehicle.max_voltage if connected and view.vehicle is not None else 0.0)
    known = [value for value in (view.power.voltage if view.power else 0.0, view.connector_voltage) if isfinite(value)]
    if max(known, default=0.0) > limit:
        return f"output {max(known):.0f} V, trip {limit:.0f} V"
    return None if view.io is None or (view.power is None and view.state in POWERED_STATES) else ""


def over_voltage(view: View) -> str | None:
    """The vehicle's battery gets more than it allows; only with both contactors closed, as the cable check goes higher by design."""
    if view.state not in CONNECTED_STATES:
        return ""
    if view.io is None or view.vehicle is None or view.power is None:
        return None
    if not view.io.contactor_closed:
        return ""
    limit = vehicle_limit(view.vehicle)
    voltage = view.connector_voltage
    return f"output {voltage:.1f} V, vehicle allows {limit:.0f} V" if not voltage <= limit + view.config.over_voltage_tolerance else ""


def vehicle_limit(vehicle: VehicleReport) -> float:
    """Return the voltage [V] that the vehicle allows; 0 where it names none: such a vehicle is refused before (can.md 2.3 S3)."""
    named = [value for value in (vehicle.max_voltage, vehicle.target_voltage) if value > 0.0]
    return named[0] if named else 0.0


def over_current(view: View) -> str | None:
    """More current flows than was asked for, ramps and delays allowed for."""
    if not view.energised:
        return ""
    if view.power is None:
        return None if view.state in POWERED_STATES else ""
    allowed = view.allowed_current
    return f"output {view.power.current:.1f} A, explained are {allowed:.1f} A" if not view.power.current <= allowed else ""


def reverse_current(view: View) -> str | None:
    """More current flows out of the vehicle than command, site, rating and vehicle explain, ramps and delays allowed for; without a discharge any."""
    if not view.energised:
        return ""
    if view.power is None:
        return None if view.state in POWERED_STATES else ""
    allowed = view.allowed_discharge
    return f"output {view.power.current:.1f} A, explained are {-allowed:.1f} A" if not view.power.current >= -allowed else ""


def current_without_session(view: View) -> str | None:
    """Current flows although nobody may draw any; silent modules are asleep and count as off."""
    if view.energised or view.power is None:
        return ""
    if _coming(view, Input.SESSION):
        return None
    current = abs(view.power.current)
    return f"output {current:.1f} A in {view.state.name}" if current > view.config.current_tolerance else ""


def voltage_on_unlocked_connector(view: View) -> str | None:
    """Somebody could touch a dangerous voltage."""
    if view.io is None:
        return None
    dangerous = view.connector_voltage > view.config.touch_voltage
    return f"{view.connector_voltage:.0f} V at the unlocked connector" if dangerous and not view.io.locked else ""


def voltage_spread(view: View) -> str | None:
    """Two sensors of the same voltage disagree; only under current either way, because an output diode separates them without (can.md 1.7)."""
    if view.state is not ChargeState.CHARGING:
        return ""
    if view.io is None or view.power is None:
        return None
    joined = view.io.contactor_closed and abs(view.power.current) > view.config.current_tolerance and isfinite(view.io.connector_voltage)
    spread = abs(view.power.voltage - view.io.connector_voltage) if joined else 0.0
    wide = spread > view.config.spread_voltage
    return f"modules {view.power.voltage:.0f} V, connector {view.io.connector_voltage:.0f} V" if wide else ""


def contactor_stuck_open(view: View) -> str | None:
    """The contactor does not follow, or opened by itself."""
    if not view.energised:
        return ""
    if view.io is None or view.can is None or view.io_command is None:
        return None
    return "told to close, reports open" if view.contactor_commanded and not view.io.contactor_closed else ""


def contactor_welded(view: View) -> str | None:
    """The contactor reports closed although nobody wants it closed.

    A board that falls silent says nothing about a command that came since: what it said before is no evidence. Raised before, it stays.
    """
    if view.io is None:
        return None if "contactor_welded" in view.held else ""
    if _coming(view, Input.IO_COMMAND) or _coming(view, Input.CAN):
        return None
    return "told to open, reports closed" if view.io.contactor_closed and not view.contactor_commanded else ""


def vehicle_contactor_welded(view: View) -> str | None:
    """Battery voltage stays at a connector that our contactor has left, after the vehicle had to open its own."""
    if view.energised or view.state in OPENING_STATES:
        return ""
    if view.io is None:
        return None
    if not view.plugged or view.io.contactor_closed:
        return ""
    if not isfinite(view.connector_voltage):
        return None
    live = view.connector_voltage > view.config.touch_voltage
    return f"{view.connector_voltage:.0f} V at the connector with the output contactor open in {view.state.name}" if live else ""


def _hot(name: str, where: str, limit_name: str, value: Callable[[View], float | None]) -> Condition:
    """Return a condition on a temperature with hysteresis; a sensor that is not fitted (NaN) is never hot."""

    def condition(view: View) -> str | None:
        temperature = value(view)
        if temperature is None:
            return None
        limit = getattr(view.config, limit_name) - (view.config.temperature_hysteresis if name in view.held else 0.0)
        return f"{where} at {temperature:.0f} degC, limit {limit:.0f} degC" if temperature > limit else ""

    return condition


def _module_value(name: str) -> Callable[[View], float | None]:
    """Return a reader of the modules' report: None while they are lost, NaN while they may sleep."""

    def value(view: View) -> float | None:
        if view.power is None:
            return None if view.state in POWERED_STATES else nan
        return float(getattr(view.power, name))

    return value


def _connector_temperature(view: View) -> float | None:
    """Return what the board's and the charge controller's sensors say, the hotter one; None while one of them is lost."""
    if view.io is None or (view.vehicle is None and view.link.has_sensors):
        return None
    of_controller = view.vehicle.controller.connector_temperature if view.vehicle is not None else nan
    return max((value for value in (view.io.connector_temperature, of_controller) if isfinite(value)), default=nan)


connector_over_temperature = _hot("connector_over_temperature", "connector", "connector_temperature_limit", _connector_temperature)
module_over_temperature = _hot("module_over_temperature", "power module", "module_temperature_limit", _module_value("module_temperature"))
enclosure_over_temperature = _hot(
    "enclosure_over_temperature", "cabinet", "enclosure_temperature_limit", _module_value("enclosure_temperature")
)


connector_derated = _hot("connector_derated", "connector", "connector_derating_temperature", _connector_temperature)
enclosure_derated = _hot("enclosure_derated", "cabinet", "enclosure_derating_temperature", _module_value("enclosure_temperature"))


def module_refused(view: View) -> str | None:
    """The modules withdrew System_Enable in the charging loop; before it the sequence ends by itself (can.md 1.7)."""
    if view.state is not ChargeState.CHARGING:
        return ""
    if view.power is None:
        return None
    return "" if view.power.enabled else "System_Enable is 0 while charging"


def _coming(view: View, name: Input) -> bool:
    """Return whether an input has not come yet and may still do so, as after the start."""
    return view.ages[name] == inf and view.in_grace


def silence(view: View, name: Input, limit: float) -> str | None:
    """Say how long an input has been silent; None while it may still be on its way after the start."""
    age = view.ages[name]
    if age <= limit:
        return ""
    if isfinite(age):
        return f"{name.value} silent for {age:.2f} s, limit {limit:.2f} s"
    return None if _coming(view, name) else f"{name.value} never came complete"


def vehicle_silent(view: View) -> str | None:
    """The vehicle's frames stopped; outside a session that is normal."""
    return silence(view, Input.VEHICLE, view.config.vehicle_timeout) if view.energised else ""


def power_modules_silent(view: View) -> str | None:
    """The modules' frames stopped; outside a session they may sleep."""
    return silence(view, Input.POWER, view.config.modules_timeout) if view.state in POWERED_STATES else ""


def io_board_silent(view: View) -> str | None:
    """The board's frames stopped."""
    return silence(view, Input.IO, view.config.io_timeout)


def can_bridge_silent(view: View) -> str | None:
    """can_bridge does not report."""
    return silence(view, Input.CAN, view.config.bridge_timeout)


def charge_sequencer_silent(view: View) -> str | None:
    """The sequencer does not command or report."""
    found = (
        silence(view, Input.POWER_COMMAND, view.config.command_timeout),
        silence(view, Input.IO_COMMAND, view.config.command_timeout),
        silence(view, Input.SESSION, view.config.session_timeout),
    )
    return next(filter(None, found), None if None in found else "")


def meter_silent(view: View) -> str | None:
    """The meter does not report, or says while power flows that it cannot measure."""
    silent = silence(view, Input.METER, view.config.meter_timeout)
    if silent == "" and view.meter is not None and view.meter.meter_status not in MEASURING and not _is_seen_backwards(view):
        if view.meter.meter_status is MeterStatus.NOT_READ and view.in_grace:
            return None
        return view.meter.meter_detail or f"the meter is {view.meter.meter_status.name.lower()}"
    if silent == "" and view.state in POWERED_STATES and view.meter is not None and not view.meter.healthy:
        return "the meter cannot measure or store" if view.meter.meter_status in MEASURING else ""
    return silent


# A meter that counts, or an integrated value, which has no state.
MEASURING = (MeterStatus.UNKNOWN, MeterStatus.GOOD)


def _is_seen_backwards(view: View) -> bool:
    """Return whether the fault about a register that fell ends the session already; without a session it is this one that bars the next."""
    assert view.meter is not None
    return view.meter.meter_status is MeterStatus.BACKWARDS and view.state in POWERED_STATES


def meter_session_lost(view: View) -> str | None:
    """The meter does not count for the session that charges, so what it takes would not be billed."""
    if view.state not in POWERED_STATES:
        return ""
    if view.session is None or view.meter is None:
        return None
    counted, running = view.meter.session_id, view.session.session_id
    return f"meter counts for {counted or 'nobody'}, session is {running}" if counted != running else ""


# A bus in this health carries frames.
_USABLE = (BusHealth.OK, BusHealth.ERROR)


def bus_off(view: View) -> str | None:
    """A bus cannot be used, or nobody knows whether it can."""
    if view.can is None:
        return None
    unusable = [bus for bus in view.can.buses if bus.health not in _USABLE]
    if not view.can.buses:
        return "no bus is reported"
    return "; ".join([f"{bus.link.name} {bus.health.name} {bus.detail}".strip() for bus in unusable])


def bus_error(view: View) -> str | None:
    """A bus works, but with errors."""
    if view.can is None:
        return None
    spoiled = [bus for bus in view.can.buses if bus.health is BusHealth.ERROR]
    return "; ".join([f"{bus.link.name} {bus.detail}".strip() for bus in spoiled])


def stop_not_followed(view: View) -> str | None:
    """The sequence did not leave the states of power although a fault told it to stop."""
    return f"{view.unfollowed_stop} not followed in {view.state.name}" if view.energised and view.unfollowed_stop else ""


def power_cut(view: View) -> str | None:
    """can_bridge keeps power off although there is a permit: it cut it before, and the session cannot go on."""
    if not view.energised:
        return ""
    if view.can is None:
        return None
    return f"can_bridge passes no power: {view.can.cut_cause.name}" if view.permitted and not view.can.power_allowed else ""
