"""The words of the CHAdeMO cases (chademo_cases.py) that end before current flows: one function a case."""

from evse_core import chademo_phrases as say
from evse_core import chademo_session as c
from evse_core.chademo_context import Context
from evse_core.chademo_output import highest_battery_voltage, reports_contactor
from evse_core.chademo_phrases import Text
from evse_core.chademo_session import PLACE


def incompatible(context: Context) -> Text:
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


def no_permission(context: Context) -> Text:
    proven = f"The vehicle never gave its permission ({PLACE[c.ENABLED]} stayed 0), and the charger ended the start: {context.sign}."
    return Text(
        proven,
        "The charger gave up waiting.",
        "Check d1 (pin 2) at the vehicle, and what its controller waits for: shifter, insulation, timer.",
    )


def insulation(context: Context) -> Text:
    test = max(context.output.tests, key=lambda rise: rise.peak)
    reading = context.observation.reading_at(context.t)
    lasted, volts = context.t - test.start, reading.voltage if reading else test.peak
    highest = highest_battery_voltage(context.observation)
    above = f", above the {highest:g} V that the battery can have, so it is the charger's own" if highest and test.peak > highest else ""
    held = "still at" if volts >= 0.8 * test.peak else "down to"
    proven = (
        f"The charger set {say.fault(context)} in the insulation test: its output rose to {test.peak:g} V at {say.at(test.peak_at)}{above}, "
        f"and was {held} {volts:g} V "
        f"{lasted:.1f} s after the rise began. The vehicle showed no fault and asked for no current; the ready signal cannot have been given."
    )
    likely = "The test failed: insulation too low, or the charger's monitor or power stage; the bus does not carry which."
    return Text(
        proven,
        likely,
        "Measure the insulation of cable and vehicle inlet to earth with the contactor open, try another vehicle, read the charger's event log.",
    )


def live(context: Context) -> Text:
    rise = context.output.unclear
    assert rise is not None  # the condition of the case
    after = context.t - rise.start
    proven = (
        f"From {say.at(rise.start)} the output stood at up to {rise.peak:g} V although no insulation test had been seen, "
        f"and {after:.1f} s later the charger set {say.fault(context)} "
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
        f"It was likely the battery: the voltage stayed until the vehicle took its permission away at {say.at(off)} and fell then, "
        "so the vehicle's contactor had closed too early or was welded, and the charger could not do its test."
    )


def not_closed(context: Context) -> Text:
    tested = context.output.tested_at
    how = (
        f"{PLACE[c.CONTACTOR_OPEN]} stayed 1"
        if reports_contactor(context.observation)
        else "no battery voltage came (this vehicle does not report its contactor)"
    )
    proven = f"The insulation test was over at {say.at(tested or context.t)}, then the vehicle's contactor did not close: {how}; {_waited(context, tested)}."
    return Text(
        proven,
        "The vehicle did not see the ready signal d2, or its contactor failed.",
        "Measure d1 and d2 (pins 2 and 10) and the contactor's coil supply.",
    )


def _waited(context: Context, since: float | None) -> str:
    waited = f"after {context.t - since:.1f} s " if since is not None else ""
    return f"{waited}the charger set {say.fault(context)}"


def no_voltage(context: Context) -> Text:
    closed = context.reached(9)
    proven = f"The vehicle reported its contactor closed, but no battery voltage came to the output; {_waited(context, closed.t if closed else None)}."
    return Text(
        proven,
        "The contactor did not close, or the path behind it is open.",
        "Check the contactor, its feedback, and the fuse between inlet and battery.",
    )


def no_request(context: Context) -> Text:
    battery, appeared = context.output.battery, context.output.battery_at
    assert battery is not None  # the condition of the case
    assert appeared is not None
    proven = (
        f"The battery's {battery.voltage:g} V appeared at the output at {say.at(appeared)}, but the vehicle never requested current "
        f"({PLACE[c.REQUEST]} stayed 0), "
        f"and {context.t - appeared:.1f} s later the charger set {say.fault(context)}."
    )
    return Text(
        proven,
        "The charger gave up waiting: real chargers do so after 8 to 18 s.",
        "Find out what the vehicle's controller waits for before it requests current.",
    )


def unanswered(context: Context) -> Text:
    asked = context.asked_at or context.t
    request = f"The vehicle requested current from {say.at(asked)} ({PLACE[c.REQUEST]})"
    proven = f"{request}, the charger never reported charging and set {say.fault(context)} {context.t - asked:.1f} s later."
    return Text(
        proven,
        "The fault lies inside the charger or in what only the charger sees.",
        "Read the charger's event log; try the vehicle at another charger.",
    )


def gave_up(context: Context) -> Text:
    proven = f"The charger released the lock ({context.sign}) without having charged and without a fault bit, {say.where(context)}."
    return Text(
        proven, "It was stopped at the charger or gave up waiting: the frames do not say.", "Read the charger's event log at this time."
    )


def withdrawn_early(context: Context) -> Text:
    proven = (
        f"The vehicle took its permission away ({context.sign}) before charging, {say.where(context)}; neither side had shown a fault bit."
    )
    return Text(
        proven,
        "The vehicle gave up waiting, or was stopped by its user: the frames do not say.",
        "See which step was not finished; read the vehicle's trouble codes.",
    )
