"""What ends a session, from which side, how the station goes on from there, and what happens where the end itself fails."""

from collections.abc import Callable
from math import nan

import pytest
from charge_sequencer_rig import STEP, Rig, S

from evse_core.sample import Sample
from evse_core.types import Authorization, ChargeState, CutCause, PowerFunction, Reaction, RequestKind, StopCause, VehicleCommand, Verdict

Break = Callable[[Rig], object]


def vehicle(**fields: object) -> Break:
    return lambda rig: rig.patch["vehicle"].update(fields)


def io(**fields: object) -> Break:
    return lambda rig: rig.patch["io"].update(fields)


def safety(**fields: object) -> Break:
    return lambda rig: rig.patch["safety"].update(fields)


def silence(name: str) -> Break:
    return lambda rig: rig.silent.add(name)


def asked(kind: RequestKind, cause: StopCause = StopCause.UNKNOWN) -> Break:
    return lambda rig: rig.ask(kind, cause=cause)


def deauthorize(verdict: Verdict, token: str = "04AABBCC") -> Break:
    return lambda rig: rig.samples.update(authorization=Sample(Authorization(token=token, verdict=verdict), rig.now))


def bits(told: VehicleCommand) -> str:
    """Return which malfunction bits are set: c(harger), s(ystem), i(ncompatible)."""
    flags = {"c": told.charger_malfunction, "s": told.system_malfunction, "i": told.battery_incompatible}
    return "".join(name for name, there in flags.items() if there)


# In CHARGING: what happens, the cause, the bits, and words of the detail. Within half a second of each the set point must be 0.
STOPS: dict[str, tuple[Break, StopCause, str, str]] = {
    "stop_button": (lambda rig: rig.stop(), StopCause.LOCAL, "", "stop button"),
    "same_token": (lambda rig: rig.token(), StopCause.LOCAL, "", "presented again"),
    "same_token_in_lower_case": (lambda rig: rig.token("04aabbcc"), StopCause.LOCAL, "", "presented again"),
    "remote": (asked(RequestKind.STOP, StopCause.REMOTE), StopCause.REMOTE, "", "REMOTE"),
    "remote_without_cause": (asked(RequestKind.STOP), StopCause.REMOTE, "", "REMOTE"),
    "energy_limit": (asked(RequestKind.STOP, StopCause.ENERGY_LIMIT), StopCause.ENERGY_LIMIT, "", "ENERGY_LIMIT"),
    "unlock": (asked(RequestKind.UNLOCK), StopCause.UNLOCK, "", "UNLOCK"),
    "shutdown": (asked(RequestKind.SHUTDOWN), StopCause.SHUTDOWN, "", "SHUTDOWN"),
    "blocked_later": (deauthorize(Verdict.BLOCKED), StopCause.DEAUTHORIZED, "", "DEAUTHORIZED"),
    "concurrent_later": (deauthorize(Verdict.CONCURRENT), StopCause.DEAUTHORIZED, "", "DEAUTHORIZED"),
    "permission_flag": (vehicle(charging_enabled=False), StopCause.VEHICLE, "", "102.5.0"),
    "line_k": (io(permission=False), StopCause.VEHICLE, "", "line k"),
    "normal_stop_bit": (vehicle(normal_stop_request=True), StopCause.VEHICLE, "", "102.5.4"),
    "vehicle_contactor": (vehicle(contactor_open=True), StopCause.VEHICLE, "", "contactor"),
    "battery_overvoltage": (vehicle(fault_battery_overvoltage=True), StopCause.VEHICLE_FAULT, "", "over-voltage"),
    "battery_undervoltage": (vehicle(fault_battery_undervoltage=True), StopCause.VEHICLE_FAULT, "", "under-voltage"),
    "current_deviation": (vehicle(fault_current_deviation=True), StopCause.VEHICLE_FAULT, "", "current deviates"),
    "battery_temperature": (vehicle(fault_battery_temperature=True), StopCause.VEHICLE_FAULT, "", "temperature"),
    "voltage_deviation": (vehicle(fault_voltage_deviation=True), StopCause.VEHICLE_FAULT, "", "readings"),
    "vehicle_system_fault": (vehicle(system_fault=True), StopCause.VEHICLE_FAULT, "", "fault"),
    "shifter": (vehicle(shift_not_parked=True), StopCause.VEHICLE_FAULT, "", "park"),
    "lock_lost": (io(locked=False), StopCause.CHARGER_FAULT, "c", "locked"),
    "output_above_threshold": (io(connector_voltage=440.0), StopCause.CHARGER_FAULT, "s", "threshold 435 V"),
    "charger_fault": (safety(reaction=Reaction.STOP, first_fault="module_over_temperature"), StopCause.CHARGER_FAULT, "c", "module_over"),
    "system_fault": (safety(reaction=Reaction.STOP, first_fault="insulation_fault"), StopCause.CHARGER_FAULT, "s", "insulation"),
    "vehicle_silent": (safety(reaction=Reaction.STOP, first_fault="vehicle_silent"), StopCause.VEHICLE_FAULT, "s", "vehicle_silent"),
    "fault_without_a_name": (safety(reaction=Reaction.STOP), StopCause.CHARGER_FAULT, "c", "STOP"),
}


