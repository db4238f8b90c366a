"""The scenarios of `station bench graph`, as data: what is disturbed in which phase of a session, and what the station must do about it.

The expectations come from docs/faults.md and docs/design.md, The permit: who dies that power needs ends the session at once; the meter may be away for 5 s; who
only watches, tells or shares costs the driver nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from math import inf

from evse_core.types import ChargeState as S
from evse_core.types import StopCause as C
from evse_core.vehicle_link import CHADEMO
from evse_tools.graph_links import BEFORE, LINKS, GraphLink


class Kind(StrEnum):
    """What is done to the station."""

    KILL = "kill"
    STOP = "stop"
    HANG = "hang"
    CAN_GONE = "can-gone"
    FLOOD = "flood"
    CAN_FLOOD = "can-flood"
    FULL_DISK = "full-disk"
    CLOCK = "clock"
    CSMS_GONE = "csms-gone"


class Rig(StrEnum):
    """What kind of station a scenario needs."""

    PLAIN = "plain"
    SMALL_DISK = "small disk"
    OWN_CLOCK = "own clock"


class Outcome(StrEnum):
    """What becomes of the session."""

    GOES_ON = "goes on"
    ENDS = "ends"
    EITHER = "goes on or ends"
    BEGINS_LATER = "begins later"


@dataclass(frozen=True)
class Expected:
    """What must happen: causes and faults count where the session ends by the disturbance. Times from the disturbance [s]."""

    outcome: Outcome
    causes: tuple[C, ...] = ()
    faults: tuple[str, ...] = ()
    withdrawn: float = inf
    off: float = inf


@dataclass(frozen=True)
class Scenario:
    """One disturbance; it lasts `hold` seconds, or until the session is over and `hold` seconds more."""

    kind: Kind
    target: str
    phase: S
    expected: Expected
    hold: float = 0.0
    until_over: bool = False
    rig: Rig = Rig.PLAIN
    link: str = CHADEMO

    @property
    def name(self) -> str:
        """The name for the command line; CHAdeMO is not named."""
        of_link = "" if self.link == CHADEMO else f"{self.link}:"
        return f"{of_link}{self.kind}:{self.target}:{self.phase.name.lower()}"


# Who is needed for power, who measures it, and who may be away.
VITAL = ("can_bridge", "charge_sequencer", "safety_monitor")
METER = "energy_meter"
BYSTANDERS = ("energy_manager", "ocpp_uplink", "recorder")
NODES = (*VITAL, METER, *BYSTANDERS)

# A killed or stopped node of which power depends: the command is gone after 250 ms at most (issue 3: the permit's 200 ms and a period), the current below 5 A
# within 1 s (../shared/reference/can.md 4). [s]
WITHDRAWN, OFF = 0.25, 1.0
# The meter's silence ends a session after 3 s and 2 s (evse_core/safety_config.py), the stop takes 5 s at most (docs/design.md, The permit 5). [s]
METER_OFF = 11.0
# How long a stopped process stands: longer than any deadline but the meter's. [s]
STANDS = 3.0
# How long a flood lasts, with the 1 to 4 s in which its process starts and is discovered. [s]
FLOODS = 8.0

FAULTS = {
    "can_bridge": ("can_bridge_silent", "power_cut", "power_modules_silent", "io_board_silent"),
    "charge_sequencer": ("charge_sequencer_silent",),
    METER: ("meter_silent", "meter_session_lost"),
}
STATION_CAUSES = (C.CHARGER_FAULT, C.EMERGENCY)


def all_scenarios() -> list[Scenario]:
    """Return every scenario, the same node never twice in a row. What does not depend on the vehicle link is played with CHAdeMO only."""
    of_links = [scenario for link in LINKS for scenario in (*_processes(link), *_links(link))]
    return [*of_links, *_floods(), *_surroundings()]


def chosen(patterns: tuple[str, ...]) -> list[Scenario]:
    """Return the scenarios whose names fit a pattern, such as kill:*:charging; all without patterns. ValueError for one that fits none."""
    found = all_scenarios()
    for pattern in patterns:
        if not any(fnmatch(scenario.name, pattern) for scenario in found):
            raise ValueError(f"no scenario fits {pattern!r}; --list shows all")
    return [scenario for scenario in found if not patterns or any(fnmatch(scenario.name, pattern) for pattern in patterns)]


def _processes(name: str) -> Iterator[Scenario]:
    link = LINKS[name]
    # The phases that matter most come first.
    for phase in sorted(link.phases, key=lambda state: (state is not S.CHARGING, link.phases.index(state))):
        for kind in (Kind.KILL, Kind.STOP):
            for node in NODES:
                yield Scenario(kind, node, phase, _process(kind, node, phase, link), STANDS if kind is Kind.STOP else 0.0, link=name)

    # Stopped for good: the supervisor has to find out.
    for node in NODES if name == CHADEMO else ():
        yield Scenario(Kind.HANG, node, S.CHARGING, _process(Kind.KILL, node, S.CHARGING, link))


def _process(kind: Kind, node: str, phase: S, link: GraphLink) -> Expected:
    if phase in BEFORE:
        return Expected(Outcome.BEGINS_LATER)
    if node in BYSTANDERS:
        return Expected(Outcome.GOES_ON)
    if node == METER:
        return Expected(Outcome.EITHER, (C.CHARGER_FAULT,), FAULTS[METER], off=METER_OFF)
    # A killed sequencer does not know its session any more: energy_meter ends the record as RESTART.
    causes = (C.RESTART,) if (kind, node) == (Kind.KILL, "charge_sequencer") else (*STATION_CAUSES, *link.causes)
    faults = (*FAULTS.get(node, ()), *link.also) if phase in link.powered and node in FAULTS else ()
    if phase in link.ending:
        return Expected(Outcome.EITHER, (C.LOCAL, *causes), off=METER_OFF)
    # Without can_bridge nobody withdraws: the modules stop by themselves, 200 ms after its last frame.
    return Expected(Outcome.ENDS, causes, faults, inf if node == "can_bridge" else WITHDRAWN, OFF)


def _links(name: str) -> Iterator[Scenario]:
    # The bus cannot be opened again for 3 s. Modules and board stop by themselves; the monitor knows after 1 s at the latest.
    causes = (*STATION_CAUSES, C.VEHICLE_FAULT, C.VEHICLE)
    for phase in dict.fromkeys((S.CHARGING, LINKS[name].powered[0], S.PREPARING)):
        for bus, faults in LINKS[name].buses.items():
            # A session that begins just then is ended, too.
            outcome = Outcome.EITHER if phase in BEFORE else Outcome.ENDS
            yield Scenario(Kind.CAN_GONE, bus, phase, Expected(outcome, causes, faults, off=2.0), STANDS, link=name)


def _floods() -> Iterator[Scenario]:
    # A stranger's commands, 2,000 a second: what he says is either not obeyed or ends the session; more than the vehicle asks for must not flow.
    causes = (*STATION_CAUSES, C.VEHICLE, C.VEHICLE_FAULT, C.TIMEOUT, C.RESTART)
    either = Expected(Outcome.EITHER, causes)
    for topic in ("power_command-off", "power_command-full", "safety_state-permit", "session_state-charging", "meter_reading-empty"):
        yield Scenario(Kind.FLOOD, topic, S.CHARGING, either, FLOODS)
    for bus in ("vehicle_bus", "power_bus", "io_bus"):
        yield Scenario(Kind.CAN_FLOOD, bus, S.CHARGING, either, FLOODS)


def _surroundings() -> Iterator[Scenario]:
    for phase in (S.PREPARING, S.CHARGING, S.UNLOCKING):
        yield Scenario(Kind.CSMS_GONE, "csms_simulator", phase, Expected(Outcome.GOES_ON), 5.0, until_over=True)
    ends = Expected(Outcome.EITHER, (C.CHARGER_FAULT,), ("meter_silent", "disk_full"))
    yield Scenario(Kind.FULL_DISK, "data_dir", S.CHARGING, ends, 8.0, rig=Rig.SMALL_DISK)
    # Full before the session: no begin reading can be stored, so nothing is delivered.
    later = Expected(Outcome.EITHER, (C.CHARGER_FAULT, C.TIMEOUT))
    yield Scenario(Kind.FULL_DISK, "data_dir", S.WAITING_FOR_PERMISSION, later, 8.0, rig=Rig.SMALL_DISK)
    for seconds in ("+3600", "-3600", "+86400000"):
        yield Scenario(Kind.CLOCK, seconds, S.CHARGING, Expected(Outcome.GOES_ON), 5.0, rig=Rig.OWN_CLOCK)
