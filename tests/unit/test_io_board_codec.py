"""The station's side of the I/O board: bytes by hand from config/can/io_board.dbc."""

from math import isnan

import pytest
from can_bench import IO, board_inputs

from evse_core.codecs.ac_output import AcOutput
from evse_core.codecs.io_board import CURRENTS_LIMIT, DISAGREE_LIMIT, PILOT_LIMIT, TOKEN_WAIT, IoBoard, LockCommand
from evse_core.codecs.signals import Malformed
from evse_core.frame import Frame
from evse_core.types import IoCommand, Lamp, PilotFault, PilotState

MEASUREMENTS = Frame(0x202, bytes.fromhex("091041e803000000"))
NOT_FITTED = Frame(0x202, bytes.fromhex("ffffffffff000000"))
NO_TOKEN = Frame(0x203, bytes(8))


def board(*frames: Frame, now: float = 0.0) -> IoBoard:
    found = IoBoard(IO)
    for frame in frames:
        found.receive(frame, now)
    return found


INPUTS = [
    (0, 0x01, "plugged"),
    (0, 0x02, "proximity_fault"),
    (0, 0x04, "permission"),
    (0, 0x08, "locked"),
    (0, 0x10, "contactor_closed"),
    (0, 0x20, "emergency_stop"),
    (0, 0x40, "door_open"),
    (0, 0x80, "earth_ok"),
    (1, 0x01, "residual_current_trip"),
    (1, 0x04, "tilted"),
    (1, 0x08, "impact"),
]


@pytest.mark.parametrize(("byte", "bit", "field"), INPUTS)
def test_each_input_is_its_own_bit(byte: int, bit: int, field: str) -> None:
    data = bytearray(8)
    data[byte] = bit
    report = board(Frame(0x201, bytes(data))).report(0.0)
    assert [name for _, _, name in INPUTS if getattr(report, name)] == [field]


@pytest.mark.parametrize(
    ("value", "fault", "unknown"),
    [
        (0, PilotFault.UNKNOWN, 0),
        (1, PilotFault.NONE, 0),
        (2, PilotFault.SHORT, 0),
        (3, PilotFault.DIODE_MISSING, 0),
        (4, PilotFault.OUT_OF_BAND, 0),
        (5, PilotFault.UNKNOWN, 1),
        (7, PilotFault.UNKNOWN, 1),
    ],
)
def test_pilot_fault_that_nobody_knows_is_unknown(value: int, fault: PilotFault, unknown: int) -> None:
    found = IoBoard(IO)
    assert found.receive(Frame(0x201, bytes([0, value << 4, 0, 0, 0, 0, 0, 0])), 0.0) == unknown
    assert found.report(0.0).pilot_fault is fault
    assert not any(getattr(found.report(0.0), name) for _, _, name in INPUTS)


CURRENTS = Frame(0x204, bytes.fromhex("a0000000ffff0001"))


def test_ac_currents_come_per_phase_and_what_is_not_fitted_is_not_measured() -> None:
    report = board(CURRENTS).report(0.0)
    assert (report.ac_current_l1, report.ac_current_l2) == (16.0, 0.0)
    assert isnan(report.ac_current_l3)


def test_ac_currents_that_are_old_or_repeated_are_not_known() -> None:
    found = board(CURRENTS)
    assert found.report(CURRENTS_LIMIT).ac_current_l1 == 16.0
    assert isnan(found.report(CURRENTS_LIMIT + 0.01).ac_current_l1)
    found.receive(CURRENTS, 0.4)
    assert isnan(found.report(CURRENTS_LIMIT + 0.01).ac_current_l1)
    found.receive(Frame(0x204, CURRENTS.data[:7] + b"\x02"), 0.6)
    assert found.report(0.7).ac_current_l1 == 16.0


def test_board_without_ac_currents_is_complete_and_ac_currents_are_no_sign_of_its_life() -> None:
    found = board(board_inputs(1), MEASUREMENTS, NO_TOKEN)
    assert found.report(0.0).complete
    found.receive(CURRENTS, 0.4)
    assert found.report(0.4).age == pytest.approx(0.4)


