"""What the buses showed around a disturbance: when power was withdrawn, when the current was gone, whether it came back, and whether too much flowed."""

import time
from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import Any

from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_nodes.can_bus import CanPort
from evse_nodes.databases import load as load_database

# Current below which the output counts as off (../shared/reference/can.md 4: an emergency end gets below 5 A). [A]
NO_CURRENT = 5.0
# Power_Function of DC_Power_Control that puts no power on the output: Off, Standby (config/can/evse_v3.dbc).
HARMLESS = (0.0, 1.0)
# What flows beyond this over the vehicle's request is too much: 10 % and 10 A (../shared/reference/can.md 2.4). [1], [A]
EXCESS, TOLERANCE = 1.1, 10.0


@dataclass
class PowerWatch:
    """Times in monotonic seconds, NaN where it has not happened since `mark`."""

    function: float = 0.0
    current: float = 0.0
    since: float = inf
    withdrawn: float = nan
    off: float = nan
    came_back: bool = False
    level: float = 0.0
    request: float = 0.0
    excess: float = 0.0
    _excess_since: float = nan
    _databases: tuple[SignalDatabase, ...] = field(default_factory=lambda: (load_database("evse_v3"), load_database("chademo")))

    def mark(self) -> None:
        """Begin to judge: something is disturbed now."""
        self.since, self.withdrawn, self.off, self.came_back = time.monotonic(), nan, nan, False
        self.level, self.excess, self._excess_since = self.current, 0.0, nan

    @property
    def powered(self) -> bool:
        """The station commands power to the output."""
        return self.function not in HARMLESS

    @property
    def flows(self) -> bool:
        """Current flows."""
        return abs(self.current) > NO_CURRENT

    def take(self, power: CanPort, vehicle: CanPort) -> None:
        """Learn from the frames that have come on both buses."""
        for port, database in zip((power, vehicle), self._databases, strict=True):
            for received in port.drain():
                try:
                    decoded = database.decode(received.frame)
                except (Malformed, UnknownId):
                    continue
                self._learn(decoded.name, decoded.signals, received.at)

    def _learn(self, name: str, signals: Any, at: float) -> None:
        if name == "Power_Modules_Status":
            self.current = signals["Present_Current"]
            if at > self.since:
                self._watch_current(at)
        elif name == "EV_Status":
            self.request = signals["charging_current_request"]
        elif name == "DC_Power_Control":
            self.function = signals["Power_Function"]
            if at > self.since and isnan(self.withdrawn) and not self.powered:
                self.withdrawn = at

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
