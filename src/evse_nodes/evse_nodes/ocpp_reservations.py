"""Reservations of OCPP 1.6 on disk, and the calls of the CSMS about them. The rules are evse_core/ocpp16_reservations.py."""

import logging
from collections.abc import Callable, Mapping

from evse_core import ocpp16_reservations as reservations
from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_requests import Handlers, Refused
from evse_core.ocpp16_reservations import Book
from evse_core.ocpp16_status import Status
from evse_core.ocpp16_time import NoTime
from evse_nodes.ocpp_file import KeptFile

LOG = logging.getLogger("ocpp_uplink")


class Reservations:
    """The room of this profile. `statuses` tells what each connector is now, whether it is reserved or not."""

    def __init__(self, file: KeptFile, statuses: Callable[[], Mapping[int, Status]]) -> None:
        self._file, self._statuses = file, statuses
        self._book: Book = file.read(reservations.from_json, ())

    def handlers(self) -> Handlers:
        """Return the calls that are answered here."""
        return {"ReserveNow": self._reserve, "CancelReservation": self._cancel}

    def follow(self, now: int) -> None:
        """Forget what has expired [s, UTC]."""
        self._keep(reservations.current(self._book, now))

    def is_reserved(self, connector: int) -> bool:
        """Return whether a connector shows Reserved while nobody uses it."""
        return reservations.is_reserved(self._book, connector)

    def bars(self, connector: int, token: str, parent: str) -> bool:
        """Return whether a token may not use a connector, because others have reserved it."""
        return bool(self._book) and reservations.bars(self._book, connector, token, parent, self._statuses())

    def use(self, connector: int, token: str, parent: str) -> int | None:
        """Return the number of the reservation that a transaction ends by its begin, None where it had none."""
        found = reservations.used_by(self._book, connector, token, parent)
        if found is None:
            return None
        self._keep(reservations.cancel(self._book, found.number)[1])
        return found.number

    def _keep(self, book: Book) -> bool:
        """Take a book; returns whether it is on disk. One that only forgets is taken either way: after a restart it is followed again."""
        kept = book == self._book or self._file.write(reservations.as_json(book))
        if kept or set(book) < set(self._book):
            self._book = book
        return kept

    # Calls of the CSMS

    def _reserve(self, payload: Payload, now: int) -> Payload:
        try:
            word, book = reservations.reserve(reservations.current(self._book, now), payload, self._statuses(), now)
        except NoTime as error:
            raise Refused("PropertyConstraintViolation", str(error)) from error
        return {"status": word if word != "Accepted" or self._keep(book) else "Rejected"}

    def _cancel(self, payload: Payload, now: int) -> Payload:
        word, book = reservations.cancel(reservations.current(self._book, now), payload["reservationId"])
        return {"status": word if self._keep(book) else "Rejected"}