@pytest.mark.parametrize("length", [0, 1, 2, 6, 7])
def test_truncated_ac_currents_are_malformed_and_not_known(length: int) -> None:
    found = IoBoard(IO)
    with pytest.raises(Malformed):
        found.receive(Frame(0x204, CURRENTS.data[:length]), 0.0)
    assert isnan(found.report(0.0).ac_current_l1)


def test_ac_currents_that_drift_wait_for_the_next_measurement() -> None:
    found = board(board_inputs(1), MEASUREMENTS, CURRENTS)
    before = found.changes
    found.receive(Frame(0x204, bytes.fromhex("b0000000ffff0002")), 0.1)
    assert found.changes == before
    found.receive(board_inputs(2, Tilted=1), 0.1)
    assert found.changes == before + 1


def test_counters_and_measurements_come_in_units_of_the_report() -> None:
    report = board(Frame(0x201, bytes.fromhex("0000070800000001")), MEASUREMENTS, NO_TOKEN).report(0.25)
    assert report.complete
    assert report.age == pytest.approx(0.25)
    assert (report.start_count, report.stop_count) == (7, 8)
    assert report.connector_voltage == pytest.approx(410.5)
    assert report.connector_temperature == 25.0
    assert report.insulation_resistance == 1e6


def test_what_is_not_fitted_is_not_measured() -> None:
    report = board(NOT_FITTED).report(0.0)
    assert isnan(report.connector_voltage)
    assert isnan(report.connector_temperature)
    assert isnan(report.insulation_resistance)


@pytest.mark.parametrize("frames", [(), (board_inputs(),), (MEASUREMENTS,), (NO_TOKEN,), (board_inputs(), NO_TOKEN)])
def test_report_is_complete_only_with_every_frame(frames: tuple[Frame, ...]) -> None:
    report = board(*frames).report(0.0)
    assert not report.complete
    assert isnan(report.age)


@pytest.mark.parametrize(("waited", "complete"), [(TOKEN_WAIT - 0.01, False), (TOKEN_WAIT + 0.01, True)])
def test_board_without_a_reader_is_complete_after_a_while(waited: float, complete: bool) -> None:
    assert board(board_inputs(), MEASUREMENTS).report(waited).complete is complete


def test_age_is_that_of_the_oldest_periodic_frame() -> None:
    found = board(board_inputs(1), MEASUREMENTS, NO_TOKEN)
    found.receive(board_inputs(2), 0.3)
    assert found.report(0.4).age == pytest.approx(0.4)
    found.receive(MEASUREMENTS, 0.3)
    assert found.report(0.4).age == pytest.approx(0.1)


def test_frame_that_something_repeats_is_no_sign_of_life() -> None:
    found = board(board_inputs(7), MEASUREMENTS, NO_TOKEN)
    for now in (0.1, 0.2, 0.3):
        found.receive(board_inputs(7, Emergency_Stop=1), now)
        found.receive(MEASUREMENTS, now)
    assert found.report(0.3).age == pytest.approx(0.3)
    assert found.report(0.3).emergency_stop


UIDS = {
    "04A1B2C3": ["1004 04a1b2c30000"],
    "04A1B2C3D4E5F6": ["1007 04a1b2c3d4e5", "1107 f60000000000"],
    "00112233445566778899": ["100a 001122334455", "110a 667788990000"],
}


def token_frames(uid: str, sequence: int) -> list[Frame]:
    """Return the frames of a UID by the table above, with this sequence number in the high half of byte 0."""
    texts = (bytes.fromhex(text.replace(" ", "")) for text in UIDS[uid])
    return [Frame(0x203, bytes([sequence << 4 | data[0] & 0x0F]) + data[1:]) for data in texts]


@pytest.mark.parametrize("uid", UIDS)
@pytest.mark.parametrize("order", [1, -1])
def test_token_is_put_together_from_its_parts_in_any_order(uid: str, order: int) -> None:
    report = board(*token_frames(uid, 5)[::order]).report(0.0)
    assert (report.token_count, report.token) == (5, uid)


def test_count_and_text_of_a_token_change_together() -> None:
    found = board(*token_frames("04A1B2C3", 5))
    first, second = token_frames("00112233445566778899", 6)
    found.receive(first, 0.0)
    assert (found.report(0.0).token_count, found.report(0.0).token) == (5, "04A1B2C3")
    found.receive(second, 0.0)
    assert (found.report(0.0).token_count, found.report(0.0).token) == (6, "00112233445566778899")


