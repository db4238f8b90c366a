"""What a random charging session of the campaign is, as plain data: vehicle, limits, the driver's actions and what goes wrong, all made from one seed.

A moment is given by a state of the charging sequence and a delay after it was first entered ("" is the start of the world), so that every phase is hit
equally often and a plan keeps its meaning while it is shortened. campaign_plan_json.py takes it to JSON and back without loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from evse_core.vehicle_link import PILOT
from evse_simulators import campaign_plan_ac as ac
from evse_simulators import campaign_plan_secc as led
from evse_simulators import faults
from evse_simulators.ac_vehicle import AcVehicleConfig
from evse_simulators.secc import SeccConfig
from evse_simulators.vehicle import VehicleConfig
from evse_simulators.world_config import (
    GIVES,
    QUICK_CONTROLLER,
    QUICK_MODULES,
    QUICK_VEHICLE,
    TOKEN,
    VehicleKind,
    WorldConfig,
    secc_config,
    with_discharge,
)

# What can be broken in an EVSE with a CHAdeMO vehicle, and in one behind a charge controller, which has no lock, proximity or pilot of its own.
# The cables of the campaign need no coolant.
_NOT_COOLED = {"coolant_pump_fails", "coolant_unknown"}
CHADEMO_FAULTS = tuple(
    name for name in faults.of(faults.VEHICLE, faults.MODULES, faults.BOARD) if name not in _NOT_COOLED | faults.DISCHARGE
)
_NOT_LED = {"lock_stuck", "lock_lost", "proximity_fault", "pilot_short", "pilot_diode", "ac_over_current", "ac_current_lost"} | _NOT_COOLED
LED_FAULTS = tuple(name for name in faults.of(faults.SECC, faults.MODULES, faults.BOARD) if name not in _NOT_LED | faults.DISCHARGE)
# The same with vehicles that give power: what breaks in the vehicle's giving more often than the rest.
CHADEMO_GIVING_FAULTS = (*CHADEMO_FAULTS, *("vehicle_stops_discharge", "vehicle_lies_about_charge", "module_runaway", "over_current") * 4)
LED_GIVING_FAULTS = (*LED_FAULTS, *("ccs_stops_discharge", "ccs_lies_about_charge", "module_runaway", "over_current") * 4)
# A vehicle with one of these gives nothing any more.
WITHDRAWN = frozenset({"vehicle_stops_discharge", "ccs_stops_discharge"})
# End of the name of a kind of plan whose vehicle gives power.
GIVING = "-v2x"
# What a driver, a back end, an operator or the site can do; the names are methods of campaign_world.CampaignWorld.
ACTIONS = (
    "plug_in",
    "token",
    "wrong_token",
    "start",
    "stop",
    "stop_vehicle",
    "unplug",
    "remote_start",
    "remote_stop",
    "remote_unlock",
    "disable",
    "enable",
    "reset_faults",
    "ask_discharge",
    "end_discharge",
    *ac.POWERS,
)
# Kinds of disturbances.
FAULT, LINK, TOPIC, RULE, POWER_FAILURE = "fault", "link", "topic", "rule", "power_failure"
KINDS = (FAULT, LINK, TOPIC, RULE, POWER_FAILURE)
# Links with their directions: rx to the station, tx from it.
LINKS = ("VEHICLE.rx", "VEHICLE.tx", "POWER.rx", "POWER.tx", "IO.rx", "IO.tx")
LINK_MODES = ("silent", "frozen", "stuck", "late", "doubled", "corrupted", "reordered", "dropped")
# Topics that cross process borders. Reordered ones are not here: the middleware numbers the values of a writer and drops what comes after a newer one.
TOPICS = (
    "vehicle_report",
    "power_report",
    "io_report",
    "can_status",
    "power_command",
    "vehicle_command",
    "io_command",
    "session_state",
    "safety_state",
    "meter_reading",
    "authorization",
    "power_budget",
)
# Those of an AC output, whose vehicle talks on no bus.
AC_TOPICS = tuple(name for name in TOPICS if name != "vehicle_report")
TOPIC_MODES = ("silent", "doubled", "dropped", "late")
RULES = ("can_bridge", "charge_sequencer", "safety_monitor", "energy_meter")
RULE_MODES = ("killed", "paused")
# Faults that are contacts or lines, and so can bounce.
BOUNCING = (
    "emergency_stop",
    "door_open",
    "tilted",
    "impact",
    "pilot_short",
    "module_failed",
    "earth_lost",
    "residual_current",
    "proximity_fault",
    "lock_lost",
    "contactor_stuck_open",
    "vehicle_stops_permission",
    "vehicle_contactor_opens",
    "vehicle_silent",
    "io_board_silent",
    "modules_silent",
    "module_refuses",
    "controller_silent",
    "controller_emergency",
    "ccs_contactor_opens",
    "pilot_broken",
    "pilot_noise",
    "mains_lost",
    "ac_drops_out",
    "ac_diode_missing",
)
# States that moments hang on: those of a session in their order.
ANCHORS = (
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
    "FAULTED",
)
# With a charge controller, unless its vehicle connects itself (CHAdeMO).
LED_ANCHORS = tuple("PRECHARGE" if name == "WAITING_FOR_CONTACTOR" else name for name in ANCHORS)
# Tokens of the driver and of somebody else.
RIGHT_TOKEN, WRONG_TOKEN = TOKEN, "DEADBEEF"
# Duration of a disturbance that stays until the end of the session. [s]
FOR_EVER = 1e6
# A contact that bounces stops after this time at the latest. [s]
LONGEST_BOUNCE = 60.0
# The world takes so long until board and monitor are known. [s]
READY = 0.3


@dataclass(frozen=True, slots=True)
class Action:
    """Somebody does something: `name` of ACTIONS, `delay` [s] after the state `when` was first entered."""

    name: str
    when: str = ""
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something goes wrong for `duration` [s]. `share` is the part of frames that are hit, or the period [s] of something that bounces (0: it does not)."""

    kind: str
    target: str = ""
    mode: str = ""
    when: str = ""
    delay: float = 0.0
    duration: float = FOR_EVER
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One session. `vehicle` and `station` are fields of VehicleConfig (SeccConfig with link secc) and WorldConfig that differ from the quick ones below."""

    seed: int
    number: int = 1
    vehicle: Mapping[str, Any] = field(default_factory=dict)
    station: Mapping[str, Any] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    # A row of KINDS_OF: a vehicle link, or one with a vehicle that gives power.
    link: str = "chademo"

    @property
    def size(self) -> tuple[int, int, float]:
        """How much there is in it, for finding a shorter one."""
        moments: list[Action | Disturbance] = [*self.actions, *self.disturbances]
        times = sum(item.delay for item in moments) + sum(item.duration for item in self.disturbances)
        return len(moments), len(self.vehicle) + len(self.station), times


# Vehicles as their makers build them, and odd ones (../shared/reference/can.md 2.1, 2.3 and 2.7). The last two cannot be charged by a station of 500 V.
VEHICLES: tuple[dict[str, Any], ...] = (
    {},
    {"protocol_number": 0, "extended_functions": False},
    {"protocol_number": 1, "extended_functions": False},
    {"protocol_number": 2, "extended_functions": False},
    {"protocol_number": 3},
    {"frame_period": 0.225},
    {"unsettled_reference": 240},
    {"unsettled_reference": 255},
    {"start_limit": 0.4},
    {"target_voltage": 600.0, "max_voltage": 650.0},
    {"protocol_number": 9},
)


def quick_vehicle(link: str, changes: Mapping[str, Any] | None = None) -> VehicleKind:
    """Return a vehicle of a link that thinks quickly, with some values changed."""
    if link == PILOT:
        return ac.quick(changes or {})
    name = link.removesuffix(GIVING)
    given = (GIVES[name] if link != name else {}) | dict(changes or {})
    return SeccConfig(**(QUICK_CONTROLLER | given)) if name == "secc" else VehicleConfig(**(QUICK_VEHICLE | given))


def next_vehicle(plan: Plan) -> VehicleKind:
    """Return the vehicle that comes after this plan: an ordinary one, for which the connector is made."""
    same = {name: plan.vehicle[name] for name in ("protocol", "plug") if name in plan.vehicle}
    return quick_vehicle(plan.link, same if same in led.SPOKEN else {})


def config(plan: Plan) -> WorldConfig:
    """Return what the world of a plan is made of."""
    vehicle = quick_vehicle(plan.link, plan.vehicle)
    if isinstance(vehicle, AcVehicleConfig):
        return ac.config(vehicle, plan.station)
    if isinstance(vehicle, SeccConfig):
        found = secc_config(vehicle, modules=QUICK_MODULES, **dict(plan.station))
    else:
        found = replace(WorldConfig(vehicle=vehicle, modules=QUICK_MODULES), **dict(plan.station))
    return with_discharge(found) if plan.link.endswith(GIVING) else found


def incompatible(vehicle: VehicleConfig | SeccConfig, station: WorldConfig) -> bool:
    """Return whether this vehicle must never be energised by this station."""
    rules = station.sequencer
    if isinstance(vehicle, SeccConfig):
        return vehicle.min_voltage > rules.max_voltage or vehicle.max_voltage < rules.min_voltage
    return not rules.min_voltage <= vehicle.target_voltage <= rules.max_voltage or vehicle.protocol_number > rules.known_protocol_number


# From one seed


def random_plan(seed: int, number: int, link: str = "chademo") -> Plan:
    """Return session `number` of the campaign with this seed; each is made independently of the others."""
    random = Random(f"{seed}/{number}" if link == "chademo" else f"{seed}/{number}/{link}")
    kind = KINDS_OF[link]
    # By chances of its own: the rest of a plan does not hang on it.
    spoken = kind.spoken(Random(f"{seed}/{number}/{link}/spoken"))
    kind = replace(kind, anchors=ANCHORS) if led.connects_itself(spoken) else kind
    disturbances = tuple(_disturbance(random, kind) for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3))))
    vehicle_seed, vehicle = random.randrange(1 << 30), spoken | kind.vehicle(random)
    return Plan(vehicle_seed, number, vehicle, kind.station(random), _actions(random, kind), disturbances, link)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What differs between links: how vehicle and station are made, what can be broken, and the states that moments hang on."""

    vehicle: Callable[[Random], dict[str, Any]]
    faults: tuple[str, ...]
    anchors: tuple[str, ...]
    station: Callable[[Random], dict[str, Any]]
    links: tuple[str, ...] = LINKS
    topics: tuple[str, ...] = TOPICS
    # What the site does besides: names of ACTIONS.
    powers: tuple[str, ...] = ()
    # The site asks the vehicle for power.
    discharges: bool = False
    # What the vehicle speaks besides, where its own row does not say.
    spoken: Callable[[Random], dict[str, Any]] = lambda _: {}


