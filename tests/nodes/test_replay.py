"""A replay against a listening node: what is published is what was recorded, with its quality of service and its time; a running station is left alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from domains import own_domain
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock

from evse_core import types
from evse_nodes import topics
from evse_tools.bag_reader import BagReader

BAG = Path(__file__).resolve().parents[1] / "bags" / "chademo"
TOPIC = "/evse_1/session_state"


class Listener(Node):
    """Keeps what comes."""

    def __init__(self, context: Any) -> None:
        super().__init__("listener", context=context)
        self.states: list[types.SessionState] = []
        self.clock: list[float] = []
        topics.reader(self, "session_state", self.states.append, "evse_1")
        self.create_subscription(Clock, "/clock", lambda message: self.clock.append(message.clock.sec + message.clock.nanosec * 1e-9), 100)


@pytest.fixture
def place() -> Iterator[tuple[Listener, SingleThreadedExecutor, dict[str, str]]]:
    domain = own_domain()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    node, executor = Listener(context), SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield node, executor, os.environ | {"ROS_DOMAIN_ID": str(domain)}
    executor.shutdown()
    node.destroy_node()
    context.shutdown()


def replay(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "evse_tools.cli", "replay", str(BAG), *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], executor: SingleThreadedExecutor, limit: float = 30.0) -> tuple[int, str]:
    """Let the executor work until a process has ended; return its code and what it said. It is killed after limit [s]."""
    end = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    process.kill()
    _, words = process.communicate()
    return process.returncode, words


def test_a_replay_publishes_what_was_recorded_and_leaves_a_running_station_alone(
    place: tuple[Listener, SingleThreadedExecutor, dict[str, str]],
) -> None:
    node, executor, environment = place
    recorded = {repr(item.value) for item in BagReader(BAG).items({TOPIC})}
    began = time.monotonic()
    code, words = ended(replay(environment, "--rate", "8", "--from", "4", "--topics", "/evse_1/*_state"), executor)
    assert (code, time.monotonic() - began > 1.5) == (0, True), words
    assert len(node.states) > 60
    assert {repr(state) for state in node.states} <= recorded
    assert [state.stamp for state in node.states] == sorted(state.stamp for state in node.states)
    with BagReader(BAG) as bag:
        assert bag.begin + 3.9 < node.clock[0] <= node.clock[-1] < bag.end + 0.2
    topics.writer(node, "session_state", "evse_1")
    code, words = ended(replay(environment), executor)
    assert code == 1
    assert f"/listener publishes {TOPIC}: a station is running" in words


def test_ctrl_c_ends_a_replay_cleanly(place: tuple[Listener, SingleThreadedExecutor, dict[str, str]]) -> None:
    node, executor, environment = place
    process = replay(environment, "--from", "4")
    end = time.monotonic() + 30.0
    while not node.states and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    process.send_signal(signal.SIGINT)
    assert ended(process, executor) == (0, "")


def test_wrong_input_is_told(place: tuple[Listener, SingleThreadedExecutor, dict[str, str]]) -> None:
    _, executor, environment = place
    for arguments, words in (
        (("--rate", "0"), "--rate 0.0: has to be above 0"),
        (("--from", "900"), "--from 900.0: outside 0 to"),
        (("--topics", "/nothing"), "--topics /nothing: fits none of"),
    ):
        code, said = ended(replay(environment, *arguments), executor)
        assert (code, words in said) == (2, True), said
