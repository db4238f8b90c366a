"""The whole EVSE on a virtual clock: a session in 12 steps, energies that agree, and every fault of the table ending with power off."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from world_rig import COURSE, DATABASES, energy, mend, over

from evse_core.codecs.signals import Malformed, UnknownId
from evse_core.frame import Frame
from evse_core.types import BusLink, ChargeState, RecordStatus, RequestKind, StopCause
from evse_nodes import databases
from evse_simulators.faults import BOARD, DISCHARGE, MODULES, VEHICLE, of
from evse_simulators.memo_database import MemoDatabase
from evse_simulators.vehicle import VehicleConfig
from evse_simulators.world import World
from evse_simulators.world_config import NODES, QUICK_MODULES, QUICK_VEHICLE, WorldConfig

QUICK = WorldConfig(vehicle=VehicleConfig(**QUICK_VEHICLE), modules=QUICK_MODULES)


def world(config: WorldConfig = QUICK, seed: int = 1) -> World:
    return World(DATABASES, config, seed)


@pytest.fixture(scope="module")
def charging() -> World:
    """A world in which current flows; tests go on with a fork of it."""
    made = world()
    assert made.begin_charging(), made.log
    return made.run(3.0)


def watch(made: World, seconds: float) -> None:
    """Go on and hold what must hold in every tick: no current and no touchable voltage without a lock, no power before the begin reading."""
    for _ in range(round(seconds / made.config.tick)):
        made.tick()
        if not made.board.locked and "lock_lost" not in made.board.faults and made.vehicle.plugged:
            assert made.power.connector_voltage < 60.0, f"{made.now:.2f} s: {made.power}"
        if made.power.current > 0.5 and made.vehicle.plugged:
            assert made.record is not None, f"{made.now:.2f} s: current without a record"


def test_a_complete_session_passes_every_state_and_all_12_steps_in_order():
    made = world(WorldConfig())
    assert made.begin_charging()
    made.run(20.0)
    made.stop()
    assert made.reach(ChargeState.FINISHED, 20.0)
    assert made.said("state") == COURSE
    assert made.said("step") == [str(step) for step in range(1, 13)]
    assert not made.said("fault")
    assert made.session.stop_cause is StopCause.LOCAL
    assert made.unplug().success
    assert made.reach(ChargeState.AVAILABLE, 2.0)


def test_meter_and_vehicle_agree_within_half_a_percent_and_the_battery_holds_it_but_for_the_heat():
    made = world()
    before = made.vehicle.battery.soc_percent
    assert made.begin_charging()
    made.run(25.0)
    made.stop()
    assert made.reach(ChargeState.FINISHED, 20.0)
    assert made.records[-1].status is RecordStatus.CLOSED
    assert energy(made) > 200.0
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.005)
    battery = made.vehicle.battery
    stored = (battery.soc_percent - before) / 100.0 * battery.capacity_ah * battery.open_circuit_voltage
    assert 0.95 * made.vehicle.energy_wh < stored < made.vehicle.energy_wh


def test_a_small_battery_fills_up_and_the_vehicle_ends_the_session():
    config = replace(QUICK, vehicle=replace(QUICK.vehicle, capacity_kwh=0.6, soc_percent=70.0, battery_resistance=0.2))
    made = world(config)
    assert made.begin_charging()
    assert made.run_until(over, 120.0)
    assert (made.session.state, made.session.stop_cause) == (ChargeState.FINISHED, StopCause.VEHICLE)
    assert 80.0 <= made.vehicle.battery.soc_percent < 85.0  # The ramp down at 20 A/s goes on charging.
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.005)
    assert not made.said("fault")


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    seed = 2

    def run() -> World:
        made = world(seed=seed)
        made.begin_charging()
        made.run(5.0).stop()
        return made.run(5.0)

    first, second = run(), run()
    assert first.log == second.log
    assert (first.power, first.vehicle.energy_wh, first.records) == (second.power, second.vehicle.energy_wh, second.records)
    other = world(seed=seed + 100)
    other.begin_charging()
    assert other.log[:20] != first.log[:20]


def test_a_fork_goes_on_like_its_original_and_on_its_own(charging: World):
    first, second = charging.fork(), charging.fork()
    first.run(2.0)
    second.run(2.0)
    assert (first.log, first.power) == (second.log, second.power)
    first.inject("emergency_stop")
    first.run(1.0)
    second.run(1.0)
    assert (first.power.current < 0.5, second.power.current > 5.0) == (True, True)


def test_an_unknown_token_starts_nothing():
    made = world()
    made.run(1.0)
    made.plug_in()
    made.token("DEADBEEF")
    made.start()
    made.run(5.0)
    assert "AUTHORIZED" not in made.said("state")
    assert made.power.module_voltage == 0.0


@pytest.mark.parametrize("how", ["stop", "token", "stop_vehicle", "remote"])
def test_every_way_to_stop_ends_in_a_closed_record_and_a_free_connector(charging: World, how: str):
    made = charging.fork()
    if how == "remote":
        made.request(RequestKind.STOP, cause=StopCause.REMOTE)
    else:
        getattr(made, how)()
    assert made.run_until(over, 30.0)
    expected = {"stop": StopCause.LOCAL, "token": StopCause.LOCAL, "stop_vehicle": StopCause.VEHICLE, "remote": StopCause.REMOTE}
    assert (made.session.state, made.session.stop_cause) == (ChargeState.FINISHED, expected[how])
    assert made.records[-1].status is RecordStatus.CLOSED
    assert (made.dead, made.can_unplug) == (True, True)
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.005)


@pytest.mark.parametrize(
    ("vehicle", "extended"), [(0, False), (1, False), (2, True), (2, False), (3, True)], ids=["0.8", "0.9", "1.0", "1.0 fixed", "2.0"]
)
def test_every_generation_of_vehicles_is_served_from_start_to_end(vehicle: int, extended: bool):
    made = world(replace(QUICK, vehicle=VehicleConfig(protocol_number=vehicle, extended_functions=extended)))
    assert made.begin_charging(), made.log[-3:]
    watch(made, 3.0)
    made.stop()
    assert made.reach(ChargeState.FINISHED, 30.0), made.log[-3:]
    assert made.can_unplug
    assert not made.said("fault")


@pytest.mark.parametrize(
    "quirk", [{"frame_period": 0.225}, {"unsettled_reference": 240}, {"unsettled_reference": 255}, {"start_limit": 0.4}]
)
def test_odd_vehicles_that_are_on_the_road_are_served(quirk: dict[str, float]):
    made = world(replace(QUICK, vehicle=replace(QUICK.vehicle, **quirk)))
    assert made.begin_charging(), made.log[-3:]
    made.run(5.0).stop()
    assert made.reach(ChargeState.FINISHED, 30.0), made.log[-3:]


# Power is gone this long after the fault; 1.5 s where not said. Times of can.md 2.4 and section 4, and the deviations that vehicles accept for 5 s.
GONE_WITHIN = {
    "vehicle_fault_current_deviation": 6.5,
    "vehicle_fault_voltage_deviation": 6.5,
    "vehicle_no_request": 6.0,
    "connector_hot": 30.0,
    "module_hot": 60.0,
    "module_bank_silent": 3.0,
    "modules_disagree": 12.0,
    "modules_offer_nothing": 2.0,
}
# Faults that only matter when the session ends.
AT_THE_END = {"vehicle_contactor_welded", "vehicle_incompatible", "lock_stuck", "contactor_welded", "module_runaway"}
# Faults with which charging goes on, and those of an AC current that this station does not signal.
AT_THE_END |= {"module_failed", "connector_worn", "ac_over_current", "ac_current_lost"}
# Its cable needs no coolant.
AT_THE_END |= {"coolant_pump_fails", "coolant_unknown"}
# The connector stays locked until somebody has mended it: it is live, or nobody knows, or the lock cannot move.
HELD = {"vehicle_contactor_welded", "lock_stuck", "io_board_silent"}


@pytest.mark.parametrize("name", [name for name in of(VEHICLE, MODULES, BOARD) if name not in DISCHARGE])
def test_every_fault_while_charging_ends_with_power_off_and_a_connector_that_is_free_or_held_for_a_reason(charging: World, name: str):
    made = charging.fork()
    assert made.inject(name).success
    begin = made.now
    if name in AT_THE_END:
        made.run(1.0)
        assert made.stop().success
        begin = made.now + 3.0
    assert made.run_until(lambda made: abs(made.power.current) < 0.5, 70.0)
    assert made.now - begin <= GONE_WITHIN.get(name, 1.5)
    assert made.run_until(over, 40.0), made.session
    watch(made, 2.0)
    assert made.dead is (name != "vehicle_contactor_welded")
    assert made.can_unplug is (name not in HELD)
    assert made.records[-1].status is not RecordStatus.OPEN
    assert made.session.stop_cause is not StopCause.NONE
    mend(made, name)


@pytest.mark.parametrize("name", ["vehicle_silent", "emergency_stop", "module_runaway", "io_board_silent", "plug_lost"])
def test_after_a_fault_was_mended_the_next_session_charges(charging: World, name: str):
    made = charging.fork()
    made.inject(name)
    made.run(5.0)
    made.stop()
    made.run_until(over, 40.0)
    mend(made, name)
    made.log.clear()
    assert made.begin_charging(), made.log[-5:]
    assert not made.said("fault")


@pytest.mark.parametrize("delay", [0.0, 0.025, 0.05, 0.1])
@pytest.mark.parametrize("seed", [1, 2, 5, 8])
def test_a_silent_io_board_is_the_only_fault_and_the_cause_of_the_end(seed: int, delay: float):
    """The board's own timeout takes the signals away, so the vehicle stops first and the board counts as lost only after that."""
    made = world(seed=seed)
    assert made.begin_charging()
    made.run(2.0 + delay)
    made.inject("io_board_silent")
    made.run(10.0)
    assert made.said("fault") == ["io_board_silent"]
    assert made.safety_state.first_fault == "io_board_silent"
    assert made.session.stop_cause is StopCause.CHARGER_FAULT
    assert made.session.stop_detail.startswith("I/O board silent")


