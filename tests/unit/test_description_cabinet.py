"""A cabinet of power modules in a description: what is wrong is named with key, value and bound, and what is right reaches the nodes."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from evse_nodes.cabinet_layout import from_json
from evse_tools.demo_station import expand
from evse_tools.description import DescriptionError, from_data
from evse_tools.node_specs import node_specs

CONFIG = Path(__file__).resolve().parents[2] / "config"
CABINET: dict[str, Any] = yaml.safe_load((CONFIG / "cabinet.yaml").read_text(encoding="utf-8"))


def changed(change: Any) -> dict[str, Any]:
    data = copy.deepcopy(CABINET)
    change(data)
    return data


def module(data: dict[str, Any], number: int, **values: Any) -> None:
    data["power_cabinet"]["modules"][number - 1].update(values)


def only(data: dict[str, Any], evse: int) -> None:
    """Let no module reach an EVSE."""
    for item in data["power_cabinet"]["modules"]:
        item["connections"] = [number for number in item["connections"] if number != evse]


WRONG = [
    (
        lambda data: data["evses"][3].update(vehicle_link="pilot"),
        "evses[3].vehicle_link",
        "pilot is an AC output, which has no power modules",
    ),
    (lambda data: module(data, 3, connections=[]), "power_cabinet.modules[2].connections", "is empty: this module could go nowhere"),
    (
        lambda data: module(data, 3, connections=[1, 7]),
        "power_cabinet.modules[2].connections",
        "7 is no EVSE of this station; it has 1, 2, 3, 4",
    ),
    (lambda data: module(data, 3, connections=[1, 1]), "power_cabinet.modules[2].connections", "names an EVSE more than once"),
    (lambda data: module(data, 3, module=2), "power_cabinet.modules[2].module", "2 is the number of more than one module"),
    (lambda data: module(data, 3, module=32), "power_cabinet.modules[2].module", "32 is above 31"),
    (lambda data: module(data, 3, max_current=0.0), "power_cabinet.modules[2].max_current", "0.0 A is below 1.0 A"),
    (lambda data: only(data, 2), "evses[1].evse", "2 has no module"),
    (
        lambda data: data["evses"][0].update(power_module_simulator={}),
        "evses[0].power_module_simulator",
        "EVSE 1 is served by power_cabinet",
    ),
    (lambda data: data["evses"][0]["rating"].update(module_count=4), "evses[0].rating.module_count", "follows from power_cabinet"),
    (
        lambda data: data["evses"][0]["rating"].update(max_discharge_current=10),
        "evses[0].rating.max_discharge_current",
        "10 A is above 0 A: the modules of power_cabinet take no current back",
    ),
    (lambda data: data["evses"][0]["rating"].update(max_voltage=1200), "evses[0].rating.max_voltage", "1200 V is above 1000.0 V"),
    (lambda data: data["evses"][1]["can_bridge"].update(pistol=1), "evses[1].can_bridge.pistol", "1 is the pistol index of another EVSE"),
    (lambda data: data["power_cabinet"].pop("bus"), "power_cabinet.bus", "is missing"),
    (lambda data: data["power_cabinet"]["bus"].update(channel="ff11::6576:301"), "power_cabinet.bus.channel", "is the bus of"),
    (lambda data: data.pop("power_cabinet"), "power_cabinet_simulator", "the section power_cabinet is missing"),
    (lambda data: data.update(module_allocator={"match_voltage": 21}), "module_allocator.match_voltage", "21.0 V is above 20.0 V"),
    (
        lambda data: data["power_cabinet"].update(efficiency=[{"load": 0.5, "efficiency": 0.9}, {"load": 0.5, "efficiency": 0.95}]),
        "power_cabinet.efficiency[1].load",
        "0.5 is not above 0.5",
    ),
]


@pytest.mark.parametrize(("change", "key", "words"), WRONG, ids=[f"{key} {words}" for _, key, words in WRONG])
def test_what_does_not_fit_is_named(change: Any, key: str, words: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        from_data(changed(change))
    assert any(problem.key == key and words in str(problem) for problem in caught.value.problems), str(caught.value)


def test_an_evse_above_8_cannot_hang_on_a_cabinet() -> None:
    def nine(data: dict[str, Any]) -> None:
        data["evses"][3]["evse"] = 9
        for item in data["power_cabinet"]["modules"]:
            item["connections"] = [9 if number == 4 else number for number in item["connections"]]

    with pytest.raises(DescriptionError, match="9 is above 8: the frames of a cabinet know the outlets 1 to 8"):
        from_data(changed(nine))


@pytest.mark.parametrize("name", ["cabinet.yaml", "xfc.yaml"])
def test_the_example_is_a_station(name: str) -> None:
    assert node_specs(from_data(yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))))


def test_allocator_and_simulator_are_told_the_same_cabinet_and_bus() -> None:
    specs = {spec.name: spec for spec in node_specs(from_data(CABINET))}
    allocator, simulator = specs["module_allocator"].parameters, specs["power_cabinet_simulator"].parameters
    assert allocator["cabinet"] == simulator["cabinet"]
    assert allocator["bus.channel"] == simulator["bus.channel"] == CABINET["power_cabinet"]["bus"]["channel"]
    content = from_json(json.loads(allocator["cabinet"]))
    assert [(item.module, item.outlets) for item in content.modules][:2] == [(1, {1, 2, 3}), (2, {1, 2, 4})]
    assert [(item.outlet, item.max_current) for item in content.outlets] == [(1, 400.0), (2, 400.0), (3, 400.0), (4, 125.0)]
    assert [simulator.get(f"evse_{number}.shares_bus_with") for number in (1, 2, 3, 4)] == [None, 1, 1, 1]
    assert [simulator[f"evse_{number}.pistol"] for number in (1, 2, 3, 4)] == [1, 2, 3, 4]


def test_the_monitors_of_its_evses_know_of_the_cabinet_and_listen_for_the_allocator() -> None:
    for spec in (spec for spec in node_specs(from_data(CABINET)) if spec.name == "safety_monitor"):
        assert (spec.parameters["has_cabinet"], spec.parameters["module_count"]) == (True, 1)
        assert "/module_allocator" in spec.parameters["expected_nodes"]


def test_a_station_without_a_cabinet_has_no_allocator() -> None:
    specs = node_specs(from_data(yaml.safe_load((CONFIG / "ccs.yaml").read_text(encoding="utf-8"))))
    assert "module_allocator" not in {spec.name for spec in specs}
    assert not any(spec.parameters.get("has_cabinet") for spec in specs)


def test_a_demo_of_a_cabinet_keeps_its_evses_and_their_connections(tmp_path: Path) -> None:
    data = expand(CABINET, None, "", tmp_path)
    assert all("power_module_simulator" not in evse for evse in data["evses"])
    assert data["power_cabinet"]["bus"]["channel"] != CABINET["power_cabinet"]["bus"]["channel"]
    assert from_data(data).cabinet == from_data(CABINET).cabinet
    with pytest.raises(ValueError, match="--evses 2"):
        expand(CABINET, 2, "", tmp_path)
