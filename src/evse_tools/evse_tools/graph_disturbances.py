"""How each kind of scenario is brought about on a running station, and how it is taken back."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from evse_tools.description import Description
from evse_tools.graph_scenarios import Kind, Scenario
from evse_tools.graph_sockets import allow_files, shut_group
from evse_tools.supervisor import Supervisor, tied

# Written at a time while a disk is filled. [bytes]
BLOCK = 65536
# How long a killed CSMS is not started again at most; `end` ends the wait. [s]
LONG = 3600.0


class Impossible(Exception):
    """This machine or user cannot bring a scenario about; says why."""


@dataclass
class Place:
    """The station as a disturbance sees it; its clock is wrong by `offset` [s] where the bench keeps it."""

    supervisor: Supervisor
    description: Description
    offset: float = 0.0
    undo: list[Callable[[], None]] = field(default_factory=list)

    def set_clock(self, offset: float) -> None:
        """Set the clock of the processes wrong."""
        self.offset = offset

    def pid(self, node: str) -> int:
        """Return the process of a node."""
        found = [pid for name, pid in self.supervisor.pids().items() if name.endswith(f"/{node}")]
        if not found:
            raise Impossible(f"{node} does not run")
        return found[0]


def begin(scenario: Scenario, place: Place) -> None:
    """Disturb. Impossible where it cannot be done here."""
    _BEGIN[scenario.kind](scenario.target, place)


def end(place: Place) -> None:
    """Take back what can be taken back."""
    while place.undo:
        place.undo.pop()()


def _kill(node: str, place: Place) -> None:
    os.kill(place.pid(node), signal.SIGKILL)


def _stop(node: str, place: Place) -> None:
    pid = place.pid(node)
    os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    place.undo.append(go_on)


def _hang(node: str, place: Place) -> None:
    os.kill(place.pid(node), signal.SIGSTOP)


def _can_gone(bus: str, place: Place) -> None:
    pid, group = place.pid("can_bridge"), place.description.evses[0].buses[bus].channel
    try:
        allow_files(pid, False)
        place.undo.append(lambda: _allow(pid))
        found = shut_group(pid, group)
    except OSError as error:
        raise Impossible(f"the sockets of can_bridge cannot be reached: {error}") from error
    if found == 0:
        raise Impossible("the sockets of can_bridge may not be had: this needs the right to trace it")


def _allow(pid: int) -> None:
    with suppress(ProcessLookupError):
        allow_files(pid, True)


def _flood(topic: str, place: Place) -> None:
    _run(place, "topic", topic)


def _can_flood(bus: str, place: Place) -> None:
    _run(place, "can", place.description.evses[0].buses[bus].channel)


def _run(place: Place, *words: str) -> None:
    process = subprocess.Popen(tied([sys.executable, "-m", "evse_tools.graph_flood", *words]), stdout=subprocess.DEVNULL)

    def stop() -> None:
        process.kill()
        process.wait()

    place.undo.append(stop)


def _full_disk(_: str, place: Place) -> None:
    """Fill the file system of the data to the last byte."""
    path = place.description.data_dir / "ballast"
    place.undo.append(lambda: path.unlink(missing_ok=True))
    with path.open("wb", buffering=0) as file:
        for size in (BLOCK, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def _clock(seconds: str, place: Place) -> None:
    place.set_clock(float(seconds))
    place.undo.append(lambda: place.set_clock(0.0))


def _csms_gone(node: str, place: Place) -> None:
    pid = place.pid(node)
    child = next(child for child in place.supervisor.children if child.pid == pid)
    child.hold(LONG)
    os.kill(pid, signal.SIGKILL)
    place.undo.append(lambda: child.hold(0.0))


_BEGIN: dict[Kind, Callable[[str, Place], None]] = {
    Kind.KILL: _kill,
    Kind.STOP: _stop,
    Kind.HANG: _hang,
    Kind.CAN_GONE: _can_gone,
    Kind.FLOOD: _flood,
    Kind.CAN_FLOOD: _can_flood,
    Kind.FULL_DISK: _full_disk,
    Kind.CLOCK: _clock,
    Kind.CSMS_GONE: _csms_gone,
}