def _vehicle(
    random: Random, table: Sequence[dict[str, Any]], weights: Sequence[int], current: int, quick: Mapping[str, float]
) -> dict[str, Any]:
    """Return a vehicle of a table with up to so much current [A], its charge, size and times changed by chance; `quick` has the times [s]."""
    chosen = dict(random.choices(table, weights)[0])
    if random.random() < 0.7:
        chosen["soc_percent"] = round(random.uniform(2.0, 79.0), 1)
        chosen["max_current"] = float(random.randint(5, current))
    if random.random() < 0.2:
        chosen |= {"capacity_kwh": round(random.uniform(0.05, 1.0), 3), "battery_resistance": 0.2}
    if random.random() < 0.3:
        chosen |= {name: round(value * random.uniform(0.2, 4.0), 2) for name, value in quick.items()}
    return chosen


def _chademo_vehicle(random: Random) -> dict[str, Any]:
    chosen = _vehicle(random, VEHICLES, (10, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1), 125, QUICK_VEHICLE)
    if random.random() < 0.1:
        chosen["battery_temperature"] = round(random.uniform(-20.0, 50.0), 1)
    return chosen


def _led_vehicle(random: Random) -> dict[str, Any]:
    return _vehicle(random, led.VEHICLES, led.WEIGHTS, 200, QUICK_CONTROLLER)


