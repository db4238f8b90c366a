"""A module on its way from outlet to outlet: every row of the table, and what no sequence of reports may bring about."""

from dataclasses import dataclass, replace
from math import nan
from random import Random

import pytest

from evse_core.codecs.cabinet import ALL_OPEN, HOLD, Duty, ModuleCommand, ModuleStatus, OutletStatus
from evse_core.module_switching import TABLE, Mover, Stage, SwitchingConfig, checked

S = Stage
CONFIG = SwitchingConfig()
APART = ModuleStatus(working=True, voltage=0.0, current=0.0)
LIVE = OutletStatus(400.0, 50.0, 60.0)


def at(outlet: int, current: float = 0.0, **change: object) -> ModuleStatus:
    """Return a module whose switch to an outlet is driven and closed."""
    return replace(APART, closed=frozenset({outlet}), driven=outlet, voltage=400.0, current=current, duty=Duty.RUN, **change)


TORN = replace(APART, closed=frozenset({1, 2}), driven=1)


@dataclass(frozen=True)
class Case:
    """A stage, about an outlet, with a target: what is reported for so long, and where that leads."""

    stage: Stage
    outlet: int
    target: int
    status: ModuleStatus | None
    to: Stage
    wait: float = 0.0  # [s]
    settled: bool = True


CASES = (
    Case(S.UNKNOWN, 0, 0, TORN, S.STUCK),
    Case(S.CONNECTED, 1, 1, None, S.UNKNOWN),
    Case(S.UNKNOWN, 0, 0, at(2), S.CONNECTED),
    Case(S.UNKNOWN, 0, 0, replace(APART, driven=2), S.OPENING),
    Case(S.UNKNOWN, 0, 0, APART, S.APART),
    Case(S.MATCHING, 1, 1, at(2), S.STUCK),
    Case(S.APART, 0, 1, APART, S.MATCHING),
    Case(S.MATCHING, 1, 2, APART, S.APART),
    Case(S.MATCHING, 1, 1, replace(APART, voltage=381.0), S.CLOSING),
    Case(S.CLOSING, 1, 1, at(1), S.CONNECTED),
    Case(S.CLOSING, 1, 1, at(2), S.STUCK),
    Case(S.CLOSING, 1, 1, replace(APART, driven=1), S.STUCK, wait=CONFIG.switch_time + 0.01),
    Case(S.CONNECTED, 1, 1, APART, S.STUCK),
    Case(S.CONNECTED, 1, 2, at(1, 20.0), S.RELEASING),
    Case(S.RELEASING, 1, 1, at(1, 20.0), S.CONNECTED),
    Case(S.RELEASING, 1, 2, replace(at(1), duty=Duty.STOP), S.OPENING),
    Case(S.OPENING, 1, 2, APART, S.APART),
    Case(S.OPENING, 1, 2, at(1), S.STUCK, wait=CONFIG.switch_time + 0.01),
)
STAYS = (
    Case(S.UNKNOWN, 0, 1, None, S.UNKNOWN),
    Case(S.APART, 0, 0, APART, S.APART),
    Case(S.APART, 0, 1, APART, S.APART, settled=False),
    Case(S.APART, 0, 1, replace(APART, working=False), S.APART),
    Case(S.MATCHING, 1, 1, replace(APART, voltage=379.0), S.MATCHING),
    Case(S.MATCHING, 1, 1, replace(APART, voltage=421.0), S.MATCHING),
    Case(S.MATCHING, 1, 1, replace(APART, voltage=nan), S.MATCHING),
    Case(S.MATCHING, 1, 1, replace(APART, voltage=400.0, current=1.5), S.MATCHING),
    Case(S.CLOSING, 1, 2, replace(APART, driven=1), S.CLOSING),
    Case(S.RELEASING, 1, 2, replace(at(1, 1.5), duty=Duty.STOP), S.RELEASING),
    Case(S.RELEASING, 1, 2, at(1, 0.0), S.RELEASING),
    Case(S.OPENING, 1, 2, replace(APART, driven=1), S.OPENING),
    Case(S.STUCK, 1, 1, at(1), S.STUCK, wait=1e6),
    Case(S.STUCK, 1, 2, APART, S.STUCK, wait=1e6),
)


def mover(case: Case) -> Mover:
    return Mover(CONFIG, case.stage, case.outlet, _entered=1000.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.stage.name}-{case.to.name}")
def test_a_module_goes_on(case: Case) -> None:
    one = mover(case)
    one.step(case.status, case.target, LIVE, case.settled, 1000.0 + case.wait)
    assert one.stage is case.to
    assert bool(one.words) is (case.to is S.STUCK)


@pytest.mark.parametrize("case", STAYS, ids=lambda case: case.stage.name)
def test_a_module_stays(case: Case) -> None:
    one = mover(case)
    one.step(case.status, case.target, LIVE, case.settled, 1000.0 + case.wait)
    assert one.stage is case.to


