"""Rows of the fault table about people and about voltage and current at the output."""

from evse_core import fault_conditions as seen
from evse_core import fault_conditions_session as session
from evse_core.fault import BLOCK, CALL, EMERGENCY, ENDED, ITSELF, OPERATOR, STOP, UNPLUG, WARN, Effect, Fault

OUTPUT: tuple[Fault, ...] = (
    Fault(
        "emergency_stop", "The emergency stop chain is open, or the service emergency_stop was called.",
        "io_report.emergency_stop; service", (), seen.emergency_stop,
        Effect(EMERGENCY, OPERATOR), Effect(EMERGENCY, OPERATOR), "OtherError", "EmergencyStop", "CX008",
        f"Emergency stop. Keep away from the cable. {CALL}",
        "Find out why it was pressed, release the button, check the 20 mA loop, then call reset_faults.",
    ),
    Fault(
        "door_open", "The cabinet door is open.", "io_report.door_open", (), seen.door_open,
        Effect(EMERGENCY, OPERATOR, "door_time"), Effect(BLOCK, ITSELF, "door_time"), "OtherError", "Other", "",
        f"This charger is being serviced. {CALL}",
        "Close the door; check the door contact and its wiring.",
    ),
    Fault(
        "earth_lost", "The protective conductor is interrupted.", "io_report.earth_ok", (), seen.earth_lost,
        Effect(EMERGENCY, OPERATOR, "contact_time"), Effect(BLOCK, OPERATOR, "contact_time"), "GroundFailure", "GroundFault", "CX002",
        f"This charger has an earthing fault. Do not touch it. {CALL}",
        "Measure the protective conductor from supply to connector before anything else.",
    ),
    Fault(
        "residual_current", "The residual current device has tripped.", "io_report.residual_current_trip", (), seen.residual_current,
        Effect(EMERGENCY, OPERATOR), Effect(BLOCK, OPERATOR), "GroundFailure", "GroundFault", "CX002",
        f"This charger has an earth fault. Do not touch it. {CALL}",
        "Find the leakage on the supply side, then re-arm the residual current device.",
    ),
    Fault(
        "insulation_fault", "Insulation of the output is too low, or no monitor reports, while charging.",
        "power_report.insulation_resistance, io_report.insulation_resistance", ("insulation_fault_limit",), seen.insulation_fault,
        Effect(EMERGENCY, OPERATOR, "insulation_time"), None, "GroundFailure", "GroundFault", "CX022",
        f"An insulation fault was found in the vehicle, the cable or this charger. {CALL}",
        "Repeat the insulation test without a vehicle, then with another one: this tells station and vehicle apart.",
    ),
    Fault(
        "insulation_warning", "Insulation of the output is lower than it should be while charging.",
        "power_report.insulation_resistance, io_report.insulation_resistance", ("insulation_warning_limit",), seen.insulation_warning,
        Effect(WARN, ITSELF, "insulation_time"), None, "OtherError", "Other", "CX022",
        "",
        "Look for moisture in connector and cable; compare vehicles.",
    ),
    Fault(
        "over_voltage_emergency", "The output is above the emergency trip of the rating (500 V: 550 V, 750: 825, 850: 935, 1000: 1100, above: 1375).",
        "power_report.voltage, io_report.connector_voltage", ("max_voltage",), seen.over_voltage_emergency,
        Effect(EMERGENCY, OPERATOR), Effect(EMERGENCY, OPERATOR), "OverVoltage", "PowerQuality", "CX005",
        f"Charging ended for safety. {CALL}",
        "Do not put back into service before the modules' voltage control and both voltage sensors are checked.",
    ),
    Fault(
        "over_voltage", "The vehicle's battery gets more voltage than it allows.",
        "io_report.connector_voltage or power_report.voltage against vehicle_report.max_voltage", ("over_voltage_tolerance",), seen.over_voltage,
        Effect(EMERGENCY, OPERATOR, "over_voltage_time"), None, "OverVoltage", "PowerQuality", "CX005",
        ENDED,
        "Compare the modules' voltage with a reference; look at the vehicle's limits in the recording.",
    ),
    Fault(
        "under_voltage", "Less than any battery has is at the output while charging.",
        "io_report.connector_voltage or power_report.voltage, power_report.current", ("min_voltage", "current_tolerance"), session.under_voltage,
        Effect(EMERGENCY, OPERATOR, "under_voltage_time"), None, "UnderVoltage", "PowerQuality", "CX006",
        ENDED,
        "Look for a short circuit in cable and connector before anything else; compare the voltage sensors.",
    ),
    Fault(
        "over_current", "More current flows than command and vehicle explain, ramps and delays allowed for.",
        "power_report.current against power_command.current and vehicle_report.current_request",
        ("current_tolerance", "current_tolerance_percent", "current_ramp", "current_delay", "max_current"), seen.over_current,
        Effect(EMERGENCY, OPERATOR, "over_current_time"), None, "OverCurrentFailure", "OvercurrentFault", "CX004",
        ENDED,
        "Check current control and current sensor of the modules.",
    ),
    Fault(
        "reverse_current", "Current flows out of the vehicle.", "power_report.current", ("current_tolerance",), seen.reverse_current,
        Effect(EMERGENCY, OPERATOR, "over_current_time"), None, "OtherError", "Other", "",
        ENDED,
        "Check the output diode and the sign of the current sensor.",
    ),
    Fault(
        "current_without_session", "Current flows although nobody may draw any.", "power_report.current", ("current_tolerance",),
        seen.current_without_session,
        None, Effect(EMERGENCY, OPERATOR, "idle_current_time"), "PowerSwitchFailure", "Other", "",
        f"This charger is out of order. {CALL}",
        "Check that the modules obey the power function off, and the zero of the current sensor.",
    ),
    Fault(
        "voltage_on_unlocked_connector", "A dangerous voltage is at a connector that is not locked.",
        "io_report.connector_voltage, io_report.locked", ("touch_voltage",), seen.voltage_on_unlocked_connector,
        Effect(EMERGENCY, OPERATOR, "touch_time"), Effect(EMERGENCY, OPERATOR, "touch_time"), "OtherError", "Other", "CX024",
        f"Do not touch the connector. {CALL}",
        "Measure the connector; check contactor, discharge of the output and lock feedback.",
    ),
    Fault(
        "voltage_before_connection", "A voltage is at the locked connector although both contactors have to be open.",
        "io_report.connector_voltage, io_report.locked, session_state.state", ("connection_voltage",), session.voltage_before_connection,
        Effect(STOP, UNPLUG, "connection_time"), None, "OtherError", "Other", "CX024",
        ENDED,
        "Measure the connector: the vehicle's contactor or ours does not open, or the voltage sensor has an offset.",
    ),
    Fault(
        "voltage_not_falling", "The modules' output stays charged after the cable check or behind the open contactor.",
        "power_report.voltage, io_report.contactor_closed, session_state.state", ("touch_voltage",), session.voltage_not_falling,
        Effect(STOP, UNPLUG, "discharge_time"), Effect(WARN, ITSELF, "discharge_time"), "OtherError", "Other", "",
        ENDED,
        "Wait before opening the cabinet and measure; check the modules' discharge and their answer to lower_output_voltage.",
    ),
    Fault(
        "voltage_spread", "Two sensors of the same voltage disagree under current.",
        "power_report.voltage, io_report.connector_voltage", ("spread_voltage",), seen.voltage_spread,
        Effect(STOP, OPERATOR, "spread_time"), None, "OtherError", "Other", "",
        ENDED,
        "Compare both sensors with a reference; look for a bad contact in the output path.",
    ),
    Fault(
        "cable_check_too_long", "The cable check does not end.", "session_state.time_in_state", ("cable_check_time",), session.cable_check_too_long,
        Effect(STOP, UNPLUG), None, "OtherError", "Other", "CX011",
        ENDED,
        "Check the insulation monitor; look into the recording for what the sequence waited for.",
    ),
    Fault(
        "cable_check_voltage", "The test voltage of the cable check is not the one that was asked for.",
        "power_command.voltage, power_report.voltage", ("test_voltage_tolerance",), session.cable_check_voltage,
        Effect(STOP, UNPLUG, "test_voltage_time"), None, "OtherError", "Other", "CX011",
        ENDED,
        "Look for a load or a short circuit in the cable; compare the modules' voltage with a reference.",
    ),
    Fault(
        "precharge_failed", "The output does not come to the voltage of the vehicle's battery (links with precharge only).",
        "power_command.function, power_command.voltage, power_report.voltage", ("precharge_tolerance",), session.precharge_failed,
        Effect(STOP, UNPLUG, "precharge_time"), None, "OtherError", "Other", "CX012",
        ENDED,
        "Compare the modules' voltage with a reference and with what the vehicle reports.",
    ),
)  # fmt: skip
