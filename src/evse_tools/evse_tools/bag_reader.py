"""Messages of a recording as values of evse_core.types, with the time at which they were received.

The definitions inside the file say how its bytes are laid out, so an old recording stays readable after a message gained a field (it has the dataclass's
default) or lost one (it is not looked at). A recording whose recorder died is read up to its last complete chunk; `problem` says so.
"""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args, get_origin, get_type_hints

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evse_core import types
from evse_tools.recorder_files import METADATA, data_file
from evse_tools.recorder_repair import repair

PACKAGE = "evse_msgs/msg/"
NANO = 1e-9


class BagError(ValueError):
    """A recording cannot be read; the text names the path and says why."""


@dataclass(frozen=True)
class Item:
    """One message of a recording: absolute topic, time of receipt [ns since the epoch], bytes as received."""

    topic: str
    received: int
    data: bytes
    _decode: Callable[[bytes], Any]

    @property
    def time(self) -> float:
        """Time of receipt [s since the epoch]."""
        return self.received * NANO

    @cached_property
    def value(self) -> Any:
        """The message: a dataclass of evse_core.types, or for types of other packages what rosbags makes of it. BagError where the bytes are damaged."""
        return self._decode(self.data)


@dataclass(frozen=True, slots=True)
class Content:
    """A topic of a recording: type as ROS names it, number of messages, quality of service as offered."""

    topic: str
    type_name: str
    count: int
    offered: tuple[Qos, ...]


class BagReader:
    """An open recording: a folder with metadata.yaml and MCAP files, or one MCAP file. Use it in a `with` block.

    begin, end: first and last receipt [s since the epoch], both 0 where it is empty. about: what the recorder wrote into the metadata. problem: what is missing
    of a damaged recording, "" where it is whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.problem = Path(path), ""
        self._stack = ExitStack()
        if not self.path.exists():
            raise BagError(f"{path}: there is no such recording")
        try:
            self._reader = self._open()
        except (ReaderError, OSError, KeyError, ValueError, AssertionError, TypeError) as error:
            self._stack.close()
            raise BagError(f"{path}: is no recording that can be read: {error}") from error
        # A type is what it was when this was recorded, whatever this program knows by the same name.
        self._store = get_typestore(Stores.EMPTY)
        self._decoders: dict[str, Callable[[bytes], Any]] = {}

    def _open(self) -> Reader:
        is_open = self.path.is_dir() and not (self.path / METADATA).exists()
        reader = Reader(self._mended() if is_open else self.path)
        self._stack.enter_context(reader)
        return reader

    def _mended(self) -> Path:
        """Return a copy that was closed as the recorder would close it; the original stays as it is."""
        if not data_file(self.path).is_file():
            raise ReaderError(f"has neither {METADATA} nor {data_file(self.path).name}")
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ros2_evse_bag_")))
        copy = folder / self.path.name
        copy.mkdir()
        shutil.copyfile(data_file(self.path), data_file(copy))
        count = repair(copy)
        self.problem = f"was not closed, its recorder died: the {count} messages up to its last flush are read"
        return copy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @property
    def about(self) -> Mapping[str, str]:
        """What the recorder wrote into the metadata: station, description, versions."""
        return dict(getattr(getattr(self._reader.storage, "metadata", None), "custom", None) or {})

    @property
    def begin(self) -> float:
        """Time of the first message [s since the epoch]."""
        return self._reader.start_time * NANO if self._reader.message_count else 0.0

    @property
    def end(self) -> float:
        """Time of the last message [s since the epoch]."""
        return self._reader.end_time * NANO if self._reader.message_count else 0.0

    @property
    def contents(self) -> tuple[Content, ...]:
        """The topics, by name."""
        found = (Content(item.topic, item.msgtype, item.msgcount, _offered(item)) for item in self._reader.connections)
        return tuple(sorted(found, key=lambda item: item.topic))

    def definition(self, type_name: str) -> str:
        """Return the definition of a type as it was when this was recorded."""
        return next(item.msgdef.data for item in self._reader.connections if item.msgtype == type_name)

    def layouts(self) -> Mapping[str, Mapping[str, tuple[str, str]]]:
        """Return the fields of this project's types as they were when this was recorded: name to (kind, type), kind being BASE, NAME, ARRAY or SEQUENCE."""
        for item in self._reader.connections:
            self._decoder(item)
        defined = {name: rows for name, (_, rows) in self._store.fielddefs.items() if name.startswith(PACKAGE)}
        return {name: {field: _kind(node) for field, node in rows} for name, rows in defined.items()}

    def items(self, topics: Collection[str] | None = None, begin: float = 0.0) -> Iterator[Item]:
        """Yield the messages of some topics (None: all) received from a time [s since the epoch] on, by time of receipt. BagError where the file is damaged."""
        wanted = [item for item in self._reader.connections if topics is None or item.topic in topics]
        if not wanted:
            return
        decoders = {item.id: self._decoder(item) for item in wanted}
        try:
            for connection, received, data in self._reader.messages(wanted, start=round(begin / NANO) if begin else None):
                yield Item(connection.topic, received, bytes(data), decoders[connection.id])
        except (ReaderError, OSError, ValueError, EOFError, ArithmeticError) as error:
            raise BagError(f"{self.path}: is damaged: {error}") from error

    def _decoder(self, connection: Connection) -> Callable[[bytes], Any]:
        name = connection.msgtype
        if name not in self._decoders:
            self._decoders[name] = self._made(name, connection.msgdef.data)
        return self._decoders[name]

    def _made(self, name: str, text: str) -> Callable[[bytes], Any]:
        """Return what turns the bytes of a type into a value, by the definition in the file."""
        if text:
            known = self._store.fielddefs
            self._store.register({key: value for key, value in get_types_from_msg(text, name).items() if key not in known})
        kind = getattr(types, name.removeprefix(PACKAGE), None) if name.startswith(PACKAGE) else None
        convert = _plan(kind) if kind is not None else None

        def decode(data: bytes) -> Any:
            try:
                message = self._store.deserialize_cdr(data, name)
            except Exception as error:  # bytes of a damaged file can be wrong in any way
                raise BagError(f"{self.path}: a {name} cannot be decoded: {error!r}") from error
            return convert(message) if convert is not None else message

        return decode


