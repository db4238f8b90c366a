"""What verify needs of a recording besides the traces: its messages by topic and stamp while somebody may have taken them, and the parameters of its nodes."""

import json
import struct
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evse_tools.bag_codec import TIME, Slot
from evse_tools.bag_reader import NANO, BagError, BagReader, Item
from evse_tools.recorder_topics import ABOUT, DESCRIPTION

# A stamp that is the first field of a message comes right after the 4 bytes that say how it is encoded: seconds and nanoseconds (DDS-XTypes 1.3, 7.6.3).
STAMP, ENCAPSULATION = struct.Struct("<iI"), 4
FIRST = Slot("stamp", TIME)
# A message may be taken as late as a node was held up, and one of a late-joiner topic at any time: those of the last two minutes are kept, and the newest of
# each topic, more than any writer of the graph repeats for who comes late (evse_nodes/qos.py). [ns], [1]
HELD, NEWEST = 120_000_000_000, 100

Parameters = Mapping[str, Mapping[str, Any]]


class Window:
    """The messages of a recording around a moment, by topic and stamp [s]; several where they have the same."""

    def __init__(self) -> None:
        self._messages: dict[str, dict[float, list[Item]]] = {}
        self._order: dict[str, deque[tuple[int, float]]] = {}

    def add(self, item: Item, stamp: float) -> None:
        """Take a message with its stamp, and forget what nobody can take any more."""
        messages, order = self._messages.setdefault(item.topic, {}), self._order.setdefault(item.topic, deque())
        messages.setdefault(stamp, []).append(item)
        order.append((item.received, stamp))
        while len(order) > NEWEST and order[0][0] < item.received - HELD:
            _, oldest = order.popleft()
            del messages[oldest][0]
            if not messages[oldest]:
                del messages[oldest]

    def at(self, topic: str, stamp: float) -> Sequence[Item]:
        """Return the messages of a topic with a stamp; none where it was not recorded."""
        return self._messages.get(topic, {}).get(stamp, ())

    def topics_at(self, stamp: float) -> Iterator[str]:
        """Yield the topics that have a message with a stamp."""
        return (topic for topic, messages in self._messages.items() if stamp in messages)

    def __len__(self) -> int:
        return sum(map(len, self._order.values()))


def stamp_of(item: Item, bag: BagReader) -> float:
    """Return the stamp of a message [s], without the rest of it where it comes first."""
    if bag.begins_with(item.type_name) != FIRST:
        return float(item.value.stamp)
    seconds, nanoseconds = STAMP.unpack_from(item.data, ENCAPSULATION)
    return float(seconds + nanoseconds * NANO)


def parameters(bag: BagReader, description: Path | None = None) -> Parameters:
    """Return the parameters of the nodes that decide by full name: as they were recorded, or as a description says (today's names and defaults)."""
    if description is not None:
        return _described(description)
    said: dict[str, str] = {}
    for item in bag.items({DESCRIPTION, ABOUT}):
        said[item.topic] = item.value.data
        if rules := json.loads(said.get(ABOUT, "{}")).get("rules"):
            return dict(rules)
        if said.keys() == {DESCRIPTION, ABOUT}:
            break
    if DESCRIPTION not in said:
        raise BagError(f"{bag.path}: has no {DESCRIPTION}; give the station's file with --description")
    # A file of its own, because its digest is that of a file.
    with tempfile.TemporaryDirectory(prefix="ros2_evse_verify_") as folder:
        path = Path(folder) / "station.yaml"
        path.write_text(said[DESCRIPTION], encoding="utf-8")
        return _described(path, f"{bag.path}: its description is none of this build: ")


def _described(path: Path, whose: str = "") -> Parameters:
    """Return what a description says; BagError where it is none."""
    from evse_tools.description import DescriptionError, load  # noqa: PLC0415 - its models take longer to make than most recordings to verify
    from evse_tools.node_specs import decided_with, node_specs  # noqa: PLC0415

    try:
        return decided_with(node_specs(load(path)))
    except DescriptionError as error:
        raise BagError(f"{whose}{error}") from error