@pytest.mark.parametrize(("happens", "cause", "told", "words"), STOPS.values(), ids=STOPS)
def test_charging_ends_in_an_orderly_way(happens: Break, cause: StopCause, told: str, words: str) -> None:
    rig = Rig().to(S.CHARGING).run(5.0)
    assert rig.current > 50.0
    happens(rig)
    rig.until(S.RAMPING_DOWN, limit=3 * STEP)
    assert (rig.out.power.current, rig.out.vehicle.stop_control) == (0.0, True)
    assert rig.out.session.stop_cause is cause
    assert words in rig.out.session.stop_detail
    assert bits(rig.out.vehicle) == told
    rig.run(0.5)
    assert rig.current <= 5.0
    assert not rig.out.vehicle.charging
    rig.patch["io"].pop("connector_voltage", None)
    rig.patch["io"].pop("locked", None)
    rig.patch["safety"].clear()
    rig.until(S.FINISHED, S.FAULTED)
    assert rig.path[-4:-1] == ["WELDING_DETECTION", "CLOSING", "UNLOCKING"]
    assert rig.out.session.stop_cause is cause
    assert (rig.state is S.FAULTED) is (words == "locked")


@pytest.mark.parametrize("state", [S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION, S.LOCKING])
@pytest.mark.parametrize("name", ["stop_button", "same_token", "remote", "unlock", "shutdown", "blocked_later", "charger_fault"])
def test_stop_while_starting_goes_straight_to_closing(state: ChargeState, name: str) -> None:
    happens, cause, _, _ = STOPS[name]
    rig = Rig().to(state)
    happens(rig)
    rig.until(S.CLOSING, limit=3 * STEP)
    assert rig.out.session.stop_cause is cause
    rig.patch["safety"].clear()
    rig.until(S.FINISHED)
    assert not any(out.io.close_contactor for out in rig.history)


@pytest.mark.parametrize("state", [S.CABLE_CHECK, S.LOWERING_OUTPUT, S.WAITING_FOR_CONTACTOR, S.WAITING_FOR_REQUEST])
@pytest.mark.parametrize("name", ["stop_button", "remote", "permission_flag", "line_k", "shifter", "system_fault", "lock_lost"])
def test_stop_before_current_opens_what_is_closed(state: ChargeState, name: str) -> None:
    happens, cause, _, _ = STOPS[name]
    rig = Rig().to(state)
    happens(rig)
    rig.until(S.RAMPING_DOWN, limit=3 * STEP)
    assert rig.out.session.stop_cause is cause
    rig.patch["safety"].clear()
    rig.patch["io"].pop("locked", None)
    rig.until(S.FINISHED, S.FAULTED)
    assert not any(out.power.function is PowerFunction.POWER_TRANSFER for out in rig.history)


