"""Recordings as values: what rclpy writes is read exactly, old definitions too, and a damaged file is told in words."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from rclpy.serialization import serialize_message

from evse_core import types
from evse_nodes.convert import from_message, to_message
from evse_nodes.topics import TOPICS
from evse_tools.bag_codec import decoder, parse
from evse_tools.bag_reader import BagError, BagReader
from evse_tools.recorder_bag import Bag, definition
from evse_tools.recorder_channels import Channel

ROWS = sorted({row.type.__name__: row for row in TOPICS.values()}.items())


def examples(kind: type[Any]) -> Iterator[Any]:
    """Yield values of a type: its default, and one in which nothing is, with texts of different lengths so that what follows moves."""
    import evse_msgs.msg  # noqa: PLC0415

    yield kind()
    for text in ("", "a", "ab", "abcd", "Überspannung"):
        values: dict[str, Any] = {}
        for item in fields(kind):
            default = getattr(kind(), item.name)
            if isinstance(default, bool):
                values[item.name] = True
            elif isinstance(default, str):
                values[item.name] = text
            elif isinstance(default, float):
                values[item.name] = 12.5
        made = replace(kind(), **values)
        yield from_message(to_message(made, getattr(evse_msgs.msg, kind.__name__)), kind)


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_what_rclpy_writes_is_read_exactly(name: str, row: Any) -> None:
    type_name = f"evse_msgs/msg/{name}"
    decode = decoder(type_name, parse(type_name, definition(type_name)[0]), row.type)
    for value in examples(row.type):
        assert repr(decode(serialize_message(to_message(value, row.message)))) == repr(value)


def test_lists_are_read() -> None:
    status = types.CanStatus(
        stamp=1.5, buses=(types.CanBusStatus(detail="x", load=0.5), types.CanBusStatus(link=types.BusLink.IO)), cut_count=3
    )
    frames = types.CanFrames(frames=(types.CanFrame(stamp=2.0, id=5, data=b"\x01\x02\x03"), types.CanFrame(data=b"")))
    safety = types.SafetyState(stamp=1.0, faults=("a", "bcd", ""), detail="words")
    trace = types.DecisionTrace(node="/n", names=("x", "y()"), kinds=(1, 0), times=(0.1, 0.2), refs=(1.0, 2.0), texts=("t",), snapshot="{}")
    for value in (status, frames, safety, trace):
        name = type(value).__name__
        type_name = f"evse_msgs/msg/{name}"
        decode = decoder(type_name, parse(type_name, definition(type_name)[0]), type(value))
        message = next(row.message for row in TOPICS.values() if row.type is type(value))
        assert repr(decode(serialize_message(to_message(value, message)))) == repr(value)


def test_a_field_that_a_message_has_gained_has_its_default_and_one_that_it_lost_is_skipped() -> None:
    old = "builtin_interfaces/Time stamp\nuint8 gone\nfloat32 power\nstring also_gone\nfloat32 discharge_power\n"
    old += "=" * 80 + "\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
    name = "evse_msgs/msg/PowerBudget"
    store_bytes = b"\x00\x01\x00\x00" + b"\x07\x00\x00\x00\x00\x00\x00\x00" + b"\x05" + bytes(3) + b"\x00\x00\x20\x41"
    store_bytes += b"\x02\x00\x00\x00x\x00" + bytes(2) + b"\x00\x00\x40\x40"
    found = decoder(name, parse(name, old), types.PowerBudget)(store_bytes)
    assert (found.stamp, found.power, found.discharge_power) == (7.0, 10.0, 3.0)
    assert found.valid_for != found.valid_for


def test_bytes_that_are_cut_off_are_an_error() -> None:
    name = "evse_msgs/msg/SafetyState"
    decode = decoder(name, parse(name, definition(name)[0]), types.SafetyState)
    whole = serialize_message(to_message(types.SafetyState(detail="a long text"), TOPICS["safety_state"].message))
    for length in (0, 3, 10, len(whole) - 8):
        with pytest.raises(Exception, match=r"\w"):
            decode(whole[:length])


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    row = TOPICS["power_budget"]
    made = Bag(tmp_path / "some", [Channel("/evse_1/power_budget", row.message, row.qos)], {"station": "here"})
    for number in range(200):
        made.write(0, 1_000_000_000 + number, serialize_message(to_message(types.PowerBudget(stamp=1.0, power=float(number)), row.message)))
        if number % 50 == 49:
            made.flush()
    made.close({"dropped": "0"})
    return tmp_path / "some"


def test_a_bag_is_read_by_time_with_what_it_says_of_itself(bag: Path) -> None:
    with BagReader(bag) as reader:
        assert [item.value.power for item in reader.items()] == [float(number) for number in range(200)]
        assert [item.value.power for item in reader.items({"/nothing"})] == []
        assert reader.about["station"] == "here"
        assert (reader.begin, reader.contents[0].count, reader.problem) == (1.0, 200, "")
        assert reader.contents[0].offered()[0].depth == 1


def test_a_file_alone_says_the_same(bag: Path) -> None:
    with BagReader(bag / "some.mcap") as reader, BagReader(bag) as folder:
        assert [item.data for item in reader.items()] == [item.data for item in folder.items()]
    (bag / "metadata.yaml").unlink()
    with BagReader(bag) as reader:
        assert (reader.begin, reader.contents[0].count, reader.contents[0].offered()[0].depth) == (1.0, 200, 1)


def test_a_recording_without_an_end_is_read_as_far_as_it_goes(bag: Path) -> None:
    file = bag / "some.mcap"
    whole = file.read_bytes()
    counts = set()
    for part in range(1, 20):
        file.write_bytes(whole[: len(whole) * part // 20])
        with BagReader(bag) as reader:
            found = [item.value.power for item in reader.items()]
        assert found == [float(number) for number in range(len(found))]
        assert len(found) == 200 or "its recorder died" in reader.problem
        counts.add(len(found))
    assert counts <= {0, 50, 100, 150, 200}
    assert len(counts) > 2


def test_a_damaged_chunk_is_told(bag: Path) -> None:
    file = bag / "some.mcap"
    data = bytearray(file.read_bytes())
    # Where a chunk's compressed bytes begin (RFC 8878, 3.1.1), past the magic number.
    at = data.rindex(b"\x28\xb5\x2f\xfd") + 5
    data[at : at + 8] = bytes(byte ^ 0x5A for byte in data[at : at + 8])
    file.write_bytes(data)
    with BagReader(bag) as reader, pytest.raises(BagError, match=r"some\.mcap: is damaged"):
        list(reader.items())


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="there is no such recording"):
        BagReader(tmp_path / "none")
    with pytest.raises(BagError, match="no file in it ends with"):
        BagReader(tmp_path)
    (tmp_path / "x.mcap").write_text("hello, this is no recording")
    with pytest.raises(BagError, match="is no MCAP file"):
        list(BagReader(tmp_path / "x.mcap").items())
