"""Faults of single phases: what cannot be seen is neither gone nor there, and what belongs to a good session is none."""

import pytest
from safety_bench import STEP, TEST_VOLTAGE, Bench, Changes

from evse_core.fault_table import BY_NAME
from evse_core.safety_inputs import PERMIT_STATES
from evse_core.safety_monitor import SafetyConfig
from evse_core.types import NAN, ChargeState, PilotFault, PowerFunction, Reaction

S = ChargeState
PRECHARGE: Changes = {"power_command": {"function": PowerFunction.PRECHARGE, "voltage": 380.0}, "power": {"voltage": 300.0}}
LIVE: Changes = {"io": {"connector_voltage": 30.0, "locked": True}}
NOT_LOCKED: Changes = {"io_command": {"lock": True}}
NOT_UNLOCKED: Changes = {"io_command": {"lock": False}, "io": {"locked": True}}
SHORT_CIRCUIT: Changes = {"io": {"connector_voltage": 5.0}, "power": {"voltage": 5.0}}
WRONG_TEST: Changes = {"power": {"voltage": TEST_VOLTAGE - 20.0}}
# Inputs that are too old [s] to be believed.
NO_IO, NO_POWER, NO_VEHICLE, NO_METER = {"io": 0.6}, {"power": 0.6}, {"vehicle": 1.1}, {"meter": 3.1}
AC_EXCESS: Changes = {"io_command": {"pilot_current": 16.0}, "io": dict.fromkeys(("ac_current_l1", "ac_current_l2", "ac_current_l3"), 25.0)}
EMPTY: Changes = {"power": {"current": -20.0}, "vehicle": {"soc_percent": 10.0}}
LOW: Changes = {"power": {"current": -20.0}, "vehicle": {"min_discharge_voltage": 400.0}}
NO_COMMAND, NO_IO_COMMAND = {"power_command": 0.3}, {"io_command": 0.3}


@pytest.mark.parametrize(
    ("fault", "state", "wrong", "hidden"),
    [
        ("under_voltage", S.CHARGING, SHORT_CIRCUIT, NO_IO),
        ("under_voltage", S.CHARGING, SHORT_CIRCUIT, NO_POWER),
        ("voltage_before_connection", S.LOCKING, LIVE, NO_IO),
        ("voltage_not_falling", S.LOWERING_OUTPUT, {"power": {"voltage": 100.0}}, NO_POWER),
        ("voltage_not_falling", S.CLOSING, {"power": {"voltage": 100.0}}, NO_IO),
        ("cable_check_voltage", S.CABLE_CHECK, WRONG_TEST, NO_POWER),
        ("cable_check_voltage", S.CABLE_CHECK, WRONG_TEST, NO_COMMAND),
        ("precharge_failed", S.WAITING_FOR_CONTACTOR, PRECHARGE, NO_COMMAND),
        ("lock_failed", S.LOCKING, NOT_LOCKED, NO_IO_COMMAND),
        ("lock_failed", S.UNLOCKING, NOT_UNLOCKED, NO_IO),
        ("battery_incompatible", S.LOCKING, {"vehicle": {"target_voltage": 800.0}}, NO_VEHICLE),
        ("vehicle_request_excess", S.CHARGING, {"vehicle": {"current_request": 200.0}}, NO_VEHICLE),
        ("vehicle_not_parked", S.CHARGING, {"vehicle": {"shift_not_parked": True}}, NO_VEHICLE),
        ("meter_disagrees", S.CHARGING, {"meter": {"power": 0.0}}, NO_METER),
        ("meter_disagrees", S.CHARGING, {"meter": {"power": 0.0}}, {"power": 0.6}),
        ("current_spread", S.CHARGING, {"meter": {"current": 0.0}}, NO_METER),
        ("current_spread", S.CHARGING, {"meter": {"current": 0.0}}, NO_POWER),
        ("over_discharge", S.CHARGING, EMPTY, NO_VEHICLE),
        ("over_discharge", S.CHARGING, EMPTY, NO_POWER),
        ("discharge_under_voltage", S.CHARGING, LOW, NO_POWER),
        ("discharge_under_voltage", S.CHARGING, LOW, NO_VEHICLE),
        ("tilted", S.CHARGING, {"io": {"tilted": True}}, NO_IO),
        ("ac_over_current", S.CHARGING, AC_EXCESS, NO_IO),
        ("ac_over_current_high", S.CHARGING, AC_EXCESS, NO_IO_COMMAND),
        ("ac_current_unknown", S.CHARGING, {"io_command": {"pilot_current": 16.0}}, NO_IO_COMMAND),
        ("connector_derated", S.CHARGING, {"io": {"connector_temperature": 85.0}}, NO_IO),
        ("enclosure_derated", S.CHARGING, {"power": {"enclosure_temperature": 60.0}}, NO_POWER),
    ],
)
def test_what_falls_silent_after_it_was_wrong_is_still_taken_as_wrong(
    fault: str, state: ChargeState, wrong: Changes, hidden: dict[str, float]
) -> None:
    effect = BY_NAME[fault].energised if state in PERMIT_STATES else BY_NAME[fault].idle
    assert effect is not None
    time = getattr(SafetyConfig(), effect.debounce)
    bench = Bench()
    bench.run(1.0, state)
    bench.run(STEP, state, wrong)
    assert fault not in bench.faults
    bench.run(time + STEP, state, ages=hidden)
    assert fault in bench.faults


