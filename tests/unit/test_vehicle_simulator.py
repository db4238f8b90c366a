"""The simulated vehicle against a scripted charger: the course of a session, times, protocol generations, faults, energy."""

from dataclasses import replace
from itertools import pairwise
from math import nan

import pytest

from evse_core.types import SimPower, SimStationLines
from evse_nodes import databases
from evse_simulators.faults import FAULTS, VEHICLE
from evse_simulators.vehicle import VehicleConfig, VehicleModel
from evse_simulators.vehicle_sequence import Phase

DATABASE = databases.load("chademo")
STEP = 0.05


class Bench:
    """A vehicle and a charger that does what the script says."""

    def __init__(self, **changes: float) -> None:
        self.model = VehicleModel(VehicleConfig(**changes), DATABASE)
        self.now = 50.0
        self.lines = SimStationLines()
        self.offer = {
            "welding_detection_support": 1,
            "available_output_voltage": 500,
            "available_output_current": 100,
            "threshold_voltage": 420,
        }
        self.status = {"control_protocol_number": 2, "status_stop_control": 1}
        self.extended: dict[str, float] | None = {"dynamic_control": 1}
        self.speaks = True
        self.follows = True
        self.log: list[tuple[float, str, dict[str, float]]] = []
        self.current = self.voltage = 0.0
        self.out = None
        self._count = 0

    def run(self, seconds: float) -> "Bench":
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self._charge()
            if self.speaks and self._count % 2 == 0:
                self._talk()
            self._count += 1
            self.model.on_station_lines(self.lines, self.now)
            self.model.on_power(SimPower(self.now, self.voltage, self.voltage, self.current, 1e6), self.now)
            self.out = self.model.step(self.now)
            for frame in self.out.frames:
                decoded = DATABASE.decode(frame)
                self.log.append((self.now, decoded.name, dict(decoded.signals)))
        return self

    def _charge(self) -> None:
        """Be an ideal charger: the requested current flows while both contactors are closed."""
        closed = self.model.contactor_closed and self.lines.contactor_closed
        wanted = self.said("EV_Status").get("charging_current_request", 0.0) if self.log else 0.0
        self.current = wanted if closed and self.status.get("status_charging") and self.follows else 0.0
        battery = self.model.battery
        self.voltage = battery.open_circuit_voltage + self.current * battery.resistance if self.model.contactor_closed else 0.0

    def _talk(self) -> None:
        present = {"present_output_voltage": self.voltage, "present_output_current": self.current}
        self.model.on_frame(DATABASE.encode("SE_Capability", self.offer), self.now)
        self.model.on_frame(DATABASE.encode("SE_Status", present | self.status), self.now)
        if self.extended is not None:
            self.model.on_frame(DATABASE.encode("SE_ExtendedFunction", self.extended), self.now)

    def said(self, name: str) -> dict[str, float]:
        return next(signals for _, found, signals in reversed(self.log) if found == name)

    def when(self, name: str, signal: str, value: float) -> float:
        return next(at for at, found, signals in self.log if found == name and signals[signal] == value)

    @property
    def status_frame(self) -> dict[str, float]:
        return self.said("EV_Status")


def plugged(**changes: float) -> Bench:
    bench = Bench(**changes)
    assert bench.model.plug_in().success
    return bench


def permitting(**changes: float) -> Bench:
    bench = plugged(**changes)
    bench.lines = SimStationLines(sequence_1=True)
    return bench.run(4.5)


def connected(**changes: float) -> Bench:
    bench = permitting(**changes)
    bench.lines = SimStationLines(0.0, True, True, True, True)
    bench.status |= {"status_connector_locked": 1}
    return bench.run(2.0)


def charging(seconds: float = 8.0, **changes: float) -> Bench:
    bench = connected(**changes)
    for _ in range(100):
        if bench.status_frame["charging_current_request"] > 0:
            break
        bench.run(STEP)
    bench.status |= {"status_charging": 1, "status_stop_control": 0}
    return bench.run(seconds)


def test_an_unplugged_or_sleeping_vehicle_is_silent():
    bench = Bench()
    bench.lines = SimStationLines(sequence_1=True)
    assert not bench.run(2.0).log
    bench.model.plug_in()
    bench.lines = SimStationLines()
    assert not bench.run(2.0).log


