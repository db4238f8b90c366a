"""An EVSE without an EVSE: plays the sequence, monitor and meter of one for the uplink's tests, over ROS or by plain calls."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evse_core.types import (
    ChargeRecord,
    ChargeState,
    FaultEvent,
    MeterReading,
    Reaction,
    RecordStatus,
    SafetyState,
    SessionState,
    StopCause,
)

# Short waits, so that a test takes seconds.
FAST = {
    "back_off_wait_minimum": 0.3,
    "back_off_random_range": 0.1,
    "back_off_repeat_times": 1,
    "message_timeout": 2.0,
    "authorize_timeout": 3.0,
}
FAST |= {"transaction_message_retry_interval": 1, "boot_retry_interval": 1.0, "charge_point_id": "EVSE-1"}


def wait_for(condition: Callable[[], Any], what: str, limit: float = 20.0) -> Any:
    """Return what the condition returns once that is true."""
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.02)
    return found


class FakeEvse:
    """The values of one EVSE, what it has heard and what it was asked."""

    def __init__(self, number: int, publish: Callable[[str, Any], None]) -> None:
        self.number = number
        self.session = SessionState(state=ChargeState.AVAILABLE, available=True)
        self.safety = SafetyState(permit=False, reaction=Reaction.NONE)
        self.meter = MeterReading(register_wh=1000.0, voltage=400.0, current=100.0, power=40000.0, healthy=True)
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.requests: list[Any] = []
        self.willing = True
        self._publish = publish

    def tick(self) -> None:
        self._publish("session_state", self.session)
        self._publish("safety_state", self.safety)
        self._publish("meter_reading", replace(self.meter, stamp=time.time()))

    def go(self, state: ChargeState, **changes: Any) -> None:
        """Take a state of the sequence."""
        self.session = replace(self.session, state=state, **changes)
        self.tick()

    def record(self, record: ChargeRecord) -> None:
        """Publish a record as it is."""
        self._publish("charge_record", record)

    def raise_fault(self, fault: FaultEvent) -> None:
        self._publish("fault_event", fault)
        self.safety = SafetyState(reaction=fault.reaction, faults=(fault.fault,), first_fault=fault.fault, detail=fault.detail)

    def begin(self, session_id: str, token: str = "ABC", register: float = 1000.25) -> ChargeRecord:
        """Begin a session and its transaction."""
        record = ChargeRecord(
            status=RecordStatus.OPEN, session_id=session_id, evse_id=self.number, token=token, begin=time.time(), begin_register_wh=register
        )
        self.meter = replace(self.meter, session_id=session_id, register_wh=register)
        self._publish("charge_record", record)
        self.go(ChargeState.CHARGING, session_id=session_id, token=token, session_active=True, transaction_active=True)
        return record

    def finish(self, record: ChargeRecord, energy: float, cause: StopCause = StopCause.LOCAL) -> ChargeRecord:
        """End the session with this energy [Wh]."""
        closed = replace(
            record, status=RecordStatus.CLOSED, end=time.time(), end_register_wh=record.begin_register_wh + energy, stop_cause=cause
        )
        self._publish("charge_record", closed)
        self.meter = replace(self.meter, session_id="", register_wh=closed.end_register_wh)
        self.go(ChargeState.FINISHED, session_active=False, transaction_active=False, stop_cause=cause)
        return closed
