"""The fault table: one row per fault drives the safety monitor, docs/faults.md and the tests.

A fault may act differently while power may flow (states of the permit) and otherwise. Raised means: its condition held for the debounce time.
MREC codes are those of the ChargeX consortium (inl.gov/chargex/mrec), OCPP codes those of OCPP 1.6 StatusNotification.
"""

from dataclasses import dataclass, fields
from enum import IntEnum

from evse_core import fault_conditions as seen
from evse_core.fault_conditions import Condition
from evse_core.parameter import Parameter
from evse_core.safety_config import SafetyConfig
from evse_core.types import Reaction


class Reset(IntEnum):
    """What clears a fault once its condition is gone, the stricter the higher. An operator clears any."""

    ITSELF = 1
    UNPLUG = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does: its reaction, how it is cleared, and the field of SafetyConfig with its debounce time ("" at once)."""

    reaction: Reaction
    reset: Reset
    debounce: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `energised` holds in the states of the permit, `idle` in all others; None where the fault cannot be there."""

    name: str
    meaning: str
    source: str
    limits: tuple[str, ...]
    condition: Condition
    energised: Effect | None
    idle: Effect | None
    ocpp16: str
    mrec: str
    driver: str
    technician: str


_WARN, _BLOCK, _STOP, _EMERGENCY = Reaction.WARN, Reaction.BLOCK, Reaction.STOP, Reaction.EMERGENCY
_ITSELF, _UNPLUG, _OPERATOR = Reset.ITSELF, Reset.UNPLUG, Reset.OPERATOR
_CALL = "Please call the operator."
_OTHER = "Charging ended for safety. Please unplug and try again or use another charger."
_SILENCE = "This charger lost contact with one of its parts. Please use another charger."