def test_a_vehicle_whose_contactor_is_welded_is_named_holds_the_lock_and_blocks(charging: World):
    made = charging.fork()
    made.inject("vehicle_contactor_welded")
    made.run(1.0).stop()
    assert made.reach(ChargeState.FAULTED, 40.0)
    made.reset_faults()
    made.run(20.0)
    assert made.said("fault") == ["vehicle_contactor_welded"]
    assert made.safety_state.faults == ("vehicle_contactor_welded",)
    assert (made.session.state, made.board.locked) == (ChargeState.FAULTED, True)
    mend(made, "vehicle_contactor_welded")
    assert made.safety_state.faults == ()


def test_a_connector_that_stays_too_hot_for_any_current_ends_the_session(charging: World):
    made = charging.fork()
    begun = made.now
    while not over(made) and made.now < begun + 60.0:
        made.board.temperature = 90.0
        made.tick()
    assert made.session.stop_cause is StopCause.CHARGER_FAULT
    assert made.session.stop_detail == "derated to 0 A for 10 s, connector at 90 degC"
    assert made.said("fault") == ["connector_derated"]
    assert made.now - begun < 25.0


def test_modules_that_take_back_all_current_end_the_session_as_heat_does(charging: World):
    made = charging.fork()
    made.inject("modules_offer_nothing")
    begun = made.now
    assert made.run_until(over, 40.0)
    assert made.session.stop_cause is StopCause.CHARGER_FAULT
    assert made.session.stop_detail == "derated to 0 A for 10 s, the modules offer 0 A"
    assert not made.said("fault")
    assert made.now - begun < 25.0


