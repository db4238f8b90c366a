"""The permit and the latches: what must hold whatever the table says, and a whole normal session that must raise nothing."""

from dataclasses import replace
from math import nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_bench import STEP, TEST_VOLTAGE, VEHICLE_MAXIMUM, Bench, Changes, healthy, inputs

from evse_core import vehicle_link
from evse_core.fault_table import BY_NAME
from evse_core.safety_inputs import PERMIT_STATES, Input
from evse_core.safety_latches import from_text, to_text
from evse_core.safety_links import LINKS
from evse_core.safety_monitor import SafetyConfig, SafetyInputs, SafetyMonitor
from evse_core.safety_view import CurrentEnvelope
from evse_core.sample import Sample
from evse_core.types import BusHealth, ChargeState, PowerFunction, Reaction

S = ChargeState
HOT: Changes = {"power": {"module_temperature": 90.0}}
PRESSED: Changes = {"io": {"emergency_stop": True}}
TOPIC_OF = {
    "vehicle": Input.VEHICLE, "power": Input.POWER, "io": Input.IO, "can_status": Input.CAN, "session": Input.SESSION,
    "power_command": Input.POWER_COMMAND, "io_command": Input.IO_COMMAND, "meter": Input.METER,
}  # fmt: skip


@pytest.mark.parametrize("state", ChargeState, ids=lambda state: state.name)
def test_there_is_a_permit_in_the_states_of_power_and_nowhere_else(state: ChargeState) -> None:
    bench = Bench()
    bench.run(2.0, state)
    assert bench.permit is (state in PERMIT_STATES)
    assert bench.faults == ()
    assert (bench.outputs.state.detail == "") is bench.permit


@pytest.mark.parametrize("state", PERMIT_STATES, ids=lambda state: state.name)
@pytest.mark.parametrize("name", TOPIC_OF)
def test_no_permit_on_an_input_that_is_needed_and_stale_or_never_came(state: ChargeState, name: str) -> None:
    needed = TOPIC_OF[name] in LINKS[vehicle_link.CHADEMO].needs[state]
    for age in (1.2, float("inf")):
        bench = Bench()
        bench.run(STEP, state, ages={name: age})
        assert bench.permit is not needed


@pytest.mark.parametrize("name", ["vehicle", "power", "io"])
def test_no_permit_on_an_incomplete_report(name: str) -> None:
    bench = Bench()
    bench.run(STEP, S.CHARGING, {name: {"complete": False}})
    assert not bench.permit


@pytest.mark.parametrize("change", [{"voltage": nan}, {"current": nan}, {"age": nan}])
def test_no_permit_on_a_report_of_the_modules_without_its_numbers(change: dict[str, float]) -> None:
    bench = Bench()
    bench.run(STEP, S.CHARGING, {"power": change})
    assert not bench.permit


def test_a_permit_says_when_it_was_given() -> None:
    monitor, inputs = SafetyMonitor(SafetyConfig()), SafetyInputs()
    assert [monitor.step(inputs, now).state.given for now in (5.0, 5.05)] == [5.0, 5.05]


def test_an_emergency_withdraws_the_permit_in_the_same_step() -> None:
    bench = Bench()
    bench.run(1.0, S.CHARGING)
    assert bench.permit
    bench.run(STEP, S.CHARGING, PRESSED)
    assert not bench.permit
    assert bench.outputs.state.detail == "emergency_stop: the emergency stop chain is open"


def test_a_stop_leaves_the_permit_for_the_ramp_and_becomes_an_emergency_when_it_is_not_followed() -> None:
    bench = Bench()
    bench.run(1.0, S.CHARGING)
    bench.run(2.1, S.CHARGING, HOT)
    assert (bench.permit, bench.outputs.state.reaction) == (True, Reaction.STOP)
    bench.run(4.8, S.CHARGING, HOT)
    assert bench.permit
    bench.run(0.4, S.CHARGING, HOT)
    assert (bench.permit, bench.outputs.state.reaction) == (False, Reaction.EMERGENCY)
    assert bench.faults == ("stop_not_followed", "module_over_temperature")
    assert bench.outputs.state.first_fault == "module_over_temperature"