def test_parts_of_two_tokens_are_never_mixed() -> None:
    found = board(token_frames("00112233445566778899", 1)[0], token_frames("04A1B2C3D4E5F6", 2)[1])
    assert found.report(0.0).token == ""


@pytest.mark.parametrize("data", ["1003040404000000", "10ff040404000000", "10", "100404", "110a00"])
def test_token_frame_that_makes_no_sense_is_malformed(data: str) -> None:
    found = board(*token_frames("04A1B2C3", 5))
    with pytest.raises(Malformed):
        found.receive(Frame(0x203, bytes.fromhex(data)), 0.0)
    assert (found.report(0.0).token_count, found.report(0.0).token) == (5, "04A1B2C3")


@pytest.mark.parametrize("length", [0, 1, 2, 4, 7])
def test_truncated_inputs_are_malformed_and_no_sign_of_life(length: int) -> None:
    found = board(board_inputs(1, Permission_K=1), MEASUREMENTS, NO_TOKEN)
    with pytest.raises(Malformed):
        found.receive(Frame(0x201, bytes(length)), 0.4)
    assert found.report(0.5).age == pytest.approx(0.5)
    assert found.report(0.5).permission


@pytest.mark.parametrize(
    ("command", "lock", "data"),
    [
        (IoCommand(), LockCommand.HOLD, "000000ffff000001"),
        (IoCommand(sequence_1=True), LockCommand.LOCK, "010100ffff000001"),
        (IoCommand(sequence_2=True), LockCommand.UNLOCK, "020200ffff000001"),
        (IoCommand(close_contactor=True, lamp=Lamp.FAULT), LockCommand.LOCK, "040104ffff000001"),
        (IoCommand(pilot_current=16.0), LockCommand.HOLD, "000000a000000001"),
        (IoCommand(pilot_current=0.0), LockCommand.HOLD, "0000000000000001"),
        (IoCommand(pilot_current=-1.0), LockCommand.HOLD, "000000ffff000001"),
    ],
)
def test_outputs_are_laid_out_as_documented(command: IoCommand, lock: LockCommand, data: str) -> None:
    frame = IoBoard(IO).frame(command, lock, 257)
    assert (frame.id, frame.data.hex()) == (0x210, data)
    assert IoBoard(IO).receive(frame, 0.0) is None


def pilot(high: float, duty: float = 100.0, state: int = 2, alive: int = 0, **more: float) -> Frame:
    """Return IO_Pilot of a board whose low half is good."""
    signals = {"Pilot_High": high, "Pilot_Low": high if duty == 100.0 else -12.0, "Pilot_Duty": duty, "Pilot_State": state, "Alive": alive}
    return IO.encode("IO_Pilot", {"Proximity_Resistance": 65535} | signals | more)


GOOD = Frame(0x201, bytes([0x80, 1 << 4, 0, 0, 0, 0, 0, 0]))
CLOSED = Frame(0x201, bytes([0x90, 1 << 4, 0, 0, 0, 0, 0, 0]))


def watched(found: IoBoard, seconds: float, start: float, **what: float) -> float:
    """Send IO_Pilot every 50 ms; return when the last one came."""
    steps = round(seconds / 0.05)
    for step in range(steps + 1):
        now = start + 0.05 * step
        found.receive(pilot(alive=round(now / 0.05) % 256, **what), now)
    return now


def test_the_bytes_of_the_pilot_are_those_of_the_database() -> None:
    found = board(GOOD, MEASUREMENTS, NO_TOKEN)
    found.receive(Frame(0x205, bytes([90, 0x88, 0x6B, 0x0A, 0b01011010, 0xDC, 0x00, 1])), 0.0)
    ac = found.report(0.0).ac
    assert (ac.pilot_high, ac.pilot_low, ac.pilot_duty_percent) == pytest.approx((9.0, -12.0, 26.67))
    assert (ac.latch_pressed, ac.output_live, ac.residual_current_tested, ac.cable_current) == (True, True, True, 32.0)


