"""The simulated I/O board against a scripted station: outputs with their delays, watchdog, sensors, token frames, faults."""

from dataclasses import replace

import pytest

from evse_core.types import SimPower, SimVehicleLines
from evse_nodes import databases
from evse_simulators.io_board import HOLD, LOCK, UNLOCK, IoBoardConfig, IoBoardModel

DATABASE = databases.load("io_board")
STEP = 0.05


class Bench:
    """A board, a station that repeats its command, a vehicle and a DC path."""

    def __init__(self, **changes: float) -> None:
        self.model = IoBoardModel(IoBoardConfig(**changes), DATABASE)
        self.now = 10.0
        self.command: dict[str, float] | None = {}
        self.vehicle = SimVehicleLines(plugged=True, permission=True, battery_voltage=360.0)
        self.power: SimPower | None = SimPower(0.0, 0.0, 0.0, 0.0, 5e6)
        self.log: list[tuple[float, str, dict[str, float]]] = []
        self.out = None

    def run(self, seconds: float, step: float = STEP) -> "Bench":
        for _ in range(max(round(seconds / step), 1)):
            self.now += step
            if self.command is not None:
                self.model.on_frame(DATABASE.encode("IO_Outputs", self.command), self.now)
            self.model.on_vehicle_lines(self.vehicle, self.now)
            if self.power is not None:
                self.model.on_power(self.power, self.now)
            self.out = self.model.step(self.now)
            for frame in self.out.frames:
                decoded = DATABASE.decode(frame)
                self.log.append((self.now, decoded.name, dict(decoded.signals)))
        return self

    def said(self, name: str) -> dict[str, float]:
        return next(signals for _, found, signals in reversed(self.log) if found == name)

    @property
    def inputs(self) -> dict[str, float]:
        return self.said("IO_Inputs")


ALL_ON = {"Sequence_1": 1, "Sequence_2": 1, "Close_Contactor": 1, "Lock_Command": LOCK}


def energised() -> Bench:
    bench = Bench()
    bench.command = dict(ALL_ON)
    return bench.run(1.5)


def test_outputs_follow_the_command_and_feedback_returns():
    bench = energised()
    assert (bench.out.lines.sequence_1, bench.out.lines.sequence_2, bench.out.lines.locked, bench.out.lines.contactor_closed) == (True,) * 4
    assert (bench.inputs["Locked"], bench.inputs["Contactor_Closed"]) == (1.0, 1.0)


def test_inputs_come_every_50_ms_and_at_once_on_a_change():
    bench = Bench().run(2.0)
    assert len([1 for _, name, _ in bench.log if name == "IO_Inputs"]) == pytest.approx(40, abs=1)
    bench.vehicle = replace(bench.vehicle, permission=False)
    bench.run(0.001, 0.001)
    assert bench.inputs["Permission_K"] == 0.0
    counts = [signals["Alive"] for _, name, signals in bench.log if name == "IO_Inputs"]
    assert len(set(counts)) == len(counts)


def test_the_lock_takes_its_time_and_holds_on_hold():
    bench = Bench(lock_time=0.6)
    bench.command = {"Lock_Command": LOCK}
    assert not bench.run(0.4).out.lines.locked
    assert bench.run(0.4).out.lines.locked
    bench.command = {"Lock_Command": HOLD}
    assert bench.run(2.0).out.lines.locked
    bench.command = {"Lock_Command": UNLOCK}
    assert not bench.run(0.1).out.lines.locked


def test_the_contactor_closes_and_opens_after_its_time():
    bench = Bench(contactor_close_time=0.05, contactor_open_time=0.03)
    bench.run(0.1)
    bench.command = {"Close_Contactor": 1}
    bench.run(0.04, 0.01)
    assert not bench.out.lines.contactor_closed
    assert bench.run(0.03, 0.01).out.lines.contactor_closed
    bench.command = {}
    bench.run(0.02, 0.01)
    assert bench.out.lines.contactor_closed
    assert not bench.run(0.03, 0.01).out.lines.contactor_closed


def test_a_silent_station_opens_everything_but_the_lock_after_200_ms():
    bench = energised()
    bench.command = None
    assert bench.run(0.18, 0.01).out.lines.contactor_closed
    bench.run(0.07, 0.01)
    lines = bench.out.lines
    assert (lines.sequence_1, lines.sequence_2, lines.contactor_closed, lines.locked) == (False, False, False, True)
    assert bench.inputs["Board_Watchdog_Tripped"] == 1.0
    bench.command = dict(ALL_ON)
    assert bench.run(0.2).inputs["Board_Watchdog_Tripped"] == 0.0


def test_the_emergency_stop_drops_contactor_and_ready_signal_by_hardware():
    bench = energised()
    bench.model.inject("emergency_stop", True)
    assert bench.run(0.01, 0.01).inputs["Emergency_Stop"] == 1.0
    bench.run(0.2, 0.01)
    assert (bench.out.lines.contactor_closed, bench.out.lines.sequence_2, bench.out.lines.locked) == (False, False, True)


