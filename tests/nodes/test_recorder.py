"""The recorder against a publishing process: what is in the bag is what was published, also after a kill, a rotation and a full disk."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from rosbags.rosbag2 import Reader

pytest.importorskip("rclpy")

from domains import own_domain

from evse_tools.bag_reader import BagReader
from evse_tools.recorder_about import CHANNELS
from evse_tools.recorder_bag import definition
from evse_tools.recorder_channels import channels
from evse_tools.recorder_config import RecorderConfig
from evse_tools.recorder_files import base_name, data_file
from evse_tools.recorder_repair import repair
from evse_tools.recorder_thread import RecorderThread

RECORDER = "from evse_tools.recorder_node import main; raise SystemExit(main())"
# Publishes one late-joiner message at once and, when told on standard input, `count` messages; prints each serialized message in hexadecimal digits.
PUBLISHER = """
import sys, time, rclpy
from rclpy.serialization import serialize_message
from evse_core import types
from evse_nodes.convert import to_message
from evse_nodes.topics import TOPICS
rclpy.init()
node = rclpy.create_node("publisher", namespace="/evse_1")
rows = {name: TOPICS[name] for name in ("charge_record", "safety_state", "can_frames", "session_state")}
publishers = {name: node.create_publisher(row.message, name, row.qos) for name, row in rows.items()}
def publish(name, value):
    data = serialize_message(to_message(value, rows[name].message))
    publishers[name].publish(data)
    print("/evse_1/" + name, data.hex(), flush=True)
publish("charge_record", types.ChargeRecord(stamp=1.5, session_id="early", begin_register_wh=16800001.25))
for line in sys.stdin:
    for number in range(int(line)):
        publish("safety_state", types.SafetyState(stamp=number, detail=f"message {number}"))
        publish("can_frames", types.CanFrames(frames=(types.CanFrame(stamp=number, id=number % 2048, data=bytes(range(number % 9))),)))
        if number % 10 == 0:
            publish("session_state", types.SessionState(stamp=number, session_id=f"session {number}"))
        time.sleep(0.002)
    print("done", flush=True)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Yield a function that starts a Python program on this test's own domain; what still runs is killed at the end."""
    environment = os.environ | {"ROS_DOMAIN_ID": str(own_domain())}
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        log = (tmp_path / f"process_{len(started)}.log").open("w")
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=before,  # noqa: PLW1509  (the one use sets a resource limit and nothing else)
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def recorder_arguments(directory: Path, **parameters: object) -> list[str]:
    chosen = {
        "directory": str(directory),
        "station": "test",
        "min_free_megabytes": 0.0,
        "flush_period": 0.2,
        "per_session": False,
    } | parameters
    return ["--ros-args", *(word for name, value in chosen.items() for word in ("-p", f"{name}:={value}"))]


