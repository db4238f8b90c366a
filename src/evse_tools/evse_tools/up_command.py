"""`station up FILE`: validate a description, start its station, keep it running, end it safely.

Where ROS's launch can be imported the station starts through launch/station.launch.py, else through supervisor.py. Both start the same node specifications.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from evse_nodes.loopback import stay_on_loopback
from evse_tools.description import Description, DescriptionError, load
from evse_tools.node_specs import NodeSpec, node_specs
from evse_tools.supervisor import Supervisor

# How often processes and the status are looked at. [s]
POLL = 0.1


class Signals:
    """SIGINT, SIGTERM and SIGHUP, counted instead of raised."""

    def __init__(self) -> None:
        self.count = self._taken = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1

    def take(self) -> bool:
        """Return whether a signal has come since the last that was taken, and take it."""
        came = self.count > self._taken
        self._taken = min(self._taken + 1, self.count)
        return came


def run(file: Path) -> int:
    """Run a station until a signal; 0 after a safe end, 1 where a process had to be forced, 2 where the description is wrong."""
    try:
        description = load(file)
    except DescriptionError as error:
        print(error, file=sys.stderr)
        return 2
    stay_on_loopback()
    try:
        with only_one(description.data_dir):
            return _launch(file) if _has_launch() else _supervise(description)
    except (BlockingIOError, FileNotFoundError, PermissionError) as error:
        print(f"station up: {error}", file=sys.stderr)
        return 1


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for this station; BlockingIOError where another one has it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / ".station.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"a station is running with the data of {data_dir} already") from None
        yield


def _has_launch() -> bool:
    return all(find_spec(name) is not None for name in ("launch", "launch_ros"))


def _launch(file: Path) -> int:
    from launch import LaunchDescription, LaunchService  # noqa: PLC0415 only there where an ordinary ROS is

    from evse_tools.ros_launch import station_actions  # noqa: PLC0415

    # On a terminal Ctrl-C reaches the nodes by itself; elsewhere launch hands it on.
    service = LaunchService(noninteractive=not sys.stdin.isatty())
    service.include_launch_description(LaunchDescription(station_actions(str(file))))
    return int(service.run())


def _supervise(description: Description) -> int:
    specs, signals = node_specs(description), Signals()
    supervisor = Supervisor(specs, description.data_dir / "log", _say)
    print(introduction(description, specs), flush=True)
    supervisor.start()
    try:
        _watch(supervisor, description, signals)
    finally:
        print("Ending sessions and processes (Ctrl-C again: do not wait) ...", flush=True)
        orderly = supervisor.stop(signals.take)
    print("Ended safely." if orderly else "Ended, but not every process by itself; see above.", flush=True)
    return 0 if orderly else 1


def _watch(supervisor: Supervisor, description: Description, signals: Signals) -> None:
    status = None
    if sys.stdout.isatty():
        from evse_tools.up_status import Status  # noqa: PLC0415 rclpy, after the processes have been started

        status = Status(description)
    try:
        while not signals.take():
            supervisor.poll()
            if status is not None:
                status.refresh()
            time.sleep(POLL)
    finally:
        if status is not None:
            status.close()


def introduction(description: Description, specs: list[NodeSpec]) -> str:
    """Return what is about to run."""
    simulated = sorted({spec.name for spec in specs if spec.is_simulator})
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    return "\n".join(
        (
            f"{description.station['name']}: {len(description.evses)} EVSE, {len(specs)} processes, ROS domain {domain}"
            f" ({'this machine only' if stay_on_loopback() else os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE']})",
            f"simulated: {', '.join(simulated) or 'nothing'}",
            f"CSMS: {description.csms_url or 'none, charging is free'}",
            f"data: {description.data_dir}; logs: {description.data_dir / 'log'}",
        )
    )


def _say(name: str, text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {name}: {text}", file=sys.stderr, flush=True)
