"""The simulated power modules against a scripted controller: waking, ramps, supervision, discharge, heat, faults."""

from dataclasses import replace
from math import nan

import pytest

from evse_core.types import SimStationLines, SimVehicleLines
from evse_nodes import databases
from evse_simulators.power_modules import INSULATION_TEST, OFF, POWER_TRANSFER, PRECHARGE, STANDBY, PowerModulesModel
from evse_simulators.power_modules_config import PowerModulesConfig

DATABASE = databases.load("evse_v3")
STEP = 0.04


class Bench:
    """Modules, a controller that repeats its frames, and a battery."""

    def __init__(self, **changes: float) -> None:
        self.model = PowerModulesModel(PowerModulesConfig(**changes), DATABASE)
        self.now = 100.0
        self.heartbeat = self.session = True
        self.control: dict[str, float] | None = None
        self.station = SimStationLines(contactor_closed=True)
        self.vehicle = SimVehicleLines(plugged=True, contactor_closed=True, battery_voltage=360.0, battery_resistance=0.1)
        self.frames: list[tuple[float, str, dict[str, float]]] = []
        self.power = None
        self._beat = 0

    def send(self, name: str, **signals: float) -> None:
        self.model.on_frame(DATABASE.encode(name, signals, pistol=3), self.now)

    def run(self, seconds: float) -> "Bench":
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self._talk()
            self.model.on_station_lines(self.station, self.now)
            self.model.on_vehicle_lines(self.vehicle, self.now)
            output = self.model.step(self.now)
            self.power = output.power
            for frame in output.frames:
                assert frame.id >> 24 == 3
                decoded = DATABASE.decode(frame)
                self.frames.append((self.now, decoded.name, dict(decoded.signals)))
        return self

    def _talk(self) -> None:
        self._beat += 1
        if self._beat % 2:
            return
        if self.heartbeat:
            self.send("Advantics_Controller_Status", State=3)
        if self.session:
            self.send("New_Charge_Session", Communication_Protocol=4, Plug_and_pins=2)
        if self.control is not None:
            self.send("DC_Power_Control", **self.control)

    def command(self, function: int, voltage: float = 0.0, current: float = 0.0, lower: bool = False, closed: bool = True) -> "Bench":
        self.control = {
            "Power_Function": function,
            "Target_Voltage": voltage,
            "Current_Range_Max": current,
            "Current_Range_Min": current,
            "Lower_Output_Voltage": lower,
            "Output_Contactors": closed,
        }
        return self

    def named(self, name: str) -> list[dict[str, float]]:
        return [signals for _, found, signals in self.frames if found == name]

    @property
    def status(self) -> dict[str, float]:
        return self.named("Power_Modules_Status")[-1]


def charging(current: float = 40.0, seconds: float = 4.0, **changes: float) -> Bench:
    bench = Bench(**changes)
    bench.run(2.5).command(POWER_TRANSFER, 410.0, current).run(seconds)
    return bench


def test_modules_sleep_until_a_session_and_say_nothing():
    bench = Bench()
    bench.session = False
    assert not bench.run(3.0).frames


def test_modules_report_from_the_session_on_and_allow_power_after_the_wake_delay():
    bench = Bench(wake_delay=2.0).run(5.0)
    allowed = [at for at, name, signals in bench.frames if name == "Power_Modules_Status" and signals["System_Enable"]]
    refused = [at for at, name, signals in bench.frames if name == "Power_Modules_Status" and not signals["System_Enable"]]
    assert allowed[0] - refused[0] == pytest.approx(2.0, abs=0.15)
    assert max(refused) < min(allowed)
    assert len(bench.named("Power_Modules_Status")) == pytest.approx(50, abs=2)


def test_limits_are_told_once_at_the_start_of_a_session():
    limits = Bench().run(3.0).named("DC_Power_Parameters")
    assert len(limits) == 1
    assert (limits[0]["Maximum_Voltage"], limits[0]["Maximum_Charge_Current"], limits[0]["Maximum_Discharge_Current"]) == (
        500.0,
        125.0,
        0.0,
    )


def test_modules_fall_asleep_after_the_session():
    bench = Bench().run(3.0)
    bench.session = False
    bench.send("Charge_Session_Finished", State=0)
    bench.run(3.0)
    assert not bench.model.awake
    count = len(bench.frames)
    assert len(bench.run(1.0).frames) == count


def test_current_rises_at_20_ampere_per_second_and_falls_to_5_ampere_within_half_a_second():
    bench = charging(100.0, 2.25 + 0.04)
    assert bench.power.current == pytest.approx(40.0, abs=3.0)
    bench.run(4.0)
    assert bench.power.current == pytest.approx(100.0, abs=0.01)
    bench.command(POWER_TRANSFER, 410.0, 0.0).run(0.48)
    assert bench.power.current <= 5.0


