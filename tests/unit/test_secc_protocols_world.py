"""CHAdeMO and MCS behind a charge controller, in the simulated world: what differs from CCS, and what the station stays strict about."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from unit.world_rig import COURSE, DATABASES, described, energy, mend, over

from evse_core.frame import Frame
from evse_core.types import BusLink, ChargeState, Plug, RecordStatus, StopCause, VehicleProtocol
from evse_simulators.faults import DISCHARGE, FAULTS, SECC
from evse_simulators.secc import SeccConfig
from evse_simulators.world import World
from evse_simulators.world_config import QUICK_CONTROLLER, QUICK_MODULES, secc_config

CHADEMO = SeccConfig(**QUICK_CONTROLLER, protocol=4, plug=2)
MCS = SeccConfig(**QUICK_CONTROLLER, protocol=7, plug=4)
# The plug is not seen before the start button is pressed.
COURSE_BEHIND_CONTROLLER = [state for state in COURSE if state != "PREPARING"]


def world(vehicle: SeccConfig = CHADEMO, **sequencer: Any) -> World:
    config = secc_config(vehicle, modules=QUICK_MODULES)
    return World(DATABASES, replace(config, sequencer=replace(config.sequencer, **sequencer)), seed=1)


@pytest.fixture(scope="module")
def charging() -> World:
    made = world()
    assert made.begin_charging(), made.log[-5:]
    return made.run(2.0)


class Overheard:
    """The frames of the controller, decoded, with their times [s]."""

    def __init__(self, made: World) -> None:
        self.frames: list[tuple[float, str, dict[str, float]]] = []
        publish = made.publish

        def listen(topic: str | BusLink, value: Any) -> None:
            if topic == "to_bridge" and value[0] is BusLink.VEHICLE:
                self._take(made.now, value[1])
            publish(topic, value)

        made.publish = listen  # type: ignore[method-assign]

    def _take(self, now: float, frame: Frame) -> None:
        decoded = DATABASES["evse_v3"].decode(frame)
        self.frames.append((now, decoded.name, dict(decoded.signals)))

    def said(self, name: str) -> list[tuple[float, dict[str, float]]]:
        return [(now, signals) for now, found, signals in self.frames if found == name]


def test_a_chademo_session_begins_with_the_start_button_and_is_not_precharged() -> None:
    made = world()
    heard = Overheard(made)
    assert made.begin_charging(), made.log[-5:]
    made.run(10.0)
    made.stop_vehicle()
    assert made.reach(ChargeState.FINISHED, 20.0), made.log[-5:]
    assert made.said("state") == COURSE_BEHIND_CONTROLLER
    assert not made.said("fault")
    assert made.session.stop_cause is StopCause.VEHICLE
    assert made.records[-1].status is RecordStatus.CLOSED
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.02)
    phases = [signals["State"] for _, signals in heard.said("Advantics_Controller_Status")]
    assert 11.0 not in phases
    assert 5.0 not in phases
    assert not heard.said("CCS_Extra_Information")
    assert not heard.said("EV_ID_CCS_Part2_DIN")
    asked = [(now, signals["Current_Range_Max"]) for now, signals in heard.said("DC_Power_Control") if signals["Power_Function"] == 8.0]
    assert all(current == int(current) for _, current in asked)
    assert max(b - a for (a, _), (b, _) in pairwise(asked)) <= 0.15
    assert len(heard.said("Charge_Session_Finished")) == 1
    made.run(3.0)
    assert made.unplug().success
    assert made.reach(ChargeState.AVAILABLE, 3.0)


def test_the_next_chademo_session_of_the_same_plug_in_needs_the_button_again() -> None:
    made = world()
    assert made.begin_charging(), made.log[-5:]
    made.stop()
    assert made.reach(ChargeState.AVAILABLE, 20.0), made.session
    made.run(5.0)
    assert not made.vehicle.running
    made.token()
    made.run(3.0)
    assert made.session.state is ChargeState.AUTHORIZED
    made.start()
    assert made.reach(ChargeState.CHARGING, 20.0), made.session


def test_a_start_button_that_is_pressed_before_the_token_counts() -> None:
    made = world()
    made.run(1.0).plug_in()
    made.start()
    made.run(2.0)
    assert not made.vehicle.running
    made.token()
    assert made.reach(ChargeState.CHARGING, 30.0), made.session


def test_a_station_without_a_start_button_presses_the_controllers_once_the_token_is_accepted() -> None:
    made = world(start_button_required=False)
    made.run(1.0).plug_in()
    made.token()
    assert made.reach(ChargeState.CHARGING, 30.0), made.session


def test_nobody_is_charged_without_a_vehicle() -> None:
    made = world(authorization_validity=5.0)
    made.run(1.0).token()
    made.start()
    made.run(4.0)
    assert made.session.state is ChargeState.AUTHORIZED
    assert made.reach(ChargeState.AVAILABLE, 10.0)


@pytest.mark.parametrize(
    "vehicle",
    [replace(CHADEMO, protocol=3), replace(CHADEMO, protocol=5, range_mode=True), replace(CHADEMO, use_sequence_flags=False)],
    ids=["0.9", "2.0 with a range", "button wired to the controller"],
)
def test_other_chademo_vehicles_and_controllers_are_served(vehicle: SeccConfig) -> None:
    made = world(vehicle)
    assert made.begin_charging(), made.log[-5:]
    made.run(4.0)
    assert not made.said("fault")
    made.stop()
    assert made.reach(ChargeState.UNLOCKING, 20.0), made.log[-5:]


@pytest.mark.parametrize("plug", [0, 4, 99], ids=["CCS plug", "MCS plug", "unknown plug"])
def test_without_precharge_no_power_unless_protocol_and_plug_say_chademo(plug: int) -> None:
    made = world(replace(CHADEMO, plug=plug))
    made.run(1.0).plug_in()
    made.token()
    made.start()
    assert made.run_until(over, 40.0), made.session
    assert "WAITING_FOR_CONTACTOR" not in made.said("state")
    assert "CHARGING" not in made.said("state")
    assert made.session.stop_cause is StopCause.CHARGER_FAULT
    assert "POWER_TRANSFER in LOWERING_OUTPUT" in made.session.stop_detail


def test_a_contactor_of_the_vehicle_that_does_not_close_ends_the_session_without_power() -> None:
    made = world()
    made.vehicle.sequence._connect = lambda: None  # type: ignore[method-assign]
    made.run(1.0).plug_in()
    made.token()
    made.start()
    assert made.run_until(over, 60.0), made.session
    assert "WAITING_FOR_CONTACTOR" in made.said("state")
    assert "WAITING_FOR_REQUEST" not in made.said("state")
    assert made.session.stop_cause is StopCause.TIMEOUT


def test_power_is_not_given_before_the_battery_is_there() -> None:
    made = world()
    made.vehicle.sequence._connect = lambda: setattr(made.vehicle.sequence, "phase", made.vehicle.sequence.phase.CHARGING)  # type: ignore[method-assign]
    made.run(1.0).plug_in()
    made.token()
    made.start()
    highest = 0.0
    while not over(made) and made.now < 40.0:
        made.tick()
        highest = max(highest, abs(made.power.current)) if "WAITING_FOR_CONTACTOR" in made.said("state") else highest
    assert "CHARGING" not in made.said("state")
    assert highest < 0.5


GOES_ON = {"ccs_no_request", "controller_skips_test", "controller_ignores_stop", "controller_keeps_asking", "ccs_contactor_welded"}


@pytest.mark.parametrize("name", [name for name, row in FAULTS.items() if row.simulator == SECC and name not in DISCHARGE])
def test_every_fault_of_controller_and_chademo_vehicle_ends_with_power_off(charging: World, name: str) -> None:
    made = charging.fork()
    assert made.inject(name).success
    if name in GOES_ON:
        made.run(1.0)
        assert made.stop().success
    assert made.run_until(lambda made: abs(made.power.current) < 0.5, 20.0), made.session
    assert made.run_until(lambda made: bool(made.records) and made.records[-1].status is not RecordStatus.OPEN, 40.0), made.session
    assert made.records[-1].stop_cause is not StopCause.NONE
    mend(made, name, pause=3.0)


def test_the_connector_stays_locked_until_the_output_is_at_10_v(charging: World) -> None:
    made = charging.fork()
    made.stop()
    assert made.run_until(lambda made: not made.locked, 30.0)
    assert made.power.connector_voltage <= 10.0


def lines_of(made: World, name: str, condition: Callable[[World], bool]) -> dict[str, float]:
    heard = Overheard(made)
    assert made.run_until(condition, 40.0), made.session
    made.run(0.2)
    return heard.said(name)[-1][1]


def test_mcs_tells_its_own_signal_lines_instead_of_a_pilot() -> None:
    made = world(MCS)
    made.run(1.0)
    assert lines_of(made, "MCS_Extra_Information", lambda _: True) == {"CE_State": 1.0, "ID_State": 0.0}
    made.plug_in()
    made.run(0.3)
    report = made.bridge._vehicle.report(made.now).controller
    assert report.plugged
    assert report.pilot_voltage != report.pilot_voltage
    made.token()
    assert made.reach(ChargeState.CHARGING, 30.0), made.session
    report = made.bridge._vehicle.report(made.now).controller
    assert (report.protocol, report.plug) == (VehicleProtocol.ISO_15118_20, Plug.MCS)
    assert (report.charge_enable_state, report.insertion_state) == (6, 1)


@pytest.mark.parametrize(("resistance", "charges"), [(120e3, False), (130e3, True)])
def test_mcs_needs_125_kohm(resistance: float, charges: bool) -> None:
    config = secc_config(MCS, modules=replace(QUICK_MODULES, station_insulation=resistance))
    made = World(DATABASES, config, seed=1)
    made.run(1.0).plug_in()
    made.token()
    assert made.run_until(lambda made: over(made) or made.session.state is ChargeState.CHARGING, 60.0)
    assert (made.session.state is ChargeState.CHARGING) is charges
    if not charges:
        assert "limit 125 kOhm" in made.session.stop_detail


def test_mcs_charges_with_more_than_ccs_can_carry() -> None:
    made = World(DATABASES, described("mcs.yaml"), seed=1)
    assert made.begin_charging(), made.log[-5:]
    made.run(15.0)
    assert made.power.current > 950.0
    assert made.power.current * made.power.connector_voltage > 700e3
    assert not made.said("fault")
    made.stop()
    assert made.reach(ChargeState.FINISHED, 20.0), made.log[-5:]
    assert energy(made) == pytest.approx(made.vehicle.energy_wh, rel=0.02)


def test_the_example_of_chademo_behind_a_controller_charges() -> None:
    made = World(DATABASES, described("chademo_secc.yaml"), seed=1)
    assert made.begin_charging(), made.log[-5:]
    assert "WAITING_FOR_CONTACTOR" in made.said("state")
    made.run(5.0).stop()
    assert made.reach(ChargeState.UNLOCKING, 20.0), made.log[-5:]
    assert not made.said("fault")
