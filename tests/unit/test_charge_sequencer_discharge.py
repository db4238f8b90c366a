"""Power from the vehicle: only where site, station, modules and vehicle all say so, through 0 A, and never below what must stay in the battery."""

from itertools import pairwise
from math import nan
from typing import Any

import pytest
from charge_sequencer_rig import BATTERY, STEP, Rig, S

from evse_core.types import PowerBudget, StopCause

# A station that takes up to 50 A and 15 kW, a vehicle that gives up to 40 A, modules that take up to 60 A.
STATION: dict[str, Any] = {
    "max_discharge_current": 50.0,
    "max_discharge_power": 15_000.0,
    "min_soc_percent": 30.0,
    "unverified_discharge": True,
}
VEHICLE: dict[str, Any] = {"discharge_compatible": True, "max_discharge_current": 40.0, "min_discharge_voltage": 300.0, "soc_percent": 60.0}
POWER: dict[str, Any] = {"max_discharge_current": 60.0}
ASKED = 7600.0
TAKEN = ASKED / BATTERY


class Giving(Rig):
    """A rig whose site asks for `asked` [W]."""

    asked = 0.0

    def reports(self) -> dict[str, Any]:
        return super().reports() | {"budget": PowerBudget(power=self.budget, valid_for=3.0, discharge_power=self.asked)}


def charging(**config: Any) -> Giving:
    rig = Giving(**(STATION | config))
    rig.vehicle.dynamic = True
    rig.patch["vehicle"], rig.patch["power"] = dict(VEHICLE), dict(POWER)
    rig.to(S.CHARGING).run(4.0)
    assert rig.out.power.current == pytest.approx(60.0)
    return rig


def discharging(asked: float = ASKED, **config: Any) -> Giving:
    rig = charging(**config)
    rig.asked = asked
    rig.run(6.0)
    assert rig.out.power.current < 0.0
    return rig


def test_site_gets_what_it_asks_for_and_the_session_goes_on() -> None:
    rig = discharging()
    assert rig.out.power.current == pytest.approx(-TAKEN)
    assert rig.state is S.CHARGING
    rig.run(60.0)
    assert rig.out.power.current == pytest.approx(-TAKEN)
    rig.asked = 0.0
    rig.run(8.0)
    assert rig.out.power.current == pytest.approx(60.0)
    assert rig.state is S.CHARGING


def test_direction_turns_through_a_pause_at_0_a_and_rises_by_the_ramp() -> None:
    rig = charging()
    rig.asked = ASKED
    rig.run(6.0)
    rig.asked = 0.0
    rig.run(6.0)
    currents = [out.power.current for out in rig.history if out.session.state is S.CHARGING]
    for before, after in pairwise(currents):
        assert abs(after) <= abs(before) + 20.0 * STEP + 1e-9
        assert before * after >= 0.0
    turns = [index for index, (before, after) in enumerate(pairwise(currents)) if before != 0.0 and after == 0.0]
    assert len(turns) == 2
    for turn in turns:
        assert currents[turn + 1 : turn + 1 + int(1.0 / STEP)] == [0.0] * int(1.0 / STEP)


def test_nothing_is_taken_before_nothing_flows_any_more() -> None:
    rig = charging()
    rig.asked = ASKED
    rig.patch["power"]["current"] = 30.0
    rig.run(2.0)
    assert rig.out.power.current == 0.0
    rig.patch["power"].pop("current")
    rig.run(3.0)
    assert rig.out.power.current < 0.0


def test_vehicle_is_offered_nothing_while_it_gives_and_told_what_flows() -> None:
    rig = discharging()
    words = rig.out.vehicle
    assert words.available_current == 0.0
    assert words.present_current == pytest.approx(-TAKEN)
    assert words.discharge_compatible
    assert words.max_discharge_current == 50.0
    assert words.min_discharge_voltage == 305.0
    assert words.charging
    assert not words.stop_control


@pytest.mark.parametrize("request_", [0.0, 20.0, 125.0])
def test_request_that_stands_ends_nothing_while_the_vehicle_gives(request_: float) -> None:
    rig = discharging()
    rig.patch["vehicle"]["current_request"] = request_
    rig.run(20.0)
    assert rig.state is S.CHARGING
    assert rig.out.power.current == pytest.approx(-TAKEN)


# part, fields, largest current that is taken when the site asks for everything
LIMITS = [
    ("config", {}, 15_000.0 / BATTERY),
    ("config", {"max_discharge_power": 900_000.0}, 40.0),
    ("config", {"max_discharge_power": 900_000.0, "max_discharge_current": 12.0}, 12.0),
    ("vehicle", {"max_discharge_current": 8.0}, 8.0),
    ("vehicle", {"max_discharge_power": 3_800.0}, 10.0),
    ("power", {"max_discharge_current": 5.0}, 5.0),
    ("io", {"connector_temperature": 88.0}, 25.0),
    ("power", {"enclosure_temperature": 63.0, "max_discharge_current": 60.0}, 25.0),
]


@pytest.mark.parametrize(("part", "fields", "limit"), LIMITS)
def test_current_from_the_vehicle_is_held_by_each_limit(part: str, fields: dict[str, Any], limit: float) -> None:
    rig = charging(**(fields if part == "config" else {}))
    rig.asked = 900_000.0
    if part != "config":
        rig.patch[part] |= fields
    rig.run(8.0)
    assert rig.out.power.current == pytest.approx(-limit)


