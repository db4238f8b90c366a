"""What the safety monitor needs to know about a vehicle link: who says whether the connector is plugged in, how long it may be silent, what a permit needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evse_core import vehicle_link
from evse_core.control_pilot import CONNECTED
from evse_core.safety_inputs import PERMIT_STATES, POWERED_STATES, Input
from evse_core.types import ChargeState, IoReport, PilotState, VehicleReport

# Says something about the plug from what vehicle and board report; None where a report is not fresh.
Plug = Callable[[VehicleReport | None, IoReport | None], bool]


@dataclass(frozen=True, slots=True)
class Link:
    """One vehicle link. plugged, unplugged: known to be so. vehicle_timeout: field of SafetyConfig. needs: the inputs that a permit needs, by state."""

    plugged: Plug
    unplugged: Plug
    vehicle_timeout: str
    needs: Mapping[ChargeState, tuple[Input, ...]]
    # The other end of the link measures the connector's temperature, too.
    has_sensors: bool = False
    # A control pilot is fitted, whatever the rating says.
    has_pilot: bool = False


# Everything but the meter, and the modules once they are awake.
_LOCKING_NEEDS = (Input.SESSION, Input.POWER_COMMAND, Input.IO_COMMAND, Input.CAN, Input.IO, Input.VEHICLE)
_NEEDS = {state: (*_LOCKING_NEEDS, Input.POWER) if state in POWERED_STATES else _LOCKING_NEEDS for state in PERMIT_STATES}

# What is at an AC output is the I/O board's word.
_AC_NEEDS = dict.fromkeys(PERMIT_STATES, (Input.SESSION, Input.POWER_COMMAND, Input.IO_COMMAND, Input.CAN, Input.IO))

LINKS = {
    vehicle_link.CHADEMO: Link(
        plugged=lambda _, io: io is not None and io.plugged,
        unplugged=lambda _, io: io is not None and not io.plugged,
        vehicle_timeout="vehicle_timeout",
        needs=_NEEDS,
    ),
    vehicle_link.SECC: Link(
        plugged=lambda vehicle, _: vehicle is not None and vehicle.controller.plugged,
        unplugged=lambda vehicle, _: vehicle is not None and not vehicle.controller.plugged,
        vehicle_timeout="controller_timeout",
        needs=_NEEDS,
        has_sensors=True,
    ),
    vehicle_link.PILOT: Link(
        plugged=lambda _, io: io is not None and io.ac.pilot_state in CONNECTED,
        unplugged=lambda _, io: io is not None and io.ac.pilot_state is PilotState.A,
        vehicle_timeout="vehicle_timeout",
        needs=_AC_NEEDS,
        has_pilot=True,
    ),
}
