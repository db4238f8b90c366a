"""All nodes of a station at once, and somebody who publishes hundreds of random messages on every topic: each node lives on and speaks afterwards as before."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from probe import Probe

from evse_nodes.topics import EVSE_TOPICS, TOPICS, Topic
from evse_tools.fuzz_messages import message_of, random_message

# What each node publishes by itself, again and again: (module, namespace, topic).
NODES = (
    ("can_bridge", "/evse_1", "can_status"),
    ("charge_sequencer", "/evse_1", "session_state"),
    ("safety_monitor", "/evse_1", "safety_state"),
    ("energy_meter", "/evse_1", "meter_reading"),
    ("energy_manager", "/", "power_budget"),
    ("ocpp_uplink", "/", "uplink_state"),
)
# Rounds of one message per topic, and the pause after each message: some 300 a second, more than the graph itself says. [1], [s]
ROUNDS, PAUSE = 25, 0.003


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Probe]:
    probe = Probe(tmp_path)
    net = random.randrange(0x10000)
    buses = {
        f"{prefix}_bus.{key}": value
        for number, prefix in enumerate(("vehicle", "power", "io"), 1)
        for key, value in (("interface", "udp_multicast"), ("channel", f"ff11::{net:x}:{number}"))
    }
    own = {"can_bridge": buses} | {name: {"data_dir": str(tmp_path)} for name in ("energy_meter", "ocpp_uplink", "safety_monitor")}
    try:
        for module, namespace, _ in NODES:
            probe.start(module, own.get(module, {}), namespace)
        yield probe
    finally:
        probe.close()


def full_name(row: Topic) -> str:
    return f"/evse_1/{row.name}" if row in EVSE_TOPICS else f"/{row.name}"


def test_no_node_dies_of_a_random_message_and_each_speaks_and_ends_afterwards(station: Probe) -> None:
    heard: dict[str, list[float]] = {topic: [] for _, _, topic in NODES}
    for topic, found in heard.items():
        row = TOPICS[topic]
        station.node.create_subscription(row.message, full_name(row), lambda _, found=found: found.append(time.monotonic()), row.qos)
    station.until(lambda: all(heard.values()), what="every node")
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    publishers = {row.name: station.node.create_publisher(row.message, full_name(row), row.qos) for row in TOPICS.values()}
    station.spin(1.0)
    for _ in range(ROUNDS):
        for name, publisher in publishers.items():
            publisher.publish(message_of(TOPICS[name].message, random_message(chance, TOPICS[name].message)))
            station.spin(PAUSE)
    station.spin(1.0)
    before = {topic: len(found) for topic, found in heard.items()}
    station.until(
        lambda: all(len(found) >= before[topic] + 2 for topic, found in heard.items()), 20.0, f"every node after the storm, seed {seed}"
    )
    for number, (module, _, _) in enumerate(NODES):
        assert station.processes[number].poll() is None, (module, seed, station.log(module, number))
        assert "Traceback" not in station.log(module, number), (module, seed, station.log(module, number))
    _end(station)


def _end(station: Probe) -> None:
    """Nothing that was heard keeps a node from its end, or makes it fail there; who waits for a session of nobody gives up by itself."""
    for process in station.processes:
        process.send_signal(signal.SIGINT)
    station.until(lambda: all(process.poll() is not None for process in station.processes), 60.0, "the end of all nodes")
    logs = [station.log(module, number)[-800:] for number, (module, _, _) in enumerate(NODES)]
    assert [process.returncode for process in station.processes] == [0] * len(NODES), logs