@pytest.mark.parametrize("count", [1, 3, 256])
def test_presses_are_counted_modulo_256(count: int):
    bench = Bench().run(0.1)
    for _ in range(count):
        bench.model.press_start()
        bench.model.press_stop()
    bench.run(0.1)
    assert (bench.inputs["Start_Count"], bench.inputs["Stop_Count"]) == (count % 256, count % 256)


@pytest.mark.parametrize("token", ["04A1B2C3", "04a1b2c3d4e5f6", "04A1B2C3D4E5F6071829"])
def test_a_token_comes_three_times_at_once_and_every_second(token: str):
    bench = Bench().run(1.0)
    assert bench.said("IO_Token")["Length"] == 0.0
    assert bench.model.present_token(token).success
    bench.log.clear()
    bench.run(3.0)
    frames = [(at, signals) for at, name, signals in bench.log if name == "IO_Token" and signals["Part"] == 0.0]
    assert len(frames) == 6
    assert frames[2][0] - frames[0][0] < 0.2
    octets = {name: value for _, name_, signals in bench.log if name_ == "IO_Token" for name, value in signals.items() if "Byte" in name}
    length = int(frames[0][1]["Length"])
    assert bytes(int(octets[f"Byte{index}"]) for index in range(length)).hex().upper() == token.upper()
    assert {signals["Sequence"] for _, signals in frames} == {1.0}


@pytest.mark.parametrize("token", ["", "04A1B2", "04A1B2C3D4", "04A1B2CX", "04A1 2C3", "é4A1B2C3"])
def test_what_is_no_uid_is_refused(token: str):
    assert not Bench().model.present_token(token).success


def test_tokens_are_counted_modulo_16():
    bench = Bench()
    for _ in range(17):
        bench.model.present_token("04A1B2C3")
    assert bench.run(0.1).said("IO_Token")["Sequence"] == 1.0


# A cable that needs no coolant: neither flow [L/min] nor temperature [degC] is fitted.
NO_COOLANT = {"Coolant_Flow": pytest.approx(25.5), "Coolant_Temperature": 215.0}


def test_measurements_are_those_of_the_dc_path():
    bench = Bench()
    bench.power = SimPower(0.0, 410.0, 409.6, 100.0, 123e3)
    measured = bench.run(0.2).said("IO_Measurements")
    assert measured == {
        "Connector_Voltage": pytest.approx(409.6),
        "Connector_Temperature": 20.0,
        "Insulation_Resistance": 123.0,
        **NO_COOLANT,
    }


def test_what_is_not_fitted_says_so():
    bench = Bench(voltage_measured=False, temperature_measured=False, insulation_monitor=False)
    measured = bench.run(0.2).said("IO_Measurements")
    assert measured == {
        "Connector_Voltage": pytest.approx(6553.5),
        "Connector_Temperature": 215.0,
        "Insulation_Resistance": 65535.0,
        **NO_COOLANT,
    }


def test_without_simulated_modules_nothing_is_measured():
    bench = Bench()
    bench.power = None
    assert bench.run(1.0).said("IO_Measurements")["Connector_Voltage"] == pytest.approx(6553.5)


@pytest.mark.parametrize(("closed", "voltage"), [(False, 0.0), (True, 360.0)])
def test_when_the_modules_simulator_dies_the_connector_discharges_or_shows_the_battery(closed: bool, voltage: float):
    bench = Bench()
    bench.power = SimPower(0.0, 400.0, 400.0, 0.0, 5e6)
    bench.vehicle = replace(bench.vehicle, contactor_closed=closed)
    bench.run(0.5)
    bench.power = None
    assert bench.run(3.0).said("IO_Measurements")["Connector_Voltage"] == pytest.approx(voltage, abs=1.0)


def test_contacts_warm_a_little_with_the_current_and_a_worn_one_much():
    bench = Bench()
    bench.power = SimPower(0.0, 400.0, 400.0, 100.0, 5e6)
    assert 20.0 < bench.run(60.0).model.temperature < 30.0
    bench.model.inject("connector_hot", True)
    assert bench.run(20.0).model.temperature > 90.0
    bench.power = replace(bench.power, current=0.0)
    hot = bench.model.temperature
    assert bench.run(20.0).model.temperature < hot


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff" * 8])
def test_garbage_does_not_stop_the_board(data: bytes):
    bench = Bench()
    bench.model.on_frame(replace(DATABASE.encode("IO_Outputs", {}), data=data), bench.now)
    bench.model.on_frame(replace(DATABASE.encode("IO_Outputs", {}), id=0x7FF), bench.now)
    assert bench.run(0.2).inputs["Plugged"] == 1.0