def _kind(node: Any) -> tuple[str, str]:
    """Return the kind of a field and the type in it, from rosbags' description: (kind, name), (BASE, (name, bound)) or (ARRAY | SEQUENCE, (node, length))."""
    kind, inner = node
    if kind.name in {"ARRAY", "SEQUENCE"}:
        return kind.name, _kind(inner[0])[1]
    return kind.name, inner if kind.name == "NAME" else inner[0]


def _offered(connection: Connection) -> tuple[Qos, ...]:
    return tuple(getattr(connection.ext, "offered_qos_profiles", ()))


def _plan(kind: type[Any]) -> Callable[[Any], Any]:
    """Return what turns rosbags' object into an instance of kind; fields that the recording does not have keep their default."""
    hints = get_type_hints(kind)
    rows = tuple((item.name, _convert(hints[item.name])) for item in fields(kind))
    known: list[tuple[str, Callable[[Any], Any] | None]] = []

    def convert(message: Any) -> Any:
        if not known:
            known.extend(row for row in rows if hasattr(message, row[0]))
        return kind(**{name: getattr(message, name) if change is None else change(getattr(message, name)) for name, change in known})

    return convert


def _convert(hint: Any) -> Callable[[Any], Any] | None:
    """Return what a field needs, None where it is taken as it is: rosbags has plain numbers and texts, times as objects, arrays by numpy."""
    if hint is float:
        return _number
    if hint is bytes:
        return bytes
    if get_origin(hint) is tuple:
        return _sequence(get_args(hint)[0])
    if is_dataclass(hint):
        return _plan(hint) if isinstance(hint, type) else None
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        members = {member.value: member for member in hint}
        unknown = hint(0)
        return lambda number: members.get(number, unknown)
    return None


def _number(value: Any) -> float:
    """Return a float, or a Time in seconds."""
    return value if type(value) is float else value.sec + value.nanosec * NANO


def _sequence(inner: Any) -> Callable[[Any], Any]:
    if is_dataclass(inner) and isinstance(inner, type):
        convert = _plan(inner)
        return lambda values: tuple(convert(value) for value in values)
    return lambda values: tuple(values.tolist() if hasattr(values, "tolist") else values)
