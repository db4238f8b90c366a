"""The guards of the charging sequence: each a named question about one step, with the words for what it saw. They change nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

from evse_core import charge_sequencer_facts as f
from evse_core.charge_sequencer_current import dynamic, limit_words, offered, rated_current, threshold_voltage
from evse_core.charge_sequencer_session import same_token
from evse_core.charge_sequencer_view import View, unfit
from evse_core.types import Reaction, RequestKind, Verdict


@dataclass(frozen=True, slots=True)
class Guard:
    """A question; `text` is for docs/states.md, `detail` says what was seen, with numbers and units."""

    text: str
    test: Callable[[View], bool]
    detail: Callable[[View], str] | None = None

    def says(self, view: View) -> str:
        """Return what was seen."""
        return self.detail(view) if self.detail else self.text.replace("`", "")


def after(name: str, text: str, since: Callable[[View], float] | None = None, detail: Callable[[View], str] | None = None) -> Guard:
    """Return a guard that opens a parameter's time [s] after the state was entered, or after another moment."""

    def test(view: View) -> bool:
        return view.now - (since(view) if since else view.entered) >= float(getattr(view.config, name))

    def says(view: View) -> str:
        more = detail(view) if detail else ""
        return f"{text} within {getattr(view.config, name):g} s{': ' + more if more else ''}"

    return Guard(f"{text} within `{name}`", test, detail=says)


def _at_most(limit: float, *values: float) -> bool:
    return all(abs(value) <= limit for value in values)


# Driver and back end.

out_of_service = Guard("out of service", lambda view: not view.in_service or view.shutting_down)
in_service = Guard("back in service", lambda view: view.in_service and not view.shutting_down)
blocked = Guard("a fault blocks, or safety monitor or I/O board are silent", lambda view: bool(view.blocked), lambda view: view.blocked)
plugged = Guard("plugged in", lambda view: view.plugged)
unplugged = Guard("unplugged", lambda view: view.unplugged)
token_presented = Guard("token presented", lambda view: bool(view.actions.token), lambda view: f"token {view.actions.token} presented")
other_token = Guard(
    "another token presented", lambda view: bool(view.actions.token) and not same_token(view.actions.token, view.driver.token)
)
start_asked = Guard("start asked for with a token", lambda view: view.actions.asked(RequestKind.START) is not None)
authorized_start = Guard("start asked for with an authorised token", f.asked_authorized_start)
started_again = Guard("start asked for with the same token", f.asked_same_start)
accepted = Guard("token accepted", lambda view: f.verdict(view) is Verdict.ACCEPTED)
refused = Guard(
    "token refused",
    lambda view: f.verdict(view) not in {None, Verdict.ACCEPTED},
    lambda view: f"token {view.driver.token}: {f.verdict(view)!r}",
)
cancelled = Guard("stop button", lambda view: view.actions.stop)
ready_to_start = Guard("plugged in and started", lambda view: view.plugged and f.started(view))
authorization_silent = after("authorization_timeout", "no verdict")
authorization_expired = Guard(
    "not plugged in and started within `authorization_validity`",
    lambda view: view.now - view.entered >= view.authorization_validity,
    lambda view: f"not plugged in and started within {view.authorization_validity:g} s",
)


# Where the sequence begins.

connector_hot = Guard("connector locked or energised", lambda view: view.hot, lambda view: f"found locked or at {view.output_words}")
inputs_known = Guard("I/O board and safety monitor report", lambda view: view.io is not None and view.safety is not None)

# Emergencies.

emergency_button = Guard("emergency stop", lambda view: view.io is not None and view.io.emergency_stop)
emergency_asked = Guard("emergency stop asked for", lambda view: view.actions.asked(RequestKind.EMERGENCY_STOP) is not None)
emergency_fault = Guard(
    "fault with reaction EMERGENCY", lambda view: view.reaction is Reaction.EMERGENCY, lambda view: f"safety: {view.fault}"
)
permit_lost = Guard(
    "no permit",
    lambda view: not view.permit and view.session.opening is None,
    lambda view: f"no permit: {view.safety.detail if view.safety else view.fault}",
)
monitor_lost = Guard("safety monitor silent", lambda view: view.safety is None)
monitor_missed = Guard(
    "safety monitor silent, `permission_timeout` after the session began",
    lambda view: view.safety is None and view.now - view.session.started >= view.config.permission_timeout,
    lambda view: view.fault,
)
power_cut = Guard("can_bridge has cut the power", f.was_cut, f.cut_words)
io_lost = Guard("I/O board silent", lambda view: view.io is None)
modules_lost = Guard("power modules silent", lambda view: view.power is None)
modules_refuse = Guard("power modules withdraw System_Enable", lambda view: view.power is not None and not view.power.enabled)
contactor_lost = Guard(
    "output contactor opened by itself", lambda view: view.session.contactor_seen and view.session.opening is None and view.contactor_open
)


# What ends a session in an orderly way.

