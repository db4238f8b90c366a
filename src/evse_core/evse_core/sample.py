"""A value and when it was received, so that a rule can tell fresh from stale."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """A value as received at a monotonic time [s]."""

    value: T
    received: float

    def age(self, now: float) -> float:
        """Return the age [s]."""
        return now - self.received


def fresh(sample: Sample[T] | None, now: float, limit: float) -> T | None:
    """Return the value if it is at most limit [s] old, else None."""
    if sample is None or now - sample.received > limit:
        return None
    return sample.value