def test_a_session_goes_on_with_the_modules_that_are_left(charging: World):
    made = charging.fork().run(5.0)
    assert made.power.current > 100.0
    made.inject("module_failed")
    made.run(20.0)
    assert (made.session.state, made.said("fault")) == (ChargeState.CHARGING, ["module_failed"])
    assert made.power.current == pytest.approx(0.75 * 125.0, abs=2.0)
    made.heal("module_failed")
    made.run(20.0)
    assert made.power.current > 100.0
    assert made.safety_state.faults == ()


def test_a_worn_connector_is_told_and_derated_and_does_not_get_too_hot(charging: World):
    made = charging.fork()
    made.inject("connector_worn")
    # As warm as after a minute. Without derating it would have 103 degC in the end: 125 A on 4.8 mOhm, time constant 120 s.
    made.board.temperature = hottest = 70.0
    for _ in range(150):
        made.run(0.5)
        hottest = max(hottest, made.board.temperature)
    assert (made.session.state, made.said("fault")) == (ChargeState.CHARGING, ["connector_derated"])
    assert made.power.current < 100.0
    assert 80.0 < hottest < 90.0


def test_an_impact_that_lasts_a_moment_is_seen_and_stays_until_an_operator_has_looked(charging: World):
    made = charging.fork()
    made.inject("impact")
    made.run(0.1)
    made.heal("impact")
    made.run(5.0)
    assert made.said("fault") == ["impact"]
    assert (made.power.current < 0.5, made.safety_state.faults) == (True, ("impact",))
    made.reset_faults()
    made.run(1.0)
    assert made.safety_state.faults == ()


