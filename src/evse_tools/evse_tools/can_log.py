"""Read a CAN log of any usual recorder: what python-can reads, SavvyCAN's CSV, candump's screen output, each also packed with gzip.

The format is told by the content, not by the name: loggers call everything .csv, .log or .txt.
"""

import gzip
import io
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO, TextIO, cast

import can

from evse_core.frame import Frame
from evse_tools.can_log_savvycan import BadLine, Row, candump_screen_rows, savvycan_rows
from evse_tools.can_log_stamps import MICROSECONDS, timeline

# Enough to see a header behind comments and empty lines. [bytes]
SNIFF_LENGTH = 8192
GZIP_MAGIC = b"\x1f\x8b"
MAX_LENGTH = 8  # bytes of a classic CAN frame, ISO 11898-1
CAPABILITY, STATUS = 0x108, 0x109  # a CHAdeMO charger sends its status right after its capability: ../shared/reference/can.md 2.1


# Stamps between these are dates, 2000 to 2100; other recorders count from their start. [us since 1970]
DATES = (946_684_800 * MICROSECONDS, 4_102_444_800 * MICROSECONDS)


class LogError(Exception):
    """The file is not a CAN log that can be read; the text names the file and, where there is one, the line."""


@dataclass(frozen=True, slots=True)
class LoggedFrame:
    """One data frame: seconds since the first frame of the log, channel as the recorder names it."""

    t: float
    channel: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class CanLog:
    """All data frames of a log in the order of time, and what was strange about the file. epoch: its time 0 [s since 1970], 0 where stamps are no dates."""

    path: Path
    format: str
    frames: tuple[LoggedFrame, ...]
    error_frames: int
    notes: tuple[str, ...]
    epoch: float = 0.0


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    pattern: re.Pattern[bytes]
    suffixes: tuple[str, ...]
    rows: Callable[[Path], Iterator[Row]]


def read(path: Path) -> CanLog:
    """Return the frames of a log file; LogError where it cannot be read."""
    if not path.is_file():
        raise LogError(f"{path}: no such file")
    form = _format_of(path)
    rows, notes = _collect(path, form)
    frames, time_notes = _in_time(rows)
    return CanLog(path, form.name, frames, sum(row.is_error for row in rows), (*notes, *time_notes), _epoch(rows))


def _epoch(rows: list[Row]) -> float:
    """Return the time of the earliest frame by the wall clock where the recorder's stamps are one, else 0. [s since 1970]"""
    first = min((row.stamp for row in rows if not row.is_error), default=0)
    return first / MICROSECONDS if DATES[0] <= first < DATES[1] else 0.0


def is_log(path: Path) -> bool:
    """Tell whether a file begins like a CAN log, whatever its name; an empty one does not, nor a database, which may be anybody's."""
    try:
        head = _open_bytes(path).read(SNIFF_LENGTH)
    except (OSError, EOFError):
        return False
    return any(form.pattern.search(head) for form in FORMATS if form.suffixes != (".db",))


def _format_of(path: Path) -> _Format:
    try:
        head = _open_bytes(path).read(SNIFF_LENGTH)
    except (OSError, EOFError) as error:
        raise LogError(f"{path}: cannot be read: {error}") from error
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    candidates = FORMATS if head.strip() else tuple(form for form in FORMATS if suffix in form.suffixes)
    for form in candidates:
        if not head.strip() or form.pattern.search(head):
            return form
    known = ", ".join(form.name for form in FORMATS)
    raise LogError(f"{path}: not a CAN log: the file starts like none of {known}")


def _collect(path: Path, form: _Format) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    try:
        for row in form.rows(path):
            rows.append(row)
    except BadLine as error:
        if not error.is_last:
            raise LogError(f"{path}:{error.line}: {form.name}: {error.reason}") from error
        return rows, [f"line {error.line}, the last one, is incomplete ({error.reason}): left out"]
    except MemoryError:
        raise
    except Exception as error:  # readers of python-can raise whatever their parsing meets
        if form.name == "BLF" and rows and _is_cut_off(error):
            return rows, [f"the file is cut off after frame {len(rows)}: {error}"]
        raise LogError(f"{path}: {form.name}, after frame {len(rows)}: {error or type(error).__name__}") from error
    return rows, []


def _is_cut_off(error: Exception) -> bool:
    return "end of file" in str(error).lower() or "incomplete" in str(error).lower() or isinstance(error, EOFError)


def _in_time(rows: list[Row]) -> tuple[tuple[LoggedFrame, ...], list[str]]:
    times = timeline([row.stamp for row in rows])
    notes = list(times.notes)
    data = [(t, row) for t, row in zip(times.seconds, rows, strict=True) if not row.is_error]
    if times.falling and _rows_run_backwards(data):
        notes.append("the rows are in reverse order (0x109 before 0x108): turned round")
        last = max(t for t, _ in data)
        data = [(last - t, row) for t, row in reversed(data)]
    usable = [(t, row) for t, row in data if len(row.data) <= MAX_LENGTH]
    if len(usable) < len(data):
        notes.append(f"{len(data) - len(usable)} CAN FD frames were left out")
    if flagged := sum(row.extended and row.is_short_id for _, row in usable):
        notes.append(f"{flagged} frames with an 11 bit identifier are marked as extended: taken as standard frames")
    usable.sort(key=lambda item: item[0])
    start = usable[0][0] if usable else 0.0
    return tuple(LoggedFrame(t - start, row.channel, _frame(row)) for t, row in usable), notes


