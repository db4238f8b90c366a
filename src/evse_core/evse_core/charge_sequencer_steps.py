"""At which of the 12 steps of can.md 2.5 a session with a CHAdeMO vehicle is."""

from math import isfinite

from evse_core.charge_sequencer_view import View
from evse_core.types import ChargeState

# Steps of can.md 2.5 that a state carries out. Ending states only go on counting for a session that had come to step 10.
STEPS = {
    ChargeState.LOCKING: 8,
    ChargeState.CABLE_CHECK: 8,
    ChargeState.LOWERING_OUTPUT: 8,
    ChargeState.WAITING_FOR_CONTACTOR: 9,
    ChargeState.WAITING_FOR_REQUEST: 10,
    ChargeState.CHARGING: 10,
}
LAST_STEPS = {
    ChargeState.RAMPING_DOWN: 11,
    ChargeState.WELDING_DETECTION: 12,
    ChargeState.CLOSING: 12,
    ChargeState.UNLOCKING: 12,
}


def next_step(view: View) -> int:
    """Return the step of the session: at most one more than before, so that each step that was passed is seen by everybody who looks."""
    step = view.session.step
    wanted = STEPS.get(view.state, 0)
    if view.state is ChargeState.WAITING_FOR_VEHICLE:
        wanted = _vehicle_step(view)
    elif view.state is ChargeState.WAITING_FOR_PERMISSION:
        wanted = 6 if view.vehicle is not None and isfinite(view.vehicle.max_charging_time) else 5
    elif step >= STEPS[ChargeState.CHARGING]:
        wanted = LAST_STEPS.get(view.state, wanted)
    return step + 1 if wanted > step else step


def _vehicle_step(view: View) -> int:
    """Return 1 before the vehicle's first frame, 2 with some frames, 3 with all that are needed."""
    if view.vehicle is not None:
        return 3
    sample = view.inputs.vehicle
    heard = sample is not None and sample.received > view.session.started and not sample.value.complete
    some = heard and sample is not None and any(isfinite(value) for value in (sample.value.max_voltage, sample.value.target_voltage))
    return 2 if some else 1
