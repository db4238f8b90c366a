"""The fault table: one row per fault drives the safety monitor, docs/faults.md and the tests.

A fault may act differently while power may flow (states of the permit) and otherwise. Raised means: its condition held for the debounce time.
MREC codes are those of the ChargeX consortium (inl.gov/chargex/mrec), OCPP codes those of OCPP 1.6 StatusNotification and the reasons of OCPP 2.0.1.
What a row is made of is in fault.py, the rows by subject in fault_rows_*.py, what they see in fault_conditions*.py.
"""

from dataclasses import fields

from evse_core.fault import Effect, Fault, Reset
from evse_core.fault_rows_ac import AC
from evse_core.fault_rows_cabinet import CABINET
from evse_core.fault_rows_cable import CABLE
from evse_core.fault_rows_hardware import HARDWARE
from evse_core.fault_rows_links import LINKS
from evse_core.fault_rows_output import OUTPUT
from evse_core.fault_rows_system import SYSTEM
from evse_core.fault_rows_vehicle import VEHICLE
from evse_core.parameter import Parameter
from evse_core.safety_config import SafetyConfig

__all__ = ["BY_NAME", "FAULTS", "Effect", "Fault", "Reset", "faults_markdown"]

FAULTS: tuple[Fault, ...] = (*OUTPUT, *AC, *HARDWARE, *CABLE, *CABINET, *LINKS, *VEHICLE, *SYSTEM)
BY_NAME = {fault.name: fault for fault in FAULTS}

_HEAD = """# Faults

Generated from the fault table in `evse_core/fault_rows_*.py` by `./station docs`. `safety_monitor` raises a fault when its condition has held for the
debounce time. What it does depends on whether power may flow (energised: LOCKING to RAMPING_DOWN) or not (idle: all other states).

- **EMERGENCY**: the permit is withdrawn, power is cut at once. **STOP**: the session ends in an orderly way. **BLOCK**: no new session.
  **WARN**: reported only.
- Cleared once the condition is gone: by **itself** after {recovery:g} s, on **unplug**, or by an **operator** (`reset_faults`), who clears the
  others, too. What ends a session is not cleared while power may flow.
- A stale input counts as the worst case: what it hides is neither raised nor cleared, there is no permit without it, and its silence is a fault of its own.
- MREC: minimum required error codes of the ChargeX consortium. OCPP 1.6: error code of StatusNotification. OCPP 2.0.1: reason with which a transaction
  ends (`stoppedReason`); a fault that ends none has the reason that it would have.
"""


def faults_markdown() -> str:
    """Return docs/faults.md."""
    rows = "\n".join(_row(fault) for fault in FAULTS)
    table = "| fault | energised | idle | OCPP 1.6 | OCPP 2.0.1 | MREC |\n|---|---|---|---|---|---|\n"
    details = "\n".join(_section(fault) for fault in FAULTS)
    return f"{_HEAD.format(recovery=_default('recovery_time'))}\n{table}{rows}\n\n{details}"


def _row(fault: Fault) -> str:
    codes = f"{fault.ocpp16} | {fault.ocpp20} | {fault.mrec or '-'}"
    return f"| [{fault.name}](#{fault.name}) | {_effect(fault.energised)} | {_effect(fault.idle)} | {codes} |"


def _effect(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    time = f"after {_default(effect.debounce):g} s" if effect.debounce and _default(effect.debounce) else "at once"
    return f"{effect.reaction.name} {time}, cleared {_CLEARED[effect.reset]}"


_CLEARED = {Reset.ITSELF: "by itself", Reset.UNPLUG: "on unplug", Reset.OPERATOR: "by operator"}


def _section(fault: Fault) -> str:
    lines = [f"## {fault.name}", "", fault.meaning, "", f"- Seen in: {fault.source}"]
    lines += [f"- Only with vehicle link {' or '.join(sorted(fault.links))}"] if len(fault.links) == 1 else []
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
