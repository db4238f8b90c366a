"""Stories of sessions of the simulated world, told by what it publishes: what the tests of the story and of its pictures share."""

from functools import cache
from typing import Any

from world_rig import DATABASES, start_session

from evse_core.session_story import Story, Storyteller
from evse_core.types import BusLink, ChargeState
from evse_simulators.world import World
from evse_simulators.world_config import EPOCH, WorldConfig, pilot_config, secc_config

CONFIGS = {"chademo": WorldConfig, "secc": secc_config, "pilot": pilot_config}


class TellingWorld(World):
    """Tells what it publishes."""

    def __init__(self, config: WorldConfig) -> None:
        self.teller, self.stories = Storyteller(1), list[Story]()
        super().__init__(DATABASES, config, seed=3)

    def publish(self, topic: str | BusLink, value: Any) -> None:
        super().publish(topic, value)
        if isinstance(topic, str) and (story := self.teller.feed(value, EPOCH + self.now)) is not None:
            self.stories.append(story)

    def _run_safety(self) -> None:
        step = self.safety.step

        def told(inputs: Any, now: float) -> Any:
            outputs = step(inputs, now)
            for event in outputs.events:
                self.teller.feed(event, EPOCH + now)
            return outputs

        self.safety.step = told  # type: ignore[method-assign]
        super()._run_safety()
        self.safety.step = step  # type: ignore[method-assign]


@cache
def charged(link: str = "chademo", fault: str = "", seconds: float = 6.0) -> Story:
    """Return the story of a session that charges for some seconds, in which something breaks or the driver presses stop, up to the unplugging."""
    made = TellingWorld(CONFIGS[link]())
    start_session(made)
    assert made.reach(ChargeState.CHARGING)
    made.run(seconds)
    assert (made.inject(fault) if fault else made.stop()).success
    made.run_until(lambda world: world.session.state in {ChargeState.FINISHED, ChargeState.FAULTED}, 30.0)
    if fault:
        made.heal(fault)
    made.run(2.0)
    made.reset_faults()
    made.run(1.0)
    made.unplug()
    made.run(3.0)
    return made.stories[-1]
