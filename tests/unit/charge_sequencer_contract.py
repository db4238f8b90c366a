"""What must hold of the charging sequence's outputs, step by step: small, plain, and knowing only inputs and outputs."""

from math import inf, isfinite
from typing import Any

from charge_sequencer_rig import S

from evse_core.charge_sequencer import SequencerConfig, SequencerInputs, SequencerOutputs
from evse_core.types import PowerFunction, RecordStatus, RequestKind, StopCause, Verdict

ENERGISED = {S.CABLE_CHECK, S.LOWERING_OUTPUT, S.WAITING_FOR_CONTACTOR, S.WAITING_FOR_REQUEST, S.CHARGING, S.RAMPING_DOWN}
CURRENT = {PowerFunction.INSULATION_TEST: {S.CABLE_CHECK}, PowerFunction.POWER_TRANSFER: {S.CHARGING, S.RAMPING_DOWN}}
CHARGING_FLAG = {S.CHARGING, S.RAMPING_DOWN, S.EMERGENCY}
# Longest stay in a state [s]; a state that is not here waits for somebody.
LONGEST = {
    S.AUTHORIZING: 30.0,
    S.WAITING_FOR_VEHICLE: 8.0,
    S.WAITING_FOR_PERMISSION: 8.0,
    S.LOCKING: 5.0,
    S.CABLE_CHECK: 14.0,
    S.LOWERING_OUTPUT: 3.0,
    S.WAITING_FOR_CONTACTOR: 4.0,
    S.RAMPING_DOWN: 3.6,
    S.WELDING_DETECTION: 10.0,
    S.CLOSING: 5.0,
    S.UNLOCKING: 5.0,
    S.EMERGENCY: 2.0,
    S.RECOVERING: 10.0,
}


# Nothing is energised or announced in these, and no line to the vehicle is active.
IDLE = {S.AVAILABLE, S.PREPARING, S.UNAVAILABLE, S.AUTHORIZING, S.AUTHORIZED, S.FINISHED}


