"""What the benches share that look at a station in turns of their own: going on until something holds."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable


class Turning(ABC):
    """Something in which nothing happens but in `turn`."""

    @abstractmethod
    def turn(self) -> None:
        """Look once, for a short while."""

    def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Turn until a condition holds; False where it does not within limit [s]."""
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                return False
            self.turn()
        return True
