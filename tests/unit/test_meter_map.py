"""Register maps: what is refused, how bytes become values, and which requests are made for them."""

import struct
from collections.abc import Mapping
from math import isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core import meter_map
from evse_core.meter_map import MOST_REGISTERS, MeterMap, Place, Quantity, Request
from evse_core.meter_sunspec import MOST_MODELS, walk
from evse_nodes import meter_maps

MAPS = ("sdm630", "dcm230", "sunspec_ac")
FIXED: dict[str, Any] = {
    "name": "x",
    "current_type": "DC",
    "quantities": {
        "import_wh": {"address": 10, "type": "u32", "unit": "kWh"},
        "power": {"address": 12, "type": "s32", "unit": "W", "sign": -1},
    },
}


def dump(function: int, address: int, data: str) -> dict[Place, int]:
    """Return the words of a byte dump in hexadecimal digits."""
    words = struct.unpack(f">{len(bytes.fromhex(data)) // 2}H", bytes.fromhex(data))
    return {(function, address + index): word for index, word in enumerate(words)}


def changed(quantity: str, **keys: Any) -> dict[str, Any]:
    """Return the fixed map with other keys of a quantity."""
    quantities = {**FIXED["quantities"], quantity: {**FIXED["quantities"].get(quantity, {}), **keys}}
    return {**FIXED, "quantities": quantities}


def one(kind: str, **keys: Any) -> Quantity:
    return Quantity("import_wh", 0, kind, **keys)


@pytest.mark.parametrize("name", MAPS)
def test_maps_of_the_project_are_valid_and_their_requests_are_allowed(name: str) -> None:
    meter = meter_map.at(meter_maps.load(name), {1: 40002, 203: 40070})
    requests = meter_map.plan(meter)
    wanted = {(q.function, q.address + index) for q in meter.quantities for index in range(q.length)}
    read = {(request.function, request.address + index) for request in requests for index in range(request.count)}
    assert wanted <= read
    assert all(request.count <= meter.most_registers <= MOST_REGISTERS for request in requests)
    assert sum(request.count for request in meter_map.plan(meter, names=False)) < sum(request.count for request in requests)


def test_an_answer_of_an_sdm630_is_read_from_its_bytes() -> None:
    words = {
        # 230.2, 229.9, 231.0 V; 16.0, 15.9, 16.1 A; 3683.2, 3655.4, 3719.1 W as float32, most significant word first.
        **dump(4, 0x00, "43663333 4365E666 43670000 41800000 417E6666 4180CCCD 45663333 45647666 4568719A".replace(" ", "")),
        **dump(4, 0x34, "462CB3B3"),
        # 50.01 Hz; 1234.56 kWh, 0.12 kWh
        **dump(4, 0x46, "42480A3D 449A51EC 3DF5C28F".replace(" ", "")),
        **dump(3, 0xFC00, "01234567"),
    }
    report = meter_map.decode(meter_maps.load("sdm630"), words)
    assert report.import_wh == pytest.approx(1_234_560.0, abs=0.1)
    assert report.export_wh == pytest.approx(120.0, abs=0.001)
    assert (report.voltage_l1, report.voltage_l2, report.voltage_l3) == pytest.approx((230.2, 229.9, 231.0), abs=0.01)
    assert (report.current_l1, report.current_l3) == pytest.approx((16.0, 16.1), abs=0.001)
    assert report.power == pytest.approx(11052.925, abs=0.001)
    assert report.frequency == pytest.approx(50.01, abs=0.001)
    assert report.voltage == pytest.approx((230.2 + 229.9 + 231.0) / 3.0, abs=0.01)
    assert report.voltage * report.current == pytest.approx(report.power)
    assert (report.serial, report.vendor, report.fault) == ("19088743", "Eastron", "")


def test_an_answer_of_a_dc_meter_is_read_from_its_bytes_and_its_alarm_is_a_fault() -> None:
    words = {
        **dump(4, 0x00, "43C80000"),
        **dump(4, 0x06, "C2480000"),
        **dump(4, 0x0C, "C69C4000"),
        **dump(4, 0x48, "3F800000 40000000".replace(" ", "")),
    }
    report = meter_map.decode(meter_maps.load("dcm230"), words)
    assert (report.voltage, report.current, report.power) == (400.0, -50.0, -20_000.0)
    assert (report.import_wh, report.export_wh, report.serial, report.fault) == (1000.0, 2000.0, "", "")
    alarmed = meter_map.decode(meter_maps.load("dcm230"), words | dump(4, 0x4012, "0001"))
    assert alarmed.fault == "overload of the current input"


SUNSPEC_BEGINS = {1: 40002, 203: 40070}


