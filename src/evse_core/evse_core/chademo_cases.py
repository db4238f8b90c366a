"""The known ways in which a CHAdeMO session ends, as a table: first sign, condition, who, outcome, words. The first case that fits wins.

Sources: ../shared/reference/can.md 2.3 (times), 2.4 (stop conditions), 2.7 (oddities). A stop button at the charger, its session limit and its back end look
all the same on the bus (0x109 byte 5.5 alone), so nothing here says `user`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evse_core import chademo_context as when
from evse_core import chademo_session as c
from evse_core.chademo_context import Context
from evse_core.chademo_output import highest_battery_voltage, reports_contactor
from evse_core.chademo_session import PLACE
from evse_core.chademo_steps import NAMES

COMPLETE, CHARGING, FAILED, UNKNOWN = "complete", "charging", "failed", "unknown"


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a case: what the frames prove, what is only likely, what to check next."""

    proven: str
    likely: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One known end: the kinds of first sign that it takes (none: no sign was seen), the condition, who ended it, the words."""

    cause: str
    ended_by: str
    outcome: str
    kinds: frozenset[str]
    when: Callable[[Context], bool]
    text: Callable[[Context], Text]

    def fits(self, context: Context) -> bool:
        kinds = {sign.kind for sign in context.signs}
        return (bool(kinds & self.kinds) if self.kinds else not kinds) and self.when(context)


def _at(t: float) -> str:
    return f"{t:.2f} s"


def _where(context: Context) -> str:
    """Say how far the session was."""
    if not context.steps:
        return "before any step"
    step = context.steps[-1]
    return f"in step {step.step} ({NAMES[step.step]})"


def _output(context: Context) -> str:
    reading = context.observation.reading_at(context.t)
    return (
        f"the charger's last reading was {reading.voltage:g} V, {reading.current:g} A" if reading else "there is no reading of the charger"
    )


# What the vehicle's flags mean and what to look at: can.md 2.1 (0x102) and 2.4.
VEHICLE_FAULTS: dict[str, tuple[str, str, str]] = {
    "battery_overvoltage": (
        "battery over-voltage",
        c.OVERVOLTAGE,
        "Compare cell voltages with the vehicle's limit and the target in 0x102 bytes 1-2.",
    ),
    "battery_undervoltage": ("battery under-voltage", c.UNDERVOLTAGE, "Check cell voltages and the battery's service record."),
    "current_deviation": (
        "delivered current differs from the request",
        c.CURRENT_DEVIATION,
        "Compare 0x109 byte 3 with 0x102 byte 3 in the plot.",
    ),
    "high_battery_temperature": ("battery too hot", c.TEMPERATURE, "Read battery temperatures and cooling from the vehicle."),
    "voltage_deviation": (
        "charger's voltage differs from its own",
        c.VOLTAGE_DEVIATION,
        "Compare 0x109 bytes 1-2 with a meter at the inlet; check the contactor.",
    ),
    "charging_system_fault": (
        "charging system fault",
        c.SYSTEM_FAULT,
        "Read the vehicle's trouble codes: the bit does not say which fault.",
    ),
}


def _vehicle_fault(kind: str) -> Callable[[Context], Text]:
    meaning, name, check = VEHICLE_FAULTS[kind]

    def text(context: Context) -> Text:
        proven = f"The vehicle set its fault bit {PLACE[name]} ({meaning}) at {_at(context.t)}, {_where(context)}; {_output(context)}."
        return Text(proven, "The vehicle ended the session; the charger had shown no fault and no stop before.", check)

    return text


def _shifter(context: Context) -> Text:
    proven = f"The vehicle said that its shifter left park ({context.sign}), {_where(context)}, and that ends a session at once."
    return Text(
        proven,
        "Somebody moved the shifter, or its switch gives a wrong signal.",
        "Repeat with the shifter untouched, then check the park switch.",
    )


def _normal_stop(context: Context) -> Text:
    proven = f"The vehicle asked for a normal stop ({context.sign}) {_where(context)}."
    return Text(
        proven,
        "It wanted no charge: full, timer, or its user stopped it.",
        "Check the state of charge, the charge limit and the timers of the vehicle.",
    )


def _incompatible(context: Context) -> Text:
    target, available = context.value(c.TARGET), context.value(c.AVAILABLE_VOLTAGE)
    proven = f"The charger refused the battery ({context.sign}) and never energised: target {_number(target)} V, charger up to {_number(available)} V."
    likely = (
        "The target is above what the charger gives."
        if target and available and target > available
        else "The voltages alone do not explain the refusal."
    )
    return Text(proven, likely, "Compare 0x102 bytes 0-2 and 0x100 with the charger's rating and protocol.")


def _number(value: float | None) -> str:
    return "an unknown number of" if value is None else f"{value:g}"


def _charger_lost(context: Context) -> Text:
    proven = f"The charger's frames 0x108 and 0x109 stopped at {_at(context.t)}, {_where(context)}, while the vehicle went on sending; {_output(context)}."
    likely = "The charger lost power or restarted, or the CAN line to it broke: the log cannot tell which."
    return Text(proven, likely, "Check the CAN pins 8 and 9 of the plug, and the charger's supply and event log at that time.")


def _vehicle_lost(context: Context) -> Text:
    proven = f"The vehicle's frames 0x100 to 0x102 stopped at {_at(context.t)}, {_where(context)}, while the charger went on sending; {_output(context)}."
    likely = "The vehicle's controller lost power or restarted, or the CAN line broke: the log cannot tell which."
    return Text(proven, likely, "Check the CAN pins 8 and 9 of the inlet, and the supply of the vehicle's charge controller.")


def _fault(context: Context) -> str:
    """Name the charger's fault bit."""
    bits = {"charger_malfunction": "charger malfunction", "system_malfunction": "charging system malfunction"}
    return f"its {bits.get(context.signs[0].kind, 'stop')} bit ({context.sign})"