@pytest.mark.parametrize(
    ("fault", "state", "changes"),
    [
        # A vehicle takes its target back when it ends, before our state follows.
        ("battery_incompatible", S.CHARGING, {"vehicle": {"target_voltage": 0.0}}),
        ("battery_incompatible", S.RAMPING_DOWN, {"vehicle": {"target_voltage": 600.0}}),
        ("battery_incompatible", S.WAITING_FOR_PERMISSION, {"vehicle": {"target_voltage": 600.0}}),
        # The vehicle's battery is at the connector, and at modules without a diode, until it has opened.
        ("voltage_not_falling", S.RAMPING_DOWN, {"power": {"voltage": 380.0}}),
        ("voltage_not_falling", S.WELDING_DETECTION, {"power": {"voltage": 380.0}}),
        ("voltage_not_falling", S.EMERGENCY, {"power": {"voltage": 380.0}}),
        # Modules that nobody told to make a voltage: they test themselves, or serve somebody else.
        ("voltage_not_falling", S.AVAILABLE, {"power": {"voltage": 300.0}}),
        ("voltage_not_falling", S.PREPARING, {"power": {"voltage": 300.0}}),
        ("voltage_not_falling", S.FAULTED, {"power": {"voltage": 300.0}}),
        # Another fault tells of the contactor; it is not the discharge that fails.
        ("voltage_not_falling", S.FINISHED, {"power": {"voltage": 380.0}, "io": {"contactor_closed": True}}),
        # The lock is held on purpose while the connector is live.
        ("lock_failed", S.FAULTED, {"io": {"locked": True}, "io_command": {"lock": True}}),
        # The vehicle's contactor opens in its own time after a stop.
        ("under_voltage", S.RAMPING_DOWN, SHORT_CIRCUIT),
        ("under_voltage", S.CHARGING, {"io": {"connector_voltage": float("nan")}, "power": {"voltage": 5.0, "current": 0.0}}),
        ("vehicle_request_excess", S.RAMPING_DOWN, {"vehicle": {"current_request": 200.0}}),
        ("precharge_failed", S.WAITING_FOR_CONTACTOR, {"power_command": {"voltage": 380.0}, "power": {"voltage": 5.0}}),
        ("meter_disagrees", S.CHARGING, {"meter": {"power": float("nan"), "healthy": True}}),
    ],
)
def test_what_belongs_to_a_good_session_is_no_fault(fault: str, state: ChargeState, changes: Changes) -> None:
    bench = Bench()
    bench.run(40.0, state, changes)
    assert fault not in {event.fault for event in bench.events}


