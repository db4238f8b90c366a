"""Reading CAN logs: every format gives the same frames, stamps come out as rising seconds, and what is no log says where it fails."""

import gzip
import sqlite3
from collections.abc import Callable
from pathlib import Path

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.chademo_script import session, shut_down

from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame
from evse_nodes.databases import load
from evse_tools.analyze_log import analyze, chademo_score
from evse_tools.analyze_report import report
from evse_tools.can_log import LogError, read
from evse_tools.can_log_stamps import timeline

SAVVYCAN = "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"
START = 1_700_000_000.0


@pytest.fixture(scope="module")
def database() -> SignalDatabase:
    return load("chademo")


@pytest.fixture(scope="module")
def frames() -> list[tuple[float, Frame]]:
    return shut_down(session().at(12.0, c_status=0x25), 12.2).frames()


def write_python_can(path: Path, frames: list[tuple[float, Frame]]) -> None:
    with can.Logger(path) as writer:
        for t, frame in frames:
            writer(
                can.Message(
                    timestamp=START + t, arbitration_id=frame.id, data=frame.data, is_extended_id=frame.extended, channel=0, is_rx=True
                )
            )


def savvycan(frames: list[tuple[float, Frame]], stamp: Callable[[int], int] = lambda us: us) -> str:
    rows = (
        f"{stamp(round(t * 1e6))},{frame.id:08X},{str(frame.extended).lower()},Rx,0,{len(frame.data)},{','.join(f'{byte:02X}' for byte in frame.data)},\n"
        for t, frame in frames
    )
    return SAVVYCAN + "".join(rows)


def screen(frames: list[tuple[float, Frame]]) -> str:
    return "".join(
        f" ({START + t:.6f})  can1  {frame.id:03X}   [{len(frame.data)}]  {frame.data.hex(' ').upper()}\n" for t, frame in frames
    )


def essence(database: SignalDatabase, path: Path) -> dict[str, object]:
    """Return what a report says, without what depends on the file and on the resolution of its stamps."""
    data = report(analyze(read(path), database))
    assert data["protocol"] == "chademo"
    return {key: data[key] for key in ("outcome", "last_step", "ended_by", "cause", "max_current", "max_voltage", "limits", "frames")}


@pytest.mark.parametrize(
    "name", ["log.log", "log.blf", "log.asc", "log.csv", "log.trc", "log.log.gz", "log.blf.gz", "log.asc.gz", "log.csv.gz"]
)
def test_what_python_can_writes_reads_back_the_same(
    tmp_path: Path, database: SignalDatabase, frames: list[tuple[float, Frame]], name: str
) -> None:
    original = tmp_path / "original.csv"
    original.write_text(savvycan(frames))
    plain = tmp_path / name.removesuffix(".gz")
    write_python_can(plain, frames)
    path = plain
    if name.endswith(".gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(plain.read_bytes()))
    back = read(path)
    assert [logged.frame for logged in back.frames] == [frame for _, frame in frames]
    # TRC and ASC round stamps to 0.1 ms.
    assert [logged.t for logged in back.frames] == pytest.approx([t for t, _ in frames], abs=2e-4)
    assert essence(database, path) == essence(database, original)


def test_a_database_of_python_can_reads_back_the_same(tmp_path: Path, frames: list[tuple[float, Frame]]) -> None:
    # Written here: python-can's own writer hands rows to a thread, which loses some when it is stopped (4.6.1).
    path = tmp_path / "log.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE messages (ts REAL, arbitration_id INTEGER, extended INTEGER, remote INTEGER, error INTEGER, dlc INTEGER, data BLOB)"
        )
        rows = [(START + t, frame.id, 0, 0, 0, len(frame.data), frame.data) for t, frame in frames]
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    back = read(path)
    assert back.format == "python-can SQLite"
    assert [logged.frame for logged in back.frames] == [frame for _, frame in frames]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (savvycan, "SavvyCAN CSV"),
        (lambda frames: "\n" + savvycan(frames).replace("\n", "\r\n"), "SavvyCAN CSV"),
        (lambda frames: "\ufeff" + savvycan(frames), "SavvyCAN CSV"),
        (lambda frames: savvycan(frames).replace("Dir,", "").replace("Rx,", ""), "SavvyCAN CSV"),
        (screen, "candump screen"),
        (lambda frames: screen(frames).replace(f"({START:.6f})"[:5], "(1700"), "candump screen"),
    ],
)
def test_formats_that_python_can_does_not_read(
    tmp_path: Path, database: SignalDatabase, frames: list[tuple[float, Frame]], text: Callable[[list[tuple[float, Frame]]], str], form: str
) -> None:
    original, path = tmp_path / "original.csv", tmp_path / "any.txt"
    original.write_text(savvycan(frames))
    path.write_text(text(frames), newline="")
    assert read(path).format == form
    assert essence(database, path) == essence(database, original)


