"""Write CHAdeMO sessions as a script: values of both parties at times, sent as real frames every 100 ms through the project's own database."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evse_core.chademo_session import ChademoSession, Observation
from evse_core.chademo_verdict import Verdict, judge
from evse_core.codecs.signals import SignalDatabase
from evse_core.frame import Frame

PERIOD = 0.1
CHARGER_DELAY = 0.01
STOPPED, LOCKED, CHARGING = 0x20, 0x24, 0x05  # 0x109 byte 5

# What the vehicle and the charger say until the script says otherwise.
VEHICLE = {
    "protocol": 2,
    "target": 410,
    "max_volts": 435,
    "time_10s": 0,
    "time_min": 0,
    "request": 0,
    "faults": 0,
    "status": 0x08,
    "charged": 50,
    "on": 1,
}
CHARGER = {
    "protocol": 2,
    "volts_max": 500,
    "amps_max": 100,
    "threshold": 435,
    "volts": 0,
    "amps": 0,
    "status": STOPPED,
    "left_10s": 255,
    "left_min": 255,
    "on": 1,
}


@dataclass
class Script:
    """Changes by time; `frames()` sends what holds. Keys: v_... for the vehicle, c_... for the charger."""

    changes: dict[float, dict[str, float]] = field(default_factory=dict)
    end: float = 0.0

    def at(self, t: float, **values: float) -> "Script":
        """Change values from time t on."""
        self.changes.setdefault(t, {}).update(values)
        self.end = max(self.end, t + 1.0)
        return self

    def until(self, t: float) -> "Script":
        """Let the log end at t, dropping what would come later."""
        self.end = t
        return self

    def frames(self) -> list[tuple[float, Frame]]:
        """Return both parties' frames in the order of time."""
        found = []
        for index in range(round(self.end / PERIOD)):
            t = index * PERIOD
            vehicle, charger = self._state("v_", VEHICLE, t), self._state("c_", CHARGER, t + CHARGER_DELAY)
            found += [(t, frame) for frame in _vehicle_frames(vehicle)] if vehicle["on"] else []
            found += [(t + CHARGER_DELAY, frame) for frame in _charger_frames(charger)] if charger["on"] and t >= PERIOD else []
        return found

    def _state(self, prefix: str, start: Mapping[str, float], now: float) -> dict[str, int]:
        state = dict(start)
        for t, values in sorted(self.changes.items()):
            if t <= now + 1e-9:
                state |= {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
        return {key: int(value) for key, value in state.items()}


def session(*, until: str = "charging") -> Script:
    """Return a session in good order up to a phase: parameters, permission, locked, testing, tested, closed, requested or charging."""
    script = Script()
    for name, t, values in PHASES:
        script.at(t, **values)
        if name == until:
            return script
    raise KeyError(until)


PHASES: tuple[tuple[str, float, dict[str, float]], ...] = (
    ("parameters", 0.0, {}),
    ("permission", 3.0, {"v_time_10s": 255, "v_time_min": 60, "v_status": 0x09}),
    ("locked", 4.0, {"c_status": LOCKED}),
    ("testing", 5.0, {"c_volts": 500}),
    ("tested", 6.5, {"c_volts": 5}),
    ("closed", 8.0, {"v_status": 0x01, "c_volts": 370}),
    ("requested", 9.0, {"v_request": 20}),
    ("charging", 9.2, {"c_status": CHARGING, "c_amps": 20, "c_left_10s": 255, "c_left_min": 60}),
)


def shut_down(script: Script, t: float) -> Script:
    """Let both sides end in order from t on: charging flag off, contactor open, output down, unlocked."""
    script.at(t, v_request=0, v_status=0x00, c_amps=0)
    script.at(t + 0.3, c_status=LOCKED)
    script.at(t + 2.5, v_status=0x08, c_volts=4)
    return script.at(t + 3.2, c_status=STOPPED)


def observe(database: SignalDatabase, frames: list[tuple[float, Frame]]) -> Observation:
    """Return what a listener to these frames observes."""
    listener = ChademoSession(database)
    for t, frame in frames:
        listener.feed(t, frame)
    return listener.finish()


def verdict(database: SignalDatabase, script: Script) -> Verdict:
    """Return the verdict on a scripted session."""
    return judge(observe(database, script.frames()))


def _vehicle_frames(v: Mapping[str, int]) -> list[Frame]:
    return [
        Frame(0x100, bytes([0, 0, 0, 0, *v["max_volts"].to_bytes(2, "little"), 100, 0])),
        Frame(0x101, bytes([0, v["time_10s"], v["time_min"], 0, 0, 0, 0, 0])),
        Frame(0x102, bytes([v["protocol"], *v["target"].to_bytes(2, "little"), v["request"], v["faults"], v["status"], v["charged"], 0])),
    ]


def _charger_frames(c: Mapping[str, int]) -> list[Frame]:
    return [
        Frame(0x108, bytes([1, *c["volts_max"].to_bytes(2, "little"), c["amps_max"], *c["threshold"].to_bytes(2, "little"), 0, 0])),
        Frame(0x109, bytes([c["protocol"], *c["volts"].to_bytes(2, "little"), c["amps"], 0, c["status"], c["left_10s"], c["left_min"]])),
    ]
