"""Listen to a CHAdeMO bus and remember what was said: the observer behind `station analyze`.

It only listens. `feed` takes the frames of one connector's bus in the order of time, `finish` returns an Observation: the history of every signal, the
charger's readings, who spoke when. What the observation means is told by chademo_output.py (whose voltage), chademo_steps.py (how far), chademo_verdict.py
(what ended it, who, why) and chademo_quirks.py (what was odd). Bits and times: ../shared/reference/can.md section 2. Nothing analogue (d1, d2, k, lock,
proximity) is visible on the bus.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from evse_core.codecs.signals import Decoded, Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame

VEHICLE_MESSAGES = ("EV_ChargingLimits", "EV_ChargingTime", "EV_Status")
CHARGER_MESSAGES = ("SE_Capability", "SE_Status")
CORE_IDS = frozenset({0x100, 0x101, 0x102, 0x108, 0x109})
# A party that sends every 100 ms and says nothing for this long is lost: can.md 2.3 and 2.4. [s]
LOSS = 1.0
# A pause of both parties after which a new start is a new session; d1 is open by then (can.md 2.3, E5). [s]
NEW_SESSION = 5.0

PROTOCOL_EV, PROTOCOL_SE = "EV_Status.control_protocol_number", "SE_Status.control_protocol_number"
TARGET, REQUEST = "EV_Status.target_battery_voltage", "EV_Status.charging_current_request"
ENABLED, NOT_PARKED = "EV_Status.status_charging_enabled", "EV_Status.status_shift_not_parked"
SYSTEM_FAULT, CONTACTOR_OPEN = "EV_Status.status_charging_system_fault", "EV_Status.status_contactor_open"
NORMAL_STOP, CHARGED = "EV_Status.status_normal_stop_request", "EV_Status.charged_rate"
OVERVOLTAGE, UNDERVOLTAGE = "EV_Status.fault_battery_overvoltage", "EV_Status.fault_battery_undervoltage"
CURRENT_DEVIATION, VOLTAGE_DEVIATION = "EV_Status.fault_current_deviation", "EV_Status.fault_voltage_deviation"
TEMPERATURE = "EV_Status.fault_high_battery_temperature"
MAX_BATTERY_VOLTAGE, MIN_BATTERY_VOLTAGE = "EV_ChargingLimits.max_battery_voltage", "EV_ChargingLimits.min_battery_voltage"
MIN_CURRENT, MAX_CURRENT = "EV_ChargingLimits.min_charge_current", "EV_ChargingLimits.max_charge_current"
REFERENCE = "EV_ChargingLimits.charged_rate_reference"
TIME_10S, TIME_MIN = "EV_ChargingTime.max_charging_time_10s", "EV_ChargingTime.max_charging_time_min"
TIME_ESTIMATE, CAPACITY = "EV_ChargingTime.estimated_charging_time", "EV_ChargingTime.total_battery_capacity"
WELDING = "SE_Capability.welding_detection_support"
AVAILABLE_VOLTAGE, AVAILABLE_CURRENT = "SE_Capability.available_output_voltage", "SE_Capability.available_output_current"
THRESHOLD = "SE_Capability.threshold_voltage"
VOLTAGE, CURRENT = "SE_Status.present_output_voltage", "SE_Status.present_output_current"
CHARGING, MALFUNCTION = "SE_Status.status_charging", "SE_Status.status_charger_malfunction"
LOCKED, INCOMPATIBLE = "SE_Status.status_connector_locked", "SE_Status.status_battery_incompatible"
SYSTEM_MALFUNCTION, STOP = "SE_Status.status_charging_system_malfunction", "SE_Status.status_stop_control"
LEFT_10S, LEFT_MIN = "SE_Status.remaining_charging_time_10s", "SE_Status.remaining_charging_time_min"
V2X = "SE_Status.discharge_compatible"

# Where each signal stands in its frame, as people in the field write it: can.md 2.1.
PLACE: Mapping[str, str] = {
    MIN_CURRENT: "0x100 byte 0",
    MAX_CURRENT: "0x100 byte 1",
    MIN_BATTERY_VOLTAGE: "0x100 bytes 2-3",
    MAX_BATTERY_VOLTAGE: "0x100 bytes 4-5",
    REFERENCE: "0x100 byte 6",
    TIME_10S: "0x101 byte 1",
    TIME_MIN: "0x101 byte 2",
    TIME_ESTIMATE: "0x101 byte 3",
    CAPACITY: "0x101 bytes 5-6",
    PROTOCOL_EV: "0x102 byte 0",
    TARGET: "0x102 bytes 1-2",
    REQUEST: "0x102 byte 3",
    OVERVOLTAGE: "0x102 byte 4.0",
    UNDERVOLTAGE: "0x102 byte 4.1",
    CURRENT_DEVIATION: "0x102 byte 4.2",
    TEMPERATURE: "0x102 byte 4.3",
    VOLTAGE_DEVIATION: "0x102 byte 4.4",
    ENABLED: "0x102 byte 5.0",
    NOT_PARKED: "0x102 byte 5.1",
    SYSTEM_FAULT: "0x102 byte 5.2",
    CONTACTOR_OPEN: "0x102 byte 5.3",
    NORMAL_STOP: "0x102 byte 5.4",
    CHARGED: "0x102 byte 6",
    WELDING: "0x108 byte 0",
    AVAILABLE_VOLTAGE: "0x108 bytes 1-2",
    AVAILABLE_CURRENT: "0x108 byte 3",
    THRESHOLD: "0x108 bytes 4-5",
    PROTOCOL_SE: "0x109 byte 0",
    VOLTAGE: "0x109 bytes 1-2",
    CURRENT: "0x109 byte 3",
    V2X: "0x109 byte 4.0",
    CHARGING: "0x109 byte 5.0",
    MALFUNCTION: "0x109 byte 5.1",
    LOCKED: "0x109 byte 5.2",
    INCOMPATIBLE: "0x109 byte 5.3",
    SYSTEM_MALFUNCTION: "0x109 byte 5.4",
    STOP: "0x109 byte 5.5",
    LEFT_10S: "0x109 byte 6",
    LEFT_MIN: "0x109 byte 7",
}
# The bits that a time line shows, vehicle first.
FLAGS = tuple(name for name in PLACE if "." in PLACE[name])


@dataclass(slots=True)
class Track:
    """The history of one signal: the times at which its value changed, the first value included."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, t: float, value: float) -> None:
        if not self.values or value != self.values[-1]:
            self.times.append(t)
            self.values.append(value)

    def at(self, t: float) -> float | None:
        """Return the value that was last said at time t, None before the first."""
        index = bisect_right(self.times, t) - 1
        return self.values[index] if index >= 0 else None

    def points(self) -> Iterator[tuple[float, float]]:
        return zip(self.times, self.values, strict=True)

    def first(self, test: Callable[[float], bool], after: float = float("-inf")) -> float | None:
        """Return the earliest time, not before `after`, at which the value passes the test."""
        now = self.at(after)
        if now is not None and test(now):
            return after
        return next((t for t, value in self.points() if t > after and test(value)), None)

    def set_at(self, after: float = float("-inf")) -> float | None:
        """Return when the signal is first seen other than 0, from `after` on; its first value counts."""
        return self.first(bool, after)

    def rises(self) -> list[float]:
        """Return the times at which the signal changed from 0 to another value; a first value is no change."""
        return [t for (_, before), (t, after) in pairwise(self.points()) if not before and after]

    def falls(self) -> list[float]:
        """Return the times at which the signal changed to 0; a first value is no change."""
        return [t for (_, before), (t, after) in pairwise(self.points()) if before and not after]

    @property
    def last(self) -> float | None:
        return self.values[-1] if self.values else None

    def intervals(self, end: float) -> list[tuple[float, float]]:
        """Return the spans in which the signal was not 0."""
        stops = [*self.times[1:], end][: len(self.times)]
        return [(start, stop) for start, stop, value in zip(self.times, stops, self.values, strict=True) if value]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the charger measured at its output, 0x109: volts, amperes."""

    t: float
    voltage: float
    current: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """How one identifier was sent: number of frames, first and last time, median period, pauses longer than LOSS / 3 as (start, end). [s]"""

    count: int
    first: float
    last: float
    period: float | None
    pauses: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that one session said on the bus. Times are seconds of the given frames; start and end are the first and last frame of any kind."""

    start: float
    end: float
    tracks: Mapping[str, Track]
    readings: tuple[Reading, ...]
    traffic: Mapping[int, Traffic]
    names: Mapping[int, str]
    malformed: int

    def track(self, name: str) -> Track:
        return self.tracks.get(name) or Track()

    def spans(self, name: str) -> list[tuple[float, float]]:
        """Return when a flag was 1, at most to the last frame that carried it."""
        last = self.last_of((name.split(".", maxsplit=1)[0],))
        return [] if last is None else self.track(name).intervals(last)

    def frames(self, messages: Sequence[str]) -> list[Traffic]:
        """Return the traffic of these messages, as far as they were seen."""
        return [self.traffic[identifier] for identifier, name in self.names.items() if name in messages]

    def first_of(self, messages: Sequence[str]) -> float | None:
        return min((traffic.first for traffic in self.frames(messages)), default=None)

    def last_of(self, messages: Sequence[str]) -> float | None:
        return max((traffic.last for traffic in self.frames(messages)), default=None)

    def reading_at(self, t: float) -> Reading | None:
        """Return the charger's last reading at time t."""
        index = bisect_right(self.readings, t, key=lambda reading: reading.t) - 1
        return self.readings[index] if index >= 0 else None

    def readings_in(self, start: float, end: float) -> Sequence[Reading]:
        """Return the readings with start <= t <= end."""
        low = bisect_right(self.readings, start - 1e-9, key=lambda reading: reading.t)
        return self.readings[low : bisect_right(self.readings, end, key=lambda reading: reading.t)]