@pytest.mark.parametrize(
    "state", [S.WAITING_FOR_PERMISSION, S.LOCKING, S.CABLE_CHECK, S.WAITING_FOR_CONTACTOR, S.WAITING_FOR_REQUEST, S.CHARGING]
)
def test_vehicle_whose_frames_stop_is_lost_after_a_second(state: ChargeState) -> None:
    rig = Rig().to(state)
    rig.silent.add("vehicle")
    lost = rig.now
    rig.until(S.RAMPING_DOWN, S.CLOSING)
    assert rig.now - lost == pytest.approx(1.0, abs=0.15)
    assert rig.out.session.stop_cause is StopCause.VEHICLE_FAULT
    assert rig.out.vehicle.system_malfunction


def test_request_of_nothing_ends_the_session_only_when_it_lasts() -> None:
    rig = Rig().to(S.CHARGING).run(5.0)
    rig.patch["vehicle"] = {"current_request": 0.0}
    rig.run(4.7)  # as long as the Leaf's pause in can.md 2.7
    assert (rig.state, rig.out.power.current) == (S.CHARGING, 0.0)
    rig.patch["vehicle"] = {}
    rig.run(4.0)
    assert rig.current > 50.0
    rig.patch["vehicle"] = {"current_request": 0.0}
    rig.until(S.RAMPING_DOWN, limit=5.2)
    assert rig.out.session.stop_cause is StopCause.VEHICLE


def test_battery_that_is_gone_ends_the_session() -> None:
    rig = Rig().to(S.CHARGING).run(2.0)
    rig.patch["io"] = {"connector_voltage": 20.0}
    rig.until(S.RAMPING_DOWN, limit=0.7)
    assert "the battery is gone" in rig.out.session.stop_detail


def test_remaining_time_counts_down_and_ends_the_session() -> None:
    rig = Rig()
    rig.patch["vehicle"] = {"max_charging_time": 20.0}
    rig.to(S.CHARGING)
    assert rig.out.vehicle.remaining_time == pytest.approx(20.0, abs=0.1)
    rig.run(15.0)
    assert rig.out.vehicle.remaining_time == pytest.approx(5.0, abs=0.1)
    rig.until(S.RAMPING_DOWN, limit=5.2)
    assert rig.out.session.stop_cause is StopCause.TIME_LIMIT
    assert bits(rig.out.vehicle) == ""


def test_vehicle_without_a_time_is_limited_by_the_station() -> None:
    rig = Rig(max_charging_time=60.0)
    rig.patch["vehicle"] = {"max_charging_time": nan}
    rig.to(S.CHARGING).until(S.RAMPING_DOWN, limit=60.5)
    assert rig.out.session.stop_cause is StopCause.TIME_LIMIT


@pytest.mark.parametrize(
    ("stop_when_disabled", "ends"),
    [(False, False), (True, True)],
)
def test_taking_out_of_service_waits_for_a_transaction_unless_told_otherwise(stop_when_disabled: bool, ends: bool) -> None:
    rig = Rig(stop_when_disabled=stop_when_disabled).to(S.CHARGING).run(1.0)
    rig.ask(RequestKind.DISABLE)
    rig.run(1.0)
    assert (rig.state is not S.CHARGING) is ends
    assert not rig.out.session.available
    rig.stop()
    rig.until(S.FINISHED)
    rig.plug(False)
    rig.until(S.UNAVAILABLE)
    assert rig.out.session.stop_cause is (StopCause.UNAVAILABLE if ends else StopCause.LOCAL)


def test_taking_out_of_service_ends_a_session_before_its_transaction() -> None:
    rig = Rig().to(S.WAITING_FOR_PERMISSION)
    rig.ask(RequestKind.DISABLE)
    rig.until(S.FINISHED)
    assert rig.out.session.stop_cause is StopCause.UNAVAILABLE