safety_stop = Guard("fault with reaction STOP", lambda view: view.reaction >= Reaction.STOP, lambda view: f"safety: {view.fault}")
lock_lost = Guard("connector no longer locked", lambda view: view.session.locked and view.io is not None and not view.io.locked)
vehicle_fault = Guard("vehicle reports a fault", lambda view: bool(view.vehicle_faults), lambda view: f"vehicle: {view.vehicle_faults}")
vehicle_lost = Guard(
    "vehicle silent for `vehicle_loss_age`", lambda view: view.vehicle is None, lambda view: "the vehicle's frames stopped"
)
vehicle_declines = Guard("vehicle wants to stop (102.5.4)", lambda view: view.vehicle is not None and view.vehicle.normal_stop_request)
permission_removed = Guard(
    "permission removed by frame or by line k",
    lambda view: (view.vehicle is not None and not view.vehicle.charging_enabled) or (view.io is not None and not view.io.permission),
    lambda view: f"permission removed: {f.missing_permission(view)}",
)
contactor_opened = Guard("vehicle's contactor opened", lambda view: view.vehicle_contactor_open)


def _board_late(text: str, *consequences: Guard) -> Guard:
    """Return a guard for what a vehicle does by itself when an I/O board that falls silent takes the sequence signals away from it."""

    def says(view: View) -> str:
        return f"I/O board silent for {view.io_age:.2f} s, {next(guard.says(view) for guard in consequences if guard.test(view))}"

    def test(view: View) -> bool:
        return not view.io_age <= view.config.io_late_age and any(guard.test(view) for guard in consequences)

    return Guard(f"{text} while the I/O board is silent for `io_late_age`", test, says)


board_late = _board_late(
    "vehicle withdraws its permission, wants to stop or reports a fault", permission_removed, vehicle_declines, vehicle_fault
)
board_late_opened = _board_late("vehicle's contactor opened", contactor_opened)
battery_gone = Guard(
    "output below `connected_voltage` for `battery_gone_time`",
    lambda view: view.session.battery_missing.longer_than(view.config.battery_gone_time, view.now),
    lambda view: f"output at {view.output_voltage:.0f} V: the battery is gone",
)
zero_request = Guard(
    "request of 0 A for `zero_request_hold` though current is offered",
    lambda view: view.session.control.zero_request.longer_than(view.config.zero_request_hold, view.now),
    lambda view: f"the vehicle asked for 0 A for {view.config.zero_request_hold:g} s",
)
too_hot = Guard(
    "rating, modules and temperatures leave no current for `derated_hold`",
    lambda view: view.session.control.derated.longer_than(view.config.derated_hold, view.now),
    lambda view: f"derated to {rated_current(view):.0f} A for {view.config.derated_hold:g} s, {limit_words(view)}",
)
request_excess = Guard(
    "request above the available current by `request_excess` for `request_excess_time`",
    lambda view: view.session.control.excess.longer_than(view.config.request_excess_time, view.now),
    lambda view: f"the vehicle asked for {view.request:.0f} A with {view.session.control.announced:.0f} A available",
)
over_threshold = Guard(
    "output above the threshold by `threshold_margin`",
    lambda view: view.output_voltage >= threshold_voltage(view) + view.config.threshold_margin,
    lambda view: f"output at {view.output_voltage:.0f} V, threshold {threshold_voltage(view):.0f} V",
)
time_over = Guard("remaining time is 0", lambda view: view.now >= view.session.deadline)
stop_asked = Guard("driver, back end or operator stops", lambda view: f.asked_stop(view) is not None, f.stop_words)


# Steps 1 to 8.

is_unfit = Guard(
    "vehicle cannot be served for `incompatible_hold`",
    lambda view: view.session.unfit.longer_than(view.config.incompatible_hold, view.now) and bool(unfit(view)),
    unfit,
)
is_unfit_now = Guard("latched values cannot be served", lambda view: view.vehicle is not None and bool(unfit(view)), unfit)
is_fit = Guard("all frames there, vehicle can be served", lambda view: view.vehicle_followed and not unfit(view))
permitted = Guard(
    "permission by frame and by line k, vehicle can be served, safety monitor reports",
    lambda view: f.is_permitted(view) and not unfit(view) and view.safety is not None,
)
no_permission = after("permission_timeout", "no permission", lambda view: view.session.started, f.missing_permission)
voltage_present = Guard(
    "voltage above `voltage_before` for `voltage_before_hold` at the open connector",
    lambda view: view.session.voltage_before.longer_than(view.config.voltage_before_hold, view.now),
    lambda view: f"{view.output_voltage:.0f} V at the connector before the vehicle's contactor may close",
)
lock_fails = Guard(
    "no lock feedback within `lock_timeout`",
    lambda view: (
        not view.session.locked
        and view.session.lock_commanded is not None
        and view.now - view.session.lock_commanded >= view.config.lock_timeout
    ),
)
locked = Guard(
    "locked, begin reading on disk, permit, modules ready below `closing_voltage`, connector dead",
    lambda view: not f.missing_before_test(view),
)
locking_too_long = after("locking_timeout", "not ready for the cable check", detail=f.missing_before_test)
not_ready = after("ready_timeout", "not ready for the vehicle's contactor", lambda view: view.session.permitted)
contactor_fails = Guard(
    "no contactor feedback within `output_contactor_timeout`",
    lambda view: not view.session.contactor_seen and view.elapsed >= view.config.output_contactor_timeout,
)
insulation_low = Guard(
    "insulation below its limit `insulation_wait` after the test voltage was reached",
    lambda view: (
        view.session.at_test_voltage.longer_than(view.config.insulation_wait, view.now)
        and not view.insulation_resistance >= view.insulation_limit
    ),
    lambda view: f"insulation {view.insulation_resistance / 1e3:.0f} kOhm, limit {view.insulation_limit / 1e3:.0f} kOhm",
)
ground_missing = Guard("protective conductor interrupted", lambda view: view.io is not None and not view.io.earth_ok)
test_passed = Guard(
    "`insulation_readings` successive good readings at test voltage",
    lambda view: view.session.good_readings >= view.config.insulation_readings,
)
cable_check_too_long = after("cable_check_timeout", "cable check not passed", detail=f.cable_check_words)
lowered = Guard(
    "output and modules at most `lowered_voltage`",
    lambda view: _at_most(view.config.lowered_voltage, view.output_voltage, view.power.voltage if view.power else nan),
)
not_lowered = after("lowering_timeout", "output not lowered", detail=lambda view: f"{view.output_voltage:.0f} V")


