"""What no single input shows: a clock that jumps, a register that falls, frames and errors of a bus per second.

Theory of operation. Each of the three keeps what it saw last. A jump and a fall are events: they are told for MEMORY, so that a debounce or a reader sees them,
and the new value is what the next one is compared with. Counters of a bus are compared over windows of WINDOW; a can_bridge that was restarted counts from 0
again, which is no rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite

from evse_core.safety_config import SafetyConfig
from evse_core.sample import Sample
from evse_core.types import BusLink, CanBusStatus, CanStatus, MeterReading

# How long an event is told: some steps of 50 ms and readings of 0.25 s. [s]
MEMORY = 1.0
# Counters come ten times a second; a rate over less would be one frame more or less. [s]
WINDOW = 1.0


@dataclass(frozen=True, slots=True)
class BusRate:
    """Frames, and frames that were lost or spoiled, on one bus. [1/s]"""

    link: BusLink
    frames: float
    errors: float


@dataclass(frozen=True, slots=True)
class Trends:
    """What changed lately: the clock [s] and the meter's register [Wh], 0 where they did not jump; the rates of the buses."""

    clock_jump: float = 0.0
    register_fall: float = 0.0
    buses: tuple[BusRate, ...] = ()


@dataclass(slots=True)
class _Event:
    """A size that is told for a while."""

    size: float = 0.0
    at: float = -inf

    def told(self, now: float) -> float:
        return self.size if now - self.at < MEMORY else 0.0


@dataclass(slots=True)
class TrendWatch:
    """Keeps what the last step saw. Call step() once a step."""

    config: SafetyConfig
    _offset: float | None = None
    _jump: _Event = field(default_factory=_Event)
    _registers: dict[str, float] = field(default_factory=dict)
    _fall: _Event = field(default_factory=_Event)
    _began: float = -inf
    _counted: Mapping[BusLink, tuple[int, int]] = field(default_factory=dict)
    _rates: tuple[BusRate, ...] = ()
    _last: Trends = field(default_factory=Trends)

    def step(self, stamp: float, meter: Sample[MeterReading] | None, can: Sample[CanStatus] | None, now: float) -> Trends:
        """Return what changed. stamp: the clock [s] of the machine at now [s] on the steady clock, 0 where unknown."""
        self._watch_clock(stamp, now)
        if meter is not None:
            self._watch_register("register", meter.value.register_wh, now)
            self._watch_register("export register", meter.value.export_register_wh, now)
        if can is not None and can.received - self._began >= WINDOW:
            self._watch_buses(can)
        jump, fall = self._jump.told(now), self._fall.told(now)
        if (jump, fall, self._rates) != (self._last.clock_jump, self._last.register_fall, self._last.buses):
            self._last = Trends(jump, fall, self._rates)
        return self._last

    def _watch_clock(self, stamp: float, now: float) -> None:
        """Both clocks go on alike; somebody who sets one of them changes their difference."""
        if not stamp > 0.0:
            return
        offset = stamp - now
        if self._offset is not None and abs(offset - self._offset) > self.config.clock_jump:
            self._jump = _Event(offset - self._offset, now)
        self._offset = offset

    def _watch_register(self, name: str, register: float, now: float) -> None:
        """Compare with the highest value, so that many small steps back are seen, too."""
        highest = self._registers.get(name, register)
        if highest - register > self.config.register_tolerance:
            self._fall, self._registers[name] = _Event(highest - register, now), register
        elif isfinite(register):
            self._registers[name] = max(highest, register)

    def _watch_buses(self, can: Sample[CanStatus]) -> None:
        counted = {bus.link: _counts(bus) for bus in can.value.buses}
        seconds = can.received - self._began
        if isfinite(self._began):
            self._rates = tuple(
                BusRate(link, *((new - old) / seconds for new, old in zip(counts, self._counted[link], strict=True)))
                for link, counts in counted.items()
                if link in self._counted and all(new >= old for new, old in zip(counts, self._counted[link], strict=True))
            )
        self._counted, self._began = counted, can.received


def _counts(bus: CanBusStatus) -> tuple[int, int]:
    """Return all frames of a bus, and those that were lost or spoiled."""
    return bus.received + bus.sent + bus.unknown_id + bus.malformed + bus.dropped, bus.errors + bus.malformed + bus.dropped