FAULTS: tuple[Fault, ...] = (
    Fault(
        "emergency_stop", "The emergency stop chain is open, or the service emergency_stop was called.",
        "io_report.emergency_stop; service", (), seen.emergency_stop,
        Effect(_EMERGENCY, _OPERATOR), Effect(_EMERGENCY, _OPERATOR), "OtherError", "CX008",
        f"Emergency stop. Keep away from the cable. {_CALL}",
        "Find out why it was pressed, release the button, check the 20 mA loop, then call reset_faults.",
    ),
    Fault(
        "door_open", "The cabinet door is open.", "io_report.door_open", (), seen.door_open,
        Effect(_EMERGENCY, _OPERATOR, "door_time"), Effect(_BLOCK, _ITSELF, "door_time"), "OtherError", "",
        f"This charger is being serviced. {_CALL}",
        "Close the door; check the door contact and its wiring.",
    ),
    Fault(
        "earth_lost", "The protective conductor is interrupted.", "io_report.earth_ok", (), seen.earth_lost,
        Effect(_EMERGENCY, _OPERATOR, "contact_time"), Effect(_BLOCK, _OPERATOR, "contact_time"), "GroundFailure", "CX002",
        f"This charger has an earthing fault. Do not touch it. {_CALL}",
        "Measure the protective conductor from supply to connector before anything else.",
    ),
    Fault(
        "residual_current", "The residual current device has tripped.", "io_report.residual_current_trip", (), seen.residual_current,
        Effect(_EMERGENCY, _OPERATOR), Effect(_BLOCK, _OPERATOR), "GroundFailure", "CX002",
        f"This charger has an earth fault. Do not touch it. {_CALL}",
        "Find the leakage on the supply side, then re-arm the residual current device.",
    ),
    Fault(
        "insulation_fault", "Insulation of the output is too low, or no monitor reports, while charging.",
        "power_report.insulation_resistance, io_report.insulation_resistance", ("insulation_fault_limit",), seen.insulation_fault,
        Effect(_EMERGENCY, _OPERATOR, "insulation_time"), None, "GroundFailure", "CX022",
        f"An insulation fault was found in the vehicle, the cable or this charger. {_CALL}",
        "Repeat the insulation test without a vehicle, then with another one: this tells station and vehicle apart.",
    ),
    Fault(
        "insulation_warning", "Insulation of the output is lower than it should be while charging.",
        "power_report.insulation_resistance, io_report.insulation_resistance", ("insulation_warning_limit",), seen.insulation_warning,
        Effect(_WARN, _ITSELF, "insulation_time"), None, "OtherError", "CX022",
        "",
        "Look for moisture in connector and cable; compare vehicles.",
    ),
    Fault(
        "over_voltage_emergency", "The output is above the emergency trip of the rating (500 V: 550 V, 750: 825, 850: 935, 1000: 1100, above: 1375).",
        "power_report.voltage, io_report.connector_voltage", ("max_voltage",), seen.over_voltage_emergency,
        Effect(_EMERGENCY, _OPERATOR), Effect(_EMERGENCY, _OPERATOR), "OverVoltage", "CX005",
        f"Charging ended for safety. {_CALL}",
        "Do not put back into service before the modules' voltage control and both voltage sensors are checked.",
    ),
    Fault(
        "over_voltage", "The vehicle's battery gets more voltage than it allows.",
        "io_report.connector_voltage or power_report.voltage against vehicle_report.max_voltage", ("over_voltage_tolerance",), seen.over_voltage,
        Effect(_EMERGENCY, _OPERATOR, "over_voltage_time"), None, "OverVoltage", "CX005",
        _OTHER,
        "Compare the modules' voltage with a reference; look at the vehicle's limits in the recording.",
    ),
    Fault(
        "over_current", "More current flows than command and vehicle explain, ramps and delays allowed for.",
        "power_report.current against power_command.current and vehicle_report.current_request",
        ("current_tolerance", "current_tolerance_percent", "current_ramp", "current_delay", "max_current"), seen.over_current,
        Effect(_EMERGENCY, _OPERATOR, "over_current_time"), None, "OverCurrentFailure", "CX004",
        _OTHER,
        "Check current control and current sensor of the modules.",
    ),
    Fault(
        "reverse_current", "Current flows out of the vehicle.", "power_report.current", ("current_tolerance",), seen.reverse_current,
        Effect(_EMERGENCY, _OPERATOR, "over_current_time"), None, "OtherError", "",
        _OTHER,
        "Check the output diode and the sign of the current sensor.",
    ),
    Fault(
        "current_without_session", "Current flows although nobody may draw any.", "power_report.current", ("current_tolerance",),
        seen.current_without_session,
        None, Effect(_EMERGENCY, _OPERATOR, "idle_current_time"), "PowerSwitchFailure", "",
        f"This charger is out of order. {_CALL}",
        "Check that the modules obey the power function off, and the zero of the current sensor.",
    ),
    Fault(
        "voltage_on_unlocked_connector", "A dangerous voltage is at a connector that is not locked.",
        "io_report.connector_voltage, io_report.locked", ("touch_voltage",), seen.voltage_on_unlocked_connector,
        Effect(_EMERGENCY, _OPERATOR, "touch_time"), Effect(_EMERGENCY, _OPERATOR, "touch_time"), "OtherError", "CX024",
        f"Do not touch the connector. {_CALL}",
        "Measure the connector; check contactor, discharge of the output and lock feedback.",
    ),
    Fault(
        "voltage_spread", "Two sensors of the same voltage disagree under current.",
        "power_report.voltage, io_report.connector_voltage", ("spread_voltage",), seen.voltage_spread,
        Effect(_STOP, _OPERATOR, "spread_time"), None, "OtherError", "",
        _OTHER,
        "Compare both sensors with a reference; look for a bad contact in the output path.",
    ),
    Fault(
        "contactor_stuck_open", "The output contactor does not close, or opened by itself.",
        "io_command.close_contactor, io_report.contactor_closed", (), seen.contactor_stuck_open,
        Effect(_EMERGENCY, _OPERATOR, "contactor_time"), None, "PowerSwitchFailure", "CX017",
        _OTHER,
        "Check coil supply, interlock and feedback contact of the output contactor.",
    ),
    Fault(
        "contactor_welded", "The output contactor reports closed although it is told to open.",
        "io_command.close_contactor, can_status.power_allowed, io_report.contactor_closed", (), seen.contactor_welded,
        Effect(_EMERGENCY, _OPERATOR, "contactor_time"), Effect(_EMERGENCY, _OPERATOR, "contactor_time"), "PowerSwitchFailure", "CX017",
        f"This charger is out of order. Do not pull the connector. {_CALL}",
        "Disconnect the supply, measure the contactor's contacts, replace it.",
    ),
    Fault(
        "vehicle_contactor_welded", "The vehicle's battery stays at the connector although the vehicle had to open its contactor.",
        "io_report.connector_voltage, io_report.contactor_closed, session_state.state", ("touch_voltage",), seen.vehicle_contactor_welded,
        None, Effect(_BLOCK, _UNPLUG, "vehicle_contactor_time"), "OtherError", "CX016",
        f"The vehicle keeps the connector under voltage. Do not pull or touch it. {_CALL}",
        "Measure the connector; let the vehicle's maker isolate the battery; unlock only once the voltage is gone. Check our contactor, too.",
    ),
    Fault(
        "lock_lost", "The connector is not locked while the output is energised.", "io_report.locked", (), seen.lock_lost,
        Effect(_EMERGENCY, _UNPLUG, "lock_time"), None, "ConnectorLockFailure", "CX001",
        "The connector was not locked. Please unplug, plug in again firmly and start again.",
        "Check the lock's solenoid, its feedback and the connector's latch.",
    ),
    Fault(
        "plug_lost", "The plug is out while the output is energised.", "io_report.plugged", (), seen.plug_lost,
        Effect(_EMERGENCY, _OPERATOR), None, "ConnectorLockFailure", "CX025",
        f"The connector came off under power. Do not touch it. {_CALL}",
        "Check latch, lock and cable for damage, then the proximity circuit.",
    ),
    Fault(
        "proximity_fault", "The proximity circuit is outside its bands.", "io_report.proximity_fault", (), seen.proximity_fault,
        Effect(_EMERGENCY, _UNPLUG, "contact_time"), Effect(_BLOCK, _ITSELF, "proximity_time"), "OtherError", "CX023",
        "The connector is not seated well. Please unplug and plug in again firmly.",
        "Measure the proximity resistors of the connector; clean the pins.",
    ),
    Fault(
        "connector_over_temperature", "A contact of the connector is too hot.", "io_report.connector_temperature",
        ("connector_temperature_limit", "temperature_hysteresis"), seen.connector_over_temperature,
        Effect(_STOP, _ITSELF, "temperature_time"), Effect(_BLOCK, _ITSELF, "temperature_time"), "HighTemperature", "CX019",
        "The connector is too hot. Please let it cool down.",
        "Check the contacts for wear and the crimps of the cable.",
    ),
    Fault(
        "module_over_temperature", "A power module is too hot.", "power_report.module_temperature",
        ("module_temperature_limit", "temperature_hysteresis"), seen.module_over_temperature,
        Effect(_STOP, _ITSELF, "temperature_time"), Effect(_BLOCK, _ITSELF, "temperature_time"), "HighTemperature", "CX003",
        "This charger is too hot. Please try again later or use another one.",
        "Check fans and filters.",
    ),
    Fault(
        "enclosure_over_temperature", "The cabinet is too hot.", "power_report.enclosure_temperature",
        ("enclosure_temperature_limit", "temperature_hysteresis"), seen.enclosure_over_temperature,
        Effect(_STOP, _ITSELF, "temperature_time"), Effect(_BLOCK, _ITSELF, "temperature_time"), "HighTemperature", "CX003",
        "This charger is too hot. Please try again later or use another one.",
        "Check fans, filters and ambient temperature.",
    ),
    Fault(
        "module_refused", "The power modules withdrew their permission while charging.", "power_report.enabled", (), seen.module_refused,
        Effect(_EMERGENCY, _UNPLUG, "module_refusal_time"), None, "InternalError", "",
        _OTHER,
        "Read the modules' own fault memory.",
    ),
    Fault(
        "vehicle_silent", "The vehicle stopped sending.", "vehicle_report.age", ("vehicle_timeout",), seen.vehicle_silent,
        Effect(_EMERGENCY, _UNPLUG), None, "EVCommunicationError", "",
        "The vehicle stopped answering. Please unplug, plug in again and start again.",
        "Check the CAN wires of the cable; compare vehicles.",
    ),
    Fault(
        "power_modules_silent", "The power modules stopped sending.", "power_report.age", ("modules_timeout",), seen.power_modules_silent,
        Effect(_EMERGENCY, _UNPLUG), None, "InternalError", "",
        _SILENCE,
        "Check supply and bus of the power modules.",
    ),
    Fault(
        "io_board_silent", "The I/O board stopped sending.", "io_report.age", ("io_timeout",), seen.io_board_silent,
        Effect(_EMERGENCY, _UNPLUG), Effect(_BLOCK, _ITSELF, "idle_silence"), "InternalError", "",
        _SILENCE,
        "Check supply and bus of the I/O board.",
    ),
    Fault(
        "can_bridge_silent", "The node can_bridge does not report.", "age of can_status", ("bridge_timeout",), seen.can_bridge_silent,
        Effect(_EMERGENCY, _UNPLUG), Effect(_BLOCK, _ITSELF, "idle_silence"), "InternalError", "",
        _SILENCE,
        "Look for the node's end in the log; check the load of the computer.",
    ),
    Fault(
        "charge_sequencer_silent", "The node charge_sequencer does not command or report.",
        "age of power_command, io_command, session_state", ("command_timeout", "session_timeout"), seen.charge_sequencer_silent,
        Effect(_EMERGENCY, _UNPLUG), Effect(_BLOCK, _ITSELF, "idle_silence"), "InternalError", "",
        _SILENCE,
        "Look for the node's end in the log; check the load of the computer.",
    ),
    Fault(
        "meter_silent", "The energy meter does not report or cannot measure.", "age of meter_reading, meter_reading.healthy",
        ("meter_timeout",), seen.meter_silent,
        Effect(_STOP, _UNPLUG, "meter_session_time"), Effect(_BLOCK, _ITSELF, "idle_silence"), "PowerMeterFailure", "",
        _SILENCE,
        "Look for the end of energy_meter in the log; check free space and health of the disk.",
    ),
    Fault(
        "meter_session_lost", "The energy meter does not count for the session that charges.",
        "meter_reading.session_id, session_state.session_id", (), seen.meter_session_lost,
        Effect(_STOP, _UNPLUG, "meter_session_time"), None, "PowerMeterFailure", "",
        _OTHER,
        "energy_meter was restarted during the session; the record up to then is kept as INTERRUPTED.",
    ),
    Fault(
        "bus_off", "A CAN bus cannot be used.", "can_status.buses", (), seen.bus_off,
        Effect(_EMERGENCY, _UNPLUG, "bus_time"), Effect(_BLOCK, _ITSELF, "idle_silence"), "InternalError", "",
        _SILENCE,
        "Check the wiring, the termination and the bit rate of the bus named.",
    ),
    Fault(
        "bus_error", "A CAN bus works with errors.", "can_status.buses", (), seen.bus_error,
        Effect(_WARN, _ITSELF, "bus_time"), Effect(_WARN, _ITSELF, "bus_time"), "OtherError", "",
        "",
        "Check the wiring, the termination and the bit rate of the bus named.",
    ),
    Fault(
        "vehicle_fault", "The vehicle reports a fault. The sequence ends by itself.", "vehicle_report fault flags", (), seen.vehicle_fault,
        Effect(_WARN, _UNPLUG, "vehicle_fault_time"), None, "OtherError", "",
        "The vehicle reported a fault. See the vehicle's display.",
        "The flags name the cause as the vehicle sees it (CHAdeMO 102.4, 102.5).",
    ),
    Fault(
        "vehicle_stop_not_followed", "Current flows on although the vehicle withdrew its permission.",
        "vehicle_report, io_report.permission, power_report.current", ("current_tolerance",), seen.vehicle_stop_not_followed,
        Effect(_EMERGENCY, _OPERATOR, "vehicle_stop_time"), None, "InternalError", "",
        _OTHER,
        "Look into the recording: who commanded current after the vehicle's stop?",
    ),
    Fault(
        "stop_not_followed", "A fault told the sequence to stop and it did not.", "session_state.state", (), seen.stop_not_followed,
        Effect(_EMERGENCY, _OPERATOR, "stop_time"), None, "InternalError", "",
        _OTHER,
        "Look into the recording: what kept the sequence from ramping down?",
    ),
    Fault(
        "power_cut", "can_bridge has cut power by itself.", "can_status.power_allowed", (), seen.power_cut,
        Effect(_STOP, _UNPLUG, "permission_time"), None, "InternalError", "",
        _OTHER,
        "A permit or command came late: check the load of the computer and the log of can_bridge.",
    ),
)  # fmt: skip