def _insulation(context: Context) -> Text:
    test = max(context.output.tests, key=lambda rise: rise.peak)
    reading = context.observation.reading_at(context.t)
    lasted, volts = context.t - test.start, reading.voltage if reading else test.peak
    highest = highest_battery_voltage(context.observation)
    above = f", above the {highest:g} V that the battery can have, so it is the charger's own" if highest and test.peak > highest else ""
    held = "still at" if volts >= 0.8 * test.peak else "down to"
    proven = (
        f"The charger set {_fault(context)} in the insulation test: its output rose to {test.peak:g} V at {_at(test.peak_at)}{above}, "
        f"and was {held} {volts:g} V "
        f"{lasted:.1f} s after the rise began. The vehicle showed no fault and asked for no current; the ready signal cannot have been given."
    )
    likely = "The test failed: insulation too low, or the charger's monitor or power stage; the bus does not carry which."
    return Text(
        proven,
        likely,
        "Measure the insulation of cable and vehicle inlet to earth with the contactor open, try another vehicle, read the charger's event log.",
    )


def _live(context: Context) -> Text:
    rise = context.output.unclear
    assert rise is not None  # the condition of the case
    after = context.t - rise.start
    proven = (
        f"From {_at(rise.start)} the output stood at up to {rise.peak:g} V although no insulation test had been seen, "
        f"and {after:.1f} s later the charger set {_fault(context)} "
        f"without ever reporting charging ({PLACE[c.CHARGING]} stays 0).{_request_said(context)}"
    )
    return Text(
        proven,
        _live_likely(context),
        "Check when the vehicle's contactor closes: it must wait for d2, which is not on the bus; then look for a welded contactor.",
    )


def _request_said(context: Context) -> str:
    peak = max((value for t, value in context.observation.track("request").points() if t <= context.t), default=0.0)
    return f" The vehicle requested up to {peak:g} A all the same ({PLACE[c.REQUEST]})." if peak else ""


