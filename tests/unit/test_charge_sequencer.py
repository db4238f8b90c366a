"""The charging sequence on its way through the 12 steps, what it puts out on the way, and each step that takes too long or is refused."""

from collections.abc import Callable
from math import nan

import pytest
from charge_sequencer_rig import BATTERY, STEP, Rig, S

from evse_core.types import ChargeState, PowerFunction, Reaction, StopCause

HAPPY_PATH = [
    S.AVAILABLE,
    S.PREPARING,
    S.AUTHORIZING,
    S.AUTHORIZED,
    S.WAITING_FOR_VEHICLE,
    S.WAITING_FOR_PERMISSION,
    S.LOCKING,
    S.CABLE_CHECK,
    S.LOWERING_OUTPUT,
    S.WAITING_FOR_CONTACTOR,
    S.WAITING_FOR_REQUEST,
    S.CHARGING,
    S.RAMPING_DOWN,
    S.WELDING_DETECTION,
    S.CLOSING,
    S.UNLOCKING,
    S.FINISHED,
    S.AVAILABLE,
]


def whole_session() -> Rig:
    rig = Rig().to(S.CHARGING)
    rig.run(10.0).vehicle.stopping = True
    rig.until(S.FINISHED)
    rig.plug(False)
    return rig.until(S.AVAILABLE)


def at(rig: Rig, condition: Callable[[object], bool]) -> int:
    """Return the index of the first step whose outputs fulfil a condition."""
    return next(index for index, out in enumerate(rig.history) if condition(out))


def test_session_passes_every_state_in_order() -> None:
    assert whole_session().path == [state.name for state in HAPPY_PATH]


def test_steps_are_seen_one_by_one_and_in_order() -> None:
    rig = whole_session()
    seen = list(dict.fromkeys(out.session.step for out in rig.history if out.session.session_active))
    assert seen == list(range(1, 13))


def test_step_is_zero_outside_a_session() -> None:
    rig = whole_session()
    assert {out.session.step for out in rig.history if not out.session.session_active} == {0}


def test_session_has_one_identifier_given_from_outside() -> None:
    rig = whole_session()
    ids = {out.session.session_id for out in rig.history} - {""}
    assert len(ids) == 1
    begin = at(rig, lambda out: out.session.session_active)
    assert ids == {f"session-{begin + 1}"}


def test_transaction_lasts_from_the_lock_to_the_dead_output() -> None:
    rig = whole_session()
    states = [out.session.state for out in rig.history if out.session.transaction_active]
    assert states[0] is S.LOCKING
    assert states[-1] in {S.CLOSING, S.UNLOCKING}
    first, last = at(rig, lambda out: out.session.transaction_active), at(rig, lambda out: out.session.state is S.FINISHED)
    assert rig.history[first].io.lock
    assert not rig.history[last].session.transaction_active


def test_order_of_lock_contactor_test_signal_2_and_charging() -> None:
    rig = whole_session()
    order = [
        at(rig, lambda out: out.io.sequence_1),
        at(rig, lambda out: out.vehicle.transmit),
        at(rig, lambda out: out.io.lock),
        at(rig, lambda out: out.vehicle.connector_locked),
        at(rig, lambda out: out.io.close_contactor),
        at(rig, lambda out: out.power.function is PowerFunction.INSULATION_TEST),
        at(rig, lambda out: out.session.state is S.LOWERING_OUTPUT and out.power.lower_output_voltage),
        at(rig, lambda out: out.io.sequence_2),
        at(rig, lambda out: out.power.function is PowerFunction.POWER_TRANSFER),
    ]
    assert order == sorted(order)
    assert len(set(order)) >= len(order) - 1  # the lock bit may come with the contactor


def test_signal_1_outlasts_signal_2_by_the_gap() -> None:
    rig = whole_session()
    last_2 = max(index for index, out in enumerate(rig.history) if out.io.sequence_2)
    last_1 = max(index for index, out in enumerate(rig.history) if out.io.sequence_1)
    assert (last_1 - last_2) * STEP >= rig.config.sequence_gap - 1e-9


