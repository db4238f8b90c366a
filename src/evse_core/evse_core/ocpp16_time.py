"""Times as OCPP 1.6 writes them (1.6 section 3.14: with zone; what has none counts as UTC)."""

from datetime import UTC, datetime


class NoTime(ValueError):
    """A time that is none."""


def timestamp(seconds: float) -> str:
    """Return a ROS time [s] as the protocol writes it: UTC, with zone, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: object) -> float:
    """Return a time of the protocol in s of UTC; NoTime where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise NoTime(f"{str(text)[:40]!r} is no time") from error


def parse_time(text: object) -> int:
    """Return a time of the protocol in whole s of UTC; NoTime where it is none."""
    return int(instant(text) // 1)