def _frame(row: Row) -> Frame:
    return Frame(row.id, row.data, row.extended and not row.is_short_id)


def _rows_run_backwards(data: list[tuple[float, Row]]) -> bool:
    """Tell whether time ran against the rows: a charger sends 0x109 within some milliseconds after 0x108, and 0x108 a cycle after that."""
    gaps: dict[tuple[int, int], list[float]] = {}
    pairs = [(t, row.id) for t, row in data if row.id in {CAPABILITY, STATUS}]
    for (t1, first), (t2, second) in pairwise(pairs):
        gaps.setdefault((first, second), []).append(abs(t2 - t1))
    forward, backward = gaps.get((CAPABILITY, STATUS)), gaps.get((STATUS, CAPABILITY))
    return bool(forward and backward and median(backward) < median(forward))


def _open_bytes(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")


class _Lines:
    """A text file for readers that loop over it; knows the number of the line that was read last."""

    def __init__(self, path: Path) -> None:
        # Comments of recorders may be in any 8 bit encoding; frames are ASCII.
        self._file = cast("TextIO", _text(path))
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.number += 1
        return line

    def readline(self) -> str:
        """Return the next line, "" at the end, as files do."""
        return next(self, "")

    def read(self, size: int = -1) -> str:
        """Return the rest of the file: here so that python-can takes the object for a file."""
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()

    def is_done(self) -> bool:
        """Tell whether nothing but empty lines follows."""
        return not any(line.strip() for line in self._file)


def _text(path: Path) -> Any:

    return io.TextIOWrapper(_open_bytes(path), encoding="utf-8-sig", errors="replace")


def _numbered(parse: Callable[[_Lines], Iterator[Row]]) -> Callable[[Path], Iterator[Row]]:
    """Make a parser of lines tell the number of the line that it could not read."""

    def rows(path: Path) -> Iterator[Row]:
        with closing(_Lines(path)) as lines:
            try:
                yield from parse(lines)
            except (UnicodeError, ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
                raise BadLine(lines.number, str(error) or type(error).__name__, is_last=lines.is_done()) from error

    return rows


def _text_reader(reader: Callable[..., Any]) -> Callable[[Path], Iterator[Row]]:
    return _numbered(lambda lines: map(_row, reader(lines)))


def _blf_rows(path: Path) -> Iterator[Row]:
    with _open_bytes(path) as file, can.BLFReader(file) as reader:
        yield from map(_row, reader)


def _file_reader(reader: Callable[..., Any]) -> Callable[[Path], Iterator[Row]]:
    """Use a reader of python-can that needs a file of its own, not a stream."""

    def rows(path: Path) -> Iterator[Row]:
        with path.open("rb") as file:
            if file.read(2) == GZIP_MAGIC:
                raise ValueError("this format can only be read unpacked")
        with reader(str(path)) as messages:
            yield from map(_row, messages)

    return rows


def _row(message: can.Message) -> Row:
    return Row(
        stamp=round(message.timestamp * MICROSECONDS),
        channel="" if message.channel is None else str(message.channel),
        id=message.arbitration_id,
        data=bytes(message.data or b""),
        extended=message.is_extended_id,
        # A remote frame carries nothing; it is no evidence of a value, but of traffic that does not belong on this bus.
        is_error=message.is_error_frame or message.is_remote_frame,
    )


FORMATS = (
    _Format("BLF", re.compile(rb"\ALOGG"), (".blf",), _blf_rows),
    _Format("MF4", re.compile(rb"\AMDF "), (".mf4",), _file_reader(can.MF4Reader)),
    _Format("python-can SQLite", re.compile(rb"\ASQLite format 3"), (".db",), _file_reader(can.SqliteReader)),
    _Format("SavvyCAN CSV", re.compile(rb"(?im)^\W*time ?stamp,\s*id,"), (), _numbered(savvycan_rows)),
    _Format("python-can CSV", re.compile(rb"(?m)^\W*timestamp,arbitration_id,"), (".csv",), _text_reader(can.CSVReader)),
    _Format("TRC", re.compile(rb"(?m)^;\s*\$FILEVERSION|^;\s+PCAN"), (".trc",), _text_reader(can.TRCReader)),
    _Format("candump log", re.compile(rb"(?m)^\s*\([\d.]+\)\s+\S+\s+[0-9A-Fa-f]+#"), (".log",), _text_reader(can.CanutilsLogReader)),
    _Format(
        "candump screen", re.compile(rb"(?m)^\s*(\([^)\n]*\)\s+)?\S+\s+.*[0-9A-Fa-f]{3,8}\s+\[\d+\]"), (), _numbered(candump_screen_rows)
    ),
    _Format("ASC", re.compile(rb"(?im)^\s*(date\s+\w{3}\s|base\s+(hex|dec)\b)"), (".asc",), _text_reader(can.ASCReader)),
)