class Signalling(World):
    """A world whose sequencer signals an AC current on the control pilot."""

    def publish(self, topic: Any, value: Any) -> None:
        super().publish(topic, replace(value, pilot_current=self.signalled) if topic == "io_command" else value)

    signalled = 32.0


def signalling(amperes: float = 32.0) -> Signalling:
    config = replace(QUICK, board=replace(QUICK.board, ac_phases=3))
    made = Signalling(DATABASES, config, 1)
    made.signalled = amperes
    assert made.begin_charging(), made.log[-5:]
    return made


def test_an_ac_current_as_signalled_is_no_fault():
    made = signalling()
    made.run(15.0)
    assert (made.session.state, made.said("fault")) == (ChargeState.CHARGING, [])


# What the vehicle draws is 1.3 times the signalled current and 1 A; the limits are 1.1 times and 0.5 A for 6.5 s, and 1.1 times and 5 A for 5.5 s.
@pytest.mark.parametrize(
    ("fault", "signalled", "raised", "seconds", "cause"),
    [
        ("ac_over_current", 16.0, "ac_over_current", 6.5, StopCause.VEHICLE_FAULT),
        ("ac_over_current", 32.0, "ac_over_current_high", 5.5, StopCause.VEHICLE_FAULT),
        ("ac_current_lost", 16.0, "ac_current_unknown", 1.5, StopCause.CHARGER_FAULT),
    ],
)
def test_an_ac_current_above_what_is_signalled_or_unknown_ends_the_session(
    fault: str, signalled: float, raised: str, seconds: float, cause: StopCause
):
    made = signalling(signalled)
    begun = made.now
    made.inject(fault)
    assert made.run_until(lambda made: bool(made.said("fault")), 10.0)
    assert made.said("fault") == [raised]
    assert made.now - begun == pytest.approx(seconds, abs=0.3)
    assert made.run_until(over, 20.0)
    assert (made.dead, made.session.stop_cause) == (True, cause)


def test_a_board_that_measures_no_ac_current_lets_none_be_signalled():
    config = replace(QUICK, board=replace(QUICK.board, ac_phases=0))
    made = Signalling(DATABASES, config, 1)
    made.begin_charging(20.0)
    assert "ac_current_unknown" in made.said("fault")


# Why a vehicle with a fault does not begin to charge; None where it begins, because the fault shows later.
BEFORE = {
    "vehicle_silent": StopCause.TIMEOUT,
    "vehicle_fault_overvoltage": StopCause.VEHICLE_FAULT,
    "vehicle_stops_permission": StopCause.TIMEOUT,
    "vehicle_contactor_opens": StopCause.TIMEOUT,
    "vehicle_no_request": StopCause.TIMEOUT,
    "vehicle_incompatible": StopCause.INCOMPATIBLE,
    "lock_stuck": StopCause.CHARGER_FAULT,
    "contactor_stuck_open": StopCause.CHARGER_FAULT,
    "modules_silent": StopCause.CHARGER_FAULT,
    "module_refuses": StopCause.CHARGER_FAULT,
    "insulation_low": StopCause.CHARGER_FAULT,
    "over_voltage": StopCause.CHARGER_FAULT,
    "modules_failed": StopCause.CHARGER_FAULT,
    "module_bank_silent": StopCause.CHARGER_FAULT,
}