def _live_likely(context: Context) -> str:
    """Say whose voltage it probably was: one that stays after the charger's fault and falls with the vehicle's permission is the battery's."""
    rise, off = context.output.unclear, next((t for t in context.observation.track(c.ENABLED).falls() if t > context.t), None)
    highest = highest_battery_voltage(context.observation)
    if rise is None or rise.end is None or off is None or not highest or rise.peak > highest or not off <= rise.end <= off + 0.5:
        return "Whether the voltage was the battery's or the charger's own cannot be told."
    return (
        f"It was likely the battery: the voltage stayed until the vehicle took its permission away at {_at(off)} and fell then, "
        "so the vehicle's contactor had closed too early or was welded, and the charger could not do its test."
    )


def _not_closed(context: Context) -> Text:
    tested = context.output.tested_at
    how = (
        f"{PLACE[c.CONTACTOR_OPEN]} stayed 1"
        if reports_contactor(context.observation)
        else "no battery voltage came (this vehicle does not report its contactor)"
    )
    proven = f"The insulation test was over at {_at(tested or context.t)}, then the vehicle's contactor did not close: {how}; {_waited(context, tested)}."
    return Text(
        proven,
        "The vehicle did not see the ready signal d2, or its contactor failed.",
        "Measure d1 and d2 (pins 2 and 10) and the contactor's coil supply.",
    )


def _waited(context: Context, since: float | None) -> str:
    waited = f"after {context.t - since:.1f} s " if since is not None else ""
    return f"{waited}the charger set {_fault(context)}"


def _no_voltage(context: Context) -> Text:
    closed = context.reached(9)
    proven = f"The vehicle reported its contactor closed, but no battery voltage came to the output; {_waited(context, closed.t if closed else None)}."
    return Text(
        proven,
        "The contactor did not close, or the path behind it is open.",
        "Check the contactor, its feedback, and the fuse between inlet and battery.",
    )


def _no_request(context: Context) -> Text:
    battery, appeared = context.output.battery, context.output.battery_at
    assert battery is not None  # the condition of the case
    assert appeared is not None
    proven = (
        f"The battery's {battery.voltage:g} V appeared at the output at {_at(appeared)}, but the vehicle never requested current "
        f"({PLACE[c.REQUEST]} stayed 0), "
        f"and {context.t - appeared:.1f} s later the charger set {_fault(context)}."
    )
    return Text(
        proven,
        "The charger gave up waiting: real chargers do so after 8 to 18 s.",
        "Find out what the vehicle's controller waits for before it requests current.",
    )


def _unanswered(context: Context) -> Text:
    asked = context.asked_at or context.t
    request = f"The vehicle requested current from {_at(asked)} ({PLACE[c.REQUEST]})"
    proven = f"{request}, the charger never reported charging and set {_fault(context)} {context.t - asked:.1f} s later."
    return Text(
        proven,
        "The fault lies inside the charger or in what only the charger sees.",
        "Read the charger's event log; try the vehicle at another charger.",
    )


def _open_path(context: Context) -> Text:
    begun = context.view.charging_at or context.t
    rise = when.voltage_rise(context)
    readings = context.observation.readings_in(begun, context.t)
    peak = max((reading.voltage for reading in readings), default=0.0)
    proven = (
        f"While charging, from {_at(begun)}, the vehicle requested up to {context.request:g} A but at most {_peak_current(context):g} A flowed, "
        f"and the output rose by {rise:g} V to "
        f"{peak:g} V{_beside(context)}. After {context.t - begun:.1f} s the charger set {_fault(context)}; the vehicle had shown no fault before."
    )
    likely = (
        "A connected battery would have held the voltage down, so the path to it was open or of high resistance: "
        "contactor not closed, only precharge, or a fuse."
    )
    return Text(
        proven, likely, "Check the vehicle's main contactor against its feedback, the precharge relay, the fuse, and the inlet's cables."
    )


def _peak_current(context: Context) -> float:
    begun = context.view.charging_at or context.t
    return max((reading.current for reading in context.observation.readings_in(begun, context.t)), default=0.0)