def test_first_cause_is_kept_and_a_later_fault_still_told() -> None:
    rig = Rig().to(S.CHARGING).run(2.0)
    rig.stop()
    rig.until(S.WELDING_DETECTION)
    rig.patch["safety"] = {"reaction": Reaction.EMERGENCY, "first_fault": "insulation_fault", "permit": False}
    rig.until(S.CLOSING, limit=3 * STEP)
    assert (rig.out.session.stop_cause, rig.out.session.stop_detail) == (StopCause.LOCAL, "stop button")
    assert rig.out.vehicle.system_malfunction
    rig.until(S.FAULTED)


@pytest.mark.parametrize("token", ["04DDEEFF", ""])
def test_another_token_changes_nothing(token: str) -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    rig.token(token)
    rig.run(1.0)
    assert rig.state is S.CHARGING


def test_token_of_the_same_group_ends_the_session() -> None:
    rig = Rig()
    rig.parent = "GROUP1"
    rig.to(S.CHARGING).run(1.0)
    rig.token("GROUP1")
    rig.until(S.RAMPING_DOWN, limit=3 * STEP)
    assert rig.out.session.stop_cause is StopCause.LOCAL


@pytest.mark.parametrize("happens", [deauthorize(Verdict.ACCEPTED), deauthorize(Verdict.UNKNOWN), deauthorize(Verdict.BLOCKED, "04DDEEFF")])
def test_other_verdicts_change_nothing(happens: Break) -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    happens(rig)
    rig.run(1.0)
    assert rig.state is S.CHARGING


# Emergencies: everything off in the same step, from every state that has something on.

EMERGENCIES: dict[str, tuple[Break, StopCause, str]] = {
    "button": (io(emergency_stop=True), StopCause.EMERGENCY, "c"),
    "asked": (asked(RequestKind.EMERGENCY_STOP), StopCause.EMERGENCY, "c"),
    "fault": (safety(reaction=Reaction.EMERGENCY, first_fault="over_voltage_emergency", permit=False), StopCause.CHARGER_FAULT, "c"),
    "chain": (safety(reaction=Reaction.EMERGENCY, first_fault="emergency_stop", permit=False), StopCause.EMERGENCY, "c"),
}
ENERGISED_EMERGENCIES: dict[str, tuple[Break, StopCause, str]] = {
    "unplugged": (io(plugged=False), StopCause.UNPLUGGED, "s"),
    "no_permit": (safety(permit=False), StopCause.CHARGER_FAULT, "c"),
    "cut": (lambda rig: rig.patch["can"].update(cut_count=1), StopCause.CHARGER_FAULT, "c"),
    "contactor_opens": (io(contactor_closed=False), StopCause.CHARGER_FAULT, "c"),
    "board_silent": (silence("io"), StopCause.CHARGER_FAULT, "c"),
    "modules_silent": (silence("power"), StopCause.CHARGER_FAULT, "c"),
    "monitor_silent": (silence("safety"), StopCause.CHARGER_FAULT, "c"),
    "modules_refuse": (lambda rig: rig.patch["power"].update(enabled=False), StopCause.CHARGER_FAULT, "c"),
}
LATE = {"board_silent", "modules_silent", "monitor_silent"}


@pytest.mark.parametrize("name", EMERGENCIES | ENERGISED_EMERGENCIES)
def test_emergency_while_charging_is_off_at_once_and_ends_faulted(name: str) -> None:
    happens, cause, told = (EMERGENCIES | ENERGISED_EMERGENCIES)[name]
    rig = Rig().to(S.CHARGING).run(5.0)
    happens(rig)
    rig.until(S.EMERGENCY, limit=0.6 if name in LATE else 2 * STEP)
    assert (rig.out.power.function, rig.out.io.close_contactor) == (PowerFunction.OFF, False)
    assert rig.out.session.stop_cause is cause
    assert bits(rig.out.vehicle) == told
    assert not rig.out.power.clean_stop
    rig.until(S.FAULTED)
    assert (rig.out.io.sequence_1, rig.out.io.sequence_2, rig.out.io.close_contactor) == (False, False, False)
    assert not rig.out.session.transaction_active


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (CutCause.CONTROLLER_SILENT, "can_bridge has cut the power: controller silent"),
        (CutCause.COMMAND_STALE, "can_bridge has cut the power: command stale"),
        # One that was restarted has nothing to say about the cut.
        (CutCause.NONE, "can_bridge has cut the power"),
    ],
)
def test_a_cut_is_told_with_its_cause(cause: CutCause, words: str) -> None:
    rig = Rig().to(S.CHARGING)
    rig.patch["can"].update(cut_count=1, cut_cause=cause)
    rig.until(S.EMERGENCY, limit=2 * STEP)
    assert rig.out.session.stop_detail == words


