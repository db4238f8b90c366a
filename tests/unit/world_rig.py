"""What the tests of the simulated world share: databases, the course of a session, its end, its energy, and the mechanic."""

from typing import Any

from evse_core.types import ChargeState, RequestKind
from evse_nodes import databases
from evse_simulators.memo_database import MemoDatabase
from evse_simulators.world import World

# With one memory for all worlds of a process.
DATABASES: Any = {name: MemoDatabase(databases.load(name)) for name in databases.NAMES}
OVER = {ChargeState.FINISHED, ChargeState.FAULTED, ChargeState.UNAVAILABLE}
# The states of a session, with a CHAdeMO vehicle and behind a charge controller.
COURSE = [
    "AVAILABLE",
    "PREPARING",
    "AUTHORIZING",
    "AUTHORIZED",
    "WAITING_FOR_VEHICLE",
    "WAITING_FOR_PERMISSION",
    "LOCKING",
    "CABLE_CHECK",
    "LOWERING_OUTPUT",
    "WAITING_FOR_CONTACTOR",
    "WAITING_FOR_REQUEST",
    "CHARGING",
    "RAMPING_DOWN",
    "WELDING_DETECTION",
    "CLOSING",
    "UNLOCKING",
    "FINISHED",
]
LED_COURSE = ["PRECHARGE" if state == "WAITING_FOR_CONTACTOR" else state for state in COURSE]
# With an AC vehicle at its control pilot.
AC_COURSE = [
    "AVAILABLE",
    "PREPARING",
    "AUTHORIZING",
    "AUTHORIZED",
    "WAITING_FOR_VEHICLE",
    "LOCKING",
    "WAITING_FOR_REQUEST",
    "CHARGING",
    "RAMPING_DOWN",
    "CLOSING",
    "UNLOCKING",
    "FINISHED",
]


def start_session(made: World) -> None:
    """Let the station come up, and a driver plug in, show a token and press start, 1 s after each other."""
    made.run(2.0)
    made.plug_in()
    made.run(1.0)
    made.token()
    made.run(1.0)
    made.start()


def over(made: World) -> bool:
    """Return whether the session has ended."""
    return made.session.state in OVER


def energy(made: World) -> float:
    """Return what the last record bills [Wh]."""
    return made.records[-1].end_register_wh - made.records[-1].begin_register_wh


def mend(made: World, name: str, pause: float = 1.5) -> None:
    """Heal the fault, let an operator reset and unlock with pauses [s], pull the plug: the station must be back in service."""
    made.heal(name)
    made.run(pause)
    made.reset_faults()
    made.request(RequestKind.UNLOCK)
    made.run(pause)
    assert made.unplug().success or not made.vehicle.plugged, made.session
    assert made.reach(ChargeState.AVAILABLE, 60.0), (made.session, made.safety_state)  # What is hot has to cool down.
