"""What the keeper of billing records asks of whoever stores them: on disk evse_nodes/ledger.py, in the simulated world evse_simulators/memory_ledger.py."""

from collections.abc import Sequence
from typing import Protocol

from evse_core.energy_meter import EnergyMeter, Stored
from evse_core.energy_meter_read import ReadMeter
from evse_core.session_readings import NO_TIMES, SessionReading, Times
from evse_core.tariff import TariffChange
from evse_core.types import ChargeRecord

Meter = EnergyMeter | ReadMeter


class Store(Stored, Protocol):
    """Register and records of one EVSE, of which neither register ever decreases. A method that raises `Error` has stored nothing.

    Everything that was stored survives the end of the process; begin, readings, end and a durable save also a loss of power, with all that was stored
    before them.
    """

    Error: type[Exception]

    @property
    def times(self) -> Times:
        """Times of the session as they were stored last."""

    def save(self, meter: Meter, stamp: float, durable: bool, times: Times = NO_TIMES) -> None:
        """Store the meter's registers, losses, highest power and counters, with the ROS time [s] and the times of the session.

        Registers of another meter take the place of the old ones.
        """

    def next_number(self) -> int:
        """Return the number of the next record."""

    def begin(self, record: ChargeRecord, phase: str = "") -> None:
        """Store an OPEN record with its begin reading and the register that it begins with; phase: the unit prices that hold."""

    def add(self, record: ChargeRecord, reading: SessionReading) -> None:
        """Store a reading of an OPEN record with its registers."""

    def end(self, record: ChargeRecord) -> None:
        """Store the end of an OPEN record, its last reading and the register that it ends with; one that has ended stays as it is."""

    def readings(self, record: ChargeRecord) -> tuple[SessionReading, ...]:
        """Return the readings of a record in their order."""

    def keep_tariff(self, change: TariffChange) -> None:
        """Store which tariff took the place of the description's."""

    def kept_tariff(self) -> TariffChange | None:
        """Return what was stored by keep_tariff() last."""

    def open_records(self) -> Sequence[ChargeRecord]:
        """Return the records without an end, oldest first."""

    def last(self) -> Sequence[ChargeRecord]:
        """Return the newest records, oldest first."""

    def find(self, session_id: str) -> ChargeRecord | None:
        """Return the record of a session."""