# What is not there, and a word of why no power can be taken then.
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("config", {"max_discharge_current": 0.0}, "takes no power"),
    ("config", {"max_discharge_power": 0.0}, "takes no power"),
    ("config", {"unverified_discharge": False}, "unverified"),
    ("config", {"dynamic_control": False}, "dynamic"),
    ("vehicle", {"discharge_compatible": False}, "gives no power"),
    ("vehicle", {"dynamic_control": False}, "dynamic"),
    ("vehicle", {"max_discharge_current": nan}, "0x200"),
    ("vehicle", {"max_discharge_current": 0.0}, "no discharge current"),
    ("vehicle", {"discharge_sequence": 3}, "sequence number 3"),
    ("vehicle", {"soc_percent": nan}, "state of charge"),
    ("vehicle", {"soc_percent": 30.0}, "30 % must stay"),
    ("vehicle", {"min_discharge_soc_percent": 60.0}, "60 % must stay"),
    ("vehicle", {"min_discharge_soc_percent": 200.0}, "no percentage"),
    ("vehicle", {"min_discharge_voltage": 380.0}, "385 V must stay"),
    ("power", {"max_discharge_current": nan}, "modules"),
    ("power", {"max_discharge_current": 0.0}, "modules"),
]


@pytest.mark.parametrize(("part", "fields", "words"), REFUSALS)
def test_nothing_is_taken_where_anything_is_missing(part: str, fields: dict[str, Any], words: str) -> None:
    rig = Giving(**(STATION | (fields if part == "config" else {})))
    rig.vehicle.dynamic = True
    rig.patch["vehicle"], rig.patch["power"] = dict(VEHICLE), dict(POWER)
    if part != "config":
        rig.patch[part] |= fields
    rig.asked = ASKED
    rig.to(S.CHARGING).run(8.0)
    assert min(out.power.current for out in rig.history) >= 0.0
    assert words in rig.out.session.discharge_refusal
    assert not rig.out.session.discharge_available > 0.0


@pytest.mark.parametrize(("part", "fields", "words"), [row for row in REFUSALS if row[0] != "config"])
def test_discharge_ends_at_once_where_something_goes_away(part: str, fields: dict[str, Any], words: str) -> None:
    rig = discharging()
    rig.patch[part] |= fields
    assert rig.step().power.current == 0.0
    rig.run(5.0)
    assert rig.out.power.current >= 0.0
    assert words in rig.out.session.discharge_refusal or "begin again" in rig.out.session.discharge_refusal


@pytest.mark.parametrize(
    ("valid_for", "asked"),
    [(3.0, 0.0), (3.0, nan), (3.0, -5000.0), (0.0, ASKED), (nan, ASKED)],
    ids=["0", "nan", "negative", "old", "undated"],
)
def test_site_that_does_not_ask_gets_nothing(valid_for: float, asked: float) -> None:
    rig = discharging()
    rig.silent.add("budget")
    # The last word is that of a site that does not ask, or one that is out of date.
    sample = rig.samples["budget"]
    rig.samples["budget"] = type(sample)(PowerBudget(power=50e3, valid_for=valid_for, discharge_power=asked), rig.now)
    rig.run(0.1)
    assert rig.out.power.current == 0.0


def test_budget_that_stays_away_ends_the_discharge_when_it_runs_out() -> None:
    rig = discharging()
    rig.silent.add("budget")
    rig.run(2.8)
    assert rig.out.power.current < 0.0
    rig.run(0.4)
    assert rig.out.power.current == 0.0


def test_battery_at_its_minimum_gives_no_more_until_it_has_been_charged_again() -> None:
    rig = discharging()
    rig.patch["vehicle"]["soc_percent"] = 30.0
    rig.run(4.0)
    assert rig.out.power.current > 0.0
    for soc, direction in ((31.0, 1), (34.9, 1), (35.0, -1)):
        rig.patch["vehicle"]["soc_percent"] = soc
        rig.run(6.0)
        assert rig.out.power.current * direction > 0.0, soc


def test_power_that_could_be_had_is_told_to_the_site() -> None:
    rig = charging()
    assert rig.out.session.discharge_available == pytest.approx(15_000.0)
    assert rig.out.session.discharge_refusal == ""
    rig.patch["vehicle"]["soc_percent"] = 20.0
    rig.step()
    assert rig.out.session.discharge_available == 0.0


def test_station_that_takes_none_has_none_to_tell() -> None:
    rig = Rig()
    rig.to(S.CHARGING).run(1.0)
    assert rig.out.session.discharge_available != rig.out.session.discharge_available
    assert not rig.out.vehicle.discharge_compatible


def test_vehicle_hears_nothing_of_discharge_where_it_is_not_allowed() -> None:
    rig = Giving(**(STATION | {"unverified_discharge": False}))
    rig.vehicle.dynamic = True
    rig.patch["vehicle"] = dict(VEHICLE)
    rig.to(S.CHARGING).run(2.0)
    assert not any(out.vehicle.discharge_compatible for out in rig.history)


def test_driver_ends_a_discharge_as_a_charge() -> None:
    rig = discharging()
    rig.stop()
    rig.until(S.FINISHED)
    assert rig.out.session.stop_cause is StopCause.LOCAL
    assert all(out.power.current == 0.0 for out in rig.history[-20:])


@pytest.mark.parametrize(("own", "theirs", "told"), [(0, 2, 0), (2, 1, 1), (2, 2, 2), (2, 0, 0)])
def test_sequence_number_is_the_lower_of_both(own: int, theirs: int, told: int) -> None:
    rig = charging(v2h_sequence_number=own)
    rig.patch["vehicle"]["discharge_sequence"] = theirs
    rig.step()
    assert rig.out.vehicle.discharge_sequence == told
