"""Random steps of an intruder, made from what is really said in a session: frames and messages that are spoiled, out of time, doubled, or wholly random."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from random import Random
from typing import Any

from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_core.types import BusLink
from evse_core.vehicle_link import CHADEMO, PILOT, SECC
from evse_nodes.topics import TOPICS
from evse_simulators.campaign_plan import ANCHORS, Action, Plan, random_plan
from evse_simulators.campaign_plan_json import to_json
from evse_simulators.campaign_play import Play
from evse_simulators.campaign_world import CampaignWorld
from evse_simulators.world_parts import buses_of
from evse_tools.fuzz_case import Case
from evse_tools.fuzz_intruder import Step
from evse_tools.fuzz_messages import check_sendable, random_message

# Links of the vehicle that are played; most stations are still of the first kind.
VEHICLE_LINKS = (CHADEMO, CHADEMO, SECC, PILOT)
DRIVER = (Action("plug_in", "", 0.5), Action("token", "", 0.5), Action("start", "", 0.5), Action("stop", "CHARGING", 2.0))
# Largest identifiers: 11 and 29 bits (ISO 11898-1). Frames of more than 8 bytes are CAN FD or a broken driver. [1], [bytes]
SHORT_ID, LONG_ID, LONGEST = 0x7FF, 0x1FFFFFFF, 12
# How many steps of a storm come in a second: a bus of 500 kbit/s carries some 4000 frames. [1/s]
STORM_RATE = 400


class _Listener(CampaignWorld):
    """Keeps one of each frame and message of a session."""

    def __init__(self, *arguments: Any) -> None:
        self.frames: dict[tuple[BusLink, Frame], None] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}
        super().__init__(*arguments)

    def publish(self, topic: str | BusLink, value: Any) -> None:
        if topic == "to_bridge":
            self.frames.setdefault(value)
        elif isinstance(topic, BusLink):
            self.frames.setdefault((topic, value))
        elif topic in TOPICS:
            self.messages.setdefault(topic, []).append(check_sendable(topic, value))
        super().publish(topic, value)


class _Listening(Play):
    world_type = _Listener
    world: _Listener


@cache
def _heard(
    databases: tuple[tuple[str, SignalDatabase], ...], link: str
) -> tuple[list[tuple[BusLink, Frame]], dict[str, list[dict[str, Any]]]]:
    played = _Listening(Plan(1, actions=DRIVER, link=link), dict(databases))
    played.run()
    messages = {name: found[:: max(len(found) // 200, 1)] for name, found in played.world.messages.items()}
    return list(played.world.frames), messages


def make_frames(random: Random, databases: Mapping[str, SignalDatabase]) -> Case:
    """Return a session with forged frames on all links."""
    link = random.choice(VEHICLE_LINKS)
    frames, _ = _heard(tuple(databases.items()), link)
    steps = [_frame(random, moment, frames, buses_of(link)) for moment in _moments(random)]
    return {"what": "frames", "plan": _plan(random, link), "steps": steps}


def make_messages(random: Random, databases: Mapping[str, SignalDatabase]) -> Case:
    """Return a session with forged messages on all topics."""
    link = random.choice(VEHICLE_LINKS)
    _, messages = _heard(tuple(databases.items()), link)
    return {"what": "topics", "plan": _plan(random, link), "steps": [_message(random, moment, messages) for moment in _moments(random)]}


def _plan(random: Random, link: str) -> dict[str, Any]:
    """Return a session in which nothing else goes wrong: an ordinary one, or one with another vehicle and driver."""
    other = random_plan(random.getrandbits(30), 1, link)
    unlike = random.random() < 0.4
    plan = Plan(other.seed, 1, other.vehicle, other.station, other.actions, link=link) if unlike else Plan(1, actions=DRIVER, link=link)
    return to_json(plan)


def _moments(random: Random) -> list[tuple[str, float]]:
    """Return when something is sent: now and then, in bursts at one moment, or as a storm for a second or two."""
    match random.randrange(3):
        case 0:
            return [_moment(random) for _ in range(random.randint(1, 60))]
        case 1:
            return [moment for moment in (_moment(random) for _ in range(3)) for _ in range(random.choice((10, 100)))]
        case _:
            state, delay = _moment(random)
            return [(state, round(delay + number / STORM_RATE, 4)) for number in range(random.choice((1, 2)) * STORM_RATE // 2)]


def _moment(random: Random) -> tuple[str, float]:
    state = random.choice(("", "CHARGING", "CHARGING", *ANCHORS))
    return state, round(random.choice((0.0, random.uniform(0.0, 0.5), random.uniform(0.0, 4.0))), 3)


def _frame(random: Random, moment: tuple[str, float], frames: list[tuple[BusLink, Frame]], buses: Sequence[BusLink]) -> dict[str, Any]:
    link, frame = random.choice(frames)
    identifier, data, extended = frame.id, bytearray(frame.data), frame.extended
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        match random.randrange(7):
            case 0 | 1 | 2 if data:
                data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            case 3:
                data = data[: random.randrange(len(data) + 1)] + random.randbytes(random.choice((0, 0, 1, LONGEST)))
            case 4:
                data = bytearray(random.choice((b"\xff" * 8, b"\0" * 8, random.randbytes(8))))
            case 5:
                identifier = random.choice(
                    (identifier ^ 1 << random.randrange(11), random.choice(frames)[1].id, random.randint(0, LONG_ID))
                )
            case _:
                extended = not extended
    link = random.choice(buses) if random.random() < 0.05 else link
    identifier &= LONG_ID if extended else SHORT_ID
    return _step(Step(*moment, link=link.name, id=identifier, data=bytes(data[:LONGEST]).hex(), extended=extended))


def _message(random: Random, moment: tuple[str, float], messages: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    topic = random.choice(list(TOPICS))
    base = random.choice(messages[topic]) if topic in messages and random.random() < 0.7 else None
    return _step(Step(*moment, topic=topic, message=random_message(random, TOPICS[topic].message, base)))


def _step(step: Step) -> dict[str, Any]:
    """Return a step as JSON values, without what it does not have."""
    empty = asdict(Step("", 0.0))
    return {name: value for name, value in asdict(step).items() if name in {"when", "delay"} or value != empty[name]}
