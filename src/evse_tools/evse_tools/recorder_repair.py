"""Close a recording whose recorder was killed: every complete chunk of its file goes into a bag with index and metadata.yaml."""

import shutil
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer
from rosbags.rosbag2.metadata import parse_qos

from evse_tools.mcap_records import McapChannel, McapFile
from evse_tools.recorder_bag import digest_of, open_writer
from evse_tools.recorder_files import METADATA, data_file

# Folder beside the recordings in which the repaired copy grows.
WORK = ".repair"


def repair(path: Path) -> int:
    """Close the recording in folder `path`; returns the number of messages in it. A file without a complete chunk becomes an empty bag."""
    copy_path = path.parent / WORK / path.name
    shutil.rmtree(copy_path, ignore_errors=True)
    writer = open_writer(copy_path, {"repaired": "the recorder died; complete up to its last flush"})
    try:
        count = _copy(data_file(path), writer)
        writer.close()
    except BaseException:
        writer.abort()
        shutil.rmtree(copy_path, ignore_errors=True)
        raise
    # metadata.yaml goes last: until then the folder counts as unfinished and is repaired again.
    data_file(copy_path).replace(data_file(path))
    (copy_path / METADATA).replace(path / METADATA)
    shutil.rmtree(copy_path, ignore_errors=True)
    return count


def _copy(path: Path, writer: Writer) -> int:
    """Write every message of a file; returns how many there were. A file that has not even begun has none."""
    source, connections, count = McapFile(), dict[int, Connection](), 0
    with path.open("rb") as file:
        if not file.read(1):
            return 0
        file.seek(0)
        for number, stamp, data in source.messages(file):
            if number not in connections:
                connections[number] = _connect(writer, source.channels[number])
            writer.write(connections[number], stamp, data)
            count += 1
        for number, channel in source.channels.items():
            if number not in connections:
                _connect(writer, channel)
    return count


def _connect(writer: Writer, channel: McapChannel) -> Connection:
    return writer.add_connection(
        channel.topic,
        channel.type_name,
        msgdef=channel.definition,
        rihs01=digest_of(channel.type_name, channel.definition),
        serialization_format=channel.encoding,
        offered_qos_profiles=parse_qos(channel.about.get("offered_qos_profiles", "")),
    )
