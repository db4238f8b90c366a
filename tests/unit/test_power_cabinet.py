"""The simulated cabinet's interlock: it trusts no command, and what it refuses it counts."""

import pytest

from evse_core.codecs.cabinet import ALL_OPEN, HOLD, CabinetReceiver, Duty, ModuleCommand, command_frame
from evse_core.module_allocator import Cabinet, ModuleRating
from evse_core.module_demand import OutletRating
from evse_nodes import databases
from evse_simulators.cabinet_converter import PowerCabinetConfig
from evse_simulators.faults import CABINET, MODULES, of
from evse_simulators.power_cabinet import PowerCabinetModel

DATABASE, POWER = databases.load("cabinet"), databases.load("evse_v3")
TWO = frozenset({1, 2})
CONTENT = Cabinet(
    tuple(ModuleRating(number, 100.0, 30e3, 1000.0, TWO if number < 3 else frozenset({2})) for number in (1, 2, 3)),
    tuple(OutletRating(outlet, 200.0, 60e3, 1000.0) for outlet in (1, 2)),
)
STEP = 0.025


class Bench:
    """A cabinet, its clock, and what it says; commands are repeated until they are changed."""

    def __init__(self) -> None:
        self.model = PowerCabinetModel(PowerCabinetConfig(), CONTENT, DATABASE, POWER)
        self.said = CabinetReceiver(DATABASE)
        self.commands: dict[int, ModuleCommand] = {}
        self.now, self.alive = 0.0, 0

    def run(self, seconds: float) -> "Bench":
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self.alive += 1
            for module, command in self.commands.items():
                self.model.on_frame(command_frame(DATABASE, module, command, self.alive), self.now)
            for frame in self.model.step(self.now):
                self.said.receive(frame, self.now)
        return self

    def connect(self, module: int, outlet: int) -> None:
        self.commands[module] = ModuleCommand(outlet, Duty.RUN)
        self.run(0.3)
        assert self.model.converters[module].closed == {outlet}

    def live(self, outlet: int, voltage: float) -> None:
        self.model.outlets[outlet].state.module_voltage = voltage


def test_a_switch_closes_and_is_told() -> None:
    bench = Bench()
    bench.connect(1, 2)
    status = bench.said.modules[1].value
    assert (status.closed, status.driven, status.working, status.duty) == ({2}, 2, True, Duty.RUN)
    assert bench.said.counters[1].operations == 0 or bench.said.counters[1].operations == 1
    bench.run(1.0)
    assert bench.said.counters[1].operations == 1


def test_no_second_switch_of_a_module_closes() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.commands[1] = ModuleCommand(2, Duty.STOP)
    bench.run(1.0)
    assert bench.model.converters[1].closed == {1}
    assert (bench.model.refusals.outlets, bench.said.state.refused_outlets, bench.model.truth.bridged) == (1, 1, 0)
    assert bench.said.modules[1].value.refused


def test_no_other_switch_closes_where_one_has_welded() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.model.inject("cabinet_switch_welded", True, module=1)
    bench.commands[1] = ModuleCommand(ALL_OPEN)
    bench.run(0.5)
    assert bench.model.converters[1].closed == {1}
    assert bench.said.modules[1].value.driven == ALL_OPEN
    bench.commands[1] = ModuleCommand(2)
    bench.run(0.5)
    assert bench.model.converters[1].closed == {1}
    assert (bench.model.refusals.outlets, bench.model.truth.bridged) == (1, 0)


def test_a_switch_that_does_not_exist_does_not_close() -> None:
    bench = Bench()
    bench.commands[3] = ModuleCommand(1)
    bench.run(0.5)
    assert bench.model.converters[3].closed == frozenset()
    assert bench.model.refusals.outlets == 1


@pytest.mark.parametrize(("voltage", "closes"), [(19.0, True), (21.0, False)])
def test_a_switch_closes_only_between_equal_voltages(voltage: float, closes: bool) -> None:
    bench = Bench()
    bench.live(1, voltage)
    bench.commands[1] = ModuleCommand(1)
    bench.run(0.5)
    assert bool(bench.model.converters[1].closed) is closes
    assert bench.model.refusals.voltage == (not closes)


