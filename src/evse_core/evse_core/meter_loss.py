"""Losses in the cable behind the meter: how much of what the meter counts does not reach the vehicle.

Theory of operation. Between two readings at most `max_gap` apart the loss is the integral of I^2 R, with the squares of the currents averaged; of AC it is
that of each phase. A loss waits until the register that it belongs to has risen, because a register goes in steps and what is taken off may never turn it
back: what is taken off of a rise is at most the rise. So at every moment (register of the meter) = (register of the vehicle's end) + (losses that were taken
off), to the last digit. Of energy from the vehicle the loss is added: the meter sees less than the vehicle gave.
"""

from dataclasses import dataclass

SECONDS_PER_HOUR = 3600.0


@dataclass(slots=True)
class Losses:
    """Losses of one cable. `import_wh` and `export_wh` were taken off or added since the meter was fitted. [Wh]"""

    resistance: float
    import_wh: float = 0.0
    export_wh: float = 0.0
    _waiting: float = 0.0
    _export_waiting: float = 0.0
    _last: tuple[float, float] | None = None

    def reset(self) -> None:
        """Begin a session: what still waits belonged to the one before."""
        self._waiting = self._export_waiting = 0.0

    def on_reading(self, time: float, current_square: float, exporting: bool, max_gap: float) -> None:
        """Take the sum of the squares of the currents [A^2] at a time [s]; over a gap of more than max_gap [s] nothing is known."""
        last, self._last = self._last, (time, current_square)
        if self.resistance <= 0.0 or last is None or not 0.0 < time - last[0] <= max_gap:
            return
        lost = self.resistance * (last[1] + current_square) / 2.0 * (time - last[0]) / SECONDS_PER_HOUR
        if exporting:
            self._export_waiting += lost
        else:
            self._waiting += lost

    def on_rise(self, import_wh: float, export_wh: float) -> tuple[float, float]:
        """Take off what waits, at most the rises of the meter's registers [Wh]; return what was taken off and what was added."""
        taken, added = min(self._waiting, max(import_wh, 0.0)), self._export_waiting if export_wh > 0.0 else 0.0
        self.import_wh, self.export_wh = self.import_wh + taken, self.export_wh + added
        self._waiting, self._export_waiting = self._waiting - taken, self._export_waiting - added
        return taken, added
