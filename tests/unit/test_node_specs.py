"""From a description to processes and their parameters."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from evse_tools.description import Description, from_data, load
from evse_tools.description_schema import BRIDGE, EVSE_SECTIONS, STATION_SECTIONS, VEHICLE_SIMULATORS
from evse_tools.node_specs import COMPOSED, DECIDING, NodeSpec, members, node_specs, parameter_file
from evse_tools.parameter_file import write_parameters

ROOT = Path(__file__).resolve().parents[2]
PER_EVSE = {
    "can_bridge",
    "charge_sequencer",
    "safety_monitor",
    "energy_meter",
    "vehicle_simulator",
    "power_module_simulator",
    "io_board_simulator",
}
PER_STATION = {"recorder", "csms_simulator", "energy_manager", "ocpp_uplink"}


def description(**changes: Any) -> Description:
    data = yaml.safe_load((ROOT / "config/depot.yaml").read_text(encoding="utf-8"))
    return from_data(data | {"composition": "node"} | changes)


def by_name(specs: list[NodeSpec]) -> dict[str, NodeSpec]:
    return {spec.full_name: spec for spec in specs}


def test_a_station_has_every_node_once() -> None:
    specs = node_specs(description())
    expected = {f"/evse_{number}/{name}" for number in (1, 2, 3, 4) for name in PER_EVSE} | {f"/{name}" for name in PER_STATION}
    assert sorted(spec.full_name for spec in specs) == sorted(expected)


def test_composition_puts_an_evse_into_four_processes_and_loses_no_node_or_parameter() -> None:
    apart, together = node_specs(description()), node_specs(description(composition="evse"))
    mine = {spec.name: spec for spec in together if spec.namespace == "/evse_2"}
    assert sorted(mine) == ["energy_meter", "evse_container", "safety_monitor", "simulator_container"]
    assert mine["evse_container"].arguments == list(COMPOSED)
    assert mine["simulator_container"].arguments == ["vehicle_simulator", "power_module_simulator", "io_board_simulator"]
    assert mine["simulator_container"].is_simulator
    assert parameter_file(apart) == parameter_file(together)


def test_one_simulator_needs_no_container() -> None:
    data = yaml.safe_load((ROOT / "config/single_evse.yaml").read_text(encoding="utf-8")) | {"composition": "evse"}
    for name in ("power_module_simulator", "io_board_simulator"):
        data["evses"][0].pop(name)
    assert "/evse_1/vehicle_simulator" in by_name(node_specs(from_data(data)))


@pytest.mark.parametrize(
    "name", sorted(set(EVSE_SECTIONS) - {*VEHICLE_SIMULATORS.values(), "energy_meter", "meter", "meter_simulator", "session_reporter"})
)
def test_the_rating_reaches_every_node_that_has_a_parameter_for_it(name: str) -> None:
    data = yaml.safe_load((ROOT / "config/single_evse.yaml").read_text(encoding="utf-8"))
    rating = {"max_voltage": 480.0, "min_voltage": 60.0, "max_current": 100.0, "max_power": 40_000.0}
    rating |= {"module_count": 3, "has_control_pilot": True}
    data["evses"][0]["rating"] = rating
    parameters = by_name(node_specs(from_data(data)))[f"/evse_1/{name}"].parameters
    known = EVSE_SECTIONS[name].load().__dataclass_fields__
    assert known.keys() & rating.keys()
    assert {key: parameters[key] for key in rating if key in known} == {key: value for key, value in rating.items() if key in known}


def test_what_an_ac_output_is_made_of_reaches_sequencer_monitor_and_board() -> None:
    nodes = by_name(node_specs(load(ROOT / "config/ac_three_phase.yaml")))
    told = {"ac_phases": 3, "phase_voltage": 230.0, "vehicle_link": "pilot"}
    for name in ("charge_sequencer", "safety_monitor", "io_board_simulator"):
        assert told.items() <= nodes[f"/evse_1/{name}"].parameters.items()
    for name in ("charge_sequencer", "io_board_simulator"):
        assert nodes[f"/evse_1/{name}"].parameters["socket_outlet"] is True
    assert nodes["/evse_1/vehicle_simulator"].executable == "ac_vehicle_simulator"
    assert not any(key.startswith(("bus.", "vehicle_bus.", "power_bus.")) for key in nodes["/evse_1/vehicle_simulator"].parameters)
    assert not any(key.startswith(("vehicle_bus.", "power_bus.")) for key in nodes["/evse_1/can_bridge"].parameters)


def test_the_vehicle_link_reaches_who_must_know_it_and_chooses_what_plays_the_vehicle() -> None:
    nodes = by_name(node_specs(load(ROOT / "config/ccs.yaml")))
    for name in ("can_bridge", "charge_sequencer", "safety_monitor"):
        assert nodes[f"/evse_1/{name}"].parameters["vehicle_link"] == "secc"
    assert nodes["/evse_1/vehicle_simulator"].executable == "secc_simulator"
    assert nodes["/evse_1/vehicle_simulator"].parameters["bus.channel"] == nodes["/evse_1/can_bridge"].parameters["vehicle_bus.channel"]


# What the uplink is told of how the station is built (evse_nodes/ocpp_outlets.py).
BUILT = ("outlet_power", "outlet_phases", "outlet_voltage", "site_limit", "phase_switching", "socket_outlets")


def test_the_recorder_knows_the_parameters_of_every_node_that_decides() -> None:
    specs = node_specs(description())
    rules = json.loads(next(spec.parameters["rules"] for spec in specs if spec.name == "recorder"))
    assert {name.rpartition("/")[2] for name in rules} == DECIDING
    for spec in members(specs):
        if spec.name in DECIDING:
            assert rules[spec.full_name] == json.loads(json.dumps(spec.parameters))


def test_every_parameter_is_one_that_its_node_declares() -> None:
    """A misspelt parameter would silently stay at its default."""
    own = {
        "recorder": {"rules"},
        "ocpp_uplink": {"evses", "data_dir", *BUILT},
        "energy_manager": {"evses"},
        "energy_meter": {"data_dir"},
        "safety_monitor": {"data_dir", "expected_nodes", "description_file"},
    }
    sources = EVSE_SECTIONS | STATION_SECTIONS | {"can_bridge": BRIDGE}
    for spec in node_specs(description()):
        declared = set(sources[spec.name].load().__dataclass_fields__) if spec.name in sources else set()
        declared |= own.get(spec.name, set())
        if spec.name == "energy_meter":
            declared |= set(STATION_SECTIONS["tariff"].load().__dataclass_fields__)
            declared |= {f"meter.{name}" for name in EVSE_SECTIONS["meter"].load().__dataclass_fields__}
        unknown = {
            name
            for name in spec.parameters
            if name not in declared and not name.startswith(("bus.", "vehicle_bus.", "power_bus.", "io_bus."))
        }
        assert not unknown, f"{spec.full_name} has no parameter {unknown}"


@pytest.mark.parametrize(
    ("simulator", "bus"), [("vehicle_simulator", "vehicle_bus"), ("power_module_simulator", "power_bus"), ("io_board_simulator", "io_bus")]
)
def test_a_simulator_sits_on_the_bus_of_the_part_that_it_replaces(simulator: str, bus: str) -> None:
    specs = by_name(node_specs(description()))
    for number in (1, 2, 3, 4):
        bridge, other = specs[f"/evse_{number}/can_bridge"].parameters, specs[f"/evse_{number}/{simulator}"].parameters
        assert {key: other[f"bus.{key}"] for key in ("interface", "channel", "bitrate", "options")} == {
            key: bridge[f"{bus}.{key}"] for key in ("interface", "channel", "bitrate", "options")
        }


def test_options_of_a_bus_arrive_as_json() -> None:
    spec = by_name(node_specs(load(ROOT / "config/real_hardware.yaml")))["/evse_1/can_bridge"]
    assert json.loads(spec.parameters["io_bus.options"]) == {"tty_baudrate": 115200}


def test_the_station_tells_the_csms_who_it_is_and_may_be_overruled() -> None:
    uplink = by_name(node_specs(description()))["/ocpp_uplink"].parameters
    assert (uplink["charge_point_id"], uplink["vendor"], uplink["serial_number"]) == ("depot", "ros2_evse", "0002")
    assert uplink["url"] == "ws://127.0.0.1:9001"
    assert "connection_time_out" not in uplink
    evses = yaml.safe_load((ROOT / "config/depot.yaml").read_text(encoding="utf-8"))["evses"]
    evses[0]["charge_sequencer"] = {**(evses[0].get("charge_sequencer") or {}), "authorization_validity": 90}
    waits = by_name(node_specs(description(evses=evses)))["/ocpp_uplink"].parameters
    assert waits["connection_time_out"] == 90
    named = by_name(node_specs(description(ocpp_uplink={"charge_point_id": "CP-7"})))["/ocpp_uplink"].parameters
    assert named["charge_point_id"] == "CP-7"


def test_the_simulated_csms_bills_at_the_tariff() -> None:
    arguments = by_name(node_specs(description()))["/csms_simulator"].arguments
    assert arguments[arguments.index("--price") + 1] == "0.39"
    assert [arguments[index + 1] for index, word in enumerate(arguments) if word == "--token"] == ["DEADBEEF", "04A1B2C3D4E5F6"]


def test_the_parameter_file_is_plain_yaml_with_full_names_and_true_types(tmp_path: Path) -> None:
    """ROS's parser knows no aliases, and a number must not become a text on the way."""
    specs = node_specs(description())
    path = write_parameters(specs, tmp_path / "deep" / "parameters.yaml")
    text = path.read_text(encoding="utf-8")
    assert "&id" not in text
    assert yaml.safe_load(text) == parameter_file(specs)
    values = [value for node in yaml.safe_load(text).values() for value in node["ros__parameters"].values()]
    assert all(isinstance(value, (bool, int, float, str, list)) for value in values)
    assert not any(isinstance(value, float) and not math.isfinite(value) for value in values)
    assert [] not in values