def _beside(context: Context) -> str:
    target, threshold = context.value(c.TARGET), context.value(c.THRESHOLD)
    parts = [f"target {target:g} V" if target else "", f"threshold {threshold:g} V" if threshold else ""]
    said = ", ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def _no_current(context: Context) -> Text:
    begun = context.view.charging_at or context.t
    proven = (
        f"While charging, from {_at(begun)}, the vehicle requested {context.request:g} A but at most {_peak_current(context):g} A flowed; "
        f"after {context.t - begun:.1f} s "
        f"the charger set {_fault(context)}."
    )
    return Text(
        proven,
        "The charger's power stage gave nothing, or the path was open.",
        "Read the charger's event log; check contactors on both sides.",
    )


def _threshold(context: Context) -> Text:
    readings = context.observation.readings_in(context.t - c.LOSS / 2, context.t)
    peak = max(reading.voltage for reading in readings)
    threshold = f"the threshold of {context.value(c.THRESHOLD):g} V ({PLACE[c.THRESHOLD]})"
    proven = f"While charging the output reached {peak:g} V, at or above {threshold}, and the charger set {_fault(context)}."
    return Text(
        proven, "The charger stopped on over-voltage.", "Check whether the battery was full, or whether its contactor opened under current."
    )


def _too_much(context: Context) -> Text:
    available = context.value(c.AVAILABLE_CURRENT)
    proven = f"The vehicle requested {context.request:g} A, more than the {available:g} A that the charger has, and the charger set {_fault(context)}."
    return Text(proven, "The charger takes such a request for a fault.", "Limit the vehicle's request to 0x108 byte 3.")


def _charger_fault(context: Context) -> Text:
    phase = "while charging" if context.charging else _where(context)
    proven = f"The charger set {_fault(context)} {phase}; {_output(context)}. The vehicle had shown no fault and no stop before."
    inside = context.signs[0].kind == "charger_malfunction"
    likely = (
        "By this bit the fault is inside the charger."
        if inside
        else "By this bit the charger saw the fault in vehicle, cable or communication."
    )
    return Text(
        proven, likely + " The frames do not show which.", "Read the charger's event log at this time; try the vehicle at another charger."
    )


def _no_permission(context: Context) -> Text:
    proven = f"The vehicle never gave its permission ({PLACE[c.ENABLED]} stayed 0), and the charger ended the start: {context.sign}."
    return Text(
        proven,
        "The charger gave up waiting.",
        "Check d1 (pin 2) at the vehicle, and what its controller waits for: shifter, insulation, timer.",
    )


def _gave_up(context: Context) -> Text:
    proven = f"The charger released the lock ({context.sign}) without having charged and without a fault bit, {_where(context)}."
    return Text(
        proven, "It was stopped at the charger or gave up waiting: the frames do not say.", "Read the charger's event log at this time."
    )


def _contactor_opened(context: Context) -> Text:
    proven = f"The vehicle opened its contactor ({context.sign}) while it was {_flow(context)}, without asking for 0 A before."
    return Text(
        proven,
        "This is an emergency end by the vehicle, or its contactor dropped out.",
        "Read the vehicle's trouble codes; check d2 and the coil supply.",
    )


def _flow(context: Context) -> str:
    reading = context.observation.reading_at(context.t)
    return f"requesting {context.request:g} A, with {reading.current:g} A flowing" if reading else f"requesting {context.request:g} A"


def _withdrawn(context: Context) -> Text:
    proven = f"The vehicle took its permission away ({context.sign}) while {_flow(context)}; it had shown no fault bit."
    return Text(
        proven,
        "It ended at once instead of ramping down: its user, its timer or a fault that it does not report.",
        "Read the vehicle's trouble codes and charge timer.",
    )


def _withdrawn_early(context: Context) -> Text:
    proven = (
        f"The vehicle took its permission away ({context.sign}) before charging, {_where(context)}; neither side had shown a fault bit."
    )
    return Text(
        proven,
        "The vehicle gave up waiting, or was stopped by its user: the frames do not say.",
        "See which step was not finished; read the vehicle's trouble codes.",
    )