def test_the_vehicle_sends_its_frames_within_100_ms_of_d1_and_every_100_ms():
    bench = plugged()
    bench.lines = SimStationLines(sequence_1=True)
    start = bench.now
    bench.run(3.0)
    assert bench.log[0][0] - start <= 0.1
    times = [at for at, name, _ in bench.log if name == "EV_Status"]
    assert all(later - earlier == pytest.approx(0.1) for earlier, later in pairwise(times))
    assert {name for _, name, _ in bench.log} == {"EV_ChargingLimits", "EV_ChargingTime", "EV_Status", "EV_ExtendedFunction"}


def test_permission_comes_by_flag_and_k_together_after_the_time_was_computed():
    bench = permitting()
    thought, permitted = (
        bench.when("EV_ChargingTime", "max_charging_time_10s", 2550.0),
        bench.when("EV_Status", "status_charging_enabled", 1.0),
    )
    assert thought < permitted
    assert permitted - bench.log[0][0] == pytest.approx(3.5, abs=0.2)
    assert bench.out.lines.permission
    assert 1.0 <= bench.said("EV_ChargingTime")["max_charging_time_min"] <= 254.0


def test_the_charging_time_is_zero_before_it_is_known():
    bench = plugged()
    bench.lines = SimStationLines(sequence_1=True)
    assert bench.run(2.0).said("EV_ChargingTime")["max_charging_time_min"] == 0.0


def test_without_a_charger_the_vehicle_permits_nothing():
    bench = plugged()
    bench.speaks = False
    bench.lines = SimStationLines(sequence_1=True)
    assert bench.run(20.0).status_frame["status_charging_enabled"] == 0.0


@pytest.mark.parametrize("offer", [{"available_output_voltage": 400}, {"threshold_voltage": 300}])
def test_a_charger_that_cannot_serve_the_battery_gets_no_permission(offer: dict[str, float]):
    bench = plugged()
    bench.offer |= offer
    bench.lines = SimStationLines(sequence_1=True)
    bench.run(8.0)
    assert (bench.status_frame["status_charging_enabled"], bench.out.lines.permission) == (0.0, False)
    assert bench.status_frame["status_normal_stop_request"] == 1.0


def test_the_contactor_waits_for_d2_lock_and_a_safe_inlet_and_about_a_second():
    bench = permitting()
    bench.lines = SimStationLines(0.0, True, False, True, True)
    bench.status |= {"status_connector_locked": 1}
    assert not bench.run(3.0).out.lines.contactor_closed
    bench.lines = replace(bench.lines, sequence_2=True)
    start = bench.now
    while not bench.out.lines.contactor_closed and bench.now < start + 5.0:
        bench.run(STEP)
    assert bench.now - start == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(("locked", "voltage"), [(0, 0.0), (1, 300.0)])
def test_an_unlocked_or_live_inlet_keeps_the_contactor_open_and_ends_the_session(locked: int, voltage: float):
    bench = permitting()
    bench.lines = SimStationLines(0.0, True, True, True, True)
    bench.status |= {"status_connector_locked": locked}
    bench._charge = lambda: setattr(bench, "voltage", voltage)  # type: ignore[method-assign]
    assert not bench.run(8.0).out.lines.contactor_closed
    assert bench.run(5.0).status_frame["status_charging_enabled"] == 0.0


def test_request_follows_the_closed_contactor_after_1_7_s_and_rises_2_ampere_per_frame():
    bench = charging()
    closed = next(at for at, name, signals in bench.log if name == "EV_Status" and signals["status_contactor_open"] == 0.0 and at > 53.6)
    requests = [(at, signals["charging_current_request"]) for at, name, signals in bench.log if name == "EV_Status"]
    first = next(at for at, request in requests if request > 0.0)
    assert first - closed == pytest.approx(1.7, abs=0.15)
    assert max(abs(b - a) for (_, a), (_, b) in pairwise(requests)) == 2.0
    assert requests[-1][1] == 100.0