def wait_for(condition: Callable[[], bool], limit: float = 20.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


def bags(directory: Path) -> list[Path]:
    return sorted(directory.glob("*Z_test*"))


def has_data(directory: Path, more_than: int = 0) -> Callable[[], bool]:
    return lambda: any(data_file(path).exists() and data_file(path).stat().st_size > more_than for path in bags(directory))


def messages(path: Path) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    with Reader(path) as reader:
        for connection, _, data in reader.messages():
            found[connection.topic].append(bytes(data))
    return found


def matched(publisher: subprocess.Popen[str], directory: Path, path: Callable[[], Path]) -> None:
    """Wait until the recorder has the late-joiner message, which proves that both have found each other."""
    wait_for(has_data(directory))
    wait_for(lambda: any(True for _ in BagReader(path()).items({"/evse_1/charge_record"})))


def publish(publisher: subprocess.Popen[str], count: int) -> dict[str, list[bytes]]:
    """Let the publisher publish and return what it says that it has published, by topic."""
    assert publisher.stdin is not None
    assert publisher.stdout is not None
    publisher.stdin.write(f"{count}\n")
    publisher.stdin.flush()
    said: dict[str, list[bytes]] = defaultdict(list)
    for line in publisher.stdout:
        if line.strip() == "done":
            break
        topic, data = line.split()
        said[topic].append(bytes.fromhex(data))
    return said


def same(recorded: list[bytes], published: list[bytes]) -> bool:
    """Compare; on the wire RTPS fills a message up to a multiple of 4 bytes (DDS-RTPS 2.5, 9.4.1)."""
    return len(recorded) == len(published) and all(
        left[: len(right)] == right and len(left) - len(right) < 4 for left, right in zip(recorded, published, strict=True)
    )


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(20)


def test_a_bag_holds_what_was_published_byte_by_byte(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    publisher = start(PUBLISHER)
    recorder = start(RECORDER, *recorder_arguments(tmp_path))
    matched(publisher, tmp_path, lambda: bags(tmp_path)[0])
    said = publish(publisher, 400)
    time.sleep(0.3)
    assert stop(recorder) == 0
    recorded = messages(bags(tmp_path)[0])
    assert said["/evse_1/charge_record"]
    for topic, published in said.items():
        assert same(recorded[topic], published), topic
    assert {len(said["/evse_1/safety_state"]), len(said["/evse_1/session_state"])} == {400, 40}


def test_metadata_says_what_ros2_bag_reads(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    publisher = start(PUBLISHER)
    recorder = start(RECORDER, *recorder_arguments(tmp_path, evses="[1,2]"))
    matched(publisher, tmp_path, lambda: bags(tmp_path)[0])
    assert stop(recorder) == 0
    path = bags(tmp_path)[0]
    about = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    topics = {item["topic_metadata"]["name"]: item["topic_metadata"] for item in about["topics_with_message_count"]}
    assert (about["version"], about["storage_identifier"], about["relative_file_paths"]) == (9, "mcap", [f"{path.name}.mcap"])
    assert set(topics) == {row.topic for row in (*channels([1, 2]), *CHANNELS)}
    infinite = {"sec": 9223372036, "nsec": 854775807}
    assert topics["/evse_2/safety_state"]["offered_qos_profiles"] == [
        {
            "history": "keep_last",
            "depth": 1,
            "reliability": "best_effort",
            "durability": "volatile",
            "deadline": {"sec": 0, "nsec": 100_000_000},
            "lifespan": infinite,
            "liveliness": "automatic",
            "liveliness_lease_duration": {"sec": 1, "nsec": 0},
            "avoid_ros_namespace_conventions": False,
        }
    ]
    assert topics["/evse_1/charge_record"]["offered_qos_profiles"][0]["durability"] == "transient_local"
    assert topics["/evse_1/can_frames"]["offered_qos_profiles"][0]["reliability"] == "best_effort"


def test_types_have_the_hash_that_ros_gives_them() -> None:
    """The hash of the file must be that of the middleware, or ros2 bag refuses to play it."""
    rclpy = pytest.importorskip("rclpy")
    rclpy.init(domain_id=own_domain())
    try:
        node = rclpy.create_node("hashes")
        for row in channels([1]):
            node.create_publisher(row.message, row.topic, 1)
            found = {str(info.topic_type_hash) for info in node.get_publishers_info_by_topic(row.topic)}
            assert found == {definition(row.type_name)[1]}, row.topic
    finally:
        rclpy.shutdown()


def test_a_killed_recorder_loses_at_most_what_came_since_the_last_flush(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    publisher = start(PUBLISHER)
    recorder = start(RECORDER, *recorder_arguments(tmp_path))
    matched(publisher, tmp_path, lambda: bags(tmp_path)[0])
    first = publish(publisher, 300)
    time.sleep(0.6)
    second = publish(publisher, 20)
    recorder.kill()
    recorder.wait()
    broken = bags(tmp_path)[0]
    assert not (broken / "metadata.yaml").exists()
    following = start(RECORDER, *recorder_arguments(tmp_path))
    wait_for((broken / "metadata.yaml").exists)
    assert stop(following) == 0
    recorded = messages(broken)
    for topic, published in first.items():
        assert len(recorded[topic]) >= len(published), topic
        assert same(recorded[topic], (published + second[topic])[: len(recorded[topic])]), topic


def test_a_disk_that_takes_no_more_stops_the_recording_but_not_the_node(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    publisher = start(PUBLISHER)
    recorder = start(RECORDER, *recorder_arguments(tmp_path, flush_period=0.05), before=small_files)
    wait_for(has_data(tmp_path))
    wait_for(lambda: bool(publish(publisher, 300)) and "recording stopped" in (tmp_path / "process_1.log").read_text(), 40.0)
    assert recorder.poll() is None
    assert stop(recorder) == 0
    assert 0 < repair(bags(tmp_path)[0]) < 10_000


def test_a_disk_without_room_is_left_alone(tmp_path: Path) -> None:
    said: list[str] = []
    thread = RecorderThread(RecorderConfig(str(tmp_path), "test", min_free_megabytes=1e6, flush_period=0.05), channels([1]), said.append)
    thread.put([(0, 1, b"\x00\x01\x00\x00")])
    wait_for(lambda: bool(said) and thread.dropped == 1)
    thread.close()
    assert "are free" in said[0]
    assert (bags(tmp_path), thread.written) == ([], 0)


def test_parts_rotate_and_each_begins_with_the_late_joiner_messages(tmp_path: Path) -> None:
    rows = channels([1])
    record = next(number for number, row in enumerate(rows) if row.topic == "/evse_1/charge_record")
    config = RecorderConfig(str(tmp_path), "test", max_megabytes=0.1, keep=2, min_free_megabytes=0.0, flush_period=0.05)
    thread = RecorderThread(config, rows, print)
    thread.put([(record, 1, b"\x00\x01\x00\x00late")])
    for number in range(12):
        thread.put([(0, number + 2, random.randbytes(30_000))])
        wait_for(lambda limit=number + 2: thread.written == limit)
    thread.close()
    kept = bags(tmp_path)
    base = base_name("test", time.time())
    assert len(kept) == 2
    assert all(path.name[16:] > base[16:] for path in kept)
    for path in kept:
        assert messages(path)["/evse_1/charge_record"] == [b"\x00\x01\x00\x00late"]


def test_a_queue_that_is_full_drops_and_counts(tmp_path: Path) -> None:
    config = RecorderConfig(str(tmp_path), "test", min_free_megabytes=0.0, flush_period=60.0, queue_megabytes=0.1)
    thread = RecorderThread(config, channels([1]), print)
    wait_for(lambda: thread.path is not None)
    thread.put([(0, number, bytes(1000)) for number in range(150)])
    assert thread.dropped == 50
    thread.close()
    assert thread.written == 100