def _vehicle_ended(context: Context) -> Text:
    proven = f"The vehicle ended charging in order: {context.sign}, and no side had shown a fault.{_shutdown(context)}"
    soc = c.state_of_charge(context.observation, context.t)
    return Text(
        proven,
        f"Its state of charge was {soc:.0f} %." if soc is not None else "",
        "Nothing is wrong; if it ended too early, check the vehicle's charge limit.",
    )


def _time_ran_out(context: Context) -> Text:
    proven = f"The charger's count of the time left came to 0 and it ended charging ({context.sign}); no side had shown a fault.{_shutdown(context)}"
    return Text(
        proven,
        "The time is the one that the vehicle gave in 0x101.",
        "If it ended too early, check the vehicle's calculation of the charging time.",
    )


def _charger_stopped(context: Context) -> Text:
    answer = next((t for t in context.observation.track(c.ENABLED).falls() if t >= context.t), None)
    answered = f" {answer - context.t:.2f} s before the vehicle took its permission away" if answer is not None else ""
    proven = f"The charger ended charging by its stop flag alone ({context.sign}){answered}; no side had shown a fault.{_shutdown(context)}"
    likely = "Stop button, session limit or back end of the charger: they look the same on the bus, and so does a vehicle that opens switch k first."
    return Text(proven, likely, "If nobody stopped it, ask the charger's operator for the stop reason.")


def _cleared(context: Context) -> Text:
    proven = f"The charger cleared its charging flag ({context.sign}) without its stop flag and without a fault bit; {_output(context)}."
    return Text(proven, "This order is not the one of any known end.", "Read the charger's event log at this time.")


def _shutdown(context: Context) -> str:
    last = context.reached(12)
    return " Contactor open, output down and connector unlocked followed." if last is not None and last.complete else ""


def _still_charging(context: Context) -> Text:
    from_start = any(step.step == 10 and step.from_first_frame for step in context.steps)
    start = "The log begins in mid-charge and " if from_start else "Charging began in this log, and it "
    reading = context.observation.reading_at(context.t)
    flow = f" with {reading.current:g} A at {reading.voltage:g} V" if reading else ""
    return Text(
        f"{start}ends while charging goes on{flow}; no side has shown a fault or a stop.",
        "",
        "For the end of the session a longer log is needed.",
    )


def _only_vehicle(context: Context) -> Text:
    proven = f"The vehicle sent for {context.observation.end - context.observation.start:.1f} s and no charger frame (0x108, 0x109) was ever seen."
    return Text(
        proven,
        "No charger, a broken CAN line to it, or a recorder on the wrong side.",
        "Check CAN pins 8 and 9 and the bit rate of 500 kbit/s.",
    )


def _only_charger(context: Context) -> Text:
    proven = f"The charger sent for {context.observation.end - context.observation.start:.1f} s and no vehicle frame (0x100, 0x101, 0x102) was ever seen."
    return Text(
        proven,
        "Chargers normally wait for the vehicle, so its frames were probably not recorded.",
        "Check where the recorder was connected.",
    )


def _both_silent(context: Context) -> Text:
    return Text(
        f"Vehicle and charger fell silent together {_where(context)}, without a fault or a stop on the bus, while other nodes went on.",
        "d1 opened, or the line to the recorder broke.",
        "Check the charger's event log at this time.",
    )


def _ends_early(context: Context) -> Text:
    return Text(
        f"The log ends {_where(context)}; neither side had shown a fault, a stop or a loss of frames.",
        "",
        "For a verdict a longer log is needed.",
    )


def _unknown(context: Context) -> Text:
    said = "; ".join(sign.evidence for sign in context.signs)
    return Text(
        f"This sequence fits no known end: first came {said}, {_where(context)}.", "", "Look at the plot and the time line of the flags."
    )


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


_FAULT = _kinds("charger_malfunction", "system_malfunction")
_NONE = _kinds()

