"""What the station offers and gives: limits, ramp, dynamic control, suspension, and requests beyond the offer."""

from itertools import pairwise
from math import inf, nan

import pytest
from charge_sequencer_rig import BATTERY, STEP, Rig, S

from evse_core.types import ChargeState, StopCause


def charging(budget: float = 50_000.0, dynamic: bool = False, wants: float = 60.0, **config: object) -> Rig:
    rig = Rig(**config)
    rig.budget, rig.vehicle.dynamic, rig.vehicle.wants = budget, dynamic, wants
    return rig.to(S.CHARGING)


def test_current_follows_the_request_and_never_rises_faster_than_the_ramp() -> None:
    rig = charging(wants=100.0).run(8.0)
    currents = [out.power.current for out in rig.history if out.session.state is S.CHARGING]
    rises = [after - before for before, after in pairwise(currents)]
    assert max(rises) <= 20.0 * STEP + 1e-9
    assert currents[-1] == pytest.approx(100.0)


def test_jump_of_the_request_is_ramped() -> None:
    rig = charging(wants=10.0).run(2.0)
    rig.patch["vehicle"] = {"current_request": 100.0}
    assert rig.step().power.current <= 11.1
    rig.run(1.0)
    assert rig.out.power.current == pytest.approx(10.0 + 21 * 20.0 * STEP)


def test_falling_request_is_followed_at_once() -> None:
    rig = charging(wants=100.0).run(8.0)
    rig.patch["vehicle"] = {"current_request": 12.0}
    assert rig.step().power.current == 12.0


def test_stalled_step_does_not_jump() -> None:
    rig = charging(wants=100.0).run(1.0)
    before = rig.out.power.current
    rig.now += 3.0
    assert rig.step().power.current <= before + 20.0 * 0.2 + 1e-9


@pytest.mark.parametrize(
    ("config", "part", "fields", "limit"),
    [
        ({"max_current": 40.0}, "power", {}, 40.0),
        ({"max_power": 19_000.0}, "power", {}, 19_000.0 / BATTERY),
        ({}, "power", {"max_current": 30.0}, 30.0),
        ({}, "io", {"connector_temperature": 85.0}, 62.5),
        ({}, "io", {"connector_temperature": 90.0}, 0.0),
        ({}, "io", {"connector_temperature": 120.0}, 0.0),
        ({}, "io", {"connector_temperature": 79.0}, 100.0),
        ({}, "io", {"connector_temperature": nan}, 100.0),
        ({}, "power", {"max_current": nan}, 100.0),
        ({}, "power", {"max_current": -5.0}, 100.0),
    ],
)
def test_current_is_held_by_each_limit(config: dict[str, float], part: str, fields: dict[str, float], limit: float) -> None:
    rig = charging(wants=100.0, **config).run(6.0)
    rig.patch[part] = fields
    rig.patch["vehicle"] = {"current_request": 100.0}
    rig.run(2.0)
    assert rig.out.power.current == pytest.approx(limit)


@pytest.mark.parametrize(
    ("budget", "valid_for", "expected"),
    [
        (19_000.0, 3.0, 50.0),
        (0.0, 3.0, 0.0),
        (nan, 3.0, 4000.0 / BATTERY),
        (-1.0, 3.0, 4000.0 / BATTERY),
        (19_000.0, nan, 4000.0 / BATTERY),
        (inf, 3.0, 60.0),
    ],
)
def test_budget_cuts_the_delivery_without_dynamic_control(budget: float, valid_for: float, expected: float) -> None:
    rig = charging().run(5.0)
    announced = rig.out.vehicle.available_current
    rig.budget = budget
    reports = rig.reports
    rig.reports = lambda: _with_validity(reports(), valid_for)  # type: ignore[method-assign]
    rig.run(1.0)
    assert rig.out.power.current == pytest.approx(expected)
    assert rig.out.vehicle.available_current == announced
    assert rig.out.session.limited is (expected < 59.0)


