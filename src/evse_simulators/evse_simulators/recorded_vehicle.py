"""A vehicle that is played from a CAN log: its recorded frames on the bus, and on its lines what the log implies. No rule of a vehicle is in here.

Theory of operation. A recorded vehicle waited for the recorded charger: it closed its contactor some time after d2, asked for current after that, and so on. So
the clock of the log follows the charger at hand ("in step"): it stops before a moment that belongs to the recorded charger (a Mark: its first frame, lock,
ready, charging, stop ...) until this charger has come as far, and the vehicle goes on repeating its last frames meanwhile; where this charger is there
earlier, it leaps to that moment, and what it leaps over is not sent. From mark to mark the log's own timing holds. In an open loop the log's clock only runs.

On the lines: plugged in; switch k as 0x102 byte 5.0 says; the contactor as the log says, as far as its coil is fed through d1 and d2 (can.md 2.2), except
where the log shows that it was closed without; the battery's voltage from the recorded charger's readings less their drop over RESISTANCE.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, nan

from evse_core.codecs.chademo_charger import ChademoCharger
from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_core.sample import fresh
from evse_core.types import SimStationLines, SimVehicleLines, VehicleCommand
from evse_simulators.battery import BatteryConfig
from evse_simulators.faults import VEHICLE
from evse_simulators.simulated_vehicle import INPUT_LIMIT, SimulatedVehicle, VehicleOutput

# Battery, fuse and cables inside the vehicle. Own choice, as circuit.Load. [ohm]
RESISTANCE = 0.1
# The output is down below this: can.md 2.3, E4 and E6. [V]
LOW = 10.0
# An identifier that is heard so soon after the first frame belongs to the vehicle's first cycle. [s]
FIRST_CYCLE = 0.5
# Period of an identifier that the log has only once: can.md 2.1. [s]
PERIOD = 0.1


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the recorded charger: its name (one of SEEN), when it was [s of the log]. is_driver: here somebody stopped at the recorded charger."""

    name: str
    t: float
    is_driver: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """What a log says of its vehicle. Times in seconds of the log; spans as (begin, end); volts by time, rising."""

    frames: Sequence[tuple[float, Frame]]
    marks: Sequence[Mark]
    permitted: Sequence[tuple[float, float]]
    closed: Sequence[tuple[float, float]]
    welded: Sequence[tuple[float, float]]
    volts: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Passed:
    """A mark that this charger reached: when [s since the vehicle's first frame], and how long the log's clock stood for it; negative: it leapt ahead. [s]"""

    mark: Mark
    at: float
    waited: float


# What shows that the charger at hand has come to a mark: by its frames; that it is ready, by d2.
SEEN: Mapping[str, Callable[[VehicleCommand, SimStationLines], bool]] = {
    "first frame": lambda said, lines: said.transmit,
    "locked": lambda said, lines: said.connector_locked,
    "ready": lambda said, lines: lines.sequence_2,
    "charging": lambda said, lines: said.charging,
    "stopping": lambda said, lines: said.stop_control,
    "current off": lambda said, lines: not said.charging,
    "output down": lambda said, lines: said.present_voltage <= LOW,
    "unlocked": lambda said, lines: not said.connector_locked,
}


@dataclass
class Clock:
    """Where the log stands: seconds of the log at a moment of the present, and since when it stands still (infinite: it runs)."""

    t: float
    at: float
    held_since: float = inf
    passed: list[Passed] = field(default_factory=list)


