"""Record sessions of the corpus anew: `./station exec python tests/bags/renew.py [NAME ...]` lets `./station demo` charge, and keeps what verify needs."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rosbags.rosbag2.metadata import parse_qos

from evse_tools.bag_reader import BagReader
from evse_tools.mcap_records import McapFile
from evse_tools.recorder_bag import digest_of, open_writer

HERE = Path(__file__).resolve().parent
# Arguments of the demo by the name of the recording.
SESSIONS = {
    "chademo": ("--seconds", "6"),
    "secc": ("--link", "secc", "--seconds", "6"),
    "pilot": ("--link", "pilot", "--seconds", "8"),
    "emergency_stop": ("--fault", "emergency_stop"),
    "insulation_low": ("--fault", "insulation_low"),
    "vehicle_silent": ("--fault", "vehicle_silent"),
}
# What no rule reads and no chart shows.
LEFT_OUT = ("/can_frames", "/rosout", "/diagnostics", "/sim/power", "/sim/station_lines", "/sim/vehicle_lines")
# Kept before and after the session: a snapshot comes every 5 s. [s]
BEFORE, AFTER = 7.0, 1.5


def renew(name: str) -> None:
    """Replace one recording."""
    with tempfile.TemporaryDirectory() as folder:
        command = [HERE.parents[1] / "station", "demo", *SESSIONS[name], "--json", f"{folder}/demo.json", "--output", folder]
        subprocess.run(command, check=True, stdout=sys.stderr)
        recording = Path(json.loads(Path(folder, "demo.json").read_text())["recording"])
        shutil.rmtree(HERE / name, ignore_errors=True)
        copy(recording, HERE / name)


def copy(source: Path, target: Path) -> None:
    """Copy a recording without what is left out, in chunks that compress better than those of a running recorder."""
    file, connections = McapFile(), {}
    begin, end = extent(source)
    writer = open_writer(target, {})
    with (source / f"{source.name}.mcap").open("rb") as data:
        for number, stamp, message in file.messages(data):
            channel = file.channels[number]
            latched = "transient_local" in channel.about.get("offered_qos_profiles", "")
            if channel.topic.endswith(LEFT_OUT) or stamp > end or (stamp < begin and not latched):
                continue
            if number not in connections:
                connections[number] = writer.add_connection(
                    channel.topic,
                    channel.type_name,
                    msgdef=bare(channel.definition),
                    rihs01=digest_of(channel.type_name, channel.definition),
                    offered_qos_profiles=parse_qos(channel.about.get("offered_qos_profiles", "")),
                )
            writer.write(connections[number], stamp, message)
    writer.close()


def extent(source: Path) -> tuple[int, int]:
    """Return the time of receipt [ns] from which on and to which messages are kept."""
    active = [item.received for item in BagReader(source).items({"/evse_1/session_state"}) if item.value.session_active]
    return round(active[0] - BEFORE * 1e9), round(active[-1] + AFTER * 1e9)


def bare(definition: str) -> str:
    """Return a definition without its comments, which are half of a small recording; the type's hash is the same."""
    return "\n".join(text for line in definition.splitlines() if (text := line.partition("#")[0].rstrip()))


if __name__ == "__main__":
    for chosen in sys.argv[1:] or SESSIONS:
        renew(chosen)