@pytest.mark.parametrize("name", EMERGENCIES)
@pytest.mark.parametrize(
    "state",
    [S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION, S.LOCKING, S.CABLE_CHECK, S.LOWERING_OUTPUT, S.WAITING_FOR_CONTACTOR, S.RAMPING_DOWN],
)
def test_emergency_in_any_state_ends_faulted(name: str, state: ChargeState) -> None:
    rig = Rig()
    if state is S.RAMPING_DOWN:
        rig.to(S.CHARGING).run(2.0).stop()
        rig.until(state)
    else:
        rig.to(state)
    EMERGENCIES[name][0](rig)
    rig.until(S.EMERGENCY, limit=2 * STEP)
    assert (rig.out.power.function, rig.out.io.close_contactor) == (PowerFunction.OFF, False)
    rig.until(S.FAULTED)


def test_signal_2_outlasts_the_current_in_an_emergency() -> None:
    rig = Rig().to(S.CHARGING).run(5.0)
    rig.patch["power"] = {"current": 40.0}
    rig.patch["io"] = {"emergency_stop": True}
    rig.until(S.EMERGENCY)
    begun = rig.now
    while rig.out.io.sequence_2:
        rig.step()
    assert rig.now - begun == pytest.approx(rig.config.stop_time, abs=2 * STEP)
    assert rig.out.io.sequence_1


@pytest.mark.parametrize(
    ("how", "state"),
    [("unplug", S.AVAILABLE), ("reset", S.FINISHED)],
)
def test_faulted_is_left_when_the_fault_is_gone_and_somebody_came(how: str, state: ChargeState) -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    rig.patch["safety"] = {"reaction": Reaction.EMERGENCY, "first_fault": "emergency_stop", "permit": False}
    rig.until(S.FAULTED).run(5.0)
    assert rig.state is S.FAULTED
    rig.patch["safety"] = {}
    rig.run(5.0)
    assert rig.state is S.FAULTED
    if how == "unplug":
        rig.plug(False)
    else:
        rig.ask(RequestKind.ENABLE)
    rig.until(state, limit=1.0)


def test_faulted_is_not_left_while_the_fault_holds() -> None:
    rig = Rig().to(S.CHARGING).run(1.0)
    rig.patch["safety"] = {"reaction": Reaction.BLOCK, "permit": False}
    rig.until(S.FAULTED)
    rig.plug(False)
    rig.run(5.0)
    assert rig.state is S.FAULTED


def test_unplugging_while_starting_ends_the_session() -> None:
    rig = Rig().to(S.WAITING_FOR_PERMISSION)
    rig.plug(False)
    rig.until(S.AVAILABLE)
    assert rig.out.session.stop_cause is StopCause.UNPLUGGED


# Endings that fail.


def ended(rig: Rig) -> Rig:
    """Charge, then press stop."""
    rig.to(S.CHARGING).run(3.0).stop()
    return rig.until(S.RAMPING_DOWN)


def test_current_that_stays_becomes_an_emergency() -> None:
    rig = ended(Rig())
    rig.patch["power"] = {"current": 30.0}
    begun = rig.now
    rig.until(S.EMERGENCY)
    assert rig.now - begun == pytest.approx(rig.config.ramp_down_timeout, abs=2 * STEP)
    assert rig.out.session.stop_cause is StopCause.LOCAL
    rig.until(S.FAULTED)


