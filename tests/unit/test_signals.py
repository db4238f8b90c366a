"""SignalDatabase: what comes from a wire never raises anything but UnknownId and Malformed; what goes to a wire always fits."""

import random
from math import inf, nan

import pytest
from can_bench import CHADEMO, EVSE_V3, IO

from evse_core.codecs.signals import Malformed, UnknownId
from evse_core.frame import Frame
from evse_nodes import databases


@pytest.mark.parametrize("pistol", [0, 1, 15, 31])
def test_pistol_index_is_put_in_and_looked_through(pistol: int) -> None:
    frame = EVSE_V3.encode("New_Charge_Session", {}, pistol=pistol)
    assert frame.id == pistol << 24 | 0x06B001
    assert frame.extended
    assert EVSE_V3.decode(frame).name == "New_Charge_Session"


@pytest.mark.parametrize(
    ("database", "frame"),
    [
        (CHADEMO, Frame(0x7FF, bytes(8))),
        (CHADEMO, Frame(0x102, bytes(8), extended=True)),
        (EVSE_V3, Frame(0x63000 & 0x7FF, bytes(8))),
        (EVSE_V3, Frame(0x01063003, bytes(8), extended=True)),
        (IO, Frame(0x200, bytes(8))),
    ],
)
def test_identifier_of_another_kind_or_number_is_unknown(database, frame: Frame) -> None:
    with pytest.raises(UnknownId):
        database.decode(frame)


@pytest.mark.parametrize(
    ("database", "frame"),
    [
        (CHADEMO, Frame(0x102, b"")),
        (CHADEMO, Frame(0x102, bytes(9))),
        (IO, Frame(0x203, bytes([0x12, 4, 0, 0, 0, 0, 0, 0]))),
    ],
    ids=["empty", "more than a CAN frame holds", "undefined multiplexor"],
)
def test_undecodable_frame_is_malformed(database, frame: Frame) -> None:
    with pytest.raises(Malformed):
        database.decode(frame)


def test_shorter_frame_of_an_older_version_yields_what_it_has() -> None:
    decoded = EVSE_V3.decode(Frame(0x0106B100, bytes([24, 0, 73]), extended=True))
    assert decoded.signals == {"Battery_Capacity": 24, "Present_State_of_Charge": 73}


def test_longer_frame_of_a_newer_version_is_accepted() -> None:
    decoded = EVSE_V3.decode(Frame(0x0106B005, bytes([1, 2, 3]), extended=True))
    assert decoded.signals == {"Origin": 1}


@pytest.mark.parametrize(("state", "unknown"), [(12, 0), (13, 0), (14, 1), (255, 1)])
def test_undefined_enumeration_value_is_counted_and_kept(state: int, unknown: int) -> None:
    decoded = EVSE_V3.decode(Frame(0x0106B000, bytes([state]), extended=True))
    assert (decoded.signals["State"], decoded.unknown_values) == (state, unknown)


@pytest.mark.parametrize(
    ("value", "raw"),
    [(0.0, 0), (410.04, 4100), (6553.5, 65535), (6553.6, 65535), (1e12, 65535), (inf, 65535), (-0.04, 0), (-1.0, 0), (-inf, 0), (nan, 0)],
)
def test_unsigned_value_is_clamped_to_the_wire(value: float, raw: int) -> None:
    frame = EVSE_V3.encode("DC_Power_Control", {"Target_Voltage": value})
    assert int.from_bytes(frame.data[:2], "little") == raw


@pytest.mark.parametrize(("value", "raw"), [(-3276.8, -32768), (-1e9, -32768), (-inf, -32768), (3276.7, 32767), (inf, 32767), (nan, 0)])
def test_signed_value_is_clamped_to_the_wire(value: float, raw: int) -> None:
    frame = EVSE_V3.encode("DC_Power_Control", {"Current_Range_Max": value})
    assert int.from_bytes(frame.data[2:4], "little", signed=True) == raw


@pytest.mark.parametrize(("value", "data"), [(10, 245), (0, 255), (-5, 255), (255, 0), (300, 0)])
def test_inverted_byte_of_v2x_is_clamped_too(value: float, data: int) -> None:
    assert CHADEMO.encode("SE_DischargeCapability", {"present_discharge_current": value}).data[0] == data


def test_value_is_clamped_to_the_range_of_the_database() -> None:
    assert CHADEMO.encode("SE_Capability", {"welding_detection_support": 7}).data[0] == 1


def test_missing_signals_are_raw_zero_also_with_an_offset() -> None:
    assert EVSE_V3.encode("Power_Modules_Status", {}).data == bytes(8)


def test_unknown_signal_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        CHADEMO.encode("SE_Status", {"status_chargin": 1})


@pytest.mark.parametrize("name", databases.NAMES)
def test_any_frame_is_decoded_as_cantools_decodes_it(name: str) -> None:
    """Physical values to the last bit, also of frames that repeat and of frames that are too short."""
    database, chance = databases.load(name), random.Random(1)
    for message in {entry.message.name: entry.message for entry in database._by_id.values()}.values():
        for length in (*range(message.length + 1), *[message.length] * 30):
            data = chance.randbytes(length)
            frame = Frame(message.frame_id, data, message.is_extended_frame)
            try:
                wanted = message.decode(data, decode_choices=False, allow_truncated=True)
            except Exception:
                wanted = {}
            if not wanted:
                with pytest.raises(Malformed):
                    database.decode(frame)
                continue
            decoded = database.decode(frame)
            assert dict(decoded.signals) == {signal: float(value) for signal, value in wanted.items()}
            assert all(isinstance(value, float) for value in decoded.signals.values())
            assert database.decode(frame) == decoded