def test_the_state_of_the_pilot_is_that_of_its_levels_and_not_the_boards_word() -> None:
    found = board(GOOD)
    watched(found, 0.5, 0.0, high=9.0, state=3)
    report = found.report(0.5)
    assert report.ac.pilot_state is PilotState.B
    assert report.pilot_fault is PilotFault.NONE
    now = watched(found, DISAGREE_LIMIT + 0.1, 0.55, high=9.0, state=3)
    assert found.report(now).pilot_fault is PilotFault.DISAGREES


def test_a_fault_that_only_the_levels_show_is_a_fault() -> None:
    found = board(GOOD)
    now = watched(found, 0.5, 0.0, high=0.0, state=2)
    assert found.report(now).pilot_fault is PilotFault.SHORT


def test_a_pilot_that_is_old_or_repeated_is_not_known() -> None:
    found = board(GOOD)
    now = watched(found, 0.5, 0.0, high=9.0)
    assert found.report(now + PILOT_LIMIT).ac.pilot_state is PilotState.B
    found.receive(pilot(9.0, alive=round(now / 0.05)), now + 0.2)
    report = found.report(now + PILOT_LIMIT + 0.01)
    assert (report.ac.pilot_state, report.pilot_fault) == (PilotState.UNKNOWN, PilotFault.UNKNOWN)
    assert isnan(report.ac.pilot_high)


def test_a_new_state_is_news_and_a_level_that_drifts_is_none() -> None:
    found = board(GOOD)
    now = watched(found, 0.5, 0.0, high=9.0)
    before = found.changes
    watched(found, 0.1, now + 0.05, high=9.3)
    assert found.changes == before
    found.receive(pilot(12.0, alive=99, state=1), now + 0.2)
    assert found.changes == before + 1


@pytest.mark.parametrize(("inputs", "more", "phases"), [(GOOD, 1, 0), (CLOSED, 0, 1), (CLOSED, 1, 3)])
def test_phases_are_closed_where_both_feedbacks_say_so(inputs: Frame, more: int, phases: int) -> None:
    assert board(inputs, pilot(6.0, Phases_2_3_Closed=more)).report(0.0).ac.phases_closed == phases


MAINS = IO.encode("IO_Mains", {"Voltage_L1": 230.0, "Voltage_L2": 231.0, "Voltage_L3": 229.0, "Frequency": 50.0, "Alive": 1})
POWERS = IO.encode("IO_Powers", {"Power_L1": 2300, "Power_L2": 2310, "Power_L3": 2290, "Alive": 1})


def test_voltage_times_current_of_an_ac_output_is_its_active_power() -> None:
    report = AcOutput(board(MAINS, POWERS)).report(0.1)
    assert (report.complete, report.enabled, report.age) == (True, True, pytest.approx(0.1))
    assert report.voltage * report.current == pytest.approx(6900.0)
    assert report.voltage == pytest.approx(230.0)


def test_one_phase_counts_alone_and_what_is_not_fitted_is_left_out() -> None:
    mains = IO.encode("IO_Mains", {"Voltage_L1": 120.0, "Voltage_L2": 6553.5, "Voltage_L3": 6553.5, "Frequency": 60.0, "Alive": 1})
    powers = IO.encode("IO_Powers", {"Power_L1": 1440, "Power_L2": -32768, "Power_L3": -32768, "Alive": 1})
    report = AcOutput(board(mains, powers)).report(0.0)
    assert (report.voltage, report.current) == pytest.approx((120.0, 12.0))


@pytest.mark.parametrize("frames", [(), (MAINS,), (POWERS,)])
def test_half_of_an_ac_output_is_no_reading(frames: tuple[Frame, ...]) -> None:
    assert not AcOutput(board(*frames)).report(0.0).complete


def test_no_mains_is_no_output() -> None:
    dead = IO.encode("IO_Mains", {"Voltage_L1": 3.0, "Voltage_L2": 0.0, "Voltage_L3": 0.0, "Frequency": 65.5, "Alive": 1})
    report = AcOutput(board(dead, POWERS)).report(0.0)
    assert (report.enabled, report.current) == (False, 0.0)


def test_the_boards_command_carries_phases_state_f_and_the_self_test() -> None:
    frame = IoBoard(IO).frame(
        IoCommand(phases=3, pilot_current=16.0, pilot_unavailable=True, residual_current_test=True), LockCommand.HOLD, 7
    )
    assert frame.data == bytes([0, 0, 0, 160, 0, 0b1111, 0, 7])
