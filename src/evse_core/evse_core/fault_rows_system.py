"""Rows of the fault table about the computer and the graph: nodes, disk, description, and the monitor's own memory."""

from evse_core import fault_conditions_system as system
from evse_core.fault import BLOCK, CALL, ITSELF, OPERATOR, STOP, WARN, Effect, Fault

SYSTEM: tuple[Fault, ...] = (
    Fault(
        "node_silent", "A node of the station that charging does not depend on has ended or stands still: ocpp_uplink, energy_manager, recorder.",
        "age of node_health", ("node_timeout",), system.node_silent,
        Effect(WARN, ITSELF, "idle_silence"), Effect(WARN, ITSELF, "idle_silence"), "OtherError", "Other", "",
        "",
        "Look for the node's end in its log. Without energy_manager the budget runs out and the EVSE falls back to safe_power; "
        "without ocpp_uplink only tokens that the station knows are accepted.",
    ),
    Fault(
        "node_restarting", "A node that charging depends on starts again and again: can_bridge, charge_sequencer, energy_meter.",
        "node_health.started", ("restart_limit", "restart_window"), system.node_restarting,
        Effect(STOP, ITSELF), Effect(BLOCK, ITSELF), "InternalError", "Other", "",
        "This charger has a fault and restarts itself. Please use another charger.",
        "Look for the reason of the node's ends in its log; check memory, disk and load of the computer.",
    ),
    Fault(
        "station_node_restarting", "Another node of the station starts again and again: ocpp_uplink, energy_manager, recorder.",
        "node_health.started", ("restart_limit", "restart_window"), system.station_node_restarting,
        Effect(WARN, ITSELF), Effect(WARN, ITSELF), "OtherError", "Other", "",
        "",
        "Look for the reason of the node's ends in its log.",
    ),
    Fault(
        "disk_low", "A disk that a node writes to is nearly full.", "node_health.free_space", ("disk_low_limit",), system.disk_low,
        Effect(WARN, ITSELF, "disk_time"), Effect(WARN, ITSELF, "disk_time"), "OtherError", "Other", "",
        "",
        "Delete or move recordings and logs, or lower recorder.keep. The recorder stops by itself before records of sessions lack room.",
    ),
    Fault(
        "disk_full", "The disk has no room for the records of another session.", "node_health.free_space of energy_meter and ocpp_uplink",
        ("disk_full_limit",), system.disk_full,
        Effect(BLOCK, ITSELF, "disk_time"), Effect(BLOCK, ITSELF, "disk_time"), "InternalError", "Other", "",
        "This charger is out of order. Please use another charger.",
        "Make room on the disk of data_dir; a session that runs goes on and its record has room.",
    ),
    Fault(
        "ledger_failed", "The energy meter cannot write its ledger or the audit trail: a session could be neither billed nor proved.",
        "node_health.failed_writes of energy_meter", (), system.ledger_failed,
        Effect(STOP, ITSELF), Effect(BLOCK, ITSELF), "PowerMeterFailure", "Other", "",
        "This charger cannot record charging. Please use another charger.",
        "Check room, permissions and health of the disk of data_dir; the record of the session stays open and is closed once the disk takes it.",
    ),
    Fault(
        "storage_failed", "A node other than the energy meter cannot write: messages to the CSMS, recordings, the monitor's memory, or the audit trail.",
        "node_health.failed_writes", (), system.storage_failed,
        Effect(WARN, ITSELF), Effect(WARN, ITSELF), "OtherError", "Other", "",
        "",
        "Check room, permissions and health of the disk. Messages to the CSMS are made again from the ledger.",
    ),
    Fault(
        "description_changed", "The description of the station is no longer the one that it was started with, or nodes have different ones.",
        "digest of the description's file, node_health.description", (), system.description_changed,
        Effect(BLOCK, ITSELF), Effect(BLOCK, ITSELF), "InternalError", "Other", "",
        "This charger is being serviced. Please use another charger.",
        "Restart the station, so that all of it has the new description, or put the old file back.",
    ),
    Fault(
        "latches_lost", "Which faults wait for an operator could not be read after a restart of safety_monitor.", "file of latched faults in data_dir",
        (), system.latches_lost,
        Effect(STOP, OPERATOR), Effect(BLOCK, OPERATOR), "InternalError", "Other", "",
        f"This charger is out of order. {CALL}",
        "Look into log and recording for the faults that held, check each of them, then call reset_faults.",
    ),
)  # fmt: skip