def test_every_row_has_a_case() -> None:
    taken = {next(row for row in TABLE if case.stage in row.sources and case.to is row.target) for case in CASES}
    assert {(row.target, row.stuck) for row in TABLE} == {(row.target, row.stuck) for row in taken} | {
        (row.target, row.stuck) for row in TABLE if row.target is S.STUCK
    }
    stuck = set()
    for case in CASES:
        one = mover(case)
        one.step(case.status, case.target, LIVE, case.settled, 1000.0 + case.wait)
        stuck.add(one.words)
    assert {row.stuck for row in TABLE} == stuck


def test_without_the_outlets_voltage_no_switch_closes() -> None:
    one = Mover(CONFIG, S.MATCHING, 1)
    one.step(replace(APART, voltage=0.0), 1, None, True, 1.0)
    assert one.stage is S.MATCHING


def test_a_module_that_does_not_match_is_tried_later() -> None:
    one = Mover(CONFIG, S.MATCHING, 1)
    one.step(APART, 1, LIVE, True, CONFIG.match_time + 0.1)
    assert one.stage is S.APART
    assert one.unmatched_until == pytest.approx(CONFIG.match_time + 0.1 + CONFIG.retry_time)


def test_a_module_that_was_mended_is_looked_at_anew() -> None:
    one = Mover(CONFIG, S.STUCK, 1, "has a switch that does not open")
    assert one.reset()
    one.step(at(1), 1, LIVE, True, 1.0)
    assert (one.stage, one.outlet, one.words) == (S.CONNECTED, 1, "")
    assert not one.reset()


def test_the_order_of_a_move() -> None:
    """The whole way from outlet 1 to outlet 2 against a cabinet that does what it is told, 50 ms later."""
    one, status, stages, now = Mover(CONFIG), at(1, 30.0), [], 0.0
    target = 1
    for _ in range(60):
        now += 0.05
        target = 2 if now > 0.2 else 1
        outlet = LIVE if target == 1 else OutletStatus(700.0, 0.0, 0.0)
        command = one.step(status, target, outlet, True, now)
        stages += [one.stage] if not stages or stages[-1] is not one.stage else []
        driven = status.driven if command.switch == HOLD else command.switch
        closed = frozenset({driven}) if driven else frozenset()
        voltage = {0: command.voltage, 1: 400.0, 2: 700.0}[driven]
        status = replace(
            status,
            driven=driven,
            closed=closed,
            duty=command.duty,
            current=status.current if command.duty == Duty.RUN else 0.0,
            voltage=voltage,
        )
    assert stages == [S.CONNECTED, S.RELEASING, S.OPENING, S.APART, S.MATCHING, S.CLOSING, S.CONNECTED]
    assert status.closed == {2}


def random_status(random: Random) -> ModuleStatus | None:
    if random.random() < 0.15:
        return None
    return ModuleStatus(
        frozenset(random.choice(((), (), (1,), (2,), (3,), (1, 2)))),
        random.randrange(4),
        random.random() < 0.8,
        random.choice(list(Duty)),
        False,
        random.choice((0.0, 385.0, 400.0, 415.0, 600.0, nan)),
        random.choice((0.0, 0.0, 0.5, 30.0, nan)),
    )


@pytest.mark.parametrize("seed", range(200))
def test_whatever_is_reported_no_command_is_unsafe(seed: int) -> None:
    """No switch is asked to close unless all others are seen open, without current and at equal voltage; none to open with current by a module that is well."""
    random = Random(seed)
    one, now = Mover(CONFIG), 0.0
    for _ in range(200):
        now += random.choice((0.05, 0.05, 0.5, 2.0))
        status, outlet = random_status(random), random.choice((LIVE, LIVE, None, OutletStatus(0.0, 0.0, 0.0)))
        before = one.stage
        command = checked(one.step(status, random.randrange(4), outlet, random.random() < 0.8, now), status)
        if command.switch not in (ALL_OPEN, HOLD):
            assert status is not None
            assert status.closed <= {command.switch}
            if one.stage is S.CLOSING and before is not S.CLOSING:
                assert outlet is not None
                assert abs(status.current) <= CONFIG.zero_current
                assert abs(status.voltage - outlet.voltage) <= CONFIG.match_voltage
        if one.stage is S.OPENING and before is S.RELEASING:
            assert status is not None
            assert abs(status.current) <= CONFIG.zero_current
        if status is None:
            assert (command.switch, command.duty) == (ALL_OPEN if one.stage is S.STUCK else HOLD, Duty.STOP)
        if command.duty is not Duty.STOP:
            assert one.stage is S.CONNECTED


@pytest.mark.parametrize(
    ("command", "status", "passes"),
    [
        (ModuleCommand(1, Duty.RUN), at(1), True),
        (ModuleCommand(1, Duty.RUN), at(2), False),
        (ModuleCommand(1, Duty.RUN), replace(APART, driven=2), False),
        (ModuleCommand(1, Duty.RUN), TORN, False),
        (ModuleCommand(1, Duty.RUN), None, False),
        (ModuleCommand(1), APART, True),
        (ModuleCommand(ALL_OPEN), TORN, True),
        (ModuleCommand(HOLD), None, True),
    ],
)
def test_the_last_check_lets_no_command_pass_that_could_connect_two_outlets(
    command: ModuleCommand, status: ModuleStatus | None, passes: bool
) -> None:
    assert checked(command, status) == (command if passes else ModuleCommand(HOLD, Duty.STOP))