def _giving(random: Random, vehicle: Callable[[Random], dict[str, Any]]) -> dict[str, Any]:
    """Return a vehicle that gives power, often a small battery near what must stay in it."""
    chosen = vehicle(random) if random.random() < 0.4 else {}
    chosen["max_discharge_current"] = float(random.choice((0, 5, 20, 40, 40, 40, 40, 100)))
    charges = (random.uniform(50.5, 53.0), random.uniform(45.0, 79.0), random.uniform(55.0, 79.0), random.uniform(55.0, 79.0))
    chosen["soc_percent"] = round(random.choice(charges), 1)
    if random.random() < 0.5:
        chosen |= {"capacity_kwh": round(random.uniform(0.2, 2.0), 3), "battery_resistance": 0.2}
    if "range_mode" in chosen or random.random() < 0.1:
        chosen["range_mode" if vehicle is _led_vehicle else "v2h_sequence"] = random.choice((True, False)) if vehicle is _led_vehicle else 3
    return chosen


def _station(random: Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if random.random() < 0.3:
        chosen["site_power"] = float(random.choice((0, 500, 4000, 10000, 25000)))
    if random.random() < 0.2:
        chosen["hand_over"] = random.choice((2, 3))
    return chosen


def _actions(random: Random, kind: _Kind) -> tuple[Action, ...]:
    """Return a driver who brings the three things together in any order, ends the session somehow, and sometimes fiddles."""
    begin = ["plug_in", random.choice(("token", "token", "token", "remote_start")), "start"]
    random.shuffle(begin)
    moment = READY
    found = []
    for name in begin:
        found.append(Action(name, "", round(moment, 3)))
        moment += random.choice((0.0, random.uniform(0.0, 1.5)))
    end = random.choice(("stop", "stop", "token", "stop_vehicle", "remote_stop", "remote_unlock"))
    found.append(Action(end, "CHARGING", round(random.choice((random.uniform(0.0, 0.6), random.uniform(1.0, 6.0))), 3)))
    for _ in range(random.choice((0, 0, 1, 3)) if kind.powers else 0):
        found.append(Action(random.choice(kind.powers), "CHARGING", round(random.uniform(0.0, 12.0), 3)))
    if kind.discharges:
        found[-1] = Action(end, "CHARGING", round(random.uniform(4.0, 16.0), 3))
        moment = random.uniform(0.0, 4.0)
        for name in ("ask_discharge", "end_discharge", "ask_discharge")[: random.choice((1, 1, 2, 3))]:
            found.append(Action(name, "CHARGING", round(moment, 3)))
            moment += random.choice((random.uniform(0.0, 1.0), random.uniform(2.0, 8.0)))
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        fiddle = random.choice(
            ("unplug", "stop", "start", "token", "wrong_token", "remote_stop", "stop_vehicle", "disable", "reset_faults")
        )
        found.append(Action(fiddle, *_moment(random, kind)))
    return tuple(found)


def _moment(random: Random, kind: _Kind) -> tuple[str, float]:
    """Return any moment: charging more often than the other states, for that is where the power is."""
    if kind.discharges and random.random() < 0.6:
        return "CHARGING", round(random.uniform(0.0, 14.0), 3)
    if random.random() < 0.1:
        return "", round(random.uniform(0.0, 4.0), 3)
    state = "CHARGING" if random.random() < 0.35 else random.choice(kind.anchors)
    return state, round(random.choice((0.0, random.uniform(0.0, 0.5), random.uniform(0.0, 3.0))), 3)


def _disturbance(random: Random, of: _Kind) -> Disturbance:
    kind = random.choices(KINDS, weights=[8, 5, 2, 4, 1])[0]
    when, delay = _moment(random, of)
    short = round(random.choice((random.uniform(0.02, 0.3), random.uniform(0.2, 1.5), random.uniform(1.0, 6.0))), 3)
    lasting = random.choice((FOR_EVER, short))
    if kind == FAULT:
        name = random.choice(of.faults)
        share = round(random.uniform(0.05, 0.6), 3) if name in BOUNCING and random.random() < 0.3 else 0.0
        return Disturbance(kind, name, "", when, delay, lasting if share == 0.0 else short, share)
    if kind == LINK:
        share = round(random.uniform(0.05, 1.0), 2)
        return Disturbance(kind, random.choice(of.links), random.choice(LINK_MODES), when, delay, lasting, share)
    if kind == TOPIC:
        share = round(random.uniform(0.05, 1.0), 2)
        return Disturbance(kind, random.choice(of.topics), random.choice(TOPIC_MODES), when, delay, lasting, share)
    if kind == RULE:
        return Disturbance(kind, random.choice(RULES), random.choice(RULE_MODES), when, delay, max(short, 0.1))
    return Disturbance(kind, "", "", when, delay, max(short, 0.3))


KINDS_OF = {
    "chademo": _Kind(_chademo_vehicle, CHADEMO_FAULTS, ANCHORS, _station),
    "secc": _Kind(_led_vehicle, LED_FAULTS, LED_ANCHORS, _station, spoken=led.spoken),
    PILOT: _Kind(ac.vehicle, ac.AC_FAULTS, ac.AC_ANCHORS, ac.station, ac.AC_LINKS, AC_TOPICS, tuple(ac.POWERS)),
    f"chademo{GIVING}": _Kind(lambda random: _giving(random, _chademo_vehicle), CHADEMO_GIVING_FAULTS, ANCHORS, _station, discharges=True),
    f"secc{GIVING}": _Kind(
        lambda random: _giving(random, _led_vehicle), LED_GIVING_FAULTS, LED_ANCHORS, _station, discharges=True, spoken=led.spoken
    ),
}