class RecordedVehicle(SimulatedVehicle):
    """A SimulatedVehicle that is played. `wire` keeps what it sent and heard, with monotonic times [s]."""

    PLUG_LOST = "plug_lost"

    def __init__(self, config: BatteryConfig, database: SignalDatabase, recording: Recording, *, in_step: bool = True) -> None:
        super().__init__(config, VEHICLE)
        self._recording, self._in_step = recording, in_step
        self._charger = ChademoCharger(database)
        self._begin = recording.frames[0][0]
        self._end = recording.frames[-1][0]
        self._clock: Clock | None = None
        self._started = nan
        self._next = self._mark = 0
        self._current: dict[int, Frame] = {}
        for t, frame in recording.frames:
            if t <= self._begin + FIRST_CYCLE:
                self._current.setdefault(frame.id, frame)
        self._periods = _periods(recording.frames)
        self._sent: dict[int, float] = {}
        self.wire: list[tuple[float, Frame]] = []
        self.repeated = self.skipped = 0

    # How it stands

    @property
    def t(self) -> float:
        """Where the log stands [s of the log]."""
        return self._clock.t if self._clock is not None else self._begin

    @property
    def started(self) -> float:
        """When the vehicle woke up [s, monotonic], NaN before."""
        return self._started

    @property
    def passed(self) -> Sequence[Passed]:
        """The marks that the charger at hand has come to, in order."""
        return tuple(self._clock.passed) if self._clock is not None else ()

    @property
    def waits_for(self) -> Mark | None:
        """The mark before which the log stands, None where it runs."""
        return self._recording.marks[self._mark] if self._clock is not None and self._clock.held_since < inf else None

    def waited(self, now: float) -> float:
        """Return how long it has stood [s]."""
        return max(now - self._clock.held_since, 0.0) if self._clock is not None else 0.0

    @property
    def wants_stop(self) -> bool:
        """Somebody stopped at the recorded charger now, or the log is over while it charges: the driver is to press stop."""
        mark = self.waits_for
        return (mark is not None and mark.is_driver) or (self.is_over and self._charger.said().charging)

    @property
    def is_over(self) -> bool:
        """The log has been played to its end."""
        return self._clock is not None and self._clock.t >= self._end

    @property
    def locked(self) -> bool:
        """The station's lock holds the connector."""
        return self._station is not None and self._station.value.locked

    @property
    def contactor_closed(self) -> bool:
        """The vehicle's contactor."""
        lines = self._lines_now
        fed = lines.sequence_1 and lines.sequence_2
        return self.plugged and (_within(self._recording.welded, self.t) or (fed and _within(self._recording.closed, self.t)))

    @property
    def running(self) -> bool:
        """The log is being played."""
        return self._clock is not None and not self.is_over

    @property
    def emergency(self) -> bool:
        """A CHAdeMO vehicle cuts power through the station."""
        return False

    @property
    def request(self) -> float:
        """The current that is asked for now [A], 0x102 byte 3."""
        frame = self._current.get(0x102)
        return float(frame.data[3]) if frame is not None and len(frame.data) > 3 else 0.0

    @property
    def phase_name(self) -> str:
        """Where the log stands."""
        mark = self.waits_for
        return f"{self.t:.1f} s of the log" + (f", waits for: {mark.name}" if mark is not None else "")

    @property
    def end(self) -> str:
        """Why it ended."""
        return "the log is over" if self.is_over else ""

    @property
    def permission(self) -> bool:
        """Switch k."""
        return self.plugged and self._clock is not None and _within(self._recording.permitted, self.t)

    @property
    def _lines_now(self) -> SimStationLines:
        return self._station.value if self._station is not None else SimStationLines()

    # Inputs

    def on_frame(self, frame: Frame, now: float) -> None:
        """Take a frame of the charger."""
        self.wire.append((now, frame))
        try:
            self._charger.receive(frame, now)
        except (UnknownId, Malformed):
            return

    # One step

    def step(self, now: float) -> VehicleOutput:
        """Go on to now [s]: the vehicle wakes up with sequence signal 1."""
        lines = fresh(self._station, now, INPUT_LIMIT) or SimStationLines()
        if self._clock is None and self.plugged and lines.sequence_1:
            self._clock, self._started = Clock(self._begin, now), now
        if self._clock is None:
            return VehicleOutput((), self.lines())
        before = self._clock.t
        self._run(self._clock, lines, now)
        frames = self._due(before, now)
        self.wire += [(now, frame) for frame in frames]
        return VehicleOutput(frames, self.lines())

    def _run(self, clock: Clock, lines: SimStationLines, now: float) -> None:
        """Let the log's clock run, stand, or leap."""
        target = clock.t + now - clock.at
        while self._in_step and self._mark < len(self._recording.marks):
            mark = self._recording.marks[self._mark]
            if SEEN[mark.name](self._charger.said(), lines):
                waited = now - clock.held_since if clock.held_since < inf else min(target - mark.t, 0.0)
                clock.passed.append(Passed(mark, now - self._started, waited))
                target, clock.held_since, self._mark = max(mark.t, clock.t), inf, self._mark + 1
            elif target >= mark.t:
                clock.held_since = min(clock.held_since, now)
                target = max(clock.t, mark.t)
                break
            else:
                break
        clock.t, clock.at = min(target, self._end), now

    def _due(self, before: float, now: float) -> tuple[Frame, ...]:
        """Return the frames of the log up to its clock; while that stands, the last one of each identifier at its own pace."""
        assert self._clock is not None
        found: list[Frame] = []
        leapt = self._clock.t - before > FIRST_CYCLE
        while self._next < len(self._recording.frames) and self._recording.frames[self._next][0] <= self._clock.t:
            frame = self._recording.frames[self._next][1]
            self._current[frame.id] = frame
            self._next += 1
            if leapt:
                self.skipped += 1
            else:
                found.append(frame)
                self._sent[frame.id] = now
        if not self.is_over or self._charger.said().charging:
            for identifier, frame in self._current.items():
                # A frame of the running log may be late by its own jitter; who is silent in the log stays silent.
                standing = self._clock.held_since < inf or leapt or self.is_over
                if standing and now - self._sent.get(identifier, -inf) >= self._periods.get(identifier, PERIOD):
                    found.append(frame)
                    self._sent[identifier] = now
                    self.repeated += 1
        return tuple(found)

    def lines(self) -> SimVehicleLines:
        """Return what the vehicle puts on the cable now."""
        return SimVehicleLines(
            plugged=self.plugged,
            permission=self.permission,
            contactor_closed=self.contactor_closed,
            battery_voltage=_value(self._recording.volts, self.t),
            battery_resistance=RESISTANCE,
            soc_percent=nan,
            energy_wh=self.energy_wh,
            given_wh=self.given_wh,
        )


def _within(spans: Sequence[tuple[float, float]], t: float) -> bool:
    return any(begin <= t < end for begin, end in spans)


def _value(points: Sequence[tuple[float, float]], t: float) -> float:
    """Return the last value at a time, the first one before; NaN without any."""
    if not points:
        return nan
    return points[max(bisect_right(points, t, key=lambda point: point[0]) - 1, 0)][1]


def _periods(frames: Sequence[tuple[float, Frame]]) -> dict[int, float]:
    """Return the mean period of each identifier in its first second [s]."""
    times: dict[int, list[float]] = {}
    for t, frame in frames:
        times.setdefault(frame.id, []).append(t)
    firsts = {identifier: found[: max(2, round(1.0 / PERIOD))] for identifier, found in times.items()}
    return {identifier: (found[-1] - found[0]) / (len(found) - 1) for identifier, found in firsts.items() if len(found) > 1}
