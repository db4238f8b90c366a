"""The whole EVSE with an AC output and an AC vehicle, in the simulated world: sessions, limits, phases, pauses, every fault, a failure of the mains."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from world_rig import AC_COURSE, DATABASES, energy, mend, over

from evse_core.types import ChargeState, PilotState, RecordStatus, RequestKind, StopCause
from evse_simulators.ac_vehicle import AcPhase, AcVehicleConfig
from evse_simulators.campaign_plan import RULES
from evse_simulators.campaign_plan_ac import ALL_FAULTS
from evse_simulators.campaign_world import BOOT, CampaignWorld
from evse_simulators.world import World
from evse_simulators.world_config import QUICK_AC_VEHICLE, pilot_config

# What the board needs at most from a change at the vehicle to an open contactor (can.md 3.3). [s]
REACTION = 0.1
TETHERED: dict[str, Any] = {"socket_outlet": False, "phase_switching": False}


def world(output: dict[str, Any] | None = None, seed: int = 1, site_power: float = 50e3, **vehicle: Any) -> World:
    return World(DATABASES, pilot_config(AcVehicleConfig(**QUICK_AC_VEHICLE | vehicle), output, site_power=site_power), seed)


def charging_world(output: dict[str, Any] | None = None, seconds: float = 6.0, **more: Any) -> World:
    made = world(output, **more)
    assert made.begin_charging(), made.log[-5:]
    return made.run(seconds)


@pytest.fixture(scope="module")
def charging() -> World:
    return charging_world()


def offered(made: World) -> float:
    """Return what the control pilot offers now [A], 0 for nothing."""
    told = made.board._commands.pilot_current
    return told if told < 6000.0 and not made.board._commands.pilot_unavailable else 0.0


def changes_of_offer(made: World, seconds: float) -> list[tuple[float, float]]:
    """Go on; return when another current was offered, and which."""
    found, last, end = [], offered(made), made.now + seconds
    while made.now < end:
        made.tick()
        if offered(made) != last:
            last = offered(made)
            found.append((made.now, last))
    return found


def test_a_session_takes_every_step_bills_what_flowed_and_frees_the_connector():
    made = charging_world(seconds=20.0)
    assert (made.vehicle.current, made.vehicle.phases_used) == (pytest.approx(16.0, abs=0.1), 3)
    assert not made.vehicle.unplug().success
    assert made.stop().success
    assert made.reach(ChargeState.FINISHED, 20.0), made.log[-5:]
    assert made.said("state") == AC_COURSE
    assert not made.said("fault")
    assert (made.records[-1].status, made.records[-1].stop_cause) == (RecordStatus.CLOSED, StopCause.LOCAL)
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.02)
    made.run(3.0)
    assert made.unplug().success
    assert made.reach(ChargeState.AVAILABLE, 3.0)


def test_the_same_seed_gives_the_same_run():
    runs = [charging_world(seed=7).run(10.0) for _ in range(2)]
    assert [str(entry) for entry in runs[0].log] == [str(entry) for entry in runs[1].log]
    assert runs[0].vehicle.energy_wh == runs[1].vehicle.energy_wh > 0.0


@pytest.mark.parametrize(
    ("output", "vehicle", "current", "phases"),
    [
        ({}, {"charger_phases": 1, "max_current": 32.0}, 32.0, 1),
        ({}, {"max_current": 32.0, "cable_current": 20.0}, 20.0, 3),
        ({}, {"max_current": 32.0, "cable_current": 13.0}, 13.0, 3),
        ({}, {"max_current": 63.0, "cable_current": 63.0}, 32.0, 3),
        ({}, {"simplified": True, "max_current": 32.0}, 10.0, 3),
        ({}, {"toggles": 2}, 16.0, 3),
        ({}, {"follow_delay": 5.0, "stop_delay": 1.5}, 16.0, 3),
        ({"ventilated": True}, {"needs_ventilation": True}, 16.0, 3),
        (TETHERED, {"cable_current": 0.0, "max_current": 32.0}, 32.0, 3),
        (TETHERED | {"ac_phases": 1, "phase_voltage": 120.0, "max_current": 16.0}, {"cable_current": 0.0}, 16.0, 1),
        (TETHERED | {"ac_phases": 1, "phase_voltage": 240.0, "max_current": 48.0}, {"cable_current": 0.0, "max_current": 48.0}, 48.0, 1),
    ],
    ids=[
        "one phase",
        "20 A cable",
        "13 A cable",
        "32 A rating",
        "simplified",
        "toggles",
        "slow",
        "ventilated",
        "tethered",
        "level 1",
        "level 2",
    ],
)
def test_vehicles_cables_and_outputs_of_all_kinds_are_served(output: dict, vehicle: dict, current: float, phases: int):
    made = charging_world(output, 12.0, **vehicle)
    assert (made.vehicle.current, made.vehicle.phases_used) == (pytest.approx(current, abs=0.15), phases)
    assert not made.said("fault")
    made.stop_vehicle()
    assert made.run_until(lambda world: world.vehicle.phase is AcPhase.ENDED, 5.0)
    made.stop()
    assert made.reach(ChargeState.FINISHED, 20.0), made.log[-5:]
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.03)
    made.run(1.0)
    assert made.unplug().success


@pytest.mark.parametrize(
    ("vehicle", "broken"), [({"needs_ventilation": True}, ""), ({}, "cable_coding_wrong"), ({"cable_current": 0.0}, "")]
)
def test_what_cannot_be_served_is_never_energised(vehicle: dict, broken: str):
    made = world(**vehicle)
    if broken:
        made.inject(broken)
    assert not made.begin_charging(timeout=25.0)
    assert not made.board.contactor_closed
    assert made.vehicle.energy_wh == 0.0
    assert not any(entry.what == "CHARGING" for entry in made.log)


def test_a_full_battery_pauses_the_session_and_the_driver_ends_it():
    made = charging_world(seconds=1.0, soc_percent=80.0, target_soc_percent=81.0, capacity_kwh=1.0)
    assert made.run_until(lambda world: world.vehicle.phase is AcPhase.ENDED, 30.0)
    assert made.reach(ChargeState.WAITING_FOR_REQUEST, 1.0)
    assert made.run(60.0).session.state is ChargeState.WAITING_FOR_REQUEST
    assert not made.board.contactor_closed
    made.stop()
    assert made.reach(ChargeState.FINISHED, 10.0)
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.03, abs=0.3)


def test_less_power_means_less_current_and_changes_of_the_offer_are_5_s_apart(charging: World):
    made = charging.fork()
    assert offered(made) == 32.0
    moments = []
    for power in (6.9e3, 5.5e3, 9e3, 7e3):
        made.config = replace(made.config, site_power=power)
        moments += changes_of_offer(made, 2.0)
    moments += changes_of_offer(made, 20.0)
    assert len(moments) >= 2
    assert all(after[0] - before[0] >= 5.0 - 1e-6 for before, after in pairwise(moments))
    assert made.vehicle.current * 3 * 230.0 <= 7e3 + 1.0
    assert made.session.state is ChargeState.CHARGING


def test_too_little_power_for_three_phases_switches_to_one_without_current_and_back(charging: World):
    made = charging.fork()
    made.config = replace(made.config, site_power=3e3)
    watched: list[tuple[int, float, bool]] = []
    while made.board.ac.phases == 3 and made.now < charging.now + 150.0:
        made.tick()
        watched.append((made.board.ac.phases, made.power.current, made.board.contactor_closed))
    assert watched[-1] == (1, 0.0, False)
    assert made.run_until(lambda world: world.vehicle.current > 5.0, 60.0)
    made.run(10.0)
    assert (made.vehicle.phases_used, made.vehicle.current) == (1, pytest.approx(13.0, abs=0.1))
    made.config = replace(made.config, site_power=50e3)
    assert made.run_until(lambda world: world.vehicle.phases_used == 3, 150.0)
    assert not made.said("fault")


def test_no_power_at_all_pauses_with_a_steady_pilot_and_goes_on_later():
    made = charging_world(TETHERED, cable_current=0.0)
    made.config = replace(made.config, site_power=0.0)
    assert made.run_until(lambda world: not world.board.contactor_closed, 15.0)
    assert made.run(30.0).session.state is ChargeState.WAITING_FOR_REQUEST
    assert (offered(made), made.vehicle.phase) == (0.0, AcPhase.CONNECTED)
    made.config = replace(made.config, site_power=50e3)
    assert made.run_until(lambda world: world.vehicle.current > 15.0, 15.0)
    assert len(made.records) == 1


def test_a_sleeping_vehicle_is_woken_by_state_f():
    made = world(ready_delay=0.5)
    made.run(1.0).plug_in()
    made.inject("ac_sleeps")
    made.token()
    made.run(0.5).start()
    assert made.reach(ChargeState.WAITING_FOR_REQUEST, 10.0)
    assert made.run_until(lambda world: world.vehicle.current > 5.0, 60.0)
    assert made.vehicle.current > 5.0


def test_a_vehicle_that_pauses_by_itself_goes_on(charging: World):
    made = charging.fork()
    made.inject("ac_drops_out")
    assert made.reach(ChargeState.WAITING_FOR_REQUEST, 1.0)
    made.run(5.0)
    made.heal("ac_drops_out")
    assert made.run_until(lambda world: world.vehicle.current > 15.0, 10.0)


def test_no_duty_cycle_before_a_token_and_none_after_the_session():
    made = world()
    made.run(1.0).plug_in()
    assert changes_of_offer(made, 20.0) == []
    made.token()
    made.run(1.0).start()
    assert made.run_until(lambda world: world.vehicle.current > 5.0, 20.0)
    made.stop()
    assert made.reach(ChargeState.FINISHED, 20.0)
    assert changes_of_offer(made, 20.0) == []


def test_who_pulls_a_tethered_connector_ends_the_session_and_is_not_hurt():
    made = charging_world(TETHERED, cable_current=0.0)
    assert made.unplug().success
    assert made.run_until(lambda world: not world.board.contactor_closed, REACTION + 0.05)
    assert made.reach(ChargeState.AVAILABLE, 10.0)
    assert (made.records[-1].stop_cause, made.records[-1].status) == (StopCause.UNPLUGGED, RecordStatus.CLOSED)


def test_a_pressed_latch_stops_before_the_connector_is_out():
    made = charging_world(TETHERED, cable_current=0.0)
    made.inject("latch_pressed")
    assert made.run_until(over, 10.0)
    assert not made.said("fault")
    assert made.session.stop_cause is StopCause.LOCAL


# Reaction of the board


@pytest.mark.parametrize("name", ["ac_drops_out", "ac_current_in_b", "ac_diode_missing", "ac_plug_lost"])
def test_the_board_opens_within_100_ms_of_the_change_at_the_vehicle(charging: World, name: str):
    made = charging.fork()
    told: list[tuple[float, str]] = []
    step = made.vehicle.step

    def watched(now: float) -> Any:
        output = step(now)
        lines = output.lines
        told.append((now, repr((lines.plugged, lines.pilot_resistance, lines.pilot_diode))))
        return output

    made.vehicle.step = watched  # type: ignore[method-assign]
    made.run(0.2)
    before = told[-1][1]
    made.inject(name)
    assert made.run_until(lambda world: not world.board.contactor_closed, 1.0)
    changed = next(at for at, words in told if words != before)
    assert made.now - changed <= REACTION + 1e-9
    assert made.run(0.1).power.current == 0.0


# Faults: what must have ended the flow, within so long [s]: the debounce of the fault's row or the board's own reaction, and hand-overs.
GONE_WITHIN = {
    "ac_drops_out": 0.2,
    "ac_current_in_b": 0.2,
    "ac_diode_missing": 0.2,
    "ac_plug_lost": 0.2,
    "emergency_stop": 0.4,
    "door_open": 0.6,
    "tilted": 0.9,
    "impact": 0.4,
    "earth_lost": 0.5,
    "residual_current": 0.2,
    "proximity_fault": 0.5,
    "pilot_short": 0.2,
    "pilot_diode": 0.2,
    "pilot_broken": 0.2,
    "pilot_noise": 0.4,
    "mains_lost": 0.1,
    "mains_low": 4.5,
    "cable_coding_wrong": 4.5,
    "ac_current_lost": 5.0,
    "lock_lost": 0.7,
    "contactor_stuck_open": 0.3,
    "connector_hot": 15.0,
    "io_board_silent": 0.4,
}
# Faults that end no session by themselves while a vehicle charges within its offer.
GOES_ON = {
    "ac_ignores_limit", "ac_ignores_stop", "ac_stays_in_c", "ac_sleeps", "latch_pressed", "residual_test_fails", "pole_welded",
    "output_sensor_live", "lock_stuck", "contactor_welded", "connector_worn",
}  # fmt: skip
# The connector stays locked until somebody has mended it: it is live, or nobody knows, or the lock cannot move.
HELD = {"lock_stuck", "io_board_silent", "pole_welded", "output_sensor_live", "contactor_welded"}
OVER_CURRENT = 12.0


@pytest.mark.parametrize("name", ALL_FAULTS)
def test_every_fault_while_charging_ends_with_power_off_and_a_connector_that_is_free_or_held_for_a_reason(charging: World, name: str):
    made = charging.fork()
    assert made.inject(name).success
    begin = made.now
    if name in GOES_ON:
        made.run(2.0)
        assert made.session.state is ChargeState.CHARGING
        made.stop()
    else:
        limit = GONE_WITHIN.get(name, OVER_CURRENT)
        assert made.run_until(lambda world: world.power.current < 1.0, limit), made.log[-5:]
        if name in {"ac_drops_out", "ac_current_in_b"}:
            made.run(1.0)
            made.stop()
    assert made.run_until(lambda world: over(world) or world.session.state is ChargeState.AVAILABLE, 30.0), (made.session, made.log[-5:])
    made.run(3.0)
    assert made.power.current == 0.0, begin
    assert made.locked == (name in HELD), made.session
    assert made.records[-1].status in {RecordStatus.CLOSED, RecordStatus.INTERRUPTED}
    mend(made, name)
    assert made.begin_charging(), (made.session, made.safety_state.faults, made.log[-5:])


def test_a_vehicle_that_ignores_its_limit_is_stopped():
    made = charging_world(max_current=32.0, cable_current=20.0)
    assert made.vehicle.current == pytest.approx(20.0, abs=0.1)
    made.inject("ac_ignores_limit")
    assert made.run_until(lambda world: world.power.current == 0.0, 12.0)
    made.run(5.0)
    assert made.session.stop_cause is StopCause.VEHICLE_FAULT
    assert {"ac_over_current", "ac_over_current_high"} & set(made.safety_state.faults)


def test_a_vehicle_that_ignores_the_stop_is_cut_after_6_s(charging: World):
    made = charging.fork()
    made.inject("ac_ignores_stop")
    began = made.now
    made.stop()
    assert made.run_until(lambda world: not world.board.contactor_closed, 10.0)
    assert 5.5 <= made.now - began <= 7.0


@pytest.mark.parametrize(
    "name", ["residual_test_fails", "residual_current", "mains_low", "pilot_short", "output_sensor_live", "pole_welded"]
)
def test_no_session_begins_with_a_fault_that_bars_it(name: str):
    made = world()
    made.inject(name)
    assert not made.begin_charging(timeout=20.0)
    assert made.vehicle.energy_wh == 0.0
    assert not made.board.contactor_closed


def test_faults_of_other_links_are_refused(charging: World):
    made = charging.fork()
    answers = [made.inject(name) for name in ("vehicle_silent", "module_hot", "controller_silent", "nonsense")]
    assert not any(answer.success for answer in answers)
    assert "ac_drops_out" in answers[0].message


# The mains


def test_a_failure_of_the_mains_opens_contactor_and_lock_and_bills_what_is_on_disk():
    made = CampaignWorld(DATABASES, pilot_config(AcVehicleConfig(**QUICK_AC_VEHICLE)), 3)
    assert made.begin_charging()
    made.run(30.0)
    taken = made.vehicle.energy_wh
    made.fail_power()
    made.run(2.0)
    assert (made.board.contactor_closed, made.power.current, made.board.locked) == (False, 0.0, False)
    assert made.vehicle.phase is AcPhase.CONNECTED
    made.restore_power()
    made.run(BOOT)
    for rule in RULES:
        made.bring_back(rule)
    assert made.run_until(lambda world: world.records and world.records[-1].status is RecordStatus.INTERRUPTED, 40.0), made.log[-5:]
    assert 0.0 < energy(made) <= taken + 0.1
    made.run(5.0)
    made.reset_faults()
    assert made.unplug().success
    assert made.reach(ChargeState.AVAILABLE, 20.0), (made.session, made.safety_state.faults)
    assert made.begin_charging(), made.log[-5:]


def test_the_back_end_stops_and_unlocks(charging: World):
    made = charging.fork()
    made.request(RequestKind.UNLOCK, cause=StopCause.UNLOCK)
    assert made.reach(ChargeState.FINISHED, 15.0)
    assert not made.locked
    assert made.session.stop_cause is StopCause.UNLOCK


def test_the_offer_is_never_above_what_cable_rating_and_power_allow(charging: World):
    made = charging.fork()
    made.config = replace(made.config, site_power=8e3)
    made.run(7.0)
    assert 0.0 < offered(made) <= 8e3 / 690.0
    assert PilotState(int(made.board.ac.state)) is PilotState.C