def test_a_stop_that_is_followed_is_no_emergency() -> None:
    bench = Bench()
    bench.run(2.1, S.CHARGING, HOT)
    bench.run(2.0, S.RAMPING_DOWN, HOT)
    bench.run(10.0, S.WELDING_DETECTION, HOT)
    assert bench.faults == ("module_over_temperature",)


def test_a_worse_second_fault_escalates_and_the_first_cause_is_kept() -> None:
    bench = Bench()
    bench.run(2.1, S.CHARGING, HOT)
    assert (bench.outputs.state.reaction, bench.outputs.state.first_fault) == (Reaction.STOP, "module_over_temperature")
    bench.run(0.5, S.CHARGING, {**HOT, **PRESSED})
    assert bench.outputs.state.reaction is Reaction.EMERGENCY
    assert bench.faults == ("emergency_stop", "module_over_temperature")
    assert bench.outputs.state.first_fault == "module_over_temperature"


RECORDER_GONE = {"/recorder": 10.0}
NO_ROOM: Changes = {"/ocpp_uplink": {"free_space": 0.0}}


def test_a_warning_that_was_there_before_is_not_blamed_for_what_ends_or_bars_a_session() -> None:
    bench = Bench()
    bench.run(3.0, S.CHARGING, ages=RECORDER_GONE)
    assert bench.outputs.state.first_fault == "node_silent"
    bench.run(3.0, S.CHARGING, NO_ROOM, RECORDER_GONE)
    assert bench.faults[0] == bench.outputs.state.first_fault == "disk_full"
    bench.run(3.0, S.CHARGING, {**NO_ROOM, **HOT}, RECORDER_GONE)
    assert bench.outputs.state.first_fault == "module_over_temperature"
    bench.run(10.0, S.FINISHED, NO_ROOM, RECORDER_GONE)
    assert bench.outputs.state.first_fault == "disk_full"
    bench.run(10.0, S.FINISHED, ages=RECORDER_GONE)
    assert bench.outputs.state.first_fault == "node_silent"


def test_a_fault_that_only_later_ends_sessions_does_not_take_the_place_of_the_cause() -> None:
    """Raised first as a warning (a row that only warns an idle station), worse after another fault has ended the session."""
    bench = Bench()
    backwards: Changes = {"meter": {"register_wh": lambda now: 1000.0 - 2.0 * round((now - 1000.0) / STEP)}}
    bench.run(0.5, S.WAITING_FOR_PERMISSION, backwards)
    assert (bench.outputs.state.reaction, bench.outputs.state.first_fault) == (Reaction.WARN, "meter_runs_backwards")
    bench.run(2 * STEP, S.CHARGING, {"io": {"residual_current_trip": True}, "meter": {"register_wh": 1000.0}})
    assert "meter_runs_backwards" in bench.faults
    bench.run(2.0, S.CHARGING, backwards)
    assert [event.reaction for event in bench.events if event.fault == "meter_runs_backwards"] == [Reaction.WARN, Reaction.STOP]
    assert bench.outputs.state.first_fault == "residual_current"


# --- faults that wait for an operator outlive a restart of the monitor ---


def restarted(bench: Bench) -> Bench:
    """Return a bench on which a monitor begins with what the other one held for an operator, through the text of its file."""
    new = Bench()
    new.monitor.restore(from_text(to_text(bench.monitor.latches()), BY_NAME))
    return new