# Steps 9 and 10.

connected = Guard("vehicle's contactor closed and output above `connected_voltage`", f.contactor_in)
no_contactor = after("contactor_timeout", "vehicle's contactor not closed", detail=lambda view: f"output at {view.output_voltage:.0f} V")
requested = Guard("vehicle asks for current", lambda view: view.request > 0.0)
no_request = Guard(
    "no request within `request_timeout` though current is offered",
    lambda view: view.elapsed >= view.config.request_timeout and (offered(view, view.session.control.announced) or not dynamic(view)),
    lambda view: f"the vehicle asked for no current within {view.config.request_timeout:g} s",
)


# Steps 11 and 12.

opened = Guard("current gone and output contactor open", lambda view: view.session.opening is not None and view.contactor_open)
opened_connected = Guard(
    "current gone and output contactor open, signal 2 was given", lambda view: opened.test(view) and view.session.ready
)
contactor_stuck = Guard(
    "output contactor still closed after `output_contactor_timeout`",
    lambda view: view.session.opening is not None and view.now - view.session.opening >= view.config.output_contactor_timeout,
)
current_stays = Guard(
    "current not gone within `ramp_down_timeout`",
    lambda view: view.session.opening is None and view.elapsed >= view.config.ramp_down_timeout,
    lambda view: f"still {view.current:.1f} A after {view.config.ramp_down_timeout:g} s",
)
vehicle_opened = Guard("vehicle's contactor open, welding detection done", lambda view: view.vehicle_contactor_open)
vehicle_opened_unseen = Guard(
    "`unreported_opening_wait` over for a vehicle that does not report its contactor",
    lambda view: (view.vehicle is None or not view.vehicle.contactor_reported) and view.elapsed >= view.config.unreported_opening_wait,
)
vehicle_not_opened = after("welding_timeout", "vehicle's contactor not open")
closed_down = Guard(
    "output contactor open, output at most `unlock_voltage`, signal 1 off",
    lambda view: view.contactor_open and view.may_unlock and f.signals_off(view),
)
not_closed_down = after("closing_timeout", "output not dead", detail=lambda view: view.output_words)
unlocked = Guard("unlocked for `unlock_settling`", lambda view: view.session.unlocked.longer_than(view.config.unlock_settling, view.now))
unlocked_faulted = Guard(
    "unlocked, and a fault to be looked at", lambda view: unlocked.test(view) and (view.session.faulted or not view.clear)
)
not_unlocked = after("unlock_timeout", "not unlocked")
emergency_over = Guard("current gone, contactor open, signal 2 off", f.is_off)
emergency_too_long = after("emergency_timeout", "current and contactor not off")
recovered = Guard("output contactor open and output dead", lambda view: view.contactor_open and view.may_unlock)
not_recovered = after("recovery_timeout", "output not dead", detail=lambda view: view.output_words)
unlock_due = Guard("locked, output dead, unlocking not tried", lambda view: f.locked_dead(view) and not view.session.unlock_failed)
unlock_asked = Guard(
    "unlocking asked for, output dead", lambda view: f.locked_dead(view) and view.actions.asked(RequestKind.UNLOCK) is not None
)
fault_gone = Guard("fault gone, connector out and dead", lambda view: view.clear and not view.hot and view.unplugged)
fault_gone_idle = Guard(
    "fault gone, no session since plugged in", lambda view: view.clear and not view.hot and view.plugged and not view.needs_replug
)
fault_reset = Guard(
    "fault gone, put back into service by the operator",
    lambda view: view.clear and not view.hot and view.actions.asked(RequestKind.ENABLE) is not None,
)
