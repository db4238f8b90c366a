"""One rosbag2 folder with MCAP storage, written so that a killed writer loses at most what came since the last flush.

MCAP keeps messages in chunks. rosbags closes a chunk at 1 MiB; `flush` closes it earlier and hands it to the kernel, so a SIGKILL loses one flush period.
A folder without metadata.yaml was not closed: recorder_repair.py closes it from its complete chunks.
"""

import fcntl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from ament_index_python.packages import get_package_share_directory
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evse_tools.recorder_channels import Channel, offered_qos

# rosbag2 as of ROS 2 Jazzy writes metadata of version 9.
METADATA_VERSION: Final = 9
SEPARATOR = "=" * 80


class Bag:
    """A bag that is being written: a folder, its .mcap file and, once closed, its metadata.yaml."""

    def __init__(self, path: Path, channels: Sequence[Channel], about: Mapping[str, str]) -> None:
        self.path = path
        self.bytes = 0
        self._writer = open_writer(path, about)
        self._connections = [_connect(self._writer, channel) for channel in channels]

    def write(self, channel: int, stamp: int, data: bytes) -> None:
        """Add one serialized message, received at stamp [ns since the epoch]."""
        self._writer.write(self._connections[channel], stamp, data)

    def flush(self) -> None:
        """Hand everything to the kernel and learn the size of the file. OSError where the disk is full."""
        storage = _storage(self._writer)
        if storage.chunk.msgs:
            storage.close_chunk()
        storage.bio.flush()
        self.bytes = storage.bio.tell()

    def close(self, about: Mapping[str, str]) -> None:
        """Write index and metadata.yaml, with `about` as its custom data."""
        for key, value in about.items():
            self._writer.set_custom_data(key, value)
        self._writer.close()

    def abort(self) -> None:
        """Close without index and metadata.yaml, where the disk takes no more."""
        with suppress(OSError):  # closing flushes once more, and fails once more; the file is closed all the same
            self._writer.abort()


def open_writer(path: Path, about: Mapping[str, str]) -> Writer:
    """Open a bag at path for writing, and lock its file: a lock that is gone tells others that the writer is dead."""
    writer = Writer(path, version=METADATA_VERSION, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    for key, value in about.items():
        writer.set_custom_data(key, value)
    writer.open()
    fcntl.flock(_storage(writer).bio, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return writer


def _storage(writer: Writer) -> McapWriter:
    if not isinstance(writer.storage, McapWriter):
        raise TypeError(f"{writer.path} is not open as MCAP")
    return writer.storage


def _connect(writer: Writer, channel: Channel) -> Connection:
    text, digest = definition(channel.type_name)
    return writer.add_connection(
        channel.topic, channel.type_name, msgdef=text, rihs01=digest, offered_qos_profiles=[offered_qos(channel.offered)]
    )


@cache
def definition(type_name: str) -> tuple[str, str]:
    """Return the definition of a type with all that it needs, as rosbag2 stores it with comments and units, and its REP-2016 hash."""
    texts: dict[str, str] = {}
    _gather(type_name, texts)
    parts = [texts.pop(type_name), *(f"{SEPARATOR}\nMSG: {name.replace('/msg/', '/')}\n{text}" for name, text in texts.items())]
    text = "\n".join(parts)
    return text, digest_of(type_name, text)


def digest_of(type_name: str, text: str) -> str:
    """Return the REP-2016 hash of a type with this complete definition."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, type_name))
    return str(store.hash_rihs01(type_name))


def _gather(type_name: str, texts: dict[str, str]) -> None:
    """Add the text of a type and of the types inside it."""
    if type_name in texts:
        return
    package, _, name = type_name.split("/")
    texts[type_name] = (Path(get_package_share_directory(package)) / "msg" / f"{name}.msg").read_text(encoding="utf-8")
    for inner in _inner_types(type_name, texts[type_name]):
        _gather(inner, texts)


def _inner_types(type_name: str, text: str) -> list[str]:
    """Return the message types that the fields of a type have."""
    nodes: Any = get_types_from_msg(text, type_name)[type_name][1]
    return [found for _, node in nodes for found in _names(node)]


def _names(node: Any) -> list[str]:
    """Return the type names in a field's description by rosbags: (NAME, type) or (ARRAY | SEQUENCE, (description, length))."""
    kind, value = node
    if kind.name == "NAME":
        return [value]
    return _names(value[0]) if kind.name in {"ARRAY", "SEQUENCE"} else []
