"""The records of an MCAP file in their order, from its begin on: also of one whose writer was killed, which has no index at its end.

rosbags wants the index, and reads each channel's quality of service as YAML, half a second for one of our recordings; what is here takes some milliseconds.
"""

import struct
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

# Opcodes of MCAP records (specification of MCAP 1.0, "Records").
HEADER, SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x01, 0x03, 0x04, 0x05, 0x06, 0x0F
MAGIC = b"\x89MCAP0\r\n"
HEAD, FIXED = struct.Struct("<BQ"), struct.Struct("<HIQQ")


@dataclass(frozen=True, slots=True)
class McapChannel:
    """A topic in a file: name, type and its definition, encoding, metadata such as offered_qos_profiles."""

    topic: str
    type_name: str
    definition: str
    encoding: str
    about: dict[str, str]


@dataclass(slots=True)
class McapFile:
    """What has been read of a file: channels by number; `is_whole` once its end has been seen."""

    channels: dict[int, McapChannel] = field(default_factory=dict)
    is_whole: bool = False
    _schemas: dict[int, tuple[str, str]] = field(default_factory=dict)

    def messages(self, file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
        """Yield (channel, time of receipt [ns], bytes) of every complete record, by time within each chunk; ValueError where a chunk is damaged."""
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("is no MCAP file")
        for opcode, body in _records(file):
            if opcode == CHUNK:
                yield from sorted(self._inside(body), key=_time)
            elif opcode == DATA_END:
                self.is_whole = True
                return
            elif (message := self._take(opcode, body)) is not None:
                yield message

    def _inside(self, body: bytes) -> Iterator[tuple[int, int, bytes]]:
        for opcode, inner in _records(BytesIO(_unpacked(body))):
            if (message := self._take(opcode, inner)) is not None:
                yield message

    def _take(self, opcode: int, body: bytes) -> tuple[int, int, bytes] | None:
        if opcode == MESSAGE:
            channel, _, stamp, _ = FIXED.unpack_from(body)
            return channel, stamp, body[FIXED.size :]
        if opcode == SCHEMA:
            reader = BytesIO(body)
            number, name, _, text = _u16(reader), _text(reader), _text(reader), _text(reader)
            self._schemas[number] = (name, text)
        elif opcode == CHANNEL:
            reader = BytesIO(body)
            number, (type_name, text) = _u16(reader), self._schemas.get(_u16(reader), ("", ""))
            self.channels[number] = McapChannel(_text(reader), type_name, text, _text(reader), dict(_pairs(_sized(reader))))
        return None


def _time(message: tuple[int, int, bytes]) -> int:
    return message[1]


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (opcode, body) up to the first record that is cut off."""
    while len(head := file.read(HEAD.size)) == HEAD.size:
        opcode, size = HEAD.unpack(head)
        body = file.read(size)
        if len(body) != size:
            return
        yield opcode, body


def _unpacked(body: bytes) -> bytes:
    """Return the records of a chunk as one string of bytes; ValueError where they are not what was written."""
    reader = BytesIO(body)
    _, _, size, checksum = struct.unpack("<QQQI", reader.read(28))
    compression = _text(reader)
    reader.seek(8, 1)
    if compression not in DECOMPRESSORS:
        raise ValueError(f"a chunk is compressed by {compression!r}, which is not known")
    try:
        found = DECOMPRESSORS[compression](reader.read(), size)
    except Exception as error:  # each library has errors of its own
        raise ValueError(f"a chunk cannot be decompressed: {error}") from error
    if len(found) != size or (checksum and crc32(found) != checksum):
        raise ValueError("a chunk is not what was written: its checksum differs")
    return found


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
