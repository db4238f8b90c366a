"""Rows of the fault table about contactors, lock, plug, temperatures and modules."""

from evse_core import fault_conditions as seen
from evse_core import fault_conditions_session as session
from evse_core.fault import BLOCK, CALL, EMERGENCY, ENDED, ITSELF, OPERATOR, STOP, UNPLUG, Effect, Fault

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
    ),
    Fault(
        "lock_failed", "The lock does not close before the output is energised, or does not open after it.",
        "io_command.lock, io_report.locked", (), session.lock_failed,
        Effect(STOP, UNPLUG, "lock_command_time"), Effect(BLOCK, ITSELF, "unlock_command_time"), "ConnectorLockFailure", "Other", "CX001",
        f"The connector does not lock or does not come free. Press it in firmly and try again. {CALL}",
        "Check the lock's motor, its feedback and the connector's latch; look for a cable under tension.",
    ),
    Fault(
        "plug_lost", "The plug is out while the output is energised.", "io_report.plugged", (), seen.plug_lost,
        Effect(EMERGENCY, OPERATOR), None, "ConnectorLockFailure", "EVDisconnected", "CX025",
        f"The connector came off under power. Do not touch it. {CALL}",
        "Check latch, lock and cable for damage, then the proximity circuit.",
    ),
    Fault(
        "proximity_fault", "The proximity circuit is outside its bands.", "io_report.proximity_fault", (), seen.proximity_fault,
        Effect(EMERGENCY, UNPLUG, "contact_time"), Effect(BLOCK, ITSELF, "proximity_time"), "OtherError", "Other", "CX023",
        "The connector is not seated well. Please unplug and plug in again firmly.",
        "Measure the proximity resistors of the connector; clean the pins.",
    ),
    Fault(
        "connector_over_temperature", "A contact of the connector is too hot.", "io_report.connector_temperature",
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
        "enclosure_over_temperature", "The cabinet is too hot.", "power_report.enclosure_temperature",
        ("enclosure_temperature_limit", "temperature_hysteresis"), seen.enclosure_over_temperature,
        Effect(STOP, ITSELF, "temperature_time"), Effect(BLOCK, ITSELF, "temperature_time"), "HighTemperature", "Other", "CX003",
        "This charger is too hot. Please try again later or use another one.",
        "Check fans, filters and ambient temperature.",
    ),
    Fault(
        "module_refused", "The power modules withdrew their permission while charging.", "power_report.enabled", (), seen.module_refused,
        Effect(EMERGENCY, UNPLUG, "module_refusal_time"), None, "InternalError", "Other", "",
        ENDED,
        "Read the modules' own fault memory.",
    ),
)  # fmt: skip