def test_a_fault_that_waits_for_an_operator_survives_a_restart_and_is_told_again() -> None:
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    bench.run(1.0, S.CHARGING, {"io": {"residual_current_trip": True}})
    assert [latch.fault for latch in bench.monitor.latches()] == ["residual_current"]
    new = restarted(bench)
    new.run(STEP, S.AVAILABLE)
    assert [(event.fault, event.active, event.reaction) for event in new.events] == [("residual_current", True, Reaction.EMERGENCY)]
    new.run(20.0, S.AVAILABLE)
    assert new.faults == ("residual_current",)
    assert (new.outputs.state.reaction, new.permit) == (Reaction.EMERGENCY, False)
    new.run(5.0, S.LOCKING)
    assert not new.permit
    new.run(STEP, S.AVAILABLE, {"inputs": {"reset": True}})
    assert (new.faults, new.monitor.latches()) == ((), ())


def test_an_operator_cannot_reset_what_is_still_there_after_a_restart() -> None:
    bench = Bench()
    bench.run(1.0, S.AVAILABLE, PRESSED)
    new = restarted(bench)
    new.run(2.0, S.AVAILABLE, {**PRESSED, "inputs": {"reset": True}})
    assert new.faults == ("emergency_stop",)
    new.run(2.0, S.AVAILABLE, {"inputs": {"reset": True}}, {"io": float("inf")})
    assert new.faults == ("emergency_stop",)


def test_faults_with_a_milder_reset_are_not_kept() -> None:
    bench = Bench()
    bench.run(2.1, S.CHARGING, HOT)
    bench.run(2.0, S.CHARGING, HOT, {"vehicle": 5.0})
    assert set(bench.faults) >= {"vehicle_silent", "module_over_temperature"}
    assert bench.monitor.latches() == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("7", "TypeError"),
        ('{"version": 1}', "KeyError"),
        ('{"version": 2, "faults": []}', "version 2"),
        ('{"version": 1, "faults": {}}', "TypeError"),
        ('{"version": 1, "faults": [{"fault": "emergency_stop"}]}', "KeyError"),
        ('{"version": 1, "faults": [{"fault": "no_such", "reaction": "STOP", "detail": ""}]}', "does not know: no_such"),
        ('{"version": 1, "faults": [{"fault": ["x"], "reaction": "STOP", "detail": ""}]}', "TypeError"),
        ('{"version": 1, "faults": [{"fault": "door_open", "reaction": "NONE", "detail": ""}]}', "without a reaction"),
        ('{"version": 1, "faults": [{"fault": "door_open", "reaction": "LOUD", "detail": ""}]}', "KeyError"),
        ('{"version": 1, "faults": [5]}', "TypeError"),
    ],
)
def test_a_text_that_is_no_list_of_latched_faults_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_text(text, BY_NAME)


def test_clearing_one_fault_never_clears_another() -> None:
    bench = Bench()
    bench.run(1.0, S.CHARGING, {"io": {"emergency_stop": True, "door_open": True}})
    assert bench.faults == ("emergency_stop", "door_open")
    bench.run(1.0, S.FAULTED, {"io": {"door_open": True}, "inputs": {"reset": True}})
    assert bench.faults == ("door_open",)
    assert bench.outputs.state.first_fault == "door_open"
    bench.run(1.0, S.FAULTED, {"io": {"emergency_stop": True}, "inputs": {"reset": True}})
    assert bench.faults == ("emergency_stop",)


def test_a_fault_of_the_idle_state_gets_worse_when_power_may_flow_and_not_milder_after() -> None:
    bench = Bench()
    bench.run(1.0, S.PREPARING, {"io": {"door_open": True}})
    assert bench.outputs.state.reaction is Reaction.BLOCK
    bench.run(1.0, S.LOCKING, {"io": {"door_open": True}})
    assert bench.outputs.state.reaction is Reaction.EMERGENCY
    bench.run(20.0, S.FAULTED)
    assert bench.outputs.state.reaction is Reaction.EMERGENCY
    assert [(event.active, event.reaction) for event in bench.events] == [(True, Reaction.BLOCK), (True, Reaction.EMERGENCY)]


