"""A world whose vehicle is played from a CAN log: what the tests of the replay share."""

from unittest.mock import patch

from chademo_script import observe
from world_rig import DATABASES, OVER

from evse_core.chademo_verdict import judge
from evse_core.frame import Frame
from evse_core.types import ChargeState
from evse_core.vehicle_link import CHADEMO
from evse_simulators import world_parts
from evse_simulators.recorded_vehicle import RecordedVehicle
from evse_simulators.world import World
from evse_simulators.world_config import WorldConfig
from evse_tools.analyze_log import Judged
from evse_tools.replay_can_recording import recording

Logged = list[tuple[float, Frame]]
# Longest wait for a charger that does not come to where the log waits, as replay_can_session.STUCK. [s]
STUCK = 30.0


def judged(frames: Logged) -> Judged:
    """Return the frames of one session with what is to be said of them."""
    observation = observe(DATABASES["chademo"], frames)
    return Judged(observation, judge(observation), tuple(frames))


def replayed(frames: Logged, *, in_step: bool = True, seconds: float = 90.0) -> World:
    """Play a log's vehicle to our station on a virtual clock, with a driver who starts and, where the log says so, stops; return the world at the end."""
    played = recording(judged(frames), DATABASES["chademo"])

    def make(config: object, databases: object) -> RecordedVehicle:
        return RecordedVehicle(WorldConfig().vehicle, DATABASES["chademo"], played, in_step=in_step)

    with patch.dict(world_parts.PARTS, {CHADEMO: world_parts.Parts(make)}):  # type: ignore[arg-type]
        made = World(DATABASES, WorldConfig(), seed=3)
    made.run(2.0)
    made.plug_in()
    made.run(1.0)
    made.token()
    made.run(1.0)
    made.start()
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