def test_insulation_is_tested_with_the_lower_of_both_maximum_voltages_and_2_a() -> None:
    rig = Rig().to(S.CABLE_CHECK).run(0.5)
    assert (rig.out.power.function, rig.out.power.voltage, rig.out.power.current) == (PowerFunction.INSULATION_TEST, 435.0, 2.0)


def test_insulation_test_waits_for_the_contactor_feedback() -> None:
    rig = Rig().to(S.CABLE_CHECK)
    assert rig.out.io.close_contactor
    assert rig.out.power.function is PowerFunction.STANDBY


def test_battery_is_never_discharged_through_the_modules() -> None:
    rig = whole_session()
    for out in rig.history:
        connected = out.session.state in {S.WAITING_FOR_CONTACTOR, S.WAITING_FOR_REQUEST, S.CHARGING, S.RAMPING_DOWN}
        assert not (connected and out.power.lower_output_voltage)


@pytest.mark.parametrize(
    ("state", "charging", "stop_control", "locked"),
    [
        (S.WAITING_FOR_PERMISSION, False, True, False),
        (S.CABLE_CHECK, False, True, True),
        (S.WAITING_FOR_REQUEST, False, True, True),
        (S.CHARGING, True, False, True),
        (S.WELDING_DETECTION, False, True, True),
        (S.CLOSING, False, True, True),
    ],
)
def test_status_bits_of_the_charger(state: ChargeState, charging: bool, stop_control: bool, locked: bool) -> None:
    rig = whole_session()
    told = [out.vehicle for out in rig.history if out.session.state is state][-1]
    assert (told.charging, told.stop_control, told.connector_locked, told.transmit) == (charging, stop_control, locked, True)


def test_vehicle_sees_the_unlocked_connector_before_the_frames_end() -> None:
    rig = whole_session()
    unlocking = [out for out in rig.history if out.session.state is S.UNLOCKING]
    assert unlocking[0].vehicle.connector_locked
    assert [out.vehicle.transmit for out in unlocking[-3:]] == [True] * 3
    assert not unlocking[-1].vehicle.connector_locked
    assert not any(out.vehicle.transmit for out in rig.history if out.session.state is S.FINISHED)


def test_charging_flag_comes_within_half_a_second_of_the_request() -> None:
    rig = Rig().to(S.WAITING_FOR_REQUEST)
    while rig.vehicle.request == 0.0:
        rig.step()
    assert rig.run(0.1).out.vehicle.charging
    assert not rig.out.vehicle.stop_control


def test_limits_are_latched_with_the_permission() -> None:
    rig = Rig().to(S.CABLE_CHECK)
    rig.patch["vehicle"] = {"max_voltage": 600.0, "target_voltage": 499.0}
    rig.until(S.CHARGING)
    assert rig.out.vehicle.threshold_voltage == 435.0
    assert rig.out.power.voltage == 410.0


def test_older_vehicle_that_never_reports_its_contactor_charges_and_ends() -> None:
    rig = Rig()
    rig.vehicle.reports_contactor = False
    rig.to(S.WAITING_FOR_CONTACTOR)
    entered = rig.now
    rig.until(S.WAITING_FOR_REQUEST)
    assert rig.now - entered >= rig.config.unreported_contactor_wait
    rig.until(S.CHARGING).run(3.0).vehicle.stopping = True
    rig.until(S.WELDING_DETECTION)
    entered = rig.now
    rig.until(S.CLOSING)
    assert rig.now - entered == pytest.approx(rig.config.unreported_opening_wait, abs=2 * STEP)
    rig.until(S.FINISHED)


def test_own_protocol_number_is_announced_whatever_the_vehicle_says() -> None:
    rig = Rig()
    rig.patch["vehicle"] = {"protocol_number": 1}
    assert rig.to(S.WAITING_FOR_PERMISSION).out.vehicle.protocol_number == 2


# Refusals at step 4: never energised, told so, and the connector is free again.

