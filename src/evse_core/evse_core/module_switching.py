"""How one module of a cabinet moves from outlet to outlet: states, and a table of guarded transitions, first match wins.

Theory of operation. A module gives no current while one of its switches moves. It leaves an outlet by RELEASING (its current goes to 0 and is seen as 0)
and OPENING (its switch opens and is seen open), and comes to one by MATCHING (all its switches are seen open, and its own output is brought to within
`match_voltage` of the outlet's), CLOSING (the switch closes and is seen closed, and no other one is) and CONNECTED, in which it takes its share. A switch
that was told to close does so before anything else is decided, for the status that shows it open may be older than the command. What is not seen does not
count: a module whose status is stale or missing is UNKNOWN, may be anywhere, and nothing of it is moved. A switch that is seen otherwise than it is
commanded for longer than `switch_time` has the module STUCK: it gives no current any more, and no other switch of it is closed until somebody has looked at
it. Two switches of one module that are seen closed connect two outlets: STUCK, at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from math import isfinite, nan

from evse_core.codecs.cabinet import ALL_OPEN, HOLD, Duty, ModuleCommand, ModuleStatus, OutletStatus
from evse_core.parameter import parameter


class Stage(IntEnum):
    """Where a module stands on its way."""

    UNKNOWN = 0
    APART = 1
    MATCHING = 2
    CLOSING = 3
    CONNECTED = 4
    RELEASING = 5
    OPENING = 6
    STUCK = 7


@dataclass(frozen=True)
class SwitchingConfig:
    """Limits and times of a move."""

    match_voltage: float = parameter(
        20.0, "V", "highest difference between module and outlet when a switch closes", "can.md 4: precharge within 20 V", 1.0, 20.0
    )
    zero_current: float = parameter(
        1.0, "A", "current of a module that counts as none", "own: ten steps of its frame; sensors show less", 0.1, 5.0
    )
    switch_time: float = parameter(1.0, "s", "longest time until a switch is seen as commanded", "own: contactors take < 0.1 s", 0.2, 5.0)
    match_time: float = parameter(
        5.0, "s", "longest time in which a module brings its output to the outlet's voltage", "own: 800 V/s to 1000 V take 1.3 s", 1.0, 60.0
    )
    retry_time: float = parameter(
        60.0,
        "s",
        "how long a module that did not match its voltage is not tried again",
        "own: as long as a converter restarts",
        1.0,
        3600.0,
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What the guards see: the stage, for how long [s], the target outlet, and what module, target and the module's own outlet say (None: not known)."""

    config: SwitchingConfig
    stage: Stage
    elapsed: float
    outlet: int
    target: int
    status: ModuleStatus | None
    target_status: OutletStatus | None
    settled: bool

    @property
    def closed(self) -> frozenset[int]:
        """The outlets whose switches are seen closed; only with a status."""
        return self.status.closed if self.status is not None else frozenset()

    @property
    def working(self) -> bool:
        """The module says that it works."""
        return self.status is not None and self.status.working