def test_contactor_is_not_opened_under_current_in_an_orderly_end() -> None:
    rig = ended(Rig())
    rig.patch["power"] = {"current": 1.5}
    rig.run(1.0)
    assert rig.out.io.close_contactor
    assert rig.out.power.function is PowerFunction.STANDBY
    assert not rig.out.vehicle.charging
    rig.patch["power"] = {}
    rig.run(2 * STEP)
    assert not rig.out.io.close_contactor


def test_stuck_contactor_ends_faulted_with_the_first_cause() -> None:
    rig = Rig().to(S.CHARGING).run(3.0)
    rig.patch["io"] = {"contactor_closed": True}
    rig.stop()
    rig.until(S.CLOSING)
    assert not rig.out.io.sequence_2
    rig.until(S.FAULTED)
    assert rig.out.session.stop_cause is StopCause.LOCAL
    rig.plug(False)
    rig.run(5.0)
    assert rig.state is S.FAULTED  # a contactor that reports closed is no station to be used


def test_vehicle_contactor_that_never_opens_is_given_up() -> None:
    rig = Rig()
    rig.vehicle.opens = False
    ended(rig).until(S.WELDING_DETECTION)
    begun = rig.now
    rig.until(S.CLOSING)
    assert rig.now - begun == pytest.approx(rig.config.welding_timeout, abs=2 * STEP)
    rig.until(S.FINISHED)


def test_output_that_stays_up_keeps_the_connector_locked() -> None:
    rig = ended(Rig())
    rig.patch["io"] = {"connector_voltage": 300.0}
    rig.until(S.FAULTED)
    rig.run(30.0)
    assert rig.out.io.lock
    assert rig.out.session.stop_cause is StopCause.LOCAL
    assert rig.out.session.session_active
    rig.patch["io"] = {}
    rig.run(0.2)
    assert S.UNLOCKING in {rig.state, ChargeState[rig.path[-1]]}
    rig.until(S.FAULTED)
    assert not rig.out.io.lock
    rig.plug(False)
    rig.until(S.AVAILABLE)


def test_unknown_output_voltage_is_no_reason_to_unlock() -> None:
    rig = ended(Rig())
    rig.patch["io"] = {"connector_voltage": nan}
    rig.until(S.FAULTED).run(5.0)
    assert rig.out.io.lock


def test_lock_that_does_not_open_ends_faulted_and_is_told_on() -> None:
    rig = ended(Rig())
    rig.patch["io"] = {"locked": True}
    rig.until(S.FAULTED).run(5.0)
    assert rig.path[-2:] == ["UNLOCKING", "FAULTED"]
    assert not rig.out.io.lock
    rig.plug(False)
    rig.run(1.0)
    assert rig.state is S.FAULTED
    rig.patch["io"] = {}
    rig.until(S.AVAILABLE, limit=1.0)


def test_a_lock_that_is_lost_while_the_vehicle_is_still_connected_takes_signal_2_away_at_once() -> None:
    """Session 9100 of seed 2028: the monitor needs a second to see a dangerous voltage at an unlocked connector."""
    rig = ended(Rig()).until(S.WELDING_DETECTION)
    assert rig.out.io.sequence_2
    rig.patch["io"] = {"locked": False}
    rig.step()
    assert rig.state is S.CLOSING
    assert not rig.out.io.sequence_2
    assert rig.until(S.FAULTED).out.session.stop_cause is StopCause.LOCAL


def test_jammed_lock_is_tried_again_when_asked() -> None:
    rig = ended(Rig())
    rig.patch["io"] = {"locked": True}
    rig.until(S.FAULTED).run(1.0)
    rig.ask(RequestKind.UNLOCK)
    rig.until(S.UNLOCKING, limit=2 * STEP).until(S.FAULTED)


def test_jammed_lock_is_held_again_when_voltage_comes_back() -> None:
    rig = ended(Rig())
    rig.patch["io"] = {"locked": True}
    rig.until(S.FAULTED).run(1.0)
    rig.patch["io"] = {"locked": True, "connector_voltage": 100.0}
    assert rig.step().io.lock