def test_a_block_whose_condition_is_gone_does_not_get_worse() -> None:
    bench = Bench()
    bench.run(1.0, S.PREPARING, {"io": {"door_open": True}})
    bench.run(1.0, S.LOCKING)
    assert bench.outputs.state.reaction is Reaction.BLOCK
    assert bench.permit


def test_the_service_emergency_stop_latches_until_an_operator_resets_it() -> None:
    bench = Bench()
    bench.run(1.0, S.CHARGING)
    bench.run(STEP, S.CHARGING, {"inputs": {"emergency_stop": True}})
    assert not bench.permit
    bench.run(5.0, S.FAULTED)
    assert bench.faults == ("emergency_stop",)
    bench.run(STEP, S.FAULTED, {"inputs": {"reset": True}})
    assert bench.faults == ()


def test_a_reset_does_nothing_while_the_input_behind_a_fault_is_silent() -> None:
    bench = Bench()
    bench.run(1.0, S.AVAILABLE, PRESSED)
    bench.run(1.0, S.AVAILABLE, {"inputs": {"reset": True}}, {"io": 5.0})
    assert "emergency_stop" in bench.faults


def test_a_reset_does_nothing_while_nobody_knows_the_state() -> None:
    bench = Bench()
    bench.run(1.0, S.AVAILABLE, PRESSED)
    bench.run(1.0, S.AVAILABLE, {"inputs": {"reset": True}}, {"session": 0.5})
    assert "emergency_stop" in bench.faults


def test_unplugging_counts_only_when_it_is_seen() -> None:
    bench = Bench()
    bench.run(1.0, S.CHARGING, {"io": {"locked": False, "connector_voltage": nan}})
    assert bench.faults[0] == "lock_lost"
    bench.run(1.0, S.AVAILABLE, ages={"io": 5.0})
    assert "lock_lost" in bench.faults
    bench.run(1.0, S.AVAILABLE)
    assert "lock_lost" not in bench.faults


def test_a_condition_that_becomes_invisible_keeps_its_debounce_running() -> None:
    """A door that opened just before the board fell silent may still be open."""
    bench = Bench(SafetyConfig(door_time=1.0))
    bench.run(1.0, S.CHARGING)
    bench.run(0.1, S.CHARGING, {"io": {"door_open": True}})
    bench.run(1.0, S.CHARGING, ages={"io": 0.6})
    assert {"door_open", "io_board_silent"} == set(bench.faults)


def test_silence_blocks_while_idle_and_is_an_emergency_while_energised() -> None:
    for state, reaction in ((S.AVAILABLE, Reaction.BLOCK), (S.CHARGING, Reaction.EMERGENCY)):
        bench = Bench()
        bench.run(4.0, state, ages={"io": 1.0})
        assert "io_board_silent" in bench.faults
        assert bench.outputs.state.reaction is reaction


def test_a_short_silence_while_idle_is_not_told() -> None:
    bench = Bench()
    bench.run(1.9, S.AVAILABLE, ages={"session": 1.0, "power_command": 1.0, "io_command": 1.0})
    bench.run(1.0, S.AVAILABLE)
    assert bench.events == []


def test_a_vehicle_that_is_silent_or_modules_that_sleep_are_normal_without_a_session() -> None:
    bench = Bench()
    bench.run(60.0, S.AVAILABLE, ages={"vehicle": float("inf"), "power": 100.0})
    assert bench.events == []


def test_a_plug_that_comes_out_is_called_so_although_the_vehicle_is_forgotten_first() -> None:
    """can_bridge forgets the vehicle when the plug is out, and vehicle_report may come before io_report."""
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    bench.run(STEP, S.CHARGING, {"vehicle": {"complete": False, "age": nan}})
    assert (bench.permit, bench.faults) == (False, ())
    assert bench.outputs.state.detail == "vehicle_report is incomplete"
    bench.run(STEP, S.CHARGING, {"vehicle": {"complete": False, "age": nan}, "io": {"plugged": False}})
    assert bench.faults == ("plug_lost",)
    bench.run(5.0, S.AVAILABLE)
    assert bench.faults == ("plug_lost",)


