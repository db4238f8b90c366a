"""Sessions on a virtual clock around an energy meter that is killed at random moments, and started again.

Theory of operation. The world goes on in steps of 0.1 s: it has the sequencer's state and the modules' power, and counts the energy as can_bridge does. Each
step is put to the meter, which answers with what it told. Nothing flows before the meter has told its begin record: no reading, no charging. A thread kills
the process after a random real time, wherever it is then: opening, signing, writing, answering. Until it is started again the world goes on for up to 4 s
unseen.
"""

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from evse_core.types import PowerReport, RecordStatus, SessionState, StopCause
from evse_tools.meter_kill_child import Heard, Said, live
from evse_tools.meter_kill_judge import Told

# Frames of the modules and session_state come every 100 ms. [s]
STEP = 0.1
# Longest real life of a meter from its first words, and of one that is killed while it starts, which takes it some 20 ms. [s]
LIFE, BIRTH = 0.15, 0.03
# Share of kills while a meter starts. [1]
EARLY = 0.25
# Longest time without a meter: meter_silent ends a session after 5 s. [s]
AWAY = 4.0
# Steps after which a session that does not get on is given up as a finding. [1]
PATIENCE = 400
VOLTAGE = 400.0


class Stuck(Exception):
    """The meter lives and does not answer as it must."""


@dataclass(slots=True)
class World:
    """What is true outside of the meter: clock [s], power [W], the counter of can_bridge [Wh], and the session with its energy [Wh]."""

    now: float = 1000.0
    power: float = 0.0
    counter_wh: float = 0.0
    session: SessionState = field(default_factory=SessionState)
    given_wh: dict[str, float] = field(default_factory=dict)

    def step(self, power: float) -> None:
        """Go on by a step, at the end of which the modules give `power`."""
        energy = (self.power + power) / 2.0 * STEP / 3600.0
        self.now, self.power, self.counter_wh = self.now + STEP, power, self.counter_wh + energy
        if self.session.session_id in self.given_wh:
            self.given_wh[self.session.session_id] += energy

    def heard(self) -> Heard:
        """Return what a meter hears of it."""
        report = PowerReport(complete=True, age=0.0, voltage=VOLTAGE, current=self.power / VOLTAGE, energy_wh=self.counter_wh)
        return Heard(self.now, 1.8e9 + self.now, report, self.session)


class Meter:
    """The process, started anew whenever it is gone."""

    def __init__(self, folder: Path, dice: random.Random, kills: int) -> None:
        self._folder, self._dice, self._left = folder, dice, kills
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["evse_tools.meter_kill_child"])
        self._process: ForkServerProcess | None = None
        self._pipe: Connection | None = None
        self._killer: threading.Timer | None = None
        self.kills = 0
        self.told = Told()

    def ask(self, world: World) -> bool:
        """Put a step to the meter; returns whether it lived long enough to answer, else time has gone on and a new one waits."""
        try:
            if self._pipe is None:
                self._start(world)
            assert self._pipe is not None
            self._pipe.send(world.heard())
            self._take(self._pipe.recv())
        except (EOFError, OSError):
            self._bury()
            return False
        return True

    def _take(self, said: Said) -> None:
        for record in said.records:
            self.told.add(record)
        if said.register_wh < self.told.register_wh:
            self.told.twice.append(f"the register went back from {self.told.register_wh} to {said.register_wh} Wh")
        self.told.register_wh = said.register_wh

    def _start(self, world: World) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=live, args=(self._folder, world.now, theirs), daemon=True)
        self._process.start()
        theirs.close()
        early, self._left = self._dice.random() < EARLY, self._left - 1
        if early and self._left >= 0:
            self._kill_within(BIRTH)
        self._take(self._pipe.recv())
        if not early and self._left >= 0:
            self._kill_within(LIFE)

    def _kill_within(self, longest: float) -> None:
        assert self._process is not None
        self._killer = threading.Timer(self._dice.uniform(0.0, longest), self._kill, (self._process.pid,))
        self._killer.start()

    def _kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills += 1

    def _bury(self) -> None:
        if self._killer is not None:
            self._killer.join()
        if self._process is not None:
            self._process.join(10.0)
            if self._process.exitcode != -signal.SIGKILL:
                raise Stuck(f"the meter ended by itself, exit code {self._process.exitcode}")
        if self._pipe is not None:
            self._pipe.close()
        self._pipe = self._process = self._killer = None

    @property
    def left(self) -> int:
        """How many kills are still to come."""
        return max(self._left, 0)

    def end(self) -> None:
        """Have the meter end in order; one that does not is killed."""
        if self._killer is not None:
            self._killer.cancel()
        try:
            if self._pipe is not None:
                self._pipe.send(None)
                self._take(self._pipe.recv())
        except (EOFError, OSError):
            pass
        finally:
            if self._process is not None:
                self._process.join(10.0)
                self._process.kill()
                self._process.join()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: kills that hit, sessions, those interrupted, what was told, the energy that each session was given [Wh]."""

    kills: int
    sessions: int
    told: Told
    given_wh: dict[str, float]


def play(folder: Path, kills: int, seed: int) -> Outcome:
    """Charge sessions until the meter was killed so often, then end the last one in order; Stuck where the meter does not go on."""
    dice, world = random.Random(seed), World()
    meter, number = Meter(folder, dice, kills), 0
    try:
        while meter.left > 0:
            number += 1
            for power in _session(f"kill-{number}", world, meter, dice):
                world.step(power)
                if not meter.ask(world):
                    for _ in range(dice.randrange(round(AWAY / STEP))):
                        world.step(world.power)
    finally:
        meter.end()
    return Outcome(meter.kills, number, meter.told, world.given_wh)


def _session(name: str, world: World, meter: Meter, dice: random.Random) -> Iterator[float]:
    """Yield the power of each step of a session."""
    yield from [0.0] * dice.randrange(1, 10)
    world.session = SessionState(session_id=name, session_active=True, transaction_active=True, token="04A2B3C4D5E680")
    world.given_wh[name] = 0.0
    yield from _until(lambda: meter.told.status(name) is not None, f"{name} has no begin record")
    for _ in range(dice.randrange(5, 120)):
        yield dice.uniform(0.0, 50_000.0)
    yield 0.0
    # Most sessions end in order, some because the sequencer begins anew and knows nothing of them.
    gone = dice.random() < 0.2
    world.session = SessionState() if gone else SessionState(session_id=name, token="04A2B3C4D5E680", stop_cause=StopCause.LOCAL)
    yield from _until(lambda: meter.told.status(name) not in (None, RecordStatus.OPEN), f"{name} has no end record")


def _until(done: Callable[[], bool], what: str) -> Iterator[float]:
    for _ in range(PATIENCE):
        if done():
            return
        yield 0.0
    raise Stuck(what)