def test_the_content_tells_the_format_not_the_name(tmp_path: Path, frames: list[tuple[float, Frame]]) -> None:
    write_python_can(tmp_path / "x.blf", frames)
    (tmp_path / "x.log").write_bytes((tmp_path / "x.blf").read_bytes())
    assert read(tmp_path / "x.log").format == "BLF"


STAMPS = (
    ("as they are", lambda us: us, None),
    ("negative", lambda us: us - 1_688_467_643_383_897, None),
    ("negative written as unsigned", lambda us: (us - 1_912_022_314) % (1 << 64), "unsigned"),
    ("falling", lambda us: 900_000_000 - us, "fall"),
    ("falling and negative", lambda us: -1_688_467_643_383_897 - us, "fall"),
    ("wrapped at 32 bit", lambda us: (us + (1 << 32) - 5_000_000) % (1 << 32), "wrapped"),
    ("wrapped at midnight", lambda us: (us + 86_395_000_000) % 86_400_000_000, "wrapped"),
)


@pytest.mark.parametrize(("stamp", "note"), [row[1:] for row in STAMPS], ids=[row[0] for row in STAMPS])
def test_odd_stamps_come_out_as_rising_seconds(
    tmp_path: Path, frames: list[tuple[float, Frame]], stamp: Callable[[int], int], note: str | None
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(savvycan(frames, stamp))
    log = read(path)
    assert [logged.t for logged in log.frames] == pytest.approx([t for t, _ in frames], abs=1e-6)
    assert [logged.frame for logged in log.frames] == [frame for _, frame in frames]
    assert (note is None and log.notes == ()) or any(note in text for text in log.notes if note)


def test_falling_stamps_of_rows_in_reverse_order_are_turned_round(tmp_path: Path, frames: list[tuple[float, Frame]]) -> None:
    # A table that was sorted by falling time: the charger's 0x109 stands before its 0x108, which no charger does. The script sends all of a
    # party's frames at one instant, so 0x109 gets its 5 ms here.
    spread = [(t + 0.005 * (frame.id == 0x109), frame) for t, frame in frames]
    path = tmp_path / "log.csv"
    path.write_text(savvycan(list(reversed(spread))))
    log = read(path)
    assert [logged.frame for logged in log.frames] == [frame for _, frame in spread]
    assert [logged.t for logged in log.frames] == pytest.approx([t for t, _ in spread], abs=1e-6)
    assert any("reverse" in note for note in log.notes)


def test_a_clock_that_was_set_back_loses_the_pause_only(frames: list[tuple[float, Frame]]) -> None:
    found = timeline([0, 100_000, 200_000, 50_000_000, 50_100_000, 20_000_000, 20_100_000])
    assert found.seconds == pytest.approx((0, 0.1, 0.2, 50.0, 50.1, 50.2, 50.3))
    assert "set back" in found.notes[0]


def test_rows_slightly_out_of_order_are_sorted(tmp_path: Path, frames: list[tuple[float, Frame]]) -> None:
    swapped = list(frames)
    swapped[10:12] = [swapped[11], swapped[10]]
    swapped[100], swapped[105] = swapped[105], swapped[100]
    path = tmp_path / "log.csv"
    path.write_text(savvycan(swapped))
    assert [logged.t for logged in read(path).frames] == pytest.approx([t for t, _ in frames], abs=1e-6)


def test_stamps_that_stand_still_are_named() -> None:
    assert "do not advance" in timeline([5, 5, 5, 5]).notes[0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(1 << 63), (1 << 64) - 1), max_size=40))
def test_any_stamps_give_times_that_start_at_zero(stamps: list[int]) -> None:
    found = timeline(stamps)
    assert len(found.seconds) == len(stamps)
    assert min(found.seconds, default=0.0) == 0.0


