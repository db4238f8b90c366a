"""Parameters of the recorder."""

from dataclasses import dataclass

from evse_core.parameter import parameter


@dataclass(frozen=True, slots=True)
class RecorderConfig:
    """Where recordings go, and how much of the disk they may take."""

    directory: str = parameter("recordings", "", "Folder for recordings, one folder below it per run.", "own choice")
    station: str = parameter("station", "", "Name of the station, part of a recording's name.", "own choice")
    evses: tuple[int, ...] = parameter((1,), "", "Numbers of the EVSEs whose topics are recorded.", "own choice")
    per_session: bool = parameter(
        True, "", "One recording per session of an EVSE, with the time around it; false: everything, all the time.", "own choice"
    )
    before: float = parameter(30.0, "s", "Time before a session that its recording has.", "own: plugging in, and six snapshots", 0.0, 600.0)
    after: float = parameter(30.0, "s", "Time after a session that its recording has.", "own: receipt, unplugging", 0.0, 3600.0)
    max_megabytes: float = parameter(
        256.0,
        "MB",
        "A recording that grows beyond this is closed, and the next part begins.",
        "half a day of one EVSE, measured",
        0.01,
        100_000.0,
    )
    max_hours: float = parameter(
        6.0, "h", "A recording that is open for longer is closed, and the next part begins.", "own choice", 0.001, 1000.0
    )
    keep: int = parameter(1000, "1", "Number of recordings (parts) kept, the oldest are deleted.", "own choice", 1, 1_000_000)
    keep_megabytes: float = parameter(
        10_000.0, "MB", "Room that recordings may take in all, the oldest are deleted.", "own choice", 1.0, 100_000_000.0
    )
    keep_days: float = parameter(90.0, "d", "Recordings that were closed longer ago are deleted.", "own choice", 0.01, 10_000.0)
    min_free_megabytes: float = parameter(
        200.0, "MB", "Recording stops where less of the disk is free: billing records need the room.", "own choice", 0.0, 1_000_000.0
    )
    flush_period: float = parameter(1.0, "s", "Longest time between a message and its arrival in the file.", "own choice", 0.05, 60.0)
    queue_megabytes: float = parameter(
        16.0, "MB", "Messages waiting for the disk; what comes on top is dropped and counted.", "own choice", 0.1, 1000.0
    )