def sunspec(**words: int) -> dict[Place, int]:
    """Return a reading of model 203 at 40070: 230.1 V, 16.05 A, -11040 W, 50.00 Hz, 7.0 kWh in, 1.2 kWh out; by offset other words."""
    offsets = {3: 1605, 4: 1605, 5: 1605, 6: 0xFFFE, 8: 2301, 9: 2301, 10: 2301, 15: 0xFFFF, 16: 5000, 17: 0xFFFE, 18: 0xFBB0, 19: 0xFE90, 20: 0xFE90,
               21: 0xFE90, 22: 1, 38: 0, 39: 12, 46: 0, 47: 70, 54: 2, 105: 0, 106: 0}  # fmt: skip
    offsets |= {int(name.removeprefix("at")): word for name, word in words.items()}
    return {(3, 40070 + offset): word for offset, word in offsets.items()} | dump(3, 40052, b"A-17".ljust(32, b"\0").hex())


def test_a_sunspec_meter_is_read_with_its_scale_registers() -> None:
    meter = meter_map.at(meter_maps.load("sunspec_ac"), SUNSPEC_BEGINS)
    report = meter_map.decode(meter, sunspec())
    assert (report.voltage_l1, report.current_l1, report.frequency, report.power) == (230.1, 16.05, 50.0, -11040.0)
    assert (report.import_wh, report.export_wh, report.serial) == (7000.0, 1200.0, "A-17")


@pytest.mark.parametrize(
    ("words", "field"),
    [({"at18": 0x8000}, "power"), ({"at22": 0x8000}, "power"), ({"at22": 11}, "power"), ({"at46": 0xFFFF, "at47": 0xFFFF}, "import_wh"),
     ({"at54": 0x8000}, "import_wh")],
)  # fmt: skip
def test_what_a_sunspec_meter_does_not_implement_is_no_value(words: dict[str, int], field: str) -> None:
    report = meter_map.decode(meter_map.at(meter_maps.load("sunspec_ac"), SUNSPEC_BEGINS), sunspec(**words))
    assert isnan(getattr(report, field))


@pytest.mark.parametrize(("words", "fault"), [
    ({"at106": 0x20}, "current out of range"),
    ({"at106": 0x0C}, ""),
    ({"at105": 0xFFFF, "at106": 0xFFFF}, "its status cannot be read"),
])  # fmt: skip
def test_events_of_a_sunspec_meter_that_spoil_its_readings_are_faults(words: dict[str, int], fault: str) -> None:
    assert meter_map.decode(meter_map.at(meter_maps.load("sunspec_ac"), SUNSPEC_BEGINS), sunspec(**words)).fault == fault


def walked(registers: Mapping[int, int]) -> dict[int, int]:
    """Walk over a device that has these registers."""
    steps = walk()
    try:
        request = next(steps)
        while True:
            places = range(request.address, request.address + request.count)
            request = steps.send([registers[place] for place in places] if all(place in registers for place in places) else None)
    except StopIteration as end:
        found: dict[int, int] = end.value
        return found


@pytest.mark.parametrize("base", [0, 40000, 50000])
def test_the_models_of_a_sunspec_device_are_found_wherever_it_begins(base: int) -> None:
    device = {base: 0x5375, base + 1: 0x6E53, base + 2: 1, base + 3: 66, base + 70: 203, base + 71: 105, base + 177: 0xFFFF, base + 178: 0}
    assert walked(device) == {1: base + 2, 203: base + 70}
    del device[base + 177]
    assert walked(device) == {1: base + 2, 203: base + 70}


def test_a_device_that_is_no_sunspec_or_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="no SunSpec marker at 40000, 0, 50000"):
        walked({40000: 1, 40001: 2})
    endless = {40000: 0x5375, 40001: 0x6E53} | {40002 + index: 7 if index % 2 == 0 else 0 for index in range(2 * MOST_MODELS + 4)}
    with pytest.raises(ValueError, match="do not end"):
        walked(endless)
    with pytest.raises(ValueError, match="none of the models 201, 202, 203, 204"):
        meter_map.at(meter_maps.load("sunspec_ac"), {1: 40002})


NUMBERS = [("u16", "FFFE", 65534.0), ("s16", "FFFE", -2.0), ("u32", "00010000", 65536.0), ("s32", "FFFFFFFF", -1.0), ("u64", "0000000100000000", 2.0**32),
           ("s64", "FFFFFFFFFFFFFFFF", -1.0), ("float32", "3FC00000", 1.5), ("float64", "3FF8000000000000", 1.5)]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "value"), NUMBERS)
def test_each_type_is_read_and_written_in_both_word_orders(kind: str, data: str, value: float) -> None:
    quantity = one(kind)
    meter = MeterMap("x", "", "", (quantity,))
    assert meter_map.decode(meter, dump(3, 0, data)).import_wh == value
    swapped = "".join(reversed([data[index : index + 4] for index in range(0, len(data), 4)]))
    assert meter_map.decode(MeterMap("x", "", "", (one(kind, little=True),)), dump(3, 0, swapped)).import_wh == value
    assert meter_map.encode(quantity, value) == tuple(dump(3, 0, data).values())