def test_dead_time_delays_a_command():
    bench = charging(40.0, 4.0, dead_time=0.5)
    bench.command(OFF).run(0.44)
    assert bench.power.current == pytest.approx(40.0, abs=0.01)
    bench.run(0.4)
    assert bench.power.current <= 0.0


def test_insulation_test_reaches_its_voltage_with_2_ampere_at_most_and_reports_the_resistance():
    bench = Bench()
    bench.vehicle = replace(bench.vehicle, contactor_closed=False)
    bench.run(2.5).command(INSULATION_TEST, 460.0, 0.0).run(1.2)
    assert bench.status["Present_Voltage"] == pytest.approx(460.0, abs=0.2)
    assert bench.status["Insulation_Resistance"] == 510.0
    bench.model.inject("insulation_low", True)
    assert bench.run(0.2).status["Insulation_Resistance"] == pytest.approx(20.0, abs=2.0)


def test_precharge_never_gives_more_than_2_ampere():
    bench = Bench()
    bench.run(2.5).command(PRECHARGE, 410.0, 50.0).run(1.0)
    assert bench.power.current == pytest.approx(2.0, abs=0.01)


def test_lowering_needs_standby():
    bench = Bench()
    bench.vehicle = replace(bench.vehicle, contactor_closed=False)
    bench.run(2.5).command(INSULATION_TEST, 460.0).run(1.2)
    assert bench.command(OFF, lower=True).run(1.2).power.module_voltage > 400.0
    assert bench.command(STANDBY, lower=True).run(1.2).power.module_voltage < 20.0


def test_the_report_is_the_physics_rounded_to_the_wire():
    bench = charging(33.3)
    assert bench.status["Present_Current"] == pytest.approx(bench.power.current, abs=0.051)
    assert bench.status["Present_Voltage"] == pytest.approx(bench.power.module_voltage, abs=0.051)


@pytest.mark.parametrize(("current", "limit"), [(200.0, 125.0), (-5.0, 0.0)])
def test_ratings_bound_the_current(current: float, limit: float):
    assert charging(current, 8.0).power.current == pytest.approx(limit, abs=0.01)


def test_the_power_rating_bounds_the_current():
    bench = charging(125.0, 8.0, max_power=30e3)
    assert bench.power.current * bench.power.module_voltage == pytest.approx(30e3, rel=5e-3)


def test_silence_of_the_heartbeat_stops_power_within_300_ms_and_stays_until_off_was_commanded():
    bench = charging()
    bench.heartbeat = False
    bench.run(0.28)
    assert bench.power.current <= 0.0
    assert bench.run(0.12).status["System_Enable"] == 0.0
    bench.heartbeat = True
    bench.run(1.0)
    assert (bench.power.current <= 0.0, bench.status["System_Enable"]) == (True, 0.0)
    bench.command(OFF).run(0.3)
    assert bench.status["System_Enable"] == 1.0
    assert bench.command(POWER_TRANSFER, 410.0, 20.0).run(3.0).power.current == pytest.approx(20.0, abs=0.01)


def test_power_needs_a_heartbeat_from_the_start():
    bench = Bench()
    bench.heartbeat = False
    bench.run(3.0).command(POWER_TRANSFER, 410.0, 20.0).run(2.0)
    assert bench.power.current <= 0.0


def test_silence_of_the_commands_stops_power_after_a_second():
    bench = charging()
    bench.control = None
    assert bench.run(0.9).power.current == pytest.approx(40.0, abs=0.01)
    assert bench.run(0.3).power.current <= 0.0


def test_emergency_stop_stops_at_once_and_discharges_an_output_behind_an_open_contactor():
    bench = charging()
    bench.send("Emergency_Stop", Origin=1)
    assert bench.run(0.04).power.current <= 0.0
    bench.station = replace(bench.station, contactor_closed=False)
    bench.command(OFF, closed=False)
    for _ in range(15):
        bench.send("Emergency_Stop", Origin=1)
        bench.run(0.08)
    assert bench.power.module_voltage < 20.0
    assert bench.status["System_Enable"] == 0.0
    bench.run(0.7)
    assert bench.status["System_Enable"] == 1.0


def test_losses_heat_the_modules_and_derate_them():
    bench = charging(120.0, 8.0)
    warm = bench.model.temperature
    assert warm > 25.5
    bench.model.temperature = 90.0
    bench.run(0.2)
    assert bench.model.offered_current() < 70.0
    assert bench.run(1.0).named("DC_Power_Parameters")[-1]["Maximum_Charge_Current"] < 70.0
    bench.model.temperature = 101.0
    assert bench.run(0.2).status["System_Enable"] == 0.0