UNFIT = {
    "target_above_the_rating": {"target_voltage": 501.0},
    "target_below_the_rating": {"target_voltage": 40.0},
    "target_not_said": {"target_voltage": nan},
    "maximum_below_the_rating": {"max_voltage": 30.0},
    "maximum_not_said": {"max_voltage": nan},
    "unknown_protocol": {"protocol_number": 4},
    "fault_bit": {"fault_battery_temperature": True},
    "system_fault": {"system_fault": True},
    "not_in_park": {"shift_not_parked": True},
    "needs_more_current": {"min_current": 130.0},
}


@pytest.mark.parametrize("fields", UNFIT.values(), ids=UNFIT)
def test_unfit_vehicle_is_told_and_never_energised(fields: dict[str, object]) -> None:
    rig = Rig()
    rig.patch["vehicle"] = fields
    rig.begin().until(S.CLOSING)
    assert rig.out.session.stop_cause is StopCause.INCOMPATIBLE
    assert rig.out.vehicle.battery_incompatible
    assert rig.out.vehicle.stop_control
    assert rig.out.vehicle.transmit
    rig.until(S.FINISHED)
    assert not any(out.io.close_contactor or out.io.sequence_2 or out.io.lock for out in rig.history[1:])
    assert not any(out.power.function not in {PowerFunction.OFF, PowerFunction.STANDBY} for out in rig.history)
    assert not any(out.session.transaction_active for out in rig.history)


def test_values_that_settle_in_time_are_no_refusal() -> None:
    rig = Rig()
    rig.patch["vehicle"] = {"target_voltage": 0.0}
    rig.begin().until(S.WAITING_FOR_VEHICLE).run(0.7)
    rig.patch["vehicle"] = {}
    rig.until(S.CHARGING)


def test_values_that_become_unfit_with_the_permission_are_refused() -> None:
    rig = Rig()
    rig.to(S.WAITING_FOR_PERMISSION).run(1.0)
    rig.patch["vehicle"] = {"target_voltage": 600.0}
    rig.until(S.FINISHED)
    assert rig.out.session.stop_cause is StopCause.INCOMPATIBLE
    assert S.CABLE_CHECK.name not in rig.path


@pytest.mark.parametrize(("fields", "refused"), [({"protocol_number": 9}, True), ({"target_voltage": 600.0, "max_voltage": 20.0}, False)])
def test_after_the_permission_only_what_was_not_latched_can_refuse(fields: dict[str, float], refused: bool) -> None:
    rig = Rig().to(S.LOCKING)
    rig.patch["vehicle"] = fields
    rig.until(S.CABLE_CHECK, S.CLOSING)
    assert (rig.state is S.CLOSING) is refused
    assert (rig.out.session.stop_cause is StopCause.INCOMPATIBLE) is refused


# Each step that takes too long.

