"""The station's side of CHAdeMO: bytes of real sessions in, bytes worked out by hand out."""

from dataclasses import replace
from math import isnan, nan

import pytest
from can_bench import CHADEMO, LOGS, log_frames, vehicle_frames

from evse_core.codecs.chademo import SESSION_GAP, ChademoStation
from evse_core.codecs.signals import Malformed, UnknownId
from evse_core.frame import Frame
from evse_core.types import VehicleCommand, VehicleLink, VehicleReport

needs_logs = pytest.mark.skipif(not LOGS.is_dir(), reason="../shared/can_logs is not here")


def station(*texts: str, now: float = 0.0) -> ChademoStation:
    """Return a station that has received these frames, written as `id data` in hexadecimal digits."""
    found = ChademoStation(CHADEMO)
    for text in texts:
        identifier, data = text.split()
        found.receive(Frame(int(identifier, 16), bytes.fromhex(data)), now)
    return found


# The same moment of ../shared/can_logs/leaf_start_stop.csv, 19.5 s: 0x100, 0x101, 0x102.
LEAF = ("100 00000000B3016400", "101 00FF3C0000DE0000", "102 029A010200C14900")


def test_frames_of_a_real_leaf_become_its_report() -> None:
    report = station(*LEAF).report(0.05)
    assert report.complete
    assert report.age == pytest.approx(0.05)
    assert (report.protocol_number, report.target_voltage, report.max_voltage) == (2, 410.0, 435.0)
    assert (report.current_request, report.soc_percent) == (2.0, 73.0)
    assert report.battery_capacity_kwh == pytest.approx(22.2)
    assert report.max_charging_time == 3600.0
    assert isnan(report.estimated_charging_time)
    assert (report.min_voltage, report.max_current, report.min_current) == (0.0, 0.0, 0.0)
    assert report.charging_enabled
    assert report.discharge_compatible
    assert not report.contactor_open
    assert not report.extended_functions


def test_nothing_is_known_before_the_first_frame() -> None:
    report = ChademoStation(CHADEMO).report(5.0)
    assert not report.complete
    unknown = ("age", "max_voltage", "target_voltage", "current_request", "soc_percent", "battery_capacity_kwh", "max_charging_time")
    assert all(isnan(getattr(report, name)) for name in unknown)


@pytest.mark.parametrize("missing", range(3))
def test_report_is_complete_only_with_all_three_frames(missing: int) -> None:
    texts = [text for index, text in enumerate(LEAF) if index != missing]
    report = station(*texts).report(0.0)
    assert not report.complete
    assert isnan(report.age)


def test_age_is_that_of_the_oldest_frame() -> None:
    found = station(*LEAF)
    for now in (0.1, 0.2, 0.3):
        found.receive(Frame(0x102, bytes.fromhex("029A010200C14900")), now)
    assert found.report(0.35).age == pytest.approx(0.35)


FLAGS = [
    (4, 0, "fault_battery_overvoltage"),
    (4, 1, "fault_battery_undervoltage"),
    (4, 2, "fault_current_deviation"),
    (4, 3, "fault_battery_temperature"),
    (4, 4, "fault_voltage_deviation"),
    (5, 0, "charging_enabled"),
    (5, 1, "shift_not_parked"),
    (5, 2, "system_fault"),
    (5, 3, "contactor_open"),
    (5, 4, "normal_stop_request"),
    (5, 7, "discharge_compatible"),
]


@pytest.mark.parametrize(("byte", "bit", "field"), FLAGS)
def test_each_bit_of_the_status_frame_is_its_own_flag(byte: int, bit: int, field: str) -> None:
    data = bytearray(8)
    data[byte] = 1 << bit
    report = station(f"102 {data.hex()}").report(0.0)
    assert [name for _, _, name in FLAGS if getattr(report, name)] == [field]


@pytest.mark.parametrize(
    ("rate", "reference", "soc"),
    [(73, 100, 73.0), (0, 100, 0.0), (100, 100, 100.0), (12, 18, 66.7), (3, 240, nan), (50, 255, nan), (50, 0, nan), (101, 100, nan)],
    ids=["usual", "empty", "full", "kWh of a home-built car", "before it settles", "with a 0.9 charger", "no reference", "above full"],
)
def test_state_of_charge_is_unknown_rather_than_wrong(rate: int, reference: int, soc: float) -> None:
    found = station(f"100 000000000000{reference:02X}00", f"102 000000000000{rate:02X}00")
    assert found.report(0.0).soc_percent == pytest.approx(soc, abs=0.05, nan_ok=True)


