"""What the station commands the I/O board (IO_Outputs of config/can/io_board.dbc); without a command, everything open and nothing signalled."""

from collections.abc import Mapping
from dataclasses import dataclass

# Pilot_Current: raw value that says that none is signalled, as a physical one (config/can/io_board.dbc). [A]
NO_CURRENT = 6553.5


@dataclass(frozen=True, slots=True)
class Commands:
    """One command frame, or what holds without one."""

    sequence_1: bool = False
    sequence_2: bool = False
    close: bool = False
    pilot_current: float = NO_CURRENT
    pilot_unavailable: bool = False
    residual_current_test: bool = False
    phases: int = 1


def read_commands(signals: Mapping[str, float]) -> Commands:
    """Return what a frame commands; a frame of an older station ends earlier."""
    flags = (
        bool(signals.get(name, 0.0))
        for name in ("Sequence_1", "Sequence_2", "Close_Contactor", "Pilot_Unavailable", "Residual_Current_Test")
    )
    first, second, close, unavailable, test = flags
    phases = 3 if int(signals.get("Phases", 0.0)) == 3 else 1
    return Commands(first, second, close, signals.get("Pilot_Current", NO_CURRENT), unavailable, test, phases)
