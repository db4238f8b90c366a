"""Tells who started this process that it goes round: WATCHDOG=1 on the datagram socket NOTIFY_SOCKET, the protocol of systemd's sd_notify(3).

A process that hangs keeps its sockets and its place in the graph; only who counts its rounds can tell, and start it again.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"
ALIVE = b"WATCHDOG=1"
# How often it is told. [s]
PERIOD = 1.0


class Watchdog:
    """Call alive() in every round."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get(VARIABLE, "")
        # "@" stands for the zero byte of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if address else None
        self._due = 0.0

    def alive(self) -> None:
        """Tell it where it is due; nobody there, or nobody who reads, is no reason to stop."""
        now = time.monotonic()
        if self._socket is None or now < self._due:
            return
        self._due = now + PERIOD
        with suppress(OSError):
            self._socket.sendto(ALIVE, self._address)
