"""Takes the CAN socket of a running process away from outside: pidfd_getfd(2) lends the socket, which is shut and leaves its group.

While the process may open no further file, it cannot open the bus again. Needs the right to trace the process: PermissionError without it.
"""

import ctypes
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Number of the system call on every architecture (Linux 5.6, include/uapi/asm-generic/unistd.h).
PIDFD_GETFD = 438
# File descriptors that stay possible: none that is free, for 0 to 2 are taken; poll(2) refuses to look at more than the limit. [1]
FEW = 3


@contextmanager
def lent(pid: int, number: int) -> Iterator[socket.socket]:
    """Yield the socket behind a file descriptor of another process. OSError where it is none or may not be had."""
    library = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pid)
    try:
        copied = library.syscall(PIDFD_GETFD, handle, number, 0)
        if copied < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    finally:
        os.close(handle)
    with socket.socket(fileno=copied) as found:
        yield found


def shut_group(pid: int, group: str) -> int:
    """Shut the sockets of a process that have joined an IPv6 multicast group; returns how many there were."""
    request, count = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", 0), 0
    for number in _sockets(pid):
        with suppress(OSError), lent(pid, number) as found:
            # Fails where the socket is no member: then it is another bus.
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, request)
            count += 1
            # Not connected, so an error is returned; its reader is woken and reads nothing all the same.
            found.shutdown(socket.SHUT_RDWR)
    return count


def _sockets(pid: int) -> Iterator[int]:
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                yield int(name)


def allow_files(pid: int, allowed: bool) -> None:
    """Let a process open files and sockets, or no more of them; what is open stays."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard if allowed else FEW, hard))