BY_NAME = {fault.name: fault for fault in FAULTS}

_HEAD = """# Faults

Generated from the fault table in `evse_core/fault_table.py` by `./station docs`. `safety_monitor` raises a fault when its condition has held for the
debounce time. What it does depends on whether power may flow (energised: LOCKING to RAMPING_DOWN) or not (idle: all other states).

- **EMERGENCY**: the permit is withdrawn, power is cut at once. **STOP**: the session ends in an orderly way. **BLOCK**: no new session.
  **WARN**: reported only.
- Cleared once the condition is gone: by **itself** after {recovery:g} s, on **unplug**, or by an **operator** (`reset_faults`), who clears the
  others, too. What ends a session is not cleared while power may flow.
- A stale input counts as the worst case: what it hides is neither raised nor cleared, there is no permit without it, and its silence is a fault of its own.
- MREC: minimum required error codes of the ChargeX consortium. OCPP: error codes of OCPP 1.6.
"""


def faults_markdown() -> str:
    """Return docs/faults.md."""
    rows = "\n".join(_row(fault) for fault in FAULTS)
    table = "| fault | energised | idle | OCPP 1.6 | MREC |\n|---|---|---|---|---|\n"
    details = "\n".join(_section(fault) for fault in FAULTS)
    return f"{_HEAD.format(recovery=_default('recovery_time'))}\n{table}{rows}\n\n{details}"