class ChademoSession:
    """Collects one session from frames in the order of time; frames of no CHAdeMO message only count as traffic."""

    def __init__(self, database: SignalDatabase) -> None:
        self._database = database
        self._decoded: dict[tuple[int, bytes], Decoded] = {}
        self._tracks: dict[str, Track] = {}
        self._times: dict[int, list[float]] = {}
        self._names: dict[int, str] = {}
        self._readings: list[Reading] = []
        self._malformed = 0
        self._start: float | None = None
        self._end = 0.0

    def feed(self, t: float, frame: Frame) -> None:
        """Take one frame. t: seconds, never less than before."""
        self._start, self._end = t if self._start is None else self._start, t
        if frame.extended:
            return
        self._times.setdefault(frame.id, []).append(t)
        decoded = self._decode(frame)
        if decoded is None:
            return
        self._names[frame.id] = decoded.name
        for name, value in decoded.signals.items():
            self._tracks.setdefault(f"{decoded.name}.{name}", Track()).add(t, value)
        if decoded.name == "SE_Status" and "present_output_current" in decoded.signals:
            self._readings.append(Reading(t, decoded.signals["present_output_voltage"], decoded.signals["present_output_current"]))
        if decoded.name in {"EV_Status", "EV_ExtendedFunction"}:
            self._note_request(t)

    def finish(self) -> Observation:
        """Return what was observed so far."""
        return Observation(
            start=self._start or 0.0,
            end=self._end,
            tracks=self._tracks,
            readings=tuple(self._readings),
            traffic={identifier: _traffic(times) for identifier, times in sorted(self._times.items())},
            names=dict(self._names),
            malformed=self._malformed,
        )

    def _decode(self, frame: Frame) -> Decoded | None:
        """Decode once per payload: a bus repeats itself. The memory is bounded against buses of noise."""
        key = (frame.id, frame.data)
        if key not in self._decoded:
            if len(self._decoded) > 50_000:
                self._decoded.clear()
            try:
                self._decoded[key] = self._database.decode(frame)
            except UnknownId:
                return None
            except Malformed:
                self._malformed += 1
                return None
        return self._decoded[key]

    def _note_request(self, t: float) -> None:
        """Keep the current request: above 254 A byte 3 of 0x102 says 255 and 0x110 carries the value (can.md 2.1)."""
        plain = self._last(REQUEST)
        extended = self._last("EV_ExtendedFunction.high_current_control") and plain == 255
        value = self._last("EV_ExtendedFunction.extended_current_request") if extended else plain
        if value is not None:
            self._tracks.setdefault("request", Track()).add(t, value)

    def _last(self, name: str) -> float | None:
        track = self._tracks.get(name)
        return track.last if track else None