def test_a_module_brings_its_output_to_the_commanded_voltage_first() -> None:
    bench = Bench()
    bench.live(1, 400.0)
    bench.commands[1] = ModuleCommand(ALL_OPEN, voltage=400.0)
    bench.run(1.0)
    assert bench.said.modules[1].value.voltage == pytest.approx(400.0)
    bench.connect(1, 1)
    assert bench.model.refusals.voltage == 0


def test_no_switch_opens_under_current() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.model.converters[1].current = 30.0
    bench.commands[1] = ModuleCommand(ALL_OPEN, Duty.RUN)
    bench.run(0.5)
    assert bench.model.converters[1].closed == {1}
    assert (bench.model.refusals.current, bench.model.truth.moved_under_current) == (1, 0)


def test_without_commands_no_switch_moves_and_what_runs_goes_on() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.commands.clear()
    bench.run(5.0)
    assert (bench.model.converters[1].closed, bench.model.converters[1].duty) == ({1}, Duty.RUN)
    frame = command_frame(DATABASE, 1, ModuleCommand(ALL_OPEN), bench.alive)
    bench.model.on_frame(frame, bench.now - 0.21)
    bench.run(0.5)
    assert bench.model.converters[1].closed == {1}


def test_a_command_whose_counter_stands_expires() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.commands.clear()
    bench.run(1.0)
    frame = command_frame(DATABASE, 1, ModuleCommand(HOLD, Duty.STOP), 7)
    for _ in range(20):
        bench.model.on_frame(frame, bench.now)
        bench.run(STEP)
    assert bench.model.converters[1].duty == Duty.STOP
    stopped = command_frame(DATABASE, 1, ModuleCommand(ALL_OPEN, Duty.STOP), 7)
    bench.model.on_frame(stopped, bench.now)
    bench.run(1.0)
    assert bench.model.converters[1].closed == {1}


def test_a_frozen_module_repeats_itself_and_is_not_known_any_more() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.model.inject("cabinet_status_frozen", True, module=1)
    bench.run(1.0)
    assert bench.now - bench.said.modules[1].received > 0.8
    assert bench.now - bench.said.modules[2].received < 0.2


def test_a_silent_cabinet_says_nothing() -> None:
    bench = Bench()
    bench.run(0.5)
    bench.model.inject("cabinet_silent", True)
    bench.run(1.0)
    assert bench.now - bench.said.heard > 0.9


def test_a_switch_that_sticks_open_does_not_close() -> None:
    bench = Bench()
    bench.model.inject("cabinet_switch_stuck_open", True, module=1)
    bench.commands[1] = ModuleCommand(1)
    bench.run(0.5)
    assert bench.model.converters[1].closed == frozenset()
    assert bench.said.modules[1].value.driven == 1


def test_a_switch_that_does_not_close_any_more_stays_closed_until_it_opens() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.model.inject("cabinet_switch_stuck_open", True, module=1)
    bench.run(0.5)
    assert bench.model.converters[1].closed == {1}
    bench.commands[1] = ModuleCommand(ALL_OPEN)
    bench.run(0.5)
    bench.commands[1] = ModuleCommand(1)
    bench.run(0.5)
    assert bench.model.converters[1].closed == frozenset()


def test_a_dead_module_gives_nothing_and_says_so() -> None:
    bench = Bench()
    bench.connect(1, 1)
    bench.model.inject("cabinet_module_dies", True, outlet=1)
    bench.run(0.2)
    assert not bench.said.modules[1].value.working
    assert bench.model.outlets[1].offered_current() == 0.0


@pytest.mark.parametrize("name", of(CABINET))
def test_every_fault_can_be_broken_and_healed_at_an_outlet(name: str) -> None:
    bench = Bench()
    bench.connect(1, 1)
    assert bench.model.outlets[1].inject(name, True).success
    assert name in bench.model.faults
    assert bench.model.outlets[1].inject(name, False).success
    converter = bench.model.converters[1]
    assert (converter.working, converter.welded, converter.stuck_open, converter.frozen) == (True, False, False, False)


@pytest.mark.parametrize("name", of(MODULES))
def test_an_outlet_knows_the_faults_of_a_bank_too(name: str) -> None:
    assert Bench().model.outlets[2].inject(name, True).success


def test_an_unknown_fault_or_module_is_refused() -> None:
    bench = Bench()
    assert not bench.model.outlets[1].inject("no_such_fault", True).success
    assert not bench.model.inject("cabinet_module_dies", True, module=9).success