@pytest.mark.parametrize(("name", "cause"), BEFORE.items())
def test_a_fault_that_is_there_before_ends_the_start_without_energy(name: str, cause: StopCause):
    made = world()
    made.inject(name)
    made.run(1.0)
    for action in (made.plug_in, made.token, made.start):
        action()
        watch(made, 1.0)
    made.run_until(lambda made: over(made) and made.session.stop_cause is not StopCause.NONE, 40.0)
    assert made.session.stop_cause is cause, made.session.stop_detail
    assert made.vehicle.energy_wh < 0.1
    assert (made.dead, made.can_unplug) == (True, True)


CABINET = ("emergency_stop", "door_open", "earth_lost", "residual_current", "proximity_fault", "io_board_silent")


@pytest.mark.parametrize("name", [*CABINET, "tilted", "impact", "pilot_short", "pilot_diode"])
def test_a_fault_of_the_cabinet_blocks_the_next_session(name: str):
    made = world()
    made.inject(name)
    made.run(2.0)
    for action in (made.plug_in, made.token, made.start):
        action()
        made.run(0.5)
    made.run(5.0)
    assert made.session.state in {ChargeState.FAULTED, ChargeState.INITIALISING}
    assert made.power.module_voltage == 0.0
    assert "WAITING_FOR_VEHICLE" not in made.said("state")


@pytest.mark.parametrize("hand_over", [1, 2, 3])
def test_slower_hand_over_is_no_fault(hand_over: int):
    made = world(replace(QUICK, hand_over=hand_over))
    assert made.begin_charging(), made.log[-5:]
    made.run(5.0).stop()
    assert made.reach(ChargeState.FINISHED, 30.0)
    assert not made.said("fault")


def test_the_site_power_limits_the_current_and_the_vehicle_follows(charging: World):
    made = world(replace(QUICK, site_power=10e3))
    assert made.begin_charging()
    made.run(10.0)
    assert made.power.current * made.power.module_voltage == pytest.approx(10e3, rel=0.05)
    assert made.vehicle.sequence.phase.value == "charging"


@pytest.mark.parametrize("name", databases.NAMES)
def test_a_memo_answers_like_the_database_that_it_wraps(name: str):
    plain, random = databases.load(name), Random(7)
    memo: Any = MemoDatabase(plain)
    for _ in range(200):
        identifier = random.choice([0x100, 0x102, 0x109, 0x201, 0x202, 0x203, 0x210, 0x0106B003, 0x01063000, 0x01FF3000, 0x7FF])
        frame = Frame(identifier, random.randbytes(random.choice([0, 1, 7, 8])), identifier > 0x7FF)
        for _ in range(2):
            assert answer(memo, frame) == answer(plain, frame)


def answer(database: Any, frame: Frame) -> Any:
    """Return what a database says to a frame and to the signals in it, or which error it raises."""
    try:
        decoded = database.decode(frame)
    except (UnknownId, Malformed) as error:
        return repr(error)
    return decoded, database.encode(decoded.name, decoded.signals, pistol=3)


def test_every_node_says_that_it_lives_and_a_dead_one_is_missed(charging: World):
    made = charging.fork()
    heard = made._for_safety["nodes"]
    assert set(heard) == set(NODES)
    assert max(made.now - sample.received for sample in heard.values()) <= 1.1
    assert made.safety_state.faults == ()
    made._lives = lambda node: node != "/ocpp_uplink"  # type: ignore[method-assign]
    made.run(9.0)
    assert (made.safety_state.faults, made.safety_state.permit) == (("node_silent",), True)


def test_the_load_of_the_buses_is_that_of_their_frames(charging: World):
    """Ten times three frames a second each way on the vehicle's bus, and no flood anywhere."""
    loads = {bus.link: bus.load for bus in charging.bridge.status().buses}
    assert loads[BusLink.VEHICLE] == pytest.approx(2 * 3 * 10 * 135 / 500_000, rel=0.4)
    assert all(0.005 < load < 0.05 for load in loads.values()), loads


def test_a_node_that_restarts_again_and_again_ends_the_session_and_bars_the_next_for_a_while(charging: World):
    made = charging.fork()
    for number in range(4):
        made._started["/evse_1/energy_meter"] += 1.0 + number
        made.run(1.1)
    assert made.safety_state.first_fault == "node_restarting"
    assert made.run_until(over, 40.0)
    made.unplug()
    made.run(100.0)
    assert made.safety_state.faults == ("node_restarting",)
    made.run(40.0)
    assert made.safety_state.faults == ()