def test_the_boards_own_frames_are_no_commands():
    bench = Bench()
    bench.command = None
    frame = DATABASE.encode("IO_Inputs", {"Plugged": 1, "Proximity_Fault": 1, "Permission_K": 1})
    bench.model.on_frame(frame, bench.now)
    assert not bench.run(0.05).out.lines.sequence_1


@pytest.mark.parametrize(
    ("fault", "signal", "value"),
    [
        ("emergency_stop", "Emergency_Stop", 1.0),
        ("door_open", "Door_Open", 1.0),
        ("earth_lost", "Earth_Ok", 0.0),
        ("residual_current", "Residual_Current_Trip", 1.0),
        ("tilted", "Tilted", 1.0),
        ("proximity_fault", "Proximity_Fault", 1.0),
        ("lock_lost", "Locked", 0.0),
        ("contactor_stuck_open", "Contactor_Closed", 0.0),
    ],
)
def test_each_fault_is_seen_by_the_station_and_heals(fault: str, signal: str, value: float):
    bench = energised()
    assert bench.inputs[signal] != value
    bench.model.inject(fault, True)
    assert bench.run(0.2).inputs[signal] == value
    bench.model.inject(fault, False)
    assert bench.run(1.0).inputs[signal] != value


def test_a_stuck_lock_stays_where_it_is():
    bench = energised()
    bench.model.inject("lock_stuck", True)
    bench.command = {"Lock_Command": UNLOCK}
    assert bench.run(2.0).out.lines.locked


def test_a_welded_contactor_stays_closed():
    bench = energised()
    bench.model.inject("contactor_welded", True)
    bench.command = {}
    assert bench.run(1.0).inputs["Contactor_Closed"] == 1.0
    bench.model.inject("contactor_welded", False)
    assert bench.run(0.2).inputs["Contactor_Closed"] == 0.0


def test_a_stopped_processor_says_nothing_hears_nothing_and_its_watchdog_opens():
    bench = energised()
    bench.model.inject("io_board_silent", True)
    count = len(bench.log)
    bench.run(0.5)
    assert len(bench.log) == count
    assert (bench.out.lines.contactor_closed, bench.out.lines.sequence_1, bench.out.lines.locked) == (False, False, True)


def test_an_impact_shows_for_a_second_after_it():
    bench = energised()
    bench.model.inject("impact", True)
    assert bench.run(0.05).inputs["Impact"] == 1.0
    bench.model.inject("impact", False)
    assert bench.run(0.9).inputs["Impact"] == 1.0
    assert bench.run(0.2).inputs["Impact"] == 0.0


@pytest.mark.parametrize(("fault", "value"), [("pilot_short", 2.0), ("pilot_diode", 3.0)])
def test_a_control_pilot_shows_its_faults_only_where_one_is_fitted(fault: str, value: float):
    fitted, not_fitted = Bench(has_control_pilot=True).run(0.2), Bench().run(0.2)
    assert (fitted.inputs["Pilot_Fault"], not_fitted.inputs["Pilot_Fault"]) == (1.0, 0.0)
    for bench in (fitted, not_fitted):
        bench.model.inject(fault, True)
        bench.run(0.2)
    assert (fitted.inputs["Pilot_Fault"], not_fitted.inputs["Pilot_Fault"]) == (value, 0.0)


def phases(bench: Bench) -> list[float]:
    return [bench.said("IO_Currents")[f"AC_Current_L{number}"] for number in (1, 2, 3)]


def test_ac_currents_follow_what_is_signalled_and_a_phase_that_is_not_fitted_says_so():
    bench = Bench(ac_phases=2)
    bench.command = {**ALL_ON, "Pilot_Current": 16.0}
    assert phases(bench.run(1.5)) == [16.0, 16.0, 6553.5]
    bench.model.inject("ac_over_current", True)
    assert phases(bench.run(0.2)) == [pytest.approx(21.8), pytest.approx(21.8), 6553.5]
    bench.command = dict(ALL_ON, Pilot_Current=6553.5)
    assert phases(bench.run(0.2)) == [0.0, 0.0, 6553.5]


def test_ac_currents_that_are_lost_come_no_more_and_a_board_without_them_never_sends_any():
    bench = Bench(ac_phases=3).run(1.0)
    count = sum(name == "IO_Currents" for _, name, _ in bench.log)
    assert count == pytest.approx(10, abs=1)
    bench.model.inject("ac_current_lost", True)
    bench.run(1.0)
    assert sum(name == "IO_Currents" for _, name, _ in bench.log) == count
    assert not [name for _, name, _ in Bench().run(1.0).log if name == "IO_Currents"]


def test_a_worn_contact_warms_more_than_a_good_one():
    worn, good = Bench(), Bench()
    worn.model.inject("connector_worn", True)
    for bench in (worn, good):
        bench.power = SimPower(0.0, 400.0, 400.0, 100.0, 5e6)
        bench.run(30.0)
    assert worn.model.temperature > good.model.temperature + 15.0
