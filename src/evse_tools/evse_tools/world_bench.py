"""`station bench world`: how many times faster than real time one processor runs the simulated EVSE, and how many sessions of the campaign it plays.

The processor time of this process counts, so that others on the machine change little; the time on the wall is told besides. Each value is of one window.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from math import nan
from typing import Any

from rich.console import Console
from rich.progress import track

from evse_core.codecs.signals import SignalDatabase
from evse_core.types import ChargeState
from evse_nodes import databases
from evse_simulators.campaign_plan import random_plan
from evse_simulators.campaign_play import play
from evse_simulators.memo_database import MemoDatabase
from evse_simulators.world import World
from evse_tools.bench_figures import figure, print_json, print_table
from evse_tools.machine import rare_collection

# Virtual time of a window while charging, and before the first one, so that frames and curves have been seen. [s]
WINDOW, WARM = 10.0, 10.0
# Charging time of a whole session. [s]
CHARGED = 30.0
# Sessions of one window of the campaign, and the seed that they are made from. [1]
SESSIONS, SEED = 5, 1
# Windows of each kind at least, however short the bench is. [1]
LEAST = 3
# A world: virtual seconds, or sessions, that one call plays.
Window = Callable[[], float]


def charging(known: Mapping[str, SignalDatabase]) -> Window:
    """Return a window of an EVSE that charges; RuntimeError where it does not."""
    made = World(known, seed=SEED)
    made.begin_charging()
    made.run(WARM)

    def window() -> float:
        made.run(WINDOW)
        if made.session.state is not ChargeState.CHARGING:
            raise RuntimeError(f"the EVSE does not charge: {made.session.state.name} {made.session.stop_detail}")
        # A full battery would end it.
        made.vehicle.set_battery(made.config.vehicle.soc_percent, nan, made.config.vehicle.battery_temperature)
        return WINDOW

    return window


def sessions(known: Mapping[str, SignalDatabase]) -> Window:
    """Return a window of one session from the empty EVSE over plug-in, charging and stop to the free connector."""
    numbers = itertools.count(1)

    def window() -> float:
        made = World(known, seed=next(numbers))
        well = made.begin_charging() and bool(made.run(CHARGED)) and made.stop().success and made.reach(ChargeState.FINISHED)
        if not well:
            raise RuntimeError(f"the session does not end well: {made.session.state.name} {made.session.stop_detail}")
        return made.now

    return window


def campaign(known: Mapping[str, SignalDatabase]) -> Window:
    """Return a window of some sessions of the campaign."""
    numbers = itertools.count(1)

    def window() -> float:
        for number in itertools.islice(numbers, SESSIONS):
            play(random_plan(SEED, number), known)
        return SESSIONS

    return window


# What is measured: its window, unit, and part of the time.
KINDS: dict[str, tuple[Callable[[Mapping[str, SignalDatabase]], Window], str, float]] = {
    "charging EVSE": (charging, "x real time", 0.5),
    "whole session": (sessions, "x real time", 0.2),
    "campaign": (campaign, "sessions/s", 0.3),
}


def rates(window: Window, seconds: float) -> Iterator[tuple[float, float]]:
    """Yield of each window what it played per second of processor time and per second on the wall, for some seconds of processor time."""
    began = time.process_time()
    for count in itertools.count(1):
        busy, wall = time.process_time(), time.perf_counter()
        played = window()
        yield played / (time.process_time() - busy), played / (time.perf_counter() - wall)
        if count >= LEAST and time.process_time() - began >= seconds:
            return


def run(seconds: float, as_json: bool) -> int:
    """Measure for some seconds of processor time; returns 1 where a session does not go as it should."""
    console, figures = Console(stderr=True, highlight=False), []
    rare_collection()
    try:
        for name, (kind, unit, part) in track(KINDS.items(), "measuring", console=console, transient=True):
            known: Any = {database: MemoDatabase(databases.load(database)) for database in databases.NAMES}
            values = list(rates(kind(known), part * seconds))
            figures.append(figure(f"{name}, per core", [busy for busy, _ in values], unit))
            figures.append(figure(f"{name}, on the wall", [wall for _, wall in values], unit))
    except RuntimeError as error:
        console.print(f"{name}: {error}", style="red", markup=False)
        return 1
    if as_json:
        print_json("world", figures)
    else:
        print_table("The simulated EVSE on one processor", ("figure", "windows", "best"), figures)
    return 0
