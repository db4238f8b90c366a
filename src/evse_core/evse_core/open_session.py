"""The session of an open record: its readings so far, its times, the tariff that holds in it, and which reading it asks for."""

from collections.abc import Sequence
from datetime import tzinfo

from evse_core.charge_records import Register
from evse_core.energy_meter import Reading
from evse_core.ocmf import Mark
from evse_core.pricing import Price, price
from evse_core.session_readings import ReadingsWatch, SessionReading, SessionTimes, Times, activity, tariff_of
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, PriceLine, SessionPrice, SessionState


class OpenSession:
    """Made from a record and its readings; times: those stored for it. Times given to its methods are monotonic, stamps ROS time [s]."""

    def __init__(self, record: ChargeRecord, readings: Sequence[SessionReading], times: Times, max_gap: float) -> None:
        self.record, self.readings = record, tuple(readings)
        self._begun_with = tariff_of(record)
        given = [reading.tariff for reading in readings if reading.tariff]
        self.tariff = Tariff.parse(given[-1]) if given else self._begun_with
        self.clock = SessionTimes(max_gap, times)
        self.watch = ReadingsWatch(readings, flowed=times.charging > 0.0)

    @property
    def times(self) -> Times:
        """Times of the session so far."""
        return self.clock.times

    @property
    def priced_since(self) -> float:
        """ROS time of the last reading that changed prices [s]."""
        return next(reading.stamp for reading in reversed(self.readings) if reading.mark in {Mark.BEGIN, Mark.TARIFF_CHANGE})

    def take_tariff(self, tariff: Tariff) -> bool:
        """Have the next reading change to another tariff; returns False where the session has to end with the one that it has."""
        if tariff.can_follow(self._begun_with):
            self.tariff = tariff
            return True
        return False

    def resumed(self) -> None:
        """Note that nobody looked for a while."""
        self.watch.disturb()

    def step(self, session: SessionState | None, age: float, reading: Reading | None, now: float) -> None:
        """Count the time; age of the session_state [s], reading None where the meter is not heard."""
        self.clock.count(activity(session, age, reading), now)

    def due(self, session: SessionState | None, age: float, reading: Reading | None, now: float, stamp: float, zone: tzinfo) -> Mark | None:
        """Return the mark of the reading that is to be taken now, None where none is."""
        other = self.tariff.phase(stamp, zone).text() != self.readings[-1].phase
        return self.watch.due(activity(session, age, reading), reading is not None, other, now)

    def reading(self, mark: Mark, register: Register, zone: tzinfo) -> SessionReading:
        """Return a reading of now; a clock that went back does not put it before the last one."""
        last = self.readings[-1]
        changes = mark is Mark.TARIFF_CHANGE
        text = self.tariff.text()
        return SessionReading(
            last.number + 1,
            mark,
            max(register.stamp, last.stamp),
            register.register_wh,
            register.export_register_wh,
            self.times.charging,
            self.times.idle,
            self.tariff.phase(register.stamp, zone).text() if changes else last.phase,
            text if changes and text != self._holds() else "",
        )

    def _holds(self) -> str:
        """Return the tariff that the readings so far are priced by."""
        return next((reading.tariff for reading in reversed(self.readings) if reading.tariff), self._begun_with.text())

    def taken(self, reading: SessionReading, now: float) -> None:
        """Note that a reading is on disk."""
        self.readings = (*self.readings, reading)
        self.watch.taken(reading.mark, now)

    def price(self, register: Register) -> Price:
        """Return the price so far."""
        present = SessionReading(
            self.readings[-1].number + 1,
            Mark.CHARGING,
            register.stamp,
            register.register_wh,
            register.export_register_wh,
            register.times.charging,
            register.times.idle,
            self.readings[-1].phase,
        )
        return price(self._begun_with, (*self.readings, present))


def session_price(record: ChargeRecord, found: Price, tariff: Tariff, final: bool) -> SessionPrice:
    """Return a price in the words of the topic."""
    return SessionPrice(
        session_id=record.session_id,
        final=final,
        tariff=tariff.name,
        currency=tariff.currency,
        lines=tuple(
            PriceLine(line.what.value, line.quantity_text, line.unit_price_text(tariff.currency), line.amount) for line in found.lines
        ),
        net=found.net,
        tax=found.tax,
        total=found.total,
    )