@pytest.mark.parametrize(
    ("tens", "minutes", "seconds"),
    [
        (0xFF, 60, 3600.0),
        (0xE4, 0, 2280.0),
        (1, 0xFF, 10.0),
        (0xFF, 0xFE, 15240.0),
        (0, 0, nan),
        (0xFF, 0xFF, nan),
        (0xFF, 0, nan),
        (0, 90, 5400.0),
    ],
)
def test_charging_time_takes_minutes_where_the_fine_byte_says_so(tens: int, minutes: int, seconds: float) -> None:
    report = station(f"101 00{tens:02X}{minutes:02X}0000000000").report(0.0)
    assert report.max_charging_time == pytest.approx(seconds, nan_ok=True)


def test_contactor_that_was_once_reported_open_stays_reported() -> None:
    found = station("102 0200000000090000")
    assert found.report(0.0).contactor_reported
    found.receive(Frame(0x102, bytes.fromhex("0200000000010000")), 0.1)
    report = found.report(0.1)
    assert report.contactor_reported
    assert not report.contactor_open


def test_reset_forgets_the_vehicle() -> None:
    found = station(*LEAF, "110 0100000000000000")
    found.reset()
    assert repr(found.report(0.0)) == repr(VehicleReport(link=VehicleLink.CHADEMO))
    assert not found.report(0.0).extended_functions
    assert len(found.frames(VehicleCommand())) == 2


@pytest.mark.parametrize(("gap", "kept"), [(SESSION_GAP - 0.1, True), (SESSION_GAP + 0.1, False)])
def test_vehicle_that_comes_back_after_long_silence_is_a_new_one(gap: float, kept: bool) -> None:
    found = station("102 0200000000090000")
    found.receive(vehicle_frames()[0], gap)
    assert found.report(gap).contactor_reported is kept


@pytest.mark.parametrize(("identifier", "length"), [(0x100, 6), (0x101, 6), (0x102, 6), (0x102, 1), (0x110, 0)])
def test_truncated_frame_is_malformed_and_no_sign_of_life(identifier: int, length: int) -> None:
    found = station(*LEAF)
    with pytest.raises(Malformed):
        found.receive(Frame(identifier, bytes(length)), 0.9)
    assert found.report(1.0).age == pytest.approx(1.0)
    assert found.report(1.0).max_voltage == 435.0


def test_own_frames_that_come_back_are_no_news() -> None:
    found = ChademoStation(CHADEMO)
    assert [found.receive(frame, 0.0) for frame in found.frames(VehicleCommand())] == [None, None]


@needs_logs
@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("leaf_start_stop.csv", set()),
        ("leaf_ze1_charging.csv", set()),
        ("failed_1.csv", set()),
        ("failed_2.csv", set()),
        ("failed_3.csv", set(range(0x521, 0x529))),
    ],
)
def test_every_frame_of_a_real_session_is_decoded_or_of_another_node(name: str, unknown: set[int]) -> None:
    found, seen_unknown = ChademoStation(CHADEMO), set()
    for time, frame in log_frames(name):
        try:
            assert found.receive(frame, time) in (None, 0)
        except UnknownId:
            seen_unknown.add(frame.id)
    assert seen_unknown == unknown
    assert found.report(time).complete


# What chargers really sent: failed_1.csv at 0.67 s and 0.27 s, leaf_start_stop.csv at 19.56 s without its V2X bit.
REAL_WORDS = [
    (
        VehicleCommand(
            protocol_number=1, present_voltage=340.0, present_current=0.0, connector_locked=True, stop_control=True, remaining_time=5400.0
        ),
        "015401000024FF5A",
    ),
    (
        VehicleCommand(
            protocol_number=2, present_voltage=374.0, present_current=1.0, connector_locked=True, charging=True, remaining_time=3600.0
        ),
        "027601010005FF3C",
    ),
    (VehicleCommand(protocol_number=2, stop_control=True, remaining_time=nan), "020000000020FFFF"),
]


@pytest.mark.parametrize(("command", "data"), REAL_WORDS)
def test_status_frame_equals_that_of_real_chargers(command: VehicleCommand, data: str) -> None:
    capability, status = ChademoStation(CHADEMO).frames(command)
    assert (capability.id, status.id) == (0x108, 0x109)
    assert status.data.hex().upper() == data


def test_capability_frame_equals_that_of_a_real_charger() -> None:
    command = VehicleCommand(welding_detection_supported=True, available_voltage=500.9, available_current=15.9, threshold_voltage=435.9)
    assert ChademoStation(CHADEMO).frames(command)[0].data.hex().upper() == "01F4010FB3010000"