def test_a_vehicle_that_is_forgotten_in_a_session_is_silent_after_its_time() -> None:
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    bench.run(0.85, S.CHARGING, {"vehicle": {"complete": False, "age": nan}})
    assert bench.faults == ()
    bench.run(0.25, S.CHARGING, {"vehicle": {"complete": False, "age": nan}})
    assert bench.faults == ("vehicle_silent",)


def test_a_proximity_circuit_out_of_its_bands_is_no_lost_plug() -> None:
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    bench.run(0.2, S.CHARGING, {"io": {"plugged": False, "proximity_fault": True}})
    assert bench.faults == ("proximity_fault",)


def test_a_sequencer_that_dies_while_charging_is_an_emergency_even_though_its_last_state_was_good() -> None:
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    for late in range(1, 20):
        bench.run(STEP, S.CHARGING, ages=dict.fromkeys(("session", "power_command", "io_command"), late * STEP))
    assert bench.faults[0] == "charge_sequencer_silent"
    assert not bench.permit


def test_a_restarted_monitor_gives_no_permit_before_it_has_seen_everything() -> None:
    bench = Bench()
    names = ("session", "power_command", "io_command", "can_status", "io", "vehicle", "power")
    for count in range(len(names)):
        bench.run(STEP, S.CHARGING, ages=dict.fromkeys(names[count:], float("inf")))
        assert not bench.permit
    bench.run(STEP, S.CHARGING)
    assert bench.permit
    assert bench.events == []


# --- contactors: ours is judged by fresh feedback only, the vehicle's once it had to open ---

OPENED: Changes = {"io_command": {"close_contactor": False}}
LIVE: Changes = {"io": {"connector_voltage": 346.0, "locked": True}}


@pytest.mark.parametrize("since", [-0.2, 0.0, 0.3, 0.45])
def test_a_board_that_falls_silent_around_the_opening_command_is_blamed_and_not_the_contactor(since: float) -> None:
    """The last report says closed, the command to open comes before or after the silence, and nobody can know."""
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    for index in range(round(4.0 / STEP)):
        silent = index * STEP
        told = OPENED if silent >= since else {}
        bench.step(inputs(S.CHARGING if silent < 0.5 else S.FAULTED, bench.now, {**told, "io": {"contactor_closed": True}}, {"io": silent}))
    assert bench.faults == ("io_board_silent",)
    assert bench.outputs.state.first_fault == "io_board_silent"


def test_a_welded_contactor_is_seen_once_the_board_is_back_and_stays_when_it_falls_silent() -> None:
    bench = Bench()
    bench.run(2.0, S.CHARGING)
    bench.run(2.0, S.FAULTED, {"io": {"contactor_closed": True}}, {"io": 1.0})
    assert "contactor_welded" not in bench.faults
    bench.run(1.1, S.FAULTED, {"io": {"contactor_closed": True}})
    assert "contactor_welded" in bench.faults
    bench.run(8.0, S.FAULTED, {"inputs": {"reset": True}}, {"io": 1.0})
    assert "contactor_welded" in bench.faults


def test_the_longest_welding_detection_and_a_slow_discharge_are_no_welded_contactor() -> None:
    bench = Bench()
    bench.run(10.0, S.WELDING_DETECTION, LIVE)
    bench.run(2.9, S.CLOSING, LIVE)
    bench.run(5.0, S.CLOSING)
    bench.run(4.0, S.EMERGENCY, LIVE)
    bench.run(5.0, S.CLOSING)
    assert bench.events == []


