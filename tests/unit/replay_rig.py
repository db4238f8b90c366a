"""A world whose vehicle is played from a CAN log: what the tests of the replay share."""

from collections.abc import Sequence
from unittest.mock import patch

from world_rig import DATABASES, OVER, start_session

from evse_core.frame import Frame
from evse_core.types import ChargeState
from evse_core.vehicle_link import CHADEMO
from evse_simulators import world_parts
from evse_simulators.recorded_vehicle import RecordedVehicle
from evse_simulators.world import World
from evse_simulators.world_config import WorldConfig
from evse_tools import analyze_log
from evse_tools.replay_can_recording import recording

Logged = list[tuple[float, Frame]]
# Longest wait for a charger that does not come to where the log waits, as replay_can_session.STUCK. [s]
STUCK = 30.0


def judged(frames: Sequence[tuple[float, Frame]]) -> analyze_log.Judged:
    """Return the frames of one session with what is to be said of them."""
    return analyze_log.judged(frames, DATABASES["chademo"])


def replayed(frames: Logged, *, in_step: bool = True, seconds: float = 90.0) -> World:
    """Play a log's vehicle to our station on a virtual clock, with a driver who starts and, where the log says so, stops; return the world at the end."""
    played = recording(judged(frames), DATABASES["chademo"])

    def make(config: object, databases: object) -> RecordedVehicle:
        return RecordedVehicle(WorldConfig().vehicle, DATABASES["chademo"], played, in_step=in_step)

    with patch.dict(world_parts.PARTS, {CHADEMO: world_parts.Parts(make)}):  # type: ignore[arg-type]
        made = World(DATABASES, WorldConfig(), seed=3)
    start_session(made)
    vehicle = made.vehicle
    assert isinstance(vehicle, RecordedVehicle)
    stopped, end = False, made.now + seconds
    while made.now < end and made.session.state not in OVER and vehicle.waited(made.now) < STUCK:
        made.run(0.1)
        if vehicle.wants_stop and not stopped:
            stopped = made.stop().success
    made.run(1.0)
    return made


def states(made: World) -> list[tuple[str, float]]:
    """Return the states of the sequencer from the session's begin on, with their times."""
    found = [(entry.what, entry.at) for entry in made.log if entry.kind == "state"]
    return found[[name for name, _ in found].index(ChargeState.WAITING_FOR_VEHICLE.name) :]