class Watch:
    """Checks each step against what must hold; knows only inputs and outputs."""

    def __init__(self, config: SequencerConfig) -> None:
        self.config = config
        self.before: SequencerOutputs | None = None
        self.entered = self.then = 0.0
        self.tested = False
        self.signal_2_fell = -inf
        self.cause = StopCause.NONE
        self.session = ""
        self.accepted: set[str] = set()

    def check(self, inputs: SequencerInputs, out: SequencerOutputs, now: float) -> None:
        before = self.before or out
        state = out.session.state
        if self.before is None or state is not before.session.state:
            self.entered = now
        self._energy(inputs, out)
        self._rise(before, out, now)
        self._lock(inputs, before, out)
        self._signals(before, out, now)
        self._session(before, out)
        self._contactor(inputs, before, out, now)
        self._authorised(inputs, before, out)
        self._idle(out)
        assert now - self.entered <= LONGEST.get(state, inf) + 0.11, state.name
        self.before, self.then = out, now

    def _energy(self, inputs: SequencerInputs, out: SequencerOutputs) -> None:
        state, power = out.session.state, out.power
        assert not out.io.close_contactor or state in ENERGISED
        assert power.function in {PowerFunction.OFF, PowerFunction.STANDBY} or state in CURRENT[power.function]
        assert isfinite(power.voltage)
        assert isfinite(power.current)
        assert 0.0 <= power.current <= self.config.max_current
        assert 0.0 <= power.voltage <= self.config.max_voltage
        assert not out.vehicle.charging or state in CHARGING_FLAG
        assert out.vehicle.stop_control is (state is not S.CHARGING)
        if power.function is PowerFunction.POWER_TRANSFER and power.current > 0.0:
            assert state is S.CHARGING
            assert inputs.vehicle is not None
            assert power.current <= inputs.vehicle.value.current_request
            assert inputs.safety is not None
            assert inputs.safety.value.permit

    def _rise(self, before: SequencerOutputs, out: SequencerOutputs, now: float) -> None:
        if out.session.state is S.CHARGING:
            assert out.power.current - before.power.current <= self.config.ramp_up * max(now - self.then, 0.0) + 1e-6

    def _lock(self, inputs: SequencerInputs, before: SequencerOutputs, out: SequencerOutputs) -> None:
        """A lock that reports closed, or that was told to close and is not known to be open, opens only with a dead output."""
        io = inputs.io.value if inputs.io is not None else None
        falls = before.io.lock and not out.io.lock and out.publish_commands
        if (falls or not out.io.lock) and io is not None and io.complete and io.locked and out.publish_commands and self._io_counts(inputs):
            voltage = io.connector_voltage
            if not isfinite(voltage) and io.contactor_closed and inputs.power is not None:
                voltage = inputs.power.value.voltage
            assert abs(voltage) <= 10.0
        if falls and before.publish_commands:
            assert io is not None

    def _io_counts(self, inputs: SequencerInputs) -> bool:
        return known(inputs.io, self.then, self.config.io_age)

    def _signals(self, before: SequencerOutputs, out: SequencerOutputs, now: float) -> None:
        if out.session.state is S.WAITING_FOR_VEHICLE:
            self.tested, self.signal_2_fell = False, -inf
        self.tested = self.tested or (before.session.state is S.LOWERING_OUTPUT and out.session.state is S.WAITING_FOR_CONTACTOR)
        assert self.tested or not out.io.sequence_2
        if before.io.sequence_2 and not out.io.sequence_2:
            self.signal_2_fell = now
        if before.io.sequence_1 and not out.io.sequence_1:
            assert not before.io.sequence_2
            assert now - self.signal_2_fell >= self.config.sequence_gap - 1e-6

    def _session(self, before: SequencerOutputs, out: SequencerOutputs) -> None:
        session = out.session
        if session.session_id != self.session:
            self.session, self.cause = session.session_id, StopCause.NONE
        elif session.session_active and before.session.session_active:
            assert session.step >= before.session.step or session.step == 0
        if self.cause is not StopCause.NONE and session.state is not S.RECOVERING:
            assert session.stop_cause is self.cause
        self.cause = session.stop_cause
        assert 0 <= session.step <= 12
        assert not session.transaction_active or session.session_id

    def _contactor(self, inputs: SequencerInputs, before: SequencerOutputs, out: SequencerOutputs, now: float) -> None:
        """It is told to close only with a lock that is seen closed, and to open only without current, or in an emergency."""
        was, told = before.io.close_contactor and before.publish_commands, out.io.close_contactor
        if told and not was:
            assert known(inputs.io, now, self.config.io_age)
            assert inputs.io.value.locked
        if was and not told and out.session.state is not S.EMERGENCY:
            assert known(inputs.power, now, self.config.power_age), out.session.state.name
            assert abs(inputs.power.value.current) <= self.config.opening_current

    def _authorised(self, inputs: SequencerInputs, before: SequencerOutputs, out: SequencerOutputs) -> None:
        """Nothing is energised for a token that nobody accepted, or before the begin reading of this session is on disk."""
        verdict = inputs.authorization.value if inputs.authorization is not None else None
        if verdict is not None and verdict.verdict is Verdict.ACCEPTED:
            self.accepted.add(verdict.token.casefold())
        self.accepted |= {item.token.casefold() for item in inputs.requests if item.kind is RequestKind.START and item.authorized}
        if out.io.close_contactor and not before.io.close_contactor:
            assert out.session.token.casefold() in self.accepted
            assert out.session.session_id
            assert inputs.record is not None
            assert (inputs.record.value.session_id, inputs.record.value.status) == (out.session.session_id, RecordStatus.OPEN)

    def _idle(self, out: SequencerOutputs) -> None:
        if out.session.state in IDLE:
            assert (out.power.function, out.power.voltage, out.power.current) == (PowerFunction.OFF, 0.0, 0.0)
            lines = out.io.sequence_1, out.io.sequence_2, out.io.close_contactor, out.vehicle.transmit, out.vehicle.charging
            assert not any(lines)
            assert not out.session.session_active
            assert not out.session.transaction_active


def known(sample: Any, now: float, limit: float) -> bool:
    """Return whether a report is complete and its frames are recent enough to act upon."""
    return sample is not None and sample.value.complete and max(sample.value.age, 0.0) + max(now - sample.received, 0.0) <= limit + 1e-9
