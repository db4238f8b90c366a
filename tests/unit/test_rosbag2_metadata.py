"""metadata.yaml is what rosbag2's own parser takes: each key that it reads, with a type that its conversion takes.

The table follows rosbag2 of ROS 2 Jazzy, rosbag2_storage/include/rosbag2_storage/yaml.hpp and src/rosbag2_storage/qos.cpp (version 0.26), where decode() asks
for each of these without a default: a key that is missing, or a value of another kind, ends `ros2 bag info` with an exception.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")

from evse_tools.bag_reader import BagReader
from evse_tools.recorder_about import CHANNELS, messages
from evse_tools.recorder_bag import Bag
from evse_tools.recorder_channels import channels
from evse_tools.recorder_topics import ABOUT, DESCRIPTION

CORPUS = Path(__file__).resolve().parents[1] / "bags"
BAGS = sorted(path for path in CORPUS.iterdir() if (path / "metadata.yaml").exists())
UNSIGNED = (0, 2**64 - 1)
# Words of the policies: rmw/src/qos_string_conversions.c; whatever else it does not know becomes UNKNOWN, with which no publisher can be made.
POLICIES = {
    "history": {"system_default", "keep_last", "keep_all"},
    "reliability": {"system_default", "reliable", "best_effort", "best_available"},
    "durability": {"system_default", "transient_local", "volatile", "best_available"},
    "liveliness": {"system_default", "automatic", "manual_by_topic", "best_available"},
}
DURATIONS = ("deadline", "lifespan", "liveliness_lease_duration")


def whole(value: Any, bounds: tuple[int, int] = UNSIGNED) -> bool:
    return type(value) is int and bounds[0] <= value <= bounds[1]


def problems(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what convert<BagMetadata>::decode would refuse."""
    about = data["rosbag2_bagfile_information"]
    yield from (
        name for name in ("storage_identifier", "compression_format", "compression_mode", "ros_distro") if type(about[name]) is not str
    )
    yield from (name for name in ("version", "message_count") if not whole(about[name]))
    yield from _times(about, "")
    yield from ("relative_file_paths" for path in about["relative_file_paths"] if type(path) is not str)
    for number, file in enumerate(about["files"]):
        yield from _times(file, f"files[{number}].")
        if type(file["path"]) is not str or not whole(file["message_count"]):
            yield f"files[{number}]"
    for key, value in (about["custom_data"] or {}).items():
        if type(key) is not str or type(value) is not str:
            yield f"custom_data.{key}"
    for row in about["topics_with_message_count"]:
        yield from _topic(row)


def _times(about: Mapping[str, Any], path: str) -> Iterator[str]:
    if not whole(about["duration"]["nanoseconds"]):
        yield f"{path}duration"
    if not whole(about["starting_time"]["nanoseconds_since_epoch"]):
        yield f"{path}starting_time"


def _topic(row: Mapping[str, Any]) -> Iterator[str]:
    topic = row["topic_metadata"]
    yield from (
        f"{topic['name']}.{name}"
        for name in ("name", "type", "serialization_format", "type_description_hash")
        if type(topic[name]) is not str
    )
    if not whole(row["message_count"]):
        yield f"{topic['name']}.message_count"
    for profile in topic["offered_qos_profiles"]:
        yield from (f"{topic['name']}.{name}" for name, known in POLICIES.items() if profile[name] not in known)
        yield from (f"{topic['name']}.{name}" for name in DURATIONS if not (whole(profile[name]["sec"]) and whole(profile[name]["nsec"])))
        if not whole(profile["depth"], (0, 2**31 - 1)) or type(profile["avoid_ros_namespace_conventions"]) is not bool:
            yield f"{topic['name']}: depth or avoid_ros_namespace_conventions"


def read(path: Path) -> Any:
    return yaml.load((path / "metadata.yaml").read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with every topic of a station, closed as the recorder closes it."""
    path = tmp_path_factory.mktemp("recording") / "bag"
    rows = (*channels([1, 2]), *CHANNELS)
    bag = Bag(path, rows, MappingProxyType({"station": "a", "evses": "1 2"}))
    for topic, data in messages({DESCRIPTION: "station: a", ABOUT: "{}"}).items():
        bag.write([row.topic for row in rows].index(topic), 1_700_000_000_000_000_000, data)
    bag.close({"dropped": "0"})
    return path


def test_the_recorders_metadata_is_what_rosbag2_parses(recorded: Path) -> None:
    data = read(recorded)
    assert not list(problems(data))
    about = data["rosbag2_bagfile_information"]
    assert (about["version"], about["storage_identifier"], about["relative_file_paths"]) == (9, "mcap", ["bag.mcap"])
    # Compression is MCAP's own affair: to rosbag2 this is an ordinary file.
    assert (about["compression_format"], about["compression_mode"]) == ("", "")
    assert about["custom_data"] == {"station": "a", "evses": "1 2", "dropped": "0"}
    assert len(about["topics_with_message_count"]) == len(channels([1, 2])) + len(CHANNELS)


def test_no_limit_is_rmws_infinite_duration(recorded: Path) -> None:
    profiles = [
        row["topic_metadata"]["offered_qos_profiles"][0]
        for row in read(recorded)["rosbag2_bagfile_information"]["topics_with_message_count"]
    ]
    # RMW_DURATION_INFINITE, rmw/include/rmw/time.h.
    assert {"sec": 9223372036, "nsec": 854775807} in [profile["lifespan"] for profile in profiles]
    assert all(profile[name]["sec"] < 60 or profile[name]["sec"] == 9223372036 for profile in profiles for name in DURATIONS)


@pytest.mark.parametrize("path", BAGS, ids=lambda path: path.name)
def test_the_corpus_is_what_rosbag2_parses(path: Path) -> None:
    assert not list(problems(read(path)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about.update(ros_distro=None), "ros_distro"),
        (lambda about: about["duration"].update(nanoseconds=-1), "duration"),
        (
            lambda about: about["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"][0].update(history="some"),
            ".history",
        ),
        (lambda about: about["custom_data"].update(dropped=0), "custom_data.dropped"),
    ],
)
def test_what_rosbag2_does_not_parse_is_found(recorded: Path, change: Any, said: str) -> None:
    data = read(recorded)
    change(data["rosbag2_bagfile_information"])
    assert said in "".join(problems(data))


def test_what_the_file_says_of_a_topic_is_what_the_metadata_say(recorded: Path) -> None:
    with BagReader(recorded) as bag:
        assert [content.topic for content in bag.contents if content.count] == [ABOUT, DESCRIPTION]
        assert all(len(content.offered()) == 1 for content in bag.contents)
