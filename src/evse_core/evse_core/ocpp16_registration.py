"""What the station may say after it has booted, and when: BootNotification, its answer, and Heartbeat (1.6 sections 4.2 and 4.6).

Nothing but BootNotification is sent until the CSMS has accepted. Pending: its calls are answered, but it may neither start nor stop a session. Rejected:
silence in both directions until the interval is over. A new connection needs no new BootNotification once the CSMS has accepted.
"""

from evse_core.ocpp16_time import NoTime, instant
from evse_core.types import Registration

_WORDS = {"Accepted": Registration.ACCEPTED, "Pending": Registration.PENDING, "Rejected": Registration.REJECTED}


# Difference of clocks that is worth a warning: bills and certificates are dated by the station. [s]
CLOCK_TOLERANCE = 10.0


def clock_error(current_time: object, now: float) -> float | None:
    """Return how far the clock of the CSMS, as its answer says it, is ahead of now, a ROS time [s]; None where it says nothing usable."""
    try:
        return instant(current_time) - now if isinstance(current_time, str) else None
    except NoTime:
        return None


class RegistrationRule:
    """Knows the registration and when a BootNotification or a Heartbeat is due. Times in monotonic s."""

    def __init__(self, heartbeat_interval: float, boot_retry_interval: float) -> None:
        self.state = Registration.UNKNOWN
        self.heartbeat_interval = heartbeat_interval
        self.boot_retry_interval = boot_retry_interval
        self._boot_at = 0.0
        self._last_sent = 0.0

    def restart(self, now: float) -> None:
        """Begin as after a power cycle."""
        self.state = Registration.UNKNOWN
        self._boot_at = now

    def on_boot_answer(self, status: object, interval: object, now: float) -> bool:
        """Take the answer; interval [s] means heartbeats when accepted, else the wait before the next try. Returns whether it was understood."""
        state = _WORDS.get(status) if isinstance(status, str) else None
        if state is None:
            self.on_boot_failed(now)
            return False
        given = float(interval) if isinstance(interval, (int, float)) and not isinstance(interval, bool) and interval > 0 else 0.0
        self.state = state
        if state == Registration.ACCEPTED:
            self.heartbeat_interval = given or self.heartbeat_interval
        self._boot_at = now + (given or self.boot_retry_interval)
        return True

    def on_boot_failed(self, now: float) -> None:
        """Note that a BootNotification was refused by a CALLERROR or not answered."""
        self._boot_at = now + self.boot_retry_interval

    def on_sent(self, now: float) -> None:
        """Note that a call went out: each one proves that the station lives, as a Heartbeat does."""
        self._last_sent = now

    def probe(self) -> None:
        """Make a Heartbeat due at once."""
        self._last_sent = -self.heartbeat_interval

    def boot_due(self, now: float) -> bool:
        """Return whether BootNotification is to be sent now."""
        return self.state != Registration.ACCEPTED and now >= self._boot_at

    def heartbeat_due(self, now: float) -> bool:
        """Return whether Heartbeat is to be sent now."""
        return self.state == Registration.ACCEPTED and now - self._last_sent >= self.heartbeat_interval

    def next_change(self) -> float:
        """Return when the next BootNotification or Heartbeat is due."""
        return self._last_sent + self.heartbeat_interval if self.state == Registration.ACCEPTED else self._boot_at

    @property
    def may_call(self) -> bool:
        """Whether calls other than BootNotification may be sent."""
        return self.state == Registration.ACCEPTED

    @property
    def may_answer(self) -> bool:
        """Whether calls of the CSMS are answered."""
        return self.state != Registration.REJECTED
