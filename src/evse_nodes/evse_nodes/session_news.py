"""The diagnosis of a charging session, as ROS tools show it."""

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from evse_core.types import ChargeState, SessionState

ATTENTION = frozenset({ChargeState.EMERGENCY, ChargeState.FAULTED, ChargeState.RECOVERING})


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