def test_the_contactor_flag_is_raised_before_permission_and_falls_with_the_contactor():
    bench = permitting()
    assert bench.when("EV_Status", "status_contactor_open", 1.0) <= bench.when("EV_Status", "status_charging_enabled", 1.0)
    bench = connected()
    assert (bench.out.lines.contactor_closed, bench.status_frame["status_contactor_open"]) == (True, 0.0)


@pytest.mark.parametrize(("vehicle", "charger", "flag"), [(1, 2, 0.0), (2, 1, 0.0), (2, 2, 1.0), (3, 2, 1.0), (3, 3, 1.0), (0, 2, 0.0)])
def test_the_contactor_flag_exists_from_1_0_on_on_both_sides(vehicle: int, charger: int, flag: float):
    bench = plugged(protocol_number=vehicle)
    bench.status |= {"control_protocol_number": charger}
    bench.lines = SimStationLines(sequence_1=True)
    assert bench.run(4.5).status_frame["status_contactor_open"] == flag


def test_an_early_vehicle_sends_neither_newer_limits_nor_extended_functions():
    bench = permitting(protocol_number=1)
    limits = bench.said("EV_ChargingLimits")
    assert (limits["min_battery_voltage"], limits["max_charge_current"]) == (0.0, 0.0)
    assert "EV_ExtendedFunction" not in {name for _, name, _ in bench.log}


def test_with_dynamic_control_the_request_follows_the_available_current():
    bench = charging()
    bench.offer |= {"available_output_current": 40}
    assert bench.run(4.0).status_frame["charging_current_request"] == 40.0
    bench.offer |= {"available_output_current": 60}
    assert bench.run(4.0).status_frame["charging_current_request"] == 60.0


@pytest.mark.parametrize("protocol", [1, 2])
def test_without_dynamic_control_the_first_offer_counts(protocol: int):
    bench = charging(protocol_number=protocol, extended_functions=False)
    bench.offer |= {"available_output_current": 40}
    assert bench.run(4.0).status_frame["charging_current_request"] == 100.0


def test_the_battery_tapers_the_request():
    bench = charging(8.0, soc_percent=97.0, target_soc_percent=100.0)
    assert 10.0 < bench.status_frame["charging_current_request"] < 60.0


def end_times(bench: Bench) -> dict[str, float]:
    """Return when request 0, permission off, contactor open were seen, from now on."""
    start, seen = bench.now, {}
    for _ in range(300):
        bench.run(STEP)
        frame = bench.status_frame
        for name, holds in (
            ("zero", frame["charging_current_request"] == 0.0),
            ("withdrawn", frame["status_charging_enabled"] == 0.0 and not bench.out.lines.permission),
            ("open", not bench.out.lines.contactor_closed),
            ("flag", frame["status_contactor_open"] == 1.0),
        ):
            if holds:
                seen.setdefault(name, bench.now - start)
    return seen


def test_a_charger_that_stops_gets_zero_request_permission_off_and_the_open_contactor_in_time():
    bench = charging()
    bench.status |= {"status_stop_control": 1}
    seen = end_times(bench)
    assert seen["zero"] <= 0.2
    assert 0.1 <= seen["withdrawn"] <= 0.5
    assert seen["withdrawn"] < seen["open"] <= 1.0
    assert seen["open"] < seen["flag"] <= 2.9


@pytest.mark.parametrize("cause", ["press_stop", "target"])
def test_the_vehicles_own_stop_ramps_down_then_opens(cause: str):
    bench = charging()
    if cause == "press_stop":
        assert bench.model.press_stop().success
    else:
        bench.model.battery.soc_percent = 80.0
    seen = end_times(bench)
    assert seen["zero"] == pytest.approx(5.0, abs=0.3)
    assert seen["zero"] < seen["withdrawn"] < seen["open"] < seen["flag"]
    assert bench.model.sequence.end in {"user", "target state of charge"}


@pytest.mark.parametrize("bit", ["status_charger_malfunction", "status_charging_system_malfunction", "status_battery_incompatible"])
def test_every_fault_bit_of_the_charger_ends_the_session_before_and_during_charging(bit: str):
    for bench in (permitting(), connected(), charging()):
        bench.status |= {bit: 1}
        bench.run(4.0)
        assert (bench.out.lines.permission, bench.out.lines.contactor_closed) == (False, False)


