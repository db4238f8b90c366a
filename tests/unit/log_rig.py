"""CAN logs of our own making for the tests of stories from logs: a world whose bus is listened to, and what a listener makes of it."""

from functools import cache

from chademo_script import observe
from world_rig import DATABASES, OVER, start_session

from evse_core.chademo_telling import story
from evse_core.chademo_verdict import Verdict, judge
from evse_core.frame import Frame
from evse_core.session_story import Story
from evse_core.types import BusLink, ChargeState
from evse_simulators.world import World
from evse_simulators.world_config import WorldConfig, secc_config

Logged = list[tuple[float, Frame]]
CONFIGS = {"chademo": WorldConfig, "secc": secc_config}


class WiredWorld(World):
    """Keeps what was on one of its buses."""

    def __init__(self, config: WorldConfig, link: BusLink) -> None:
        self.wire: Logged = []
        self._tapped = link
        super().__init__(DATABASES, config, seed=3)

    def publish(self, topic: str | BusLink, value: object) -> None:
        super().publish(topic, value)
        if topic is self._tapped and isinstance(value, Frame):
            self.wire.append((self.now, value))

    def _receive(self, link: BusLink, frames: tuple[Frame, ...]) -> None:
        super()._receive(link, frames)
        if link is self._tapped:
            self.wire += [(self.now, frame) for frame in frames]


@cache
def logged(fault: str = "", link: str = "chademo", bus: BusLink = BusLink.VEHICLE) -> WiredWorld:
    """Return a world after a session of 6 s of charging in which something broke or the driver pressed stop, plugged in still."""
    made = WiredWorld(CONFIGS[link](), bus)
    start_session(made)
    assert made.reach(ChargeState.CHARGING)
    made.run(6.0)
    assert (made.inject(fault) if fault else made.stop()).success
    made.run_until(lambda world: world.session.state in OVER, 30.0)
    made.run(1.0)
    return made


def told(frames: Logged) -> tuple[Story, Verdict]:
    """Return story and verdict of the frames of one session."""
    observation = observe(DATABASES["chademo"], frames)
    verdict = judge(observation)
    return story(frames, DATABASES["chademo"], observation, verdict, "log 1"), verdict
