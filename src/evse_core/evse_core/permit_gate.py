"""Whether power may pass, decided anew for each frame, and the latch behind it: docs/design.md, "The permit" 2 and 3."""

from dataclasses import dataclass

from evse_core.sample import Sample, fresh
from evse_core.types import CutCause, IoCommand, PowerCommand, PowerFunction, SafetyState, VehicleCommand

# Functions that put no power on the output.
HARMLESS = (PowerFunction.UNKNOWN, PowerFunction.OFF, PowerFunction.STANDBY)


@dataclass(slots=True)
class Inputs:
    """What the gate decides by: the last permit and the last commands of the sequencer. can_bridge keeps one and renews its fields."""

    safety: Sample[SafetyState] | None = None
    power: Sample[PowerCommand] | None = None
    io: Sample[IoCommand] | None = None
    vehicle: Sample[VehicleCommand] | None = None
    # Why a charge controller leaves no power on; NONE without one.
    link: CutCause = CutCause.NONE

    def wants_power(self) -> bool:
        """The last commands, however old, put power on the output."""
        powered = self.power is not None and self.power.value.function not in HARMLESS
        return powered or (self.io is not None and self.io.value.close_contactor)


class PermitGate:
    """Says why power does not pass; stays shut after a cut until Off and an open contactor have been commanded together."""

    def __init__(self, permit_timeout: float, command_timeout: float) -> None:
        self.cut_count = 0
        self._permit_timeout = permit_timeout
        self._command_timeout = command_timeout
        # Shut from the start: a bridge that restarts while power is commanded must not close the contactor on a live output.
        self._latched: CutCause | None = CutCause.PERMIT_ABSENT
        self._tripped = False
        self._passed = False

    @property
    def tripped(self) -> bool:
        """Power was commanded and cut, and the latch still holds."""
        return self._tripped

    def commands_stale(self, inputs: Inputs, now: float) -> bool:
        """Return whether the sequencer is not there: a command is missing or too old. A station that never sent a vehicle command has none to miss."""
        limit = self._command_timeout
        vehicle_stale = inputs.vehicle is not None and fresh(inputs.vehicle, now, limit) is None
        return vehicle_stale or fresh(inputs.power, now, limit) is None or fresh(inputs.io, now, limit) is None

    def decide(self, inputs: Inputs, now: float) -> CutCause:
        """Return NONE where power may pass now, else why not."""
        reason = self._reason(inputs, now)
        self._unlatch(inputs, now)
        if inputs.wants_power() and (reason is not CutCause.NONE or self._latched) and not self._tripped:
            self._trip(reason)
        cause = self._latched or reason
        self._passed = cause is CutCause.NONE and inputs.wants_power()
        return cause

    def _reason(self, inputs: Inputs, now: float) -> CutCause:
        if inputs.safety is None:
            return CutCause.PERMIT_ABSENT
        if fresh(inputs.safety, now, self._permit_timeout) is None:
            return CutCause.PERMIT_STALE
        if not inputs.safety.value.permit:
            return CutCause.PERMIT_REVOKED if self._passed else CutCause.PERMIT_ABSENT
        if inputs.link is not CutCause.NONE:
            return inputs.link
        return CutCause.COMMAND_STALE if self.commands_stale(inputs, now) else CutCause.NONE

    def _trip(self, reason: CutCause) -> None:
        self._tripped = True
        self.cut_count += 1
        if self._latched is None:
            self._latched = reason

    def _unlatch(self, inputs: Inputs, now: float) -> None:
        power, io = fresh(inputs.power, now, self._command_timeout), fresh(inputs.io, now, self._command_timeout)
        if power is not None and io is not None and power.function is PowerFunction.OFF and not io.close_contactor:
            self._latched, self._tripped = None, False
