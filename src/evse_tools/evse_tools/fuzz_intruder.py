"""An intruder on the buses and the topics of a simulated station: random frames and messages at any moment of a session, through the real codecs and
evse_nodes/convert.py into every rule. No rule may raise, nothing unsafe may be commanded, every value must be one that the middleware can carry, and
afterwards the station serves the next driver.

Who forges frames can hide from the station what is so, as a broken device can (campaign_observation.Excuses, "blind"); the campaign's invariants hold all the
same. Who forges messages speaks with the voice of a rule: a forged power_command is obeyed. Then only that is asked which holds whatever is heard: the permit's
age, the register, the bill, and what each rule puts out by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.safety_inputs import PERMIT_STATES
from evse_core.types import BusLink, ChargeState, PowerFunction, Reaction
from evse_core.vehicle_link import PILOT
from evse_nodes.topics import TOPICS
from evse_simulators.campaign_invariants import Checker
from evse_simulators.campaign_observation import Excuses
from evse_simulators.campaign_plan_json import from_json
from evse_simulators.campaign_play import Play
from evse_simulators.campaign_world import CampaignWorld
from evse_tools.fuzz_case import Case
from evse_tools.fuzz_messages import check_sendable, received
from evse_tools.fuzz_services import StationSide

# States in which the sequence may close the output contactor or ask for power.
ENERGISED = frozenset(PERMIT_STATES) - {ChargeState.LOCKING}
HARMLESS = (PowerFunction.OFF, PowerFunction.STANDBY)
# What holds whatever is heard on topics.
ALWAYS = frozenset({"power_without_permit", "register_decreased", "billed_twice"})


class Unsafe(AssertionError):
    """A rule put out what it must never put out."""


class FuzzWorld(CampaignWorld):
    """A station whose rules' outputs are looked at one by one, with meter book, energy manager and uplink beside it."""

    side: StationSide | None = None

    def publish(self, topic: str | BusLink, value: Any) -> None:
        """Hand over what a rule puts out, after a look at it."""
        if isinstance(topic, str) and topic in TOPICS:
            check_sendable(topic, value)
            if (check := _CHECKS.get(topic)) is not None:
                check(self, value)
            self._tell(topic, value)
        super().publish(topic, value)

    def intrude(self, topic: str, value: Any) -> None:
        """Let every reader of a topic hear a forged value."""
        for take in self._readers.get(topic, ()):
            take(value, self.now)
        self._tell(topic, value)

    def _tell(self, topic: str, value: Any) -> None:
        if self.side is not None:
            self.side.take(topic, value, self.now)


def _command(world: FuzzWorld, value: Any) -> None:
    """What charge_sequencer asks of the modules lies within the rating, and asks for power only in the states of power."""
    config, state = world.config.sequencer, world.sequencer.state
    # That of an AC output is the sum of its phases, its rating is that of one.
    most = config.max_current * max(config.ac_phases, 1)
    if not (-config.max_discharge_current <= value.current <= most and 0.0 <= value.voltage <= config.max_voltage):
        raise Unsafe(f"power_command of {value.voltage} V, {value.current} A in {state.name}")
    if value.function not in HARMLESS and state not in ENERGISED:
        raise Unsafe(f"{value.function.name} in {state.name}")


def _lines(world: FuzzWorld, value: Any) -> None:
    if value.close_contactor and world.sequencer.state not in ENERGISED:
        raise Unsafe(f"contactor told to close in {world.sequencer.state.name}")


def _permit(world: FuzzWorld, value: Any) -> None:
    """A permit is given only in a state of power, without an emergency, with a session state that is fresh."""
    session = world._for_safety.get("session")
    if not value.permit:
        return
    age = session.age(world.now) if session is not None else float("inf")
    if value.reaction is Reaction.EMERGENCY or session is None or session.value.state not in PERMIT_STATES:
        raise Unsafe(f"a permit with reaction {value.reaction.name} in {session.value.state.name if session else 'no state'}")
    if age > world.config.safety.session_timeout:
        raise Unsafe(f"a permit with a session_state {age:.3f} s old")


def _reading(world: FuzzWorld, value: Any) -> None:
    if not isfinite(value.register_wh):
        raise Unsafe(f"a register of {value.register_wh} Wh")


_CHECKS: dict[str, Callable[[FuzzWorld, Any], None]] = {
    "power_command": _command,
    "io_command": _lines,
    "safety_state": _permit,
    "meter_reading": _reading,
}


@dataclass(frozen=True, slots=True)
class Step:
    """What the intruder does `delay` [s] after the state `when` was first entered: a frame on a link, or a message on a topic."""

    when: str
    delay: float
    link: str = ""
    id: int = 0
    data: str = ""
    extended: bool = False
    topic: str = ""
    message: Mapping[str, Any] | None = None


class IntruderPlay(Play):
    """A session with an intruder, then the mechanic and the next driver without one."""

    world_type = FuzzWorld
    world: FuzzWorld

    def __init__(self, case: Case, databases: Mapping[str, SignalDatabase], side: StationSide | None = None) -> None:
        super().__init__(from_json(case["plan"]), databases)
        self.world.side = side
        self._steps = [Step(**step) for step in case["steps"]]
        self._forged = any(step.topic for step in self._steps)
        self.checker = Checker(Excuses(blind=True, disturbed=True, forged_vehicle=True), kinds=self.kinds)
        if self._forged:
            self.checker.keep_only(ALWAYS)
        self._waiting += self._steps  # type: ignore[arg-type]
        self._schedule("")

    def _begin(self, item: Any) -> None:
        if not isinstance(item, Step):
            super()._begin(item)
        elif item.topic:
            self.world.intrude(item.topic, received(item.topic, dict(item.message or {})))
        else:
            frame = Frame(item.id, bytes.fromhex(item.data), item.extended)
            self.world._on_frame((BusLink[item.link], frame), self.world.now)

    def _bill(self) -> None:
        """Compare the bill with the vehicle only where no reading was forged."""
        measuring = BusLink.IO if self.world.config.link == PILOT else BusLink.POWER
        if not self._forged and not any(step.link == measuring.name for step in self._steps):
            super()._bill()

    def _free_by_itself(self) -> bool:
        """Forged news may raise any fault; whether the connector comes free is asked after the mending."""
        return True


def play(case: Case, databases: Mapping[str, SignalDatabase]) -> str:
    """Play a case; return "" or what did not hold."""
    if any(step.get("topic") for step in case["steps"]):
        with StationSide() as side:
            return _told(IntruderPlay(case, databases, side))
    return _told(IntruderPlay(case, databases))


def _told(played: IntruderPlay) -> str:
    return "; ".join(f"{item.invariant} at {item.at:.3f} s: {item.detail}" for item in played.run().broken)
