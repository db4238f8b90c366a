"""The words of the CHAdeMO cases (chademo_cases.py) that may come anywhere in a session: fault bits, frames that are lost, what a log cannot tell."""

from collections.abc import Callable

from evse_core import chademo_phrases as say
from evse_core import chademo_session as c
from evse_core.chademo_context import Context
from evse_core.chademo_phrases import Text
from evse_core.chademo_session import PLACE

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


def vehicle_fault(kind: str) -> Callable[[Context], Text]:
    meaning, name, check = VEHICLE_FAULTS[kind]

    def text(context: Context) -> Text:
        proven = (
            f"The vehicle set its fault bit {PLACE[name]} ({meaning}) at {say.at(context.t)}, {say.where(context)}; {say.output(context)}."
        )
        return Text(proven, "The vehicle ended the session; the charger had shown no fault and no stop before.", check)

    return text


def shifter(context: Context) -> Text:
    proven = f"The vehicle said that its shifter left park ({context.sign}), {say.where(context)}, and that ends a session at once."
    return Text(
        proven,
        "Somebody moved the shifter, or its switch gives a wrong signal.",
        "Repeat with the shifter untouched, then check the park switch.",
    )


def normal_stop(context: Context) -> Text:
    proven = f"The vehicle asked for a normal stop ({context.sign}) {say.where(context)}."
    return Text(
        proven,
        "It wanted no charge: full, timer, or its user stopped it.",
        "Check the state of charge, the charge limit and the timers of the vehicle.",
    )


def charger_fault(context: Context) -> Text:
    phase = "while charging" if context.charging else say.where(context)
    proven = f"The charger set {say.fault(context)} {phase}; {say.output(context)}. The vehicle had shown no fault and no stop before."
    inside = context.signs[0].kind == "charger_malfunction"
    likely = (
        "By this bit the fault is inside the charger."
        if inside
        else "By this bit the charger saw the fault in vehicle, cable or communication."
    )
    return Text(
        proven, likely + " The frames do not show which.", "Read the charger's event log at this time; try the vehicle at another charger."
    )


def charger_lost(context: Context) -> Text:
    lost = f"The charger's frames 0x108 and 0x109 stopped at {say.at(context.t)}, {say.where(context)}"
    proven = f"{lost}, while the vehicle went on sending; {say.output(context)}."
    likely = "The charger lost power or restarted, or the CAN line to it broke: the log cannot tell which."
    return Text(proven, likely, "Check the CAN pins 8 and 9 of the plug, and the charger's supply and event log at that time.")


def vehicle_lost(context: Context) -> Text:
    lost = f"The vehicle's frames 0x100 to 0x102 stopped at {say.at(context.t)}, {say.where(context)}"
    proven = f"{lost}, while the charger went on sending; {say.output(context)}."
    likely = "The vehicle's controller lost power or restarted, or the CAN line broke: the log cannot tell which."
    return Text(proven, likely, "Check the CAN pins 8 and 9 of the inlet, and the supply of the vehicle's charge controller.")


def both_silent(context: Context) -> Text:
    return Text(
        f"Vehicle and charger fell silent together {say.where(context)}, without a fault or a stop on the bus, while other nodes went on.",
        "d1 opened, or the line to the recorder broke.",
        "Check the charger's event log at this time.",
    )


def only_vehicle(context: Context) -> Text:
    proven = f"The vehicle sent for {context.observation.end - context.observation.start:.1f} s and no charger frame (0x108, 0x109) was ever seen."
    return Text(
        proven,
        "No charger, a broken CAN line to it, or a recorder on the wrong side.",
        "Check CAN pins 8 and 9 and the bit rate of 500 kbit/s.",
    )


def only_charger(context: Context) -> Text:
    proven = f"The charger sent for {context.observation.end - context.observation.start:.1f} s and no vehicle frame (0x100, 0x101, 0x102) was ever seen."
    return Text(
        proven,
        "Chargers normally wait for the vehicle, so its frames were probably not recorded.",
        "Check where the recorder was connected.",
    )


def ends_early(context: Context) -> Text:
    return Text(
        f"The log ends {say.where(context)}; neither side had shown a fault, a stop or a loss of frames.",
        "",
        "For a verdict a longer log is needed.",
    )


def unknown(context: Context) -> Text:
    said = "; ".join(sign.evidence for sign in context.signs)
    return Text(
        f"This sequence fits no known end: first came {said}, {say.where(context)}.", "", "Look at the plot and the time line of the flags."
    )
