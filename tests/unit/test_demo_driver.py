"""The demo's driver against a track that is filled by hand."""

from math import inf

import pytest

from evse_core.types import ChargeState, MeterReading, SessionState, SimVehicleLines, Transaction
from evse_tools import demo_driver as demo
from evse_tools.demo_driver import Action, Driver, Phase, Plan
from evse_tools.demo_track import Track

TOKEN = "04A1B2C3"


class Scene:
    """A driver and the station that he looks at."""

    def __init__(self, **plan: object) -> None:
        self.now, self.track = 100.0, Track(1)
        self.driver = Driver(Plan(TOKEN, **plan), self.now)  # type: ignore[arg-type]
        self.did: list[str] = []

    def state(self, state: ChargeState, active: bool = False, session: str = "") -> None:
        self.track.take(SessionState(stamp=self.now, state=state, session_active=active, session_id=session))

    def act(self, success: bool = True, ready: bool = True) -> Action | None:
        action = self.driver.next(self.track, ready, self.now)
        if action is not None:
            self.did.append(action.service)
            self.driver.done(action, success, "said no", self.now)
            if action.service == demo.PLUG_IN and success:
                self.track.take(SimVehicleLines(stamp=self.now, plugged=True))
        return action

    def wait(self, seconds: float, success: bool = True) -> None:
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            self.act(success)

    def until_charging(self) -> None:
        self.act()
        self.state(ChargeState.PREPARING)
        self.act()
        self.state(ChargeState.AUTHORIZED)
        self.act()
        self.state(ChargeState.WAITING_FOR_VEHICLE, True, "s1")
        self.act()
        self.state(ChargeState.CHARGING, True, "s1")
        self.act()


def test_a_session_goes_from_plug_in_to_unplug() -> None:
    scene = Scene(seconds=3.0)
    scene.until_charging()
    scene.wait(4.0)
    scene.state(ChargeState.FINISHED, False, "s1")
    scene.track.take(Transaction(session_id="s1", transaction_id=1, stop_confirmed=True))
    scene.wait(0.2)
    assert scene.did == [demo.PLUG_IN, demo.PRESENT_TOKEN, demo.PRESS_START, demo.PRESS_STOP, demo.UNPLUG]
    assert scene.driver.is_done
    assert not scene.driver.failure


def test_stop_is_pressed_only_after_the_charging_time() -> None:
    scene = Scene(seconds=3.0)
    scene.until_charging()
    scene.wait(2.8)
    assert demo.PRESS_STOP not in scene.did
    scene.wait(0.4)
    assert scene.did[-1] == demo.PRESS_STOP


def test_stop_is_pressed_when_the_energy_is_there() -> None:
    scene = Scene(energy_wh=50.0)
    scene.until_charging()
    scene.track.take(MeterReading(session_energy_wh=49.9))
    scene.wait(1.0)
    assert demo.PRESS_STOP not in scene.did
    scene.track.take(MeterReading(session_energy_wh=50.0))
    scene.wait(0.2)
    assert scene.did[-1] == demo.PRESS_STOP


def test_no_token_before_the_csms_can_answer_unless_it_stays_away() -> None:
    scene = Scene()
    scene.act()
    scene.state(ChargeState.PREPARING)
    assert scene.act(ready=False) is None
    scene.now += demo.OFFLINE_TIME + 1.0
    assert scene.act(ready=False) == Action(demo.PRESENT_TOKEN, TOKEN)


def test_a_driver_whose_plug_the_station_does_not_see_presents_the_token_all_the_same() -> None:
    scene = Scene()
    scene.state(ChargeState.AVAILABLE)
    scene.act()
    scene.wait(demo.UNSEEN_PLUG_TIME - 0.2)
    assert demo.PRESENT_TOKEN not in scene.did
    scene.wait(0.5)
    assert scene.did[-1] == demo.PRESENT_TOKEN


def test_a_token_without_effect_is_presented_again_and_then_given_up() -> None:
    scene = Scene()
    scene.act()
    scene.state(ChargeState.PREPARING)
    scene.wait(demo.PATIENCE * demo.TRIES + 1.0)
    assert scene.did.count(demo.PRESENT_TOKEN) == demo.TRIES
    assert "not accepted" in scene.driver.failure


def test_a_fault_is_injected_once_and_after_its_delay() -> None:
    scene = Scene(seconds=30.0, fault="emergency_stop", fault_simulator="io_board_simulator", fault_delay=5.0)
    scene.until_charging()
    scene.wait(4.8)
    assert not scene.driver.injected
    scene.wait(3.0)
    assert scene.did.count("io_board_simulator/inject_fault") == 1
    assert scene.driver.injected


def test_an_early_fault_is_there_before_the_plug() -> None:
    scene = Scene(fault="lock_stuck", fault_simulator="io_board_simulator", fault_early=True)
    scene.wait(1.5)
    assert scene.did[:2] == ["io_board_simulator/inject_fault", demo.PLUG_IN]


def test_a_session_that_ends_by_itself_is_unplugged() -> None:
    scene = Scene(seconds=inf)
    scene.until_charging()
    scene.state(ChargeState.FAULTED, False, "s1")
    scene.wait(demo.BILLING_TIME + 1.0)
    assert scene.did[-1] == demo.UNPLUG
    assert demo.PRESS_STOP not in scene.did


@pytest.mark.parametrize(("phase", "limit"), [(Phase.TOKEN, demo.READY_TIME), (Phase.CHARGE, demo.START_TIME), (Phase.END, demo.END_TIME)])
def test_a_station_that_does_not_go_on_is_given_up_with_a_reason(phase: Phase, limit: float) -> None:
    scene = Scene(seconds=1.0)
    scene.act()
    if phase is Phase.TOKEN:
        scene.state(ChargeState.UNAVAILABLE)
    elif phase is Phase.CHARGE:
        scene.state(ChargeState.LOCKING, True, "s1")
    else:
        scene.until_charging()
    scene.wait(limit + 5.0)
    assert phase.name in scene.driver.failure
    assert scene.track.session.state.name in scene.driver.failure


def test_services_that_refuse_are_given_up() -> None:
    scene = Scene()
    scene.wait(10.0, success=False)
    assert scene.driver.failure == f"{demo.PLUG_IN}: said no"
    assert scene.did == [demo.PLUG_IN] * demo.TRIES


@pytest.mark.parametrize(("fault", "failure"), [("", "cannot unplug: said no"), ("io_board_silent", "")])
def test_a_connector_that_stays_locked_is_a_failure_only_after_a_good_session(fault: str, failure: str) -> None:
    scene = Scene(seconds=1.0, fault=fault, fault_simulator="io_board_simulator")
    scene.until_charging()
    scene.state(ChargeState.FAULTED, False, "s1")
    scene.wait(demo.BILLING_TIME + 1.0, success=False)
    assert (scene.driver.failure, scene.driver.locked_in) == (failure, "said no")


def test_site_asks_for_power_in_the_second_third_and_takes_its_word_back() -> None:
    plan = Plan(TOKEN, 30.0, discharge=8000.0)
    driver, track = Driver(plan, 0.0), Track(1)
    driver.phase = Phase.CHARGE
    track.session = SessionState(state=ChargeState.CHARGING, session_id="s", session_active=True)
    asked = []
    for step in range(310):
        now = step / 10
        if (action := driver.next(track, True, now)) is not None:
            driver.done(action, True, "", now)
            asked.append((round(now), action.service, action.argument))
    assert asked[:2] == [(10, "/set_discharge", "8000 30"), (20, "/set_discharge", "0 30")]
    assert asked[2][:2] == (30, "io_board_simulator/press_stop")