def test_short_identifiers_marked_as_extended_are_standard_frames(
    tmp_path: Path, frames: list[tuple[float, Frame]], database: SignalDatabase
) -> None:
    # A recorder of the public collection marks some rows so.
    path = tmp_path / "log.csv"
    path.write_text(savvycan(frames).replace(",false,", ",true,"))
    log = read(path)
    assert not any(logged.frame.extended for logged in log.frames)
    assert any("marked as extended" in note for note in log.notes)
    assert essence(database, path)["last_step"] == 12


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("readme.md", b"# A title\n\nSome words.\n", "not a CAN log"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not a CAN log"),
        ("table.csv", b"a,b,c\n1,2,3\n", "not a CAN log"),
        ("empty.bin", b"", "not a CAN log"),
        (
            "bad.csv",
            SAVVYCAN.encode() + b"1,100,false,Rx,0,8,00,00,00,00,00,00,00,00\n2,XYZ,false,Rx,0,1,00\n3,100,false,Rx,0,1,00\n",
            "bad.csv:3: SavvyCAN CSV",
        ),
        ("long.csv", SAVVYCAN.encode() + b"1,FFFFFFFFF,false,Rx,0,1,00\n3,100,false,Rx,0,1,00\n", "long.csv:2: SavvyCAN CSV: identifier"),
        ("short.csv", SAVVYCAN.encode() + b"1,100,false,Rx,0,8,00,00\n3,100,false,Rx,0,1,00\n", "short.csv:2: SavvyCAN CSV: LEN is 8"),
        ("byte.csv", SAVVYCAN.encode() + b"1,100,false,Rx,0,1,100\n3,100,false,Rx,0,1,00\n", "byte.csv:2: SavvyCAN CSV"),
        ("head.csv", b"Time Stamp,ID,Extended,Dir\n1,2,3,4\n", "head.csv:1: SavvyCAN CSV: the header has no column d1, len"),
        ("bad.log", b"(1.0) can0 100#00\n(1.1) can0 nonsense\n(1.2) can0 100#00\n", "bad.log:2: candump log"),
        ("bad.txt", b" (1.0) can0 100 [1] 00\n what is this\n (1.2) can0 100 [1] 00\n", "bad.txt:2: candump screen: not a line of candump"),
        ("none.txt", b"  can0  100   [1]  00\n  can0  100   [1]  00\n", "none.txt:1: candump screen: the frame has no time stamp"),
        ("cut.blf", b"LOGG" + bytes(20), "cut.blf: BLF, after frame 0"),
        ("broken.gz", b"\x1f\x8b\x08\x00garbage", "broken.gz: cannot be read"),
        ("bad.mf4", b"MDF     4.10" + bytes(100), "bad.mf4: MF4, after frame 0"),
        ("bad.db", b"SQLite format 3\x00" + bytes(100), "bad.db: python-can SQLite"),
    ],
)
def test_what_is_no_log_says_where(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LogError) as raised:
        read(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no such file"):
        read(tmp_path / "nothing.log")


@pytest.mark.parametrize(("name", "cut"), [("log.csv", -20), ("log.log", -30), ("log.txt", -5)])
def test_a_log_whose_last_line_is_cut_is_read_up_to_it(tmp_path: Path, frames: list[tuple[float, Frame]], name: str, cut: int) -> None:
    path = tmp_path / name
    if name == "log.log":
        write_python_can(path, frames)
    else:
        path.write_text(savvycan(frames) if name == "log.csv" else screen(frames))
    path.write_text(path.read_text()[:cut])
    log = read(path)
    assert len(log.frames) == len(frames) - 1
    assert any("incomplete" in note for note in log.notes)


@pytest.mark.parametrize("content", [SAVVYCAN, "timestamp,arbitration_id,extended,remote,error,dlc,data\n"])
def test_a_log_without_frames_is_empty_not_wrong(tmp_path: Path, database: SignalDatabase, content: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(content)
    data = report(analyze(read(path), database))
    assert (data["protocol"], data["outcome"], data["cause"], data["last_step"]) == ("unknown", "unknown", "empty_log", 0)


def test_an_empty_file_with_a_logs_name_is_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"")
    assert read(tmp_path / "x.log").frames == ()


def test_error_and_remote_frames_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("(1.0) can0 100#0000\n(1.1) can0 20000088#0000000000000000\n(1.2) can0 100#R\n(1.3) can0 100#01\n")
    log = read(path)
    assert (len(log.frames), log.error_frames) == (2, 2)


def test_can_fd_frames_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("(1.0) can0 100#0000\n(1.1) can0 123##1" + "00" * 64 + "\n")
    log = read(path)
    assert len(log.frames) == 1
    assert "CAN FD" in log.notes[0]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_log_or_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path, words = tmp_path_factory.mktemp("any") / "any.csv", []
    for head in (
        b"",
        SAVVYCAN.encode(),
        b"(1.0) can0 100#00\n",
        b"LOGG",
        b"date Mon Jan 1 10:00:00.000 2024\nbase hex timestamps absolute\n",
    ):
        path.write_bytes(head + content)
        try:
            read(path)
        except LogError as error:
            words.append(str(error))
    assert all(str(path) in word for word in words)


def test_the_channel_with_chademo_is_picked(tmp_path: Path, database: SignalDatabase, frames: list[tuple[float, Frame]]) -> None:
    path = tmp_path / "x.log"
    with can.Logger(path) as writer:
        for t, frame in frames:
            # The vehicle's own bus uses identifiers of CHAdeMO, too, with other contents, and is twice as busy.
            for extra in (0.0, 0.001):
                writer(
                    can.Message(
                        timestamp=START + t + extra, arbitration_id=frame.id, data=bytes([255] * 8), is_extended_id=False, channel="can0"
                    )
                )
            writer(can.Message(timestamp=START + t + 0.002, arbitration_id=frame.id, data=frame.data, is_extended_id=False, channel="can1"))
    data = report(analyze(read(path), database))
    assert (data["channel"], data["cause"], data["last_step"]) == ("can1", "stopped_at_charger", 12)


def test_some_frames_that_could_be_chademo_by_chance_are_not(frames: list[tuple[float, Frame]]) -> None:
    noise = [(t, Frame(frame.id, bytes([255] * 8))) for t, frame in frames]
    assert chademo_score(frames) == len(frames)
    assert chademo_score(noise + frames[: len(frames) // 2]) == 0
    assert chademo_score(frames[:4]) == 0
    assert chademo_score([(t, frame) for t, frame in frames if frame.id == 0x102]) == 0


def test_two_channels_with_chademo_are_named(tmp_path: Path, database: SignalDatabase, frames: list[tuple[float, Frame]]) -> None:
    path = tmp_path / "x.log"
    with can.Logger(path) as writer:
        for index, (t, frame) in enumerate(frames):
            for channel in ("can0", "can1") if index < len(frames) // 2 else ("can1",):
                writer(can.Message(timestamp=START + t, arbitration_id=frame.id, data=frame.data, is_extended_id=False, channel=channel))
    data = report(analyze(read(path), database))
    assert data["channel"] == "can1"
    assert any("'can0'" in warning for warning in data["warnings"])


def test_another_protocol_is_unknown_and_says_what_was_seen(tmp_path: Path, database: SignalDatabase) -> None:
    path = tmp_path / "x.log"
    path.write_text(
        "".join(
            f"({1 + index / 10:.3f}) can0 0106B000#07\n({1.05 + index / 10:.3f}) can0 01063000#A00F640041320132\n" for index in range(50)
        )
    )
    data = report(analyze(read(path), database))
    assert (data["protocol"], data["outcome"], data["cause"]) == ("unknown", "unknown", "no_chademo_frames")
    assert "generic EVSE" in data["explanation"]


def test_several_sessions_report_the_last_and_list_all(tmp_path: Path, database: SignalDatabase, frames: list[tuple[float, Frame]]) -> None:
    failed = session(until="testing").at(6.0, c_status=0x26).frames()
    path = tmp_path / "x.csv"
    path.write_text(savvycan(failed + [(t + 60.0, frame) for t, frame in frames]))
    data = report(analyze(read(path), database))
    assert [item["cause"] for item in data["sessions"]] == ["insulation_phase_failed", "stopped_at_charger"]
    assert data["cause"] == "stopped_at_charger"
    assert any("2 sessions" in warning for warning in data["warnings"])
