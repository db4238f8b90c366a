"""Rows of the fault table about what the vehicle says, and about stops that nobody followed."""

from evse_core import fault_conditions as seen
from evse_core import fault_conditions_vehicle as vehicle
from evse_core.fault import CHADEMO, DC, EMERGENCY, ENDED, OPERATOR, STOP, UNPLUG, WARN, Effect, Fault

VEHICLE: tuple[Fault, ...] = (
    Fault(
        "vehicle_fault", "The vehicle reports a fault in its charging system (102.5.2).", "vehicle_report.system_fault", (), vehicle.vehicle_fault,
        Effect(WARN, UNPLUG, "vehicle_fault_time"), None, "OtherError", "StoppedByEV", "",
        "The vehicle reported a fault. See the vehicle's display.",
        "Read the vehicle's fault memory; compare vehicles.",
        CHADEMO,
    ),
    Fault(
        "vehicle_battery_over_voltage", "The vehicle reports battery over-voltage (102.4.0).",
        "vehicle_report.fault_battery_overvoltage", (), vehicle.vehicle_battery_over_voltage,
        Effect(WARN, UNPLUG, "vehicle_fault_time"), None, "OtherError", "StoppedByEV", "",
        "The vehicle reported a fault. See the vehicle's display.",
        "Compare our voltage with a reference; look at the vehicle's limits in the recording.",
        CHADEMO,
    ),
    Fault(
        "vehicle_battery_under_voltage", "The vehicle reports battery under-voltage (102.4.1).",
        "vehicle_report.fault_battery_undervoltage", (), vehicle.vehicle_battery_under_voltage,
        Effect(WARN, UNPLUG, "vehicle_fault_time"), None, "OtherError", "StoppedByEV", "",
        "The vehicle reported a fault. See the vehicle's display.",
        "The battery is below its own lowest voltage: the vehicle has to be looked at, not the charger.",
        CHADEMO,
    ),
    Fault(
        "vehicle_current_deviation", "The vehicle reports that the current deviates from its request (102.4.2).",
        "vehicle_report.fault_current_deviation", (), vehicle.vehicle_current_deviation,
        Effect(WARN, UNPLUG, "vehicle_fault_time"), None, "OtherError", "StoppedByEV", "",
        "The vehicle reported a fault. See the vehicle's display.",
        "Compare the modules' current with a reference; look for a late or limited current in the recording.",
        CHADEMO,
    ),
    Fault(
        "vehicle_battery_temperature", "The vehicle reports a battery that is too hot (102.4.3).",
        "vehicle_report.fault_battery_temperature", (), vehicle.vehicle_battery_temperature,
        Effect(WARN, UNPLUG, "vehicle_fault_time"), None, "OtherError", "StoppedByEV", "",
        "The vehicle reported a fault. See the vehicle's display.",
        "The vehicle's cooling has to be looked at, not the charger.",
        CHADEMO,
    ),
    Fault(
        "vehicle_voltage_deviation", "The vehicle reports that our voltage deviates from its own (102.4.4).",
        "vehicle_report.fault_voltage_deviation", (), vehicle.vehicle_voltage_deviation,
        Effect(WARN, UNPLUG, "vehicle_fault_time"), None, "OtherError", "StoppedByEV", "",
        "The vehicle reported a fault. See the vehicle's display.",
        "Calibrate the voltage that is reported to vehicles (109.1-2).",
        CHADEMO,
    ),
    Fault(
        "vehicle_not_parked", "The vehicle's shifter is not in park (102.5.1).",
        "vehicle_report.shift_not_parked", (), vehicle.vehicle_not_parked,
        Effect(WARN, UNPLUG, "vehicle_fault_time"), None, "OtherError", "StoppedByEV", "CX010",
        "Please put the vehicle into park, unplug and start again.",
        "Nothing to do unless it comes often with one type of vehicle.",
        CHADEMO,
    ),
    Fault(
        "battery_incompatible", "The vehicle's battery does not fit the rating of this EVSE.", "vehicle_report.target_voltage",
        ("min_voltage", "max_voltage"), vehicle.battery_incompatible,
        Effect(EMERGENCY, UNPLUG, "incompatible_time"), None, "OtherError", "Other", "",
        "This charger does not fit the vehicle. Please use another one.",
        "Look into the recording: the sequence has to refuse such a vehicle before it locks the connector.",
        DC,
    ),
    Fault(
        "vehicle_request_excess", "The vehicle asks for more current than this EVSE ever offers.", "vehicle_report.current_request",
        ("max_current", "request_excess"), vehicle.vehicle_request_excess,
        Effect(STOP, UNPLUG, "request_excess_time"), None, "OtherError", "Other", "",
        "The vehicle asks for more than this charger can give. Please unplug and use another charger.",
        "Look at the request and the available current in the recording; the vehicle does not follow 108.3.",
        DC,
    ),
    Fault(
        "vehicle_stop_not_followed", "Current flows on although the vehicle withdrew its permission.",
        "vehicle_report, io_report.permission, power_report.current", ("current_tolerance",), vehicle.vehicle_stop_not_followed,
        Effect(EMERGENCY, OPERATOR, "vehicle_stop_time"), None, "InternalError", "Other", "",
        ENDED,
        "Look into the recording: who commanded current after the vehicle's stop?",
        DC,
    ),
    Fault(
        "stop_not_followed", "A fault told the sequence to stop and it did not.", "session_state.state", (), seen.stop_not_followed,
        Effect(EMERGENCY, OPERATOR, "stop_time"), None, "InternalError", "Other", "",
        ENDED,
        "Look into the recording: what kept the sequence from ramping down?",
    ),
    Fault(
        "power_cut", "can_bridge has cut power by itself.", "can_status.power_allowed", (), seen.power_cut,
        Effect(STOP, UNPLUG, "permission_time"), None, "InternalError", "Other", "",
        ENDED,
        "A permit or command came late: check the load of the computer and the log of can_bridge.",
    ),
)  # fmt: skip