def _with_validity(reports: dict[str, object], valid_for: float) -> dict[str, object]:
    budget = reports["budget"]
    return reports | {"budget": budget.__class__(power=budget.power, valid_for=valid_for)}  # type: ignore[attr-defined]


def test_budget_that_is_lost_falls_to_the_safe_value() -> None:
    rig = charging(safe_power=7600.0).run(5.0)
    rig.silent.add("budget")
    rig.run(2.5)
    assert rig.out.power.current == pytest.approx(60.0)
    rig.run(1.0)
    assert rig.out.power.current == pytest.approx(20.0)


def test_dynamic_control_lowers_the_announcement_and_the_vehicle_follows() -> None:
    rig = charging(dynamic=True, wants=100.0).run(8.0)
    rig.budget = 11_400.0
    rig.run(1.0)
    assert rig.out.vehicle.available_current == 30.0
    assert rig.vehicle.request == 30.0
    assert rig.out.session.limited
    assert rig.out.session.power_wanted == pytest.approx(125.0 * BATTERY, rel=0.05)
    rig.budget = 50_000.0
    rig.run(8.0)
    assert rig.current == pytest.approx(100.0)
    assert not rig.out.session.limited
    assert rig.out.session.power_wanted == pytest.approx(100.0 * BATTERY)


def test_announcement_that_fell_rises_at_most_once_a_second() -> None:
    rig = charging(dynamic=True, wants=100.0).run(8.0)
    for budget in (11_400.0, 15_200.0, 11_400.0, 15_200.0) * 10:
        rig.budget = budget
        rig.step()
    announced = [out.vehicle.available_current for out in rig.history[-40:]]
    rises = sum(after > before for before, after in pairwise(announced))
    assert rises <= 2


def test_station_without_dynamic_control_never_changes_its_announcement() -> None:
    rig = charging(dynamic=True, dynamic_control=False).run(2.0)
    before = rig.out.vehicle.available_current
    rig.budget = 5000.0
    rig.run(2.0)
    assert rig.out.vehicle.available_current == before
    assert not rig.out.vehicle.dynamic_control


def test_no_budget_suspends_and_does_not_end_a_session() -> None:
    """The Leaf of can.md 2.7: the charger offers 0 A, the vehicle answers with 0 A, and comes back."""
    rig = charging(dynamic=True).run(5.0)
    rig.budget = 0.0
    rig.run(60.0)
    assert (rig.state, rig.out.power.current, rig.vehicle.request, rig.out.session.limited) == (S.CHARGING, 0.0, 0.0, True)
    rig.budget = 50_000.0
    rig.run(6.0)
    assert rig.current == pytest.approx(60.0)


def test_no_budget_at_the_start_waits_for_a_vehicle_that_can_follow() -> None:
    rig = Rig()
    rig.budget, rig.vehicle.dynamic = 0.0, True
    rig.to(S.WAITING_FOR_REQUEST).run(20.0)
    assert rig.state is S.WAITING_FOR_REQUEST
    rig.budget = 50_000.0
    rig.until(S.CHARGING, limit=3.0)


def test_announcement_is_whole_and_never_more_than_is_there() -> None:
    rig = charging(budget=20_000.0)
    assert rig.out.vehicle.available_current == 48.0  # 20 kW at the target of 410 V: 48.8 A


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("vehicle", {"current_request": nan}),
        ("vehicle", {"current_request": -10.0}),
        ("vehicle", {"age": 0.5}),
        ("vehicle", {"age": nan}),
        ("io", {"connector_voltage": nan}),
    ],
)
def test_what_is_not_known_gives_no_current(part: str, fields: dict[str, float]) -> None:
    rig = charging().run(5.0)
    rig.patch[part] = fields
    if part == "io":
        rig.patch["power"] = {"voltage": nan}
    rig.step()
    assert rig.out.power.current == 0.0


