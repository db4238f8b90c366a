"""What is news about a charging session: which inputs the sequence must not wait for, which states others want to know at once, and its diagnosis."""

from dataclasses import fields
from enum import IntEnum
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from evse_core.types import ChargeState, SessionState

ATTENTION = frozenset({ChargeState.EMERGENCY, ChargeState.FAULTED, ChargeState.RECOVERING})


def flags(value: Any) -> tuple[Any, ...]:
    """Return what must not wait for the next period: flags, counters, and whether the vehicle asks for current at all."""
    found = [getattr(value, item.name) for item in fields(value) if isinstance(getattr(value, item.name), (bool, int, IntEnum))]
    return (*found, getattr(value, "current_request", 0.0) > 0.0)


def essence(state: SessionState) -> tuple[Any, ...]:
    """Return what others want to know at once."""
    return state.state, state.step, state.session_id, state.session_active, state.transaction_active, state.token, state.available


def diagnosis(name: str, state: SessionState, reason: str) -> DiagnosticStatus:
    """Return the state as ROS tools show it; reason is why it was entered."""
    level = DiagnosticStatus.ERROR if state.state in ATTENTION else DiagnosticStatus.OK
    text = {
        "reason": reason,
        "step": state.step,
        "session": state.session_id,
        "stop_cause": state.stop_cause.name,
        "stop_detail": state.stop_detail,
        "discharge_refusal": state.discharge_refusal,
    }
    values = [KeyValue(key=key, value=str(value)) for key, value in text.items()]
    return DiagnosticStatus(level=level, name=name, message=state.state.name, values=values)
