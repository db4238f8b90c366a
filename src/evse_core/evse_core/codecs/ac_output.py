"""What takes the place of power modules and of a vehicle on a bus where an AC output hangs on the I/O board: reports of the board's AC side for can_bridge."""

from math import inf, isfinite

from evse_core.codecs.io_board import MAINS, POWERS, IoBoard
from evse_core.frame import Frame
from evse_core.types import CutCause, PowerReport, VehicleReport

# Below it there is no mains: all mains of 100 to 240 V less 15 % lie above. Own choice. [V]
LEAST_MAINS = 80.0


class AcOutput:
    """The AC output of one EVSE as the board measures it."""

    def __init__(self, board: IoBoard) -> None:
        self._board = board

    @property
    def changes(self) -> int:
        """Count of frames of the board that said something new or closed a period."""
        return self._board.changes

    @property
    def pulse(self) -> float:
        """Time of the newest powers. [s]"""
        return self._board.received(POWERS)

    def report(self, now: float) -> PowerReport:
        """Return mean voltage, sum of the active currents, and whether there is mains."""
        ac = self._board.ac(now)
        voltages = [value for value in (ac.voltage_l1, ac.voltage_l2, ac.voltage_l3) if isfinite(value)]
        powers = [value for value in (ac.power_l1, ac.power_l2, ac.power_l3) if isfinite(value)]
        if not voltages or not powers:
            return PowerReport()
        voltage = sum(voltages) / len(voltages)
        return PowerReport(
            complete=True,
            age=now - min(self._board.received(MAINS), self._board.received(POWERS)),
            voltage=voltage,
            current=sum(powers) / voltage if voltage >= LEAST_MAINS else 0.0,
            enabled=voltage >= LEAST_MAINS,
        )

    @property
    def current(self) -> float:
        """Sum of the active currents as measured last [A], NaN where it is not known."""
        return self.report(self.pulse).current

    def begin_session(self) -> None:
        """Take that a session has been announced: nothing to an AC output."""

    def enabled_now(self, now: float, limit: float) -> bool:
        """Return whether there is mains, measured at most limit ago. [s]"""
        return now - self.pulse <= limit and self.report(now).enabled


class NoModules:
    """The words to power modules where there are none."""

    def frames(self, *_: object) -> list[Frame]:
        """Return what they are told: nothing."""
        return []


class NoVehicle:
    """A vehicle that talks by its control pilot only: nothing on a bus."""

    LED_BY_STATION = True

    def reset(self) -> None:
        """Forget nothing."""

    def cut_cause(self, _: float) -> CutCause:
        """Return that nothing on a bus asks for a cut."""
        return CutCause.NONE

    def times(self) -> tuple[float, ...]:
        """Return that nothing runs out."""
        return ()

    def known(self) -> VehicleReport:
        """Return what a vehicle on a bus has told: nothing."""
        return _NO_VEHICLE

    def silence(self, _: float) -> float:
        """Return how long the vehicle has been silent on its bus [s]: for ever."""
        return inf

    def frames(self, *_: object) -> list[Frame]:
        """Return what it is told on a bus: nothing."""
        return []


_NO_VEHICLE = VehicleReport()