def _traffic(times: Sequence[float]) -> Traffic:
    steps = [later - earlier for earlier, later in pairwise(times)]
    pauses = tuple((earlier, later) for earlier, later in pairwise(times) if later - earlier > LOSS / 3)
    return Traffic(len(times), times[0], times[-1], median(steps) if steps else None, pauses)


def charging_minutes(tens_of_seconds: float | None, minutes: float | None) -> float | None:
    """Return the charging time that a pair of bytes (seconds already scaled) carries [min]; None where it is not known: 0, or 0xFF in both."""
    if tens_of_seconds is not None and 0 < tens_of_seconds < 2550:
        return tens_of_seconds / 60
    return minutes if tens_of_seconds is not None and minutes is not None and 0 < minutes < 255 else None


def state_of_charge(observation: Observation, t: float) -> float | None:
    """Return the state of charge [%] said at time t; None where the vehicle's numbers make none."""
    charged, reference = observation.track(CHARGED).at(t), observation.track(REFERENCE).at(t)
    if charged is None or not reference or charged > reference:
        return None
    return 100 * charged / reference


def is_plausible(frame: Frame) -> bool:
    """Tell whether a frame with a core identifier can be CHAdeMO: known generations, voltages below 1500 V, unused flag bits 0."""
    data = frame.data
    if frame.extended or frame.id not in CORE_IDS or len(data) < 7:
        return False
    if frame.id == 0x100:
        return int.from_bytes(data[4:6], "little") <= 1500
    if frame.id == 0x101:
        return data[0] == 0
    if frame.id == 0x102:
        return data[0] <= 4 and int.from_bytes(data[1:3], "little") <= 1500 and not data[4] & 0xE0
    if frame.id == 0x108:
        return data[0] <= 1 and int.from_bytes(data[1:3], "little") <= 1500
    return data[0] <= 4 and int.from_bytes(data[1:3], "little") <= 1500 and not data[5] & 0xC0


def split_sessions(frames: Sequence[tuple[float, Frame]]) -> list[list[tuple[float, Frame]]]:
    """Cut one connector's frames where both parties were silent for NEW_SESSION; a pause with charging on both sides is a hole in the recording, no cut."""
    spoken = [(index, t) for index, (t, frame) in enumerate(frames) if frame.id in CORE_IDS and not frame.extended]
    cuts = [0]
    for (_, before), (index, after) in pairwise(spoken):
        if after - before >= NEW_SESSION and not (_is_charging(frames, index - 1, -1) and _is_charging(frames, index, 1)):
            cuts.append(index)
    return [list(frames[start:stop]) for start, stop in pairwise([*cuts, len(frames)]) if stop > start]


def _is_charging(frames: Sequence[tuple[float, Frame]], index: int, direction: int) -> bool:
    while 0 <= index < len(frames):
        frame = frames[index][1]
        if frame.id == 0x109 and not frame.extended and len(frame.data) > 5:
            return bool(frame.data[5] & 1)
        index += direction
    return False
