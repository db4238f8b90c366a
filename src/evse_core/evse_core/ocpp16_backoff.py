"""How long to wait before a lost connection is tried again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Doubling wait with a random part, as OCPP 2.0.1 part 4 section 5.3 describes it; 1.6 leaves it open.

    minimum and random_range in s. The random part is drawn anew for each wait, so that the stations of a site do not return all at once after a power cut.
    """

    minimum: float
    random_range: float
    repeat_times: int

    def wait(self, failures: int, random: float) -> float:
        """Return the wait [s] before the next try; failures counts the tries that failed since the last good connection, random is in [0, 1)."""
        doublings = min(max(failures, 0), self.repeat_times)
        return (self.minimum + self.random_range * random) * float(2**doublings)
