"""A way to a simulator's services that needs no DDS discovery, which takes up to 3 s for a process that has just been started (Fast DDS announces every 3 s).

One abstract Unix socket per simulator node, named after user, ROS domain and node; one JSON line each way: {"service", "request"}, {"success", "message"}.
`station sim` knocks here first and calls the ROS service where nobody opens. Only processes of the same user and root may enter.
"""

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerError
from contextlib import suppress
from typing import Any

# Longest wait for the simulator's executor, and for the other end's line. [s]
ANSWER_TIME = 3.0
LINE_TIME = 1.0
# Largest line: a fault or a token is some 100 bytes. [bytes]
LONGEST = 4096

Act = Callable[[str, Mapping[str, Any]], "Future[tuple[bool, str]]"]


def address(node: str) -> bytes:
    """Return the abstract socket address of a node, by its full name, in the ROS domain of the environment."""
    return f"\0ros2_evse/{os.getuid()}/{os.environ.get('ROS_DOMAIN_ID') or 0}{node}".encode()


def knock(node: str, service: str, request: Mapping[str, Any]) -> tuple[bool, str] | None:
    """Call a service of a simulator node; None where nobody is there, TimeoutError where nobody answers."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(ANSWER_TIME + LINE_TIME)
        try:
            door.connect(address(node))
        except OSError:
            return None
        try:
            door.sendall(json.dumps({"service": service, "request": dict(request)}).encode() + b"\n")
            answer = json.loads(_line(door) or b"{}")
        except OSError:
            answer = {}
    if "success" not in answer:
        raise TimeoutError(f"{node}/{service} does not answer; the simulator hangs or has just ended")
    return bool(answer["success"]), str(answer["message"])


class LocalDoor:
    """Serves one node. `act(service, request)` is called in a thread and returns a future that the node's executor fulfils."""

    def __init__(self, node: str, act: Act) -> None:
        self._act = act
        self._socket = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._serve, name="door", daemon=True)
        try:
            self._socket.bind(address(node))
        except OSError:
            # A second node of this name in this domain: the first one answers, as it does to ROS.
            self._socket.close()
            return
        self._socket.listen()
        self._thread.start()

    def close(self) -> None:
        """Open to nobody any more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(LINE_TIME)

    def _serve(self) -> None:
        while True:
            try:
                guest, _ = self._socket.accept()
            except OSError:
                return
            with guest, suppress(OSError):
                guest.settimeout(LINE_TIME)
                if _is_welcome(guest):
                    guest.sendall(json.dumps(self._answer(_line(guest))).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            success, message = self._act(str(asked["service"]), asked["request"]).result(ANSWER_TIME)
        except NoAnswerError:
            return {}
        except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:
            return {"success": False, "message": f"not understood: {error}"}
        return {"success": success, "message": message}


def _is_welcome(guest: socket.socket) -> bool:
    _, user, _ = struct.unpack("3i", guest.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return user in {0, os.getuid()}


def _line(end: socket.socket) -> bytes:
    """Read one line, or what came before the other end closed."""
    found = b""
    while not found.endswith(b"\n") and len(found) < LONGEST and (more := end.recv(LONGEST)):
        found += more
    return found