@pytest.mark.parametrize(
    ("field", "byte", "value"),
    [
        ("charging", 5, 0x01),
        ("charger_malfunction", 5, 0x02),
        ("connector_locked", 5, 0x04),
        ("battery_incompatible", 5, 0x08),
        ("system_malfunction", 5, 0x10),
        ("stop_control", 5, 0x20),
    ],
)
def test_each_flag_of_the_station_is_its_own_bit(field: str, byte: int, value: int) -> None:
    status = ChademoStation(CHADEMO).frames(replace(VehicleCommand(), **{field: True}))[1]  # type: ignore[arg-type]
    assert status.data[:6] == bytes(byte) + bytes([value])


@pytest.mark.parametrize(
    ("time", "tens", "minutes"),
    [
        (nan, 0xFF, 0xFF),
        (0.0, 0, 0),
        (-5.0, 0, 0),
        (0.1, 1, 1),
        (10.0, 1, 1),
        (10.1, 2, 1),
        (2540.0, 254, 43),
        (2540.1, 0xFF, 43),
        (3600.0, 0xFF, 60),
        (15240.0, 0xFF, 254),
        (1e9, 0xFF, 254),
    ],
)
def test_remaining_time_is_zero_only_when_it_is_over(time: float, tens: int, minutes: int) -> None:
    status = ChademoStation(CHADEMO).frames(VehicleCommand(remaining_time=time))[1]
    assert (status.data[6], status.data[7]) == (tens, minutes)


@pytest.mark.parametrize(
    ("heard", "sent"),
    [
        ((), False),
        (("102 0200000000000000",), False),
        (("102 0300000000000000",), True),
        (("110 0100000000000000",), True),
        (("110 0000000000000000",), True),
    ],
    ids=["silent vehicle", "generation 1.x", "generation 2.0", "sent 0x110", "sent 0x110 without dynamic control"],
)
def test_extended_frame_is_sent_only_to_a_vehicle_that_knows_it(heard: tuple[str, ...], sent: bool) -> None:
    frames = station(*heard).frames(VehicleCommand(dynamic_control=True))
    assert [frame.id for frame in frames] == [0x108, 0x109] + [0x118] * sent
    if sent:
        assert frames[2].data == bytes([1, 0, 0, 0, 0, 0, 0, 0])


def test_readings_that_are_not_known_or_negative_are_sent_as_zero() -> None:
    status = ChademoStation(CHADEMO).frames(VehicleCommand(present_voltage=nan, present_current=-3.0))[1]
    assert status.data[1:4] == bytes(3)


# V2X: 0x200, 0x201 of the vehicle, 0x208, 0x209 of the station (can.md 2.1, 2.6).


def test_limits_of_discharge_are_read_with_their_inverted_byte() -> None:
    # 200.0 raw 155 is 100 A; 320 V; 30 %. 201: sequence 2, 90 min, 12.3 kWh.
    report = station(*LEAF, "200 9B00000040011EFF", "201 025A007B00000000").report(0.0)
    assert (report.max_discharge_current, report.min_discharge_voltage, report.min_discharge_soc_percent) == (100.0, 320.0, 30.0)
    assert (report.discharge_sequence, report.discharge_time, report.available_energy_wh) == (2, 5400.0, pytest.approx(12_300.0))


def test_vehicle_without_these_frames_has_said_nothing() -> None:
    report = station(*LEAF).report(0.0)
    assert isnan(report.max_discharge_current)
    assert isnan(report.min_discharge_voltage)
    assert report.discharge_sequence == 0


def test_raw_255_is_no_current() -> None:
    assert station(*LEAF, "200 FF00000000000000").report(0.0).max_discharge_current == 0.0


def test_discharge_frames_and_their_bit_go_out_together_or_not_at_all() -> None:
    plain = VehicleCommand(protocol_number=2, present_current=-20.0, max_discharge_current=50.0)
    assert [frame.id for frame in station().frames(plain)] == [0x108, 0x109]
    frames = station().frames(
        VehicleCommand(
            protocol_number=2,
            available_voltage=500.0,
            present_current=-20.4,
            discharge_compatible=True,
            max_discharge_current=50.9,
            min_discharge_voltage=300.2,
            discharge_sequence=1,
        )
    )
    assert [frame.id for frame in frames] == [0x108, 0x109, 0x208, 0x209]
    # 109.3 is 0 while the vehicle gives, 109.4.0 is set.
    assert (frames[1].data[3], frames[1].data[4]) == (0, 1)
    assert frames[2].data.hex() == "ebf401cd00002d01"
    assert frames[3].data.hex() == "0100000000000000"


@pytest.mark.parametrize("current", [20.0, nan])
def test_current_to_the_vehicle_is_no_discharge(current: float) -> None:
    frames = station().frames(VehicleCommand(present_current=current, discharge_compatible=True, max_discharge_current=nan))
    assert frames[2].data[0] == 255
    assert frames[2].data[3] == 255
    assert frames[1].data[3] == (20 if current == 20.0 else 0)