def test_a_vehicle_that_stays_live_is_named_and_cleared_by_a_dead_connector_that_is_unplugged() -> None:
    bench = Bench()
    bench.run(3.1, S.CLOSING, LIVE)
    assert bench.faults == ("vehicle_contactor_welded",)
    assert (bench.outputs.state.reaction, bench.events[0].mrec_code) == (Reaction.BLOCK, "CX016")
    assert "346 V at the connector with the output contactor open in CLOSING" in bench.events[0].detail
    bench.run(5.0, S.FAULTED, {**LIVE, "inputs": {"reset": True}})
    assert bench.faults == ("vehicle_contactor_welded",)
    bench.run(5.0, S.FAULTED, {"io": {"connector_voltage": nan, "locked": True}, "inputs": {"reset": True}})
    assert bench.faults == ("vehicle_contactor_welded",)
    bench.run(10.0, S.FAULTED)
    assert bench.faults == ("vehicle_contactor_welded",)
    bench.run(1.0, S.AVAILABLE)
    assert bench.faults == ()


def test_an_operator_may_reset_a_vehicle_that_is_dead_again_while_it_is_plugged() -> None:
    bench = Bench()
    bench.run(3.1, S.CLOSING, LIVE)
    bench.run(STEP, S.FAULTED, {"inputs": {"reset": True}})
    assert bench.faults == ()


def test_our_own_closed_contactor_is_not_blamed_on_the_vehicle() -> None:
    bench = Bench()
    bench.run(5.0, S.CLOSING, {"io": {"connector_voltage": 346.0, "locked": True, "contactor_closed": True}})
    assert bench.faults == ("contactor_welded",)


# --- a whole session, as in can.md 2.3 with the oddities of real chargers and cars that were measured there ---


def session_changes(state: ChargeState, t: float) -> Changes:  # noqa: PLR0911 (one return per state)
    """Return what a real session looks like at t [s] after entering a state."""
    late_car = {"age": (t * 10 % 9) / 40}  # a car that sends every 225 ms
    if state is S.PREPARING:
        return {"power": {"current": 8.0}, "vehicle": late_car}  # a current sensor's offset while idle
    if state is S.CABLE_CHECK:  # steps over 60 V and 110 V to the test voltage, above the vehicle's maximum; inrush of the cable
        voltage = min(60.0 + 250.0 * t, 505.0)
        return {
            "power": {"voltage": voltage, "current": 9.0 if t < 0.5 else 0.5},
            "io": {"connector_voltage": voltage},
            "vehicle": late_car,
            "power_command": {"voltage": 505.0},
        }
    if state is S.LOWERING_OUTPUT:
        voltage = max(505.0 - 500.0 * t, 8.0)
        return {"power": {"voltage": voltage}, "io": {"connector_voltage": voltage}, "vehicle": late_car}
    if (
        state is S.WAITING_FOR_CONTACTOR
    ):  # the vehicle's contactor closes after 1 s: the connector jumps to the battery, the diode holds the modules back
        voltage = 380.0 if t > 1.0 else 5.0
        return {"io": {"connector_voltage": voltage}, "power": {"voltage": 6.0, "current": -4.0 if t > 1.0 else 0.0}}
    if state is S.WAITING_FOR_REQUEST:
        return {"io": {"connector_voltage": 380.0}, "power": {"voltage": 6.0, "current": 0.0}, "vehicle": late_car}
    if state is S.CHARGING:
        return charging_changes(t)
    if state is S.RAMPING_DOWN:
        current = max(100.0 - 60.0 * max(t - 0.4, 0.0), 0.0)
        command = {"current": 0.0, "function": PowerFunction.POWER_TRANSFER}
        return {
            "power": {"current": current, "voltage": 385.0},
            "power_command": command,
            "io": {"permission": t < 0.3},
            "vehicle": {"charging_enabled": t < 0.2},
        }
    if state is S.WELDING_DETECTION:  # our contactor is open; the vehicle's is closed at first, so its battery is at the connector
        voltage = 380.0 if t < 2.0 else max(380.0 - 400.0 * (t - 2.0), 4.0)
        return {"io": {"connector_voltage": voltage, "locked": True}, "power": {"current": 3.0}}
    if state is S.CLOSING:
        return {"io": {"locked": True, "connector_voltage": 4.0}}
    return {}


