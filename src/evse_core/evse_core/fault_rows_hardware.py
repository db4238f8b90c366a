"""Rows of the fault table about contactors, lock, plug, temperatures and modules."""

from evse_core import fault_conditions as seen
from evse_core import fault_conditions_modules as modules
from evse_core import fault_conditions_pilot as pilot
from evse_core import fault_conditions_session as session
from evse_core.fault import BLOCK, CALL, CHADEMO, EMERGENCY, ENDED, ITSELF, OPERATOR, STOP, UNPLUG, WARN, Effect, Fault

HARDWARE: tuple[Fault, ...] = (
    Fault(
        "contactor_stuck_open", "The output contactor does not close, or opened by itself.",
        "io_command.close_contactor, io_report.contactor_closed", (), seen.contactor_stuck_open,
        Effect(EMERGENCY, OPERATOR, "contactor_time"), None, "PowerSwitchFailure", "Other", "CX017",
        ENDED,
        "Check coil supply, interlock and feedback contact of the output contactor.",
    ),
    Fault(
        "contactor_welded", "The output contactor reports closed although it is told to open.",
        "io_command.close_contactor, can_status.power_allowed, io_report.contactor_closed", (), seen.contactor_welded,
        Effect(EMERGENCY, OPERATOR, "contactor_time"), Effect(EMERGENCY, OPERATOR, "contactor_time"), "PowerSwitchFailure", "Other", "CX017",
        f"This charger is out of order. Do not pull the connector. {CALL}",
        "Disconnect the supply, measure the contactor's contacts, replace it.",
    ),
    Fault(
        "vehicle_contactor_welded", "The vehicle's battery stays at the connector although the vehicle had to open its contactor.",
        "io_report.connector_voltage, io_report.contactor_closed, session_state.state", ("touch_voltage",), seen.vehicle_contactor_welded,
        None, Effect(BLOCK, UNPLUG, "vehicle_contactor_time"), "OtherError", "Other", "CX016",
        f"The vehicle keeps the connector under voltage. Do not pull or touch it. {CALL}",
        "Measure the connector; let the vehicle's maker isolate the battery; unlock only once the voltage is gone. Check our contactor, too.",
    ),
    Fault(
        "lock_lost", "The connector is not locked while the output is energised.", "io_report.locked", (), seen.lock_lost,
        Effect(EMERGENCY, UNPLUG, "lock_time"), None, "ConnectorLockFailure", "Other", "CX001",
        "The connector was not locked. Please unplug, plug in again firmly and start again.",
        "Check the lock's solenoid, its feedback and the connector's latch.",
        CHADEMO,
    ),
    Fault(
        "lock_failed", "The lock does not close before the output is energised, or does not open after it.",
        "io_command.lock, io_report.locked", (), session.lock_failed,
        Effect(STOP, UNPLUG, "lock_command_time"), Effect(BLOCK, ITSELF, "unlock_command_time"), "ConnectorLockFailure", "Other", "CX001",
        f"The connector does not lock or does not come free. Press it in firmly and try again. {CALL}",
        "Check the lock's motor, its feedback and the connector's latch; look for a cable under tension.",
        CHADEMO,
    ),
    Fault(
        "plug_lost", "The plug is out while the output is energised.", "io_report.plugged", (), seen.plug_lost,
        Effect(EMERGENCY, OPERATOR), None, "ConnectorLockFailure", "EVDisconnected", "CX025",
        f"The connector came off under power. Do not touch it. {CALL}",
        "Check latch, lock and cable for damage, then the proximity circuit.",
        CHADEMO,
    ),
    Fault(
        "proximity_fault", "The proximity circuit is outside its bands.", "io_report.proximity_fault", (), seen.proximity_fault,
        Effect(EMERGENCY, UNPLUG, "contact_time"), Effect(BLOCK, ITSELF, "proximity_time"), "OtherError", "Other", "CX023",
        "The connector is not seated well. Please unplug and plug in again firmly.",
        "Measure the proximity resistors of the connector; clean the pins.",
        CHADEMO,
    ),
    Fault(
        "pilot_fault", "The control pilot is shorted, has no diode behind it or lies outside its bands, or nobody tells (only where one is fitted).",
        "io_report.pilot_fault", ("has_control_pilot",), pilot.pilot_fault,
        Effect(EMERGENCY, UNPLUG, "pilot_time"), Effect(BLOCK, ITSELF, "pilot_idle_time"), "EVCommunicationError", "Other", "CX014",
        "The vehicle's signal is faulty. Please unplug and plug in again firmly.",
        "Measure the control pilot at the connector without and with a vehicle: 12 V, then +9/-12 V; look for water in the connector.",
    ),
    Fault(
        "ac_over_current", "The vehicle draws more AC current than the control pilot signals.",
        "io_report.ac_current_l1 to l3 against io_command.pilot_current", ("ac_tolerance", "ac_tolerance_percent"), pilot.ac_over_current,
        Effect(STOP, UNPLUG, "ac_over_current_time"), None, "OverCurrentFailure", "OvercurrentFault", "CX004",
        "The vehicle takes too much current. Please unplug it.",
        "Compare the current sensors with a reference; then the vehicle is at fault.",
    ),
    Fault(
        "ac_over_current_high", "The vehicle draws far more AC current than the control pilot signals.",
        "io_report.ac_current_l1 to l3 against io_command.pilot_current", ("ac_excess", "ac_tolerance_percent"), pilot.ac_over_current_high,
        Effect(EMERGENCY, UNPLUG, "ac_excess_time"), None, "OverCurrentFailure", "OvercurrentFault", "CX004",
        "The vehicle takes too much current. Please unplug it.",
        "Compare the current sensors with a reference; then the vehicle is at fault. Check the duty cycle of the control pilot.",
    ),
    Fault(
        "ac_current_unknown", "A current is signalled on the control pilot, but not every phase is measured.",
        "io_report.ac_current_l1 to l3, io_command.pilot_current", ("ac_phases",), pilot.ac_current_unknown,
        Effect(STOP, UNPLUG, "ac_unknown_time"), None, "PowerMeterFailure", "Other", "",
        ENDED,
        "Check the current sensors of the I/O board and their wiring; ac_phases of the description is the number of phases.",
    ),
    Fault(
        "connector_derated", "The connector is warm: the station offers less current.",
        "io_report.connector_temperature, vehicle_report.controller.connector_temperature",
        ("connector_derating_temperature", "temperature_hysteresis"), seen.connector_derated,
        Effect(WARN, ITSELF, "temperature_time"), None, "HighTemperature", "Other", "CX018",
        "",
        "Check the contacts for wear and the crimps of the cable before they get too hot.",
    ),
    Fault(
        "connector_over_temperature", "A contact of the connector is too hot.",
        "io_report.connector_temperature, vehicle_report.controller.connector_temperature",
        ("connector_temperature_limit", "temperature_hysteresis"), seen.connector_over_temperature,
        Effect(STOP, ITSELF, "temperature_time"), Effect(BLOCK, ITSELF, "temperature_time"), "HighTemperature", "Other", "CX019",
        "The connector is too hot. Please let it cool down.",
        "Check the contacts for wear and the crimps of the cable.",
    ),
    Fault(
        "module_over_temperature", "A power module is too hot.", "power_report.module_temperature",
        ("module_temperature_limit", "temperature_hysteresis"), seen.module_over_temperature,
        Effect(STOP, ITSELF, "temperature_time"), Effect(BLOCK, ITSELF, "temperature_time"), "HighTemperature", "Other", "CX003",
        "This charger is too hot. Please try again later or use another one.",
        "Check fans and filters.",
    ),
    Fault(
        "enclosure_derated", "The cabinet is warm: the station offers less current.", "power_report.enclosure_temperature",
        ("enclosure_derating_temperature", "temperature_hysteresis"), seen.enclosure_derated,
        Effect(WARN, ITSELF, "temperature_time"), None, "HighTemperature", "Other", "CX003",
        "",
        "Clean filters and check fans before it gets too hot.",
    ),
    Fault(
        "enclosure_over_temperature", "The cabinet is too hot.", "power_report.enclosure_temperature",
        ("enclosure_temperature_limit", "temperature_hysteresis"), seen.enclosure_over_temperature,
        Effect(STOP, ITSELF, "temperature_time"), Effect(BLOCK, ITSELF, "temperature_time"), "HighTemperature", "Other", "CX003",
        "This charger is too hot. Please try again later or use another one.",
        "Check fans, filters and ambient temperature.",
    ),
    Fault(
        "module_failed", "A power module does not work; the others go on with less (only where the modules tell of themselves).",
        "power_report.module_count, power_report.modules_working", ("module_count",), modules.module_failed,
        Effect(WARN, ITSELF, "module_failure_time"), Effect(WARN, ITSELF, "module_failure_time"), "InternalError", "Other", "",
        "",
        "Read the modules' own fault memory; exchange the one that does not work.",
    ),
    Fault(
        "modules_disagree", "Power modules in parallel do not share the current (only where they tell of themselves).",
        "power_report.module_current_min, power_report.module_current_max",
        ("module_count", "module_spread", "module_spread_percent", "max_current"), modules.modules_disagree,
        Effect(STOP, UNPLUG, "module_spread_time"), None, "InternalError", "Other", "",
        ENDED,
        "Compare set points and currents of the single modules; check the link over which they share.",
    ),
    Fault(
        "no_module_left", "No power module works, or the modules no longer tell (only where they tell of themselves).",
        "power_report.module_count, power_report.modules_working", ("module_count",), modules.no_module_left,
        Effect(STOP, UNPLUG, "module_failure_time"), Effect(BLOCK, ITSELF, "module_failure_time"), "InternalError", "Other", "",
        ENDED,
        "Check supply and bus of the modules, then their fault memory.",
    ),
    Fault(
        "module_refused", "The power modules withdrew their permission while charging.", "power_report.enabled", (), seen.module_refused,
        Effect(EMERGENCY, UNPLUG, "module_refusal_time"), None, "InternalError", "Other", "",
        ENDED,
        "Read the modules' own fault memory.",
    ),
)  # fmt: skip
