"""Reservations of connectors, or of any connector of the station (1.6 sections 3.10, 5.2, 5.13).

A reservation is for its idTag, and where it names a parentIdTag for every token of that group. One for connector 0 keeps a free connector, any of them, for its
token: others may start only while enough are left. It ends with its transaction's begin, its expiry, or CancelReservation. A book is a tuple; each function
returns the next one, so that nothing changes before it is on disk.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_status import Status
from evse_core.ocpp16_time import parse_time

# Connector that stands for any.
ANY: Final = 0
_FREE: Final = frozenset({Status.AVAILABLE, Status.RESERVED})


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who may use a connector until expiry [s, UTC]."""

    number: int
    connector: int
    token: str
    parent: str
    expiry: int

    def is_for(self, token: str, parent: str) -> bool:
        """Return whether a token, with the parent that its verdict named, is meant."""
        return self.token == token or (self.parent != "" and self.parent == parent)


Book = tuple[Reservation, ...]


def reserve(book: Book, payload: Payload, statuses: Mapping[int, Status], now: int) -> tuple[str, Book]:
    """Return the answer to ReserveNow and the book that follows; NoTime where expiryDate is none. statuses by connector, as they are without reservations."""
    made = Reservation(
        payload["reservationId"],
        payload["connectorId"],
        payload["idTag"],
        payload.get("parentIdTag", ""),
        parse_time(payload["expiryDate"]),
    )
    others = tuple(item for item in book if item.number != made.number)
    if made.expiry <= now or (made.connector != ANY and made.connector not in statuses):
        return "Rejected", book
    if (word := _hindrance(others, made.connector, statuses)) is not None:
        return word, book
    return "Accepted", (*others, made)


def _hindrance(others: Book, connector: int, statuses: Mapping[int, Status]) -> str | None:
    """Return why a connector cannot be reserved, None where it can."""
    wanted = set(statuses.values()) if connector == ANY else {statuses[connector]}
    if wanted <= {Status.FAULTED}:
        return "Faulted"
    if wanted <= {Status.FAULTED, Status.UNAVAILABLE}:
        return "Unavailable"
    free = _free(others, statuses)
    if (connector != ANY and connector not in free) or len(free) <= _floating(others):
        return "Occupied"
    return None


def _free(book: Book, statuses: Mapping[int, Status]) -> set[int]:
    """Return the connectors that nobody uses and nobody has reserved."""
    return {connector for connector, status in statuses.items() if status in _FREE} - {item.connector for item in book}


def _floating(book: Iterable[Reservation]) -> int:
    return sum(1 for item in book if item.connector == ANY)


def used_by(book: Book, connector: int, token: str, parent: str) -> Reservation | None:
    """Return the reservation that a token uses at a connector: that of the connector before one for any."""
    mine = (item for item in book if item.connector in (connector, ANY) and item.is_for(token, parent))
    return max(mine, key=lambda item: item.connector, default=None)


def bars(book: Book, connector: int, token: str, parent: str, statuses: Mapping[int, Status]) -> bool:
    """Return whether reservations keep a token from a connector."""
    if used_by(book, connector, token, parent) is not None:
        return False
    if any(item.connector == connector for item in book):
        return True
    return _floating(book) > len(_free(book, statuses) - {connector})


def is_reserved(book: Book, connector: int) -> bool:
    """Return whether a connector shows Reserved while nobody uses it; one for any connector shows nowhere."""
    return any(item.connector == connector for item in book)


def cancel(book: Book, number: int) -> tuple[str, Book]:
    """Return the answer to CancelReservation and the book that follows."""
    left = tuple(item for item in book if item.number != number)
    return ("Accepted" if left != book else "Rejected"), left


def current(book: Book, now: int) -> Book:
    """Return the reservations that have not expired [s, UTC]."""
    return tuple(item for item in book if item.expiry > now)


def as_json(book: Book) -> list[dict[str, Any]]:
    """Return the book as it is kept on disk."""
    return [asdict(item) for item in book]


def from_json(kept: object) -> Book:
    """Return what as_json() made; ValueError where it is something else."""
    types = {"number": int, "connector": int, "token": str, "parent": str, "expiry": int}
    if not isinstance(kept, list) or not all(
        isinstance(item, dict) and item.keys() == types.keys() and all(isinstance(item[name], kind) for name, kind in types.items())
        for item in kept
    ):
        raise ValueError("no list of reservations")
    return tuple(Reservation(**item) for item in kept)