def test_a_monitor_expects_its_own_nodes_and_those_of_the_station() -> None:
    specs = by_name(node_specs(description()))
    own = {f"/evse_3/{name}" for name in ("can_bridge", "charge_sequencer", "energy_meter")}
    expected = set(specs["/evse_3/safety_monitor"].parameters["expected_nodes"])
    assert expected == own | {"/energy_manager", "/ocpp_uplink", "/recorder"}
    assert expected < set(specs)
    without = by_name(node_specs(description(recorder={"enabled": False})))["/evse_1/safety_monitor"]
    assert "/recorder" not in without.parameters["expected_nodes"]


@pytest.mark.parametrize("composition", ["node", "evse"])
def test_every_ros_node_knows_the_description_that_it_was_started_with(composition: str, tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    data = yaml.safe_load((ROOT / "config/depot.yaml").read_text(encoding="utf-8")) | {"composition": composition}
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    station = load(file)
    parameters = {name: node["ros__parameters"] for name, node in parameter_file(node_specs(station)).items()}
    assert {values.get("description_digest") for name, values in parameters.items() if name != "/csms_simulator"} == {station.digest}
    assert "/csms_simulator" not in parameters
    assert parameters["/evse_1/safety_monitor"]["description_file"] == str(file)


def test_the_meter_reaches_who_reads_it_who_plays_it_and_the_bridge_of_its_bus() -> None:
    nodes = by_name(node_specs(load(ROOT / "config/modbus_meter.yaml")))
    meter, player = nodes["/evse_1/energy_meter"].parameters, nodes["/evse_1/meter_simulator"].parameters
    assert {key: value for key, value in meter.items() if key.startswith("meter.")} == {
        key: value for key, value in player.items() if key.startswith("meter.")
    }
    assert (meter["meter.kind"], meter["meter.max_power"], meter["meter.simulated"]) == ("modbus", 50_000.0, True)
    assert "has_meter" not in nodes["/evse_1/can_bridge"].parameters
    nodes = by_name(node_specs(load(ROOT / "config/can_meter.yaml")))
    assert nodes["/evse_1/can_bridge"].parameters["has_meter"]
    assert nodes["/evse_1/meter_simulator"].executable == "can_meter_simulator"
    assert nodes["/evse_1/meter_simulator"].parameters["bus.channel"] == nodes["/evse_1/can_bridge"].parameters["io_bus.channel"]


def test_a_text_that_looks_like_a_number_stays_a_text_for_ros(tmp_path: Path) -> None:
    """ROS's parser takes 0008 for 8.0, though it is no number in YAML 1.1."""
    data = yaml.safe_load((ROOT / "config/single_evse.yaml").read_text(encoding="utf-8"))
    data["station"]["serial"] = "0008"
    written = write_parameters(node_specs(from_data(data)), tmp_path / "parameters.yaml").read_text(encoding="utf-8")
    assert 'serial: "0008"' in written