def _row(fault: Fault) -> str:
    return f"| [{fault.name}](#{fault.name}) | {_effect(fault.energised)} | {_effect(fault.idle)} | {fault.ocpp16} | {fault.mrec or '-'} |"


def _effect(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    time = f"after {_default(effect.debounce):g} s" if effect.debounce and _default(effect.debounce) else "at once"
    return f"{effect.reaction.name} {time}, cleared {_CLEARED[effect.reset]}"


_CLEARED = {Reset.ITSELF: "by itself", Reset.UNPLUG: "on unplug", Reset.OPERATOR: "by operator"}


def _section(fault: Fault) -> str:
    lines = [f"## {fault.name}", "", fault.meaning, "", f"- Seen in: {fault.source}"]
    lines += [f"- Parameter `{name}`: {_parameter_text(name)}" for name in _parameters(fault)]
    lines += [f"- Driver: {fault.driver or '(nothing)'}", f"- Technician: {fault.technician}", ""]
    return "\n".join(lines)


def _parameters(fault: Fault) -> list[str]:
    """Return the fields of SafetyConfig that a row depends on, each once."""
    debounces = [effect.debounce for effect in (fault.energised, fault.idle) if effect and effect.debounce]
    return list(dict.fromkeys((*fault.limits, *debounces)))


def _parameter_text(name: str) -> str:
    info = _info(name)
    return f"{_default(name):g} {info.unit}. {info.text} ({info.source})"


def _info(name: str) -> Parameter:
    found: Parameter = next(item.metadata["parameter"] for item in fields(SafetyConfig) if item.name == name)
    return found


def _default(name: str) -> float:
    return float(getattr(SafetyConfig(), name))