def test_board_that_is_silent_while_closing_ends_faulted_and_locked() -> None:
    rig = ended(Rig()).until(S.WELDING_DETECTION)
    rig.silent.add("io")
    rig.until(S.FAULTED).run(2.0)
    assert rig.out.io.lock


def test_voltage_that_comes_back_while_unlocking_locks_again() -> None:
    rig = ended(Rig()).until(S.UNLOCKING)
    assert not rig.out.io.lock
    rig.patch["io"] = {"connector_voltage": 200.0, "locked": True}
    rig.step()
    assert rig.out.io.lock


# After a restart of the sequence.


@pytest.mark.parametrize(
    "fields",
    [{"locked": True}, {"contactor_closed": True}, {"connector_voltage": 380.0}],
)
def test_restart_with_a_hot_connector_recovers(fields: dict[str, object]) -> None:
    rig = Rig()
    rig.plug()
    rig.patch["io"] = fields
    rig.until(S.RECOVERING, limit=1.0)
    command = rig.out.io
    assert (command.sequence_1, command.sequence_2, command.close_contactor) == (False, False, False)
    assert rig.out.session.stop_cause is StopCause.RESTART
    assert not rig.out.session.transaction_active
    if "connector_voltage" in fields:
        rig.patch["io"] = {"connector_voltage": 380.0, "locked": True}
        assert rig.step().io.lock
    rig.patch["io"] = {"locked": True}
    rig.lock.value = True
    rig.run(0.3)
    rig.patch["io"] = {}
    rig.until(S.FINISHED)
    rig.plug(False)
    rig.until(S.AVAILABLE)


def test_restart_with_an_output_that_stays_up_ends_faulted_and_locked() -> None:
    rig = Rig()
    rig.plug()
    rig.patch["io"] = {"connector_voltage": 380.0, "locked": True}
    rig.until(S.FAULTED)
    assert rig.out.io.lock


def test_nothing_is_commanded_before_the_connector_is_known() -> None:
    rig = Rig()
    rig.silent.add("io")
    rig.run(3.0)
    assert rig.state is S.INITIALISING
    assert not any(out.publish_commands for out in rig.history)
    assert all(out.io.lock for out in rig.history)


# --- an I/O board that falls silent takes the signals away: what the vehicle does then is the board's doing ---

AFTER_THE_SIGNALS = {
    "permission withdrawn": {"charging_enabled": False},
    "wish to stop": {"normal_stop_request": True},
    "fault": {"fault_current_deviation": True},
    "contactor opened": {"contactor_open": True, "contactor_reported": True},
}


@pytest.mark.parametrize("name", AFTER_THE_SIGNALS)
def test_a_vehicle_that_stops_because_the_board_is_silent_is_not_blamed(name: str) -> None:
    rig = Rig().to(S.CHARGING).run(2.0)
    rig.silent = {"io"}
    rig.run(0.25)
    assert rig.state is S.CHARGING
    rig.patch["vehicle"] = AFTER_THE_SIGNALS[name]
    rig.step()
    assert (rig.state, rig.out.session.stop_cause) == (S.RAMPING_DOWN, StopCause.CHARGER_FAULT)
    assert rig.out.session.stop_detail.startswith("I/O board silent for 0.32 s, ")
    rig.run(1.0)
    assert rig.out.session.stop_cause is StopCause.CHARGER_FAULT
    assert rig.out.session.stop_detail.startswith("I/O board silent")


@pytest.mark.parametrize("name", AFTER_THE_SIGNALS)
@pytest.mark.parametrize("late", [0.0, 0.1])
def test_a_vehicle_that_stops_while_the_board_reports_is_the_cause(name: str, late: float) -> None:
    rig = Rig().to(S.CHARGING).run(2.0)
    rig.silent = {"io"} if late else set()
    rig.run(late - STEP if late else 0.0)
    rig.patch["vehicle"] = AFTER_THE_SIGNALS[name]
    rig.step()
    assert rig.state is S.RAMPING_DOWN
    assert rig.out.session.stop_cause in {StopCause.VEHICLE, StopCause.VEHICLE_FAULT}