TOO_LONG: dict[str, tuple[ChargeState, Callable[[Rig], object], str, StopCause, str]] = {
    "no_frames": (S.WAITING_FOR_VEHICLE, lambda rig: rig.silent.add("vehicle"), "permission_timeout", StopCause.TIMEOUT, "no frames"),
    "no_flag": (
        S.WAITING_FOR_PERMISSION,
        lambda rig: rig.patch["vehicle"].update(charging_enabled=False),
        "permission_timeout",
        StopCause.TIMEOUT,
        "102.5.0",
    ),
    "no_line_k": (
        S.WAITING_FOR_PERMISSION,
        lambda rig: rig.patch["io"].update(permission=False),
        "permission_timeout",
        StopCause.TIMEOUT,
        "line k",
    ),
    "lock_stuck_open": (S.LOCKING, lambda rig: rig.patch["io"].update(locked=False), "lock_timeout", StopCause.CHARGER_FAULT, "lock"),
    "no_begin_reading": (S.LOCKING, lambda rig: rig.silent.add("record"), "locking_timeout", StopCause.CHARGER_FAULT, "begin reading"),
    "no_permit": (S.LOCKING, lambda rig: rig.patch["safety"].update(permit=False), "locking_timeout", StopCause.CHARGER_FAULT, "permit"),
    "modules_refuse": (
        S.LOCKING,
        lambda rig: rig.patch["power"].update(enabled=False),
        "locking_timeout",
        StopCause.CHARGER_FAULT,
        "modules",
    ),
    "modules_asleep": (
        S.LOCKING,
        lambda rig: rig.patch["power"].update(complete=False),
        "locking_timeout",
        StopCause.CHARGER_FAULT,
        "modules",
    ),
    "voltage_unknown": (
        S.LOCKING,
        lambda rig: rig.patch["io"].update(connector_voltage=nan),
        "locking_timeout",
        StopCause.CHARGER_FAULT,
        "dead connector",
    ),
    "contactor_stuck_open": (
        S.CABLE_CHECK,
        lambda rig: rig.patch["io"].update(contactor_closed=False),
        "output_contactor_timeout",
        StopCause.CHARGER_FAULT,
        "contactor",
    ),
    "no_test_voltage": (
        S.CABLE_CHECK,
        lambda rig: rig.patch["power"].update(voltage=300.0),
        "cable_check_timeout",
        StopCause.CHARGER_FAULT,
        "V",
    ),
    "output_stays_up": (
        S.LOWERING_OUTPUT,
        lambda rig: rig.patch["io"].update(connector_voltage=300.0),
        "lowering_timeout",
        StopCause.CHARGER_FAULT,
        "300 V",
    ),
    "no_vehicle_contactor": (
        S.WAITING_FOR_CONTACTOR,
        lambda rig: setattr(rig.vehicle, "closes", False),
        "contactor_timeout",
        StopCause.TIMEOUT,
        "contactor",
    ),
    "contactor_without_voltage": (
        S.WAITING_FOR_CONTACTOR,
        lambda rig: (rig.patch["io"].update(connector_voltage=5.0), setattr(rig.vehicle, "asks", False)),
        "contactor_timeout",
        StopCause.TIMEOUT,
        "5 V",
    ),
    "no_request": (
        S.WAITING_FOR_REQUEST,
        lambda rig: setattr(rig.vehicle, "asks", False),
        "request_timeout",
        StopCause.TIMEOUT,
        "no current",
    ),
}


# The station's own parts that did not move: somebody has to look at them.
BROKEN = {"lock_timeout", "output_contactor_timeout"}


@pytest.mark.parametrize(("state", "break_it", "limit", "cause", "words"), TOO_LONG.values(), ids=TOO_LONG)
def test_step_that_takes_too_long_ends_the_session(
    state: ChargeState, break_it: Callable[[Rig], object], limit: str, cause: StopCause, words: str
) -> None:
    rig = Rig().to(state)
    break_it(rig)
    begun = rig.now
    while rig.state is state:
        rig.step()
        assert rig.now - begun < 30.0
    allowed = getattr(rig.config, limit)
    since = next(out.session.stamp for out in rig.history if out.session.session_active) if limit == "permission_timeout" else begun
    assert rig.now - since == pytest.approx(allowed, abs=0.6)
    assert rig.out.session.stop_cause is cause
    assert words in rig.out.session.stop_detail
    assert rig.state in {S.CLOSING, S.RAMPING_DOWN}
    rig.patch["io"].pop("connector_voltage", None)
    rig.until(S.FINISHED, S.FAULTED)
    assert rig.state is (S.FAULTED if limit in BROKEN else S.FINISHED)


def test_vehicle_that_is_silent_is_not_spoken_to() -> None:
    rig = Rig()
    rig.silent.add("vehicle")
    rig.to(S.CLOSING).until(S.FINISHED)
    assert not any(out.vehicle.transmit for out in rig.history)


def test_late_steps_together_are_too_long_for_the_vehicle() -> None:
    rig = Rig(ready_timeout=6.0, locking_timeout=20.0, insulation_readings=100)
    rig.silent.add("record")
    rig.to(S.LOCKING).run(3.0)
    rig.silent.clear()
    rig.until(S.RAMPING_DOWN)
    assert rig.changes[-1].source is S.CABLE_CHECK
    assert "6 s" in rig.out.session.stop_detail


def test_voltage_before_locking_refuses_the_vehicle() -> None:
    rig = Rig().to(S.WAITING_FOR_PERMISSION)
    rig.patch["io"] = {"connector_voltage": BATTERY}
    rig.until(S.CLOSING)
    assert rig.changes[-1].source is S.LOCKING
    assert rig.out.session.stop_cause is StopCause.VEHICLE_FAULT
    assert rig.out.vehicle.system_malfunction
    assert not any(out.io.lock or out.io.close_contactor for out in rig.history[1:])


