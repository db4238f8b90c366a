"""Messages of a recording as values of evse_core.types, with the time at which they were received.

The definitions inside the file say how its bytes are laid out, so an old recording stays readable after a message gained a field (it has the dataclass's
default) or lost one (it is not looked at). A recording whose recorder died is read up to its last complete chunk; `problem` says so.
"""

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evse_core import types
from evse_tools.bag_codec import Decoder, Slot, decoder, parse
from evse_tools.mcap_records import McapChannel, McapFile
from evse_tools.recorder_files import METADATA

PACKAGE = "evse_msgs/msg/"
NANO = 1e-9


class BagError(ValueError):
    """A recording cannot be read; the text names the path and says why."""


@dataclass(frozen=True, slots=True)
class Text:
    """A std_msgs/String."""

    data: str = ""


@dataclass(frozen=True)
class Item:
    """One message of a recording: absolute topic, type, time of receipt [ns since the epoch], bytes as received, definition then."""

    topic: str
    type_name: str
    received: int
    data: bytes
    definition: str
    _decode: Decoder

    @property
    def time(self) -> float:
        """Time of receipt [s since the epoch]."""
        return self.received / 1e9

    @cached_property
    def value(self) -> Any:
        """The message: a dataclass of evse_core.types, or for types of other packages what rosbags makes of it. BagError where the bytes are damaged."""
        return self._decode(self.data)


@dataclass(frozen=True, slots=True)
class Content:
    """A topic of a recording: type as ROS names it, number of messages, quality of service as it was written."""

    topic: str
    type_name: str
    count: int
    profiles: Any = ()

    def offered(self) -> list[Qos]:
        """Return the quality of service as offered by each writer."""
        return parse_qos(self.profiles)


class BagReader:
    """A recording: a folder with MCAP files, or one MCAP file. `problem` says, after its messages were read, what is missing of it, "" where it is whole."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.problem = Path(path), ""
        if not self.path.exists():
            raise BagError(f"{path}: there is no such recording")
        self._files = sorted(self.path.glob("*.mcap")) if self.path.is_dir() else [self.path]
        if not self._files:
            raise BagError(f"{path}: is no recording: no file in it ends with .mcap")
        self._definitions: dict[str, Mapping[str, tuple[Slot, ...]]] = {}
        self._decoders: dict[str, Decoder] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing stays open between two calls."""

    @cached_property
    def _metadata(self) -> Mapping[str, Any]:
        """Return what metadata.yaml says, nothing where there is none."""
        path = self.path / METADATA if self.path.is_dir() else self.path.with_name(METADATA)
        try:
            # libyaml, where it is there, takes 5 ms for what takes Python 50.
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            found = yaml.load(path.read_text(encoding="utf-8"), loader)["rosbag2_bagfile_information"]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def about(self) -> Mapping[str, str]:
        """What the recorder wrote into the metadata; more is in the messages of recorder_about.py."""
        return dict(self._metadata.get("custom_data") or {})

    @cached_property
    def _extent(self) -> tuple[Mapping[str, Content], int, int]:
        """Return the topics, and the first and last receipt [ns]: by the metadata, or where there is none by reading everything."""
        if self._metadata:
            rows = [(row["topic_metadata"], row["message_count"]) for row in self._metadata["topics_with_message_count"]]
            found = {row["name"]: Content(row["name"], row["type"], number, row.get("offered_qos_profiles", [])) for row, number in rows}
            first = self._metadata["starting_time"]["nanoseconds_since_epoch"]
            return found, first, first + self._metadata["duration"]["nanoseconds"]
        return self._counted()

    def _counted(self) -> tuple[Mapping[str, Content], int, int]:
        counts: dict[str, int] = {}
        channels: dict[str, McapChannel] = {}
        first, last = 0, 0
        for channel, received, _ in self._raw():
            channels[channel.topic] = channel
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            first, last = min(first or received, received), max(last, received)
        profiles = {topic: channel.about.get("offered_qos_profiles", "") for topic, channel in channels.items()}
        return {topic: Content(topic, item.type_name, counts[topic], profiles[topic]) for topic, item in channels.items()}, first, last

    @property
    def begin(self) -> float:
        """Time of the first message [s since the epoch]; 0 where it is empty."""
        return self._extent[1] / 1e9 if any(item.count for item in self._extent[0].values()) else 0.0

    @property
    def end(self) -> float:
        """Time of the last message [s since the epoch]; 0 where it is empty."""
        return self._extent[2] / 1e9 if self.begin else 0.0

    @property
    def contents(self) -> tuple[Content, ...]:
        """The topics, by name."""
        return tuple(item for _, item in sorted(self._extent[0].items()))

    def begins_with(self, type_name: str) -> Slot:
        """Return the first field of a type of this project that `items` has yielded."""
        return self._definitions[type_name][type_name][0]

    def layouts(self) -> Mapping[str, tuple[Slot, ...]]:
        """Return the fields of this project's types as they were when this was recorded, for all types of the messages that `items` has yielded."""
        return {name: slots for found in self._definitions.values() for name, slots in found.items()}

    def _raw(self) -> Iterator[tuple[McapChannel, int, bytes]]:
        for path in self._files:
            source = McapFile()
            try:
                with path.open("rb") as file:
                    for number, received, data in source.messages(file):
                        yield source.channels[number], received, data
            except (OSError, ValueError, KeyError, struct.error, EOFError) as error:
                raise BagError(f"{path}: is damaged: {error}") from error
            if not source.is_whole:
                self.problem = f"{path.name} has no end: its recorder died, or it is cut off; what was flushed before is read"

    def items(self, topics: Collection[str] | None = None, begin: float = 0.0) -> Iterator[Item]:
        """Yield the messages of some topics (None: all) received from a time [s since the epoch] on, by time. BagError where the file is damaged."""
        first = round(begin * 1e9)
        for channel, received, data in self._raw():
            if received >= first and (topics is None or channel.topic in topics):
                decode = self._decoders.get(channel.type_name) or self._decoder(channel)
                yield Item(channel.topic, channel.type_name, received, data, channel.definition, decode)

    def _decoder(self, channel: McapChannel) -> Decoder:
        """Return what turns the bytes of a type into a value, by the definition in the file."""
        name = channel.type_name
        kind = (
            getattr(types, name.removeprefix(PACKAGE), None)
            if name.startswith(PACKAGE)
            else Text
            if name == "std_msgs/msg/String"
            else None
        )
        made: Callable[[], Decoder] = (lambda: self._ours(channel, kind)) if kind is not None else (lambda: _foreign(channel))
        inner: list[Decoder] = []

        def decode(data: bytes) -> Any:
            try:
                if not inner:
                    inner.append(made())
                return inner[0](data)
            except Exception as error:  # bytes and definitions of a damaged file can be wrong in any way
                raise BagError(f"{self.path}: a {name} cannot be decoded: {error!r}") from error

        if name.startswith(PACKAGE):
            self._definitions[name] = parse(name, channel.definition)
        self._decoders[name] = decode
        return decode

    def _ours(self, channel: McapChannel, kind: type[Any]) -> Decoder:
        definitions = self._definitions.get(channel.type_name) or parse(channel.type_name, channel.definition)
        return decoder(channel.type_name, definitions, kind)


def _foreign(channel: McapChannel) -> Decoder:
    """Return rosbags' way, for types of other packages."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(channel.definition, channel.type_name))
    return lambda data: store.deserialize_cdr(data, channel.type_name)
