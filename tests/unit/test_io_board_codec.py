"""The station's side of the I/O board: bytes by hand from config/can/io_board.dbc."""

from math import isnan

import pytest
from can_bench import IO, board_inputs

from evse_core.codecs.io_board import CURRENTS_LIMIT, TOKEN_WAIT, IoBoard, LockCommand
from evse_core.codecs.signals import Malformed
from evse_core.frame import Frame
from evse_core.types import IoCommand, Lamp, PilotFault

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
