"""The parts of `station bench graph` that need no station: the driver, the watch on the power bus, the table of scenarios."""

from math import inf, isnan

import pytest

from evse_core.frame import Frame
from evse_core.types import ChargeState, IoReport, SessionState, StopCause
from evse_nodes.can_bus import Received
from evse_nodes.databases import load
from evse_tools import graph_power
from evse_tools.demo_driver import PLUG_IN, PRESENT_TOKEN, PRESS_START, PRESS_STOP, UNPLUG
from evse_tools.description_schema import BUSES_OF
from evse_tools.graph_driver import AGAIN, Person
from evse_tools.graph_links import LINKS
from evse_tools.graph_power import PowerWatch
from evse_tools.graph_scenarios import BYSTANDERS, METER, NODES, VITAL, Kind, Outcome, all_scenarios, chosen

POWER, VEHICLE = load("evse_v3"), load("chademo")


class Bus:
    """A port whose frames come at given times."""

    def __init__(self) -> None:
        self.waiting: list[Received] = []

    def drain(self) -> list[Received]:
        found, self.waiting = self.waiting, []
        return found


class Watch:
    """A watch, its two buses, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.power, self.vehicle, self.watch = 100.0, Bus(), Bus(), PowerWatch(LINKS["chademo"].power)
        monkeypatch.setattr(graph_power.time, "monotonic", lambda: self.now)

    def see(self, *frames: Frame, after: float = 0.1) -> None:
        self.now += after
        self.power.waiting = [Received(frame, self.now) for frame in frames]
        self.watch.take({"vehicle_bus": self.vehicle, "power_bus": self.power})  # type: ignore[dict-item]

    def request(self, current: float) -> None:
        self.vehicle.waiting = [Received(VEHICLE.encode("EV_Status", {"charging_current_request": current}), self.now)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Watch:
    found = Watch(monkeypatch)
    found.request(100.0)
    found.see(control(8.0), modules(100.0))
    return found


def modules(current: float) -> Frame:
    return POWER.encode("Power_Modules_Status", {"Present_Voltage": 400.0, "Present_Current": current, "System_Enable": 1}, pistol=1)


def control(function: float) -> Frame:
    return POWER.encode("DC_Power_Control", {"Power_Function": function}, pistol=1)


def test_times_count_from_the_disturbance(bench: Watch) -> None:
    bench.watch.mark()
    bench.see(control(8.0), modules(100.0))
    bench.see(control(0.0), modules(90.0))
    bench.see(modules(4.0))
    assert bench.watch.withdrawn - bench.watch.since == pytest.approx(0.2)
    assert bench.watch.off - bench.watch.since == pytest.approx(0.3)
    assert (bench.watch.level, bench.watch.came_back, bench.watch.powered) == (pytest.approx(100.0), False, False)


def test_current_that_returns_is_not_gone_and_is_noted(bench: Watch) -> None:
    bench.watch.mark()
    bench.see(modules(0.0))
    bench.see(modules(50.0))
    assert isnan(bench.watch.off)
    assert bench.watch.came_back


def test_more_than_the_vehicle_asks_for_is_noted_with_its_time(bench: Watch) -> None:
    bench.watch.mark()
    for _ in range(5):
        bench.see(modules(119.0))
    assert bench.watch.excess == 0.0
    for _ in range(6):
        bench.see(modules(125.0))
    assert bench.watch.excess == pytest.approx(0.5)


def test_a_new_disturbance_forgets_the_last(bench: Watch) -> None:
    bench.watch.mark()
    bench.see(control(0.0), modules(0.0))
    bench.watch.mark()
    assert isnan(bench.watch.withdrawn)
    assert isnan(bench.watch.off)


@pytest.mark.parametrize(
    ("state", "plugged", "welcome", "changes", "service"),
    [
        (ChargeState.AVAILABLE, False, True, {}, PLUG_IN),
        (ChargeState.AVAILABLE, False, False, {}, ""),
        (ChargeState.INITIALISING, False, True, {}, ""),
        (ChargeState.PREPARING, True, True, {}, PRESENT_TOKEN),
        (ChargeState.PREPARING, True, False, {}, ""),
        (ChargeState.AUTHORIZED, True, False, {}, PRESS_START),
        (ChargeState.CHARGING, True, True, {}, ""),
        (ChargeState.CHARGING, True, True, {"enough": True}, PRESS_STOP),
        (ChargeState.CHARGING, True, True, {"leaving": True}, ""),
        (ChargeState.FINISHED, True, True, {"leaving": True}, UNPLUG),
        (ChargeState.FAULTED, True, True, {"leaving": True}, UNPLUG),
        (ChargeState.AVAILABLE, False, True, {"leaving": True}, ""),
    ],
)
def test_the_driver_does_the_next_sensible_thing(
    state: ChargeState, plugged: bool, welcome: bool, changes: dict[str, bool], service: str
) -> None:
    person = Person("A", **changes)
    action = person.next(SessionState(state=state), IoReport(), plugged, welcome, 0.0)
    assert (action.service if action else "") == service
    again = person.next(SessionState(state=state), IoReport(), plugged, welcome, AGAIN - 0.1)
    assert again is None
    assert (person.next(SessionState(state=state), IoReport(), plugged, welcome, AGAIN) is not None) is bool(service)


def test_a_locked_plug_stays_in() -> None:
    person = Person("A", leaving=True)
    assert person.next(SessionState(state=ChargeState.FAULTED), IoReport(locked=True), True, True, 0.0) is None


@pytest.mark.parametrize("link", LINKS)
def test_every_node_is_killed_and_stopped_in_every_phase_and_every_bus_goes_away(link: str) -> None:
    found = {(scenario.kind, scenario.target, scenario.phase) for scenario in all_scenarios() if scenario.link == link}
    assert {(Kind.CAN_GONE, bus, ChargeState.CHARGING) for bus in BUSES_OF[link]} <= found
    for phase in LINKS[link].phases:
        assert {(kind, node, phase) for kind in (Kind.KILL, Kind.STOP) for node in NODES} <= found


def test_every_kind_is_played_and_names_are_unique() -> None:
    found = all_scenarios()
    assert {scenario.kind for scenario in found} == set(Kind)
    assert len({scenario.name for scenario in found}) == len(found)
    assert {scenario.name.partition(":")[0] for scenario in found if scenario.link == "pilot"} == {"pilot"}


def test_an_output_of_ac_is_watched_at_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, watch, board = Bus(), PowerWatch(LINKS["pilot"].power), load("io_board")
    monkeypatch.setattr(graph_power.time, "monotonic", lambda: 1.0)

    def see(at: float, closed: int, current: float) -> None:
        outputs = board.encode("IO_Outputs", {"Close_Contactor": closed, "Pilot_Current": 16.0, "Lock_Command": 0, "Lamp": 0})
        bus.waiting = [Received(outputs, at), Received(board.encode("IO_Currents", {"AC_Current_L2": current}), at)]
        watch.take({"io_bus": bus})  # type: ignore[dict-item]

    see(0.5, 1, 16.0)
    watch.mark()
    assert (watch.powered, watch.flows, watch.request) == (True, True, 16.0)
    see(1.1, 0, 16.0)
    see(1.3, 0, 0.0)
    assert (watch.withdrawn, watch.off, watch.excess) == (1.1, 1.3, 0.0)


def test_who_power_needs_ends_the_session_at_once_and_who_watches_costs_nothing() -> None:
    for scenario in chosen(("kill:*:charging", "stop:*:charging")):
        expected = scenario.expected
        if scenario.target in VITAL:
            assert expected.outcome is Outcome.ENDS
            assert StopCause.LOCAL not in expected.causes
            assert expected.off <= 1.0
        elif scenario.target == METER:
            assert expected.outcome is Outcome.EITHER
            assert expected.off < inf
        else:
            assert scenario.target in BYSTANDERS
            assert expected.outcome is Outcome.GOES_ON


def test_patterns_choose_and_a_wrong_one_is_an_error() -> None:
    assert [scenario.name for scenario in chosen(("kill:can_bridge:charging",))] == ["kill:can_bridge:charging"]
    assert len(chosen(())) == len(all_scenarios())
    with pytest.raises(ValueError, match="no scenario fits 'kill:nobody:"):
        chosen(("kill:nobody:*",))
