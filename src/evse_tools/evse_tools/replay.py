"""`./station replay BAG`: publishes a recording again, at true or scaled pace and with /clock, to look at it with dashboards and ros2 tools.

Where any of its topics has a publisher already, a station may be running, and it refuses: give it a ROS_DOMAIN_ID of its own.
"""

import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from evse_nodes.loopback import stay_on_loopback
from evse_tools.bag_reader import BagError, BagReader, Content, Item
from evse_tools.recorder_bag import definition
from evse_tools.replay_keys import ARROW_RIGHT, Keys
from evse_tools.replay_pace import Pace
from evse_tools.replay_publishers import Publishers, living

# Time of the recording on /clock, and how often keys and picture are looked at. [s]
CLOCK_PERIOD = 0.02
# Every process of ROS publishes these, whether a station or a dashboard.
SHARED = frozenset({"/rosout", "/diagnostics"})
HELP = "space: pause and go on; s or right arrow: one message; q: end"


def run(path: Path, rate: float, begin: float, topics: Sequence[str]) -> int:
    """Replay a recording. Returns the exit code: 0 also when interrupted, 1 where a station is running, 2 for wrong input."""
    if not 0.0 < rate < float("inf"):
        print(f"--rate {rate}: has to be above 0", file=sys.stderr)
        return 2
    try:
        with BagReader(path) as bag:
            chosen = [item for item in bag.contents if not topics or any(fnmatchcase(item.topic, pattern) for pattern in topics)]
            if problem := _problem(bag, chosen, begin, topics):
                print(f"{path}: {problem}", file=sys.stderr)
                return 2
            return _published(bag, chosen, rate, begin)
    except BagError as error:
        print(error, file=sys.stderr)
        return 2


def _problem(bag: BagReader, chosen: Sequence[Content], begin: float, topics: Sequence[str]) -> str:
    if not bag.begin:
        return "has no messages"
    if not chosen:
        return f"--topics {' '.join(topics)}: fits none of {', '.join(item.topic for item in bag.contents)}"
    length = bag.end - bag.begin
    return "" if 0.0 <= begin <= length else f"--from {begin}: outside 0 to {length:.1f} s"


def _published(bag: BagReader, chosen: Sequence[Content], rate: float, begin: float) -> int:
    stay_on_loopback()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("replay", enable_rosout=False, start_parameter_services=False)
        if taken := living(node, {*(item.topic for item in chosen if item.topic not in SHARED), "/clock"}):
            topic, name = next(iter(sorted(taken.items())))
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            words = f"{name} publishes {topic}: a station is running in ROS_DOMAIN_ID {domain}; take another one, as in ROS_DOMAIN_ID=99 ./station replay ..."
            print(words, file=sys.stderr)
            return 1
        publishers = Publishers(node, chosen, lambda name: definition(name)[0])
        _play(bag, {item.topic for item in chosen}, publishers, Pace(bag.begin + begin, rate, time.monotonic()), begin)
        for name, why in publishers.left_out.items():
            print(f"{name} {why}: its topics were left out", file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    finally:
        rclpy.try_shutdown()
    return 0


def _play(bag: BagReader, topics: Collection[str], publishers: Publishers, pace: Pace, begin: float) -> None:
    console = Console(stderr=True)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.1f} of {task.total:.1f} s"), console=console)
    task = bar.add_task("replaying", total=bag.end - bag.begin, completed=int(begin))
    with Keys() as keys:
        if keys.are_there:
            console.print(HELP)
        if console.is_terminal:
            bar.start()
        try:
            for item in _due(bag.items(topics, bag.begin + begin if begin else 0.0), publishers, pace, keys):
                publishers.publish(item)
                bar.update(task, completed=item.time - bag.begin, description="paused" if pace.is_paused else "replaying")
        finally:
            if console.is_terminal:
                bar.stop()


def _due(items: Iterator[Item], publishers: Publishers, pace: Pace, keys: Keys) -> Iterator[Item]:
    """Yield each message when it is due; pass the time on meanwhile."""
    told = 0.0
    for item in items:
        while True:
            now = time.monotonic()
            if now - told >= CLOCK_PERIOD:
                told = now
                publishers.tell_time(pace.position(now))
            if (wait := pace.wait(item.time, now)) <= 0.0:
                break
            key = keys.pressed(min(wait, CLOCK_PERIOD))
            if key == " ":
                pace.toggle(time.monotonic())
            elif key in {"s", ARROW_RIGHT} and pace.is_paused:
                pace.jump(item.time, time.monotonic())
                publishers.tell_time(item.time)
                break
            elif key == "q":
                return
        yield item