MODULES_CHARGED: Changes = {"power": {"voltage": 300.0}}


def test_modules_that_stay_charged_after_a_session_are_told_and_those_that_charge_anew_are_not() -> None:
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    bench.run(SafetyConfig().discharge_time + 1.0, S.FINISHED, MODULES_CHARGED)
    assert (bench.faults, bench.outputs.state.reaction) == (("voltage_not_falling",), Reaction.WARN)
    bench.run(SafetyConfig().recovery_time + 1.0, S.AVAILABLE)
    assert bench.faults == ()
    bench.run(30.0, S.AVAILABLE, MODULES_CHARGED)
    assert bench.faults == ()


def test_a_monitor_that_was_restarted_judges_an_output_that_is_told_to_discharge() -> None:
    bench = Bench()
    told: Changes = {**MODULES_CHARGED, "power_command": {"lower_output_voltage": True}}
    bench.run(SafetyConfig().discharge_time + 1.0, S.FAULTED, told)
    assert bench.faults == ("voltage_not_falling",)


def test_modules_that_sleep_are_not_charged() -> None:
    bench = Bench()
    bench.run(3.0, S.CLOSING, {"power": {"voltage": 100.0}})
    bench.run(20.0, S.FINISHED, {"power": {"voltage": 100.0}}, {"power": 2.0})
    assert bench.events == []


def test_a_station_without_a_control_pilot_has_no_fault_of_one() -> None:
    bench = Bench()
    for fault in PilotFault:
        bench.run(2.0, S.CHARGING, {"io": {"pilot_fault": fault}})
    assert bench.events == []


def test_modules_that_need_not_tell_are_not_missed() -> None:
    bench = Bench()
    bench.run(40.0, S.CHARGING, {"power": {"module_count": 0, "modules_working": 0, "module_current_min": NAN, "module_current_max": NAN}})
    assert bench.events == []


def test_modules_that_tell_may_sleep_without_a_session() -> None:
    bench = Bench(SafetyConfig(module_count=4))
    for state in (S.AVAILABLE, S.LOCKING):
        bench.run(20.0, state, ages={"power": 2.0})
        bench.run(20.0, state, {"power": {"module_count": 0}})
    assert bench.events == []


@pytest.mark.parametrize(
    ("fault", "name", "derating"),
    [("connector_derated", ("io", "connector_temperature"), 80.0), ("enclosure_derated", ("power", "enclosure_temperature"), 55.0)],
)
def test_derating_is_told_until_it_is_cooler_by_the_hysteresis(fault: str, name: tuple[str, str], derating: float) -> None:
    bench, (device, field) = Bench(), name
    bench.run(3.0, S.CHARGING, {device: {field: derating + 1.0}})
    assert bench.faults == (fault,)
    assert bench.permit
    bench.run(20.0, S.CHARGING, {device: {field: derating - 9.0}})
    assert bench.faults == (fault,)
    bench.run(6.0, S.CHARGING, {device: {field: derating - 11.0}})
    assert bench.faults == ()


def test_insulation_fault_names_what_each_monitor_says() -> None:
    bench = Bench()
    bench.run(2.0, S.CHARGING, {"io": {"insulation_resistance": 50e3}})
    detail = next(event.detail for event in bench.events if event.fault == "insulation_fault")
    assert detail == "modules 510 kOhm or more, I/O board 50 kOhm; limit 100 kOhm"


def test_ac_over_current_that_is_no_longer_measured_is_still_taken_as_one() -> None:
    bench = Bench()
    drawn = {"io_command": {"pilot_current": 16.0}, "io": dict.fromkeys(("ac_current_l1", "ac_current_l2", "ac_current_l3"), 20.0)}
    bench.run(1.0, S.CHARGING, drawn)
    bench.run(6.0, S.CHARGING, {"io_command": {"pilot_current": 16.0}})
    assert {"ac_over_current", "ac_current_unknown"} <= set(bench.faults)
