"""The station description: what is good is taken, what is bad is named with file, key, value and bound."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from evse_core.tariff import Tariff
from evse_tools.description import DescriptionError, from_data, load
from evse_tools.description_orders import ORDERS, SOURCES, Order
from evse_tools.description_schema import SIMULATOR_BUSES, STATION_SECTIONS
from evse_tools.node_specs import node_specs
from evse_tools.yaml_source import dotted

CONFIG = Path(__file__).resolve().parents[2] / "config"
FILES = sorted(CONFIG.glob("*.yaml"))
Data = dict[str, Any]


@pytest.fixture
def data() -> Data:
    found: Data = yaml.safe_load((CONFIG / "depot.yaml").read_text(encoding="utf-8"))
    return copy.deepcopy(found)


def problems(data: Any) -> dict[str, str]:
    """Return what is wrong, by key."""
    with pytest.raises(DescriptionError) as error:
        from_data(data)
    return {problem.key: problem.text for problem in error.value.problems}


def at(data: Any, *path: str | int) -> Any:
    for part in path:
        data = data[part]
    return data


def put(data: Any, value: Any, *path: str | int) -> None:
    at(data, *path[:-1])[path[-1]] = value


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_the_descriptions_of_the_project_are_valid(file: Path) -> None:
    assert load(file).evses


def test_the_descriptions_have_the_evses_that_they_promise() -> None:
    assert load(CONFIG / "single_evse.yaml").numbers == (1,)
    assert load(CONFIG / "depot.yaml").numbers == (1, 2, 3, 4)
    assert not load(CONFIG / "real_hardware.yaml").is_simulated


SIMULATED = {*SIMULATOR_BUSES, "csms_simulator"} - {"secc_simulator", "ac_vehicle_simulator", "meter_simulator"}


@pytest.mark.parametrize("name", sorted(SIMULATED))
def test_each_simulated_part_goes_away_alone(name: str) -> None:
    data = yaml.safe_load((CONFIG / "single_evse.yaml").read_text(encoding="utf-8"))
    holder = data if name == "csms_simulator" else data["evses"][0]
    del holder[name]
    description = from_data(data)
    left = {*description.sections, *description.evses[0].sections}
    assert name not in left
    assert left >= SIMULATED - {name}


def test_a_vehicle_that_speaks_another_link_is_refused() -> None:
    data = yaml.safe_load((CONFIG / "single_evse.yaml").read_text(encoding="utf-8"))
    data["evses"][0]["vehicle_link"] = "secc"
    with pytest.raises(DescriptionError) as caught:
        from_data(data)
    assert "evses[0].vehicle_simulator" in str(caught.value)
    assert "is for vehicle_link chademo; with secc take secc_simulator" in str(caught.value)


def ac_station() -> Any:
    return yaml.safe_load((CONFIG / "ac_three_phase.yaml").read_text(encoding="utf-8"))


def test_an_ac_station_has_one_bus_no_modules_and_hands_its_phases_on() -> None:
    evse = from_data(ac_station()).evses[0]
    assert tuple(evse.buses) == ("io_bus",)
    assert (evse.rating["ac_phases"], evse.rating["phase_voltage"], evse.rating["has_control_pilot"]) == (3, 230.0, True)
    level_2 = load(CONFIG / "ac_level2.yaml")
    assert [(evse.rating["max_current"], evse.rating["phase_voltage"], evse.rating["ac_phases"]) for evse in level_2.evses] == [
        (32.0, 240.0, 1),
        (48.0, 240.0, 1),
    ]


def test_a_dc_station_hands_nothing_on_that_only_an_ac_side_has() -> None:
    assert not {"ac_phases", "phase_voltage", "socket_outlet", "ventilated"} & set(load(CONFIG / "single_evse.yaml").evses[0].rating)


BUS = {"interface": "udp_multicast", "channel": "ff11::6576:399"}
WRONG_AC: list[tuple[tuple[str, ...], Any, str]] = [
    (("can_bridge", "vehicle_bus"), BUS, "nothing hangs on it with vehicle_link pilot"),
    (("can_bridge", "power_bus"), BUS, "nothing hangs on it with vehicle_link pilot"),
    (("power_module_simulator",), {}, "there are no power modules with vehicle_link pilot"),
    (("vehicle_simulator",), {}, "is for vehicle_link chademo; with pilot take ac_vehicle_simulator"),
    (("rating", "ac_phases"), 2, "2: an AC output (vehicle_link pilot) has 1 or 3"),
    (("rating", "ac_phases"), 0, "0: an AC output (vehicle_link pilot) has 1 or 3"),
    (("rating", "module_count"), 4, "there are no power modules with vehicle_link pilot"),
    (("rating", "phase_voltage"), 400, "400.0 V is above 300.0 V"),
    (("charge_sequencer", "phase_voltage"), 230, "rating.phase_voltage"),
    (("ac_vehicle_simulator", "cable_current"), 16.0, "16 A is none of 0, 13, 20, 32, 63"),
    (("ac_vehicle_simulator", "charger_phases"), 2, "2 is neither 1 nor 3"),
]


@pytest.mark.parametrize(("path", "value", "said"), WRONG_AC, ids=lambda item: dotted(item) if isinstance(item, tuple) else None)
def test_what_is_wrong_with_an_ac_station_is_named(path: tuple[str, ...], value: Any, said: str) -> None:
    data = ac_station()
    put(data, value, "evses", 0, *path)
    found = problems(data)
    assert any(said in text for name, text in found.items() if name.startswith(dotted(("evses", 0, *path)))), found


WRONG: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("station", "name"), "a b", "'a b' has other characters"),
    (("station", "name"), "", "''"),
    (("station", "serial"), "x" * 26, "has 26 characters; at most 25 are allowed"),
    (("station", "time_zone"), "Europe/Atlantis", "'Europe/Atlantis' is no known time zone"),
    (("data_dir",), "", "'' is empty"),
    (("data_dir",), 5, "5 is not a text"),
    (("composition",), "nodes", "'nodes' is none of 'node' or 'evse'"),
    (("evses",), [], "has no entry"),
    (("evses",), {}, "is not a list"),
    (("evses", 1, "evse"), 0, "0 is below 1"),
    (("evses", 1, "evse"), 1, "1 is the number of more than one EVSE"),
    (("evses", 2, "rating"), "high", "'high' is not a section"),
    (("evses", 0, "rating", "max_current"), 3100, "3100.0 A is above 3000.0 A"),
    (("evses", 0, "rating", "max_current"), "125 A", "'125 A' is not a number"),
    (("evses", 0, "rating", "min_voltage"), 500, "500 V is not below max_voltage, 500 V"),
    (("evses", 0, "rating", "max_power"), float("inf"), "inf is not a finite number"),
    (("evses", 0, "can_bridge", "permit_timeout"), 0.5, "0.5 s is above 0.2 s"),
    (("evses", 0, "can_bridge", "vehicle_bus", "channel"), "ff15:7079:7468:6f6e:6465:6d6f:6d63:6173", "may leave this machine"),
    (("evses", 0, "can_bridge", "vehicle_bus", "channel"), "239.74.163.2", "may leave this machine"),
    (("evses", 0, "can_bridge", "vehicle_bus", "channel"), "ff12::1", "may leave this machine"),
    (("evses", 0, "can_bridge", "power_bus", "channel"), "FF11:0::6576:201", "is the bus of evses[0].can_bridge.vehicle_bus already"),
    (("evses", 3, "can_bridge", "io_bus", "channel"), "ff11::6576:201", "is the bus of evses[0].can_bridge.vehicle_bus already"),
    (("evses", 0, "can_bridge", "io_bus", "interface"), "virtual", "stays inside of one process"),
    (("evses", 0, "can_bridge", "io_bus"), {"interface": "kvaser", "channel": "can0"}, "is no channel of kvaser"),
    (("evses", 0, "can_bridge", "io_bus", "bitrate"), 5, "5 bit/s is below 10000 bit/s"),
    (("evses", 0, "can_bridge", "io_bus", "options"), "fd=1", "'fd=1' is not a mapping"),
    (("evses", 0, "charge_sequencer"), {"lock_timeout": 1000}, ""),
    (("evses", 0, "charge_sequencer"), {"max_current": 5}, "rating.max_current"),
    (("evses", 0, "charge_sequencer"), {"derate_from": 70}, "must be given together"),
    (("evses", 0, "safety_monitor"), {"enclosure_derating_temperature": 50}, "must be given together"),
    (("evses", 0, "rating", "module_count"), 256, "256 is above 255"),
    (("evses", 0, "rating", "has_control_pilot"), 1, "1 is neither true nor false"),
    (("evses", 0, "charge_seqencer"), {}, "did you mean charge_sequencer?"),
    (("evses", 0, "vehicle_simulator"), 5, "5 is not a section"),
    (("csms_simulator", "port"), 80, "80 is below 1024"),
    (("csms_simulator", "tokens"), "DEADBEEF", "'DEADBEEF' is not a list"),
    (("ocpp_uplink",), {"url": "ws://csms.example.com"}, "is a CSMS beside csms_simulator"),
    (("ocpp_uplink",), {"vendor": "x"}, "station.vendor"),
    (("tariff", "currency"), "euro", "'euro' is no currency code"),
    (("tariff", "price_per_kwh"), 0.49, "0.49 is not a text"),
    (("tariff", "tax_percent"), "100", "'100' is no decimal number in quotes from '0' to '99.999'"),
    (("tariff", "maximum"), "-1", "'-1' is no decimal number"),
    (("tariff", "idle_grace"), 1441, "1441 min is above 1440 min"),
    (("tariff", "tax_included"), "yes", "is neither true nor false"),
    (("tariff", "windows"), 7, "is not a list"),
    (("tariff", "price_per_kwh"), "0,49", "'0,49' is no decimal number"),
    (("recorder",), {"enabled": "no"}, "'no' is neither true nor false"),
    (("tarif",), {}, "did you mean tariff?"),
    (("zzz",), {}, "known here: station, data_dir"),
]


@pytest.mark.parametrize(("path", "value", "said"), WRONG, ids=lambda item: dotted(item) if isinstance(item, tuple) else None)
def test_a_wrong_value_is_named(data: Data, path: tuple[str | int, ...], value: Any, said: str) -> None:
    put(data, value, *path)
    found = problems(data)
    key = dotted(path)
    near = [text for name, text in found.items() if name.startswith(key)]
    assert near, f"{key} is not named, but {found}"
    assert any(said in text for text in near), near


def test_derating_that_is_told_where_it_begins_is_fine(data: Data) -> None:
    put(data, {"derate_from": 70.0}, "evses", 0, "charge_sequencer")
    put(data, {"connector_derating_temperature": 70}, "evses", 0, "safety_monitor")
    assert from_data(data).evses


@pytest.mark.parametrize(
    "path", [("station",), ("station", "name"), ("data_dir",), ("evses",), ("evses", 0, "rating"), ("evses", 0, "can_bridge", "io_bus")]
)
def test_a_missing_value_is_named(data: Data, path: tuple[str | int, ...]) -> None:
    del at(data, *path[:-1])[path[-1]]
    assert problems(data)[dotted(path)] == "is missing"


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (CONFIG / "single_evse.yaml").read_text(encoding="utf-8")
    text = text.replace("name: single-evse", "name: a b").replace("port: 9000", "port: 1").replace("ff11::6576:103", "ff11::6576:102")
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DescriptionError) as error:
        load(path)
    lines = [
        text[: text.index(mark)].count("\n") + 1
        for mark in ("name: a b", "port: 1", 'io_bus: {interface: udp_multicast, channel: "ff11::6576:102"')
    ]
    assert [problem.line for problem in error.value.problems] == lines
    assert str(error.value).startswith(f"{path}:{lines[0]}: station.name: 'a b'")


@pytest.mark.parametrize("thing", [None, [], "text", 5], ids=repr)
def test_what_is_no_mapping_is_no_description(thing: Any) -> None:
    assert "is not a station description" in problems(thing)[""]


@pytest.mark.parametrize("url", ["http://csms", "ws:///path", "csms", "ws://csms:99999", "wss://"])
def test_an_address_that_is_none_is_refused(data: Data, url: str) -> None:
    del data["csms_simulator"]
    data["ocpp_uplink"] = {"url": url}
    assert "is not an address of the form" in problems(data)["ocpp_uplink.url"]


def test_a_real_csms_replaces_the_simulated_one(data: Data) -> None:
    del data["csms_simulator"]
    data["ocpp_uplink"] = {"url": "wss://csms.example.com/ocpp"}
    assert from_data(data).csms_url == "wss://csms.example.com/ocpp"


def test_recording_is_on_until_it_is_switched_off(data: Data) -> None:
    assert "recorder" in from_data(data).sections
    data["recorder"] = {"enabled": False}
    assert "recorder" not in from_data(data).sections


def test_any_small_damage_is_reported_and_never_raises_anything_else(data: Data) -> None:
    """Every value of a good description, replaced by things that people and editors make of it."""

    def walk(node: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
        items: list[tuple[Any, Any]] = (
            list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
        )
        return [path, *(found for key, value in items for found in walk(value, (*path, key)))]

    replacements: list[Callable[[], Any]] = [
        lambda: None,
        lambda: [],
        lambda: {},
        lambda: "x",
        lambda: -1,
        lambda: float("nan"),
        lambda: [None],
        lambda: {"x": 1},
    ]
    first = data["evses"][:1]
    for path in walk(data | {"evses": first}, ())[1:]:
        for make in replacements:
            changed = copy.deepcopy(data | {"evses": first})
            put(changed, make(), *path)
            try:
                from_data(changed)
            except DescriptionError as error:
                assert error.problems  # noqa: PT017  (accepting it is fine, too; any other exception is not)


def _default(key: tuple[str, str]) -> float:
    return float(SOURCES[key[0]].load().__dataclass_fields__[key[1]].default)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.low[1]}-{order.high[1]}")
def test_parameters_of_different_nodes_that_are_out_of_order_are_named_with_both_keys(order: Order, data: Data) -> None:
    assert order.holds(_default(order.low), _default(order.high))
    worst = {order.low: _bound(order.low, "maximum"), order.high: _bound(order.high, "minimum")}
    assert not order.holds(*worst.values()), "bounds alone keep this order; it needs no check"
    for (node, name), value in worst.items():
        holder = data if node in STATION_SECTIONS else data["evses"][0]
        holder[node] = {**(holder.get(node) or {}), name: value}
    assert any(".".join(order.low) in line and ".".join(order.high) in line and order.why in line for line in every_text(data))


def _bound(key: tuple[str, str], which: str) -> float:
    return float(getattr(SOURCES[key[0]].load().__dataclass_fields__[key[1]].metadata["parameter"], which))


def test_an_order_is_reported_at_the_key_that_the_file_gives_and_checked_against_the_default_of_the_other(data: Data) -> None:
    data["evses"][1]["charge_sequencer"] = {"lock_timeout": 2.5}
    text = "safety_monitor.lock_command_time, 2.5 s, must be below charge_sequencer.lock_timeout, 2.5 s: lock_failed must be raised before"
    assert problems(data)["evses[1].charge_sequencer.lock_timeout"].startswith(text)
    data["evses"][1]["charge_sequencer"] = {"lock_timeout": 2.6}
    assert from_data(data)
    data["evses"][1]["energy_meter"] = {"idle_period": 2.0}
    assert problems(data)["evses[1].energy_meter.idle_period"].startswith("2 times energy_meter.idle_period, 2 s, must be at most")
    data["evses"][1]["safety_monitor"] = {"meter_timeout": 4.0}
    assert from_data(data)


def every_text(data: Data) -> list[str]:
    with pytest.raises(DescriptionError) as error:
        from_data(data)
    return [problem.text for problem in error.value.problems]


def test_a_description_knows_the_digest_of_its_file_and_data_has_none(tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    content = (CONFIG / "single_evse.yaml").read_bytes()
    file.write_bytes(content)
    assert load(file).digest == hashlib.sha256(content).hexdigest()
    assert from_data(yaml.safe_load(content)).digest == ""


@pytest.mark.parametrize("value", [10**400, float("inf"), float("nan"), True, "3 s", None, [3.0]])
def test_a_value_that_is_no_number_is_left_to_the_checks_of_values(data: Data, value: object) -> None:
    data["evses"][0]["charge_sequencer"] = {"lock_timeout": value}
    assert list(problems(data)) == ["evses[0].charge_sequencer.lock_timeout"]


WRONG_METERS = [
    ({"meter": {"kind": "modbus", "map": "dcm231", "host": "127.0.0.1"}}, "evses[0].meter.map", "no register map 'dcm231'"),
    ({"meter": {"kind": "modbus", "map": "sdm630", "host": "127.0.0.1"}}, "evses[0].meter.map", "of a meter of AC, the output is DC"),
    ({"meter": {"kind": "modbus", "map": "dcm230"}}, "evses[0].meter", "either host (TCP) or serial_port (RTU)"),
    ({"meter": {"kind": "modbus", "map": "dcm230", "host": "x", "port": 0}}, "evses[0].meter.port", "0 is below 1"),
    ({"meter": {"kind": "modbus", "map": "dcm230", "host": "x", "unit_id": 256}}, "evses[0].meter.unit_id", "256 is above 255"),
    ({"meter": {"kind": "can", "cable_milliohm": 501}}, "evses[0].meter.cable_milliohm", "501.0 mOhm is above 500.0 mOhm"),
    ({"meter": {"kind": "can", "certificate": "MID"}, "meter_simulator": {}}, "evses[0].meter.certificate", "a simulated meter"),
    ({"meter": {"certificate": "MID"}}, "evses[0].meter.certificate", "an integrated value"),
    ({"meter_simulator": {}}, "evses[0].meter_simulator", "nothing reads it"),
    (
        {"meter": {"kind": "modbus", "map": "dcm230", "host": "192.0.2.1"}, "meter_simulator": {}},
        "evses[0].meter.host",
        "stays on this machine",
    ),
    ({"meter": {"kind": "serial"}}, "evses[0].meter.kind", "'serial' is none of power_link, modbus, can"),
    ({"meter": {"simulated": True}}, "evses[0].meter.simulated", ""),
]


@pytest.mark.parametrize(("sections", "key", "words"), WRONG_METERS)
def test_a_wrong_meter_is_refused_with_its_key(sections: dict[str, Any], key: str, words: str) -> None:
    data = yaml.safe_load((CONFIG / "single_evse.yaml").read_text(encoding="utf-8"))
    data["evses"][0] |= sections
    with pytest.raises(DescriptionError) as caught:
        from_data(data)
    assert any(problem.key == key and words in str(problem) for problem in caught.value.problems), str(caught.value)


def test_two_evses_do_not_share_a_meter() -> None:
    data = yaml.safe_load((CONFIG / "depot.yaml").read_text(encoding="utf-8"))
    for evse in data["evses"][:2]:
        evse["meter"] = {"kind": "modbus", "map": "dcm230", "host": "127.0.0.1", "unit_id": 3}
    with pytest.raises(DescriptionError, match=r"already: 127\.0\.0\.1 unit 3"):
        from_data(data)
    data["evses"][1]["meter"]["unit_id"] = 4
    from_data(data)


def test_initial_values_of_ocpp_keys_reach_the_uplink_and_wrong_ones_are_named(data: Data) -> None:
    put(data, {"configuration": {"MeterValueSampleInterval": 30, "LocalPreAuthorize": True}}, "ocpp_uplink")
    spec = next(spec for spec in node_specs(from_data(data)) if spec.name == "ocpp_uplink")
    assert spec.parameters["configuration"] == ["MeterValueSampleInterval=30", "LocalPreAuthorize=true"]
    put(data, {"MeterValueSampleInterval": -1}, "ocpp_uplink", "configuration")
    assert "MeterValueSampleInterval: -1 is no value for it (integer)" in problems(data)["ocpp_uplink.configuration"]


@pytest.mark.parametrize(
    ("window", "key", "words"),
    [
        ({"begin": "25:00", "price_per_kwh": "1"}, "tariff.windows[1]", "begin: '25:00' is no time"),
        ({"begin": "10:00", "end": "10:00", "price_per_kwh": "1"}, "tariff.windows[1]", "end: '10:00' is the begin"),
        ({"days": ["montag"], "price_per_kwh": "1"}, "tariff.windows[1]", "days: 'montag' is none of mon"),
        ({"days": ["mon"]}, "tariff.windows[1]", "names no price"),
        ({"price_per_kwh": 0.3}, "tariff.windows[1].price_per_kwh", "is not a text"),
        ({"price": "1"}, "tariff.windows[1].price", "is an unknown key"),
        ({"price_per_kwh": "1,5"}, "tariff.windows[1]", "price_per_kwh: '1,5' is no decimal number"),
    ],
)
def test_a_wrong_window_of_the_tariff_is_named_with_key_and_value(data: Data, window: dict[str, Any], key: str, words: str) -> None:
    data["tariff"] = {"windows": [{"begin": "22:00", "end": "06:00", "price_per_kwh": "0.3"}, window]}
    found = problems(data)
    assert list(found) == [key]
    assert words in found[key]


def test_the_meter_gets_the_tariff_with_its_windows() -> None:
    meter = next(spec for spec in node_specs(load(CONFIG / "tariffs.yaml")) if spec.name == "energy_meter")
    tariff = Tariff(**{item.name: meter.parameters[item.name] for item in fields(Tariff) if item.name in meter.parameters})
    saturday, night, day = (datetime(2026, 11, *when, tzinfo=ZoneInfo("Europe/Berlin")) for when in ((21, 12), (23, 23), (23, 12)))
    assert [tariff.phase(when.timestamp(), when.tzinfo).price_per_kwh for when in (saturday, night, day)] == ["0.39", "0.35", "0.49"]  # type: ignore[arg-type]
    assert meter.parameters["time_zone"] == "Europe/Berlin"
    assert isinstance(meter.parameters["windows"], str)