# Insulation and ground.


@pytest.mark.parametrize(
    ("board", "modules", "passes"),
    [
        (nan, 510e3, True),
        (100e3, nan, True),
        (100e3, 510e3, True),
        (99e3, 510e3, False),
        (510e3, 99e3, False),
        (nan, nan, False),
    ],
)
def test_insulation_is_the_lower_of_both_monitors(board: float, modules: float, passes: bool) -> None:
    rig = Rig()
    rig.patch["io"], rig.patch["power"] = {"insulation_resistance": board}, {"insulation_resistance": modules}
    rig.to(S.CABLE_CHECK).until(S.LOWERING_OUTPUT, S.RAMPING_DOWN)
    assert (rig.state is S.LOWERING_OUTPUT) is passes
    if not passes:
        assert rig.out.vehicle.system_malfunction
        assert "kOhm" in rig.out.session.stop_detail


def test_insulation_limit_grows_with_the_voltage() -> None:
    rig = Rig(insulation_per_volt=500.0)
    rig.patch["power"] = {"insulation_resistance": 200e3}
    rig.to(S.CABLE_CHECK).until(S.LOWERING_OUTPUT, S.RAMPING_DOWN)
    assert "limit 218 kOhm" in rig.out.session.stop_detail  # 500 ohm/V at 435 V


def test_one_bad_reading_starts_the_count_anew() -> None:
    rig = Rig().to(S.CABLE_CHECK).run(0.45)
    rig.patch["power"] = {"insulation_resistance": 10e3}
    rig.step()
    rig.patch["power"] = {}
    begun = rig.now
    rig.until(S.LOWERING_OUTPUT)
    assert rig.now - begun >= rig.config.insulation_readings * STEP - 1e-9


def test_repeated_report_is_one_reading() -> None:
    rig = Rig(power_age=2.0).to(S.CABLE_CHECK).run(0.3)
    rig.silent.add("power")
    rig.run(1.5)
    assert rig.state is S.CABLE_CHECK


def test_missing_ground_fails_the_test_at_once() -> None:
    rig = Rig()
    rig.patch["io"] = {"earth_ok": False}
    rig.to(S.CABLE_CHECK).until(S.RAMPING_DOWN, limit=1.0)
    assert "protective conductor" in rig.out.session.stop_detail


def test_failed_test_discharges_the_cable_before_the_contactor_opens() -> None:
    rig = Rig()
    rig.patch["power"] = {"insulation_resistance": 10e3}
    rig.to(S.CABLE_CHECK).until(S.RAMPING_DOWN)
    assert rig.connector_voltage > 400.0
    while rig.out.io.close_contactor:
        assert rig.out.power.lower_output_voltage
        rig.step()
    assert rig.connector_voltage <= rig.config.unlock_voltage
    rig.until(S.FINISHED)
    assert S.WELDING_DETECTION.name not in rig.path  # signal 2 was never given


def test_session_waits_in_locking_for_the_permit() -> None:
    rig = Rig()
    rig.patch["safety"] = {"permit": False, "reaction": Reaction.NONE}
    rig.to(S.LOCKING).run(2.0)
    assert rig.state is S.LOCKING
    rig.patch["safety"] = {}
    rig.until(S.CABLE_CHECK, limit=0.3)


def test_a_lock_that_opens_again_before_the_cable_check_keeps_everything_off() -> None:
    """The lock that was seen closed once is not enough: it has to be closed in the moment in which the contactor is told to close."""
    rig = Rig()
    rig.silent.add("record")
    rig.to(S.LOCKING).run(1.0)
    assert rig.out.session.transaction_active
    rig.patch["io"]["locked"] = False
    rig.silent.discard("record")
    rig.run(1.0)
    assert rig.state is S.LOCKING
    assert not rig.out.io.close_contactor
    rig.patch["io"].clear()
    rig.until(S.CABLE_CHECK, limit=3.0)
