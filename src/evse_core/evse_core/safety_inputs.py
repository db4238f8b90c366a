"""The inputs of the safety monitor by name, and the states of a session that differ in which of them it needs."""

from enum import StrEnum

from evse_core.types import ChargeState

# States in which power may flow; only in these there is a permit (design.md, The permit 1).
PERMIT_STATES = (
    ChargeState.LOCKING,
    ChargeState.CABLE_CHECK,
    ChargeState.LOWERING_OUTPUT,
    ChargeState.PRECHARGE,
    ChargeState.WAITING_FOR_CONTACTOR,
    ChargeState.WAITING_FOR_REQUEST,
    ChargeState.CHARGING,
    ChargeState.RAMPING_DOWN,
)
# The modules are awake and watched: after LOCKING, in which they may still wake up (can.md 1.4 step 6).
POWERED_STATES = PERMIT_STATES[1:]
# The vehicle's contactor is closed, so what is at the connector is at its battery.
CONNECTED_STATES = (ChargeState.WAITING_FOR_REQUEST, ChargeState.CHARGING, ChargeState.RAMPING_DOWN)

# The vehicle's contactor may still be closed though ours is open: it is opening, or tests itself for welding (can.md 2.3 E4).
OPENING_STATES = (ChargeState.WELDING_DETECTION, ChargeState.EMERGENCY)


class Input(StrEnum):
    """The inputs of the monitor by the names of their topics."""

    VEHICLE = "vehicle_report"
    POWER = "power_report"
    IO = "io_report"
    CAN = "can_status"
    SESSION = "session_state"
    POWER_COMMAND = "power_command"
    IO_COMMAND = "io_command"
    METER = "meter_reading"
    CABINET = "cabinet_report"
