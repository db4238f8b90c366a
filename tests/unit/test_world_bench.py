"""`station bench world`: its windows play what they say, and its JSON is that of every bench."""

import itertools
import json

import pytest
from world_rig import DATABASES

from evse_core.types import ChargeState
from evse_simulators.world import World
from evse_tools import world_bench


def test_a_window_of_charging_charges_all_along_and_never_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world_bench, "WINDOW", 2.0)
    window = world_bench.charging(DATABASES)
    assert [window() for _ in range(3)] == [2.0] * 3


def test_a_world_that_does_not_charge_is_no_figure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(World, "begin_charging", lambda self: False)
    with pytest.raises(RuntimeError, match="does not charge: AVAILABLE"):
        world_bench.charging(DATABASES)()


def test_a_whole_session_ends_finished(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world_bench, "CHARGED", 1.0)
    assert 10.0 < world_bench.sessions(DATABASES)() < 60.0
    monkeypatch.setattr(World, "reach", lambda self, state: self.session.state is ChargeState.AVAILABLE)
    with pytest.raises(RuntimeError, match="does not end well"):
        world_bench.sessions(DATABASES)()


def test_a_rate_is_what_was_played_per_second_by_both_clocks(monkeypatch: pytest.MonkeyPatch):
    busy, wall = itertools.count(0.0, 2.0), itertools.count(0.0, 5.0)
    monkeypatch.setattr(world_bench.time, "process_time", lambda: next(busy))
    monkeypatch.setattr(world_bench.time, "perf_counter", lambda: next(wall))
    assert list(world_bench.rates(lambda: 10.0, 0.0)) == [(5.0, 2.0)] * world_bench.LEAST


def test_the_json_is_that_of_every_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(world_bench, "rare_collection", lambda: None)
    monkeypatch.setattr(world_bench, "KINDS", {"thing": (lambda known: lambda: 7.0, "x real time", 1.0)})
    assert world_bench.run(0.0, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bench"] == "world"
    assert [row["name"] for row in said["figures"]] == ["thing, per core", "thing, on the wall"]
    assert all(set(row) == {"name", "n", "median", "p99", "max", "unit"} and row["n"] == world_bench.LEAST for row in said["figures"])