def test_a_charger_that_never_answers_the_request_is_left():
    bench = connected()
    bench.run(4.0)
    assert bench.status_frame["status_charging_system_fault"] == 1.0
    assert not bench.out.lines.contactor_closed


def test_a_silent_charger_ends_charging_after_a_second():
    bench = charging()
    bench.speaks = False
    bench.run(0.9)
    assert bench.out.lines.permission
    bench.run(0.5)
    assert (bench.out.lines.permission, bench.status_frame["status_charging_system_fault"]) == (False, 1.0)


@pytest.mark.parametrize("line", ["sequence_1", "sequence_2"])
def test_losing_a_sequence_signal_drops_the_contactor_at_once(line: str):
    bench = charging()
    bench.lines = replace(bench.lines, **{line: False})
    assert not bench.run(2 * STEP).out.lines.contactor_closed
    assert not bench.run(1.0).out.lines.permission


def test_the_vehicle_sleeps_half_a_second_after_d1_and_serves_another_session():
    bench = charging(2.0)
    bench.status |= {"status_stop_control": 1, "status_charging": 0}
    bench.run(5.0)
    bench.lines = SimStationLines()
    bench.run(1.0)
    assert bench.model.sequence.phase is Phase.ASLEEP
    count = len(bench.log)
    assert len(bench.run(1.0).log) == count
    bench.lines = SimStationLines(sequence_1=True)
    bench.status = {"control_protocol_number": 2, "status_stop_control": 1}
    assert bench.run(5.0).status_frame["status_charging_enabled"] == 1.0


FAULT_BITS = [
    ("vehicle_fault", "status_charging_system_fault", 0.5),
    ("vehicle_fault_overvoltage", "fault_battery_overvoltage", 1.0),
    ("vehicle_fault_undervoltage", "fault_battery_undervoltage", 1.0),
    ("vehicle_fault_temperature", "fault_high_battery_temperature", 0.5),
    ("vehicle_shift", "status_shift_not_parked", 0.5),
    ("vehicle_fault_current_deviation", "fault_current_deviation", 5.5),
    ("vehicle_fault_voltage_deviation", "fault_voltage_deviation", 5.5),
]


@pytest.mark.parametrize(("fault", "bit", "within"), FAULT_BITS)
def test_a_fault_sets_its_bit_stops_the_request_and_opens_the_contactor(fault: str, bit: str, within: float):
    bench = charging()
    assert bench.model.inject(fault, True).success
    bench.run(within)
    assert bench.status_frame[bit] == 1.0
    assert (bench.status_frame["charging_current_request"], bench.out.lines.permission) == (0.0, False)
    assert not bench.run(4.0).out.lines.contactor_closed


@pytest.mark.parametrize(("fault", "bit"), [(fault, bit) for fault, bit, within in FAULT_BITS if within > 5.0])
def test_deviations_are_no_fault_before_5_s(fault: str, bit: str):
    bench = charging()
    bench.model.inject(fault, True)
    assert bench.run(4.5).status_frame[bit] == 0.0


def test_a_charger_that_delivers_too_little_is_a_current_deviation():
    bench = charging()
    bench.follows = False
    assert bench.run(6.0).status_frame["fault_current_deviation"] == 1.0


def test_a_silent_vehicle_keeps_its_lines_and_contactor():
    bench = charging()
    bench.model.inject("vehicle_silent", True)
    count = len(bench.log)
    assert len(bench.run(0.5).log) == count
    assert (bench.out.lines.permission, bench.out.lines.contactor_closed) == (True, True)


def test_stopped_permission_opens_k_alone():
    bench = charging()
    bench.model.inject("vehicle_stops_permission", True)
    bench.run(0.2)
    assert (bench.out.lines.permission, bench.status_frame["status_charging_enabled"]) == (False, 1.0)


def test_a_dropped_contactor_is_reported_and_ends_the_session():
    bench = charging()
    bench.model.inject("vehicle_contactor_opens", True)
    bench.run(0.2)
    assert (bench.out.lines.contactor_closed, bench.status_frame["status_contactor_open"]) == (False, 1.0)
    assert not bench.run(0.5).out.lines.permission