def test_a_silent_neighbour_counts_as_an_open_contactor():
    bench = charging()
    bench.model.on_station_lines = lambda lines, now: None  # type: ignore[method-assign]
    assert bench.run(0.6).power.current == 0.0


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff" * 7, b"\xff" * 8])
def test_garbage_frames_do_not_stop_the_modules(data: bytes):
    bench = charging()
    for name in ("DC_Power_Control", "Advantics_Controller_Status", "Power_Modules_Status"):
        bench.model.on_frame(replace(DATABASE.encode(name, {}), data=data), bench.now)
    bench.model.on_frame(replace(DATABASE.encode("DC_Power_Control", {}), id=0x1ABCDE), bench.now)
    assert bench.run(1.0).status["System_Enable"] == 1.0


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ("modules_silent", lambda bench: not [at for at, *_ in bench.frames if at > bench.now - 0.9] and bench.power.current > 39.0),
        ("module_refuses", lambda bench: bench.status["System_Enable"] == 0.0 and bench.power.current <= 0.0),
        ("over_current", lambda bench: bench.power.current == pytest.approx(67.0, abs=0.01)),
        ("over_voltage", lambda bench: bench.status["Present_Voltage"] == pytest.approx(600.0)),
        ("insulation_low", lambda bench: bench.power.insulation_resistance < 20.1e3),
        ("module_hot", lambda bench: bench.model.temperature > 28.0),
    ],
)
def test_each_fault_changes_what_can_be_seen(fault: str, holds):
    bench = charging()
    assert not holds(bench)
    assert bench.model.inject(fault, True).success
    assert holds(bench.run(2.0))


def test_runaway_modules_can_only_be_stopped_by_the_contactor():
    bench = charging()
    bench.model.inject("module_runaway", True)
    assert bench.command(OFF).run(2.0).power.current == pytest.approx(40.0, abs=0.01)
    bench.heartbeat = False
    assert bench.run(1.0).power.current == pytest.approx(40.0, abs=0.01)
    bench.station = replace(bench.station, contactor_closed=False)
    assert bench.run(0.04).power.current == 0.0


def test_a_real_vehicle_leaves_the_battery_unknown_and_nothing_flows():
    bench = Bench()
    bench.vehicle = replace(bench.vehicle, battery_voltage=nan)
    assert bench.run(2.5).command(POWER_TRANSFER, 410.0, 20.0).run(2.0).power.current == 0.0


BANK = {"module_count": 4}


def bank(bench: Bench) -> dict[str, float]:
    return bench.named("Module_Bank")[-1]


def test_modules_that_tell_of_themselves_share_the_current_and_count_their_frames():
    bench = charging(40.0, **BANK)
    told = bank(bench)
    assert (told["Module_Count"], told["Modules_Working"]) == (4.0, 4.0)
    assert told["Lowest_Module_Current"] == told["Highest_Module_Current"] == pytest.approx(10.0, abs=0.05)
    frames = bench.named("Module_Bank")
    assert [frame["Alive"] for frame in frames] == [float(number % 256) for number in range(1, len(frames) + 1)]
    assert len(frames) == pytest.approx(len(bench.named("Power_Modules_Status")), abs=1)


def test_modules_that_do_not_tell_of_themselves_send_no_such_frame():
    assert not charging().named("Module_Bank")


def test_without_one_module_the_others_give_and_offer_what_they_can():
    bench = charging(125.0, 8.0, **BANK)
    bench.model.inject("module_failed", True)
    bench.run(2.0)
    assert bench.power.current == pytest.approx(0.75 * 125.0, abs=0.1)
    assert bench.named("DC_Power_Parameters")[-1]["Maximum_Charge_Current"] == pytest.approx(0.75 * 125.0, abs=0.1)
    assert (bank(bench)["Modules_Working"], bench.status["System_Enable"]) == (3.0, 1.0)


@pytest.mark.parametrize("count", [0, 4])
def test_without_any_module_nothing_flows_although_what_speaks_for_them_goes_on(count: int):
    bench = charging(module_count=count)
    bench.model.inject("modules_failed", True)
    bench.run(0.2)
    assert bench.power.current <= 0.0
    assert bench.status["System_Enable"] == 1.0
    assert not count or bank(bench)["Modules_Working"] == 0.0


def test_modules_that_disagree_give_together_what_they_gave_before():
    bench = charging(40.0, **BANK)
    bench.model.inject("modules_disagree", True)
    bench.run(1.0)
    told = bank(bench)
    assert bench.power.current == pytest.approx(40.0, abs=0.01)
    assert told["Highest_Module_Current"] == pytest.approx(2.0 * told["Lowest_Module_Current"], abs=0.2)


def test_a_silent_bank_leaves_everything_else_as_it_is():
    bench = charging(40.0, **BANK)
    bench.model.inject("module_bank_silent", True)
    count = len(bench.named("Module_Bank"))
    bench.run(1.0)
    assert len(bench.named("Module_Bank")) == count
    assert (bench.power.current, bench.status["System_Enable"]) == (pytest.approx(40.0, abs=0.01), 1.0)


def test_modules_that_take_back_their_offer_say_so_and_give_nothing():
    bench = charging(40.0)
    bench.model.inject("modules_offer_nothing", True)
    bench.run(1.0)
    assert bench.named("DC_Power_Parameters")[-1]["Maximum_Charge_Current"] == 0.0
    assert bench.power.current <= 0.0
