"""config/can/*.dbc against the tables of the protocols: every signal, both ways, with random payloads."""

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cantools.database
import pytest
from cantools.database.can import Message
from cantools.database.can.database import Database

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "reference"
DBC = ROOT / "config" / "can"
EVSE_FACTS = REFERENCE / "advantics_v3_facts.json"
CHADEMO_FACTS = REFERENCE / "chademo_facts.json"
KCD = REFERENCE / "Advantics_Generic_EVSE_protocol_v3.kcd"
PAYLOADS = 64
# The one table entry whose meaning is not verified, so the database leaves it out; and one that needs another name because it says nothing.
UNVERIFIED = {("SE_ExtendedFunction", "extended_output_current")}
RENAMED = {("EV_Unknown202", "bytes"): "unknown"}

needs_reference = pytest.mark.skipif(not EVSE_FACTS.is_file(), reason="../shared/reference is not here")


@cache
def load(path: Path) -> Database:
    database = cantools.database.load_file(path, strict=True)
    assert isinstance(database, Database)
    return database


def payloads(length: int, seed: int) -> Iterator[bytes]:
    generator = random.Random(seed)
    yield bytes(length)
    yield bytes([255]) * length
    yield from (generator.randbytes(length) for _ in range(PAYLOADS))


def signals_of(fact: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the table's signals that the database must have, under the database's names."""
    rows = [row for row in fact["signals"] if row["name"] != "Reserved" and (fact["name"], row["name"]) not in UNVERIFIED]
    return [row | {"name": RENAMED.get((fact["name"], row["name"]), row["name"])} for row in rows]


def raw_of(row: dict[str, Any], data: bytes) -> int:
    """Cut a little endian signal out of a payload, without cantools."""
    raw = int.from_bytes(data, "little") >> row["start_bit"] & (1 << row["length"]) - 1
    return raw - (1 << row["length"]) if row["signed"] and raw >> row["length"] - 1 else raw


def physical_of(row: dict[str, Any], data: bytes) -> float:
    raw = raw_of(row, data)
    # V2X bytes are inverted: raw = 255 - A (../shared/reference/can.md 2.6).
    return 255 - raw if row["scale"] == -1 else raw * row["scale"] + row["offset"]


def cases(path: Path) -> list[Any]:
    if not path.is_file():
        return []
    database = (path.name.startswith("advantics") and "evse_v3") or "chademo"
    return [pytest.param(database, fact, id=fact["name"]) for fact in json.loads(path.read_text())["messages"]]


ALL_FACTS = cases(EVSE_FACTS) + cases(CHADEMO_FACTS)


def message_of(database: str, fact: dict[str, Any]) -> Message:
    return load(DBC / f"{database}.dbc").get_message_by_name(fact["name"])


@needs_reference
@pytest.mark.parametrize(("database", "fact"), ALL_FACTS)
def test_message_has_identifier_length_and_period_of_the_table(database: str, fact: dict[str, Any]) -> None:
    message = message_of(database, fact)
    assert message.frame_id == int(fact.get("base_id") or fact["id"], 16)
    assert message.is_extended_frame == fact["extended"]
    assert message.length == fact["length"]
    assert (message.cycle_time or None) == fact["period_ms"]
    assert message.senders == [
        {"power_modules": "Power_Modules", "controller": "Controller", "vehicle": "Vehicle", "charger": "Station"}[
            fact["direction"].split("->")[0]
        ]
    ]


@needs_reference
@pytest.mark.parametrize(("database", "fact"), ALL_FACTS)
def test_every_signal_decodes_as_the_table_says(database: str, fact: dict[str, Any]) -> None:
    message, rows = message_of(database, fact), signals_of(fact)
    assert [signal.name for signal in message.signals] == [row["name"] for row in sorted(rows, key=lambda row: row["start_bit"])]
    for data in payloads(message.length, seed=message.frame_id):
        expected = {row["name"]: physical_of(row, data) for row in rows}
        assert message.decode(data, decode_choices=False) == pytest.approx(expected)


@needs_reference
@pytest.mark.parametrize(("database", "fact"), ALL_FACTS)
def test_every_signal_encodes_as_the_table_says(database: str, fact: dict[str, Any]) -> None:
    message, rows = message_of(database, fact), signals_of(fact)
    for data in payloads(message.length, seed=message.frame_id + 1):
        encoded = message.encode({row["name"]: physical_of(row, data) for row in rows}, strict=False)
        assert [raw_of(row, encoded) for row in rows] == [raw_of(row, data) for row in rows]
        used = sum((1 << row["length"]) - 1 << row["start_bit"] for row in rows)
        assert int.from_bytes(encoded, "little") & ~used == 0, "a bit outside of all signals is set"


@needs_reference
@pytest.mark.parametrize(("database", "fact"), cases(EVSE_FACTS))
def test_enumerations_are_those_of_the_table(database: str, fact: dict[str, Any]) -> None:
    message = message_of(database, fact)
    for row in signals_of(fact):
        found = {str(number): str(name) for number, name in (message.get_signal_by_name(row["name"]).choices or {}).items()}
        assert found == (row["enum"] or {}), row["name"]


@needs_reference
@pytest.mark.parametrize(("database", "facts"), [("evse_v3", EVSE_FACTS), ("chademo", CHADEMO_FACTS)])
def test_database_has_no_message_that_the_table_does_not_have(database: str, facts: Path) -> None:
    expected = {fact["name"] for fact in json.loads(facts.read_text())["messages"]}
    assert {message.name for message in load(DBC / f"{database}.dbc").messages} == expected


@needs_reference
@pytest.mark.parametrize("name", [message.name for message in load(KCD).messages] if KCD.is_file() else [])
def test_evse_v3_agrees_with_the_published_kcd_both_ways(name: str) -> None:
    """The KCD is v3.2, the database v3.6: what has been added since is compared with the table above only."""
    theirs, ours = load(KCD).get_message_by_name(name), load(DBC / "evse_v3.dbc").get_message_by_name(name)
    assert (ours.frame_id, ours.is_extended_frame) == (theirs.frame_id, theirs.is_extended_frame)
    assert ours.length >= theirs.length
    names = [signal.name for signal in theirs.signals if signal.name != "Reserved"]
    for data in payloads(theirs.length, seed=theirs.frame_id):
        decoded = theirs.decode(data, decode_choices=False)
        read = ours.decode(data, decode_choices=False, allow_truncated=True)
        assert {signal: read[signal] for signal in names} == pytest.approx({signal: decoded[signal] for signal in names})
        written = ours.encode(
            {signal.name: read[signal.name] if signal.name in names else signal.offset for signal in ours.signals}, strict=False
        )
        expected = theirs.encode(decoded | {"Reserved": 0}, strict=False)
        assert written[: theirs.length] == expected


def test_unverified_field_is_left_out() -> None:
    message = load(DBC / "chademo.dbc").get_message_by_name("SE_ExtendedFunction")
    assert "extended_output_current" not in [signal.name for signal in message.signals]


@pytest.mark.parametrize("name", ["chademo", "evse_v3", "io_board", "module_bank"])
def test_ranges_are_what_the_wire_can_carry_or_less(name: str) -> None:
    for message in load(DBC / f"{name}.dbc").messages:
        for signal in message.signals:
            low, high = (-(1 << signal.length - 1), (1 << signal.length - 1) - 1) if signal.is_signed else (0, (1 << signal.length) - 1)
            ends = sorted(raw * signal.scale + signal.offset for raw in (low, high))
            assert signal.minimum is not None, signal.name
            assert signal.maximum is not None, signal.name
            assert ends[0] - 1e-6 <= signal.minimum < signal.maximum <= ends[1] + 1e-6, signal.name


# Bytes worked out by hand from the bit positions in the comments of config/can/io_board.dbc.
IO_GOLDEN = [
    (
        "IO_Inputs",
        {"Plugged": 1, "Locked": 1, "Earth_Ok": 1, "Residual_Current_Trip": 1, "Start_Count": 2, "Stop_Count": 3, "Alive": 4},
        "8901020300000004",
    ),
    (
        "IO_Inputs",
        {"Proximity_Fault": 1, "Permission_K": 1, "Contactor_Closed": 1, "Emergency_Stop": 1, "Door_Open": 1, "Board_Watchdog_Tripped": 1},
        "7602000000000000",
    ),
    ("IO_Inputs", {"Tilted": 1, "Pilot_Fault": 3}, "0034000000000000"),
    ("IO_Inputs", {"Impact": 1, "Pilot_Fault": 4}, "0048000000000000"),
    ("IO_Currents", {"AC_Current_L1": 16, "AC_Current_L2": 6553.5, "AC_Current_L3": 0.1, "Alive": 7}, "a000ffff01000007"),
    ("IO_Outputs", {"Pilot_Current": 32}, "0000004001000000"),
    ("IO_Measurements", {"Connector_Voltage": 410.5, "Connector_Temperature": 25, "Insulation_Resistance": 1000}, "091041e803000000"),
    ("IO_Outputs", {"Sequence_1": 1, "Close_Contactor": 1, "Lock_Command": 2, "Lamp": 3, "Alive": 255}, "05020300000000ff"),
]


@pytest.mark.parametrize(("name", "signals", "data"), IO_GOLDEN)
def test_io_board_frames_are_laid_out_as_documented(name: str, signals: dict[str, float], data: str) -> None:
    message = load(DBC / "io_board.dbc").get_message_by_name(name)
    encoded = message.encode({signal.name: signals.get(signal.name, signal.offset) for signal in message.signals})
    assert encoded.hex() == data


def test_frame_of_single_modules_is_laid_out_as_documented() -> None:
    message = load(DBC / "module_bank.dbc").get_message_by_name("Module_Bank")
    signals = {"Module_Count": 4, "Modules_Working": 3, "Lowest_Module_Current": -0.1, "Highest_Module_Current": 31.2, "Alive": 9}
    assert message.encode(signals).hex() == "0403ffff38010009"


def test_own_extension_of_the_power_bus_keeps_out_of_the_identifiers_of_the_protocol() -> None:
    """Bits 23..16 are 0x06 in every version of it, bits 28..24 the pistol index (../shared/reference/can.md 1.1, 1.2)."""
    protocol = {(message.frame_id >> 16) & 0xFF for message in load(DBC / "evse_v3.dbc").messages}
    own = load(DBC / "module_bank.dbc").messages
    assert protocol == {0x06}
    assert [message.frame_id >> 24 for message in own] == [0]
    assert all(message.is_extended_frame and (message.frame_id >> 16) & 0xFF not in protocol for message in own)
    assert {message.name for message in own}.isdisjoint(message.name for message in load(DBC / "evse_v3.dbc").messages)