def charging_changes(t: float) -> Changes:
    """Return ramps of 20 A/s up, 0.5 s behind the request, one pause to 0 A (a Leaf's), constant voltage at the vehicle's maximum."""
    request = min(20.0 * t, 115.0) if t < 12.0 or t > 16.7 else 0.0
    delayed = max(min(20.0 * (t - 0.5), 100.0), 0.0) if t < 12.5 else max(100.0 - 20.0 * (t - 12.5), 0.0)
    current = delayed if t < 17.2 else min(20.0 * (t - 17.2), 100.0)
    voltage = min(380.0 + 2.0 * t, VEHICLE_MAXIMUM + 2.0)
    return {
        "vehicle": {"current_request": request, "age": (t * 10 % 9) / 40},
        "power_command": {"current": min(request, 125.0), "function": PowerFunction.POWER_TRANSFER if request else PowerFunction.STANDBY},
        "power": {"current": current, "voltage": voltage},
        "io": {"connector_voltage": voltage - 2.0},
    }


SESSION = (
    (S.AVAILABLE, 3.0), (S.PREPARING, 3.0), (S.AUTHORIZED, 3.0), (S.WAITING_FOR_VEHICLE, 2.0), (S.WAITING_FOR_PERMISSION, 4.0), (S.LOCKING, 1.5),
    (S.CABLE_CHECK, 10.0), (S.LOWERING_OUTPUT, 1.3), (S.WAITING_FOR_CONTACTOR, 4.0), (S.WAITING_FOR_REQUEST, 8.0), (S.CHARGING, 60.0),
    (S.RAMPING_DOWN, 2.4), (S.WELDING_DETECTION, 4.0), (S.CLOSING, 1.0), (S.UNLOCKING, 1.0), (S.FINISHED, 20.0), (S.AVAILABLE, 5.0),
)  # fmt: skip


def test_a_normal_session_raises_nothing_and_keeps_its_permit() -> None:
    bench = Bench()
    for state, duration in SESSION:
        for index in range(round(duration / STEP)):
            bench.step(inputs(state, bench.now, session_changes(state, index * STEP)))
            assert bench.events == [], (state.name, index * STEP, bench.events)
            assert bench.permit is (state in PERMIT_STATES), (state.name, bench.outputs.state.detail)


def test_the_cable_check_goes_above_the_vehicles_maximum() -> None:
    """Without this the session above would prove nothing about over-voltage."""
    assert VEHICLE_MAXIMUM + SafetyConfig().over_voltage_tolerance < TEST_VOLTAGE


@pytest.mark.parametrize(
    ("station", "vehicle", "trip"),
    [(500.0, 0.0, 550.0), (500.0, nan, 550.0), (500.0, 435.0, 550.0), (501.0, 435.0, 550.0), (750.0, 700.0, 825.0), (1000.0, 850.0, 935.0),
     (1000.0, 0.0, 1100.0), (1000.0, 900.0, 1100.0), (1500.0, 1400.0, 1375.0)],
)  # fmt: skip
def test_the_emergency_trip_follows_the_lower_rating(station: float, vehicle: float, trip: float) -> None:
    assert SafetyConfig(max_voltage=station).emergency_voltage(vehicle) == trip


def test_the_envelope_rises_at_once_and_falls_with_the_ramp_after_its_delay() -> None:
    envelope = CurrentEnvelope(SafetyConfig(), SafetyConfig().max_current)
    assert envelope.step(0.0, 0.0) == 10.0
    assert envelope.step(120.0, 0.1) == 132.0
    assert envelope.step(0.0, 0.5) == 132.0
    assert envelope.step(0.0, 1.6) == pytest.approx(100.0 * 1.1)
    assert envelope.step(0.0, 60.0) == 10.0
    assert envelope.step(500.0, 61.0) == pytest.approx(137.5)


