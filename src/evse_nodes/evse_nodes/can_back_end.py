"""Opening a bus of python-can, and what its socket needs besides: room for frames, a count of those that found none, groups that stay apart."""

import contextlib
import os
import socket
import stat
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import can

# Room that is asked for, for the frames that wait for the reader; the kernel doubles it and counts each frame with what it is wrapped in. 2 MB held 5,041
# datagrams here, 1.2 s of a loaded bus; the 212,992 bytes that a socket has by itself held 256, a stall of 64 ms. [byte]
RECEIVE_BUFFER = 2 << 20
# Not in Python's socket module: linux/socket.h (asm-generic), linux/in.h, linux/in6.h.
SO_RCVBUFFORCE, SO_MEMINFO = 33, 55
IPV4_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29
# Answer of SO_MEMINFO: numbers of 32 bits, of which the last is how many frames found no room (linux/sock_diag.h, SK_MEMINFO_DROPS).
MEMINFO = struct.Struct("=9I")


def open_bus(arguments: Mapping[str, Any]) -> can.BusABC:
    """Open a bus; each back end has errors of its own."""
    bus = can.Bus(**arguments)
    # A system that does not know an option has a bus all the same.
    with contextlib.suppress(OSError), _socket(bus) as twin:
        if twin is not None:
            _widen(twin)
            if type(bus).__name__ == "UdpMulticastBus":
                _keep_groups_apart(twin)
    return bus


def lost_frames(bus: can.BusABC) -> int:
    """Return how many frames the kernel has thrown away since the bus was opened, because nobody fetched them; 0 where it does not tell. [1]"""
    with contextlib.suppress(OSError, struct.error), _socket(bus) as twin:
        if twin is not None:
            return int(MEMINFO.unpack(twin.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[-1])
    return 0


@contextlib.contextmanager
def _socket(bus: can.BusABC) -> Iterator[socket.socket | None]:
    """Yield the socket of a bus, None where it has none: a serial port, a library, nothing at all."""
    try:
        number = bus.fileno()
        is_socket = number >= 0 and stat.S_ISSOCK(os.fstat(number).st_mode)
    except Exception:  # NotImplementedError, closed, or whatever a back end does
        is_socket = False
    if not is_socket:
        yield None
        return
    with socket.socket(fileno=os.dup(number)) as twin:
        yield twin


def _widen(twin: socket.socket) -> None:
    """Make room for frames: beyond the limit of the system (net.core.rmem_max) where we may, else up to it."""
    try:
        twin.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except OSError:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _keep_groups_apart(twin: socket.socket) -> None:
    """Let a udp_multicast bus hear only its own group.

    The back end binds to every address of the port, and Linux then delivers any group that any process of the machine has joined (IPV6_MULTICAST_ALL, ip(7)
    and ipv6(7); seen here: two groups on one port read each other's frames).
    """
    if twin.family == socket.AF_INET6:
        twin.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
    else:
        twin.setsockopt(socket.IPPROTO_IP, IPV4_MULTICAST_ALL, 0)