@pytest.mark.parametrize("data", ["7FC00000", "7F800000", "FF800000"])
def test_a_float_that_is_no_number_is_no_value(data: str) -> None:
    assert isnan(meter_map.decode(MeterMap("x", "", "", (one("float32"),)), dump(3, 0, data)).import_wh)


@given(st.dictionaries(st.tuples(st.sampled_from([3, 4]), st.integers(0, 80)), st.integers(0, 0xFFFF)), st.sampled_from(MAPS))
def test_whatever_words_come_a_report_is_made_and_no_value_is_invented(words: dict[Place, int], name: str) -> None:
    meter = meter_map.at(meter_maps.load(name), {1: 0, 203: 10})
    report = meter_map.decode(meter, words)
    for quantity in meter.quantities:
        places = [(quantity.function, quantity.address + index) for index in range(quantity.length)]
        if quantity.name not in meter_map.TEXTS and quantity.name != "status" and not all(place in words for place in places):
            assert isnan(getattr(report, quantity.name))


@given(
    st.sampled_from(["u16", "s16", "u32", "s32", "u64", "float64"]), st.integers(-(2**15), 2**15), st.sampled_from([1.0, 1e3, 1e-3, -1.0])
)
def test_what_a_simulated_meter_writes_is_what_is_read(kind: str, value: int, scale: float) -> None:
    quantity = one(kind, scale=scale)
    try:
        words = meter_map.encode(quantity, value)
    except ValueError:
        return
    read = meter_map.decode(MeterMap("x", "", "", (quantity,)), {(3, index): word for index, word in enumerate(words)}).import_wh
    assert read == pytest.approx(value, abs=abs(scale) * 0.5 + 1e-9)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed("import_wh", address=70000), "quantities.import_wh.address: 70000"),
        (changed("import_wh", address=-1), "quantities.import_wh.address: -1"),
        (changed("import_wh", address=65535), "address 65535 and 2 registers end at 65536, above 65535"),
        (changed("import_wh", address=11), "quantities.power: address 12 is that of import_wh already"),
        (changed("import_wh", type="u24"), "quantities.import_wh.type: 'u24' is none of u16"),
        (changed("import_wh", unit="J"), "quantities.import_wh.unit: 'J' is none of Wh, kWh"),
        (changed("import_wh", function=6), "quantities.import_wh.function: 6"),
        (changed("import_wh", scale=0.0), "quantities.import_wh.scale: 0.0"),
        (changed("import_wh", sign=0), "quantities.import_wh.sign: 0"),
        (changed("import_wh", words=99), "quantities.import_wh.words: 99"),
        (changed("import_wh", adress=1), "quantities.import_wh.adress: 1: extra inputs"),
        (changed("import_wh", address="10"), "quantities.import_wh.address: '10'"),
        (changed("import_wh", models=[203]), "neither models nor offset"),
        (changed("volts", address=20, type="u16", unit="V"), "quantities.volts: is no quantity of a meter"),
        (changed("status", address=20, type="u16"), "no bits in `faults`"),
        ({**FIXED, "quantities": {"power": FIXED["quantities"]["power"]}}, "quantities.import_wh: is missing"),
        ({**FIXED, "layout": "sunspec"}, "a SunSpec map has models and offset"),
        ({**FIXED, "current_type": "XC"}, "current_type: 'XC'"),
        ({**FIXED, "most_registers": 126}, "most_registers: 126"),
        ({**FIXED, "faults": {64: "x"}}, "faults.64: is no bit of 64"),
        ([], "file: input should be a valid dictionary"),
    ],
)
def test_a_wrong_map_is_refused_with_file_key_value_and_bound(data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r"my\.yaml: ") as error:
        meter_maps.parse(data, "my.yaml")
    assert words in str(error.value)


def test_a_map_that_is_not_there_names_those_that_are(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="no register map 'sdm63'; there are dcm230, sdm630, sunspec_ac"):
        meter_maps.load("sdm63")
    with pytest.raises(ValueError, match="cannot be read"):
        meter_maps.load(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ValueError, match=r"bad\.yaml: cannot be read"):
        meter_maps.load(str(tmp_path / "bad.yaml"))


def test_neighbours_are_read_together_and_optional_ones_apart() -> None:
    quantities = (
        Quantity("import_wh", 10, "u32"),
        Quantity("power", 14, "s32"),
        Quantity("export_wh", 16, "u32", optional=True),
        Quantity("voltage", 40, "u16"),
        Quantity("current", 16, "u16", function=4),
    )
    assert meter_map.plan(MeterMap("x", "", "", quantities)) == (
        Request(3, 10, 6),
        Request(3, 40, 1),
        Request(4, 16, 1),
        Request(3, 16, 2, True),
    )
    few = meter_map.plan(MeterMap("x", "", "", quantities, most_registers=4))
    assert few[:2] == (Request(3, 10, 2), Request(3, 14, 2))
