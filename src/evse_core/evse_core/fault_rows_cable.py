"""Rows of the fault table about a liquid-cooled cable."""

from evse_core import fault_conditions_cable as cable
from evse_core.fault import ENDED, ITSELF, STOP, UNPLUG, WARN, Effect, Fault

_SEEN = "io_report.coolant_flow, io_report.coolant_temperature"

CABLE: tuple[Fault, ...] = (
    Fault(
        "coolant_failed", "The coolant of the cable does not flow, is too warm, or is not measured: the station offers what the cable carries without it.",
        _SEEN, ("uncooled_current", "coolant_flow_limit", "coolant_temperature_limit"), cable.coolant_failed,
        Effect(WARN, ITSELF, "coolant_time"), None, "HighTemperature", "Other", "CX018",
        "",
        "Check pump, level, hoses and heat exchanger of the cable's cooling unit, then its sensors.",
    ),
    Fault(
        "cable_overload", "The cable carries more than it may without coolant.", f"{_SEEN}, power_report.current",
        ("uncooled_current", "current_tolerance"), cable.cable_overload,
        Effect(STOP, UNPLUG, "cable_overload_time"), None, "OverCurrentFailure", "OvercurrentFault", "CX019",
        ENDED,
        "The sequencer did not follow the coolant: look at its offer of current in the recording; check the cable for damage by heat.",
    ),
)  # fmt: skip
