"""What the buses showed around a disturbance: when power was withdrawn, when the current was gone, whether it came back, and whether too much flowed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isnan, nan

from evse_core.codecs.signals import Decoded, Malformed, SignalDatabase, UnknownId
from evse_nodes.can_bus import CanPort
from evse_nodes.databases import load as load_database
from evse_tools.graph_links import Power, Signal

# Current below which the output counts as off (../shared/reference/can.md 4: an emergency end gets below 5 A). [A]
NO_CURRENT = 5.0
# What flows beyond this over the vehicle's request is too much: 10 % and 10 A (../shared/reference/can.md 2.4). [1], [A]
EXCESS, TOLERANCE = 1.1, 10.0


@dataclass
class PowerWatch:
    """Times in monotonic seconds, NaN where it has not happened since `mark`."""

    power: Power
    command: float = 0.0
    current: float = 0.0
    since: float = inf
    withdrawn: float = nan
    off: float = nan
    came_back: bool = False
    level: float = 0.0
    request: float = 0.0
    excess: float = 0.0
    _excess_since: float = nan

    def __post_init__(self) -> None:
        self._databases: dict[str, SignalDatabase] = {bus: load_database(name) for bus, name in self.power.databases.items()}

    def mark(self) -> None:
        """Begin to judge: something is disturbed now."""
        self.since, self.withdrawn, self.off, self.came_back = time.monotonic(), nan, nan, False
        self.level, self.excess, self._excess_since = self.current, 0.0, nan

    @property
    def powered(self) -> bool:
        """The station commands power to the output."""
        return self.command not in self.power.harmless

    @property
    def flows(self) -> bool:
        """Current flows."""
        return abs(self.current) > NO_CURRENT

    def take(self, ports: Mapping[str, CanPort]) -> None:
        """Learn from the frames that have come on the buses."""
        for bus, port in ports.items():
            for received in port.drain():
                try:
                    decoded = self._databases[bus].decode(received.frame)
                except (Malformed, UnknownId):
                    continue
                self._learn(bus, decoded, received.at)

    def _learn(self, bus: str, frame: Decoded, at: float) -> None:
        if (request := _value(self.power.request, bus, frame)) is not None:
            self.request = request
        if (command := _value(self.power.command, bus, frame)) is not None:
            self.command = command
            if at > self.since and isnan(self.withdrawn) and not self.powered:
                self.withdrawn = at
        if (current := _value(self.power.current, bus, frame)) is not None:
            self.current = current
            if at > self.since:
                self._watch_current(at)

    def _watch_current(self, at: float) -> None:
        if self.flows:
            self.came_back = self.came_back or not isnan(self.off)
            self.off = nan
        elif isnan(self.off):
            self.off = at
        if abs(self.current) > self.request * EXCESS + TOLERANCE:
            self._excess_since = at if isnan(self._excess_since) else self._excess_since
            self.excess = max(self.excess, at - self._excess_since)
        else:
            self._excess_since = nan


def _value(signal: Signal, bus: str, frame: Decoded) -> float | None:
    """Return what a frame says of a signal; None where it is another frame."""
    if (bus, frame.name) != (signal.bus, signal.frame):
        return None
    return max(frame.signals[name] for name in signal.names)