# --- whatever comes in ---

AGES = st.sampled_from([0.0, 0.01, 0.1, 0.19, 0.21, 0.29, 0.31, 0.49, 0.6, 0.9, 1.1, 2.0, 5.0, float("inf")])
NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 50.0, 380.0, 436.0, 600.0]))


@st.composite
def steps(draw: st.DrawFn) -> tuple[float, SafetyInputs]:
    """Return a time to wait and inputs that are mostly plausible, each in turn spoiled."""
    state = draw(st.sampled_from(ChargeState))
    spoiled = {}
    for name, value in healthy(state).items():
        change = {}
        for key in draw(st.lists(st.sampled_from(value.__slots__), max_size=2)):
            old = getattr(value, key)
            if isinstance(old, bool):
                change[key] = draw(st.booleans())
            elif isinstance(old, float):
                change[key] = draw(NUMBERS)
            elif key == "state":
                change[key] = draw(st.sampled_from(ChargeState))
            elif key == "buses":
                change[key] = tuple(replace(bus, health=draw(st.sampled_from(BusHealth))) for bus in old)
        spoiled[name] = change
    asked = {"inputs": {"reset": draw(st.booleans()), "emergency_stop": draw(st.integers(0, 20)) == 0}}
    ages = {name: draw(AGES) for name in spoiled} if draw(st.booleans()) else {}
    return draw(st.sampled_from([0.001, 0.05, 0.3, 2.0, 30.0])), inputs(state, 1000.0, {**spoiled, **asked}, ages)


def shifted(given_inputs: SafetyInputs, offset: float) -> SafetyInputs:
    """Return the inputs received later by an offset [s]."""
    moved = {
        name: replace(sample, received=sample.received + offset)
        for name in TOPIC_OF
        if isinstance(sample := getattr(given_inputs, name), Sample)
    }
    return replace(given_inputs, **moved)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=8))
def test_no_input_crashes_it_or_gets_a_permit_that_it_must_not_have(sequence: list[tuple[float, SafetyInputs]]) -> None:
    config, now = SafetyConfig(), 1000.0
    monitor = SafetyMonitor(config)
    holding: set[str] = set()
    for wait, taken in sequence:
        now += wait
        moved = shifted(taken, now - 1000.0)
        outputs = monitor.step(moved, now)
        for event in outputs.events:
            holding = holding | {event.fault} if event.active else holding - {event.fault}
        assert set(outputs.state.faults) == holding
        if outputs.state.permit:
            assert_may_have_a_permit(moved, now, config)
            assert outputs.state.reaction is not Reaction.EMERGENCY
        else:
            assert outputs.state.detail


def assert_may_have_a_permit(given_inputs: SafetyInputs, now: float, config: SafetyConfig) -> None:
    """Check against the rules of design.md, written down a second time here."""
    assert given_inputs.session is not None
    state = given_inputs.session.value.state
    assert state in PERMIT_STATES
    needed = {"vehicle": config.vehicle_timeout, "io": config.io_timeout, "can_status": config.bridge_timeout, "session": config.session_timeout,
              "power_command": config.command_timeout, "io_command": config.command_timeout}  # fmt: skip
    if state is not S.LOCKING:
        needed["power"] = config.modules_timeout
    for name, limit in needed.items():
        sample = getattr(given_inputs, name)
        assert sample is not None
        assert now - sample.received <= limit
        if name in ("vehicle", "power", "io"):
            assert sample.value.complete
            assert now - sample.received + max(sample.value.age, 0.0) <= limit
    assert given_inputs.io is not None
    assert not given_inputs.io.value.emergency_stop
    assert not given_inputs.emergency_stop
