"""What the tests of CanPort share: groups of their own, waiting, and back ends that a test scripts."""

import random
import time
from collections.abc import Callable

import can

from evse_core.frame import Frame

FRAME = Frame(0x102, bytes([2, 154, 1, 0, 0, 200, 73, 0]))
MESSAGE = can.Message(arbitration_id=5, is_extended_id=False)


def group() -> str:
    """Return an interface-local multicast group that is most likely nobody else's."""
    return f"ff11::{random.randrange(0x10000):x}:{random.randrange(0x10000):x}"


def wait(condition: Callable[[], object], limit: float = 10.0) -> bool:
    """Wait until condition holds; return whether it did within limit [s]."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.002)
    return False


class Device:
    """A back end: `recv` raises or returns what is next, and is quiet when the script is over."""

    def __init__(self, *script: object) -> None:
        self.script = list(script)
        self.refuses: Exception | None = None
        self.closed = False

    def recv(self, timeout: float) -> object:
        if not self.script:
            time.sleep(min(timeout, 0.01))
            return None
        # The last error stays, as that of a back end that is beyond repair.
        item = self.script.pop(0) if len(self.script) > 1 or not isinstance(self.script[0], Exception) else self.script[0]
        if isinstance(item, Exception):
            raise item
        return item

    def send(self, message: can.Message) -> None:
        if self.refuses is not None:
            raise self.refuses

    def fileno(self) -> int:
        raise NotImplementedError

    def shutdown(self) -> None:
        self.closed = True


class Attempts:
    """What opening gives, one after the other, the last for ever; and when."""

    def __init__(self, *results: object) -> None:
        self.results = list(results)
        self.times: list[float] = []

    def __call__(self, **arguments: object) -> object:
        self.times.append(time.monotonic())
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result
