"""The words of the CHAdeMO cases (chademo_cases.py) that end, or go on, while current flows: one function a case."""

from evse_core import chademo_context as when
from evse_core import chademo_phrases as say
from evse_core import chademo_session as c
from evse_core.chademo_context import Context
from evse_core.chademo_phrases import Text
from evse_core.chademo_session import PLACE


def open_path(context: Context) -> Text:
    begun = context.view.charging_at or context.t
    rise = when.voltage_rise(context)
    readings = context.observation.readings_in(begun, context.t)
    peak = max((reading.voltage for reading in readings), default=0.0)
    proven = (
        f"While charging, from {say.at(begun)}, the vehicle requested up to {context.request:g} A but at most {_peak_current(context):g} A flowed, "
        f"and the output rose by {rise:g} V to "
        f"{peak:g} V{_beside(context)}. After {context.t - begun:.1f} s the charger set {say.fault(context)}; the vehicle had shown no fault before."
    )
    likely = (
        "A connected battery would have held the voltage down, so the path to it was open or of high resistance: "
        "contactor not closed, only precharge, or a fuse."
    )
    return Text(
        proven, likely, "Check the vehicle's main contactor against its feedback, the precharge relay, the fuse, and the inlet's cables."
    )


def _beside(context: Context) -> str:
    target, threshold = context.value(c.TARGET), context.value(c.THRESHOLD)
    parts = [f"target {target:g} V" if target else "", f"threshold {threshold:g} V" if threshold else ""]
    said = ", ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def no_current(context: Context) -> Text:
    begun = context.view.charging_at or context.t
    proven = (
        f"While charging, from {say.at(begun)}, the vehicle requested {context.request:g} A but at most {_peak_current(context):g} A flowed; "
        f"after {context.t - begun:.1f} s "
        f"the charger set {say.fault(context)}."
    )
    return Text(
        proven,
        "The charger's power stage gave nothing, or the path was open.",
        "Read the charger's event log; check contactors on both sides.",
    )


def _peak_current(context: Context) -> float:
    begun = context.view.charging_at or context.t
    return max((reading.current for reading in context.observation.readings_in(begun, context.t)), default=0.0)


def threshold(context: Context) -> Text:
    readings = context.observation.readings_in(context.t - c.LOSS / 2, context.t)
    peak = max(reading.voltage for reading in readings)
    threshold = f"the threshold of {context.value(c.THRESHOLD):g} V ({PLACE[c.THRESHOLD]})"
    proven = f"While charging the output reached {peak:g} V, at or above {threshold}, and the charger set {say.fault(context)}."
    return Text(
        proven, "The charger stopped on over-voltage.", "Check whether the battery was full, or whether its contactor opened under current."
    )


def too_much(context: Context) -> Text:
    available = context.value(c.AVAILABLE_CURRENT)
    proven = f"The vehicle requested {context.request:g} A, more than the {available:g} A that the charger has, and the charger set {say.fault(context)}."
    return Text(proven, "The charger takes such a request for a fault.", "Limit the vehicle's request to 0x108 byte 3.")


def contactor_opened(context: Context) -> Text:
    proven = f"The vehicle opened its contactor ({context.sign}) while it was {say.flow(context)}, without asking for 0 A before."
    return Text(
        proven,
        "This is an emergency end by the vehicle, or its contactor dropped out.",
        "Read the vehicle's trouble codes; check d2 and the coil supply.",
    )


def withdrawn(context: Context) -> Text:
    proven = f"The vehicle took its permission away ({context.sign}) while {say.flow(context)}; it had shown no fault bit."
    return Text(
        proven,
        "It ended at once instead of ramping down: its user, its timer or a fault that it does not report.",
        "Read the vehicle's trouble codes and charge timer.",
    )


def vehicle_ended(context: Context) -> Text:
    proven = f"The vehicle ended charging in order: {context.sign}, and no side had shown a fault.{say.shutdown(context)}"
    soc = c.state_of_charge(context.observation, context.t)
    return Text(
        proven,
        f"Its state of charge was {soc:.0f} %." if soc is not None else "",
        "Nothing is wrong; if it ended too early, check the vehicle's charge limit.",
    )


def time_ran_out(context: Context) -> Text:
    proven = f"The charger's count of the time left came to 0 and it ended charging ({context.sign}); no side had shown a fault.{say.shutdown(context)}"
    return Text(
        proven,
        "The time is the one that the vehicle gave in 0x101.",
        "If it ended too early, check the vehicle's calculation of the charging time.",
    )


def charger_stopped(context: Context) -> Text:
    answer = next((t for t in context.observation.track(c.ENABLED).falls() if t >= context.t), None)
    answered = f" {answer - context.t:.2f} s before the vehicle took its permission away" if answer is not None else ""
    proven = (
        f"The charger ended charging by its stop flag alone ({context.sign}){answered}; no side had shown a fault.{say.shutdown(context)}"
    )
    likely = "Stop button, session limit or back end of the charger: they look the same on the bus, and so does a vehicle that opens switch k first."
    return Text(proven, likely, "If nobody stopped it, ask the charger's operator for the stop reason.")


def cleared(context: Context) -> Text:
    proven = f"The charger cleared its charging flag ({context.sign}) without its stop flag and without a fault bit; {say.output(context)}."
    return Text(proven, "This order is not the one of any known end.", "Read the charger's event log at this time.")


def still_charging(context: Context) -> Text:
    from_start = any(step.step == 10 and step.from_first_frame for step in context.steps)
    start = "The log begins in mid-charge and " if from_start else "Charging began in this log, and it "
    reading = context.observation.reading_at(context.t)
    flow = f" with {reading.current:g} A at {reading.voltage:g} V" if reading else ""
    return Text(
        f"{start}ends while charging goes on{flow}; no side has shown a fault or a stop.",
        "",
        "For the end of the session a longer log is needed.",
    )