@pytest.mark.parametrize("state", [S.LOCKING, S.CABLE_CHECK, S.WAITING_FOR_CONTACTOR, S.WAITING_FOR_REQUEST])
def test_a_permission_that_goes_with_the_board_is_not_blamed_on_the_vehicle_before_charging(state: ChargeState) -> None:
    rig = Rig().to(state)
    rig.silent = {"io"}
    rig.run(0.2)
    assert rig.state is state
    rig.patch["vehicle"] = {"charging_enabled": False}
    rig.run(0.1)
    assert rig.state is not state
    assert (rig.out.session.stop_cause, rig.out.session.stop_detail[:16]) == (StopCause.CHARGER_FAULT, "I/O board silent")


# --- a safety monitor that restarts while nothing is energised ---


@pytest.mark.parametrize("state", [S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION])
def test_a_monitor_that_restarts_before_power_may_flow_only_makes_the_session_wait(state: ChargeState) -> None:
    rig = Rig().to(state)
    rig.silent = {"safety"}
    rig.run(4.0)
    assert rig.state in {S.WAITING_FOR_VEHICLE, S.WAITING_FOR_PERMISSION}
    assert not rig.out.io.close_contactor
    assert rig.out.power.function is PowerFunction.OFF
    rig.silent = set()
    rig.until(S.CHARGING)


def test_a_vehicle_that_permits_waits_for_the_monitor() -> None:
    rig = Rig().to(S.WAITING_FOR_PERMISSION)
    rig.silent = {"safety"}
    rig.run(3.5)
    assert rig.inputs.vehicle.value.charging_enabled  # type: ignore[union-attr]
    assert rig.state is S.WAITING_FOR_PERMISSION
    rig.silent = set()
    rig.run(2 * STEP)
    assert rig.state is S.LOCKING


@pytest.mark.parametrize("permits", [True, False])
def test_a_monitor_that_stays_away_ends_the_start_and_is_named(permits: bool) -> None:
    rig = Rig()
    rig.vehicle.permits = permits
    rig.to(S.WAITING_FOR_VEHICLE)
    begun = rig.now
    rig.silent = {"safety"}
    rig.until(S.CLOSING)
    assert rig.now - begun == pytest.approx(rig.config.permission_timeout, abs=2 * STEP)
    assert (rig.out.session.stop_cause, rig.out.session.stop_detail) == (StopCause.CHARGER_FAULT, "the safety monitor is silent")


def test_a_monitor_that_falls_silent_in_locking_ends_the_start() -> None:
    rig = Rig().to(S.LOCKING)
    rig.patch["io"] = {"locked": False}
    rig.silent = {"safety"}
    rig.run(0.6)
    assert S.CLOSING.name in rig.path
    assert (rig.out.session.stop_cause, rig.out.session.stop_detail) == (StopCause.CHARGER_FAULT, "safety monitor silent")


def test_an_emergency_button_acts_without_the_monitor_before_power_may_flow() -> None:
    rig = Rig().to(S.WAITING_FOR_PERMISSION)
    rig.silent = {"safety"}
    rig.run(1.0)
    rig.patch["io"] = {"emergency_stop": True}
    rig.step()
    assert (rig.state, rig.out.session.stop_cause) == (S.EMERGENCY, StopCause.EMERGENCY)


def test_a_frozen_reading_of_no_current_opens_the_contactor_only_after_the_time_of_the_ramp() -> None:
    """Modules whose status stands report 0 A at once while the current still flows (found by the campaign)."""
    rig = Rig().to(S.CHARGING).run(3.0)
    rig.patch["power"]["current"] = 0.0
    rig.stop()
    rig.until(S.RAMPING_DOWN).run(rig.config.stop_time - 0.15)
    assert rig.out.io.close_contactor
    rig.run(0.3)
    assert not rig.out.io.close_contactor
