"""Hears from a process that it goes round (evse_nodes/watchdog.py), and knows when it hangs."""

import os
import socket
import time
import uuid

from evse_nodes.watchdog import VARIABLE

# Silence of a process that has spoken before after which it hangs: longer than a disk or a swapping machine holds up a round, and long after the deadlines of
# the graph have ended the session. [s]
HANG = 15.0
# Longest datagram. [bytes]
LONGEST = 256


class Pulse:
    """One process, over all its restarts; who never speaks is not watched."""

    def __init__(self) -> None:
        self._name = f"ros2_evse/watchdog/{os.getpid()}/{uuid.uuid4().hex}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{self._name}")
        self._heard: float | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the process has to find in its environment."""
        return {VARIABLE: f"@{self._name}"}

    def begin(self) -> None:
        """A process has just been started: it has not spoken yet."""
        self._drain()
        self._heard = None

    def hangs(self) -> bool:
        """Return whether the process has spoken and is silent since."""
        if self._drain():
            self._heard = time.monotonic()
        return self._heard is not None and time.monotonic() - self._heard > HANG

    def _drain(self) -> bool:
        came = False
        try:
            while self._socket.recv(LONGEST):
                came = True
        except BlockingIOError:
            return came
        return came
