"""Close a recording whose recorder was killed: every complete chunk of its file goes into a bag with index and metadata.yaml."""

import shutil
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer
from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

from evse_tools.recorder_bag import digest_of, open_writer
from evse_tools.recorder_files import METADATA, data_file

# Opcodes of MCAP records (specification of MCAP 1.0, "Records").
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
MAGIC = b"\x89MCAP0\r\n"
# Folder beside the recordings in which the repaired copy grows.
WORK = ".repair"


class _Copy:
    """Schemas and channels of the broken file, and the bag that takes its messages."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.schemas: dict[int, tuple[str, str]] = {}
        self.connections: dict[int, Connection] = {}
        self.messages = 0

    def take(self, opcode: int, body: bytes) -> None:
        """Copy one record of a chunk."""
        reader = BytesIO(body)
        if opcode == SCHEMA:
            number, name, _, text = _u16(reader), _text(reader), _text(reader), _text(reader)
            self.schemas[number] = (name, text)
        elif opcode == CHANNEL:
            self._channel(reader)
        elif opcode == MESSAGE:
            channel, _, stamp, _ = struct.unpack("<HIQQ", reader.read(22))
            self.writer.write(self.connections[channel], stamp, reader.read())
            self.messages += 1

    def _channel(self, reader: BinaryIO) -> None:
        number, (type_name, text) = _u16(reader), self.schemas[_u16(reader)]
        topic, encoding, about = _text(reader), _text(reader), dict(_pairs(_sized(reader)))
        self.connections[number] = self.writer.add_connection(
            topic,
            type_name,
            msgdef=text,
            rihs01=digest_of(type_name, text),
            serialization_format=encoding,
            offered_qos_profiles=parse_qos(about.get("offered_qos_profiles", "")),
        )


def repair(path: Path) -> int:
    """Close the recording in folder `path`; returns the number of messages in it. A file without a complete chunk becomes an empty bag."""
    copy_path = path.parent / WORK / path.name
    shutil.rmtree(copy_path, ignore_errors=True)
    writer = open_writer(copy_path, {"repaired": "the recorder died; complete up to its last flush"})
    try:
        copy = _Copy(writer)
        with data_file(path).open("rb") as file:
            for opcode, body in _all_records(file):
                copy.take(opcode, body)
        writer.close()
    except BaseException:
        writer.abort()
        shutil.rmtree(copy_path, ignore_errors=True)
        raise
    # metadata.yaml goes last: until then the folder counts as unfinished and is repaired again.
    data_file(copy_path).replace(data_file(path))
    (copy_path / METADATA).replace(path / METADATA)
    shutil.rmtree(copy_path, ignore_errors=True)
    return copy.messages


def _all_records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the records inside the complete chunks of a file."""
    if file.read(len(MAGIC)) != MAGIC:
        return
    for opcode, body in _records(file):
        if opcode == CHUNK:
            yield from _records(BytesIO(_unpacked(body)))
        elif opcode == DATA_END:
            return


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (opcode, body) up to the first record that is cut off."""
    while len(head := file.read(9)) == 9:
        opcode, size = struct.unpack("<BQ", head)
        body = file.read(size)
        if len(body) != size:
            return
        yield opcode, body


def _unpacked(body: bytes) -> bytes:
    """Return the records of a chunk as one string of bytes."""
    reader = BytesIO(body)
    _, _, size, _ = struct.unpack("<QQQI", reader.read(28))
    compression = _text(reader)
    reader.seek(8, 1)
    return DECOMPRESSORS[compression](reader.read(), size)


def _u16(reader: BinaryIO) -> int:
    return int.from_bytes(reader.read(2), "little")


def _sized(reader: BinaryIO) -> bytes:
    return reader.read(int.from_bytes(reader.read(4), "little"))


def _text(reader: BinaryIO) -> str:
    return _sized(reader).decode()


def _pairs(data: bytes) -> Iterator[tuple[str, str]]:
    reader = BytesIO(data)
    while reader.tell() < len(data):
        yield _text(reader), _text(reader)