Test = Callable[[Look], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """In one of `sources`, if the guard, to `target`; `text` is the guard in words, `stuck` what is wrong with a module that gets STUCK."""

    sources: frozenset[Stage]
    text: str
    test: Test
    target: Stage
    stuck: str = ""


def _matched(look: Look) -> bool:
    """The target's voltage is known and the module's own within the limit; both switches and current are as they must be before a switch closes."""
    if look.status is None or look.target_status is None or look.closed:
        return False
    apart = abs(look.status.voltage - look.target_status.voltage) <= look.config.match_voltage
    return apart and abs(look.status.current) <= look.config.zero_current


def _leaves(look: Look) -> bool:
    return look.target != look.outlet or not look.working


def _wanted(look: Look) -> bool:
    return look.target != ALL_OPEN and look.working


_S = Stage
_KNOWN = frozenset(Stage) - {Stage.UNKNOWN, Stage.STUCK}


def _row(sources: Stage | frozenset[Stage], text: str, test: Test, target: Stage, stuck: str = "") -> Row:
    return Row(sources if isinstance(sources, frozenset) else frozenset({sources}), text, test, target, stuck)


TABLE: tuple[Row, ...] = (
    _row(frozenset(Stage) - {_S.STUCK}, "two switches are seen closed", lambda look: len(look.closed) > 1, _S.STUCK,
         "connects two outlets"),
    _row(_KNOWN, "its status is stale", lambda look: look.status is None, _S.UNKNOWN),
    _row(_S.UNKNOWN, "one switch is seen closed", lambda look: len(look.closed) == 1, _S.CONNECTED),
    _row(_S.UNKNOWN, "all switches are seen open, and one is driven", lambda look: look.status is not None and look.status.driven != ALL_OPEN,
         _S.OPENING),
    _row(_S.UNKNOWN, "all switches are seen open, and none is driven", lambda look: look.status is not None, _S.APART),
    _row(frozenset({_S.APART, _S.MATCHING}), "a switch is seen closed", lambda look: bool(look.closed), _S.STUCK,
         "has a switch that closed by itself"),
    _row(_S.APART, "an outlet is its target, settled, and it works", lambda look: _wanted(look) and look.settled, _S.MATCHING),
    _row(_S.MATCHING, "its target is another one or not settled, or it does not work",
         lambda look: look.target != look.outlet or not look.working or not look.settled, _S.APART),
    _row(_S.MATCHING, "its voltage is within `match_voltage` of the outlet's, all switches are seen open, its current is 0", _matched, _S.CLOSING),
    _row(_S.CLOSING, "its switch, and no other, is seen closed", lambda look: look.closed == {look.outlet}, _S.CONNECTED),
    _row(_S.CLOSING, "another switch is seen closed", lambda look: bool(look.closed), _S.STUCK, "closed another switch than it was told to"),
    _row(_S.CLOSING, "after `switch_time`", lambda look: look.elapsed > look.config.switch_time, _S.STUCK, "has a switch that does not close"),
    _row(frozenset({_S.CONNECTED, _S.RELEASING}), "its switch is not seen closed", lambda look: look.closed != {look.outlet}, _S.STUCK,
         "has a switch that opened by itself"),
    _row(_S.CONNECTED, "its target is another one, or it does not work", _leaves, _S.RELEASING),
    _row(_S.RELEASING, "its target is this outlet again and it works", lambda look: not _leaves(look), _S.CONNECTED),
    _row(_S.RELEASING, "its current is 0 and it was told to give none",
         lambda look: look.status is not None and look.status.duty == Duty.STOP and abs(look.status.current) <= look.config.zero_current, _S.OPENING),
    _row(_S.OPENING, "all switches are seen open, and none is driven",
         lambda look: not look.closed and look.status is not None and look.status.driven == ALL_OPEN, _S.APART),
    _row(_S.OPENING, "after `switch_time`", lambda look: look.elapsed > look.config.switch_time, _S.STUCK, "has a switch that does not open"),
)  # fmt: skip


@dataclass(slots=True)
class Mover:
    """One module on its way. `outlet` is the one that its stage is about (0: none), `words` say what is wrong with a STUCK one."""

    config: SwitchingConfig
    stage: Stage = Stage.UNKNOWN
    outlet: int = ALL_OPEN
    words: str = ""
    unmatched_until: float = 0.0
    _entered: float = 0.0
    _duty: Duty = field(default=Duty.RUN)

    def step(
        self, status: ModuleStatus | None, target: int, target_status: OutletStatus | None, settled: bool, now: float, duty: Duty = Duty.RUN
    ) -> ModuleCommand:
        """Go on to now [s] with what is known, towards the target outlet; return what the module is told. `duty` counts while it is CONNECTED."""
        self._duty = duty
        look = Look(self.config, self.stage, now - self._entered, self.outlet, target, status, target_status, settled)
        row = next((row for row in TABLE if self.stage in row.sources and row.test(look)), None)
        if row is not None:
            self._enter(row, look, now)
        elif self.stage is Stage.MATCHING and look.elapsed > self.config.match_time:
            self.unmatched_until = now + self.config.retry_time
            self._set(Stage.APART, ALL_OPEN, now)
        return self._command(target_status)

    def reset(self) -> bool:
        """Forget that the module is stuck, because somebody has looked at it; it is looked at anew. Return whether it was."""
        was = self.stage is Stage.STUCK
        if was:
            self.stage, self.outlet, self.words = Stage.UNKNOWN, ALL_OPEN, ""
        return was

    def _enter(self, row: Row, look: Look, now: float) -> None:
        outlets = {Stage.MATCHING: look.target, Stage.APART: ALL_OPEN, Stage.UNKNOWN: ALL_OPEN}
        outlet = outlets.get(row.target, self.outlet)
        if self.stage is Stage.UNKNOWN and row.target is Stage.CONNECTED:
            outlet = next(iter(look.closed))
        self.words = row.stuck
        self._set(row.target, outlet, now)

    def _set(self, stage: Stage, outlet: int, now: float) -> None:
        self.stage, self.outlet, self._entered = stage, outlet, now

    def _command(self, target_status: OutletStatus | None) -> ModuleCommand:
        voltage = target_status.voltage if target_status is not None and isfinite(target_status.voltage) else nan
        if self.stage in (Stage.APART, Stage.OPENING, Stage.STUCK):
            # A switch that sticks is told to open on: the interlock opens it only without current.
            return ModuleCommand(ALL_OPEN)
        if self.stage is Stage.MATCHING:
            return ModuleCommand(ALL_OPEN, voltage=voltage)
        if self.stage is Stage.UNKNOWN:
            return ModuleCommand(HOLD)
        duty = self._duty if self.stage is Stage.CONNECTED else Duty.STOP
        return ModuleCommand(self.outlet, duty, voltage if self.stage is Stage.CLOSING else 0.0)


def checked(command: ModuleCommand, status: ModuleStatus | None) -> ModuleCommand:
    """Return the command, or one that holds everything where it could connect two outlets: no switch is asked to close unless all others are seen open."""
    if command.switch in (ALL_OPEN, HOLD):
        return command
    safe = status is not None and status.closed <= {command.switch} and status.driven in (ALL_OPEN, command.switch)
    return command if safe else replace(command, switch=HOLD, duty=Duty.STOP)


def switching_markdown() -> str:
    """Return the table for docs/states.md."""
    lines = ["| from | when | to |", "| --- | --- | --- |"]
    for row in TABLE:
        sources = (
            "any but STUCK" if row.sources == frozenset(Stage) - {Stage.STUCK} else ", ".join(stage.name for stage in sorted(row.sources))
        )
        lines.append(f"| {sources} | {row.text} | {row.target.name}{f': it {row.stuck}' if row.stuck else ''} |")
    return "\n".join(lines)
