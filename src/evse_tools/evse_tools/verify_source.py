"""What a recording has for verify: the traces of the nodes that decide, and every message by its topic and stamp."""

import struct
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evse_core.types import DecisionTrace
from evse_tools.bag_codec import TIME, Slot
from evse_tools.bag_reader import NANO, PACKAGE, BagError, BagReader, Item
from evse_tools.description import Description, DescriptionError, load
from evse_tools.recorder_about import DESCRIPTION

TRACE, FRAMES = "evse_msgs/msg/DecisionTrace", "evse_msgs/msg/CanFrames"
# A stamp that is the first field of a message comes right after the 4 bytes that say how it is encoded: seconds and nanoseconds (DDS-XTypes 1.3, 7.6.3).
STAMP, ENCAPSULATION = struct.Struct("<iI"), 4
FIRST = Slot("stamp", TIME)


@dataclass(frozen=True, slots=True)
class Source:
    """One recording in the memory.

    messages: by topic and stamp [s], several where they have the same; traces: by full name and start of a node, in order; layouts: by type.
    """

    begin: float
    end: float
    problem: str
    description: Description
    messages: Mapping[str, Mapping[float, Sequence[Item]]]
    types: Mapping[str, str]
    layouts: Mapping[str, Sequence[Slot]]
    traces: Mapping[tuple[str, float], Sequence[DecisionTrace]]

    def find(self, topic: str, stamp: float) -> Item | None:
        """Return the message of a topic with a stamp, None where it was not recorded."""
        found = self.messages.get(topic, {}).get(stamp)
        return found[0] if found else None


def read(bag: BagReader, description: Path | None = None) -> Source:
    """Read everything that verify needs; BagError says what is missing. description: a file to take instead of the one in the recording."""
    types = {item.topic: item.type_name for item in bag.contents if item.type_name.startswith(PACKAGE)}
    traces: dict[tuple[str, float], list[DecisionTrace]] = defaultdict(list)
    messages: dict[str, dict[float, list[Item]]] = defaultdict(lambda: defaultdict(list))
    said = ""
    # No rule reads CAN frames, nor what simulators tell each other.
    wanted = {topic for topic, name in types.items() if name != FRAMES and "/sim/" not in topic}
    for item in bag.items(wanted | {DESCRIPTION}):
        if item.topic == DESCRIPTION:
            said = item.value.data
        elif item.type_name == TRACE:
            traces[item.value.node, item.value.started].append(item.value)
        else:
            messages[item.topic][_stamp(item, bag)].append(item)
    if not traces:
        raise BagError(f"{bag.path}: has no {TRACE}: it was recorded by a build before decisions were traced, or without them")
    ordered = {key: sorted(found, key=lambda trace: trace.number) for key, found in sorted(traces.items())}
    station = _described(bag, said, description)
    return Source(bag.begin, bag.end, bag.problem, station, messages, types, bag.layouts(), ordered)


def _stamp(item: Item, bag: BagReader) -> float:
    """Return the stamp of a message [s], without the rest of it where it comes first."""
    if bag.begins_with(item.type_name) != FIRST:
        return float(item.value.stamp)
    seconds, nanoseconds = STAMP.unpack_from(item.data, ENCAPSULATION)
    return float(seconds + nanoseconds * NANO)


def _described(bag: BagReader, said: str, instead: Path | None) -> Description:
    """Return the station's description: a file of its own for the validation, because its digest is that of a file."""
    if instead is not None:
        return load(instead)
    if not said:
        raise BagError(f"{bag.path}: has no {DESCRIPTION}; give the station's file with --description")
    with tempfile.TemporaryDirectory(prefix="ros2_evse_verify_") as folder:
        path = Path(folder) / "station.yaml"
        path.write_text(said, encoding="utf-8")
        try:
            return load(path)
        except DescriptionError as error:
            raise BagError(f"{bag.path}: its description is none of this build: {error}") from error