def test_connector_voltage_may_come_from_the_modules() -> None:
    rig = charging().run(5.0)
    rig.patch["io"] = {"connector_voltage": nan}
    rig.run(2.0)
    assert rig.current == pytest.approx(60.0)
    assert rig.out.vehicle.present_voltage == BATTERY


def test_slow_frames_are_followed() -> None:
    """A vehicle that sends every 225 ms was served by two public chargers: can.md 2.1."""
    rig = charging().run(5.0)
    rig.patch["vehicle"] = {"age": 0.225}
    rig.run(2.0)
    assert rig.current == pytest.approx(60.0)


@pytest.mark.parametrize(("excess", "ends"), [(15.0, False), (40.0, True)])
def test_request_beyond_the_offer_is_clamped_and_a_fault_only_when_gross(excess: float, ends: bool) -> None:
    rig = charging(budget=20_000.0, wants=40.0).run(4.0)
    rig.patch["vehicle"] = {"current_request": rig.out.vehicle.available_current + excess}
    rig.run(4.5)
    assert rig.state is S.CHARGING
    assert rig.out.power.current <= 20_000.0 / BATTERY + 1e-9
    rig.run(1.0)
    assert (rig.state is not S.CHARGING) is ends
    if ends:
        assert rig.out.session.stop_cause is StopCause.VEHICLE_FAULT
        assert rig.out.vehicle.system_malfunction


def test_vehicle_that_follows_a_falling_offer_slowly_is_no_fault() -> None:
    rig = charging(dynamic=True, wants=120.0, max_power=60_000.0, budget=60_000.0).run(8.0)
    rig.budget = 4000.0
    request = rig.vehicle.request
    for _ in range(round(10.0 / STEP)):
        request = max(request - 12.0 * STEP, 9.0)
        rig.patch["vehicle"] = {"current_request": request}
        rig.step()
    assert rig.state is S.CHARGING


@pytest.mark.parametrize(
    ("target", "maximum", "modules", "ceiling"),
    [(410.0, 435.0, nan, 410.0), (450.0, 435.0, nan, 435.0), (410.0, 435.0, 400.0, 400.0), (495.0, 600.0, nan, 495.0)],
)
def test_voltage_never_exceeds_target_vehicle_or_station(target: float, maximum: float, modules: float, ceiling: float) -> None:
    rig = Rig()
    rig.patch["vehicle"] = {"target_voltage": target, "max_voltage": maximum}
    rig.patch["power"] = {"max_voltage": modules}
    rig.to(S.CHARGING)
    assert rig.out.power.voltage == ceiling


def test_target_that_falls_while_charging_is_followed_down_only() -> None:
    rig = charging().run(1.0)
    for live, expected in ((400.0, 400.0), (430.0, 410.0), (0.0, 410.0)):
        rig.patch["vehicle"] = {"target_voltage": live}
        assert rig.step().power.voltage == expected


def test_power_wanted_is_unknown_outside_charging() -> None:
    rig = charging()
    assert all((out.session.power_wanted != out.session.power_wanted) == (out.session.state is not S.CHARGING) for out in rig.history)


# --- a station that is too hot for any current ---


def hot(temperature: float) -> dict[str, float]:
    return {"connector_temperature": temperature}


@pytest.mark.parametrize(("dynamic", "state"), [(True, S.WAITING_FOR_REQUEST), (True, S.CHARGING), (False, S.CHARGING)])
def test_a_connector_too_hot_for_any_current_ends_the_session_after_its_time(dynamic: bool, state: ChargeState) -> None:
    rig = Rig()
    rig.vehicle.dynamic, rig.vehicle.asks = dynamic, state is S.CHARGING
    rig.to(state)
    rig.patch["io"] = hot(90.0)
    rig.run(rig.config.derated_hold - STEP)
    assert (rig.state, rig.out.power.current) == (state, 0.0)
    rig.until(S.RAMPING_DOWN, limit=3 * STEP)
    assert rig.out.session.stop_cause is StopCause.CHARGER_FAULT
    assert rig.out.session.stop_detail == "derated to 0 A for 10 s, connector at 90 degC"
    assert rig.out.vehicle.charger_malfunction
    rig.until(S.FINISHED)


