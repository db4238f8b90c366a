"""The text formats that python-can does not read: SavvyCAN's CSV and what candump shows on the screen."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from evse_tools.can_log_stamps import MICROSECONDS

STANDARD_ID_MAX = 0x7FF
ID_MAX = 0x1FFFFFFF
# candump: "(1650000000.123456)  can0  109   [8]  02 00 00 ..", with RX/TX flags behind the channel when asked with -x.
SCREEN = re.compile(
    r"^\s*(?:\((?P<stamp>[^)]*)\)\s+)?(?P<channel>\S+)\s+(?:[RT]X\s+\S+\s+\S+\s+)?(?P<id>[0-9A-Fa-f]{3,8})\s+\[(?P<length>\d+)\]\s*(?P<data>.*)$"
)
ERROR_FLAG = 0x20000000


class BadLine(Exception):
    """A line of a text log that cannot be read."""

    def __init__(self, line: int, reason: str, *, is_last: bool) -> None:
        super().__init__(line, reason)
        self.line, self.reason, self.is_last = line, reason, is_last


@dataclass(frozen=True, slots=True)
class Row:
    """One frame as recorded: stamp in microseconds, not yet repaired."""

    stamp: int
    channel: str
    id: int
    data: bytes
    extended: bool
    is_error: bool = False

    @property
    def is_short_id(self) -> bool:
        """Tell whether 11 bits hold the identifier: some SavvyCAN loggers mark such frames as extended."""
        return self.id <= STANDARD_ID_MAX


def savvycan_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield the frames of SavvyCAN's CSV, whose columns vary between versions. Stamps are microseconds, or seconds where they have a decimal point."""
    column: dict[str, int] = {}
    for line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if not column:
            column = _columns(cells)
        elif any(cells):
            yield _savvycan_row(cells, column)


def _columns(cells: list[str]) -> dict[str, int]:
    names = {re.sub(r"\W", "", cell).lower(): index for index, cell in enumerate(cells)}
    if "timestamp" not in names or "id" not in names:
        return {}
    if missing := {"len", "d1"} - names.keys():
        raise ValueError(f"the header has no column {', '.join(sorted(missing))}")
    return names


def _savvycan_row(cells: list[str], column: dict[str, int]) -> Row:
    length, first = int(cells[column["len"]]), column["d1"]
    data = bytes(int(cell, 16) for cell in cells[first : first + length])
    if len(data) != length:
        raise ValueError(f"LEN is {length}, but there are {len(data)} data bytes")
    channel = cells[column["bus"]] if "bus" in column else ""
    extended = "extended" in column and cells[column["extended"]].lower() in {"true", "1"}
    return Row(_microseconds(cells[column["timestamp"]]), channel, _identifier(cells[column["id"]]), data, extended)


def _microseconds(text: str) -> int:
    return round(float(text) * MICROSECONDS) if "." in text else int(text)


def _identifier(text: str) -> int:
    value = int(text, 16)
    if not 0 <= value <= ID_MAX:
        raise ValueError(f"identifier {text} is longer than 29 bits")
    return value


def candump_screen_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield the frames that candump shows, with -t a, z or A; a frame without a time stamp cannot be used."""
    for line in lines:
        if not line.strip():
            continue
        found = SCREEN.match(line)
        if found is None:
            raise ValueError("not a line of candump")
        if found["stamp"] is None:
            raise ValueError("the frame has no time stamp: record with candump -L")
        yield _screen_row(found)


def _screen_row(found: re.Match[str]) -> Row:
    cells = found["data"].split()[: int(found["length"])]
    identifier = int(found["id"], 16)
    is_error = bool(identifier & ERROR_FLAG) or cells[:1] == ["remote"]
    data = b"" if is_error else bytes(int(cell, 16) for cell in cells)
    if not is_error and len(data) != int(found["length"]):
        raise ValueError(f"[{found['length']}], but there are {len(data)} data bytes")
    return Row(_screen_stamp(found["stamp"]), found["channel"], identifier & ID_MAX, data, len(found["id"]) > 3, is_error)


def _screen_stamp(text: str) -> int:
    if "-" in text.strip()[1:]:
        return round(datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp() * MICROSECONDS)
    return round(float(text) * MICROSECONDS)