def test_no_request_is_zero_while_permission_stays():
    bench = charging()
    bench.model.inject("vehicle_no_request", True)
    bench.run(6.0)
    assert (bench.status_frame["charging_current_request"], bench.out.lines.permission) == (0.0, True)


def test_an_incompatible_vehicle_asks_for_more_than_500_volt():
    bench = permitting()
    bench.model.inject("vehicle_incompatible", True)
    bench.run(0.2)
    assert bench.status_frame["target_battery_voltage"] > 500.0
    assert bench.said("EV_ChargingLimits")["max_battery_voltage"] > 500.0


def test_a_welded_contactor_stays_closed_and_is_told():
    bench = charging()
    bench.model.inject("vehicle_contactor_welded", True)
    bench.status |= {"status_stop_control": 1}
    bench.run(8.0)
    assert (bench.out.lines.contactor_closed, bench.status_frame["status_contactor_open"]) == (True, 0.0)
    assert bench.status_frame["status_charging_system_fault"] == 1.0


def test_the_plug_obeys_the_lock():
    bench = charging()
    assert not bench.model.unplug().success
    bench.lines = replace(bench.lines, locked=False)
    bench.run(0.1)
    assert bench.model.unplug().success
    assert not bench.run(0.1).out.lines.contactor_closed
    assert not bench.model.unplug().success


def test_a_lost_plug_breaks_the_circuit_in_spite_of_the_lock():
    bench = charging()
    bench.model.inject("plug_lost", True)
    bench.run(0.1)
    assert (bench.out.lines.plugged, bench.out.lines.contactor_closed, bench.out.lines.permission) == (False, False, False)
    assert not bench.model.plug_in().success
    bench.model.inject("plug_lost", False)
    assert bench.model.plug_in().success


def test_energy_is_voltage_times_current_over_the_stamps_and_raises_the_charge():
    bench = charging(20.0)
    before, soc = bench.model.energy_wh, bench.model.battery.soc_percent
    bench.run(60.0)
    expected = 100.0 * bench.voltage * 60.0 / 3600.0
    assert bench.model.energy_wh - before == pytest.approx(expected, rel=2e-3)
    assert bench.model.battery.soc_percent - soc == pytest.approx(100.0 * 60.0 / 36.0 / bench.model.battery.capacity_ah, rel=1e-3)


def test_a_gap_in_the_readings_is_not_billed():
    bench = charging()
    before = bench.model.energy_wh
    bench.model.on_power(SimPower(bench.now + 30.0, 370.0, 370.0, 100.0, 1e6), bench.now)
    assert bench.model.energy_wh == before


def test_the_state_of_charge_is_the_ratio_of_two_signals_whatever_the_reference():
    bench = plugged(unsettled_reference=240)
    bench.lines = SimStationLines(sequence_1=True)
    assert bench.run(1.0).said("EV_ChargingLimits")["charged_rate_reference"] == 240.0
    assert bench.run(3.5).said("EV_ChargingLimits")["charged_rate_reference"] == 100.0
    assert bench.status_frame["charged_rate"] == 30.0


def test_the_battery_can_be_changed_within_its_bounds():
    bench = plugged()
    assert bench.model.set_battery(55.0, nan, nan).success
    assert bench.model.battery.soc_percent == 55.0
    assert bench.model.battery.capacity_kwh == 40.0
    answer = bench.model.set_battery(101.0, nan, nan)
    assert (answer.success, "101" in answer.message) == (False, True)


@pytest.mark.parametrize("name", [name for name, row in FAULTS.items() if row.simulator != VEHICLE] + ["nonsense"])
def test_an_unknown_fault_is_refused_with_the_known_ones(name: str):
    answer = Bench().model.inject(name, True)
    assert not answer.success
    assert "vehicle_silent" in answer.message


def test_a_slow_vehicle_sends_every_225_ms():
    bench = plugged(frame_period=0.225)
    bench.lines = SimStationLines(sequence_1=True)
    bench.run(9.0)
    assert len([1 for _, name, _ in bench.log if name == "EV_Status"]) == pytest.approx(40, abs=2)
