"""Rows of the fault table about who is silent, the meter, the buses and the clock."""

from evse_core import fault_conditions as seen
from evse_core import fault_conditions_trends as trends
from evse_core import fault_conditions_vehicle as vehicle
from evse_core.fault import BLOCK, CHADEMO, DC, EMERGENCY, ENDED, ITSELF, SECC, SILENCE, STOP, UNPLUG, WARN, Effect, Fault

LINKS: tuple[Fault, ...] = (
    Fault(
        "vehicle_silent", "The vehicle stopped sending.", "vehicle_report.age", ("vehicle_timeout",), seen.vehicle_silent,
        Effect(EMERGENCY, UNPLUG), None, "EVCommunicationError", "Other", "",
        "The vehicle stopped answering. Please unplug, plug in again and start again.",
        "Check the CAN wires of the cable; compare vehicles.",
        CHADEMO,
    ),
    Fault(
        "controller_silent", "The charge controller (SECC) stopped sending.", "vehicle_report.age", ("controller_timeout",), vehicle.controller_silent,
        Effect(EMERGENCY, UNPLUG), Effect(BLOCK, ITSELF, "idle_silence"), "EVCommunicationError", "Other", "",
        SILENCE,
        "Check supply and bus of the charge controller, and the pistol index in its settings and in can_bridge.controller_pistol.",
        SECC,
    ),
    Fault(
        "controller_emergency", "The charge controller (SECC) tells an emergency stop.", "vehicle_report.controller.emergency", (),
        vehicle.controller_emergency,
        Effect(EMERGENCY, UNPLUG), Effect(BLOCK, ITSELF), "OtherError", "EmergencyStop", "",
        ENDED,
        "Origin VEHICLE: read the vehicle's faults. Origin STATION: check the controller's interlock line and its own fault memory.",
        SECC,
    ),
    Fault(
        "controller_outdated", "The charge controller (SECC) speaks an interface that is not served: v3.0 or older.",
        "vehicle_report.controller.interface_version", (), vehicle.controller_outdated,
        None, Effect(BLOCK, ITSELF), "InternalError", "Other", "",
        SILENCE,
        "Update the controller's software: its identifiers are 0x680xx, v3.1 and later have 0x6Bxxx.",
        SECC,
    ),
    Fault(
        "power_modules_silent", "The power modules stopped sending.", "power_report.age", ("modules_timeout",), seen.power_modules_silent,
        Effect(EMERGENCY, UNPLUG), None, "InternalError", "Other", "",
        SILENCE,
        "Check supply and bus of the power modules.",
        DC,
    ),
    Fault(
        "io_board_silent", "The I/O board stopped sending.", "io_report.age", ("io_timeout",), seen.io_board_silent,
        Effect(EMERGENCY, UNPLUG), Effect(BLOCK, ITSELF, "idle_silence"), "InternalError", "Other", "",
        SILENCE,
        "Check supply and bus of the I/O board.",
    ),
    Fault(
        "can_bridge_silent", "The node can_bridge does not report.", "age of can_status", ("bridge_timeout",), seen.can_bridge_silent,
        Effect(EMERGENCY, UNPLUG), Effect(BLOCK, ITSELF, "idle_silence"), "InternalError", "Other", "",
        SILENCE,
        "Look for the node's end in the log; check the load of the computer.",
    ),
    Fault(
        "charge_sequencer_silent", "The node charge_sequencer does not command or report.",
        "age of power_command, io_command, session_state", ("command_timeout", "session_timeout"), seen.charge_sequencer_silent,
        Effect(EMERGENCY, UNPLUG), Effect(BLOCK, ITSELF, "idle_silence"), "InternalError", "Other", "",
        SILENCE,
        "Look for the node's end in the log; check the load of the computer.",
    ),
    Fault(
        "meter_silent", "The energy meter does not report or cannot measure.", "age of meter_reading, meter_reading.healthy and .meter_status",
        ("meter_timeout",), seen.meter_silent,
        Effect(STOP, UNPLUG, "meter_session_time"), Effect(BLOCK, ITSELF, "idle_silence"), "PowerMeterFailure", "Other", "",
        SILENCE,
        "meter_reading.meter_detail says what the meter lacks (docs/meters.md); else look for the end of energy_meter in the log, and at the disk.",
    ),
    Fault(
        "meter_session_lost", "The energy meter does not count for the session that charges.",
        "meter_reading.session_id, session_state.session_id", (), seen.meter_session_lost,
        Effect(STOP, UNPLUG, "meter_session_time"), None, "PowerMeterFailure", "Other", "",
        ENDED,
        "energy_meter was restarted during the session; the record up to then is kept as INTERRUPTED.",
    ),
    Fault(
        "meter_runs_backwards", "The register of the energy meter fell.", "meter_reading.register_wh and .meter_status",
        ("register_tolerance",), trends.meter_runs_backwards,
        Effect(STOP, UNPLUG), Effect(WARN, ITSELF), "PowerMeterFailure", "Other", "",
        ENDED,
        "Compare the register with the last receipt: the meter was exchanged, lost what it had not stored, or is connected the wrong way round.",
    ),
    Fault(
        "meter_disagrees", "The energy meter and the power modules disagree about power or energy.",
        "meter_reading.power against power_report.voltage times power_report.current; meter_reading.session_energy_wh against .session_reference_wh",
        ("meter_tolerance", "meter_tolerance_percent", "meter_energy_tolerance", "meter_energy_tolerance_percent"), trends.meter_disagrees,
        Effect(STOP, UNPLUG, "meter_disagreement_time"), None, "PowerMeterFailure", "Other", "",
        ENDED,
        "Compare both with a reference; the sessions since the last check may be billed wrongly.",
    ),
    Fault(
        "bus_off", "A CAN bus cannot be used.", "can_status.buses", (), seen.bus_off,
        Effect(EMERGENCY, UNPLUG, "bus_time"), Effect(BLOCK, ITSELF, "idle_silence"), "InternalError", "Other", "",
        SILENCE,
        "Check the wiring, the termination and the bit rate of the bus named.",
    ),
    Fault(
        "bus_error", "A CAN bus works with errors.", "can_status.buses", (), seen.bus_error,
        Effect(WARN, ITSELF, "bus_time"), Effect(WARN, ITSELF, "bus_time"), "OtherError", "Other", "",
        "",
        "Check the wiring, the termination and the bit rate of the bus named.",
    ),
    Fault(
        "bus_error_rate", "Frames of a CAN bus are lost or spoiled too often.", "can_status.buses: errors, malformed, dropped",
        ("bus_error_limit",), trends.bus_error_rate,
        Effect(WARN, ITSELF, "bus_rate_time"), Effect(WARN, ITSELF, "bus_rate_time"), "OtherError", "Other", "",
        "",
        "Check the wiring, the termination and the screening of the bus named.",
    ),
    Fault(
        "bus_overload", "A CAN bus carries more than its devices send in order.", "can_status.buses: load, all frames",
        ("bus_load_limit", "bus_frame_limit"), trends.bus_overload,
        Effect(WARN, ITSELF, "bus_rate_time"), Effect(WARN, ITSELF, "bus_rate_time"), "OtherError", "Other", "",
        "",
        "Find the device that floods the bus named: record it and look at the identifiers.",
    ),
    Fault(
        "clock_jumped", "The clock of the machine was set.", "stamp of the node against its steady clock", ("clock_jump",), trends.clock_jumped,
        Effect(WARN, ITSELF), Effect(WARN, ITSELF), "OtherError", "Other", "",
        "",
        "Check the time source; times in receipts and recordings before and after do not fit together.",
    ),
)  # fmt: skip