CASES: tuple[Case, ...] = (
    Case("battery_incompatible", "charger", FAILED, _kinds("battery_incompatible"), when.not_charged, _incompatible),
    *(Case(f"vehicle_{kind}", "vehicle", FAILED, _kinds(kind), when.always, _vehicle_fault(kind)) for kind in VEHICLE_FAULTS),
    Case("shifter_moved", "vehicle", FAILED, _kinds("shifter_moved"), when.always, _shifter),
    Case("vehicle_normal_stop_request", "vehicle", COMPLETE, _kinds("normal_stop_request"), when.charging, _normal_stop),
    Case("vehicle_normal_stop_request", "vehicle", FAILED, _kinds("normal_stop_request"), when.always, _normal_stop),
    Case("output_over_threshold", "charger", FAILED, _FAULT, when.over_threshold, _threshold),
    Case("current_path_open", "charger", FAILED, _FAULT, when.path_open, _open_path),
    Case("no_current_delivered", "charger", FAILED, _FAULT, when.nothing_flows, _no_current),
    Case("request_over_available", "charger", FAILED, _FAULT, when.over_available, _too_much),
    Case("no_voltage_after_contactor", "charger", FAILED, _FAULT, when.closed_without_voltage, _no_voltage),
    Case("contactor_not_closed", "charger", FAILED, _FAULT, when.contactor_never_closed, _not_closed),
    Case("no_current_request", "charger", FAILED, _FAULT, when.no_request, _no_request),
    Case("request_not_answered", "charger", FAILED, _FAULT, when.request_unanswered, _unanswered),
    Case("insulation_phase_failed", "charger", FAILED, _FAULT, when.test_not_passed, _insulation),
    Case("live_output_before_test", "charger", FAILED, _FAULT, when.live_without_test, _live),
    Case("no_permission", "charger", FAILED, _FAULT | {"unlocked_early"}, when.never_permitted, _no_permission),
    Case("charger_malfunction", "charger", FAILED, _kinds("charger_malfunction"), when.always, _charger_fault),
    Case("system_malfunction", "charger", FAILED, _kinds("system_malfunction"), when.always, _charger_fault),
    Case("contactor_opened", "vehicle", FAILED, _kinds("contactor_opened"), when.charging, _contactor_opened),
    Case("vehicle_ended", "vehicle", COMPLETE, _kinds("request_zero"), when.charging, _vehicle_ended),
    Case("permission_withdrawn", "vehicle", FAILED, _kinds("permission_off"), when.charging, _withdrawn),
    Case("permission_withdrawn_before_charging", "vehicle", FAILED, _kinds("permission_off"), when.not_charged, _withdrawn_early),
    Case("charging_time_over", "charger", COMPLETE, _kinds("stop_control"), when.time_ran_out, _time_ran_out),
    Case("stopped_at_charger", "charger", COMPLETE, _kinds("stop_control"), when.always, _charger_stopped),
    Case("charging_flag_cleared", "charger", UNKNOWN, _kinds("charging_cleared"), when.always, _cleared),
    Case("charger_gave_up", "charger", FAILED, _kinds("unlocked_early"), when.always, _gave_up),
    Case("charger_frames_lost", "bus", FAILED, _kinds("charger_silent"), when.always, _charger_lost),
    Case("vehicle_frames_lost", "bus", FAILED, _kinds("vehicle_silent"), when.always, _vehicle_lost),
    Case("log_ends_while_charging", "unknown", CHARGING, _NONE, when.log_ends_charging, _still_charging),
    Case("no_charger_frames", "unknown", UNKNOWN, _NONE, when.only_vehicle, _only_vehicle),
    Case("no_vehicle_frames", "unknown", UNKNOWN, _NONE, when.only_charger, _only_charger),
    Case("both_silent", "unknown", UNKNOWN, _NONE, when.both_silent, _both_silent),
    Case("log_ends_early", "unknown", UNKNOWN, _NONE, when.always, _ends_early),
    Case(
        "unknown_sequence",
        "unknown",
        UNKNOWN,
        _kinds("battery_incompatible", "contactor_opened", "request_zero", "permission_off"),
        when.always,
        _unknown,
    ),
)