@pytest.mark.parametrize(
    ("patch", "words"),
    [({"max_current": 0.0}, "the modules offer 0 A"), ({"enclosure_temperature": 65.0}, "cabinet at 65 degC")],
)
def test_modules_or_a_cabinet_that_leave_no_current_end_the_session_like_a_hot_connector(patch: dict[str, float], words: str) -> None:
    rig = charging(dynamic=True).run(3.0)
    rig.patch["power"] = patch
    rig.run(rig.config.derated_hold - STEP)
    assert (rig.state, rig.out.power.current) == (S.CHARGING, 0.0)
    rig.until(S.RAMPING_DOWN, limit=3 * STEP)
    assert rig.out.session.stop_cause is StopCause.CHARGER_FAULT
    assert rig.out.session.stop_detail == f"derated to 0 A for 10 s, {words}"
    rig.until(S.FINISHED)


@pytest.mark.parametrize(
    ("device", "name", "temperatures"),
    [("io", "connector_temperature", (80.0, 84.0, 88.0)), ("power", "enclosure_temperature", (55.0, 59.0, 63.0))],
)
def test_connector_and_cabinet_derate_the_current_from_all_to_nothing(device: str, name: str, temperatures: tuple[float, ...]) -> None:
    rig = charging(dynamic=True)
    found = []
    for temperature in temperatures:
        rig.patch[device] = {name: temperature}
        rig.run(1.0)
        found.append(rig.out.vehicle.available_current)
    assert found == [125.0, 75.0, 25.0]


def test_a_connector_that_cools_down_by_less_than_the_hysteresis_gains_no_time() -> None:
    rig = charging(dynamic=True).run(3.0)
    rig.patch["io"] = hot(90.0)
    rig.step()
    begun = rig.now
    while rig.state is S.CHARGING and rig.now < begun + 30.0:
        rig.patch["io"] = hot(90.0 if round(rig.now) % 2 else 88.5)
        rig.step()
    assert rig.out.session.stop_cause is StopCause.CHARGER_FAULT
    assert rig.now - begun == pytest.approx(rig.config.derated_hold, abs=2 * STEP)


def test_a_connector_that_cools_down_by_the_hysteresis_goes_on_charging() -> None:
    rig = charging(dynamic=True).run(3.0)
    for _ in range(4):
        rig.patch["io"] = hot(90.0)
        rig.run(9.0)
        rig.patch["io"] = hot(87.5)
        rig.run(3.0)
    assert rig.state is S.CHARGING
    assert rig.out.power.current > 10.0


def test_a_hot_connector_that_still_gives_current_goes_on_charging() -> None:
    rig = charging(dynamic=True).run(3.0)
    rig.patch["io"] = hot(88.0)
    rig.run(60.0)
    assert (rig.state, rig.out.power.current) == (S.CHARGING, pytest.approx(25.0))


@pytest.mark.parametrize(
    ("part", "fields", "vehicle"),
    [("power", {"max_current": 0.0}, {}), ("io", {"connector_temperature": 89.7}, {"min_current": 5.0})],
    ids=["modules offer nothing", "less than the vehicle can take"],
)
def test_a_station_that_has_nothing_the_vehicle_can_take_ends_the_session(
    part: str, fields: dict[str, float], vehicle: dict[str, float]
) -> None:
    rig = charging(dynamic=True).run(3.0)
    rig.patch[part], rig.patch["vehicle"] = fields, vehicle
    rig.until(S.RAMPING_DOWN, limit=10.2)
    assert rig.out.session.stop_cause is StopCause.CHARGER_FAULT


def test_a_site_without_power_only_pauses_the_session() -> None:
    rig = charging(dynamic=True).run(3.0)
    rig.budget = 0.0
    rig.run(120.0)
    assert (rig.state, rig.out.power.current) == (S.CHARGING, 0.0)
