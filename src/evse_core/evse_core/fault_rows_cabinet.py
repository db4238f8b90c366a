"""Rows of the fault table about a cabinet of power modules that several EVSEs share."""

from evse_core import fault_conditions_cabinet as cabinet
from evse_core.fault import BLOCK, CALL, EMERGENCY, ITSELF, OPERATOR, SILENCE, STOP, WARN, Effect, Fault

CABINET: tuple[Fault, ...] = (
    Fault(
        "outlets_connected", "A module of the cabinet connects this EVSE with another one.", "cabinet_report.bridged", (), cabinet.outlets_connected,
        Effect(EMERGENCY, OPERATOR), Effect(EMERGENCY, OPERATOR), "PowerSwitchFailure", "Other", "CX017",
        f"This charger is out of order. Do not pull the connector. {CALL}",
        "Disconnect the cabinet, measure the contacts of the named module, exchange its switches, then call reset_modules and reset_faults.",
    ),
    Fault(
        "module_switch_stuck", "A switch of the cabinet is not as it is commanded: its module is taken out and no other switch of it closes.",
        "cabinet_report.stuck", (), cabinet.module_switch_stuck,
        Effect(WARN, OPERATOR), Effect(WARN, OPERATOR), "PowerSwitchFailure", "Other", "CX017",
        "",
        "Check coil, contacts and feedback of the named switch, then call reset_modules of module_allocator and reset_faults.",
    ),
    Fault(
        "module_lost", "A module of the cabinet is silent or does not work; the others go on with less.", "cabinet_report.lost", (), cabinet.module_lost,
        Effect(WARN, ITSELF, "module_failure_time"), Effect(WARN, ITSELF, "module_failure_time"), "InternalError", "Other", "",
        "",
        "Read the fault memory of the named module; exchange it.",
    ),
    Fault(
        "cabinet_silent", "Nobody tells how the switches of the cabinet stand: the cabinet's bus or module_allocator is silent.", "cabinet_report.age",
        ("cabinet_timeout", "has_cabinet"), cabinet.cabinet_silent,
        Effect(STOP, ITSELF, "cabinet_time"), Effect(BLOCK, ITSELF, "idle_silence"), "InternalError", "Other", "",
        SILENCE,
        "Check supply and bus of the cabinet, and that module_allocator runs. Until it is heard no switch moves.",
    ),
)  # fmt: skip
